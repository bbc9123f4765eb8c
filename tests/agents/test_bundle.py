"""The file from which the stub takes guard's modules: it holds what a clear edit loads, and is believed with care."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from guard.agents import bundle
from guard.agents.install import lay_stub, stub_text
from guard.patterns import grammar
from guard.union import patterns
from tests.support.repositories import Done, Repository, run

_LISTING = """
import os
def told(code, leave=os._exit):
    with open(os.environ["LISTED"], "w") as file:
        for name, module in sys.modules.items():
            if name.partition(".")[0] == "guard":
                print(name, type(module.__spec__.loader).__name__, file=file)
    leave(code)
os._exit = told
"""


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    lay_stub(str(tmp_path / "stub" / "agent"))
    return tmp_path / "stub" / "agent"


def edit(repository: Repository, stub: Path, path: str, env: dict[str, str] | None = None) -> Done:
    told = {
        "session_id": "s1",
        "cwd": str(repository.path),
        "tool_name": "Write",
        "tool_input": {"file_path": str(repository.path / path), "content": "x"},
    }
    return run([str(stub), "claude", "PreToolUse"], cwd=repository.path, env=env, stdin=json.dumps(told).encode())


def age(repository: Repository) -> None:
    """guard does not trust the time of a file that was just written."""
    for file in (repository.git_dir / "config", *Path(os.environ["HOME"]).glob(".gitconfig")):
        os.utime(file, (1e9, 1e9))


def loaded(repository: Repository, stub: Path, tmp_path: Path, path: str = "free.txt") -> dict[str, str]:
    """Guard's modules that an edit loads, each with the kind of its loader."""
    text = stub.read_text()
    stub.write_text(text.replace("from guard.agents.start", _LISTING + "from guard.agents.start"))
    listed = tmp_path / "listed"
    assert edit(repository, stub, path, {"LISTED": str(listed)}).code == 0
    stub.write_text(text)
    return dict(line.split() for line in listed.read_text().splitlines())


def test_a_clear_edit_loads_nothing_but_the_bundle(repository: Repository, stub: Path, tmp_path: Path) -> None:
    for number in range(30):
        repository.guard("reserve", f"src/**/*{number}.py", who="alice")
    age(repository)
    for _ in range(2):
        edit(repository, stub, "free.txt")
    for path in ("free.txt", "src/x.txt"):
        found = loaded(repository, stub, tmp_path, path)
        assert set(found.values()) == {"Bundled"}, found
        assert set(found) <= set(bundle.MODULES)


@pytest.mark.parametrize("how", ["missing", "empty", "cut short", "another Python", "another source", "no table"])
def test_a_file_that_is_not_believed_costs_time_alone(
    repository: Repository, stub: Path, tmp_path: Path, how: str
) -> None:
    repository.guard("reserve", "src", who="alice")
    file = stub.parent / bundle.CODE_FILE
    whole = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "another source":
        record = Path(bundle.__file__).parent.parent / "record.py"
        changed = whole.replace(b"%b" % str(record).encode(), b"%b" % str(record).replace("record", "recora").encode())
        assert changed != whole
        file.write_bytes(changed)
    else:
        first = whole.index(b"\n") + 1
        contents = {"empty": b"", "cut short": whole[:-500], "another Python": b"guard code 1 4.0\n" + whole[first:]}
        file.write_bytes({**contents, "no table": whole[:first]}[how])
    assert edit(repository, stub, "a.txt").code == 0
    assert edit(repository, stub, "src/b.py").code == 2
    for _ in range(2):
        edit(repository, stub, "a.txt")
    assert "Bundled" not in loaded(repository, stub, tmp_path, "a.txt").values()


def test_the_stub_knows_the_format(stub: Path) -> None:
    assert f'b"{bundle.FORMAT.decode()}" + sys.version' in stub_text()
    assert (stub.parent / bundle.CODE_FILE).read_bytes().startswith(bundle.first_line())


def test_uninstalling_removes_it(repository: Repository, hermetic: Path) -> None:
    repository.guard("agent", "install", "claude")
    (own,) = Path(hermetic).rglob(bundle.CODE_FILE)
    assert oct(os.stat(own).st_mode & 0o777) == "0o644"
    repository.guard("agent", "uninstall")
    assert not own.exists()


def test_a_repository_without_python_sources_is_no_obstacle(stub: Path) -> None:
    done = subprocess.run([str(stub), "claude", "PreToolUse"], input=b"{", capture_output=True, cwd="/", check=False)
    assert done.returncode == 2 or b"not set up" in done.stderr


def test_constants_that_stand_in_two_places_agree() -> None:
    """The union's matcher knows them by itself, so that it need not load the grammar."""
    assert (patterns.ANY_NAMES, patterns._ONE) == (grammar.STARSTAR, grammar.ONE)
