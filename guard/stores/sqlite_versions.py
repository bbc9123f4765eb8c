"""Which version does a guard store in SQLite have, and which guards can use it?

A file carries two numbers. ``PRAGMA user_version`` is the version *since which* guard can read and write it: a guard
that knows an older version only refuses it. The table ``version`` holds the version that *has written* it. A change
that only adds something (a column with a default, an index, a table, a trigger) raises the second number alone, so
that older guards on the machine go on working. A file of version 1 has no table ``version``.

Writers bring a file up to date, in the transaction of their first write (:mod:`guard.stores.sqlite_tables`). Readers
take every version. The hook's refresh loads this module, so it imports nothing beyond SQLite.
"""

from __future__ import annotations

import os

from guard.model import GuardError
from guard.record import Record
from guard.stores.interface import APPLICATION_ID, Damaged
from guard.stores.sqlite_file import as_bytes, sqlite3

VERSION = 3
"""The version that this guard writes."""

READABLE_SINCE = 1
"""The oldest version that can use what this guard writes."""

MOVED = 1000
"""What ``user_version`` says in a store that was moved elsewhere: no guard goes on using it."""

AGENT_MAIL_TABLE = b"file_reservations"


class FileVersion(Record):
    """The versions in a file. ``moved_to`` is the address to which its reservations were moved, "" if they were not."""

    readable_since: int
    written_by: int
    moved_to: str = ""


def version_of(connection: sqlite3.Connection, address: str) -> FileVersion:
    """The version of an open file. Raises :class:`GuardError` when it is no guard store, or one for newer guards."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    readable_since = readable_since_of(connection)
    if application != APPLICATION_ID or readable_since < 1:
        raise GuardError(
            f"{address} is a SQLite file, but not a guard store; it was left as it is",
            hint="name another file: git config guard.db /path/to/guard.db",
        )
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if AGENT_MAIL_TABLE in tables:
        raise GuardError(
            f"{address} holds the tables of guard and those of MCP Agent Mail: whose reservations count cannot be told",
            hint="give each its own file: git config guard.db /path/to/guard.db",
        )
    if readable_since == MOVED and b"moved_to" in tables:
        row = connection.execute("SELECT address FROM moved_to").fetchone()
        return FileVersion(readable_since, VERSION, os.fsdecode(as_bytes(row[0])) if row else "")
    if readable_since > VERSION:
        raise newer(address, readable_since)
    row = connection.execute("SELECT written_by FROM version").fetchone() if b"version" in tables else None
    if row and not isinstance(row[0], int):  # a page of the file was lost
        raise Damaged(
            f"the store {address} is damaged: its version cannot be read ({row[0]!r})",
            hint="restore it from a backup, or move it aside to start anew",
        )
    return FileVersion(readable_since, row[0] if row else 1)


def readable_since_of(connection: sqlite3.Connection) -> int:
    """The version since which guards can use an open file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def newer(address: str, version: int) -> GuardError:
    """The error for a store that only newer guards can use, since ``version``."""
    return GuardError(
        f"the store {address} is for newer guards (since version {version}, this one knows {VERSION})",
        hint="upgrade guard: pip install --upgrade git-guard",
    )
