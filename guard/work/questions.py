"""What people and agents ask: who holds what, would this be refused, what happened, who am I."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from guard.model import Change, Conflict, UsageError, Verdict
from guard.patterns.grammar import is_literal, literal, prefix
from guard.record import Record
from guard.work import arguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guard.model import Reservation
    from guard.stores.interface import Entry, Snapshot
    from guard.work.here import Here


HELD, MINE, SHARED, FREE = "held", "mine", "shared", "free"
"""What a path can be to somebody: held by another exclusively, reserved by themselves, shared by others, or free."""


class Asked(Record):
    """A path or a pattern that was asked about, relative to the top, and every active reservation that covers it."""

    path: bytes
    reservations: tuple[Reservation, ...]

    def held_by_others(self, me: str) -> list[Reservation]:
        """The reservations that would refuse a change of it by ``me``."""
        return [row for row in self.reservations if row.exclusive and row.holder != me]

    def state(self, me: str) -> str:
        """HELD, MINE, SHARED or FREE."""
        if self.held_by_others(me):
            return HELD
        if any(row.holder == me for row in self.reservations):
            return MINE
        return SHARED if self.reservations else FREE


class Checked(Record):
    """What was asked about, as of a generation, by ``me``."""

    asked: tuple[Asked, ...]
    generation: int
    me: str

    def verdict(self) -> Verdict:
        """The same as a verdict: one conflict for each reservation of others in the way of a path."""
        found = [Conflict(one.path, None, row) for one in self.asked for row in one.held_by_others(self.me)]
        return Verdict(tuple(found), self.generation)


class Log(Record):
    """Entries of the log, the latest last, and the generation as of which they were read."""

    entries: tuple[Entry, ...]
    generation: int


def held(here: Here, *, ended: bool = False, all_projects: bool = False) -> Snapshot:
    """What is reserved in this project now, or what has ended, or what is reserved in all projects of the store."""
    if all_projects:
        return here.store.everywhere()
    return here.store.ended(here.project) if ended else here.store.active(here.project)


def check_paths(here: Here, typed: Iterable[bytes], *, as_named: bool = False) -> Checked:
    """Would changing these be refused? A directory stands for everything below it, a pattern for what it matches.

    ``as_named``: they are names as another program prints them, in which no sign is a wildcard.
    """
    from guard.patterns.overlap import overlap

    asked = _asked(here, typed, as_named=as_named)
    plain = [path for path, pattern in asked if pattern is None]
    wide = any(pattern is not None for _, pattern in asked)
    snapshot = here.store.active(here.project) if wide else here.store.covering(here.project, plain)
    fold, found = here.settings.fold, []
    covering = _covering(snapshot.reservations, plain, fold=fold)
    for path, pattern in asked:
        if pattern is None:
            rows = covering[path]
        else:
            rows = [row for row in snapshot.reservations if overlap(pattern, row.pattern, fold=fold)]
        found.append(Asked(path, tuple(rows)))
    return Checked(tuple(found), snapshot.generation, here.me)


def _covering(rows: Sequence[Reservation], paths: Iterable[bytes], *, fold: bool) -> dict[bytes, list[Reservation]]:
    """For each path the reservations that cover it, or a directory above it."""
    if not rows:
        return {path: [] for path in paths}
    from guard.patterns.match import Union

    union = Union([row.pattern for row in rows], fold=fold)
    return {path: [rows[number] for number in union.attribute(path)] for path in paths}


def _asked(here: Here, typed: Iterable[bytes], *, as_named: bool) -> list[tuple[bytes, bytes | None]]:
    """Each argument as a path, and for a directory or a glob the pattern of what it stands for."""
    top = here.place.top
    if as_named:
        found: list[tuple[bytes, bytes | None]] = []
        for path in dict.fromkeys(arguments.path(here, name) for name in typed):
            is_directory = not path or (top is not None and os.path.isdir(os.path.join(top, path)))
            found.append((path or b".", literal(path) if is_directory else None))
        return found
    found = []
    for want in arguments.wanted(here, list(typed), verb="check"):
        path = prefix(want.pattern)
        if not is_literal(want.pattern):
            found.append((want.pattern, want.pattern))
        elif top is not None and os.path.isdir(os.path.join(top, path)):
            found.append((path, want.pattern))
        else:
            found.append((path, None))
    return found


def check_changes(here: Here, changes: Sequence[Change]) -> Verdict:
    """Would a commit with these changes be refused?"""
    from guard.judge import verdict

    return verdict(here.store, changes, project=here.project, me=here.me, fold=here.settings.fold)


def staged(here: Here) -> list[Change]:
    """What the next commit changes."""
    from guard.repo import changes

    return changes.of_commit(here.place)


def between(old: str, new: str) -> list[Change]:
    """What differs between two commits. Raises :class:`guard.model.UsageError` for what can name none."""
    from guard.repo import changes

    for name in (old, new):
        if name.startswith("-"):
            raise UsageError(f"{name!a} names no commit", hint="guard check --from main --to HEAD")
    return changes.between(old, new)


def log(here: Here, *, limit: int) -> Log:
    """The newest entries of this project's log."""
    generation = here.store.active(here.project).generation
    return Log(tuple(here.store.log(here.project, limit=limit)), generation)


def generation(here: Here) -> int:
    """The number of the project's present state; each change of a reservation adds one."""
    return here.store.active(here.project).generation
