"""Reading a SQLite database that somebody else writes, and the stamps that prove the result current.

Nothing of theirs is ours to set or to lock for long, so a time is trusted only when it is aged, and what is in flight
is looked for: see "Somebody else's database" in :mod:`guard.stores.freshness`. The layout of the files is that of
sqlite.org/walformat.html. Loaded by the hook's refresh: imports nothing beyond SQLite.
"""

from __future__ import annotations

import os
import sys

from guard.record import Record
from guard.stores import freshness
from guard.stores.freshness import Stamp
from guard.stores.sqlite_file import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

TICK_NS = 100_000_000
"""More than a tick of the clocks that give files their times, where these have fractions of a second."""

ATTEMPTS = 2
"""A reader that is the first to connect rebuilds the log's index; the next one finds it as the first left it."""

LOCKED, UNLOCKED = "mode=ro", "mode=ro&immutable=1"
"""How to connect, as a URI's query. Without locks nothing is made beside the database, and a log is not read."""

_HEADER = 100
_INDEX_COPY = 48
_LOG_HEADER = 32
_FRAME_HEADER = 24


class _Files(Record):
    """The database and its log as they are at one time: their stamps, and what tells one file from another."""

    database: Stamp
    log: Stamp
    identity: tuple[int, int, int] | None


def read(
    path: bytes, connect: Callable[[str], sqlite3.Connection], query: Callable[[sqlite3.Connection], T], *, now_ns: int
) -> tuple[T, tuple[Stamp, ...]]:
    """What ``query`` reads in one transaction, and the stamps of the database and of its log.

    ``connect`` is given LOCKED or UNLOCKED. ``now_ns`` is the time of day, in ns, taken before the call. No connection
    of this process may be open on the database: reading its files by hand would drop that one's locks (fcntl(2)).
    """
    real = os.path.realpath(path)  # beside which SQLite keeps the log
    files, result, proven = _attempt(path, real, connect, query, now_ns)
    for _ in range(ATTEMPTS - 1):
        if proven or not files.database.proven or not files.log.proven:
            break  # young times are as young the next time
        files, result, proven = _attempt(path, real, connect, query, now_ns)
    database = files.database._replace(proven=proven)  # the log's stamp may stand for "absent", which sh cannot doubt
    return result, (database, files.log)


def _attempt(
    path: bytes,
    real: bytes,
    connect: Callable[[str], sqlite3.Connection],
    query: Callable[[sqlite3.Connection], T],
    now_ns: int,
) -> tuple[_Files, T, bool]:
    files = _files(path, real, now_ns)
    aged = files.database.proven and files.log.proven
    if files.log.mtime_ns is None and _would_show(files.database, now_ns) and _is_at_rest(real):
        try:
            result, _ = _read(connect(UNLOCKED), query)
        except sqlite3.DatabaseError:
            pass  # written meanwhile, or damaged: asked again, properly
        else:
            if _files(path, real, now_ns) == files:
                return files, result, aged
    before = _index(real)
    result, journal = _read(connect(LOCKED), query)
    if journal == b"wal":
        settled = before is not None and _index(real) == before and _nothing_in_flight(real, before)
    else:
        settled = True  # the shared lock was enough
    return files, result, aged and settled and _files(path, real, now_ns).identity == files.identity


def _read(connection: sqlite3.Connection, query: Callable[[sqlite3.Connection], T]) -> tuple[T, bytes]:
    try:
        connection.execute("BEGIN")
        result = query(connection)
        journal: bytes = connection.execute("PRAGMA journal_mode").fetchone()[0]
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    return result, journal


def _files(path: bytes, real: bytes, now_ns: int) -> _Files:
    try:
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino, status.st_size)
    except OSError:
        identity = None
    database = freshness.aged(path, now_ns=now_ns)
    return _Files(database, freshness.aged(real + b"-wal", now_ns=now_ns), identity)


def _would_show(stamp: Stamp, now_ns: int) -> bool:
    """Is a later write certain to change this time?"""
    fine = stamp.mtime_ns is not None and stamp.mtime_ns % 10**9 != 0 and stamp.mtime_ns <= now_ns - TICK_NS
    return stamp.proven or fine


def _is_at_rest(path: bytes) -> bool:
    """Is this a database in WAL mode with no rollback journal? With no log either, it is all in one file."""
    header = _bytes(path, 0, _HEADER)
    return header[18:20] == b"\2\2" and not os.path.lexists(path + b"-journal")


def _index(path: bytes) -> bytes | None:
    """The header of the log's index, which says what readers see; None while it is being written, or absent."""
    both = _bytes(path + b"-shm", 0, 2 * _INDEX_COPY)
    first = both[:_INDEX_COPY]
    return first if len(both) == 2 * _INDEX_COPY and first == both[_INDEX_COPY:] and first[12] else None


def _nothing_in_flight(path: bytes, index: bytes) -> bool:
    """Does the log end, for now, with the last frame that readers see?"""
    log = path + b"-wal"
    salts = index[32:40]
    size = int.from_bytes(index[14:16], sys.byteorder)
    page = 65_536 if size == 1 else size
    last = int.from_bytes(index[16:20], sys.byteorder)
    header = _bytes(log, 0, _LOG_HEADER)
    if header and header[16:24] != salts:
        return False
    return _bytes(log, _LOG_HEADER + last * (_FRAME_HEADER + page) + 8, 8) != salts


def _bytes(path: bytes, offset: int, length: int) -> bytes:
    """Some bytes of a file, fewer where it ends; b"" when it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(file, length, offset)
    except OSError:
        return b""
    finally:
        os.close(file)
