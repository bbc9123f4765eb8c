"""What every command starts from: the place, the settings, the store, and who acts."""

from __future__ import annotations

import os
from functools import cached_property

from guard.model import GuardError, UsageError
from guard.patterns.grammar import stored
from guard.repo import settings as settings_
from guard.repo.defaults import noted_store, store_path
from guard.repo.git import config
from guard.repo.place import Place, discover
from guard.repo.settings import Settings
from guard.stores.choose import open_store
from guard.stores.interface import Actor, Store, Wanted

PATIENCE_S = 30.0
"""How long a command waits for another program that has the store locked, unless GUARD_PATIENCE says otherwise."""


class Here:
    """One command's view of the world, each part found when it is first asked for."""

    @cached_property
    def place(self) -> Place:
        return discover()

    @cached_property
    def settings(self) -> Settings:
        default = noted_store(self.place.own_dir, os.environb) or store_path()
        return settings_.read(os.environb, config(), self.place, default_store=default)

    @cached_property
    def store(self) -> Store:
        patience_s = settings_.patience_s(os.environb, PATIENCE_S)
        retention_ms = self.settings.retention_ms()
        return open_store(self.settings.store.value, patience_s=patience_s, retention_ms=retention_ms, place=self.place)

    @cached_property
    def actor(self) -> Actor:
        """Who acts; raises :class:`guard.model.UsageError` when the name could be nobody's."""
        return Actor(self.settings.checked_project(), self.settings.checked_holder(), settings_.principal())

    @property
    def project(self) -> str:
        return self.settings.checked_project()

    def wanted(self, typed: tuple[str, ...]) -> list[Wanted]:
        """What was typed, as patterns; each once. Raises :class:`guard.model.UsageError`."""
        found: dict[bytes, Wanted] = {}
        for text in typed:
            pattern = stored(os.fsencode(text), cwd=self.place.prefix, exists=self.exists)
            found.setdefault(pattern, Wanted(pattern, os.fsencode(text)))
        return list(found.values())

    def exists(self, path: bytes) -> bool:
        """Is there something at a path relative to the top?"""
        return self.place.top is not None and os.path.lexists(os.path.join(self.place.top, path))

    def path(self, typed: bytes) -> bytes:
        """A path given relative to the current directory, relative to the top; a leading ":/" means the top.

        Raises :class:`guard.model.GuardError` when it lies outside.
        """
        top = self.place.top or b""
        if typed.startswith(b":/"):
            typed, start = typed[2:] or b".", b""
        else:
            start = self.place.prefix
        if os.path.isabs(typed):
            where = os.path.join(os.path.realpath(os.path.dirname(typed)), os.path.basename(typed))
            relative = os.path.relpath(where, os.path.realpath(top or b"/"))
        else:
            relative = os.path.normpath(os.path.join(start, typed))
        if relative == b".." or relative.startswith(b"../"):
            raise UsageError(
                f"{os.fsdecode(typed)!a} lies outside this repository", hint=f"its top is {os.fsdecode(top)!a}"
            )
        return b"" if relative == b"." else relative


def why_unreadable(error: GuardError) -> str:
    """An error as one line, for an overview that goes on."""
    return f"{error.what} (next: {error.hint})" if error.hint else error.what
