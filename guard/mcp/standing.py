"""What one call sees, with libgit2's answers where they are the same as git's.

It is made for each call: nothing is kept between calls that a commit hook would not keep.
:class:`AtOnce` is for calls that nobody may have to wait for.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from guard import system
from guard.install.remarks import remarks_in_force
from guard.mcp import identity
from guard.mcp.unchanged import View
from guard.model import Change, GuardError, UsageError
from guard.repo import libgit2
from guard.repo.defaults import read_note
from guard.repo.diverted import diversions
from guard.repo.index import Index
from guard.repo.place import ELSEWHERE
from guard.repo.settings import patience_s
from guard.stores import freshness
from guard.stores.interface import WouldWait
from guard.stores.kinds import is_leased
from guard.union import published
from guard.union.renewal import prolong_slot, renew_slot
from guard.work import pending
from guard.work.here import Here, Writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from guard.mcp.kept import KeptStore
    from guard.mcp.unchanged import Views
    from guard.repo.git import Configured
    from guard.repo.place import Place
    from guard.repo.settings import Settings
    from guard.stores.interface import Store
    from guard.union.lease import Lease


CWD = 'name a directory of the repository that you mean: "cwd": "/path/to/it"'


class Standing(Here):
    """A call's view. ``made`` is the holder's name where nobody is named; close it when the call has ended."""

    def __init__(
        self, environment: Mapping[bytes, bytes], cwd: bytes, *, made: str, kept: KeptStore, views: Views
    ) -> None:
        super().__init__(environment, cwd)
        self._made = made
        self._kept = kept
        self._reading = views.begin(environment, cwd)
        self._view = self._reading.view
        self._asked_git = False
        self._is_looked_after = False

    @cached_property
    def place(self) -> Place:
        """The repository around ``cwd``. Raises :class:`guard.model.UsageError` outside of one."""
        if self._view is not None:
            return self._view.place
        found = libgit2.discover(self.environment, self.cwd)
        if found is not None:
            return found
        self._asked_git = True
        try:
            return super().place
        except UsageError as error:
            if error.hint != ELSEWHERE:  # that one is for a shell; another repairs what is wrong
                raise
            raise UsageError(error.what, hint=CWD) from None

    @cached_property
    def entries(self) -> list[Configured]:
        """git's configuration as it holds here."""
        if self._view is not None:
            return self._view.entries
        found = libgit2.config(self.environment, self.place)
        self._asked_git |= found is None
        return super().entries if found is None else found

    @cached_property
    def settings(self) -> Settings:
        """What is set here, for a holder who shares a name with nobody."""
        if self._view is not None:
            return self._view.settings
        return identity.with_own_name(super().settings, self._made)

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What an answer has to be read with, in sentences; nothing where all is as usual.

        Reservations are not enforced here, or the project or the store is not this repository's own.
        """
        if self._view is not None:
            return ()
        found = remarks_in_force(self.place, self.entries, mode=self.settings.mode.value)
        with self.asking():
            diverted = diversions(self.settings, self.environment, self.entries, self.place)
        found += tuple(each.sentence() for each in diverted)
        if not self._asked_git and not found:
            note = read_note(self.place.own_dir)
            self._reading.end(self.environment, self.cwd, View(self.place, self.entries, self.settings, note))
        return found

    def staged_changes(self) -> list[Change]:
        """The changes of the next commit."""
        found = libgit2.staged(self.environment, self.place, fold=self.settings.fold)
        return super().staged_changes() if found is None else [Change(path) for path in found]

    @cached_property
    def store(self) -> Store:
        """The store, opened or kept open. Raises :class:`guard.model.GuardError`."""
        return self._kept.take(self.settings.store.value, self._store_key, lambda: super(Standing, self).store)

    @cached_property
    def _store_key(self) -> object:
        """All that decides how the store is opened, and whether it may be."""
        note = self._view.note if self._view is not None else read_note(self.place.own_dir)
        return self.settings.store, self.settings.retention, patience_s(self.environment, 0), note

    def made_name(self) -> str:
        """The holder's name if the server made it; "" if the call is somebody's, or if that could not be found out."""
        if "place" not in self.__dict__:
            return ""
        try:
            return self.settings.holder.value if identity.is_made(self.settings) else ""
        except GuardError:
            return ""

    def close(self, *, keep: bool = False) -> None:
        """Closes the store if it was opened; ``keep``: all went well, so that the next call may use it."""
        if "store" not in self.__dict__:
            return
        if keep:
            asker = self._reading.key if self._is_looked_after else None
            self._kept.give_back(self.store, self._store_key, self.settings.store.value, looked_after=asker)
        else:
            self.store.close()

    def prolong_union(self) -> float | None:
        """Has this worktree's union prolonged if its store is a server and a third of its lease has passed.

        Returns when to look again, in seconds; None where there is nothing to prolong. Settings that have changed are
        left to the hook, and so is making the first union.
        """
        if identity.is_made(self.settings) or not is_leased(self.settings.store.value):
            return None
        slot = os.path.join(self.place.unions_dir, published.slot_of(self.environment))
        current = published.load(slot)
        if current is None or current.lease is None:
            return None
        if published.settings_hold(slot, current, published.key_of(self.environment)) is None:
            return None
        left_s = seconds_until_third(current.lease)
        if left_s > 0:
            return left_s
        prolong_slot(slot, self.store)
        return current.lease.length_ms / 3000

    def keep_union_fresh(self) -> None:
        """Publishes this worktree's union anew if it was published for this holder and the store has changed since.

        Then the next commit's hook finds it fresh. What only the hook may do is left to it: making the first one,
        reading settings that have changed, and telling the holder what has expired.
        """
        if not (identity.is_made(self.settings) or self.unused or is_leased(self.settings.store.value)):
            slot = os.path.join(self.place.unions_dir, published.slot_of(self.environment))
            current = published.load(slot)
            if current is not None and not published.is_fresh(slot, current, published.key_of(self.environment)):
                renew_slot(slot, self.store)
        self._is_looked_after = True

    def settle_pending(self) -> list[str]:
        """Ends what was kept until a push that has succeeded; returns what the holder is told (:mod:`pending`)."""
        return pending.settle(self)


class AtOnce(Standing):
    """A call's view in which nothing waits, writes or starts a process: what would, raises :class:`WouldWait`.

    So does making it where the settings are not proven to be as an earlier call read them. And so does the store,
    unless it is open and has not changed since this worktree's union was looked after.
    """

    def __init__(
        self, environment: Mapping[bytes, bytes], cwd: bytes, *, made: str, kept: KeptStore, views: Views
    ) -> None:
        super().__init__(environment, cwd, made=made, kept=kept, views=views)
        if self._view is None:
            raise WouldWait("the settings have to be read")

    @cached_property
    def store(self) -> Store:
        found = self._kept.lend(self.settings.store.value, self._store_key, asker=self._reading.key)
        if found is None:
            raise WouldWait("the store has to be opened, or the union to be made anew")
        return found

    @cached_property
    def me(self) -> str:
        return self.store.spelling(self.settings.checked_holder())

    def answering(self) -> AbstractContextManager[None]:
        """``with here.answering():`` all that is asked of the store is answered from one state of it, and at once."""
        found = self.store.at_once()
        if found is None:
            raise WouldWait("the store does not answer at once")
        # What they come from may open the store's file and close it again, which would drop the lock on it.
        assert self.me and self.project
        return found

    def writing(self) -> Writing:
        raise WouldWait("the store has to be written")

    @cached_property
    def index(self) -> Index:
        return _IndexAtOnce(self.place, self.environment)

    def staged_changes(self) -> list[Change]:
        raise WouldWait("the index has to be compared with HEAD")

    def settle_pending(self) -> list[str]:
        if pending.notes_of(self.place):
            raise WouldWait("git has to be asked what was pushed")
        return []

    def close(self, *, keep: bool = False) -> None:
        """Nothing was opened."""


class _IndexAtOnce(Index):
    def _asked(self, arguments: Sequence[bytes | str]) -> bytes:
        raise WouldWait("git has to be asked for the index")


def seconds_until_third(lease: Lease) -> float:
    """How long it is until a third of a lease has passed, in seconds; 0 where no clock tells, and for a past one."""
    now_ns = system.boot_clock_ns()
    if now_ns is None or lease.boot != freshness.boot() or now_ns < lease.asked_ns:
        return 0.0
    return max(0.0, lease.length_ms / 3000 - (now_ns - lease.asked_ns) / 1e9)


def directory_of_call(environment: Mapping[bytes, bytes], cwd: str | None) -> bytes:
    """The directory that a call means: its ``cwd``, else CLAUDE_PROJECT_DIR, else the one the server was started in.

    Raises :class:`UsageError` when there is no such directory.
    """
    start = environment.get(b"CLAUDE_PROJECT_DIR") or b""
    try:
        named = os.path.join(start, os.fsencode(cwd or ""))
        meant = os.path.normpath(named if os.path.isabs(named) else os.path.join(os.getcwdb(), named))
        exists = os.path.isdir(meant)
    except FileNotFoundError:
        raise UsageError("the directory that this server was started in is gone", hint=CWD) from None
    except ValueError:  # a NUL, or letters that no file system takes
        exists, meant = False, b""
    if not exists:
        what = "cwd" if cwd else "CLAUDE_PROJECT_DIR" if start else "the working directory"
        raise UsageError(f"{what} names no directory: {cwd or os.fsdecode(start)!a}", hint=CWD)
    return meant
