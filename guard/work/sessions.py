"""``guard take``: which reservations of dead sessions of this account on this machine can a later session take over?"""

from __future__ import annotations

import os
import re

from guard.model import EXIT_REFUSED, MINUTE_MS, GuardError
from guard.record import Record
from guard.repo.known_settings import HOLDER
from guard.stores.interface import Outcome, Terms, Wanted
from guard.words import length, safe, shown_name
from guard.work.here import now_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guard.model import Overlap, Reservation
    from guard.work.here import Here

QUIET_MS = 10 * MINUTE_MS
"""A session counts as dead when it has done nothing with guard for this long (ms) and no process has its name."""

_SESSION = re.compile(r"(?:\A|-)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-")

REASON = "taken over by a later session of the same account"


class Taken(Record):
    """The reservations that were ended, and those that the holder got in their place."""

    ended: Outcome
    granted: Outcome


def is_session(holder: str) -> bool:
    """Is this a name that a coding agent's program made, and not one that somebody chose?"""
    return shown_name(holder, ()) != holder or _SESSION.search(holder) is not None


def named(names: Sequence[str], holders: Iterable[str]) -> set[str]:
    """The holders with these names; a name is the full one, or the short one that is shown."""
    known = set(holders)
    return {holder for holder in known if holder in names or shown_name(holder, known) in names}


def take(here: Here, names: Sequence[str]) -> Taken:
    """Ends the reservations of dead sessions of this account and machine, and reserves the same for the holder.

    ``names`` are these sessions; without names, all dead sessions of coding agents. Raises
    :class:`guard.model.GuardError` when there is none, and when one that was named is still alive.
    """
    snapshot = here.store.active(here.project)
    others = {row.holder for row in snapshot.reservations if row.holder != here.me}
    meant = named(names, others) if names else set(filter(is_session, others))
    mine_before = [row for row in snapshot.reservations if row.holder in meant]
    candidates = [row for row in mine_before if row.principal == here.actor.principal]
    if names and len({row.holder for row in candidates}) < len({row.holder for row in mine_before} or {""}):
        raise GuardError(
            f"no other session of {here.actor.principal} called {', '.join(map(safe, names))} holds anything here",
            hint="guard list",
            code=EXIT_REFUSED,
        )
    alive = {holder: why for holder in {row.holder for row in candidates} if (why := why_alive(here, holder))}
    if names and alive:
        holder, why = next(iter(alive.items()))
        raise GuardError(f"{safe(holder)} is not dead: {why}", hint="guard list --theirs", code=EXIT_REFUSED)
    rows = [row for row in candidates if row.holder not in alive]
    if not rows:
        what = f"no dead session of {here.actor.principal} holds anything here"
        reasons = "; ".join(f"{safe(holder)}: {why}" for holder, why in alive.items())
        raise GuardError(what + (f" ({reasons})" if reasons else ""), hint="guard list", code=EXIT_REFUSED)
    return _taken(here, rows)


def _taken(here: Here, rows: Sequence[Reservation]) -> Taken:
    with here.writing() as store:
        ended = store.break_(here.actor, [row.id for row in rows], reason=REASON)
        granted: list[Reservation] = []
        conflicts: list[Overlap] = []
        generation = ended.generation
        for row in ended.reservations:
            remains = here.settings.ttl_ms() if row.expires_at is None else row.expires_at - now_ms()
            terms = Terms(row.exclusive, row.reason, max(remains, MINUTE_MS), here.settings.fold, shorten=False)
            outcome = store.reserve(here.actor, [Wanted(row.pattern, row.typed)], terms)
            granted += outcome.reservations
            conflicts += outcome.conflicts
            generation = outcome.generation
    return Taken(ended, Outcome(generation, tuple(granted), conflicts=tuple(conflicts)))


def why_alive(here: Here, holder: str) -> str:
    """Why a session of this account and machine may still be alive, in words; "" when it is dead."""
    process = _process_of(holder)
    if process:
        return f"process {process} works under that name"
    latest = max((entry.at for entry in here.store.log(here.project, limit=1000) if entry.holder == holder), default=0)
    quiet = now_ms() - latest
    return f"it did something with guard {length(quiet)} ago" if quiet < QUIET_MS else ""


def _process_of(holder: str) -> int:
    """The number of a process that has the holder's name or session in its environment; 0 if none is found.

    Only Linux shows the environments of other processes. On other systems only the log decides.
    """
    from guard.repo.settings import SESSION_VARIABLES

    names = {holder.encode(), holder.partition("-")[2].encode()} - {b""}
    variables = [name.encode() for name in HOLDER.variables] + list(SESSION_VARIABLES)
    wanted = {b"%b=%b" % (variable, name) for variable in variables for name in names}
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if wanted & set(file.read().split(b"\0")):
                        return int(entry)
            except OSError:
                continue  # it ended meanwhile, or is somebody else's
    return 0
