"""guard's command line in a process of its own for each command, forked from a Python that has imported it already.

To start Python and to import guard takes most of the time of a command, and tests run thousands of them. The process
that is forked (``python -m tests.support.forks``) has imported what the command line imports, and has run none of it.
Each of its children becomes one command: with the directory, the environment, the streams and the words that the test
gave, and ends as a Python does that was started for it. What has to do with the start of Python itself is started anew:
see ``_STARTS``, and ``--start-python``, which does it for every command.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = Path(__file__).parents[2]
_STARTS = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "GCONV_", "OPENSSL_")
"""What a Python reads when it starts: variables whose names begin so."""
_NUMBER = struct.Struct("!q")
"""How each number is sent: a length, the number of a process, and how it ended."""


class Forks:
    """The client's side: one process to fork from, which runs one command at a time."""

    def __init__(self) -> None:
        self.start_python = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started: dict[str, str] = {}

    def run(
        self, words: Sequence[str | bytes], *, cwd: Path, env: dict[str, str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes] | None:
        """The exit code, stdout and stderr of ``guard WORDS``; None when it must be started anew.

        Raises :class:`subprocess.TimeoutExpired` as :func:`subprocess.run` does.
        """
        if self.start_python or not self._lock.acquire(blocking=False):
            return None
        try:
            request = {"words": [os.fsdecode(word) for word in words], "cwd": str(cwd), "env": env}
            if not self._can_run(env, cwd):
                return None
            os.umask(mask := os.umask(0))
            return self._run(json.dumps({**request, "umask": mask}).encode(), stdin, timeout)
        finally:
            self._lock.release()

    def _can_run(self, env: dict[str, str], cwd: Path) -> bool:
        """Does a Python that is started with this environment start as the one did that is forked from?"""
        if self._process is None:
            self._start(env)
        return _starting(env) == self._started and os.path.isdir(cwd)

    def _start(self, env: dict[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._started = {**_starting(env), "PYTHONPATH": str(PACKAGE), "LC_ALL": "C.UTF-8"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forks", str(theirs.fileno())],
                env={"PATH": env.get("PATH", os.defpath), "HOME": "/", **self._started},
                cwd=PACKAGE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours
        atexit.register(self._stop)

    def _stop(self) -> None:
        assert self._socket is not None and self._process is not None
        self._socket.close()  # it ends when there is nobody left to ask it
        self._process.communicate()

    def _run(self, request: bytes, stdin: bytes, timeout: float) -> tuple[int, bytes, bytes]:
        assert self._socket is not None
        pipes = [os.pipe() for _ in range(3)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        ours = [pipes[0][1], pipes[1][0], pipes[2][0]]
        try:
            socket.send_fds(self._socket, [_NUMBER.pack(len(request))], theirs)
            self._socket.sendall(request)
        finally:
            for number in theirs:
                os.close(number)
        (pid,) = _NUMBER.unpack(_received(self._socket, _NUMBER.size))
        try:
            out, err = _exchanged(ours, stdin, timeout)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired("guard", timeout) from None
        finally:
            (status,) = _NUMBER.unpack(_received(self._socket, _NUMBER.size))
        return os.waitstatus_to_exitcode(status), out, err


def _starting(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_STARTS) and name != "LANGUAGE"}


def _exchanged(pipes: list[int], stdin: bytes, timeout: float) -> tuple[bytes, bytes]:
    """Writes into the first pipe, reads the two others to their ends, and closes all of them."""
    until = time.monotonic() + timeout
    got: dict[int, list[bytes]] = {pipes[1]: [], pipes[2]: []}
    os.set_blocking(pipes[0], False)
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipes[0], selectors.EVENT_WRITE)
        for number in got:
            waiting.register(number, selectors.EVENT_READ)

        def end(number: int) -> None:
            waiting.unregister(number)
            os.close(number)

        try:
            while waiting.get_map():
                ready = waiting.select(until - time.monotonic())
                if not ready and time.monotonic() >= until:
                    raise TimeoutError
                for key, _ in ready:
                    if key.fd != pipes[0]:
                        part = os.read(key.fd, 1 << 16)
                        got[key.fd].append(part)
                        if not part:
                            end(key.fd)
                    elif stdin:
                        try:
                            stdin = stdin[os.write(key.fd, stdin) :]
                        except BrokenPipeError:  # it does not read it
                            end(key.fd)
                    else:
                        end(key.fd)
        finally:
            for key in list(waiting.get_map().values()):
                end(key.fd)
    return b"".join(got[pipes[1]]), b"".join(got[pipes[2]])


def _received(connection: socket.socket, size: int) -> bytes:
    """So many bytes. Raises :class:`EOFError` when the other side ends before."""
    parts: list[bytes] = []
    while size:
        part = connection.recv(size)
        if not part:
            raise EOFError("the other side of the socket has ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


FORKS = Forks()


def _serve(connection: socket.socket) -> dict[str, object] | None:
    """Forks for each request; returns the request in the child, and None at the end in the parent."""
    while True:
        size, streams, _, _ = socket.recv_fds(connection, _NUMBER.size, 3)
        if not size:
            return None
        request = _received(connection, *_NUMBER.unpack(size))
        child = os.fork()
        if not child:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        if not child:
            connection.close()
            asked: dict[str, object] = json.loads(request)
            return asked
        connection.sendall(_NUMBER.pack(child))
        connection.sendall(_NUMBER.pack(os.waitpid(child, 0)[1]))


def _main() -> None:
    import gc
    import runpy
    from importlib import import_module

    from guard.commands import cli, names, plain  # noqa: F401 - what every command imports

    for where in names.COMMANDS.values():
        import_module(where.partition(":")[0])
    gc.collect()
    gc.freeze()  # a collection in a child would copy all that it looks at
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    request = _serve(connection)
    if request is None:
        return
    words, env, mask = request["words"], request["env"], request["umask"]
    assert isinstance(words, list) and isinstance(env, dict) and isinstance(mask, int)
    os.umask(mask)
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["guard", *words]
    sys.path[0] = os.getcwd()
    runpy.run_module("guard", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
