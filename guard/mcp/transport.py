"""The SDK's two streams of messages, on a pair of descriptors, in the thread of the event loop.

The SDK's own transport starts a thread for each line that it reads, writes and flushes, which takes longer than all
else that the SDK does for a call; and it drops lines that it cannot read (:mod:`guard.mcp.lines`). Here the task that
asks for a message reads it, and the task that sends an answer writes it: each task that a message is handed to costs a
round of the event loop.

Neither descriptor is made non-blocking: others may have the same open file. It is read when something is there, and at
most so many bytes are written at once as a descriptor takes that is ready (select(2), PIPE_BUF in pipe(7)).
"""

from __future__ import annotations

import os
import select
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from mcp.shared.message import SessionMessage

from guard.mcp import lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from guard.mcp.wire import Wire

LINE_MAX = 64_000_000
"""The longest line that is kept, in bytes."""
READ_AT_ONCE = 1 << 16
FAREWELL_S = 1.0
"""How long the last answers may take, in seconds, when the client sends nothing more."""


@asynccontextmanager
async def messages(wire: Wire) -> AsyncIterator[tuple[Incoming, Outgoing]]:
    """What comes from the client and what goes to it, for the SDK's server, which closes both."""
    outgoing = Outgoing(wire)
    incoming = Incoming(wire.received, outgoing)
    async with anyio.create_task_group() as group:
        group.start_soon(outgoing.write_what_waits)
        yield incoming, outgoing
        with anyio.move_on_after(FAREWELL_S):
            await outgoing.all_written()
        group.cancel_scope.cancel()


class _Closable:
    """What the SDK closes at its end: by ``async with``, or by hand. The descriptor stays open."""

    _closed = False

    async def aclose(self) -> None:
        """Hands on no more messages."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Incoming(_Closable):
    """The client's messages, one after another; a line that cannot be read is answered here.

    The SDK takes any stream with these methods. One task reads at a time.
    """

    def __init__(self, file: int, answers: Outgoing) -> None:
        self._lines = _lines(file)
        self._answers = answers

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def receive(self) -> SessionMessage | Exception:
        """The next message. Raises :class:`anyio.EndOfStream` when the client sends nothing more."""
        if self._closed:
            raise anyio.ClosedResourceError
        async for line in self._lines:
            found = lines.read(line) if line is not None else lines.Read(errors=(lines.too_long(LINE_MAX),))
            for error in found.errors:
                await self._answers.send(SessionMessage(error))
            if found.message is not None:
                return SessionMessage(found.message)
        raise anyio.EndOfStream


class Outgoing(_Closable):
    """What goes to the client, each message as a line of its own. What was sent before the end is still written.

    A message is written by the task that sends it, as far as the descriptor takes it at once. What is left waits, is
    written by :meth:`write_what_waits`, and holds up whoever sends. So no task that is cancelled leaves half of a line.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: deque[memoryview] = deque()
        self._filled, self._emptied = anyio.Event(), anyio.Event()

    async def send(self, item: SessionMessage) -> None:
        """Sends a message. Raises :class:`anyio.ClosedResourceError` after the end."""
        if self._closed:
            raise anyio.ClosedResourceError
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        left = memoryview(text.encode() + b"\n")
        if not self._waiting:
            left = self._write_at_once(left)
            if not left:
                return
        self._waiting.append(left)
        self._filled.set()
        await self._emptied.wait()

    async def write_what_waits(self) -> None:
        """Writes what could not be written at once, until it is cancelled."""
        while True:
            await self._filled.wait()
            while self._waiting:
                await _until(anyio.wait_writable, self._wire.sent)
                self._waiting[0] = self._write(self._waiting[0])
                if not self._waiting[0]:
                    self._waiting.popleft()
            self._filled = anyio.Event()
            self._emptied.set()
            self._emptied = anyio.Event()

    async def all_written(self) -> None:
        """Waits until nothing is left to write."""
        if self._waiting:
            await self._emptied.wait()

    def _write_at_once(self, left: memoryview) -> memoryview:
        """Writes as long as the descriptor is ready; returns what is left."""
        while left and select.select([], [self._wire.sent], [], 0)[1]:
            left = self._write(left)
        return left

    def _write(self, left: memoryview) -> memoryview:
        """Writes once to a descriptor that is ready; returns what is left.

        Where the reader has left, :attr:`Wire.gone` ends the process.
        """
        try:
            return left[os.write(self._wire.sent, left[: select.PIPE_BUF]) :]
        except OSError:  # the reader has left, or its disk is full: then no answer arrives any more
            self._wire.gone()
            raise


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


async def _until(ready: Callable[[int], Awaitable[None]], file: int) -> None:
    try:
        await ready(file)
    except PermissionError:
        pass  # a regular file is always ready, and cannot be waited for (epoll_ctl(2))
