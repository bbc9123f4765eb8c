"""Before an edit: may these files be written, and are they reserved by the edit?"""

from __future__ import annotations

import os

from guard.agents import notes, quick
from guard.agents.locate import is_set_up, locate
from guard.agents.quick import now_ms
from guard.agents.world import AUTO_REASON, World
from guard.model import Change, Conflict, GuardError, reservations_in
from guard.repo import standpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from guard.agents.locate import Located
    from guard.model import Reservation

BYPASSED, WARNED, REFUSED = "bypassed", "warned", "refused"
"""The log's words for an edit of a reserved file that passed, that passed with a warning, and that was refused."""


def refusal_of_edit(
    paths: Iterable[bytes], cwd: bytes, environment: Mapping[bytes, bytes], note: bytes
) -> tuple[str, str]:
    """Judges the files that a tool is about to write, and reserves free ones if guard.autoReserve is set.

    Returns the reason for a refusal and a warning for the person; each is "" if there is none. ``paths`` are absolute
    or relative to ``cwd``. ``note`` is the file in which the session's edits are noted. Raises :class:`GuardError` if
    no verdict can be reached.
    """
    refusals: list[str] = []
    warnings: list[str] = []
    for located in locate(paths, cwd):
        if not is_set_up(located.place) or quick.is_done(located, environment, note, now_ms=now_ms()):
            continue
        world = World(located.place, environment)
        conflicts = conflicts_of(world, located, note)
        if conflicts:
            refused, said = decide(world, conflicts, what="edit")
            (refusals if refused else warnings).append(said)
        else:
            warnings += [f"guard: {each.sentence()}" for each in world.diverted]
            world.refresh()
            quick.remember(note, located.place, environment, world.known)
    return "\n\n".join(refusals), "\n".join(warnings)


def conflicts_of(world: World, located: Located, note: bytes) -> list[Conflict]:
    """The conflicts with reservations of others. If there are none and guard.autoReserve is set, reserves the files."""
    if world.settings.mode.value == "off":
        return []
    rows = world.store.covering(world.project, located.paths).reservations
    conflicts = _conflicts(world, located.paths, rows)
    if not conflicts and world.auto_ms and world.store.kind.writable:
        return reserve_edited(world, located.paths, rows, note)
    return conflicts


def _conflicts(world: World, paths: Sequence[bytes], rows: Sequence[Reservation]) -> list[Conflict]:
    from guard.judge import conflicts

    return conflicts([Change(path) for path in paths], rows, me=world.me, fold=world.settings.fold)


def reserve_edited(world: World, paths: Sequence[bytes], rows: Sequence[Reservation], note: bytes) -> list[Conflict]:
    """Reserves each file that this holder does not hold yet, and renews the reservations that edits have made before.

    Returns the conflicts, because another hook may have reserved a file a moment ago. A file that others hold with
    shared reservations may be edited, and is not reserved.
    """
    from guard.stores.interface import Chosen

    now = now_ms()
    seen = [edited for edited in notes.read(note) if edited.git_dir == world.place.git_dir]
    known = {edited.path: edited.id for edited in seen}
    recent = {edited.path for edited in seen if 0 <= now - edited.at < notes.RENEWED_EVERY_MS}
    mine = _held_by_me(world, paths, rows)
    noted, wanted, renewed = [], [], []
    for path in paths:
        row = mine.get(path)
        if row is None:
            wanted.append(path)
            continue
        if path in recent:
            continue
        by_editing = row.reason == AUTO_REASON and known.get(path, row.id) == row.id
        if by_editing:
            renewed.append(row.id)
        noted.append(notes.Edited(now, row.id if by_editing else 0, world.place.git_dir, path))
    if renewed:
        world.store.renew(world.actor, Chosen(ids=tuple(renewed)), ttl_ms=world.auto_ms)
    for path in wanted:
        row, conflicts = _reserve(world, path)
        if conflicts:
            return conflicts
        if row is not None:
            noted.append(notes.Edited(now, row.id, world.place.git_dir, path))
    notes.add(note, noted)
    if renewed or wanted:
        from guard.union.renewal import renew

        renew(world.store)
    return []


