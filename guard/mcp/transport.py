"""The SDK's two streams of messages, on a pair of descriptors, in the thread of the event loop.

The SDK's own transport starts a thread for each line that it reads, writes and flushes, which takes longer than all
else that the SDK does for a call; and it drops lines that it cannot read (:mod:`guard.mcp.lines`).

Neither descriptor is made non-blocking: others may have the same open file. It is read when something is there, and at
most so many bytes are written at once as a descriptor takes that is ready (select(2), PIPE_BUF in pipe(7)).
"""

from __future__ import annotations

import os
import select
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from mcp.shared.message import SessionMessage

from guard.mcp import lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from guard.mcp.wire import Wire

LINE_MAX = 64_000_000
"""The longest line that is kept, in bytes."""
READ_AT_ONCE = 1 << 16
FAREWELL_S = 1.0
"""How long the last answers may take, in seconds, when the client sends nothing more."""

if TYPE_CHECKING:
    Received = MemoryObjectSendStream[SessionMessage | Exception]
    Incoming = MemoryObjectReceiveStream[SessionMessage | Exception]
    Outgoing = MemoryObjectSendStream[SessionMessage]


@asynccontextmanager
async def messages(wire: Wire) -> AsyncIterator[tuple[Incoming, Outgoing]]:
    """What comes from the client and what goes to it, for the SDK's server, which closes both."""
    received, incoming = anyio.create_memory_object_stream[SessionMessage | Exception]()
    outgoing, answers = anyio.create_memory_object_stream[SessionMessage]()
    async with anyio.create_task_group() as group:
        written = anyio.Event()

        async def send_all() -> None:
            async for message in answers:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await _write(wire, text.encode() + b"\n")
            written.set()

        group.start_soon(_receive_all, wire.received, received, outgoing.clone())
        group.start_soon(send_all)
        yield incoming, outgoing
        with anyio.move_on_after(FAREWELL_S):
            await written.wait()
        group.cancel_scope.cancel()


async def _receive_all(file: int, received: Received, answers: Outgoing) -> None:
    """Hands on what comes until its end, and answers what cannot be read."""
    async with received, answers:
        async for line in _lines(file):
            found = lines.read(line) if line is not None else lines.Read(errors=(lines.too_long(LINE_MAX),))
            try:
                if found.message is not None:
                    await received.send(SessionMessage(found.message))
                for error in found.errors:
                    await answers.send(SessionMessage(error))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # the server has ended


async def _lines(file: int) -> AsyncIterator[bytes | None]:
    """Each line, without its newline; None for one that is longer than LINE_MAX. The last one may lack its end."""
    rest, is_long = bytearray(), False
    while True:
        data = await _read(file)
        *ended, last = data.split(b"\n")
        for part in ended:
            yield None if is_long else bytes(rest + part)
            rest, is_long = bytearray(), False
        rest += last
        if len(rest) > LINE_MAX:
            rest, is_long = bytearray(), True
        if not data:
            break
    if rest:
        yield bytes(rest)


async def _read(file: int) -> bytes:
    """The next bytes; b"" at the end."""
    await _until(anyio.wait_readable, file)
    try:
        return os.read(file, READ_AT_ONCE)
    except OSError:  # a terminal or a socket whose other end has gone
        return b""


async def _write(wire: Wire, data: bytes) -> None:
    """Writes all of it; where the reader has left, :attr:`Wire.gone` ends the process."""
    left = memoryview(data)
    while left:
        if not select.select([], [wire.sent], [], 0)[1]:
            await _until(anyio.wait_writable, wire.sent)
        try:
            left = left[os.write(wire.sent, left[: select.PIPE_BUF]) :]
        except OSError:  # the reader has left, or its disk is full: then no answer arrives any more
            wire.gone()
            raise


async def _until(ready: Callable[[int], Awaitable[None]], file: int) -> None:
    try:
        await ready(file)
    except PermissionError:
        pass  # a regular file is always ready, and cannot be waited for (epoll_ctl(2))
