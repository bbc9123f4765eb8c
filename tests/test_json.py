"""Every command that answers as JSON gives the members that every answer has, also when there is nothing to say."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from guard.commands.cli import commands
from tests.support import postgres
from tests.support.repositories import Repository

ALWAYS = {"schema", "generation", "warnings", "notices", "next"}
LISTS = ("warnings", "notices", "next")


def answering(group: click.Group = commands, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The command lines of all commands that have ``--json``."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from answering(command, (*path, name))
        elif command is not None and any("--json" in each.opts for each in command.params):
            yield (*path, name)


CASES: dict[str, list[tuple[str, ...]]] = {
    "reserve": [("free.txt",), ("--changed",)],
    "release": [("mine",), ("nothing",), ("--all", "--after-push")],
    "renew": [("mine",), ("nothing",)],
    "list": [(), ("src",), ("--mine",), ("--ended",), ("--all-projects",), ("--soon", "10m")],
    "check": [(), ("src/a.py",), ("--changed",), ("--from", "HEAD", "--to", "HEAD")],
    "break": [("2", "--reason", "why"), ("99", "--reason", "why")],
    "take": [],  # tests/test_session.py has an earlier session to take over
    "log": [(), ("--event", "broken")],
    "whoami": [()],
    "install": [(), ("--dry-run",), ("--all",)],
    "uninstall": [("--dry-run",), ()],
    "status": [(), ("--check",), ("--line",), ("--all",)],
    "store show": [()],
    "store backup": [("{place}/saved.db",)],
    "store restore": [("{place}/earlier.db",)],
    "store move": [("{place}/moved.db",)],
    "agent status": [(), ("--check",)],
}
NEED_A_SERVER = ("store init", "store allow")


def test_each_command_that_answers_as_json_stands_in_the_table() -> None:
    assert {" ".join(path) for path in answering()} == {*CASES, *NEED_A_SERVER}


@pytest.fixture
def peopled(repository: Repository, tmp_path: Path) -> Repository:
    """A repository in which alice holds ``mine`` and bob ``src``, and a backup of its store."""
    repository.guard("reserve", "mine", who="alice")
    repository.guard("reserve", "src", who="bob")
    repository.write("changed.txt", "new")
    repository.guard("store", "backup", str(tmp_path / "earlier.db"))
    return repository


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(command, arguments) for command, lines in CASES.items() for arguments in lines],
    ids=lambda value: value if isinstance(value, str) else " ".join(value) or "alone",
)
def test_every_answer_has_the_same_members(
    peopled: Repository, tmp_path: Path, command: str, arguments: tuple[str, ...]
) -> None:
    words = [word.format(place=tmp_path) for word in (*command.split(), *arguments)]
    answer = peopled.guard(*words, "--json", who="alice", expect=None).json()
    assert answer.keys() >= ALWAYS, answer
    assert all(isinstance(answer[name], list) for name in LISTS)


def test_commands_for_a_server_have_them_too(repository: Repository) -> None:
    server = postgres.server_or_skip()
    address = server.address(server.database())
    for command in NEED_A_SERVER:
        assert repository.guard(*command.split(), address, "--json", who="alice").json().keys() >= ALWAYS


def test_an_agent_that_is_not_guarded_is_a_warning_with_a_next_step(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").write_text("#!/bin/sh\necho 2.0.0\n")
    (tmp_path / "bin" / "claude").chmod(0o755)
    answer = repository.guard("agent", "status", "--json", env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}).json()
    assert [each["program"] for each in answer["agents"]] == ["claude"]
    assert any(warning.startswith("Claude Code") for warning in answer["warnings"])
    assert any(command.startswith("guard agent install") for command in answer["next"])


BYTES = "w/\udcff\udcfe"
"""A word with bytes that are not UTF-8, as Python has it."""


@pytest.mark.parametrize(
    ("command", "member"),
    [
        (("release", BYTES), "not_found_b64"),
        (("renew", BYTES, "nothing"), "not_found_b64"),
        (("break", "--holder", BYTES), "not_found_b64"),
        (("break", BYTES), ""),
        (("take", BYTES), ""),
        (("check", BYTES), ""),
        (("list", BYTES), ""),
        (("reserve", BYTES), ""),
        (("log", "--path", BYTES), ""),
        (("log", "--holder", BYTES), ""),
        (("reserve", "x", "--reason", BYTES), ""),
        (("check", "--from", BYTES, "--to", "HEAD"), ""),
        (("store", "restore", BYTES), ""),
        (("store", "backup", "\udcff.db"), "backup_b64"),
        (("store", "move", "\udcfe.db"), "error"),
        (("-C", BYTES, "list"), ""),
    ],
    ids=ascii,
)
def test_what_is_not_utf_8_is_in_base64_or_escaped(peopled: Repository, command: tuple[str, ...], member: str) -> None:
    answer = peopled.guard(*command, "--json", who="alice", expect=None).json()
    json.dumps(answer, ensure_ascii=False).encode()  # half of a surrogate pair is no text for most programs
    assert not member or member in answer
    assert "unexpected" not in str(answer)
    if member == "not_found_b64":
        assert base64.b64decode(answer[member][0]) == os.fsencode(BYTES)
        assert answer["not_found"] == [word for word in command if word == "nothing"]


def test_a_list_of_all_projects_has_the_generation_of_none(peopled: Repository) -> None:
    assert peopled.guard("list", "--json", who="alice").json()["generation"] == 2
    assert peopled.guard("list", "--all-projects", "--json", who="alice").json()["generation"] is None
