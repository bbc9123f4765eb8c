"""Which version a guard store in SQLite has, which guards can use it, and how an older one is brought up to date.

A file carries two numbers. ``PRAGMA user_version`` is the version *since which* guard can read and write it: a guard
that knows an older version only refuses it. The table ``version`` holds the version that *has written* it. A change
that only adds something (a column with a default, an index, a table, a trigger) raises the second number alone, so
that older guards on the machine go on working. A file of version 1 has no table ``version``.

Writers bring a file up to date, in the transaction of their first write. Readers take every version.
"""

from __future__ import annotations

import os

from guard.model import GuardError
from guard.patterns.grammar import prefix
from guard.record import Record
from guard.stores.interface import APPLICATION_ID, Damaged
from guard.stores.sqlite_file import as_bytes, sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def make(connection: sqlite3.Connection) -> None:
    """Makes the tables in an empty file, inside the caller's transaction."""
    _run(connection, "schema.sql")
    connection.execute("INSERT INTO version (written_by) VALUES (?)", (VERSION,))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {READABLE_SINCE}")


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


def migrate(connection: sqlite3.Connection, written_by: int) -> None:
    """Brings a file that ``written_by`` wrote up to date, inside the caller's write transaction."""
    for number, step in STEPS:
        if number > written_by:
            step(connection)
    connection.execute("UPDATE version SET written_by = ?", (VERSION,))


def check_prefixes(connection: sqlite3.Connection, project: str, *, limit: int) -> None:
    """Computes the prefixes of up to ``limit`` active rows that have none, because another program or an older guard
    wrote them.
    """
    rows = connection.execute(
        "SELECT id, pattern FROM reservation WHERE project = ? AND ended_at IS NULL AND prefix IS NULL LIMIT ?",
        (project, limit),
    ).fetchall()
    for number, pattern in rows:
        connection.execute("UPDATE reservation SET prefix_checked = 0 WHERE id = ? AND prefix_checked <> 0", (number,))
        connection.execute(
            "UPDATE reservation SET prefix = ?, prefix_checked = 1 WHERE id = ?",
            (prefix(as_bytes(pattern)).lower(), number),
        )


def _to_2(connection: sqlite3.Connection) -> None:
    """Reasons of breaks, prefixes that guard has checked, root commits, namespaces of processes, moved stores."""
    rows = connection.execute("SELECT id, pattern, prefix FROM reservation WHERE ended_at IS NULL").fetchall()
    computed = [(prefix(as_bytes(pattern)).lower(), number, found) for number, pattern, found in rows]
    wrong = [(right, number) for right, number, found in computed if found != right]
    connection.executemany("UPDATE reservation SET prefix = ? WHERE id = ?", wrong)
    _run(connection, "schema_2.sql")
    connection.execute("UPDATE reservation SET prefix_checked = 1 WHERE ended_at IS NULL")


def _to_3(connection: sqlite3.Connection) -> None:
    """Which patterns have changed since when, and a holder's patterns by an index."""
    _run(connection, "schema_3.sql")


STEPS: tuple[tuple[int, Callable[[sqlite3.Connection], None]], ...] = ((2, _to_2), (3, _to_3))
"""Each step brings a file to a version from the one before it. New steps are only added at the end."""


def _run(connection: sqlite3.Connection, name: str) -> None:
    """Runs the statements of a file beside this one. (``executescript`` would end the caller's transaction.)"""
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        for statement in _statements(file.read()):
            connection.execute(statement)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
