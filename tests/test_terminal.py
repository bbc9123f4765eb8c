"""How answers reach a terminal: its width, its colours, its encoding, and a list that is shown again and again."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from guard.commands import render
from guard.commands.cli import commands
from guard.commands.names import COMMANDS
from guard.stores.interface import Entry
from tests.support.repositories import GUARD, PACKAGE, Repository

PATIENCE_S = 60.0
"""How long a test waits for what must come; it goes on as soon as it has come."""

COLOUR = b"\x1b["
JAPANESE = "新しいログイン"


class OnTerminal:
    """A command whose output is a terminal; ``seen`` is what has come so far."""

    def __init__(self, repository: Repository, *words: str, env: dict[str, str] | None = None) -> None:
        self.seen = b""
        ours, theirs = pty.openpty()
        self._screen = ours
        self._process = subprocess.Popen(
            (*GUARD, *words),
            cwd=repository.path,
            env={**os.environ, "PYTHONPATH": str(PACKAGE), "TERM": "xterm", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)

    def until(self, wanted: Callable[[bytes], bool]) -> bytes:
        """Waits until what has come is as wanted; fails the test when that takes for ever."""
        latest = time.monotonic() + PATIENCE_S
        while not wanted(self.seen):
            assert time.monotonic() < latest, self.seen
            if not self._more():
                assert wanted(self.seen), self.seen
        return self.seen

    def to_the_end(self) -> bytes:
        while self._more():
            pass
        assert self._process.wait(PATIENCE_S) == 0
        os.close(self._screen)
        return self.seen

    def interrupt(self) -> int:
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(PATIENCE_S)
        os.close(self._screen)
        return code

    def _more(self) -> bool:
        """Reads what has come within a while; False at the end."""
        if not select.select([self._screen], [], [], PATIENCE_S)[0]:
            return False
        try:
            data = os.read(self._screen, 1 << 16)
        except OSError:  # Linux answers so when nobody has the other side open any more
            return False
        self.seen += data
        return bool(data)


# Width


def _all_commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    above = click.Context(commands, info_name="guard", terminal_width=80)
    yield "guard", commands, above
    for name in COMMANDS:
        command = commands.get_command(above, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=above, terminal_width=80)
        yield f"guard {name}", command, context
        for part, each in command.commands.items() if isinstance(command, click.Group) else ():
            yield f"guard {name} {part}", each, click.Context(each, info_name=part, parent=context, terminal_width=80)


ALL_COMMANDS = list(_all_commands())


@pytest.mark.parametrize(("name", "command", "context"), ALL_COMMANDS, ids=[name for name, _, _ in ALL_COMMANDS])
def test_help_fits_80_columns_and_cuts_nothing(name: str, command: click.Command, context: click.Context) -> None:
    shown = command.get_help(context)
    assert max(map(len, shown.splitlines())) <= 80
    words = " ".join(shown.split())
    for sentence in [*(command.help or "").replace("\b", "").splitlines(), *_option_texts(command, context)]:
        assert " ".join(sentence.split()) in words


def _option_texts(command: click.Command, context: click.Context) -> list[str]:
    records = [each.get_help_record(context) for each in command.get_params(context)]
    return [record[1] for record in records if record]


# Colours


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),  # https://no-color.org: when it is not an empty string
        ({"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
        ({"CLICOLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True),
    ],
    ids=str,
)
@pytest.mark.parametrize("words", [["list"], ["status"]], ids=" ".join)
def test_colours_on_a_terminal(
    repository: Repository, words: list[str], environment: dict[str, str], coloured: bool
) -> None:
    repository.guard("reserve", "src", who="alice")
    assert (COLOUR in OnTerminal(repository, *words, env=environment).to_the_end()) is coloured


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, False), ({"CLICOLOR_FORCE": "1"}, True), ({"CLICOLOR_FORCE": "0"}, False)],
    ids=str,
)
@pytest.mark.parametrize("words", [["list"], ["status"]], ids=" ".join)
def test_colours_in_a_pipe(
    repository: Repository, words: list[str], environment: dict[str, str], coloured: bool
) -> None:
    repository.guard("reserve", "src", who="alice")
    assert (COLOUR in repository.guard(*words, env=environment).out) is coloured


# Encodings


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "shift_jis", "utf-8"])
def test_what_an_encoding_lacks_is_escaped(repository: Repository, encoding: str) -> None:
    repository.guard("reserve", "src/b.py", "--reason", f"{JAPANESE} é", who="alice")
    escaped = f"{JAPANESE} é".encode(encoding, "backslashreplace")
    there = {"PYTHONIOENCODING": encoding}
    for words in (["list"], ["log"], ["status"], ["check", "src/b.py"]):
        assert escaped in repository.guard(*words, who="bob", env=there, expect=None).out
    assert escaped in repository.guard("reserve", "src", who="bob", env=there, expect=1).err
    assert JAPANESE in repository.guard("list", "--json", env=there).json()["reservations"][0]["reason"]


def test_a_refused_commit_says_it_in_the_terminals_encoding(repository: Repository, latin_1: str) -> None:
    repository.guard("reserve", "src/b.py", "--reason", f"{JAPANESE} é", who="alice")
    repository.write("src/b.py", "mine\n")
    refused = repository.git("commit", "-q", "-a", "-m", "x", who="bob", env={"LC_ALL": latin_1}, expect=1)
    assert f"{JAPANESE} é".encode("latin-1", "backslashreplace") in refused.err


@pytest.fixture
def latin_1() -> str:
    """The name of a locale of this machine in which text is latin-1."""
    done = subprocess.run(("locale", "-a"), capture_output=True, text=True, check=False)
    found = [name for name in done.stdout.split() if re.search(r"iso-?8859-?15?$", name, re.IGNORECASE)]
    if not found:
        pytest.skip("does not apply: this machine has no locale with latin-1")
    return found[0]


# guard list --watch


def test_a_watched_list_is_drawn_anew_when_it_changes(repository: Repository) -> None:
    watching = OnTerminal(repository, "list", "--watch")
    watching.until(lambda seen: b"nothing is reserved" in seen)
    repository.guard("reserve", "src", who="alice")
    watching.until(lambda seen: b"/src" in seen)
    repository.guard("reserve", "docs", who="bob")
    shown = watching.until(lambda seen: b"/docs" in seen).rpartition(b"\x1b[H\x1b[2J")[2]
    watching.until(lambda seen: seen.rpartition(b"\x1b[H\x1b[2J")[2].count(b"\n") >= 4)
    assert shown and watching.seen.count(b"\x1b[H\x1b[2J") >= 3
    last = watching.seen.rpartition(b"\x1b[H\x1b[2J")[2]
    assert b"/src" in last and b"/docs" in last
    assert watching.interrupt() == 130


def test_a_dumb_terminal_gets_no_control_characters(repository: Repository) -> None:
    repository.guard("reserve", "src", who="alice")
    watching = OnTerminal(repository, "list", "--watch", env={"TERM": "dumb"})
    assert b"\x1b" not in watching.until(lambda seen: b"/src" in seen)
    watching.interrupt()


def test_with_json_a_watched_list_is_a_line_for_each_generation(repository: Repository, tmp_path: Path) -> None:
    import json

    with subprocess.Popen(
        (*GUARD, "list", "--watch", "--json"),
        cwd=repository.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as watching:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        assert first["reservations"] == []
        for number, pattern in enumerate(("src", "docs"), 1):
            repository.guard("reserve", pattern, who="alice")
            answer = json.loads(watching.stdout.readline())
            assert answer["generation"] == first["generation"] + number
            assert [row["pattern"] for row in answer["reservations"]][-1:] == [f"/{pattern}"]
        repository.guard("release", "--all", who="alice")
        assert json.loads(watching.stdout.readline())["reservations"] == []
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE_S) == 130


# Sessions


def test_sessions_are_shown_by_short_names_that_differ(repository: Repository) -> None:
    one, other, alike = (
        f"claude-{start}-1111-4222-8333-444455556666" for start in ("7f3a91c2", "0a1b2c3d", "0a1b9999")
    )
    repository.guard("reserve", "src", who=one)
    repository.guard("reserve", "docs", who=other)
    repository.guard("reserve", "lib", who=alike)
    shown = repository.guard("list", who="ann").out.decode()
    assert [line.strip() for line in shown.splitlines() if line.startswith("claude")] == [
        "claude-0a1b2",
        "claude-0a1b9",
        "claude-7f3a",
    ]
    assert {row["holder"] for row in repository.guard("list", "--json").json()["reservations"]} == {one, other, alike}
    repository.guard("break", "--holder", "claude-7f3a", "--reason", "gone", who="ann")
    log = repository.guard("log", who="ann").out.decode()
    assert "ann broke #1 of claude-7f3a /src: gone" in log and one not in log
    assert "#1  claude-7f3a  /src  broken by ann" in repository.guard("list", "--ended", who="ann").out.decode()
    assert one in repository.guard("log", "--json").out.decode()


def test_status_has_notices_and_warnings(repository: Repository) -> None:
    repository.guard("reserve", "src", who="alice")
    repository.guard("break", "1", "--reason", "hotfix", who="bob")
    repository.git("config", "guard.mode", "warn")
    answer = repository.guard("status", "--json", who="alice").json()
    assert len(answer["notices"]) == 1 and "hotfix" in answer["notices"][0]
    assert any("mode is warn" in warning for warning in answer["warnings"])
    assert repository.guard("status", "--json", who="alice").json()["notices"] == []


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("reserved", "reserved"),
        ("broken", "broke"),
        ("refused", "was refused because of"),
        ("warned", "was warned because of"),
        ("bypassed", "went past"),
        ("dropped", "dropped"),
    ],
)
def test_the_log_says_who_did_what(event: str, words: str) -> None:
    entry = Entry(1, 0, 1, event, "bob", "bob@laptop", 1, "alice", b"/src", "")
    (line,) = render.log_lines([entry], now=0, width=None)
    assert line.endswith(f"  bob {words} #1 of alice /src")


def test_the_log_says_that_somebody_was_refused_by_the_fence() -> None:
    entry = Entry(1, 0, 1, "refused", "bob", "bob@laptop", None, None, None, "commit outside of the fence: a.txt")
    (line,) = render.log_lines([entry], now=0, width=None)
    assert line.endswith("  bob was refused: commit outside of the fence: a.txt")
