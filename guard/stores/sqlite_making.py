"""How a new guard store in SQLite is made."""

from __future__ import annotations

import os

from guard.lock import Locked
from guard.model import GuardError
from guard.repo import standpoint
from guard.stores import sqlite_tables
from guard.stores.sqlite_file import explained, sqlite3
from guard.stores.sqlite_open import connected, is_there


def make_store(address: str, *, patience_s: float) -> None:
    """Makes a new store beside its place and renames it there, so that an empty file is always a damaged store.

    One process at a time: the directory is locked meanwhile. What a killed process left behind is replaced. Does
    nothing if another process was faster. Raises :class:`GuardError`.
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


def _make_tables(path: str, address: str, patience_s: float) -> None:
    """Makes the tables in a file that gets the address of the store afterwards."""
    connection = connected(path, patience_s)
    try:
        connection.execute("BEGIN IMMEDIATE")
        sqlite_tables.make(connection)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise explained(error, address, patience_s) from error
    finally:
        connection.close()
