"""The record of guard's own kind of store, one SQLite file, and how it is opened."""

from __future__ import annotations

from guard.stores.interface import Kind, Moved, Opening, Store


def _open(address: str, opening: Opening) -> Store:
    """The store at this address, or the one at the address to which it was moved."""
    from guard.stores.kinds import kind_of
    from guard.stores.sqlite import SqliteStore

    seen = {address}
    while True:
        try:
            return SqliteStore(
                address, patience_s=opening.patience_s, create=opening.create, retention_ms=opening.retention_ms
            )
        except Moved as moved:
            if moved.address in seen:
                raise
            address, opening = moved.address, opening._replace(create=False)
            seen.add(address)
        if (kind := kind_of(address)).name != SQLITE.name:
            return kind.open(address, opening._replace(trusted=False))


SQLITE = Kind(name="sqlite", title="SQLite", recognises=lambda address: True, open=_open)
