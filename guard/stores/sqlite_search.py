"""Finds reservations in a guard store in SQLite: all, one holder's, and those near paths or patterns.

Whoever reads active reservations first has it recorded which of them have expired.
"""

from __future__ import annotations

from guard.model import GuardError
from guard.patterns.grammar import prefix
from guard.stores.interface import Snapshot
from guard.stores.sqlite_file import with_parents
from guard.stores.sqlite_open import ACTIVE
from guard.stores.sqlite_rows import storable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from guard.model import Reservation
    from guard.stores.interface import Actor
    from guard.stores.sqlite_open import OpenFile

AT_ONCE = 400
"""How many values one statement has at most. Every SQLite accepts 999."""


def active(file: OpenFile, project: str) -> Snapshot:
    """Every active reservation of a project."""
    return _settled(file, project, lambda: file.select(ACTIVE, project))


def covering(file: OpenFile, project: str, paths: Sequence[bytes]) -> Snapshot:
    """The active reservations that may match one of the paths, and others: they are found by literal prefix."""
    above = sorted({lead for path in paths for lead in with_parents(path.lower())})
    return _settled(file, project, lambda: _led_by(file, project, above))


def of_holder(file: OpenFile, project: str, holder: str) -> Snapshot:
    """The holder's active reservations."""
    return _settled(file, project, lambda: file.select(f"{ACTIVE} AND holder = ?", project, holder))


def near(file: OpenFile, project: str, patterns: Sequence[bytes]) -> Snapshot:
    """The active reservations that could share a path with one of the patterns, and others."""
    leads = {prefix(pattern).lower() for pattern in patterns}
    if b"" in leads:
        return active(file, project)
    return _settled(file, project, lambda: _above_or_below(file, project, leads))


def ended(file: OpenFile, project: str) -> Snapshot:
    """The reservations of a project that have ended and are still remembered."""
    with file.reading():
        rows = file.select("project = ? AND ended_at IS NOT NULL ORDER BY ended_at, id", project)
        return Snapshot(file.generation(project), tuple(rows))


def everywhere(file: OpenFile) -> Snapshot:
    """The active reservations of all projects."""
    with file.reading():
        return Snapshot(0, tuple(file.select("ended_at IS NULL AND expires_at > ? ORDER BY id", file.now())))


def held(file: OpenFile, actor: Actor, pattern: bytes) -> list[Reservation]:
    """The actor's active reservations with exactly this pattern, whether it is stored as text or as bytes.

    The caller has begun a transaction.
    """
    where = f"{ACTIVE} AND holder = ? AND pattern IN (?, ?)"
    return file.select(where, actor.project, actor.holder, storable(pattern), pattern)


def _led_by(file: OpenFile, project: str, leads: Sequence[bytes]) -> list[Reservation]:
    """The active reservations whose literal prefix is one of these, and those that have none."""
    found = file.select(f"{ACTIVE} AND prefix IS NULL", project)
    for start in range(0, len(leads), AT_ONCE):
        part = leads[start : start + AT_ONCE]
        found += file.select(f"{ACTIVE} AND prefix IN ({', '.join('?' * len(part))})", project, *part)
    return found


def _above_or_below(file: OpenFile, project: str, leads: Iterable[bytes]) -> list[Reservation]:
    """The active reservations whose literal prefix is above or below one of these, and those that have none."""
    found = _led_by(file, project, sorted({name for lead in leads for name in with_parents(lead)}))
    below = f"{ACTIVE} AND prefix >= ? AND prefix < ?"
    for lead in leads:
        found += file.select(below, project, lead + b"/", lead + b"0")
    return list({row.id: row for row in found}.values())


def _settled(file: OpenFile, project: str, read: Callable[[], list[Reservation]]) -> Snapshot:
    """Reads active reservations. When some of them have expired, that is recorded first."""
    found = _snapshot(file, project, read)
    now = file.now()
    if any(row.expires_at is not None and row.expires_at <= now for row in found.reservations):
        from guard.stores.sqlite_writing import writing  # most answers write nothing

        try:
            with writing(file, project):
                pass
            found = _snapshot(file, project, read)
        except GuardError:  # a store that we may only read still answers: then the clock decides alone
            now = file.now()
    alive = tuple(row for row in found.reservations if row.expires_at is None or row.expires_at > now)
    return found._replace(reservations=alive)


def _snapshot(file: OpenFile, project: str, read: Callable[[], list[Reservation]]) -> Snapshot:
    with file.reading():
        return Snapshot(file.generation(project), tuple(sorted(read(), key=lambda row: row.id)))
