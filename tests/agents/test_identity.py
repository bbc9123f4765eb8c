"""The holder that a hook sees is the one that guard sees in the program's own shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.agents import programs
from guard.agents.identity import as_agent, exported_name
from guard.agents.payload import Call
from guard.words import shown_name
from tests.support.repositories import Repository

ID = "7f3a91c2-4d5e-4f60-8a7b-0c1d2e3f4a5b"
IN_SHELL = {
    "claude": {"CLAUDE_CODE_SESSION_ID": ID},
    "codex": {"CODEX_SESSION_ID": ID, "CODEX_THREAD_ID": ID},
    "copilot": {"COPILOT_AGENT_SESSION_ID": ID},
    "gemini": {"GUARD_AGENT": f"gemini-{ID}"},
    "opencode": {"GUARD_AGENT": f"opencode-{ID}"},
    "cursor": {"GUARD_AGENT": f"cursor-{ID}"},
}
"""What each program's shell has in its environment, where need be by guard's own doing."""


def call(own: str = "") -> Call:
    return Call(ID, b"/r", "Write", (), "", {}, own or ID)


def holder(repository: Repository, env: dict[str, str]) -> str:
    return str(repository.guard("list", "--json", env=env).json()["holder"])


@pytest.mark.parametrize("name", list(programs.PROGRAMS))
@pytest.mark.parametrize("own", ["", "a-subagent"])
def test_hook_and_shell_agree(repository: Repository, name: str, own: str) -> None:
    environment = as_agent({}, programs.PROGRAMS[name], call(own))
    in_hook = {key.decode(): value.decode() for key, value in environment.items()}
    assert holder(repository, in_hook) == holder(repository, IN_SHELL[name]) == f"{name}-{ID}"


@pytest.mark.parametrize("name", list(programs.PROGRAMS))
def test_a_name_of_the_users_wins(repository: Repository, name: str) -> None:
    for variable in (b"GUARD_AGENT", b"AGENT_NAME"):
        environment = as_agent({variable: b"alice"}, programs.PROGRAMS[name], call())
        in_hook = {key.decode(): value.decode() for key, value in environment.items()}
        assert holder(repository, in_hook) == "alice"


@pytest.mark.parametrize("name", list(programs.PROGRAMS))
def test_sessions_are_shown_short(name: str) -> None:
    assert shown_name(f"{name}-{ID}", ()) == f"{name}-7f3a"


def test_a_name_that_is_exported_is_one_line_of_bounded_length() -> None:
    odd = call()._replace(session="a\nb\0" + "x" * 1000)
    name = exported_name(programs.GEMINI, odd)
    assert b"\n" not in name and b"\0" not in name and len(name) <= 255


def test_a_codex_that_claude_started_is_a_holder_of_its_own(repository: Repository, tmp_path: Path) -> None:
    outer = {b"CLAUDE_CODE_SESSION_ID": b"outer"}
    environment = as_agent(outer, programs.CODEX, call())
    in_hook = {key.decode(): value.decode() for key, value in environment.items()}
    assert holder(repository, in_hook) == f"codex-{ID}"
    assert holder(repository, {"CLAUDE_CODE_SESSION_ID": "outer", **IN_SHELL["codex"]}) == f"codex-{ID}"
