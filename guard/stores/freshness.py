"""Why a union that looks fresh cannot miss a reservation.

A published union carries a *stamp* for every file its answer depends on: the store's, and those git's configuration
is read from. It is fresh while each of those files has exactly the modification time of its stamp, which a shell can
test without starting a process. So the question is when equal times prove equal contents.

**A sealed time** (the store, when it is ours and has a rollback journal). Holding SQLite's shared lock, the store is
read and then its modification time is set to a made-up one, drawn at random from the last century. That proves:

- *Whoever writes next is seen.* Every commit writes the file, which gives it the time of day, and no clock shows a
  seal's time. It does not matter which program writes, how coarse the clock or the shell's comparison is, whether two
  commits fall into one tick, or whether the clock was set back.
- *Nobody is between write and commit.* A writer changes the file only while it holds the exclusive lock, which
  excludes our shared one (sqlite.org/lockingv3.html). What a writer has not yet written, it writes after the seal.
  What a killed writer left half-written is rolled back, from its journal, before our read.
- *One seal, one state.* A seal is drawn anew whenever the time is not a seal, that is, after each commit. Many
  repositories and holders take the same seal for the same state, and an old union never meets its seal again. A store
  that is replaced or restored brings its own time: that of another state, unless it is the very state we read.
- *Nothing survives a power cut.* SQLite syncs contents, not times (fdatasync(2)), so new contents may come back under
  an old seal. The union names the boot it was made in, and the next boot does not believe it.

**An aged time** (configuration files; a store that is not ours to stamp). A time is trusted only when it was at least
:data:`GRAIN_NS` old when it was read: a later write then shows another time even where times are compared by the
second. A younger file gets no stamp, and the next hook looks again. What this cannot see is a later write under the
very same time, that is, after somebody set the clock back to that instant or gave the file its old time on purpose.

**No time** (a write-ahead log exists). Commits go to the log and become visible after they are written, so the times
of the two files prove nothing by themselves: the store gets no stamp. A log that appears later is seen, for an
absent or empty one is part of what is compared.

**Somebody else's database** (MCP Agent Mail's; :mod:`guard.stores.agent_mail.wal`). Its times are not ours to set,
and its server writes while we read, to a write-ahead log (sqlite.org/walformat.html). The order is what proves: first
the times of database and log are taken, and must be aged; then the header of the log's index is read, then the
database in one read transaction, then the header again, and then the place in the log behind the last frame that the
header names.

- *Whatever is written later is seen.* A commit writes the log before it can become visible, a checkpoint writes the
  database; a log that was begun anew, cut or removed has another time, or none.
- *We read what the header names.* It counts the changes and carries a checksum. It was the same before and after, so
  no commit became visible meanwhile.
- *Nobody is between write and commit.* Frames are appended in order and belong to this log by their salts. A
  transaction whose frames were written before the times were taken, and that becomes visible after our read (after a
  long fsync, when a stopped writer goes on, or when a killed one's log is recovered), has its first frame behind the
  last visible one. There must be none, and index and log must name the same salts: the first frames of a new log are
  there before the index knows of it. (What a rolled-back transaction left looks the same: doubt is a miss.)
- *Without a log*, or with an empty one, everything is in the database's file. It is read without locks, so that
  nothing is made beside it, and is what we think it is if neither time has changed afterwards.
- *With a rollback journal*, the shared lock excludes those between write and commit, as above.

**A lease** (a store on a server). No file here tells what a server knows, so the union is proven for a time only: it
carries a deadline (:mod:`guard.union.lease` has the rules, tests/test_lease_model.py checks them in a model).

- *Nothing older than the lease is missed.* The boot's clock is read before the server is asked, so whatever the answer
  does not hold was made later than that. The union may be used for 99 % of the lease's length from there on, by a clock
  that nobody sets, that goes on while the machine sleeps, and that is at most 1 % slow. So a commit that begins a
  lease's length after a reservation was made knows it.
- *A push misses nothing*: it asks, after it began, whatever is published.
- *On the machine where somebody reserves, nothing is late.* The writer renews the unions there before it says that
  something is reserved. Where it cannot, it ends their leases. An answer to a question from before that is not
  published any more, however long its process was stopped.
- *sh decides as Python does.* It compares the whole seconds of /proc/uptime, which is that clock (proc(5)), with two
  numbers: not before the question, and before the deadline. Whether it is the same clock is looked at when the union is
  published, because a container may be shown a clock of its own; then, and on a Mac, Python decides.
- *Nothing has changed* is the server's word for the very state whose name the asker knows. That name is drawn at random
  with each change, for a number would come back after a backup was restored.

**The name of the boot.** A stamp is believed in the boot in which it was made, and in no other. Two ways tell it;
Python takes the first that there is, and writes into the publication which one it was.

- *Linux: /proc/sys/kernel/random/boot_id* (random(4)). The kernel draws it at random, once, and keeps it until the
  machine goes down. Containers of one machine share it, and so the host's name is compared as well.
- *macOS: the sysctl kern.bootsessionuuid.* The kernel draws it at random when it starts. It is read by one process,
  /usr/sbin/sysctl, and not by whatever PATH finds. The answer must be a UUID of 36 characters, and the exit status 0:
  whatever else is said, or nothing at all, is a miss. No two machines share such a name, so no host is compared; a
  Mac's host name changes with its network, and Linux in a container on a Mac has a kernel, and a /proc, of its own.

These are no proof, and not used: a file in a place that is cleared at boot (it need not be cleared, and may be
restored), the time of the boot (kern.boottime moves when the clock is set), the login records of utmpx (programs write
them anew), and the order of fsync alone (it says nothing of a file's times).

**Killed at any instant.** Stamps are published with the union in one rename; before that, nothing points to them.
"""

