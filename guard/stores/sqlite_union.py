"""What a union is made of: the patterns that others hold in a guard store in SQLite, or what has changed since a state.

The hook's refresh loads this module, so it imports nothing heavy.
"""

from __future__ import annotations

import os

from guard.stores import freshness
from guard.stores.interface import Source
from guard.stores.sqlite_file import as_bytes, sqlite3
from guard.stores.sqlite_open import ACTIVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from guard.stores.sqlite_open import OpenFile

    Along = Callable[[bytes], Iterable[bytes]]

CHANGES_AT_ONCE = 500
"""After more changes than this, a union is made anew."""
_REMEMBERS_CHANGES = 3
"""The version since which a store remembers what has changed."""

_THEIRS = f"{ACTIVE} AND exclusive IS NOT 0 AND holder <> ?"


def union_source(file: OpenFile, project: str, holder: str, *, known: bytes, along: Along | None) -> Source:
    """As :meth:`guard.stores.interface.Store.union_source`, with the stamps that prove the answer current."""

    def read() -> Source:
        file.check_version()
        found = _source(file, project, holder, known=known, along=along)
        return found._replace(mine_until=_first_expiry(file, project, holder))

    now_ns = file.now() * 1_000_000
    try:
        source, stamps = freshness.read_sealed(file.connection, os.fsencode(file.address), read, now_ns=now_ns)
    except sqlite3.Error as error:
        raise file.explained(error) from error
    return source._replace(stamps=stamps)


def _source(file: OpenFile, project: str, holder: str, *, known: bytes, along: Along | None) -> Source:
    state = _state(file)
    changed = _changed_since(file, project, known) if along is not None else None
    if changed is None or along is None:
        return Source(_held_by_others(file, project, holder), file.generation(project), (), state=state)
    asked = dict.fromkeys(other for pattern in changed for other in (pattern, *along(pattern)))
    held = tuple((pattern, _is_held_by_others(file, project, holder, pattern)) for pattern in asked)
    return Source((), file.generation(project), (), state=state, since=known, changes=held)


def _first_expiry(file: OpenFile, project: str, holder: str) -> int | None:
    """When the first of the holder's own reservations runs out, in Unix ms; None if there is none."""
    (until,) = file.connection.execute(
        f"SELECT min(expires_at) FROM reservation WHERE {ACTIVE} AND holder = ?", (project, holder)
    ).fetchone()
    return until if isinstance(until, int) else None


def _state(file: OpenFile) -> bytes:
    """The name of the latest change (:attr:`Source.state`); b"" where none is remembered."""
    if file.version.written_by < _REMEMBERS_CHANGES:
        return b""
    row = file.connection.execute("SELECT number, name FROM change ORDER BY number DESC LIMIT 1").fetchone()
    return b"%d-%s" % (row[0], as_bytes(row[1]).hex().encode()) if row else b""


def _changed_since(file: OpenFile, project: str, state: bytes) -> list[bytes] | None:
    """The patterns that were reserved or ended since; None if that is not known, and if they are too many."""
    number, _, name = state.partition(b"-")
    if file.version.written_by < _REMEMBERS_CHANGES or not number.isdigit():
        return None
    row = file.connection.execute("SELECT name FROM change WHERE number = ?", (int(number),)).fetchone()
    if row is None or as_bytes(row[0]).hex().encode() != name:
        return None  # it was long ago, or in another history: a backup was restored since
    rows = file.connection.execute(
        "SELECT DISTINCT pattern FROM change WHERE number > ? AND project = ? LIMIT ?",
        (int(number), project, CHANGES_AT_ONCE + 1),
    ).fetchall()
    changed = list(dict.fromkeys(as_bytes(pattern) for (pattern,) in rows))
    return changed if len(changed) <= CHANGES_AT_ONCE else None


def _held_by_others(file: OpenFile, project: str, holder: str) -> tuple[bytes, ...]:
    """All patterns that others hold exclusively, sorted.

    Expired ones count, too, until a writer has recorded that they ended: a clock that is set back must not free a path.
    """
    rows = file.connection.execute(
        f"SELECT DISTINCT pattern FROM reservation WHERE {_THEIRS}", (project, holder)
    ).fetchall()
    return tuple(sorted({value if type(value) is bytes else as_bytes(value) for (value,) in rows}))


def _is_held_by_others(file: OpenFile, project: str, holder: str, pattern: bytes) -> bool:
    """As :func:`_held_by_others`, for one pattern, whether it is stored as text or as bytes."""
    where = f"{_THEIRS} AND pattern IN (?, CAST(? AS TEXT))"
    values = (project, holder, pattern, pattern)
    return file.connection.execute(f"SELECT 1 FROM reservation WHERE {where} LIMIT 1", values).fetchone() is not None
