"""``guard mcp`` in each real program: registered as ``guard help agents`` says, its tools listed and called."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guard.mcp.tools import TOOLS
from tests.live.harness import HARNESSES, Harness, Json, Scene

PAGE = Path(__file__).parents[2] / "guard/help/agents.md"

NAMES = {
    "claude": "mcp__guard__{}",
    "codex": "{}",
    "copilot": "guard-{}",
    "gemini": "mcp_guard_{}",
    "opencode": "guard_{}",
}
"""What each program calls a tool of the server "guard" before its model."""


def registration(name: str) -> str:
    """The line of the page that registers the server with a program."""
    lines = [line.strip() for line in PAGE.read_text(encoding="utf-8").splitlines()]
    (found,) = [line for line in lines if line.startswith(f"{name} mcp add ")]
    return found


def call(name: str, tool: str, arguments: Json) -> dict[str, Any]:
    shown = {"name": NAMES[name].format(tool), "args": arguments}
    return {"calls": [{**shown, "namespace": "mcp__guard"} if name == "codex" else shown]}


def patient(harness: Harness) -> Harness:
    """The program, allowed to use the server's tools, and waiting for its start however busy the machine is."""
    if harness.name == "claude":
        words = [f"{word},mcp__guard" if word == "Bash,Edit,Write,Read" else word for word in harness.words]
        waits = {"MCP_CONNECTION_NONBLOCKING": "false", "MCP_TIMEOUT": "300000"}
        waits |= {"CLAUDE_CODE_MCP_STARTUP_WAIT_MS": "300000"}
        return replace(harness, words=tuple(words), environment={**harness.environment, **waits})
    if harness.name == "codex":
        # Codex begins before a server has started unless it is required, and shows a model that it knows no tools of
        # MCP servers until the model searches for them.
        settings = ("required=true", "startup_timeout_sec=300", "tool_timeout_sec=300")
        options = ["-c", "model=gpt-5.4"]
        options += [word for each in settings for word in ("-c", f"mcp_servers.guard.{each}")]
        return replace(harness, words=(harness.words[0], *options, *harness.words[1:]))
    return harness


@pytest.mark.parametrize("name", list(HARNESSES))
def test_the_tools_are_listed_and_called(scene: Callable[[str], Scene], name: str) -> None:
    made = scene(name)
    made.harness = patient(made.harness)
    made.sh("guard reserve a.txt --reason 'new schema'", who="alice")
    script = [
        call(name, "guard_check", {"paths": ["a.txt", "b.txt"]}),
        call(name, "guard_reserve", {"patterns": ["free.txt"], "reason": "by MCP"}),
        {"calls": [made.harness.shell("guard whoami --json; guard list --json")]},
        {"text": "finished"},
    ]
    directory = made.packages / made.harness.packages[0].replace("/", "+") / "node_modules/.bin"
    played = made.play(
        {"SESSION-ONE": script},
        [{"sh": f"{directory}/{registration(name)}", "name": "registered"}, {"run": "SESSION-ONE"}],
    )
    assert played["ended"]["registered"]["code"] == 0, played["ended"]
    assert all(tool in played["said"]["SESSION-ONE"] for tool in TOOLS), played
    checked, granted, seen = played["seen"]["SESSION-ONE"]
    assert "alice holds /a.txt" in checked and "new schema" in checked and "b.txt" in checked, played
    assert "reserved #" in granted and "/free.txt" in granted, played
    (row,) = [row for row in json.loads(made.sh("guard list --json"))["reservations"] if row["reason"] == "by MCP"]
    assert row["pattern"] == "/free.txt", row
    if name in ("claude", "codex", "copilot"):  # whose shell knows the session: it is the same holder there
        assert row["holder"].startswith(f"{name}-") and row["holder"] in seen, played
    else:
        assert row["holder"].startswith("mcp-") and f"export GUARD_AGENT={row['holder']}" in granted, played
