"""A transaction that writes reservations to a guard store in SQLite: what is done before and after in each.

Before: prefixes that are missing are computed, and it is recorded which reservations have expired. After: some old rows
are deleted. So no program has to run from time to time.
"""

from __future__ import annotations

from guard.patterns.grammar import prefix
from guard.stores.interface import Actor
from guard.stores.sqlite_file import as_bytes
from guard.stores.sqlite_log import note
from guard.stores.sqlite_open import ACTIVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from guard.stores.sqlite_open import OpenFile

PRUNED_AT_ONCE = 200
PREFIXES_AT_ONCE = 2000

_EXPIRED = """UPDATE reservation SET ended_at = expires_at, "end" = 'expired', told = 0 WHERE id = ?"""


def writing(file: OpenFile, project: str) -> AbstractContextManager[None]:
    """A transaction that writes reservations of a project. Raises :class:`guard.model.GuardError`."""

    def first() -> None:
        _check_prefixes(file, project)
        _expire(file, project)

    return file.changing(first=first, last=lambda: _prune(file))


def _check_prefixes(file: OpenFile, project: str) -> None:
    """Computes the prefixes of active rows that have none, because another program or an older guard wrote them.

    One transaction computes :data:`PREFIXES_AT_ONCE` of them at most.
    """
    rows = file.connection.execute(
        "SELECT id, pattern FROM reservation WHERE project = ? AND ended_at IS NULL AND prefix IS NULL LIMIT ?",
        (project, PREFIXES_AT_ONCE),
    ).fetchall()
    run = file.connection.execute
    for number, pattern in rows:
        run("UPDATE reservation SET prefix_checked = 0 WHERE id = ? AND prefix_checked <> 0", (number,))
        run(
            "UPDATE reservation SET prefix = ?, prefix_checked = 1 WHERE id = ?",
            (prefix(as_bytes(pattern)).lower(), number),
        )


def _expire(file: OpenFile, project: str) -> None:
    """Records which reservations have expired, so that a clock that is set back cannot revive them."""
    due = file.select(f"{ACTIVE} AND expires_at <= ? ORDER BY expires_at", project, file.now())
    file.connection.executemany(_EXPIRED, [(row.id,) for row in due])
    for row in due:
        actor = Actor(project, row.holder, row.principal)
        note(file, actor, "expired", [row], reason=row.reason, at=row.expires_at)


def _prune(file: OpenFile) -> None:
    """Deletes some rows that ended longer ago than guard.retention, and waiters that have given up."""
    before = file.now() - file.retention_ms
    file.connection.execute(
        "DELETE FROM reservation WHERE id IN (SELECT id FROM reservation"
        " WHERE ended_at IS NOT NULL AND ended_at < ? LIMIT ?)",
        (before, PRUNED_AT_ONCE),
    )
    file.connection.execute(
        "DELETE FROM log WHERE id IN (SELECT id FROM log WHERE at < ? LIMIT ?)", (before, PRUNED_AT_ONCE)
    )
    file.connection.execute("DELETE FROM waiter WHERE until < ?", (file.now(),))
