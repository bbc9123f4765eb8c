"""The server: the official SDK speaks the protocol, and each call of a tool becomes one request to guard's use cases.

Ends when its standard input does. What was reserved stays reserved until it is released or expires, as with
``guard reserve``; a call that waits is given up, and so is its place in the queue.
"""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.to_thread
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from guard import __version__
from guard.mcp import identity
from guard.mcp.answers import ANSWERS, Answer, failure
from guard.mcp.fresh import FRESH_S, Unions
from guard.mcp.kept import KeptStore
from guard.mcp.schema import check_arguments, is_plainly_right
from guard.mcp.standing import AtOnce, Standing, directory_of_call
from guard.mcp.tools import INSTRUCTIONS, TOOLS
from guard.mcp.transport import messages
from guard.mcp.turns import IfFree, Turn, stop_all
from guard.mcp.unchanged import Views
from guard.model import GuardError, unexpected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.server.context import ServerRequestContext

    from guard.mcp.wire import Wire

CALLS_AT_ONCE = 64
"""How many calls may wait for their turn to reserve at the same time. Further calls wait until one of them ends."""

PATHS_AT_ONCE = 50
"""How many paths a question has at most that is answered in the event loop's own thread."""


def serve(wire: Wire) -> bool:
    """Serves one client until it leaves. Needs the package ``mcp``, which the extra ``mcp`` brings.

    Returns False where a call is still under way, for whose end the process shall not wait.
    """
    return anyio.run(_Service().run, wire)


class _Service:
    """One client's server: the name made for it, its calls, and the worktrees whose unions it keeps fresh."""

    def __init__(self) -> None:
        self._made = identity.made_name()
        self._kept, self._views = KeptStore(), Views()
        self._unions = Unions(self._made, self._kept, self._views)
        self._calls = anyio.CapacityLimiter(CALLS_AT_ONCE)
        self._environment = dict(os.environb)  # nobody changes it while this process runs

    async def run(self, wire: Wire) -> bool:
        server: Server[Any] = Server(
            "guard",
            version=__version__,
            title="guard",
            instructions=INSTRUCTIONS,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )
        server.middleware.clear()  # it would tell OpenTelemetry of each message, which nobody here listens to
        async with messages(wire) as (incoming, outgoing), anyio.create_task_group() as group:
            group.start_soon(self._keep_unions_fresh)
            await server.run(incoming, outgoing, server.create_initialization_options())
            group.cancel_scope.cancel()
        self._unions.end()
        return await anyio.to_thread.run_sync(stop_all)

    async def _list(
        self, context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(name) for name in TOOLS])

    async def _call(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        if params.name not in TOOLS:
            raise MCPError(
                types.INVALID_PARAMS, f"no tool is called {params.name[:100]!a}; there are: {', '.join(TOOLS)}"
            )

        arguments = params.arguments or {}
        at_once = self._answer_at_once(params.name, arguments, context.meta)
        if at_once is not None:
            return _result(at_once)

        def report(seconds: float, words: str) -> None:
            # The request's own channel: a client that gave no progress token is told nothing.
            anyio.from_thread.run(context.session.report_progress, seconds, None, words)

        turn = Turn(report)
        work = partial(self._answer, params.name, arguments, context.meta, turn)
        try:
            answer = await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._calls)
        except anyio.get_cancelled_exc_class():
            turn.stop()
            raise
        return _result(answer)

    def _answer_at_once(self, name: str, arguments: dict[str, Any], meta: Mapping[str, Any] | None) -> Answer | None:
        """The answer if it needs nothing that could take long, so that no thread has to be waited for; else None.

        A thread of its own is another core, whose caches know nothing of the call, and takes longer to reach than most
        answers take. This one must not wait: a locked store stops neither a ping nor a cancellation.
        """
        if not _may_be_short(name, arguments):
            return None
        with IfFree() as is_free:
            if not is_free:
                return None
            try:
                environment = identity.environment_of_call(self._environment, meta)
                cwd = directory_of_call(environment, arguments.get("cwd"))
                here = AtOnce(environment, cwd, made=self._made, kept=self._kept, views=self._views)
                with here.answering():
                    answer = ANSWERS[name](here, arguments, _NO_TURN)
            except Exception:  # nothing has been changed: the call begins anew in a thread, and tells what is wrong
                return None
            self._unions.remember(here)
            return answer

    def _answer(self, name: str, arguments: dict[str, Any], meta: Mapping[str, Any] | None, turn: Turn) -> Answer:
        """Runs in a thread of its own, one call at a time."""
        try:
            check_arguments(name, arguments)
            with turn:
                environment = identity.environment_of_call(self._environment, meta)
                cwd = directory_of_call(environment, arguments.get("cwd"))
                here = Standing(environment, cwd, made=self._made, kept=self._kept, views=self._views)
                try:
                    answer = ANSWERS[name](here, arguments, turn)
                    self._unions.look_after(here)
                    here.close(keep=True)
                    return answer
                except GuardError as error:
                    here.close()
                    return failure(error, made=here.made_name())
                except BaseException:
                    here.close()
                    raise
        except GuardError as error:
            return failure(error)
        except Exception as error:
            return failure(unexpected(error))
        finally:
            turn.end()

    async def _keep_unions_fresh(self) -> None:
        while True:
            await anyio.sleep(FRESH_S)
            await anyio.to_thread.run_sync(self._unions.freshen)


_NO_TURN = Turn(lambda seconds, words: None)
"""For a call that waits for nobody."""


def _may_be_short(name: str, arguments: dict[str, Any]) -> bool:
    """Is it a question about a few paths, asked in the right way?"""
    paths = arguments.get("paths")
    if name != "guard_check" or not isinstance(paths, list) or len(paths) > PATHS_AT_ONCE:
        return False
    return is_plainly_right(TOOLS[name].takes, arguments)


def _described(name: str) -> types.Tool:
    tool = TOOLS[name]
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.takes,
        output_schema=tool.gives,
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.reads_only,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )


_TEXT = json.JSONEncoder(ensure_ascii=False)


def _result(answer: Answer) -> types.CallToolResult:
    content = answer.content
    try:
        _TEXT.encode(content).encode("utf-8")
    except UnicodeEncodeError:  # a name of an older guard's or another program's that is no UTF-8
        content = json.loads(_TEXT.encode(content).encode("utf-8", "backslashreplace"))
    text = types.TextContent(type="text", text=content["message"])
    return types.CallToolResult(content=[text], structured_content=content, is_error=answer.failed)
