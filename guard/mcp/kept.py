"""The connection to the store, kept from one call to the next while nobody has written to its file.

Opening a SQLite file and reading its schema takes as long as all else that is asked of it in a call. A connection that
is kept is no memory of what is reserved: each call reads in a transaction of its own, as a new connection would.

SQLite keeps pages of the file, too, and takes them for current while a counter in the file's header has not changed
(sqlite.org/fileformat2.html, section 1.3.7). That holds as long as only SQLite writes: after a backup was copied over
the file, the counter can come to the same number again. So the connection is used only while the file itself has not
been touched, by its times, size and number. After every write, ours included, the store is opened anew.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from guard.stores.interface import Store

IDLE_S = 60.0
"""How long a connection is kept that nobody uses, in seconds. An agent thinks and writes between its questions; but a
file system with open files cannot be unmounted."""
ASKERS_MAX = 16
"""How many askers are remembered whose unions have been looked after."""


class KeptStore:
    """At most one open store, for one call at a time."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._key: object = None
        self._used = 0.0
        self._looked_after: set[object] = set()

    def take(self, address: str, key: object, opened: Callable[[], Store]) -> Store:
        """The store at an address: the kept one if it was given back with this key, else what ``opened`` returns.

        Whoever takes it gives it back, or closes it.
        """
        store, known = self._store, self._key
        if store is not None:
            self._store = None
            if known == (key, _seen(address)):
                return store
            store.close()
        return opened()

    def lend(self, address: str, key: object, *, asker: object) -> Store | None:
        """The kept store, if it was given back with this key and nobody has written since; else None.

        None, too, where this asker's union has not been looked after since the last write. The store stays here:
        whoever borrows it only reads, and ends before anybody takes it.
        """
        if self._store is None or asker not in self._looked_after or self._key != (key, _seen(address)):
            return None
        self._used = time.monotonic()
        return self._store

    def give_back(self, store: Store, key: object, address: str, *, looked_after: object = None) -> None:
        """Keeps a store on which nothing is under way, if it is a file; else closes it.

        ``looked_after`` is an asker whose union is as the store is now; None for nobody.
        """
        seen = None if store.kind.leased or store.address != address else _seen(address)
        if seen is None or self._store is not None:
            store.close()
            return
        if self._key != (key, seen) or len(self._looked_after) > ASKERS_MAX:
            self._looked_after.clear()
        if looked_after is not None:
            self._looked_after.add(looked_after)
        self._store, self._key, self._used = store, (key, seen), time.monotonic()

    def close_idle(self) -> None:
        """Closes what was kept and not used for a while."""
        if self._store is not None and time.monotonic() > self._used + IDLE_S:
            self._store.close()
            self._store = None


def _seen(address: str) -> tuple[int, ...] | None:
    """What tells that nobody has written to a file, or put another one in its place; None when that cannot be told."""
    try:
        status = os.stat(address)
        if os.path.exists(address + "-wal"):
            return None
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
