"""Reserves, renews, releases and breaks reservations."""

from __future__ import annotations

import time

from guard import system
from guard.model import EXIT_REFUSED, GuardError, UsageError
from guard.patterns.grammar import literal
from guard.record import Record
from guard.repo.git import GitError
from guard.stores.choose import FIRST, NEVER
from guard.stores.interface import Chosen, Outcome, Terms, Wanted
from guard.work import arguments, pending
from guard.work.here import now_ms
from guard.work.waiting import reserve_in_turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.model import Reservation
    from guard.work.arguments import Named
    from guard.work.here import Here
    from guard.work.pending import Pending

REASON_MAX = 2000
"""The longest reason, in characters."""


class Wish(Record):
    """How somebody wants to reserve. ``ttl_ms`` is None for the configured length, ``wait_ms`` 0 for not waiting.

    With ``changed`` and ``staged``, the paths that are changed in the work tree, or staged, are reserved together with
    those that are named. With ``settle``, the call returns only when the reservations are in force everywhere.
    """

    exclusive: bool = True
    reason: str = ""
    ttl_ms: int | None = None
    wait_ms: int = 0
    changed: bool = False
    staged: bool = False
    settle: bool = False


class Choice(Record):
    """Which of the holder's reservations are chosen: by the words that name them, by number, or all of them."""

    typed: tuple[bytes, ...] = ()
    ids: tuple[int, ...] = ()
    everything: bool = False


class Reserved(Record):
    """The outcome of a reserve, and the granted patterns that match no file yet."""

    outcome: Outcome
    unmatched: tuple[bytes, ...] = ()


