"""Which projects of a guard store in SQLite belong to a repository, by its root commits (hex oids)?"""

from __future__ import annotations

from guard.stores.sqlite_file import as_text
from guard.stores.sqlite_open import ACTIVE
from guard.stores.sqlite_search import AT_ONCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.stores.sqlite_open import OpenFile


def remember(file: OpenFile, project: str, oids: Sequence[str]) -> None:
    """Notes the root commits of a repository of this project. Writes only those that are new."""
    with file.reading():
        if file.version.written_by < 2:
            known = set()
        else:
            rows = file.connection.execute("SELECT oid FROM root WHERE project = ?", (project,)).fetchall()
            known = {as_text(row[0]) for row in rows}
    new = [(oid, project) for oid in dict.fromkeys(oids) if oid not in known]
    if new:
        with file.changing():
            file.connection.executemany("INSERT OR IGNORE INTO root (oid, project) VALUES (?, ?)", new)


def projects_with(file: OpenFile, oids: Sequence[str]) -> dict[str, int]:
    """The projects that have one of these root commits, each with its number of active reservations.

    Only the first :data:`AT_ONCE` root commits are looked for.
    """
    found: dict[str, int] = {}
    with file.reading():
        if file.version.written_by < 2:
            return {}
        marks = ", ".join("?" * len(oids[:AT_ONCE]))
        rows = file.connection.execute(
            f"SELECT DISTINCT project FROM root WHERE oid IN ({marks})", tuple(oids[:AT_ONCE])
        ).fetchall()
        for (name,) in rows:
            count = f"SELECT count(*) FROM reservation WHERE {ACTIVE} AND expires_at > ?"
            asked = (as_text(name), file.now())
            found[as_text(name)] = file.connection.execute(count, asked).fetchone()[0]
    return found
