"""What ``guard reserve`` does; ``guard hold`` reserves its paths in the same way.

Two modules call this one: :mod:`guard.commands.reserving`, which reads the options with click, and
:mod:`guard.commands.plain` for command lines without options, which does not load click.
"""

from __future__ import annotations

import os

from guard.commands import render
from guard.commands.reply import Reply
from guard.model import EXIT_DONE, EXIT_REFUSED, UsageError
from guard.repo import settings
from guard.stores.choose import FIRST
from guard.words import length, quoted, safe, to_stderr
from guard.work import leases, relatives
from guard.work.here import now_ms
from guard.work.leases import Wish

SHOWN = 15
"""How many reservations in the way are listed; one more line counts the others."""
IDS_TYPED = 12
"""How many numbers of reservations a suggested command names at most."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.stores.interface import Outcome
    from guard.work.here import Here
    from guard.work.leases import Reserved


def reserve(
    here: Here,
    *,
    patterns: Sequence[str] = (),
    changed: bool = False,
    staged: bool = False,
    shared: bool = False,
    ttl: str | None = None,
    reason: str = "",
    wait: str | None = None,
    settle: bool = False,
    as_json: bool = False,
) -> int:
    """Reserves all of the paths, or none when somebody else is in the way; prints the answer. Returns the exit code.

    ``ttl`` and ``wait`` are durations such as "2h". The other arguments are as in :class:`guard.work.leases.Wish`.
    Raises :class:`UsageError` when nothing to reserve is named.
    """
    if not (patterns or changed or staged):
        raise UsageError("Missing argument 'PATTERN...'", hint="guard reserve src/auth   (or --changed, --staged)")
    reply = Reply(here, as_json=as_json)
    wish = Wish(
        exclusive=not shared,
        reason=reason,
        ttl_ms=ttl_ms(ttl),
        wait_ms=wait_ms(wait),
        changed=changed,
        staged=staged,
        settle=settle,
    )
    reserved = reserve_and_tell(reply, patterns, wish, wait=wait or "")
    outcome = reserved.outcome
    if not outcome.reservations:
        what = [*(["--changed"] if changed else []), *(["--staged"] if staged else [])]
        again = same_request(patterns, shared=shared, ttl=ttl, reason=reason)
        say_not_granted(reply, outcome, " ".join(filter(None, [*what, again])), waited=wait)
    for unmatched in reserved.unmatched:
        reply.note(f"{safe(unmatched)} matches no file yet")
    reply.say(lambda: render.outcome_json("granted", outcome, me=here.me), lambda: _lines_of_granted(reserved))
    return EXIT_DONE if outcome.reservations else EXIT_REFUSED


def _lines_of_granted(reserved: Reserved) -> list[str]:
    notes = dict.fromkeys(reserved.unmatched, "   (matches no file yet)")
    rows = reserved.outcome.reservations
    return [render.granted(row, now=now_ms()) + notes.get(row.pattern, "") for row in rows]


def ttl_ms(text: str | None) -> int | None:
    """The length of a lease in ms; None without the option. Raises :class:`UsageError` for a wrong length."""
    return None if text is None else settings.ttl(text, what="--ttl")


def wait_ms(text: str | None) -> int:
    """How long to wait in ms; 0 without the option. Raises :class:`UsageError` for a text that is no duration."""
    return 0 if text is None else settings.duration(text, what="--wait")


def same_request(typed: Sequence[str], *, shared: bool, ttl: str | None, reason: str) -> str:
    """The same request again, as words of a command that can be pasted."""
    options = ["--shared"] if shared else []
    options += [f"--ttl {quoted(os.fsencode(ttl))}"] if ttl else []
    options += [f"--reason {quoted(os.fsencode(reason))}"] if reason else []
    return " ".join([*options, *(quoted(os.fsencode(word)) for word in typed)])


def reserve_and_tell(reply: Reply, typed: Sequence[str], wish: Wish, *, wait: str) -> Reserved:
    """Reserves what was typed, and prints notices, warnings, and whom it waits for. ``wait`` is the option as typed."""
    words = list(map(os.fsencode, typed))
    leases.checked_wish(
        reply.here, words, wish
    )  # an argument that cannot be reserved raises before anything is printed
    reply.here.making = FIRST
    reply.tell()
    reply.warn_unless_in_force()
    reply.warn(*relatives.remarks(reply.here, reply.here.store, ask=False))
    said: list[str] = []

    def say_waiting(seen: Outcome) -> None:
        if not said:
            said.append(wait)
            _say_waiting(seen, wait)

    reserved = leases.reserve(reply.here, words, wish, waiting=say_waiting)
    if reserved.outcome.reservations and reserved.outcome.lease_ms:
        late = length(rounded_up(reserved.outcome.lease_ms))
        to_stderr(f"guard: in force on other machines within {late}; for their pushes, and on this machine, at once.")
    return reserved


def rounded_up(ms: int) -> int:
    """A length of time in ms, rounded up to whole seconds."""
    return -(-ms // 1000) * 1000


def _say_waiting(outcome: Outcome, wait: str) -> None:
    if outcome.conflicts:
        to_stderr(f"guard: waiting, {wait} at most, for:")
        _print_in_the_way(outcome)
    else:
        to_stderr(f"guard: waiting, {wait} at most: {outcome.ahead} came earlier and want some of the same.")


def say_not_granted(reply: Reply, outcome: Outcome, again: str, *, waited: str | None) -> None:
    """Prints who is in the way, and what to type next. ``again`` are the words of the same request."""
    after = f" after {waited}" if waited else ""
    to_stderr(f"guard: nothing was reserved{after}: others are in the way.")
    _print_in_the_way(outcome)
    if outcome.ahead:
        to_stderr(f"  {outcome.ahead} came earlier and want some of the same.")
    ids = list(dict.fromkeys(str(found.reservation.id) for found in outcome.conflicts))
    if reply.here.store.kind.writable:
        reply.suggest(f"guard reserve --wait 5m {again}", note="wait for your turn; if it does not come, try later")
        if 0 < len(ids) <= IDS_TYPED:
            reply.suggest(f"guard break {' '.join(ids)} --reason 'why'", note="ask them first; they are told")
        elif ids:
            reply.suggest("guard list --theirs", note="who holds what; ask them")


def _print_in_the_way(outcome: Outcome) -> None:
    """Prints the first of those who are in the way, and how many there are besides."""
    lines = render.in_the_way(outcome, now=now_ms())
    for line in lines[:SHOWN]:
        to_stderr(line)
    if len(lines) > SHOWN:
        to_stderr(f"  … and {len(lines) - SHOWN} more")
