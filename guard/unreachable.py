"""What a hook decides while the server of the store gives no answer.

A path that was reserved when the server last answered is still refused, with the name of its holder. Within the lease,
a commit of other paths passes. After the lease (:mod:`guard.union.lease`), guard cannot tell what has been reserved
meanwhile. Then guard.offline may let commits pass for a while, with a message; without it there is no verdict, and
guard.onError decides. A push never passes by what was known.
"""

from __future__ import annotations

import os

from guard import system
from guard.events import by_name
from guard.model import EXIT_DONE, EXIT_REFUSED, GuardError, UsageError, reservations_in
from guard.record import Record
from guard.repo import standpoint
from guard.repo.known_settings import duration
from guard.repo.place import in_hook
from guard.repo.settings import skip_variable, softened_mode
from guard.stores import freshness
from guard.stores.interface import Unreachable
from guard.stores.kinds import kind_of
from guard.union import known, published
from guard.union import lease as leases
from guard.words import length, safe, to_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Change, Reservation
    from guard.repo.place import Place
    from guard.repo.settings import Settings

_NOTE = b"unreachable"
LINES_MAX = 20
"""How many lines a refusal lists at most."""


class _Known(Record):
    """What the server said last.

    ``rows`` are the reservations. ``age_ms`` is how long ago the server was asked, None if that was before this machine
    was started. ``current`` tells whether the lease still holds.
    """

    rows: list[Reservation]
    age_ms: int | None
    current: bool


def note(error: Unreachable) -> None:
    """Notes the cause for the next stage of the same hook, so that this stage need not wait for the server again."""
    try:
        with open(_note_file(in_hook()), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{error.what}\0{error.hint}")
    except OSError:
        return  # then the next stage asks the server itself


def raise_noted(place: Place) -> None:
    """Raises the :class:`Unreachable` that :func:`note` has noted, and removes the note. Without a note, returns."""
    path = _note_file(place)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            what, _, hint = file.read().partition("\0")
        os.unlink(path)
    except OSError:
        return
    raise Unreachable(what, hint=hint)


def _note_file(place: Place) -> bytes:
    return os.path.join(place.unions_dir, published.slot_of(standpoint.environment()), _NOTE)


def conclude(error: Unreachable, settings: Settings, changes: Sequence[Change], *, place: Place, event: str) -> int:
    """Judges by what was known, prints the verdict, and returns the exit code.

    Raises :class:`GuardError` when that is not enough for a verdict.
    """
    verb = by_name(event).verb
    variable = skip_variable(standpoint.environment(), also=kind_of(settings.store.value).skip_variables)
    if variable:
        to_stderr(f"guard: {variable} is set: this {verb} is not judged. That is not recorded: {safe(error.what)}")
        return EXIT_DONE
    found = _known(settings, place)
    if found is None:
        raise error
    if _touches(found, error, settings, changes, verb=verb):
        mode = softened_mode(settings.mode, standpoint.environment(), by=kind_of(settings.store.value).mode_variable)
        return EXIT_DONE if mode.value == "warn" else EXIT_REFUSED
    if verb != "push" and found.current:
        return EXIT_DONE
    offline_ms = _offline_ms(settings)
    if verb != "push" and found.age_ms is not None and found.age_ms < offline_ms:
        to_stderr(
            f"guard: OFFLINE: this {verb} is judged by what was reserved {length(found.age_ms)} ago. What was reserved"
            f" since is not known: {safe(error.what)}.\n  guard.offline allows that for {length(offline_ms)}; a push"
            " will be judged when the server answers."
        )
        return EXIT_DONE
    raise GuardError(
        f"{error.what}; {_age(found)}, and what was reserved since is not known", hint=error.hint
    ) from error


def _known(settings: Settings, place: Place) -> _Known | None:
    """What was published for this holder, project and store; None if nothing was."""
    slot = os.path.join(place.unions_dir, published.slot_of(standpoint.environment()))
    current = published.load(slot)
    if current is None or current.lease is None:
        return None
    asked_for = (settings.holder.value, settings.project.value, settings.store.value, settings.fold)
    identity = current.identity
    if asked_for != (identity.holder.decode(), identity.project.decode(), os.fsdecode(identity.store), identity.fold):
        return None
    rows = known.read(slot, current)
    if rows is None:
        return None
    age_ms = leases.age_ms(current.lease, boot=freshness.boot(), now_ns=system.boot_clock_ns() or -1)
    return _Known(rows, age_ms, published.was_made_here(current) and published.lease_holds(current))


def _touches(found: _Known, error: Unreachable, settings: Settings, changes: Sequence[Change], *, verb: str) -> bool:
    """Does a change touch what was reserved when the server last answered? Prints it if it does."""
    from guard.judge import conflicts
    from guard.refusal import holders
    from guard.words import conflicts_in_words

    touched = conflicts(changes, found.rows, me=settings.holder.value, fold=settings.fold)
    if not touched:
        return False
    warned = settings.mode.value == "warn"
    verdict = f"warning, this {verb} goes through (mode warn)" if warned else f"{verb} refused"
    lines = conflicts_in_words(touched, now=standpoint.now_ms())
    rows = reservations_in(touched)
    to_stderr(f"guard: {verdict}: it changes what was reserved by {holders(rows)} when the server last answered.")
    to_stderr("\n".join(lines[:LINES_MAX]))
    if len(lines) > LINES_MAX:
        to_stderr(f"  … and {len(lines) - LINES_MAX} more lines")
    to_stderr(f"  The server gives no answer now: {safe(error.what)}; {_age(found)}.")
    to_stderr(f"  next: {error.hint}\n        GUARD_SKIP=1 git {verb} ...   (once past guard)")
    return True


def _age(found: _Known) -> str:
    if found.age_ms is None:
        return "it was last asked before this machine was started"
    return f"it was last asked {length(found.age_ms)} ago"


def _offline_ms(settings: Settings) -> int:
    """How long commits may pass without the server, in ms; 0 when they may not, or when the value is no duration."""
    if not settings.offline.value:
        return 0
    try:
        return duration(settings.offline.value)
    except UsageError:
        to_stderr(
            f"guard: guard.offline (from {settings.offline.source}) is not a duration such as 15m, so it is not used."
        )
        return 0