def reserve(
    here: Here,
    typed: Sequence[bytes],
    wish: Wish,
    *,
    waiting: Callable[[Outcome], None] = lambda seen: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Reserved:
    """Reserves every pattern, or none when somebody else is in the way; then the outcome has conflicts.

    With ``wish.wait_ms``, waits that long for its turn; ``waiting`` is called with what it waits for, and ``sleep``
    with seconds. Whatever ``sleep`` raises ends the waiting, and the place in the queue is given up.
    Raises :class:`guard.model.UsageError` for a pattern that cannot be reserved.
    """
    here.making = here.making if here.making != NEVER else FIRST
    wanted = checked_wish(here, typed, wish)
    terms = Terms(
        exclusive=wish.exclusive,
        reason=wish.reason,
        ttl_ms=here.settings.ttl_ms() if wish.ttl_ms is None else wish.ttl_ms,
        fold=here.settings.fold,
        shorten=wish.ttl_ms is not None,
    )
    with here.writing() as store:
        outcome = store.reserve(here.actor, wanted, terms)
        if wish.wait_ms and not outcome.reservations:
            outcome = reserve_in_turn(
                store,
                here.actor,
                wanted,
                terms,
                wait_ms=wish.wait_ms,
                clock=now_ms,
                sleep=sleep,
                waiting=waiting,
            )
    if wish.settle and outcome.reservations:
        outcome = settle(outcome)
    unmatched = arguments.unmatched(here, wanted) if outcome.reservations else []
    return Reserved(outcome, tuple(want.pattern for want in unmatched))


def settle(outcome: Outcome) -> Outcome:
    """Waits until no commit on any machine can miss what was granted, and returns the outcome as it is then.

    Raises :class:`GuardError` when the system has no clock to measure that time.
    """
    from guard.union.lease import settled_ms
    from guard.words import length

    began_ns = system.boot_clock_ns()
    if began_ns is None and outcome.lease_ms:
        raise GuardError(
            f"this system has no clock for --settle; what was reserved is in force after {length(outcome.lease_ms)}",
            hint="guard list --mine",
        )
    until_ns = (began_ns or 0) + settled_ms(outcome.lease_ms) * 1_000_000
    while (left_ns := until_ns - (system.boot_clock_ns() or until_ns)) > 0:
        time.sleep(left_ns / 1e9)
    return outcome._replace(lease_ms=0)


def checked_wish(here: Here, typed: Sequence[bytes], wish: Wish) -> list[Wanted]:
    """The patterns to reserve. Raises :class:`guard.model.GuardError` for an argument that cannot be reserved."""
    from guard.work.questions import staged

    checked_reason(wish.reason)
    paths = set(here.index.changed()) if wish.changed else set()
    paths |= {change.path for change in staged(here)} if wish.staged else set()
    found = {want.pattern: want for want in arguments.wanted(here, typed)}
    for path in sorted(paths):
        found.setdefault(literal(path), Wanted(literal(path), literal(path)))
    if not found:
        what = "staged" if wish.staged and not wish.changed else "changed"
        raise GuardError(f"nothing is {what} here", hint="git status", code=EXIT_REFUSED)
    return list(found.values())


class Released(Record):
    """What was released, which changes of it this worktree has not committed or pushed, and what is kept until then.

    ``warning`` says why these changes could not be looked for; "" if they could.
    """

    outcome: Outcome
    left: Pending
    kept: tuple[Reservation, ...] = ()
    warning: str = ""


def release_watching(here: Here, choice: Choice, *, after_push: bool) -> Released:
    """As :func:`release`, and finds out which changes are not pushed yet. With ``after_push``, their reservations are
    kept until they are pushed.
    """
    if not after_push:
        outcome = release(here, choice)
        try:
            return Released(outcome, pending.left(here, [row.pattern for row in outcome.reservations]))
        except GitError as error:  # the release stands
            why = f"cannot tell whether you have changes there that are not pushed: {error.what}"
            return Released(outcome, pending.Pending(), warning=why)
    chosen, named = _chosen(here, choice)
    active = here.store.active(here.project)
    rows = [row for row in active.reservations if row.holder == here.me]
    rows = [row for row in rows if choice.everything or row.id in chosen.ids]
    waiting = [row for row in rows if pending.left(here, [row.pattern]) != pending.Pending()]
    kept = pending.keep_until_pushed(here, waiting) if waiting else ()
    free = tuple(number for number in chosen.ids if number not in {row.id for row in waiting})
    if choice.everything:
        free = tuple(row.id for row in rows if row not in waiting)
    outcome = Outcome(active.generation)
    if free:
        with here.writing() as store:
            outcome = store.release(here.actor, Chosen(ids=free))
    left = pending.left(here, [row.pattern for row in kept])
    return Released(_with_missing(outcome, named), left, kept)


def release(here: Here, choice: Choice) -> Outcome:
    """Ends chosen reservations of the holder."""
    chosen, named = _chosen(here, choice)
    if named is not None and here.store.kind.writable and not (chosen.ids or chosen.everything):
        return Outcome(named.generation, not_found=named.missing)
    with here.writing() as store:
        return _with_missing(store.release(here.actor, chosen), named)


def renew(here: Here, choice: Choice, *, ttl_ms: int | None = None) -> Outcome:
    """Makes chosen reservations of the holder end ``ttl_ms`` from now, or after the configured length."""
    length = here.settings.ttl_ms() if ttl_ms is None else ttl_ms
    chosen, named = _chosen(here, choice)
    if named is not None and here.store.kind.writable and not (chosen.ids or chosen.everything):
        return Outcome(named.generation, not_found=named.missing)
    with here.writing() as store:
        return _with_missing(store.renew(here.actor, chosen, ttl_ms=length), named)


def _chosen(here: Here, choice: Choice) -> tuple[Chosen, Named | None]:
    named = arguments.named(here, choice.typed) if choice.typed else None
    ids = [*choice.ids, *(row.id for row in named.rows)] if named else list(choice.ids)
    return Chosen(ids=tuple(dict.fromkeys(ids)), everything=choice.everything), named


def _with_missing(outcome: Outcome, named: Named | None) -> Outcome:
    return outcome._replace(not_found=(*outcome.not_found, *named.missing)) if named else outcome


def break_(here: Here, ids: Sequence[int], *, holders: Sequence[str] = (), reason: str) -> Outcome:
    """Ends reservations of others: those with these numbers, and all that these holders have.

    A holder is given by the full name or by the short one that is shown. Raises :class:`guard.model.GuardError` when a
    number is that of a reservation of the caller's own.
    """
    from guard.work.sessions import named

    why = checked_reason(reason)
    rows = here.store.active(here.project).reservations
    mine = {row.id for row in rows if row.holder == here.me}
    for number in ids:
        if number in mine:
            raise GuardError(
                f"#{number} is yours; nothing was broken", hint=f"guard release --id {number}", code=EXIT_REFUSED
            )
    meant = named(holders, {row.holder for row in rows} - {here.me})
    numbers = dict.fromkeys([*ids, *(row.id for row in rows if row.holder in meant)])
    known = {holder for holder in holders if named([holder], meant)}
    with here.writing() as store:
        outcome = store.break_(here.actor, list(numbers), reason=why)
    missing = [holder for holder in holders if holder not in known]
    return outcome._replace(not_found=(*outcome.not_found, *missing))


def checked_reason(text: str) -> str:
    """The same text. Raises :class:`guard.model.UsageError` when it cannot be stored as a reason."""
    if len(text) > REASON_MAX:
        raise UsageError(f"the reason is longer than {REASON_MAX:,} characters", hint="say it shorter")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("the reason is not UTF-8", hint="say it in UTF-8") from None
    if "\0" in text:
        raise UsageError("the reason has a NUL character", hint="leave it out")
    return text
