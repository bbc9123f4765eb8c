"""An open guard store in SQLite: is the file there, which version has it, and how does a transaction begin and end?

The hook's refresh loads this module, so it imports nothing beyond SQLite.
"""

from __future__ import annotations

import os
import stat

from guard.model import GuardError
from guard.stores import sqlite_versions
from guard.stores.interface import Damaged, Moved, WouldWait
from guard.stores.sqlite_file import Transaction, as_bytes, connect, explained, sqlite3
from guard.stores.sqlite_rows import ReservationRow, columns, reservation_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from guard.model import Reservation

ROWS_AT_ONCE = 500
"""How many reservations one question finds at most while everything has to be answered at once."""

ACTIVE = "project = ? AND ended_at IS NULL"
"""The active reservations of a project, as SQL with one parameter: the project."""


class OpenFile:
    """The open file of a guard store. The modules that read and write reservations are functions of it.

    ``now`` gives the time in Unix ms. ``retention_ms`` is how long ended reservations are kept. ``formerly`` are the
    addresses from which this store was moved here. While ``is_at_once``, one transaction that only reads is open, and
    whatever would have to wait raises :class:`WouldWait` (:mod:`guard.stores.sqlite_at_once`).
    """

    def __init__(self, address: str, *, patience_s: float, clock: Callable[[], int], retention_ms: int) -> None:
        self.address = address
        self.now = clock
        self.retention_ms = retention_ms
        self.patience_s = patience_s
        self.is_at_once = False
        self.connection = connected(address, patience_s)
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection. Every lock that this process has on the file is dropped (fcntl(2))."""
        self.connection.close()

    # Inside a transaction

    def select(self, where: str, *values: object) -> list[Reservation]:
        """The reservations for which a condition in SQL holds. Raises :class:`WouldWait` for many, while at once."""
        found = self.connection.execute(f"SELECT {self._columns} FROM reservation WHERE {where}", values)
        if not self.is_at_once:
            return list(map(reservation_of, found.fetchall()))
        rows = found.fetchmany(ROWS_AT_ONCE + 1)
        if len(rows) > ROWS_AT_ONCE:
            raise WouldWait(f"more than {ROWS_AT_ONCE} reservations")
        return list(map(reservation_of, rows))

    def with_id(self, number: int) -> Reservation:
        """The reservation with this id, which must exist."""
        return self.select("id = ?", number)[0]

    def generation(self, project: str) -> int:
        """The project's generation; 0 for a project that nobody has used."""
        row = self.connection.execute("SELECT generation FROM project WHERE name = ?", (project,)).fetchone()
        return int(row[0]) if row else 0

    def check_version(self) -> None:
        """Raises when a newer guard has changed the file, or moved the store elsewhere, since it was opened."""
        if sqlite_versions.readable_since_of(self.connection) != self.version.readable_since:
            self._look_inside()

    # Around a transaction

    def reading(self) -> AbstractContextManager[None]:
        """A transaction that reads. Inside, everything is read from one state of the store."""
        if self.is_at_once:
            from guard.stores.sqlite_at_once import Within

            return Within()
        return Transaction(self.connection, "BEGIN", explain=self.explained, first=self.check_version)

    def changing(
        self, *, first: Callable[[], None] | None = None, last: Callable[[], None] | None = None
    ) -> AbstractContextManager[None]:
        """A transaction that writes. Its first step brings an older file up to date.

        ``first`` runs after that step, and ``last`` before the end. Whoever writes reservations uses
        :func:`guard.stores.sqlite_writing.writing` instead.
        """

        def begin() -> None:
            self._migrate()
            if first:
                first()

        if self.is_at_once:
            raise WouldWait("something has to be written")
        return Transaction(self.connection, "BEGIN IMMEDIATE", explain=self.explained, first=begin, last=last)

    def explained(self, error: sqlite3.Error) -> GuardError:
        """An error of SQLite about this file, in words."""
        return explained(error, self.address, self.patience_s)

    # The version

    def _look(self) -> None:
        """Checks the header and the version of the file. Raises :class:`GuardError` if another program has made it, if
        only newer guards can use it, and if the store was moved.
        """
        check_size(self.address)
        try:
            self._look_inside()
            self.formerly = self.former_addresses()
        except sqlite3.Error as error:
            raise self.explained(error) from error

    def _look_inside(self) -> None:
        found = sqlite_versions.version_of(self.connection, self.address)
        if found.moved_to:
            raise Moved(self.address, found.moved_to)
        self.version = found
        wanted = columns(ReservationRow)
        self._columns = wanted if self.version.written_by >= 2 else wanted.replace('"end_reason"', "''")

    def former_addresses(self) -> frozenset[bytes]:
        """The addresses from which this store was moved here, as the file has them now."""
        if self.version.written_by < 2:
            return frozenset()
        rows = self.connection.execute("SELECT address FROM moved_from").fetchall()
        return frozenset(as_bytes(row[0]) for row in rows)

    def _migrate(self) -> None:
        self.check_version()
        if self.version.written_by < sqlite_versions.VERSION:
            self._look_inside()  # another process may have brought the file up to date meanwhile
            if self.version.written_by < sqlite_versions.VERSION:
                from guard.stores.sqlite_tables import migrate

                migrate(self.connection, self.version.written_by)
                self._look_inside()


def connected(address: str, patience_s: float) -> sqlite3.Connection:
    """A connection to a store's file, which must exist. Raises :class:`GuardError`."""
    try:
        connection = connect(address, "mode=rw", patience_s=patience_s)
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error as error:
        raise explained(error, address, patience_s) from error
    return connection


def is_there(address: str) -> bool:
    """Is there a regular file? Raises :class:`GuardError` if something else is there, or if that cannot be told."""
    try:
        mode = os.stat(address).st_mode
    except FileNotFoundError:
        if os.path.islink(address):
            raise GuardError(
                f"the store {address} is a symbolic link to {os.readlink(address)}, which does not exist",
                hint=f"make the target, or remove the link: rm {_word(address)}",
            ) from None
        return False
    except OSError as error:
        raise GuardError(
            f"the store {address} cannot be reached: {error.strerror}", hint=f"ls -ld {_word(os.path.dirname(address))}"
        ) from error
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise GuardError(f"the store {address} is {kind}", hint="name a file: git config guard.db /path/to/guard.db")
    return True


def check_size(address: str) -> None:
    """Raises :class:`GuardError` for an empty file: guard makes none, so what was in it is lost."""
    if not os.path.getsize(address):
        raise Damaged(
            f"the store {address} is empty: what was reserved in it is lost",
            hint=f"restore it from a backup, or remove it to start anew: rm {_word(address)}",
        )


def _word(path: str) -> str:
    from guard.words import quoted  # only errors need it

    return quoted(os.fsencode(path))
