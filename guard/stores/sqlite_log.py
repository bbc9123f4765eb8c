"""The log of a guard store in SQLite: adds entries, and reads them. Each function runs in the caller's transaction.

Anybody may have written its rows. A value that cannot be read hides no entry.
"""

from __future__ import annotations

from guard.record import Record
from guard.stores.interface import Entry
from guard.stores.sqlite_file import as_bytes, as_text
from guard.stores.sqlite_rows import columns, instant, storable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from guard.model import Reservation
    from guard.stores.interface import Actor
    from guard.stores.sqlite_open import OpenFile


class LogRow(Record):
    """A row of the table ``log``, all of its columns."""

    id: Any
    at: Any
    project: Any
    generation: Any
    event: Any
    holder: Any
    principal: Any
    reservation: Any
    whose: Any
    pattern: Any
    reason: Any

    def entry(self) -> Entry:
        """The row as an entry of the log."""
        return Entry(
            id=self.id,
            at=instant(self.at) or 0,
            generation=self.generation if isinstance(self.generation, int) else 0,
            event=as_text(self.event),
            holder=as_text(self.holder),
            principal=as_text(self.principal),
            reservation=self.reservation if isinstance(self.reservation, int) else None,
            whose=None if self.whose is None else as_text(self.whose),
            pattern=None if self.pattern is None else as_bytes(self.pattern),
            reason=as_text(self.reason),
        )


def entries(file: OpenFile, project: str, *, limit: int) -> list[Entry]:
    """The newest ``limit`` entries, the oldest of them first."""
    rows = file.connection.execute(
        f"SELECT {columns(LogRow)} FROM log WHERE project = ? ORDER BY id DESC LIMIT ?", (project, limit)
    ).fetchall()
    return [LogRow(*row).entry() for row in reversed(rows)]


def note(
    file: OpenFile, actor: Actor, event: str, rows: Iterable[Reservation], *, reason: str, at: int | None = None
) -> None:
    """Adds one entry for each of these reservations. ``at`` is when it happened, in Unix ms; None stands for now."""
    generation = file.generation(actor.project)
    file.connection.executemany(
        "INSERT INTO log (at, project, generation, event, holder, principal, reservation, whose, pattern, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(file.now() if at is None else at, actor.project, generation, event, actor.holder),
                *(actor.principal, row.id, row.holder, storable(row.pattern), reason),
            )
            for row in rows
        ],
    )


def note_without_reservation(file: OpenFile, actor: Actor, event: str, *, reason: str) -> None:
    """Adds an entry that concerns no reservation."""
    file.connection.execute(
        "INSERT INTO log (at, project, generation, event, holder, principal, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(file.now(), actor.project, file.generation(actor.project)),
            *(event, actor.holder, actor.principal, reason),
        ),
    )
