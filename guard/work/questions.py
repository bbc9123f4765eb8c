"""Answers to questions: who holds what, would this be refused, what happened, who am I?"""

from __future__ import annotations

import time

from guard import system
from guard.model import Change, Conflict, UsageError, Verdict
from guard.patterns.grammar import literal, literal_path
from guard.record import Record
from guard.work import arguments
from guard.work.here import now_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from guard.model import Reservation
    from guard.stores.interface import Entry, Snapshot, Store
    from guard.work.here import Here


WATCH_LOOK_S = 0.2
"""How often a watcher looks whether the store has changed, in seconds."""
WATCH_MS = 15_000
"""How often it asks again when nothing has changed, in ms."""
LOG_MAX = 1_000_000
"""How many entries of the log are searched at most."""

HELD, MINE, SHARED, FREE = "held", "mine", "shared", "free"
"""The states of a path: held exclusively by somebody else, reserved by the holder, shared by others, or free."""


class Asked(Record):
    """A path or a pattern that was asked about, relative to the top, and every active reservation that covers it.

    ``fenced`` tells that the fence of this worktree (guard.only) does not cover all of it, so that a change of it can
    be refused.
    """

    path: bytes
    reservations: tuple[Reservation, ...]
    fenced: bool = False

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
    """The answers about several paths, for the holder ``me``. ``generation`` is that of the state that was read."""

    asked: tuple[Asked, ...]
    generation: int
    me: str

    def verdict(self) -> Verdict:
        """The same as a verdict, with a conflict for each path and each exclusive reservation of
        others that covers it.
        """
        found = [Conflict(one.path, None, row) for one in self.asked for row in one.held_by_others(self.me)]
        return Verdict(tuple(found), self.generation)

    def fenced(self) -> list[bytes]:
        """The paths that leave the fence, in the order in which they were asked about."""
        return [one.path for one in self.asked if one.fenced]


class Log(Record):
    """Entries of the log, the latest last, and the generation as of which they were read."""

    entries: tuple[Entry, ...]
    generation: int


class Filter(Record):
    """Which reservations to list: whose, those that end within ``soon_ms`` ms, and those on some paths, as they were
    typed.
    """

    mine: bool = False
    theirs: bool = False
    soon_ms: int | None = None
    paths: tuple[bytes, ...] = ()


class LogFilter(Record):
    """Which entries of the log to list: on which paths, of which holders and events, and not older than ``since_ms``
    ms.
    """

    paths: tuple[bytes, ...] = ()
    holders: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    since_ms: int | None = None


ALL, WHOLE_LOG = Filter(), LogFilter()


def held(here: Here, only: Filter = ALL, *, ended: bool = False, all_projects: bool = False) -> Snapshot:
    """The reservations in this project now; those that have ended; or those in all projects of the store."""
    patterns = [want.pattern for want in arguments.wanted(here, only.paths, verb="list")]
    if all_projects:
        found = here.store.everywhere()
    elif ended:
        found = here.store.ended(here.project)
    elif only.mine and not only.theirs:
        found = here.store.of_holder(here.project, here.me)
    else:
        found = here.store.near(here.project, patterns) if patterns else here.store.active(here.project)
    if only == ALL:
        return found
    return found._replace(reservations=tuple(row for row in found.reservations if _is_asked(here, row, only, patterns)))


def _is_asked(here: Here, row: Reservation, only: Filter, patterns: Sequence[bytes]) -> bool:
    from guard.patterns.overlap import overlap

    if only.mine != only.theirs and (row.holder == here.me) != only.mine:
        return False
    if only.soon_ms is not None and (row.expires_at is None or row.expires_at > now_ms() + only.soon_ms):
        return False
    return not patterns or any(overlap(each, row.pattern, fold=here.settings.fold) for each in patterns)


def changes_of(here: Here, only: Filter, *, all_projects: bool) -> Iterator[Snapshot]:
    """The list now, and again after each change; never ends by itself.

    If the store is a server, the unions on this machine are kept fresh meanwhile, so that commits here need not ask it.
    """
    before: Snapshot | None = None
    fresh = _KeptFresh(here.store)
    while True:
        seen = here.store.version()
        found = held(here, only, all_projects=all_projects)
        if found != before:
            yield found
            before = found
        expiries = [row.expires_at for row in found.reservations if row.expires_at is not None]
        latest = min([now_ms() + WATCH_MS, *expiries])
        while here.store.version() == seen and now_ms() < latest:
            fresh.look()
            time.sleep(WATCH_LOOK_S)


