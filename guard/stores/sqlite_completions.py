"""Words that complete one that is typed, asked of a guard store in SQLite so that an index answers."""

from __future__ import annotations

from guard.stores.completions import AT_MOST, IDS, PATTERNS, Begun, shortened
from guard.stores.sqlite_file import as_bytes, as_text, sqlite3

_LAST = "\U0010ffff"
"""No word has a letter behind this one."""
_NEXT = "SELECT min(holder) FROM reservation WHERE project = ? AND ended_at IS NULL AND holder"


def completions(connection: sqlite3.Connection, begun: Begun, *, now: int) -> list[str]:
    """The words, sorted. ``now`` is in Unix ms: what has expired is left out."""
    if begun.words == PATTERNS:
        return _patterns(connection, begun, now=now)
    return _ids(connection, begun, now=now) if begun.words == IDS else _holders(connection, begun)


def _patterns(connection: sqlite3.Connection, begun: Begun, *, now: int) -> list[str]:
    """The holder's own patterns: each is a place in an index on project, holder and pattern."""
    where = "project = ? AND holder = ? AND ended_at IS NULL AND pattern >= ? AND pattern < ? AND expires_at > ?"
    values = (begun.project, begun.holder, begun.start, begun.start + _LAST, now)
    ask = f"SELECT pattern FROM reservation WHERE {where} ORDER BY pattern"
    found = connection.execute(f"{ask} LIMIT {AT_MOST + 1}", values).fetchall()
    if len(found) > AT_MOST:
        found += connection.execute(f"{ask} DESC LIMIT 1", values).fetchall()
    return shortened(list(dict.fromkeys(as_bytes(row[0]).decode("utf-8", "surrogateescape") for row in found)))


def _ids(connection: sqlite3.Connection, begun: Begun, *, now: int) -> list[str]:
    if begun.start and not (begun.start.isascii() and begun.start.isdigit()):
        return []
    whose = "=" if begun.mine else "<>"
    where = f"project = ? AND holder {whose} ? AND ended_at IS NULL AND expires_at > ?"
    values: tuple[object, ...] = (begun.project, begun.holder, now)
    if begun.start:
        where += " AND CAST(id AS TEXT) GLOB ?"
        values += (f"{begun.start}*",)
    ask = f"SELECT id FROM reservation WHERE {where}"
    found = {str(row[0]) for row in connection.execute(f"{ask} LIMIT {AT_MOST + 1}", values)}
    if len(found) > AT_MOST:
        ends = f"SELECT min(CAST(id AS TEXT)), max(CAST(id AS TEXT)) FROM reservation WHERE {where}"
        first, last = connection.execute(ends, values).fetchone()
        return [as_text(first), *sorted(found)[1 : AT_MOST - 1], as_text(last)]
    return sorted(found)


def _holders(connection: sqlite3.Connection, begun: Begun) -> list[str]:
    """Each holder once: from one name to the next in an index, however many reservations each has."""
    found = []
    row = connection.execute(f"{_NEXT} >= ?", (begun.project, begun.start)).fetchone()
    while row[0] is not None:
        name = as_text(row[0])
        if not name.startswith(begun.start):
            break
        if (name == begun.holder) == begun.mine:
            found.append(name)
        row = connection.execute(f"{_NEXT} > CAST(? AS TEXT)", (begun.project, row[0])).fetchone()
    return shortened(found)
