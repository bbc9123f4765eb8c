"""What holds for the source as a whole: where the environment is read, who prints, how long functions are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.repositories import PACKAGE

SOURCES = sorted((PACKAGE / "guard").rglob("*.py"))
EDGES = {
    "__main__.py": "the process that a person starts",
    "agents/start.py": "the process that an agent program's hook starts",
    "agents/world.py": "the same: it makes one repository the place that its own process works in",
    "commands/reply.py": "the terminal of the process, with NO_COLOR and its like",
    "mcp/server.py": "the process that an agent program starts as its server",
    "repo/libgit2.py": "compares: libgit2 itself reads HOME and PATH of the process",
    "repo/standpoint.py": "hands out the process's environment where nobody asks from elsewhere",
    "system.py": "starts programs in the process's environment where no other is given; TMPDIR",
    "union/large.py": "starts git beside Python, in the process's environment without its tracing",
    "work/here.py": "here_of_process: the one place where a command's view begins",
}
"""The modules that read the environment of the process, and why. Everybody else gets it as an argument."""

SILENT = ("model", "record", "patterns", "repo", "stores", "union", "install", "work")
"""The rooms that return what is to be said instead of saying it."""

LINES_MAX = 40


def _name(source: Path) -> str:
    return str(source.relative_to(PACKAGE / "guard"))


def _names_used(source: Path) -> set[str]:
    """Every name and attribute in a module: ``os.environ`` as "environ"."""
    nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return names | {node.id for node in nodes if isinstance(node, ast.Name)}


def test_the_environment_is_read_at_the_edge() -> None:
    found = {_name(source) for source in SOURCES if _names_used(source) & {"environ", "environb", "getenv", "getenvb"}}
    assert found == set(EDGES)


@pytest.mark.parametrize("room", SILENT)
def test_a_room_below_the_commands_prints_nothing(room: str) -> None:
    sources = [source for source in SOURCES if _name(source).split("/")[0].removesuffix(".py") == room]
    assert sources
    assert not {_name(each) for each in sources if _prints(each)}


def _prints(source: Path) -> bool:
    """Does a module call print or to_stderr, or use sys.stdout or sys.stderr?"""
    nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    streams = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    return bool(_names_used(source) & {"to_stderr", "print"} or streams & {"sys.stdout", "sys.stderr"})


@pytest.mark.parametrize("source", SOURCES, ids=_name)
def test_no_function_is_longer_than_a_screen(source: Path) -> None:
    """A function whose list of options is long may be: the lines of its decorators and parameters do not count."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].lineno
            assert node.end_lineno is not None
            assert node.end_lineno - first < LINES_MAX, f"{node.name} has {node.end_lineno - first + 1} lines"


def test_contributing_says_what_every_room_is_for() -> None:
    page = (PACKAGE / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {each.parent.name for each in (PACKAGE / "guard").glob("*/__init__.py")} | {"help"}
    assert {room for room in rooms if f"`guard/{room}/`" not in page} == set()


@pytest.mark.parametrize("place", ["guard/stores/kinds.py", "guard/agents/programs.py", "guard/events.py"])
def test_contributing_names_the_table_to_which_a_row_is_added(place: str) -> None:
    page = (PACKAGE / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"one row in `{place}`" in page
    assert (PACKAGE / place).is_file()
