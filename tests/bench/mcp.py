"""What a call of guard's MCP server takes, what a server takes in memory, and how much of either is the SDK's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.rows import Row
from tests.bench.scene import guard_command, module, others_patterns
from tests.bench.timing import call_ms, in_turns
from tests.support.mcp_client import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.rows import Bench
    from tests.bench.scene import Scene
    from tests.bench.timing import Run

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
    "streams = lambda: messages(claimed)\n" + _EMPTY
)
"""The same with guard's transport in place of the SDK's: the SDK's share of a call of guard's."""

CASE = "guard_check of 10 paths by MCP, 1,000 reservations of others, none touched"
STARTS_MAX = 5


def rows(bench: Bench) -> Iterator[Row]:
    scene = bench.scene("mcp", patterns=others_patterns(1_000))
    ours = (*guard_command(), "mcp")
    empty, empty_here = ((sys.executable, "-c", text) for text in (EMPTY, EMPTY_HERE))
    paths = {"paths": [f"{module(number)}/part/file{number}.txt" for number in range(10)]}
    with _started(scene, ours) as guard, _started(scene, empty) as sdk, _started(scene, empty_here) as sdk_here:
        if guard.tool("guard_check", paths)["verdict"] != "clear":
            raise RuntimeError("the paths that are asked about are held")
        took, share, alone = in_turns(
            lambda: call_ms(lambda: guard.tool("guard_check", paths)),
            lambda: call_ms(lambda: sdk_here.tool("guard_check", paths)),
            lambda: call_ms(lambda: sdk.tool("guard_check", paths)),
            runs=bench.runs,
        )
        memory = _resident_mb(guard), _resident_mb(sdk)
    yield Row(CASE, took, 5.0)
    yield Row("of that, the SDK: a tool that does nothing, through guard's transport", share, None, extra=True)
    yield Row("a tool that does nothing, through the SDK's own transport", alone, None, extra=True)
    starts = in_turns(*(_start(scene, words) for words in (ours, empty)), runs=min(bench.runs, STARTS_MAX))
    case = f"guard mcp, from its start to its first answer; it has {memory[0]:.0f} MB in memory then"
    yield Row(f"{case} (the SDK alone: {memory[1]:.0f} MB)", starts[0], None, "the SDK alone", starts[1], extra=True)


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
