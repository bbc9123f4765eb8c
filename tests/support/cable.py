"""A proxy between clients and a server: it delays, falls silent, cuts connections and refuses them, as networks do.

Started as ``python -m tests.support.cable LISTEN_HOST SOCKET_OR_HOST:PORT``. It prints the port that it listens on, and
then obeys the words on its stdin, each of which is answered with "done":

    pass            carry everything
    delay MS        from now on, each piece takes so long in each direction
    silent          connections stand, and nothing arrives any more (half-open)
    hold TEXT       the answer to a question with this text in it does not arrive
    cut             break every connection, and each new one
    refuse          break each new connection
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

LOOK_S = 0.005


class Connection:
    """The two ends of a client's connection. ``held``: has it asked what shall not be answered?"""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.held = False


class Proxy:
    """What is between the clients and the server. ``delay_s`` is how long a piece takes in each direction."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.mode = "pass"
        self.text = b""
        self.delay_s = 0.0
        self.connections: set[Connection] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode in ("refuse", "cut"):
            writer.transport.abort()
            return
        connection = Connection()
        self.connections.add(connection)
        connection.writers.append(writer)
        with contextlib.suppress(OSError):  # when the server is gone, so is the connection
            back, there = await self._connect()
            connection.writers.append(there)
            await asyncio.gather(self._carry(connection, reader, there), self._carry(connection, back, writer))
        self.connections.discard(connection)
        for each in connection.writers:
            each.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.upstream.startswith("/"):
            return await asyncio.open_unix_connection(self.upstream)
        host, _, port = self.upstream.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _carry(self, connection: Connection, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        asks = target is not connection.writers[0]
        while piece := await source.read(65536):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if asks and self.mode == "hold" and self.text in piece:
                connection.held = True
            while self.mode == "silent" or (self.mode == "hold" and connection.held and not asks):
                await asyncio.sleep(LOOK_S)
            target.write(piece)
            await target.drain()
        with contextlib.suppress(OSError, RuntimeError):
            target.write_eof()

    def obey(self, word: str, *values: str) -> None:
        if word == "delay":
            self.delay_s = float(values[0]) / 1000
            return
        self.mode = word
        self.text = " ".join(values).encode()
        if word == "cut":
            for connection in self.connections:
                for writer in connection.writers:
                    writer.transport.abort()


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(host: str, upstream: str) -> None:
    proxy = Proxy(upstream)
    server = await asyncio.start_server(proxy.serve, host, 0)
    say(server.sockets[0].getsockname()[1])
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    while line := await words.readline():
        proxy.obey(*line.decode().split())
        say("done")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