def _held_by_me(world: World, paths: Sequence[bytes], rows: Sequence[Reservation]) -> dict[bytes, Reservation]:
    """The paths that an exclusive reservation of this holder covers, each with that reservation."""
    mine = [row for row in rows if row.holder == world.me and row.exclusive]
    if not mine:
        return {}
    exact = {row.pattern: row for row in mine}
    from guard.patterns.grammar import literal

    found = {path: exact[literal(path)] for path in paths if literal(path) in exact}
    others = [path for path in paths if path not in found]
    if others and len(exact) > len(found):
        from guard.patterns.match import Union

        union = Union([row.pattern for row in mine], fold=world.settings.fold)
        for path in others:
            for number in union.attribute(path):
                found[path] = mine[number]
    return found


def _reserve(world: World, path: bytes) -> tuple[Reservation | None, list[Conflict]]:
    """Reserves one file exclusively: returns the reservation, or None and the conflicts.

    None and no conflicts for a file that cannot be reserved because of its name.
    """
    from guard.patterns.grammar import fault, literal
    from guard.stores.interface import Terms, Wanted

    pattern = literal(path)
    if fault(pattern):
        return None, []  # a path that no reservation can have, because it is too long
    terms = Terms(exclusive=True, reason=AUTO_REASON, ttl_ms=world.auto_ms, fold=world.settings.fold, shorten=False)
    outcome = world.store.reserve(world.actor, [Wanted(pattern, path)], terms)
    if outcome.reservations:
        return outcome.reservations[0], []
    return None, _conflicts(world, [path], [found.reservation for found in outcome.conflicts])


def decide(world: World, conflicts: Sequence[Conflict], *, what: str) -> tuple[bool, str]:
    """Is the change refused, and with which message? Writes the answer to the log.

    The mode and GUARD_SKIP count as in git's hooks. ``what`` is "edit", or a git command.
    """
    from guard.agents.words import edit_refusal
    from guard.repo.settings import skip_variable, softened_mode

    kind = world.store.kind
    mode = softened_mode(world.settings.mode, world.environment, by=kind.mode_variable)
    skip = skip_variable(world.environment, also=kind.skip_variables)
    event = BYPASSED if skip else WARNED if mode.value == "warn" else REFUSED
    rows = reservations_in(conflicts)
    top = world.place.top or b""
    if event == REFUSED:
        said = edit_refusal(conflicts, top=top, now=standpoint.now_ms(), note=_take_over(world, rows))
    else:
        names = ", ".join(dict.fromkeys(row.holder for row in rows))
        why = f"{skip} is set" if skip else f"the mode is warn ({mode.source})"
        said = f"guard: this {what} goes past what is reserved by {names}: {why}."
    paths = b", ".join(dict.fromkeys(conflict.path for conflict in conflicts)).decode("utf-8", "backslashreplace")
    _record(world, event, rows, f"{what}: {paths[:200]}")
    return event == REFUSED, said


def _take_over(world: World, rows: Sequence[Reservation]) -> str:
    """A line that names ``guard take``, when an earlier session of the same account holds the file; else ""."""
    from guard.repo.settings import principal
    from guard.words import quoted, shown_name

    own = principal(world.place.own_dir)
    former = [row.holder for row in rows if row.principal == own and shown_name(row.holder, ()) != row.holder]
    if not former or not world.store.kind.writable:
        return ""
    name = quoted(former[0].encode("utf-8", "surrogateescape"))
    return f"If that was an earlier session of yours that has ended (guard checks it): guard take {name}"


def _record(world: World, event: str, rows: Sequence[Reservation], what: str) -> None:
    """Logs what happened. A log that cannot be written changes no verdict."""
    from guard.union.renewal import renew

    if not world.store.kind.writable:
        return
    try:
        world.store.record(world.actor, event, rows, reason=what)
        renew(world.store)
    except GuardError as error:
        os.write(2, f"guard: not recorded: {error.what}\n".encode("utf-8", "backslashreplace"))
