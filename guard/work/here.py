"""What every function in this package starts from: the place, the settings, the store, and who acts."""

from __future__ import annotations

import os
from functools import cached_property

from guard.model import GuardError
from guard.repo import settings as settings_
from guard.repo.git import Configured, config
from guard.repo.index import Index
from guard.repo.place import Place, discover
from guard.repo.settings import Settings
from guard.repo.standpoint import asking_from, now_ms
from guard.repo.worktree import WorkTree
from guard.stores.choose import NEVER, is_unused, open_configured
from guard.stores.interface import Actor, Store
from guard.stores.kinds import kind_of
from guard.union.renewal import renew
from guard.work import line

__all__ = ["PATIENCE_S", "Here", "Writing", "here_of_process", "now_ms", "why_unreadable"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.model import Change

PATIENCE_S = 30.0
"""How many seconds a command waits for another program that has the store locked, unless GUARD_PATIENCE is set."""


_WILDCARDS = b"*?[\\!"


class Here:
    """What one request sees. Each part is read when it is first used, and stays the same afterwards.

    ``environment`` and ``cwd`` (an absolute path) are the caller's. A long-lived process makes a new ``Here`` for each
    request, so that no answer uses what was true for an earlier one.
    """

    def __init__(self, environment: Mapping[bytes, bytes], cwd: bytes) -> None:
        self.environment = environment
        self.cwd = cwd
        self.making = NEVER
        """May the store be made when it is missing? See :data:`guard.stores.choose.NEVER`."""
        self.made = ""
        """The address of the store when this request made it, so that the command can say so."""

    @cached_property
    def place(self) -> Place:
        """The repository around ``cwd``. Raises :class:`guard.model.GuardError` where git can use none."""
        with self.asking():
            return discover()

    def asking(self) -> asking_from:
        """``with here.asking():`` git is asked in this request's environment and directory, not in the process's."""
        return asking_from(self.environment, self.cwd or None)

    def anywhere(self) -> Here:
        """The same, or where git can use no repository a view of the account's settings and store."""
        try:
            assert self.place
        except GuardError:
            outside = Here(self.environment, self.cwd)
            outside.__dict__["place"] = Place(self.cwd, self.cwd, None)  # where the cached property keeps it
            return outside
        return self

    @cached_property
    def settings(self) -> Settings:
        """The settings here. Raises :class:`guard.model.UsageError` when the store's address cannot be one."""
        return settings_.read(environment=self.environment, place=self.place, entries=self.entries)

    @cached_property
    def entries(self) -> list[Configured]:
        """git's configuration as it holds here."""
        with self.asking():
            return config()

    @cached_property
    def precompose(self) -> bool:
        """Are names composed before they are stored (core.precomposeUnicode in git-config(1))?"""
        values = [entry.value for entry in self.entries if entry.key == b"core.precomposeunicode"]
        return bool(values) and settings_.is_true(values[-1])

    @cached_property
    def index(self) -> Index:
        """What is in the index."""
        return Index(self.place, self.environment)

    @cached_property
    def tree(self) -> WorkTree:
        """What lies in the work tree."""
        return WorkTree(self.place.top)

    @property
    def unused(self) -> bool:
        """Has nobody used guard here yet? Then there is no store to ask."""
        return is_unused(self.settings.store, self.place)

    @cached_property
    def store(self) -> Store:
        """The store, opened. Raises :class:`guard.model.GuardError` when it is missing or cannot be opened."""
        patience_s = settings_.patience_s(self.environment, PATIENCE_S)
        retention_ms = self.settings.retention_ms()
        opened = open_configured(
            self.settings.store,
            self.environment,
            self.place,
            patience_s=patience_s,
            make=self.making,
            retention_ms=retention_ms,
            check=True,
        )
        self.made = opened.store.address if opened.made else ""
        return opened.store

    @cached_property
    def actor(self) -> Actor:
        """Who acts. Raises :class:`guard.model.UsageError` when the holder's name cannot be a name."""
        return Actor(self.project, self.me, settings_.principal(self.place.own_dir))

    @cached_property
    def me(self) -> str:
        """The holder's name. Raises :class:`guard.model.UsageError` when nobody could be called that."""
        holder = self.settings.checked_holder()
        return self.store.spelling(holder) if kind_of(self.settings.store.value).folds_names else holder

    @cached_property
    def project(self) -> str:
        """The project's name. Raises :class:`guard.model.UsageError` when it cannot be a name."""
        return self.settings.checked_project()

    def staged_changes(self) -> list[Change]:
        """The changes of the next commit."""
        from guard.repo import changes

        with self.asking():
            return changes.of_commit(self.place)

    def writing(self) -> Writing:
        """``with here.writing() as store:`` for every change; see :class:`Writing`."""
        return Writing(self.store, self.place.git_dir)

    def exists(self, path: bytes) -> bool:
        """Does a path relative to the top exist, in the work tree or in the index?

        The index is read only for a name that could also be a pattern, because for other names the answer makes no
        difference.
        """
        if self.place.top is None:
            return False
        if self.tree.exists(path):
            return True
        return bool(path) and path.translate(None, _WILDCARDS) != path and self.index.has(path)


def here_of_process() -> Here:
    """A ``Here`` for this process: with its environment and its current directory."""
    try:
        return Here(os.environb, os.getcwdb())
    except FileNotFoundError:
        return Here(os.environb, b"")  # the directory was deleted; what needs it says so


class Writing:
    """A ``with`` block that changes the store. At its end, every union that was published from this store is brought up
    to date.

    So are the lines for prompts. Writers renew unions only here, so that the next hook finds them fresh.
    """

    def __init__(self, store: Store, git_dir: bytes) -> None:
        self._store = store
        self._git_dir = git_dir

    def __enter__(self) -> Store:
        return self._store

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        renew(self._store)
        line.renew(self._store, also=self._git_dir, now=now_ms())


def why_unreadable(error: GuardError) -> str:
    """An error as one line, for an overview that goes on after it."""
    return f"{error.what} (next: {error.hint})" if error.hint else error.what
