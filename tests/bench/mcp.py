"""What a call of guard's MCP server takes, what a server takes in memory, and how much of either is the SDK's own."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from guard.stores.freshness import GRAIN_NS
from tests.bench.rows import Row
from tests.bench.scene import guard_command, module, others_patterns
from tests.bench.timing import call_ms, in_turns
from tests.support.mcp_client import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.rows import Bench
    from tests.bench.scene import Scene
    from tests.bench.timing import Run
    from tests.support.mcp_client import Json

_EMPTY = (
    "import anyio, mcp_types as types\n"
    "from mcp.server.lowlevel import Server\n"
    "async def tools(context, params):\n"
    "    return types.ListToolsResult(tools=[])\n"
    "async def call(context, params):\n"
    "    text = types.TextContent(type='text', text='nothing')\n"
    "    return types.CallToolResult(content=[text], structured_content={'message': 'nothing'})\n"
    "async def main():\n"
    "    server = Server('empty', on_list_tools=tools, on_call_tool=call)\n"
    "    async with streams() as (received, sent):\n"
    "        await server.run(received, sent, server.create_initialization_options())\n"
    "anyio.run(main)\n"
)
EMPTY = "from mcp.server.stdio import stdio_server as streams\n" + _EMPTY
"""A server with a tool that does nothing, of the SDK alone: what is measured of it is the SDK's own share."""
EMPTY_HERE = (
    "import os\n"
    "from guard.mcp import wire\n"
    "claimed = wire.claim(lambda: os._exit(0))\n"
    "from guard.mcp.transport import messages\n"
    "streams = lambda: messages(claimed)\n"
    + _EMPTY.replace("    async with", "    server.middleware.clear()\n    async with")
)
"""The same as guard uses it, with guard's transport and without OpenTelemetry: the SDK's share of a call of guard's."""

CASE = "guard_check of 10 paths by MCP, 1,000 reservations of others, none touched"
LIMIT_MS = 5.0
STARTS_MAX = 5
PAUSE_S = 1.0
"""How long an agent does something else between two calls, in the rows that say so."""
PAUSES_MAX = 20
STREAK = 5
"""How many calls follow each other at once, in the rows that say so."""


def rows(bench: Bench) -> Iterator[Row]:
    scene = bench.scene("mcp", patterns=others_patterns(1_000))
    for _ in range(2):  # an agent's checkout: its hooks have published a union, which the server keeps fresh
        scene.git("commit", "--quiet", "--allow-empty", "--message", "x")
    ours = (*guard_command(), "mcp")
    empty, empty_here = ((sys.executable, "-c", text) for text in (EMPTY, EMPTY_HERE))
    paths = {"paths": [f"{module(number)}/part/file{number}.txt" for number in range(10)]}
    with _started(scene, ours) as guard, _started(scene, empty) as sdk, _started(scene, empty_here) as sdk_here:
        if guard.tool("guard_check", paths)["verdict"] != "clear":
            raise RuntimeError("the paths that are asked about are held")
        time.sleep(GRAIN_NS / 1e9)  # times younger than that prove nothing, as right after an installation
        asked = [_call(client, paths) for client in (guard, sdk_here, sdk)]
        took, share, alone = in_turns(*asked, runs=bench.runs)
        streak, streak_share = in_turns(*map(_last_of_streak, asked[:2]), runs=bench.runs)
        pauses = min(bench.runs, PAUSES_MAX)
        late, late_share = in_turns(*map(_after_pause, asked[:2]), runs=pauses)
        memory = _resident_mb(guard), _resident_mb(sdk)
    yield Row(CASE, took, LIMIT_MS)
    yield Row("of that, the SDK: a tool that does nothing, through guard's transport", share, None, extra=True)
    yield Row("a tool that does nothing, through the SDK's own transport", alone, None, extra=True)
    yield Row(f"guard_check, {PAUSE_S:g} s after the call before", late, LIMIT_MS, extra=True)
    yield Row("of that, the SDK", late_share, None, extra=True)
    yield Row("guard_check, right after the call before", streak, LIMIT_MS, extra=True)
    yield Row("of that, the SDK", streak_share, None, extra=True)
    starts = in_turns(*(_start(scene, words) for words in (ours, empty)), runs=min(bench.runs, STARTS_MAX))
    case = f"guard mcp, from its start to its first answer; it has {memory[0]:.0f} MB in memory then"
    yield Row(f"{case} (the SDK alone: {memory[1]:.0f} MB)", starts[0], None, "the SDK alone", starts[1], extra=True)


def _call(client: Raw, paths: Json) -> Run:
    """From the request's first byte until the answer has been read."""
    return lambda: call_ms(lambda: client.tool("guard_check", paths))


def _after_pause(call: Run) -> Run:
    def once() -> float:
        time.sleep(PAUSE_S)
        return call()

    return once


def _last_of_streak(call: Run) -> Run:
    return lambda: [call() for _ in range(STREAK)][-1]


def _started(scene: Scene, words: Sequence[str]) -> Raw:
    client = Raw(scene.repo, scene.env(), words=words)
    client.shake_hands()
    return client


def _start(scene: Scene, words: Sequence[str]) -> Run:
    def once() -> None:
        with _started(scene, words):
            pass

    return lambda: call_ms(once)


def _resident_mb(client: Raw) -> float:
    """The resident memory of a server, in MB; nan where the system has no /proc."""
    try:
        for line in Path(f"/proc/{client.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1000
    except OSError:
        pass
    return float("nan")
