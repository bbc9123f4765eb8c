"""What the stores in SQLite files share: connections, errors in words, and values that anybody may have written.

The hook's refresh loads this module, so it imports nothing beyond SQLite.
"""

from __future__ import annotations

import os
import time

from guard.model import GuardError
from guard.stores.interface import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3 as sqlite3
    from collections.abc import Callable
else:
    try:
        import _sqlite3 as sqlite3  # all of sqlite3 but its converters for dates, whose import takes 2 ms
    except ImportError:
        import sqlite3


def now_ms() -> int:
    """The time of day, in Unix ms."""
    return time.time_ns() // 1_000_000


PATIENCE_MAX_S = 2_147_483
"""The longest time that SQLite waits for a lock, in seconds: it counts ms in 32 bits (sqlite3_busy_timeout)."""


def connect(path: str, how: str, *, patience_s: float) -> sqlite3.Connection:
    """A connection that waits ``patience_s`` for a lock; ``how`` is a URI's query, such as "mode=ro".

    Text comes as bytes: a row that somebody wrote badly must not hide the others.
    """
    name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(
        f"file:{name}?{how}",
        uri=True,
        timeout=min(patience_s, PATIENCE_MAX_S),
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = bytes
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA fullfsync = ON")  # else macOS leaves what was written in the drive's cache (fcntl(2))
    return connection


class Transaction:
    """A transaction as a context manager: it commits at the end, and rolls back when something is raised in it.

    ``first`` runs inside before the body, ``last`` after it. An error of SQLite is raised as what ``explain`` makes of
    it.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        begin: str,
        *,
        explain: Callable[[sqlite3.Error], GuardError],
        first: Callable[[], None],
        last: Callable[[], None] | None = None,
    ) -> None:
        self._connection = connection
        self._begin = begin
        self._explain = explain
        self._first = first
        self._last = last

    def __enter__(self) -> None:
        try:
            self._connection.execute(self._begin)
            self._first()
        except BaseException as error:
            self._undo(error)
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._undo(error)
            return
        try:
            if self._last:
                self._last()
            self._connection.execute("COMMIT")
        except BaseException as failed:
            self._undo(failed)
            raise

    def _undo(self, error: BaseException) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise self._explain(error) from error


def explained(error: sqlite3.Error, path: str, patience_s: float) -> GuardError:
    """The error of SQLite about a store's file, in words, with how to repair it."""
    from guard.words import quoted  # only errors need it

    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    file, directory = quoted(os.fsencode(path)), quoted(os.fsencode(path.rpartition("/")[0] or "/"))
    look = f"sqlite3 {file} 'PRAGMA integrity_check'"
    what, hint = {
        sqlite3.SQLITE_BUSY: (f"has been locked by another program for {patience_s:g} s", f"fuser {file}"),
        sqlite3.SQLITE_LOCKED: ("is locked by another program", f"fuser {file}"),
        sqlite3.SQLITE_NOTADB: ("is not a SQLite database", "restore it from a backup, or move it aside to start anew"),
        sqlite3.SQLITE_CORRUPT: ("is damaged", f"{look}; restore it from a backup, or move it aside to start anew"),
        sqlite3.SQLITE_READONLY: ("cannot be written", f"ls -ld {file} {directory}"),
        sqlite3.SQLITE_PERM: ("may not be opened", f"ls -ld {file}"),
        sqlite3.SQLITE_CANTOPEN: ("cannot be opened", f"ls -ld {file} {directory}"),
        sqlite3.SQLITE_FULL: ("cannot be written: the disk is full", f"df {directory}"),
        sqlite3.SQLITE_IOERR: ("cannot be read or written: input/output error", f"df {directory}"),
    }.get(code, ("gave no answer", look))
    message = f"the store {path} {what} ({error})"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return Damaged(message, hint=hint)
    return GuardError(message, hint=hint)


def as_bytes(value: object) -> bytes:
    """Any value as bytes; b"" for NULL."""
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()


def as_text(value: object) -> str:
    """Any value as text, in which bytes that are not UTF-8 are escaped."""
    return as_bytes(value).decode("utf-8", "backslashreplace")


def with_parents(path: bytes) -> list[bytes]:
    """The path and every directory above it, the longest first; the top is b""."""
    found = [path]
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        found.append(path)
    return [*found, b""]
