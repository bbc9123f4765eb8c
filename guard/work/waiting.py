"""Waits for a turn to reserve, in the order of arrival. While it waits, it only looks whether the store has changed."""

from __future__ import annotations

import os

from guard.model import EXIT_REFUSED, GuardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.stores.interface import Actor, Outcome, Store, Terms, Wanted

LOOK_S = 0.2
"""How often a waiter looks whether the store has changed, in seconds."""
ASK_MS = 15_000
"""How often it asks again when nothing has changed, in ms, because a waiter before it may have been killed."""


def reserve_in_turn(
    store: Store,
    actor: Actor,
    wanted: Sequence[Wanted],
    terms: Terms,
    *,
    wait_ms: int,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
    waiting: Callable[[Outcome], None],
) -> Outcome:
    """Reserves as soon as nobody is in the way and nobody who came earlier wants the same.

    Gives up after ``wait_ms`` and returns the last outcome, which has conflicts. ``clock`` returns Unix ms, ``sleep``
    takes seconds. ``waiting`` is called with each outcome that differs from the one before. Raises
    :class:`guard.model.GuardError` when the process that started this one has ended, because nobody could use the
    reservation. The place in the queue is given up in any case.
    """
    parent = os.getppid()
    deadline = clock() + wait_ms
    ticket = store.queue(actor, wanted, exclusive=terms.exclusive, until=deadline)
    before: Outcome | None = None
    try:
        while True:
            seen = store.version()
            outcome = store.reserve(actor, wanted, terms, ticket=ticket)
            if outcome.reservations or clock() >= deadline:
                return outcome
            if before is None or (outcome.conflicts, outcome.ahead) != (before.conflicts, before.ahead):
                waiting(outcome)
                before = outcome
            if os.getppid() != parent:
                raise GuardError("the process that wanted to wait is gone", hint="guard list", code=EXIT_REFUSED)
            _until_changed(store, seen, _look_again_at(outcome, deadline, clock()), clock=clock, sleep=sleep)
    finally:
        store.leave(ticket)


def _look_again_at(outcome: Outcome, deadline: int, now: int) -> int:
    """The latest time to ask again (Unix ms): when the next reservation in the way expires."""
    expiries = [found.reservation.expires_at for found in outcome.conflicts]
    ahead = [at for at in expiries if at is not None and at > now]
    return min([deadline, now + ASK_MS, *ahead])


def _until_changed(
    store: Store, seen: object, latest: int, *, clock: Callable[[], int], sleep: Callable[[float], None]
) -> None:
    parent = os.getppid()
    while store.version() == seen and os.getppid() == parent and (remaining := latest - clock()) > 0:
        sleep(min(LOOK_S, remaining / 1000))
