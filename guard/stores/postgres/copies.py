"""A PostgreSQL store as a whole: its description, its contents, a backup, and the mark after a move."""

from __future__ import annotations

import os

from guard.model import GuardError
from guard.patterns.grammar import prefix
from guard.stores.interface import Contents, Description, Kept, Moved
from guard.stores.postgres.connection import machine
from guard.stores.sqlite_log import LogRow
from guard.stores.sqlite_rows import LATEST_MS, ReservationRow, columns
from guard.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import psycopg

    from guard.model import Reservation
    from guard.stores.postgres.store import PostgresStore

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_CHANGE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_LOCK = "LOCK TABLE guard.project, guard.reservation, guard.log, guard.root IN EXCLUSIVE MODE"
"""While it is held, others can read, and wait with writing until the transaction ends (PostgreSQL, 13.3.1)."""


def description(store: PostgresStore) -> Description:
    """How much is in the store, and which versions it has; ``size`` is that of guard's tables and indexes, in bytes."""
    rows = store.connection.ask(
        """SELECT v.written_by, v.readable_since,
            (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
                WHERE c.relnamespace = 'guard'::regnamespace AND c.relkind = 'r')::bigint,
            (SELECT count(*) FROM guard.project),
            (SELECT count(*) FROM guard.reservation WHERE ended_at IS NULL),
            (SELECT count(*) FROM guard.reservation WHERE ended_at IS NOT NULL),
            (SELECT count(*) FROM guard.log)
        FROM guard.version v"""
    )
    return Description("PostgreSQL", store.address, *rows[0])


def read_contents(store: PostgresStore) -> Contents:
    """Everything in the store, as of one instant."""
    found = []
    store.connection.transaction(lambda cursor: found.append(_read(cursor, store.address)), begin=_SNAPSHOT)
    return found[0]


def _read(cursor: psycopg.Cursor[Any], address: str) -> Contents:
    def ask(text: str) -> list[tuple[Any, ...]]:
        return cursor.execute(text.encode()).fetchall()

    ((moved_to,),) = ask("SELECT moved_to FROM guard.version")
    if moved_to:
        raise Moved(address, moved_to)
    rows = ask(f"SELECT told, {columns(ReservationRow)} FROM guard.reservation ORDER BY id")
    log = (LogRow(*row) for row in ask(f"SELECT {columns(LogRow)} FROM guard.log ORDER BY id"))
    publications = ask("SELECT machine, directory, project FROM guard.publication ORDER BY since DESC")
    ((last, is_called),) = ask("SELECT last_value, is_called FROM guard.reservation_id")
    return Contents(
        projects=tuple(ask("SELECT name, generation FROM guard.project ORDER BY name")),
        reservations=tuple(Kept(_as_written(ReservationRow(*row)), told) for told, *row in rows),
        log=tuple((row.project, row.entry()) for row in log),
        roots=tuple(ask("SELECT oid, project FROM guard.root ORDER BY oid, project")),
        publications=tuple((directory, project) for where, directory, project in publications if where == machine()),
        last_id=last if is_called else 0,
    )


def _as_written(row: ReservationRow) -> Reservation:
    """The row with its own pattern, also if that is outside of the grammar and a wider one is judged in its place."""
    return row.reservation()._replace(pattern=row.pattern, typed=row.typed)


def write_contents(store: PostgresStore, contents: Contents, *, formerly: str) -> None:
    """Replaces everything in the store by these contents, in one transaction. Raises :class:`GuardError`.

    A generation is afterwards higher than both that of the contents and that of what was here.
    """

    def work(cursor: psycopg.Cursor[Any]) -> None:
        cursor.execute(_LOCK)
        ((moved_to,),) = cursor.execute("SELECT moved_to FROM guard.version").fetchall()
        if moved_to:
            raise Moved(store.address, moved_to)
        _write(cursor, contents, formerly)

    store.connection.transaction(work, begin=_CHANGE)


