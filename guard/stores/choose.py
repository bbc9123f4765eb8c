"""Which store is at this path: ours, or MCP Agent Mail's database?"""

from __future__ import annotations

import os

from guard.stores.interface import APPLICATION_ID, RETENTION_MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.repo.place import Place
    from guard.stores.interface import Store


def open_store(
    path: str,
    *,
    patience_s: float,
    create: bool = True,
    retention_ms: int = RETENTION_MS,
    place: Place | None = None,
) -> Store:
    """The store at an absolute path: ours, or MCP Agent Mail's database.

    ``create``: make ours if it is not there, and refuse another program's database now rather than when it is read.

    ``patience_s``: how long to wait for somebody else's lock; ``retention_ms``: how long what has ended is
    remembered; ``place``: where it is asked from, for a store whose projects are directories. Nothing of this process
    may be open on the file yet. Raises :class:`guard.model.GuardError`.
    """
    if is_foreign(path):
        from guard.stores.agent_mail.store import AgentMailStore

        store = AgentMailStore(path, patience_s=patience_s, place=place, retention_ms=retention_ms)
        if create:
            store.check()
        return store
    from guard.stores.sqlite import SqliteStore

    return SqliteStore(path, patience_s=patience_s, create=create, retention_ms=retention_ms)


def is_foreign(path: str) -> bool:
    """Is this a SQLite file that guard has not made? Read off its header, without opening it as a database."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        header = os.pread(file, 100, 0)
    except OSError:
        return False
    finally:
        os.close(file)
    return header.startswith(b"SQLite format 3\0") and header[68:72] != APPLICATION_ID.to_bytes(4, "big")
