"""What people and agents ask: who holds what, would this be refused, what happened, who am I."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from guard.model import Change, Conflict, UsageError, Verdict
from guard.record import Record
from guard.work import arguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guard.stores.interface import Entry, Snapshot
    from guard.work.here import Here


class Log(Record):
    """Entries of the log, the latest last, and the generation as of which they were read."""

    entries: tuple[Entry, ...]
    generation: int


def held(here: Here, *, ended: bool = False, all_projects: bool = False) -> Snapshot:
    """What is reserved in this project now, or what has ended, or what is reserved in all projects of the store."""
    if all_projects:
        return here.store.everywhere()
    return here.store.ended(here.project) if ended else here.store.active(here.project)


def check_paths(here: Here, typed: Iterable[bytes]) -> Verdict:
    """Would changing these paths be refused? A directory stands for everything below it."""
    from guard.judge import below, verdict

    top = here.place.top
    paths = [arguments.path(here, name) for name in typed]
    directories = [path for path in paths if not path or (top and os.path.isdir(os.path.join(top, path)))]
    fold = here.settings.fold
    answer = verdict(here.store, [Change(path) for path in paths if path], project=here.project, me=here.me, fold=fold)
    if not directories:
        return answer
    found: list[Conflict] = list(answer.conflicts)
    snapshot = here.store.active(here.project)
    seen = {(conflict.path, conflict.reservation.id) for conflict in found}
    found += [
        conflict
        for conflict in below(directories, snapshot.reservations, me=here.me, fold=fold)
        if (conflict.path, conflict.reservation.id) not in seen
    ]
    return Verdict(tuple(found), snapshot.generation)


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
