"""What guard adds to an edit of a coding agent: the stub as its program starts it, with a payload of 12 kB."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING

from tests.bench.rows import Row
from tests.bench.scene import guard_command, others_patterns
from tests.bench.timing import in_turns, process_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.rows import Bench
    from tests.bench.scene import Scene
    from tests.bench.timing import Run

PAYLOAD_BYTES = 12_000
SESSION = "bench-session"


class Agent:
    """A session of Claude Code in a scene."""

    def __init__(self, scene: Scene, *, auto: bool = False) -> None:
        self.scene = scene
        scene.run(*guard_command(), "agent", "install", "claude")
        if auto:
            scene.git("config", "guard.autoReserve", "15m")
        scene.age_settings()
        self.stub = str(scene.home / "data/guard/agent")
        self.env = {name: value for name, value in scene.env().items() if name != "GUARD_AGENT"}

    def payload(self, path: str, name: str = "payload", **more: object) -> Path:
        """A payload in a file, for it is read from standard input."""
        told = {
            "session_id": SESSION,
            "transcript_path": "/t",
            "cwd": str(self.scene.repo),
            "tool_name": "Write",
            "tool_input": {"file_path": str(self.scene.repo / path), "content": "x" * PAYLOAD_BYTES},
            **more,
        }
        file = self.scene.place / name
        file.write_text(json.dumps(told))
        return file

    def edit_ms(self, payload: Path, *, expect: int = 0, event: str = "PreToolUse") -> float:
        command = ("/bin/sh", self.stub, "claude", event)
        return process_ms(command, env=self.env, cwd=self.scene.repo, stdin=payload, expect=expect)

    def editing(self, path: str, *, expect: int = 0) -> Run:
        """The same edit again and again, after two that let guard get ready."""
        payload = self.payload(path)
        for _ in range(2):
            self.edit_ms(payload, expect=expect)
        return lambda: self.edit_ms(payload, expect=expect)


FREE = "docs/free.txt"


def rows(bench: Bench) -> Iterator[Row]:
    quiet = Agent(bench.scene("agent-quiet")).editing(FREE)
    clear = Agent(bench.scene("agent-clear", patterns=others_patterns(100))).editing(FREE)
    again = Agent(bench.scene("agent-again", patterns=others_patterns(100)), auto=True).editing(FREE)
    held = Agent(bench.scene("agent-held", patterns=[*others_patterns(100), "/docs/**"])).editing(FREE, expect=2)
    fresh = Agent(bench.scene("agent-first", patterns=others_patterns(100)), auto=True)
    fresh.editing(FREE)()
    numbers = count()

    def first() -> float:
        return fresh.edit_ms(fresh.payload(f"docs/new{next(numbers)}.txt", "other"))

    samples = in_turns(quiet, clear, again, first, held, bench.py0(), runs=bench.runs)
    py0 = samples[-1]
    cases = (
        ("an agent's edit, nothing reserved by others", 1.3),
        ("an agent's edit, 100 reservations of others, none touched", 1.6),
        ("the same with guard.autoReserve, a later edit of the file", 1.6),
        ("the same, the first edit of the file", 5.0),
        ("an agent's edit, refused", 8.0),
    )
    for (case, at_most), sample in zip(cases, samples[:-1], strict=True):
        yield Row(case, sample, at_most, "py0", py0)
    yield from _net(bench)


def _net(bench: Bench) -> Iterator[Row]:
    """After a shell command, in a repository of 5,000 files."""
    scene = bench.scene("agent-net", patterns=others_patterns(100))
    scene.write(range(500, 5_000), "one\n")
    scene.git("add", "-A")
    scene.git("commit", "-q", "--no-verify", "-m", "many")
    agent = Agent(scene)
    shell = {"tool_name": "Bash", "tool_input": {"command": "make"}, "tool_response": {"stdout": "x" * PAYLOAD_BYTES}}
    payload = agent.payload(FREE, "shell", **shell)
    for _ in range(2):
        agent.edit_ms(payload)
        agent.edit_ms(payload, event="PostToolUse")
    git = f"{scene.hook_env()['GIT_EXEC_PATH']}/git"
    after, status, py0 = in_turns(
        lambda: agent.edit_ms(payload, event="PostToolUse"),
        lambda: process_ms((git, "status", "--porcelain"), env=scene.env(), cwd=scene.repo),
        bench.py0(),
        runs=bench.runs,
    )
    yield Row("after a shell command in 5,000 files, nothing of others' changed", after, 1.5, "git status", status)
    yield Row("the same", after, None, "py0", py0, extra=True)