from __future__ import annotations

import os

from guard import system
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

GRAIN_NS = 2_000_000_000
"""The coarsest clock a file system or a shell compares times by (FAT counts two seconds)."""

_SEALS_FROM_S = 86_400
_SEALS_UNTIL_S = 946_684_800  # 2000-01-01
_HOST_NAME = "/proc/sys/kernel/hostname"


class Stamp(Record):
    """A file and the modification time, in ns, that it had; None when it was absent or empty.

    With ``proven`` false the time does not prove the contents, and no union may rely on it. ``real`` is where the path
    led when a symbolic link is on its way, b"" when none is.
    """

    path: bytes
    mtime_ns: int | None
    proven: bool = True
    real: bytes = b""

    def holds(self) -> bool:
        """Does the file still have this time, and does the path lead to the same file? False if not ``proven``."""
        if not self.proven or time_of(self.path) != self.mtime_ns:
            return False
        try:
            return not self.real or os.path.samefile(self.path, self.real)
        except OSError:
            return False


def time_of(path: bytes) -> int | None:
    """The file's modification time in ns; None when it is absent or empty, as the hook's ``[ -s FILE ]`` sees it."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns if status.st_size else None


def mtime_of(path: bytes) -> int | None:
    """The modification time in ns of whatever the path leads to; None when there is nothing."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def aged(path: bytes, *, now_ns: int) -> Stamp:
    """The stamp of a file whose time is not ours to set.

    ``now_ns`` is the time of day, in ns, at a moment **before** the file was read: a process may be stopped between
    reading and stamping, and a file that was written meanwhile must not look old.
    """
    mtime = time_of(path)
    real = os.path.realpath(path) if mtime is not None else path
    proven = mtime is None or mtime <= now_ns - GRAIN_NS
    return Stamp(path, mtime, proven=proven, real=b"" if real == path else real)


def boot() -> bytes:
    """What names this boot of the machine, as a union is published with it and ``hooks/guard`` compares it.

    The name alone where /proc tells it; "sysctl NAME" where it has to be asked for. b"" where the system does not tell:
    then nothing is ever fresh.
    """
    way, name = system.boot()
    return name if way != system.BY_SYSCTL else b"sysctl " + name


def host() -> bytes:
    """The name of this machine or container: two of them may share a boot, a repository and a store.

    b"" where the name cannot be read or cannot be written in a line; b"-" where the name of the boot suffices.
    """
    if system.boot()[0] == system.BY_SYSCTL:
        return b"-"
    try:
        with open(_HOST_NAME, "rb") as file:
            name = file.read().strip()
    except OSError:
        name = os.fsencode(os.uname().nodename)
    return name if name.isascii() else b""


def read_sealed(
    connection: sqlite3.Connection, path: bytes, read: Callable[[], T], *, now_ns: int
) -> tuple[T, tuple[Stamp, ...]]:
    """Reads a SQLite store in one transaction, and the stamps that prove the result current.

    ``connection`` is open on ``path`` with no transaction begun. Stamps: the store's file, then its write-ahead log.
    """
    opened = _identity(path)
    connection.execute("BEGIN")
    try:
        result = read()  # its first statement takes the shared lock
        if connection.execute("PRAGMA journal_mode").fetchone()[0] in ("wal", b"wal"):
            store = Stamp(path, time_of(path), proven=False)
        else:
            store = _sealed(path, now_ns=now_ns)
    finally:
        connection.execute("ROLLBACK")
    if opened is None or _identity(path) != opened:  # replaced under our feet: we read another file than we stamped
        store = store._replace(proven=False)
    log = Stamp(path + b"-wal", None)
    return result, (store, log)


def _sealed(path: bytes, *, now_ns: int) -> Stamp:
    mtime = time_of(path)
    if mtime is not None and _is_seal(mtime):
        return Stamp(path, mtime)
    seal = _draw_seal()
    try:
        os.utime(path, ns=(now_ns, seal))
    except OSError:  # it takes ownership, not just permission to write, and a disk that is not read-only: utime(2)
        return aged(path, now_ns=now_ns)
    return Stamp(path, seal, proven=time_of(path) == seal)  # a file system may have rounded it


def _draw_seal() -> int:
    """A random time in ns that no clock shows and that :func:`_is_seal` knows again."""
    drawn = int.from_bytes(os.urandom(8), "big")
    seconds = _SEALS_FROM_S + drawn % (_SEALS_UNTIL_S - _SEALS_FROM_S)
    micros = (drawn >> 32) % 1_000_000
    return seconds * 10**9 + micros * 1000 + _check_digits(seconds, micros)


def _is_seal(mtime_ns: int) -> bool:
    """Was this time made up by :func:`_draw_seal`? (Then no clock that runs could have shown it.)"""
    seconds, nanos = divmod(mtime_ns, 10**9)
    micros, digits = divmod(nanos, 1000)
    return _SEALS_FROM_S <= seconds < _SEALS_UNTIL_S and digits == _check_digits(seconds, micros)


def _check_digits(seconds: int, micros: int) -> int:
    return (seconds * 7919 + micros * 104_729 + 541) % 997 + 1


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