class _KeptFresh:
    """Renews the unions of a server's store each time a third of the lease has passed (:mod:`guard.union.lease`).

    When this process ends or is stopped, their deadlines pass.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next_ns = 0

    def look(self) -> None:
        now_ns = system.boot_clock_ns()
        if not self._store.kind.leased or now_ns is None or now_ns < self._next_ns:
            return
        from guard.union.renewal import prolong_all

        self._next_ns = now_ns + prolong_all(self._store) * 1_000_000 // 3


def check_paths(here: Here, typed: Iterable[bytes], *, as_named: bool = False) -> Checked:
    """Would a change of these paths be refused? A directory stands for everything below it, a pattern for what it
    matches.

    With ``as_named``, the paths are as another program prints them, and no sign in them is a wildcard.
    """
    from guard.patterns.overlap import overlap

    asked = _asked(here, typed, as_named=as_named)
    plain = [path for path, pattern in asked if pattern is None]
    wide = [literal(path) if pattern is None else pattern for path, pattern in asked]
    is_wide = any(pattern is not None for _, pattern in asked)
    snapshot = here.store.near(here.project, wide) if is_wide else here.store.covering(here.project, plain)
    fold, found = here.settings.fold, []
    covering = _covering(snapshot.reservations, plain, fold=fold)
    for (path, pattern), fenced in zip(asked, _fenced(here, asked), strict=True):
        if pattern is None:
            rows = covering[path]
        else:
            rows = [row for row in snapshot.reservations if overlap(pattern, row.pattern, fold=fold)]
        found.append(Asked(path, tuple(rows), fenced))
    return Checked(tuple(found), snapshot.generation, here.me)


def _fenced(here: Here, asked: Sequence[tuple[bytes, bytes | None]]) -> list[bool]:
    """For each name: can a change of it leave this worktree's fence?"""
    only = here.settings.only
    if not only:
        return [False] * len(asked)
    from guard.repo.fence import leaves

    return leaves(asked, only, fold=here.settings.fold)


def _covering(rows: Sequence[Reservation], paths: Iterable[bytes], *, fold: bool) -> dict[bytes, list[Reservation]]:
    """The reservations that cover each path or a directory above it."""
    if not rows:
        return {path: [] for path in paths}
    from guard.patterns.match import Union

    union = Union([row.pattern for row in rows], fold=fold)
    return {path: [rows[number] for number in union.attribute(path)] for path in paths}


def _asked(here: Here, typed: Iterable[bytes], *, as_named: bool) -> list[tuple[bytes, bytes | None]]:
    """Each argument as a path, and for a directory or a glob the pattern of what it stands for."""
    if as_named:
        found: list[tuple[bytes, bytes | None]] = []
        for path in dict.fromkeys(arguments.path(here, name) for name in typed):
            is_directory = not path or here.tree.is_directory(path)
            found.append((path or b".", literal(path) if is_directory else None))
        return found
    found = []
    for want in arguments.wanted(here, list(typed), verb="check"):
        named = literal_path(want.pattern)
        if named is None:
            found.append((want.pattern, want.pattern))
        elif here.tree.is_directory(named):
            found.append((named, want.pattern))
        else:
            found.append((named, None))
    return found


def check_changes(here: Here, changes: Sequence[Change]) -> Verdict:
    """Would a commit with these changes be refused?"""
    from guard.judge import verdict

    return verdict(here.store, changes, project=here.project, me=here.me, fold=here.settings.fold)


def staged(here: Here) -> list[Change]:
    """What the next commit changes."""
    return here.staged_changes()


def between(here: Here, old: str, new: str) -> list[Change]:
    """What differs between two commits or trees. Raises :class:`guard.model.UsageError` for a name that is neither."""
    from guard.repo import changes, git

    with here.asking():
        for name in (old, new):
            accepted = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{tree}}"]
            if name.startswith("-") or git.answer(accepted, accept=(0, 1, 128))[0]:
                raise UsageError(f"{name!a} names no commit here", hint="git log --oneline -5")
        return changes.between(old, new)


def check_changed(here: Here) -> Checked:
    """Would a commit of everything that is changed in the work tree be refused?"""
    return check_paths(here, [b":/" + path for path in here.index.changed()], as_named=True)


def passes_because(here: Here) -> str:
    """Why a hook would let a conflict pass now, in words; "" when it would refuse the change."""
    from guard.repo.settings import skip_variable, softened_mode

    kind, mode = here.store.kind, here.settings.mode
    variable = skip_variable(here.environment, also=kind.skip_variables)
    if variable:
        return f"{variable} is set"
    mode = softened_mode(mode, here.environment, by=kind.mode_variable)
    return f"the mode is {mode.value}, from {mode.source}" if mode.value in ("warn", "off") else ""


def log(here: Here, *, limit: int, only: LogFilter = WHOLE_LOG) -> Log:
    """The newest ``limit`` entries of this project's log that the filter lets through, the latest last."""
    generation = here.store.active(here.project).generation
    if only == WHOLE_LOG:
        return Log(tuple(here.store.log(here.project, limit=limit)), generation)
    patterns = [want.pattern for want in arguments.wanted(here, only.paths, verb="log")]
    since = 0 if only.since_ms is None else now_ms() - only.since_ms
    found = [
        entry
        for entry in here.store.log(here.project, limit=LOG_MAX)
        if entry.at >= since and _is_asked_of_log(here, entry, only, patterns)
    ]
    return Log(tuple(found[-limit:]), generation)


def _is_asked_of_log(here: Here, entry: Entry, only: LogFilter, patterns: Sequence[bytes]) -> bool:
    from guard.patterns.overlap import overlap

    if only.holders and not {entry.holder, entry.whose} & set(only.holders):
        return False
    if only.events and entry.event not in only.events:
        return False
    if not patterns:
        return True
    on = entry.pattern
    return on is not None and any(overlap(each, on, fold=here.settings.fold) for each in patterns)


def generation(here: Here) -> int:
    """The number of the project's present state; each change of a reservation adds one."""
    return here.store.active(here.project).generation
