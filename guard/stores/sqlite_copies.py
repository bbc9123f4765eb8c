"""Copying a guard store in SQLite: what is in it, a backup, and what a move leaves behind.

Each function works inside a transaction of the caller's, except :func:`copy_to`.
"""

from __future__ import annotations

import os

from guard.model import GuardError
from guard.patterns.grammar import prefix
from guard.stores import sqlite_versions
from guard.stores.interface import Contents, Description, Kept
from guard.stores.sqlite_file import as_bytes, as_text, sqlite3
from guard.stores.sqlite_log import LogRow
from guard.stores.sqlite_open import connected
from guard.stores.sqlite_rows import LATEST_MS, ReservationRow, columns, storable
from guard.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.model import Reservation
    from guard.stores.sqlite_versions import FileVersion


def description(connection: sqlite3.Connection, address: str, version: FileVersion) -> Description:
    """How much is in the store, and which versions of its format it has."""

    def count(what: str) -> int:
        return int(connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0])

    return Description(
        kind="SQLite",
        address=address,
        written_by=version.written_by,
        readable_since=version.readable_since,
        size=os.path.getsize(address),
        projects=count("project"),
        active=count("reservation WHERE ended_at IS NULL"),
        ended=count("reservation WHERE ended_at IS NOT NULL"),
        log=count("log"),
    )


def read_contents(connection: sqlite3.Connection, version: FileVersion) -> Contents:
    """Everything that the store keeps."""
    wanted = columns(ReservationRow)
    if version.written_by < 2:
        wanted = wanted.replace('"end_reason"', "''")
    ask = connection.execute
    rows = ask(f"SELECT told, {wanted} FROM reservation ORDER BY id").fetchall()
    roots = ask("SELECT oid, project FROM root ORDER BY oid, project").fetchall() if version.written_by >= 2 else []
    last = ask("SELECT seq FROM sqlite_sequence WHERE name = 'reservation'").fetchone()
    return Contents(
        projects=tuple(
            (as_text(name), generation if isinstance(generation, int) else 0)
            for name, generation in ask("SELECT name, generation FROM project ORDER BY name").fetchall()
        ),
        reservations=tuple(Kept(_as_written(ReservationRow(*row)), told != 0) for told, *row in rows),
        log=tuple(
            (as_text(row.project), row.entry())
            for row in (LogRow(*row) for row in ask(f"SELECT {columns(LogRow)} FROM log ORDER BY id").fetchall())
        ),
        roots=tuple((as_text(oid), as_text(project)) for oid, project in roots),
        publications=tuple(
            (as_bytes(directory), as_text(project))
            for directory, project in ask("SELECT directory, project FROM publication").fetchall()
        ),
        last_id=last[0] if last and isinstance(last[0], int) else 0,
    )


def _as_written(row: ReservationRow) -> Reservation:
    """The row with its own pattern, also if that is outside of the grammar and a wider one is judged in its place."""
    found = row.reservation()
    return found._replace(pattern=as_bytes(row.pattern), typed=as_bytes(row.typed))


def write_contents(connection: sqlite3.Connection, contents: Contents, *, formerly: str, now: int) -> None:
    """Replaces everything that the store keeps by these contents. ``now`` is in Unix ms.

    A generation is afterwards higher than both that of the contents and that of what was here.
    """
    for table in ("reservation", "log", "root", "waiter"):
        connection.execute(f"DELETE FROM {table}")
    _write_rows(connection, contents, now=now)
    connection.execute("UPDATE project SET generation = generation + 1")
    for name, generation in contents.projects:
        connection.execute(
            "INSERT INTO project (name, generation) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET generation = max(generation, excluded.generation)",
            (name, generation + 1),
        )
    _go_on_numbering_after(connection, contents)
    if formerly:
        connection.execute("INSERT OR IGNORE INTO moved_from (address) VALUES (?)", (formerly,))


