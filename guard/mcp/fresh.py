"""Keeps unions fresh while a server runs, so that the next commit's hook need not start Python, or ask over a network.

A union of a store that is a file is made anew soon after somebody else has written to the file. One of a server's gets
a new deadline each time a third of its lease has passed (:mod:`guard.union.lease`): that
takes a question over the network, so a thread of its own asks, which nobody waits for when the client leaves.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from guard.mcp.kept import KeptStore
from guard.mcp.standing import Standing
from guard.mcp.turns import Turn
from guard.mcp.unchanged import Views
from guard.model import GuardError
from guard.stores.interface import Unreachable
from guard.stores.kinds import is_leased

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FRESH_S = 5.0
"""How often unions are looked after while no call comes, in seconds."""
SOON_S = 0.5
"""How soon a union of a server's is looked after again at most, in seconds."""
LOOKED_AFTER_MAX = 16
"""How many worktrees and holders are looked after."""

if TYPE_CHECKING:
    Key = tuple[bytes, str]
    Place = tuple[Mapping[bytes, bytes], bytes]


class Unions:
    """The worktrees that calls came from, each with an environment and a directory there. ``made`` is the server's
    name for itself, ``kept`` and ``views`` are what its calls keep."""

    def __init__(self, made: str, kept: KeptStore, views: Views) -> None:
        self._made, self._kept, self._views = made, kept, views
        self._looked_after: dict[Key, Place] = {}
        self._over = threading.Event()
        self._prolonging: threading.Thread | None = None

    def look_after(self, here: Standing) -> None:
        """Keeps the union of the worktree where a call stands fresh, now and from now on; in the call's turn."""
        with suppress(GuardError, OSError):  # the answer stands, and the next hook makes the union itself
            here.keep_union_fresh()
        self.remember(here)
        if self._prolonging is None and is_leased(here.settings.store.value):
            self._prolonging = threading.Thread(target=self._prolong_all, name="leases", daemon=True)
            self._prolonging.start()

    def remember(self, here: Standing) -> None:
        """Keeps the union of the worktree where a call stands fresh from now on; in the call's turn."""
        key, place = (here.place.git_dir, here.me), (here.environment, here.cwd)
        if next(reversed(self._looked_after), None) == key and self._looked_after[key] == place:
            return
        known = {**self._looked_after}
        known.pop(key, None)
        known[key] = place
        while len(known) > LOOKED_AFTER_MAX:
            del known[next(iter(known))]
        self._looked_after = known  # another thread goes through the one before

    def end(self) -> None:
        """No union gets a new deadline any more. A question that is under way is not waited for."""
        self._over.set()

    def freshen(self) -> None:
        """Looks after the unions of files once, in a turn of its own; closes what no call uses."""
        with Turn(lambda seconds, words: None):
            self._kept.close_idle()
            for key, (environment, cwd) in self._looked_after.items():
                here = Standing(environment, cwd, made=self._made, kept=self._kept, views=self._views)
                self._unless_gone(key, here, here.keep_union_fresh)
                here.close()

    def _prolong_all(self) -> None:
        kept, views = KeptStore(), Views()  # calls have their own, in another thread
        while not self._over.is_set():
            soonest_s = FRESH_S
            for key, (environment, cwd) in self._looked_after.items():
                here = Standing(environment, cwd, made=self._made, kept=kept, views=views)
                soonest_s = min(soonest_s, self._unless_gone(key, here, here.prolong_union) or FRESH_S)
                here.close()
            self._over.wait(max(SOON_S, soonest_s))

    def _unless_gone(self, key: Key, here: Standing, do: Callable[[], float | None]) -> float | None:
        """Does it for a worktree; one whose repository or store is gone is looked after no more, until a call comes."""
        try:
            return do()
        except Unreachable:
            return None  # the deadline passes; the server may be back soon
        except Exception:
            self._looked_after = {each: place for each, place in self._looked_after.items() if each != key}
            return None
