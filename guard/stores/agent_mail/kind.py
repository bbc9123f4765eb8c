"""The record of MCP Agent Mail's database as a kind of store, and how it is opened."""

from __future__ import annotations

import os

from guard.stores.interface import APPLICATION_ID, Kind, Opening, Store


def _open(address: str, opening: Opening) -> Store:
    from guard.stores.agent_mail.store import AgentMailStore

    store = AgentMailStore(
        address, patience_s=opening.patience_s, place=opening.place, retention_ms=opening.retention_ms
    )
    if opening.create:
        store.check()  # a command says now that it is another program's database, not when the database is first read
    return store


def is_foreign(path: str) -> bool:
    """Is this a SQLite file of another program? Only its header is read (sqlite.org/fileformat.html, 1.3)."""
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


AGENT_MAIL = Kind(
    name="agent-mail",
    title="MCP Agent Mail's database",
    recognises=is_foreign,
    open=_open,
    writable=False,
    skip_variables=(b"AGENT_MAIL_BYPASS",),
    mode_variable=b"AGENT_MAIL_GUARD_MODE",
    ask_through="Agent Mail",
    folds_names=True,
)
