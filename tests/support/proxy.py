"""A proxy before the tests' PostgreSQL server, which cuts a connection, or falls silent, at a chosen chunk."""

from __future__ import annotations

import itertools
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.postgres import Server

PASS, CUT, HOLD = "pass", "cut", "hold"


class Proxy:
    """Listens on a Unix socket in a directory of its own, ``socket``.

    ``trouble`` happens once, at the chunk with the number ``at``: chunks are what one read gives, counted over both
    directions of one connection. CUT closes both ends before that chunk is passed on. HOLD passes nothing on any more,
    and keeps both ends open. Later connections work, so that who tries again succeeds.
    """

    def __init__(self, server: Server) -> None:
        self.socket = Path(tempfile.mkdtemp(prefix="guard-proxy-", dir="/tmp"))
        self.trouble, self.at = PASS, 0
        self.chunks = 0
        """How many chunks the latest connection has passed on."""
        self.happened = threading.Event()
        self._server = str(server.socket / f".s.PGSQL.{server.port}")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket / f".s.PGSQL.{server.port}"))
        self._listener.listen(64)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self, database: str, server: Server) -> str:
        return server.address(database).replace(f"host={server.socket}", f"host={self.socket}")

    def arm(self, trouble: str, at: int) -> None:
        self.happened.clear()
        self.trouble, self.at = trouble, at

    def close(self) -> None:
        self._listener.close()
        for each in self._open:
            each.close()
        shutil.rmtree(self.socket, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open += [client, server]
            counter = itertools.count(1)
            self.chunks = 0
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(one, other, counter), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counter: itertools.count[int]) -> None:
        try:
            while chunk := source.recv(65536):
                number = next(counter)
                if number == self.at and not self.happened.is_set() and self.trouble != PASS:
                    self.happened.set()
                    if self.trouble == HOLD:
                        return
                    break
                self.chunks = number  # before the other side can answer: tests read it after an answer
                target.sendall(chunk)
        except OSError:
            pass  # the other direction was cut
        if self.trouble == HOLD and self.happened.is_set():
            return
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
