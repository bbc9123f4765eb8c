"""Where a call stands: the view of one request, with libgit2's answers where they are git's.

Made anew for every call: nothing is kept between calls that a commit hook would not keep.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from guard.mcp import identity
from guard.model import Change, UsageError
from guard.repo import libgit2
from guard.union import published
from guard.union.renewal import renew_slot
from guard.work.here import Here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.repo.git import Configured
    from guard.repo.place import Place
    from guard.repo.settings import Settings


class Standing(Here):
    """A call's view. ``made`` is the holder's name where nobody is named; close it when the call has ended."""

    def __init__(self, environment: Mapping[bytes, bytes], cwd: bytes, *, made: str) -> None:
        super().__init__(environment, cwd)
        self._made = made

    @cached_property
    def place(self) -> Place:
        """The repository around ``cwd``. Raises :class:`guard.model.UsageError` outside of one."""
        found = libgit2.discover(self.environment, self.cwd)
        return super().place if found is None else found

    @cached_property
    def entries(self) -> list[Configured]:
        """git's configuration as it holds here."""
        found = libgit2.config(self.environment, self.place)
        return super().entries if found is None else found

    @cached_property
    def settings(self) -> Settings:
        """What is set here, for a holder who shares a name with nobody."""
        return identity.with_own_name(super().settings, self._made)

    def staged_changes(self) -> list[Change]:
        """What the next commit changes."""
        found = libgit2.staged(self.environment, self.place, fold=self.settings.fold)
        return super().staged_changes() if found is None else [Change(path) for path in found]

    def close(self) -> None:
        """Closes the store, if it was opened."""
        if "store" in self.__dict__:
            self.store.close()

    def keep_union_fresh(self) -> None:
        """Publishes this worktree's union anew if it was published for this holder and the store has changed since.

        Then the next commit's hook finds it fresh. What only the hook may do is left to it: making the first one,
        reading settings that have changed, and telling the holder what has expired.
        """
        if identity.is_made(self.settings) or self.unused:
            return
        slot = os.path.join(self.place.unions_dir, published.slot_of(self.environment))
        current = published.load(slot)
        if current is None or published.is_fresh(slot, current, published.key_of(self.environment)):
            return
        renew_slot(slot, self.store)


def directory_of_call(environment: Mapping[bytes, bytes], cwd: str | None) -> bytes:
    """The directory that a call means: its ``cwd``, else CLAUDE_PROJECT_DIR, else the one the server was started in.

    Raises :class:`UsageError` when there is no such directory.
    """
    start = environment.get(b"CLAUDE_PROJECT_DIR") or b""
    try:
        base = start if os.path.isabs(start) else os.path.join(os.getcwdb(), start)
        meant = os.path.normpath(os.path.join(base, os.fsencode(cwd or "")))
        exists = os.path.isdir(meant)
    except FileNotFoundError:
        raise UsageError("the directory that this server was started in is gone", hint='"cwd": "/path"') from None
    except ValueError:  # a NUL, or letters that no file system takes
        exists, meant = False, b""
    if not exists:
        what = "cwd" if cwd else "CLAUDE_PROJECT_DIR" if start else "the working directory"
        raise UsageError(f"{what} names no directory: {cwd or os.fsdecode(start)!a}", hint="name an existing directory")
    return meant
