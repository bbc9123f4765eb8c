"""Grants reservations in a guard store in SQLite, unless others' are in the way or others wait longer."""

from __future__ import annotations

from guard.model import Overlap
from guard.patterns.grammar import prefix
from guard.patterns.overlap import overlap
from guard.stores.interface import Outcome
from guard.stores.sqlite_file import with_parents
from guard.stores.sqlite_log import note
from guard.stores.sqlite_open import ACTIVE
from guard.stores.sqlite_rows import storable
from guard.stores.sqlite_search import held
from guard.stores.sqlite_writing import writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Reservation
    from guard.stores.interface import Actor, Terms, Wanted
    from guard.stores.sqlite_open import OpenFile


def reserve(file: OpenFile, actor: Actor, wanted: Sequence[Wanted], terms: Terms, *, ticket: int | None) -> Outcome:
    """Grants every pattern or none, in one transaction. ``ticket`` is the actor's place in the queue, None if none."""
    with writing(file, actor.project):
        conflicts = overlaps(file, actor, wanted, terms)
        ahead = 0
        if ticket is not None and not conflicts:
            from guard.stores.sqlite_waiters import ahead_of  # most do not wait

            ahead = ahead_of(file, ticket, actor, wanted, terms)
        if conflicts or ahead:
            return Outcome(file.generation(actor.project), conflicts=conflicts, ahead=ahead)
        granted = [grant(file, actor, want, terms) for want in wanted]
        if ticket is not None:
            from guard.stores.sqlite_waiters import leave

            leave(file, ticket)
        note(file, actor, "reserved", granted, reason=terms.reason)
        return Outcome(file.generation(actor.project), tuple(granted))


def overlaps(file: OpenFile, actor: Actor, wanted: Sequence[Wanted], terms: Terms) -> tuple[Overlap, ...]:
    """Every reservation in the way of the wanted patterns. The caller has begun a transaction."""
    return tuple(
        Overlap(want.pattern, other)
        for want in wanted
        for other in _in_the_way(file, actor, want.pattern, exclusive=terms.exclusive, fold=terms.fold)
    )


def _in_the_way(file: OpenFile, actor: Actor, pattern: bytes, *, exclusive: bool, fold: bool) -> list[Reservation]:
    """Others' active reservations that could share a path with the pattern, when one of the two is exclusive.

    Only reservations whose literal prefix lies above or below the pattern's are looked at.
    """
    others = f"{ACTIVE} AND holder <> ? AND (exclusive IS NOT 0 OR ?)"
    who = (actor.project, actor.holder, exclusive)
    lead = prefix(pattern).lower()
    if not lead:
        found = file.select(others, *who)
    else:
        above = with_parents(lead)
        marks = ", ".join("?" * len(above))
        # Three questions, because SQLite does not use the index on the prefix for one that has OR in it.
        found = file.select(f"{others} AND prefix IS NULL", *who)
        found += file.select(f"{others} AND prefix IN ({marks})", *who, *above)
        found += file.select(f"{others} AND prefix >= ? AND prefix < ?", *who, lead + b"/", lead + b"0")
    near = sorted(found, key=lambda other: other.id)
    return [other for other in near if overlap(pattern, other.pattern, fold=fold)]


def grant(file: OpenFile, actor: Actor, want: Wanted, terms: Terms) -> Reservation:
    """Makes a reservation, or changes the actor's own with the same pattern. The caller has begun a transaction, and
    has found nothing in the way.
    """
    now = file.now()
    expires_at = now + terms.ttl_ms
    own = held(file, actor, want.pattern)
    if own:
        mine = own[0]
        if not terms.shorten and mine.expires_at is not None:
            expires_at = max(expires_at, mine.expires_at)
        file.connection.execute(
            "UPDATE reservation SET expires_at = ?, exclusive = ?, reason = ?, typed = ?, principal = ? WHERE id = ?",
            (
                *(expires_at, terms.exclusive, terms.reason or mine.reason),
                *(storable(want.typed), actor.principal, mine.id),
            ),
        )
        return file.with_id(mine.id)
    made = file.connection.execute(
        "INSERT INTO reservation (project, holder, pattern, typed, prefix, prefix_checked, exclusive, reason,"
        " principal, created_at, expires_at) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
        (
            *(actor.project, actor.holder, storable(want.pattern), storable(want.typed)),
            *(prefix(want.pattern).lower(), terms.exclusive, terms.reason, actor.principal, now, expires_at),
        ),
    )
    return file.with_id(made.lastrowid or 0)
