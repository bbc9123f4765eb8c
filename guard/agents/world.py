"""The settings, the store and the holder in one repository, for an agent's hook that has left the fast path."""

from __future__ import annotations

import os

from guard.agents.limits import deadline_s
from guard.agents.quick import Known
from guard.model import GuardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.repo.diverted import Diversion
    from guard.repo.place import Place
    from guard.repo.settings import Settings
    from guard.stores.interface import Actor, Store

PATIENCE = 0.5
"""The part of its deadline for which a hook waits for another program that has the store locked (0.5 = 50 %)."""

AUTO_REASON = "editing it"
"""The reason of a reservation that an edit has made. It tells these from reservations that were made on purpose."""


class World:
    """Settings and store of one repository, read when they are first used.

    ``environment`` already names the agent (:mod:`guard.agents.identity`).
    """

    def __init__(self, place: Place, environment: Mapping[bytes, bytes]) -> None:
        self.place = place
        self.environment = environment
        self._settings: Settings | None = None
        self._known: Known | None = None
        self._store: Store | None = None
        self._diverted: list[Diversion] = []

    @property
    def settings(self) -> Settings:
        """The settings here. Raises :class:`GuardError`."""
        if self._settings is None:
            self._read()
        assert self._settings is not None
        return self._settings

    @property
    def auto_ms(self) -> int:
        """How long an edit reserves a free file, in ms; 0 if guard.autoReserve is off.

        Raises :class:`GuardError` for a value that cannot be read.
        """
        return self.known.auto_ms

    @property
    def known(self) -> Known:
        """The part of the configuration that is noted for later hooks. Raises :class:`GuardError`."""
        if self._known is None:
            self._read()
        assert self._known is not None
        return self._known

    @property
    def diverted(self) -> list[Diversion]:
        """The settings that name another project or store than this repository's. Raises :class:`GuardError`."""
        assert self.settings
        return self._diverted

    def _read(self) -> None:
        from guard.repo import settings
        from guard.repo.diverted import diversions
        from guard.repo.git import config

        self.enter()
        entries = config()
        self._settings = settings.read(self.environment, entries, self.place)
        self._diverted = diversions(self._settings, self.environment, entries, self.place)
        values = [entry.value for entry in entries if entry.key == b"guard.autoreserve"]
        filters = any(entry.key.startswith(b"filter.") for entry in entries)
        self._known = Known(_auto_ms(values[-1] if values else b"off"), filters)

    def enter(self) -> None:
        """Changes directory and environment of this process to those of a hook of this repository."""
        assert self.place.top is not None
        os.chdir(self.place.top)
        for name in list(os.environb):
            if name not in self.environment:
                del os.environb[name]
        os.environb.update(self.environment)
        os.environb[b"GIT_DIR"] = self.place.git_dir
        os.environb[b"GIT_OPTIONAL_LOCKS"] = b"0"

    @property
    def store(self) -> Store:
        """The store. It is never made here, only by commands that a person types. Raises :class:`GuardError`."""
        if self._store is None:
            from guard.stores.choose import open_store

            setting = self.settings.store
            self._store = open_store(
                setting.value,
                patience_s=PATIENCE * deadline_s(self.environment),
                place=self.place,
                secret=setting.secret,
                trusted=setting.is_own,
            )
        return self._store

    @property
    def me(self) -> str:
        """The holder's name."""
        return self.settings.holder.value

    @property
    def project(self) -> str:
        """The project's name."""
        return self.settings.project.value

    @property
    def actor(self) -> Actor:
        """Who acts. Raises :class:`guard.model.UsageError` for a name that cannot be one."""
        from guard.repo.settings import principal
        from guard.stores.interface import Actor

        return Actor(self.settings.checked_project(), self.settings.checked_holder(), principal(self.place.own_dir))

    def refresh(self) -> None:
        """Brings the published union up to date, so that the next hook is fast. If that fails, the next one is slow."""
        from guard.hook import refresh

        self.enter()
        try:
            refresh("pre-commit")
        except GuardError:
            return


def _auto_ms(value: bytes | None) -> int:
    from guard.repo.settings import ttl

    text = os.fsdecode(value or b"true").strip().lower()
    if text in ("", "off", "false", "no", "0"):
        return 0
    if text in ("on", "true", "yes"):
        return 15 * 60_000
    return ttl(text, what="guard.autoReserve")
