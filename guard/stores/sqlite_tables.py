"""Makes the tables of a guard store in SQLite, and brings those of an older version up to date.

:mod:`guard.stores.sqlite_versions` says what a version is.
"""

from __future__ import annotations

import os

from guard.patterns.grammar import prefix
from guard.stores.interface import APPLICATION_ID
from guard.stores.sqlite_file import as_bytes, sqlite3
from guard.stores.sqlite_versions import READABLE_SINCE, VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def make(connection: sqlite3.Connection) -> None:
    """Makes the tables in an empty file, inside the caller's transaction."""
    _run(connection, "schema.sql")
    connection.execute("INSERT INTO version (written_by) VALUES (?)", (VERSION,))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {READABLE_SINCE}")


def migrate(connection: sqlite3.Connection, written_by: int) -> None:
    """Brings a file that ``written_by`` wrote up to date, inside the caller's write transaction."""
    for number, step in STEPS:
        if number > written_by:
            step(connection)
    connection.execute("UPDATE version SET written_by = ?", (VERSION,))


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