def _write_rows(connection: sqlite3.Connection, contents: Contents, *, now: int) -> None:
    """Adds the reservations, the log, the root commits and the places of unions."""
    connection.executemany(
        "INSERT INTO reservation (id, project, holder, pattern, typed, prefix, prefix_checked, exclusive, reason,"
        ' principal, created_at, expires_at, ended_at, ended_by, "end", end_reason, told)'
        " VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        map(_values, contents.reservations),
    )
    connection.executemany(
        "INSERT INTO log (project, id, at, generation, event, holder, principal, reservation, whose, pattern, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(project, *entry[:8], _storable(entry.pattern), entry.reason) for project, entry in contents.log],
    )
    connection.executemany("INSERT INTO root (oid, project) VALUES (?, ?)", contents.roots)
    connection.executemany(
        "INSERT OR IGNORE INTO publication (directory, project, since) VALUES (?, ?, ?)",
        [(storable(directory), project, now) for directory, project in contents.publications],
    )


def _go_on_numbering_after(connection: sqlite3.Connection, contents: Contents) -> None:
    """Makes the next reservation's number higher than every number that the contents ever gave (sqlite.org/autoinc)."""
    run = connection.execute
    run("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'reservation'", (contents.last_id,))
    if not contents.reservations and contents.last_id:
        run("DELETE FROM sqlite_sequence WHERE name = 'reservation' AND seq < ?", (contents.last_id,))
        run(
            "INSERT INTO sqlite_sequence (name, seq) SELECT 'reservation', ? WHERE NOT EXISTS"
            " (SELECT 1 FROM sqlite_sequence WHERE name = 'reservation')",
            (contents.last_id,),
        )


def _storable(value: bytes | None) -> str | bytes | None:
    return None if value is None else storable(value)


def _values(kept: Kept) -> tuple[object, ...]:
    row = kept.reservation
    return (
        *(row.id, row.project, row.holder, storable(row.pattern), storable(row.typed), prefix(row.pattern).lower()),
        *(row.exclusive, row.reason, row.principal, row.created_at),
        LATEST_MS if row.expires_at is None else row.expires_at,
        *(row.ended_at, row.ended_by, row.end, row.end_reason, kept.told),
    )


def mark_moved(connection: sqlite3.Connection, to: str) -> None:
    """Leaves the mark that everything is now at another address. From then on no guard of any
    version uses this file.
    """
    connection.execute("INSERT INTO moved_to (address) VALUES (?)", (to,))
    connection.execute(f"PRAGMA user_version = {sqlite_versions.MOVED}")


def copy_to(connection: sqlite3.Connection, to: str, *, patience_s: float) -> None:
    """Writes an exact copy to a new file, checked before it gets its name, while others go on working.

    SQLite copies in one read transaction (sqlite.org/backup.html): writers wait meanwhile, readers do not. Raises
    :class:`GuardError` when there is something at ``to``, or the copy cannot be made.
    """
    beside = to + "-making"
    try:
        if os.path.lexists(to):
            raise GuardError(f"{to} exists; nothing was written", hint="name a file that does not exist yet")
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            _copy(connection, beside, patience_s)
            os.link(beside, to)  # fails, unlike a rename, when somebody has made that file meanwhile
        finally:
            os.unlink(beside)
        _sync(os.path.dirname(to) or ".")
    except OSError as error:
        raise GuardError(
            f"the copy {to} cannot be made: {error.strerror or error}",
            hint=f"ls -ld {quoted(os.fsencode(os.path.dirname(to) or '.'))}",
        ) from error


def _copy(connection: sqlite3.Connection, path: str, patience_s: float) -> None:
    copy = connected(path, patience_s)
    try:
        connection.backup(copy)
        said = copy.execute("PRAGMA integrity_check").fetchall()
    finally:
        copy.close()
    if said != [(b"ok",)]:
        raise GuardError(
            f"the copy is damaged, and so may be the store: {as_text(said[0][0])[:200]}",
            hint="guard store restore FILE, with an older backup",
        )
    _sync(path)


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
