"""Ends reservations in a guard store in SQLite, or gives them a new end: release, renew and break."""

from __future__ import annotations

import os

from guard.stores.interface import Outcome, can_be_id
from guard.stores.sqlite_log import note
from guard.stores.sqlite_open import ACTIVE
from guard.stores.sqlite_search import held
from guard.stores.sqlite_writing import writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Reservation
    from guard.stores.interface import Actor, Chosen
    from guard.stores.sqlite_open import OpenFile


def release(file: OpenFile, actor: Actor, chosen: Chosen) -> Outcome:
    """Ends the chosen reservations of the actor."""
    with writing(file, actor.project):
        mine, missing = _mine(file, actor, chosen)
        ended = [_end(file, row, actor, "released") for row in mine]
        note(file, actor, "released", ended, reason="")
        return Outcome(file.generation(actor.project), tuple(ended), missing)


def renew(file: OpenFile, actor: Actor, chosen: Chosen, *, ttl_ms: int) -> Outcome:
    """Gives the chosen reservations of the actor a new expiry, ``ttl_ms`` from now."""
    with writing(file, actor.project):
        mine, missing = _mine(file, actor, chosen)
        expires_at = file.now() + ttl_ms
        file.connection.executemany(
            "UPDATE reservation SET expires_at = ? WHERE id = ?", [(expires_at, row.id) for row in mine]
        )
        renewed = [file.with_id(row.id) for row in mine]
        note(file, actor, "renewed", renewed, reason="")
        return Outcome(file.generation(actor.project), tuple(renewed), missing)


def break_(file: OpenFile, actor: Actor, ids: Sequence[int], *, reason: str) -> Outcome:
    """Ends other holders' reservations. The holders will be told."""
    with writing(file, actor.project):
        broken, missing = [], []
        for number in ids:
            where = f"{ACTIVE} AND id = ? AND holder <> ?"
            found = file.select(where, actor.project, number, actor.holder) if can_be_id(number) else []
            if found:
                broken.append(_end(file, found[0], actor, "broken", reason=reason, tell=True))
            else:
                missing.append(str(number))
        note(file, actor, "broken", broken, reason=reason)
        return Outcome(file.generation(actor.project), tuple(broken), tuple(missing))


def _mine(file: OpenFile, actor: Actor, chosen: Chosen) -> tuple[list[Reservation], tuple[str, ...]]:
    """The chosen active reservations of the actor, ordered by id, and the choices that name none."""
    where = f"{ACTIVE} AND holder = ?"
    if chosen.everything:
        return file.select(f"{where} ORDER BY id", actor.project, actor.holder), ()
    mine: dict[int, Reservation] = {}
    missing = []
    for number in chosen.ids:
        found = []
        if can_be_id(number):
            found = file.select(f"{where} AND id = ?", actor.project, actor.holder, number)
        mine.update({row.id: row for row in found})
        missing += [] if found else [str(number)]
    for want in chosen.patterns:
        found = held(file, actor, want.pattern)
        mine.update({row.id: row for row in found})
        missing += [] if found else [os.fsdecode(want.typed)]
    return [mine[number] for number in sorted(mine)], tuple(missing)


def _end(
    file: OpenFile, row: Reservation, actor: Actor, end: str, *, reason: str = "", tell: bool = False
) -> Reservation:
    """Ends a reservation, and returns it as it is afterwards. With ``tell``, its holder will be told."""
    file.connection.execute(
        'UPDATE reservation SET ended_at = ?, ended_by = ?, "end" = ?, end_reason = ?, told = ? WHERE id = ?',
        (file.now(), actor.holder, end, reason, not tell, row.id),
    )
    return file.with_id(row.id)