def _write(cursor: psycopg.Cursor[Any], contents: Contents, formerly: str) -> None:
    for table in ("reservation", "log", "root", "waiter"):
        cursor.execute(f"DELETE FROM guard.{table}".encode())
    _fill(
        cursor,
        "reservation (id, project, holder, pattern, typed, prefix, exclusive, reason, principal, created_at,"
        ' expires_at, ended_at, ended_by, "end", end_reason, told, prefix_checked)',
        [_values(kept) for kept in contents.reservations],
    )
    _fill(
        cursor,
        "log (project, id, at, generation, event, holder, principal, reservation, whose, pattern, reason)",
        [(project, *entry) for project, entry in contents.log],
    )
    _fill(cursor, "root (oid, project)", list(contents.roots))
    for directory, project in contents.publications:
        cursor.execute(
            "INSERT INTO guard.publication (machine, directory, project, since) VALUES (%s, %s, %s, guard.clock())"
            " ON CONFLICT DO NOTHING",
            (machine(), directory, project),
        )
    cursor.execute("UPDATE guard.project SET generation = generation + 1")
    for name, generation in contents.projects:
        cursor.execute(
            "INSERT INTO guard.project AS p (name, generation) VALUES (%s, %s) ON CONFLICT (name)"
            " DO UPDATE SET generation = greatest(p.generation, excluded.generation)",
            (name, generation + 1),
        )
    _go_on_numbering(cursor, contents.last_id)
    if formerly:
        cursor.execute("INSERT INTO guard.moved_from (address) VALUES (%s) ON CONFLICT DO NOTHING", (formerly,))


def _go_on_numbering(cursor: psycopg.Cursor[Any], last_id: int) -> None:
    """Lets the sequences go on behind the highest number that was given, here or there: none is given twice."""
    ((highest,),) = cursor.execute(
        "SELECT greatest(%s::bigint, (SELECT max(id) FROM guard.reservation),"
        " (SELECT last_value FROM guard.reservation_id WHERE is_called))",
        (last_id,),
    ).fetchall()
    if highest:
        cursor.execute("SELECT setval('guard.reservation_id', %s::bigint)", (highest,))
    cursor.execute(
        "SELECT setval(pg_get_serial_sequence('guard.log', 'id'), (SELECT max(id) FROM guard.log))"
        " WHERE EXISTS (SELECT 1 FROM guard.log)"
    )


def _fill(cursor: psycopg.Cursor[Any], table: str, rows: list[tuple[object, ...]]) -> None:
    """Copies rows into a table (PostgreSQL, COPY): one message for many."""
    with cursor.copy(f"COPY guard.{table} FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _values(kept: Kept) -> tuple[object, ...]:
    row = kept.reservation
    return (
        *(row.id, row.project, row.holder, row.pattern, row.typed, prefix(row.pattern).lower()),
        *(row.exclusive, row.reason, row.principal, row.created_at),
        LATEST_MS if row.expires_at is None else row.expires_at,
        *(row.ended_at, row.ended_by, row.end, row.end_reason, kept.told, True),
    )


def move_out(store: PostgresStore, to: str, carry: Callable[[Contents], None]) -> None:
    """As the interface says: writers wait while the contents are carried over, and are then told where the store is."""

    def work(cursor: psycopg.Cursor[Any]) -> None:
        cursor.execute(_LOCK)
        contents = _read(cursor, store.address)
        cursor.execute(
            "UPDATE guard.version SET moved_to = %s", (to,)
        )  # first: whoever may not do this has moved nothing
        carry(contents)

    store.connection.transaction(work, begin=_CHANGE)


def backup(store: PostgresStore, to: str) -> None:
    """Writes everything in the store to a new guard store in SQLite, which ``guard store restore`` reads. Raises
    :class:`guard.model.GuardError` when there is something at that path.
    """
    from guard.stores.sqlite import SqliteStore

    if os.path.lexists(to):
        raise GuardError(f"{to} exists; nothing was written", hint="name a file that does not exist yet")
    contents = store.contents()
    beside = f"{to}-making"
    try:
        if not os.path.isdir(os.path.dirname(to) or "."):
            raise FileNotFoundError(2, os.strerror(2))
        copy = SqliteStore(beside, patience_s=10)
        try:
            copy.take_in(contents)
        finally:
            copy.close()
        os.link(beside, to)  # fails, unlike a rename, when somebody has made that file meanwhile
    except OSError as error:
        hint = f"ls -ld {quoted(os.fsencode(os.path.dirname(to) or '.'))}"
        raise GuardError(f"the copy {to} cannot be made: {error.strerror or error}", hint=hint) from error
    finally:
        if os.path.lexists(beside):
            os.unlink(beside)
