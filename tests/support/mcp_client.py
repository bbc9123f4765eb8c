"""Clients of ``guard mcp``: the official SDK's, and one that writes lines itself, for what the SDK would never send."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.support.repositories import GUARD, PACKAGE

Json = dict[str, Any]
T = TypeVar("T")
PATIENCE_S = 600
"""How long a test waits for what must come: long, because the machine may be busy."""

SESSION = "7f3a91c2-0000-4000-8000-000000000001"
CLAUDE = {"CLAUDE_CODE_SESSION_ID": SESSION}
"""What Claude Code sets for its MCP servers."""


def environment(more: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PACKAGE), **more}


def talk(cwd: Path, conversation: Callable[[Client], Coroutine[Any, Any, T]], *, mode: str = "auto", **env: str) -> T:
    """Runs a conversation of the SDK's own client with a server of its own; returns what the conversation returns."""
    command, *words = GUARD
    server = StdioServerParameters(command=command, args=[*words, "mcp"], cwd=cwd, env=environment(env))

    async def run() -> T:
        with anyio.fail_after(PATIENCE_S):
            async with Client(stdio_client(server), mode=mode) as client:
                return await conversation(client)

    return anyio.run(run)


def call(cwd: Path, tool: str, arguments: Json, *, mode: str = "auto", **env: str) -> tuple[Json, str, bool]:
    """One call by the SDK's client: the structured content, the text, and whether it is an error."""

    async def once(client: Client) -> tuple[Json, str, bool]:
        answer = await client.call_tool(tool, arguments)
        text = "".join(getattr(part, "text", "") for part in answer.content)
        return answer.structured_content or {}, text, bool(answer.is_error)

    return talk(cwd, once, mode=mode, **env)


class Raw:
    """A client that writes whatever it is told to; ``with Raw(cwd) as client:``."""

    def __init__(self, cwd: Path, env: dict[str, str] | None = None, *, words: Sequence[str] = (*GUARD, "mcp")) -> None:
        self.process = subprocess.Popen(
            words,
            cwd=cwd,
            env=environment(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.lines: list[bytes] = []
        """Every line that came, whatever it is."""
        self._rest = b""
        self._next = 0

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def leave(self) -> None:
        """Closes what the server reads from."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message: Json) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def line(self) -> Json:
        """The next message; fails when none comes in time."""
        assert self.process.stdout is not None
        until = time.monotonic() + PATIENCE_S
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            assert data, f"no answer: {self.process.poll()}"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        self.lines.append(line)
        message = json.loads(line)
        assert isinstance(message, dict) and message["jsonrpc"] == "2.0", line
        return message

    def ask(self, method: str, params: Json | None = None) -> Json:
        """Sends a request and waits for its answer; what comes in between stays in ``lines``."""
        number = self.begin(method, params)
        return self.answer_to(number)

    def begin(self, method: str, params: Json | None = None) -> int:
        self._next += 1
        self.send({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params or {}})
        return self._next

    def answer_to(self, number: int) -> Json:
        while True:
            message = self.line()
            if message.get("id") == number and "method" not in message:
                return message

    def shake_hands(self, version: str = "2025-06-18") -> Json:
        info = {"name": "raw", "version": "0"}
        answer = self.ask("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": info})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        result: Json = answer["result"]
        return result

    def tool(self, name: str, arguments: Json, meta: Json | None = None) -> Json:
        """A call's structured content."""
        params = {"name": name, "arguments": arguments, **({"_meta": meta} if meta else {})}
        answer = self.ask("tools/call", params)
        assert "result" in answer, answer
        content: Json = answer["result"]["structuredContent"]
        return content

    def ends(self) -> int:
        """Waits for the server's end; returns its exit code."""
        return self.process.wait(PATIENCE_S)
