"""Which version the tables in a PostgreSQL database have, and how ``guard store init`` makes or upgrades them.

The schema carries two numbers, as a SQLite store does: the version that has written it, and the version since which
guard can use it. A change that only adds something raises the first one alone, so that older guards go on working
beside newer ones. Only ``guard store init`` makes or changes tables: nobody who commits needs the right to.
"""

from __future__ import annotations

import os

from guard.model import GuardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import psycopg

    from guard.stores.postgres.connection import Connection

VERSION = 1
"""The version that this guard makes."""

READABLE_SINCE = 1
"""The oldest version that can use what this guard makes."""

STEPS: tuple[tuple[int, str], ...] = ()
"""The file with the statements that lead from the version before to each version. Steps only ever come at the end."""

_LOCK = 0x67756172  # "guar": two that make the tables at once wait for each other


def newer(address: str, readable_since: int) -> GuardError:
    """The error for a store that only newer guards can use, since version ``readable_since``."""
    return GuardError(
        f"the store {address} is for newer guards (since version {readable_since}, this one knows {VERSION})",
        hint="upgrade guard: pip install --upgrade git-guard",
    )


def init(connection: Connection, *, grant: tuple[str, ...] = ()) -> tuple[int, int]:
    """Makes the tables, or brings older ones up to date; does nothing when they are.

    ``grant`` are roles that get the rights which guard needs. Returns the version that was there, 0 for none, and the
    one that is there now. Raises :class:`GuardError`.
    """
    found = []

    def work(cursor: psycopg.Cursor[Any]) -> None:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        before = _written_by(cursor, connection.shown)
        found.append(before)
        if not before:
            _run(cursor, "schema.sql")
            cursor.execute(
                "INSERT INTO guard.version (written_by, readable_since) VALUES (%s, %s)", (VERSION, READABLE_SINCE)
            )
        elif before < VERSION:
            for number, name in STEPS:
                if number > before:
                    _run(cursor, name)
            cursor.execute("UPDATE guard.version SET written_by = %s, readable_since = %s", (VERSION, READABLE_SINCE))
        for role in grant:
            _grant(cursor, role)

    connection.transaction(work, begin="BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    return found[0], max(found[0], VERSION)


def _written_by(cursor: psycopg.Cursor[Any], address: str) -> int:
    cursor.execute("SELECT to_regnamespace('guard') IS NOT NULL, to_regclass('guard.version') IS NOT NULL")
    has_schema, has_version = cursor.fetchall()[0]
    if not has_version:
        if has_schema:
            raise GuardError(
                f"the store {address} is a database with a schema guard that is not guard's; it was left as it is",
                hint="name another database: git config --global guard.db ADDRESS",
            )
        return 0
    cursor.execute("SELECT written_by, readable_since FROM guard.version")
    rows = cursor.fetchall()
    if not rows:
        raise GuardError(
            f"the store {address} does not say which version it has", hint="restore it from a backup: guard help teams"
        )
    written_by, readable_since = rows[0]
    if readable_since > VERSION:
        raise newer(address, readable_since)
    return int(written_by)


def _grant(cursor: psycopg.Cursor[Any], role: str) -> None:
    """Gives a role the rights to reserve, to be judged, and to restore contents, but not to move the store away."""
    from psycopg import sql

    who = sql.Identifier(role)
    for text in (
        "GRANT USAGE ON SCHEMA guard TO {}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA guard TO {}",
        "REVOKE INSERT, UPDATE, DELETE ON guard.version FROM {}",
        "GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA guard TO {}",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA guard TO {}",
    ):
        cursor.execute(sql.SQL(text).format(who))


def _run(cursor: psycopg.Cursor[Any], name: str) -> None:
    """Runs the statements of a file beside this one, all of them in one message to the server."""
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        cursor.connection.execute(file.read().encode())
