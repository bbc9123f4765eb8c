"""A PostgreSQL server of the tests' own: real, started when a test first needs it, stopped when the tests end.

It listens on a Unix socket in a temporary directory alone; a test that needs TCP, TLS or a crash starts another one.
The server refuses to run as root, so root starts it as the account that Debian's package makes, or as nobody.
"""

from __future__ import annotations

import atexit
import functools
import glob
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from guard.stores.interface import Opening
from guard.stores.postgres.store import PostgresStore
from guard.stores.postgres.versions import init

_numbers = itertools.count(1)


def why_not() -> str:
    """Why no server can be started here; "" when one can."""
    try:
        import psycopg  # noqa: F401 - only whether it is there
    except ImportError:
        return "psycopg is not installed"
    return "" if binaries() else "no PostgreSQL server is installed (initdb)"


@functools.cache
def binaries() -> str:
    """The directory with initdb and postgres; "" when there is none. Debian keeps it off PATH."""
    found = shutil.which("initdb")
    places = [os.path.dirname(os.path.realpath(found))] if found else []
    places += sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    return next((place for place in places if os.path.exists(os.path.join(place, "initdb"))), "")


@functools.cache
def account() -> str:
    """The account that the server runs as."""
    if os.getuid():
        return pwd.getpwuid(os.getuid()).pw_name
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise AssertionError("root has no other account to run the server as")


def as_account(command: list[str]) -> list[str]:
    """The command as that account, which dies when the tests die."""
    if os.getuid():
        return command
    who = pwd.getpwnam(account())
    return ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--pdeathsig=QUIT", *command]


class Server:
    """A cluster in a directory of its own. ``socket`` is the directory of its Unix socket."""

    def __init__(self, *, data: Path | None = None, port: int = 5432, settings: tuple[str, ...] = ()) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="guard-pg-", dir="/tmp"))  # a socket's path has 107 bytes at most
        self.data = data or self.directory / "data"
        self.socket = self.directory
        self.port = port
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        shutil.chown(self.directory, account())
        self.directory.chmod(0o755)
        atexit.register(self.remove)

    def make(self, *options: str) -> Server:
        """initdb, with the account "owner" as the superuser and no password asked for on the socket."""
        self.run(
            "initdb", "-D", str(self.data), "-U", "owner", "-E", "UTF8", "--locale=C", "-A", "trust", "-N", *options
        )
        return self

    def run(self, program: str, *words: str) -> str:
        """Runs one of PostgreSQL's programs as the server's account; returns what it said."""
        done = subprocess.run(
            as_account([os.path.join(binaries(), program), *words]),
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *, wait: bool = True, prefix: tuple[str, ...] = ()) -> Server:
        options = [f"-cunix_socket_directories={self.socket}", "-clisten_addresses=", f"-cport={self.port}"]
        options += ["-cfsync=off", "-cshared_buffers=32MB", "-cmax_connections=80"]
        options += [f"-c{setting}" for setting in self.settings]  # the last one wins
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*prefix, *as_account([os.path.join(binaries(), "postgres"), "-D", str(self.data), *options])],
                stdout=log,
                stderr=log,
                cwd="/",
            )
        if wait:
            self.wait()
        return self

    def wait(self) -> None:
        """Waits until it answers. Raises :class:`AssertionError` with its log when it does not."""
        ready = [os.path.join(binaries(), "pg_isready"), "-q", "-h", str(self.socket), "-p", str(self.port)]
        until = time.monotonic() + 60
        while subprocess.run(ready, check=False).returncode:
            ended = self._process is None or self._process.poll() is not None
            assert not ended and time.monotonic() < until, (self.directory / "log").read_text()
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is a fast shutdown, SIGQUIT an immediate one, as after a crash (postgres(1))."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def address(self, database: str, *, user: str = "owner", more: str = "") -> str:
        return f"postgresql://{user}@/{database}?host={self.socket}&port={self.port}{more}"

    def database(self) -> str:
        """A new, empty database; returns its name."""
        name = f"guard{next(_numbers)}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return name

    def sql(self, database: str, text: str, *values: object) -> list[tuple[Any, ...]]:
        """What the superuser asks or writes, past guard. ``%s`` marks values."""
        import psycopg

        path = "&options=-csearch_path%3Dguard,public"
        with closing(psycopg.connect(self.address(database, more=path), autocommit=True)) as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def guard_database(self) -> str:
        """A new database with guard's tables; returns its name. It is copied, because that is faster than making it."""
        if not self.sql("postgres", "SELECT 1 FROM pg_database WHERE datname = 'template_guard'"):
            self.sql("postgres", "CREATE DATABASE template_guard")
            with closing(PostgresStore(self.address("template_guard"), OPENING)) as store:
                init(store.connection)
        name = f"guard{next(_numbers)}"
        self.sql("postgres", f"CREATE DATABASE {name} TEMPLATE template_guard")
        return name


OPENING = Opening(patience_s=5, trusted=True)


@functools.cache
def shared_server() -> Server:
    """The server that most tests use, each with databases of its own."""
    return Server().make().start()


def server_or_skip() -> Server:
    """The shared server; skips the test, with the reason, where none can be had."""
    if reason := why_not():
        pytest.skip(reason)
    return shared_server()
