"""What the store of our own, one SQLite file, is and can do."""

from __future__ import annotations

from guard.stores.interface import Kind, Opening, Store


def _open(address: str, opening: Opening) -> Store:
    from guard.stores.sqlite import SqliteStore

    return SqliteStore(
        address,
        patience_s=opening.patience_s,
        create=opening.create,
        retention_ms=opening.retention_ms,
    )


SQLITE = Kind(name="sqlite", title="SQLite", recognises=lambda address: True, open=_open)
