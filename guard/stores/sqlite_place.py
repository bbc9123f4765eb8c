"""The file of a guard store: does it exist, can it be opened, and how is a new one made?

The hook's refresh loads this module, so it imports nothing beyond SQLite.
"""

from __future__ import annotations

import os
import stat

from guard.lock import Locked
from guard.model import GuardError
from guard.repo import standpoint
from guard.stores import sqlite_versions
from guard.stores.interface import Damaged
from guard.stores.sqlite_file import connect, explained, sqlite3


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


def make_store(address: str, *, patience_s: float) -> None:
    """Makes a new store beside its place and renames it there, so that an empty file is always a damaged store.

    One process at a time: the directory is locked meanwhile. What a killed process left behind is replaced. Does
    nothing when somebody else was faster. Raises :class:`GuardError`.
    """
    directory = os.path.dirname(address)
    beside = address + "-making"
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        with Locked(os.path.realpath(directory), flags=os.O_RDONLY, patience_s=patience_s):
            if is_there(address):
                return
            for leftover in (beside, beside + "-journal"):
                if os.path.lexists(leftover):
                    os.unlink(leftover)
            os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _make_tables(beside, address, patience_s)
            os.rename(beside, address)
    except OSError as error:
        raise GuardError(
            f"the store {address} cannot be made: {error.strerror or error}",
            hint=f"name a place you can write: git config {_scope()}guard.db /path/to/guard.db",
        ) from error


def _scope() -> str:
    """The option with which git can write a setting: the account's configuration stands in its home."""
    home = standpoint.environment().get(b"HOME", b"")
    return "--global " if home and os.access(home, os.W_OK | os.X_OK) else ""


def _word(path: str) -> str:
    from guard.words import quoted  # only errors need it

    return quoted(os.fsencode(path))


def _make_tables(path: str, address: str, patience_s: float) -> None:
    """Makes the tables in a file that gets the address of the store afterwards."""
    connection = connected(path, patience_s)
    try:
        connection.execute("BEGIN IMMEDIATE")
        sqlite_versions.make(connection)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise explained(error, address, patience_s) from error
    finally:
        connection.close()
