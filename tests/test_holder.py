"""Who is the holder when nobody said: the innermost coding agent's session, and a host whose name does not change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from guard.repo import defaults
from guard.repo.harness import innermost
from tests.support.repositories import GUARD, PACKAGE, Repository, run

CODEX = {"CODEX_SESSION_ID": "s", "CODEX_THREAD_ID": "t"}
CLAUDE = {"CLAUDE_CODE_SESSION_ID": "s"}
COPILOT = {"COPILOT_AGENT_SESSION_ID": "s"}
NESTED = [
    ([CODEX], "codex-s"),
    ([CLAUDE], "claude-s"),
    ([COPILOT], "copilot-s"),
    ([{"CODEX_THREAD_ID": "t"}], "codex-t"),
    ([CLAUDE, CODEX], "codex-s"),
    ([CODEX, CLAUDE], "claude-s"),
    ([CODEX, COPILOT], "copilot-s"),
    ([COPILOT, CODEX], "codex-s"),
    ([CLAUDE, COPILOT], "copilot-s"),
    ([COPILOT, CLAUDE], "claude-s"),
    ([CLAUDE, CODEX, COPILOT], "copilot-s"),
    ([COPILOT, CODEX, CLAUDE], "claude-s"),
    ([CLAUDE, CODEX, {"CLAUDE_CODE_SESSION_ID": "inner"}], "claude-inner"),
    ([CODEX, {"CODEX_THREAD_ID": "of a subagent"}], "codex-s"),
    ([CODEX, CLAUDE, {"GUARD_AGENT": "bob"}], "bob"),
    ([{"AGENT_NAME": "bob"}, CODEX], "bob"),
]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only /proc tells of other processes")
@pytest.mark.parametrize(("programs", "holder"), NESTED, ids=str)
def test_the_innermost_programs_session_is_the_holder(
    repository: Repository, programs: list[dict[str, str]], holder: str
) -> None:
    """Each program starts a shell with its variables, in which the next one runs, and at last guard."""
    script = " ".join(f"'{word}'" for word in (*GUARD, "whoami")) + "; true"
    command = ["sh", "-c", script]
    for variables in reversed(programs):
        words = [f"{name}={value}" for name, value in variables.items()]
        quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in ["env", *words, *command])
        command = ["sh", "-c", f"{quoted}; true"]
    done = run(command, cwd=repository.path, env={"PYTHONPATH": str(PACKAGE)})
    assert done.out.decode().startswith(f"{holder}  ("), done.text


def test_in_doubt_the_first_name_counts() -> None:
    names = [b"A", b"B"]
    assert innermost(names, {b"A": b"1", b"B": b"2"}, process=0) == b"A"
    assert innermost(names, {b"A": b"1", b"B": b"2"}, process=2**31 - 1) == b"A"
    set_later = {b"A": b"never set by anybody", b"B": b"neither"}
    assert innermost(names, set_later, process=os.getpid()) == b"A"


# The host


@pytest.fixture
def pinned(repository: Repository) -> str:
    """The principal of a repository in which guard is installed."""
    return str(repository.guard("whoami", "--json").json()["principal"])


def rename(repository: Repository, machine: str, name: str) -> None:
    (repository.path / ".git/guard/host").write_text(f"{machine}\n{name}\n")


needs_a_machine = pytest.mark.skipif(not defaults._machine(), reason="nothing names this machine")


@needs_a_machine
def test_the_hosts_name_is_that_of_install(repository: Repository, pinned: str) -> None:
    assert pinned.endswith("@" + os.uname().nodename)
    rename(repository, defaults._machine(), "as-it-was.local")
    named = repository.guard("whoami", "--json").json()["principal"]
    assert named == pinned.partition("@")[0] + "@as-it-was.local"
    repository.guard("install")
    assert repository.guard("whoami", "--json").json()["principal"] == named
    repository.git("config", "--global", "--unset", "user.email")
    assert repository.guard("whoami", "--json").json()["holder"] == named


def test_what_another_machine_noted_does_not_count(repository: Repository, pinned: str) -> None:
    rename(repository, "f" * 32, "another-host")
    assert repository.guard("whoami", "--json").json()["principal"] == pinned
    (repository.path / ".git/guard/host").write_text("")
    assert repository.guard("whoami", "--json").json()["principal"] == pinned
