"""The rows of a MCP Agent Mail database, as anybody may have written them.

Its server in Python keeps times as text, naive UTC; the one in Rust as integers, µs, and what was released also in a
table of its own. Which of the two it is does not matter: each value is read as what it is.

Loaded by the hook's refresh: imports nothing heavy.
"""

from __future__ import annotations

from guard.record import Record
from guard.stores.agent_mail.project import Project
from guard.stores.sqlite_file import as_bytes, as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping

    Value = int | float | bytes | None

TABLES = frozenset((b"projects", b"agents", b"file_reservations"))
"""The tables by which such a database is recognised."""

GUARD_TABLES = frozenset((b"reservation", b"project", b"publication"))
OLD_TABLES = frozenset((b"projects", b"agents", b"claims"))
BEGUN_TABLES = frozenset((b"projects", b"agents", b"messages"))
COLUMNS = {
    "projects": {b"id", b"slug", b"human_key"},
    "agents": {b"id", b"name"},
    "file_reservations": {
        *(b"id", b"project_id", b"agent_id", b"path_pattern", b"exclusive", b"reason"),
        *(b"created_ts", b"expires_ts", b"released_ts"),
    },
}
"""What guard reads. Later columns are read where they are."""

RENEW = "start its server once: it brings its database up to date"

_RELEASES = b"file_reservation_releases"
_NOT_YET = (b"", b"0", b"null", b"none")
_FLAGS = {0: False, 1: True, b"0": False, b"1": True, b"false": False, b"true": True}
_US_MAX = 1 << 63

# SQLite reads the times that are text, as µs like the others. Its functions take "now", hours alone and numbers, too:
# hence the dash after the year. What has surely ended is left out there, so that a long history costs little.
_IS_TIME = "(julianday({0}) IS NOT NULL AND instr({0}, '-') = 5)"
_TIME = f"""CASE WHEN typeof({{0}}) = 'text' AND {_IS_TIME}
    THEN CAST(round((julianday({{0}}) - 2440587.5) * 86400000) AS INTEGER) * 1000 ELSE {{0}} END"""
_UNRELEASED = f"""(r.released_ts IS NULL OR NOT {_IS_TIME.format("r.released_ts")}
    AND (typeof(r.released_ts) NOT IN ('integer', 'real') OR r.released_ts <= 0))"""
_UNEXPIRED = f"""CASE typeof(r.expires_ts) WHEN 'null' THEN 1 WHEN 'blob' THEN 1
    WHEN 'text' THEN NOT ({_IS_TIME.format("r.expires_ts")} AND {_TIME.format("r.expires_ts")} <= :now)
    ELSE r.expires_ts > :now END"""
_FROM = "FROM file_reservations AS r LEFT JOIN agents AS a ON a.id = r.agent_id"
_RELEASED_BESIDE = "SELECT {0} FROM file_reservation_releases AS x WHERE x.reservation_id = r.id"


class Held(Record):
    """A reservation of theirs. ``text`` is the pattern as it stands there; times are Unix ms.

    ``released_at`` is None while it is not released, ``expires_at`` when nobody can read it. ``fault`` says what could
    not be read; the row then counts as active, or exclusive.
    """

    id: int
    project: int
    holder: str
    retired: bool
    text: bytes
    exclusive: bool
    reason: str
    created_at: int
    expires_at: int | None
    released_at: int | None
    fault: str

    def ended(self, *, now: int) -> tuple[int, str] | None:
        """When it ended (Unix ms), and how; None if it is active at ``now`` (Unix ms)."""
        if self.released_at is not None and (self.expires_at is None or self.released_at <= self.expires_at):
            return self.released_at, "released"
        if self.expires_at is not None and (self.released_at is not None or self.expires_at <= now):
            return self.expires_at, "expired"
        return None


def why_unusable(connection: sqlite3.Connection) -> tuple[str, str]:
    """Why guard cannot read this as a database of Agent Mail's, and what to do; two empty strings when it can."""
    tables = _tables(connection)
    if tables >= TABLES:
        if tables >= GUARD_TABLES:
            return (
                "holds the tables of MCP Agent Mail and those of guard: whose reservations count cannot be told",
                "give each its own file: git config guard.db /path/to/guard.db",
            )
        for table, needed in COLUMNS.items():
            missing = needed - _columns(connection, table)
            if missing:
                which = ", ".join(sorted(name.decode() for name in missing))
                return f"was made by a version of MCP Agent Mail whose table {table} has no {which}", RENEW
        return "", ""
    if tables >= OLD_TABLES:
        return "was made by an early version of MCP Agent Mail, which kept its reservations elsewhere", RENEW
    if tables >= BEGUN_TABLES:
        return "has MCP Agent Mail's projects and agents, but no table file_reservations", RENEW
    return (
        "is a SQLite file, but not a guard store, nor MCP Agent Mail's database",
        "name another file: git config guard.db /path/to/guard.db",
    )


def spellings(connection: sqlite3.Connection) -> dict[str, str]:
    """How each agent's name is spelled, by the name in lower case. The servers compare names without case (ASCII)."""
    found: dict[str, str] = {}
    for (name,) in connection.execute("SELECT name FROM agents ORDER BY id").fetchall():
        text = as_text(name)
        found.setdefault(folded(text), text)
    return found


def folded(name: str) -> str:
    """A name in lower case, as SQLite's NOCASE has it: ASCII letters only."""
    return name.encode("utf-8", "surrogateescape").lower().decode("utf-8", "surrogateescape")


def projects(connection: sqlite3.Connection) -> list[Project]:
    """All projects in the database, ordered by id."""
    archived = _TIME.format("archived_at") if b"archived_at" in _columns(connection, "projects") else "NULL"
    rows = connection.execute(f"SELECT id, slug, human_key, {archived} FROM projects ORDER BY id").fetchall()
    return [_project(row) for row in rows if isinstance(row[0], int)]


def held(connection: sqlite3.Connection, projects: Collection[int], *, now: int | None) -> list[Held]:
    """The reservations of some projects that are active at a time ``now`` (Unix ms); with None, all that there ever
    were.
    """
    retired = _TIME.format("a.retired_at") if b"retired_at" in _columns(connection, "agents") else "NULL"
    beside = "NULL"
    if now is None and _RELEASES in _tables(connection):
        beside = f"({_RELEASED_BESIDE.format('max(ifnull(x.released_ts, 1))')})"
    rows = connection.execute(
        f"""SELECT r.id, r.project_id, a.name, r.agent_id, {retired}, r.path_pattern, r."exclusive", r.reason,
            {_TIME.format("r.created_ts")}, {_TIME.format("r.expires_ts")}, {_TIME.format("r.released_ts")}, {beside}
        {_FROM} WHERE {_where(connection, projects, live=now is not None)} ORDER BY r.id""",
        {"now": (now or 0) * 1000},
    ).fetchall()
    spelled = spellings(connection)
    found = [_held(row, spelled) for row in rows]
    return found if now is None else [row for row in found if row.ended(now=now) is None]


def others(
    connection: sqlite3.Connection, projects: Collection[int], holder: str, *, now: int
) -> list[tuple[int, bytes]]:
    """The project and the pattern of every reservation that may be active, exclusive and somebody else's at ``now``
    (Unix ms).
    """
    where = _where(connection, projects, live=True)
    rows = connection.execute(
        f"""SELECT r.project_id, r.path_pattern {_FROM}
        WHERE {where} AND r."exclusive" IS NOT 0 AND a.name IS NOT :holder COLLATE NOCASE""",
        {"now": now * 1000, "holder": holder},
    ).fetchall()
    return [(project, as_bytes(text)) for project, text in rows]


def _where(connection: sqlite3.Connection, projects: Collection[int], *, live: bool) -> str:
    """Of these projects and, if ``live``, neither surely released nor surely expired."""
    where = [f"r.project_id IN ({', '.join(str(number) for number in projects)})"]
    if live:
        where += [_UNRELEASED, _UNEXPIRED]
        where += [f"NOT EXISTS ({_RELEASED_BESIDE.format('1')})"] if _RELEASES in _tables(connection) else []
    return " AND ".join(where)


def generation(connection: sqlite3.Connection) -> int:
    """A number that grows with every reservation made and every one released, in any project.

    It is what was ever made, and what of that is unreleased no more: rows that are dropped do not lower it. A renewal
    does not raise it; nothing in the database counts those.
    """
    made, unreleased = connection.execute(
        """SELECT ifnull(max(id), 0), count(CASE WHEN released_ts IS NULL OR length(released_ts) < 5 THEN 1 END)
        FROM file_reservations"""
    ).fetchone()
    tables = _tables(connection)
    if b"sqlite_sequence" in tables:
        ever = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'file_reservations'").fetchone()[0]
        made = max(made, ever) if isinstance(ever, int) else made
    if _RELEASES in tables:
        unreleased -= connection.execute("SELECT count(*) FROM file_reservation_releases").fetchone()[0]
    return int(2 * made - unreleased)


def instant(value: Value) -> int | None:
    """A time in µs as Unix ms; None if it is no time."""
    if isinstance(value, bytes):
        text = value.strip()
        value = int(text) if text.lstrip(b"-").isdigit() and len(text) < 20 else None
    if value is None or not -_US_MAX < value < _US_MAX:
        return None
    return int(value) // 1000


def _since(value: Value) -> tuple[int | None, bool]:
    """When something happened, None if it has not; and whether the time could be read."""
    if value is None or (isinstance(value, bytes) and value.strip().lower() in _NOT_YET):
        return None, True
    at = instant(value)
    return (at if at is not None and at > 0 else None), at is not None


def _project(row: tuple[int, Value, Value, Value]) -> Project:
    number, slug, key, archived_at = row
    archived, readable = _since(archived_at)
    fault = "" if readable else f"when it was archived cannot be read: {archived_at!r:.60}"
    return Project(number, as_text(slug), as_bytes(key), archived is not None, fault)


def _held(row: tuple[Value, ...], spelled: Mapping[str, str]) -> Held:
    number, project, name, agent, retired_at, text, exclusive, reason, created, expires, released, beside = row
    faults = []
    expires_at = instant(expires)
    if expires_at is None:
        faults.append(f"its expiry cannot be read: {expires!r:.60}")
    released_at, readable = _since(released)
    if not readable:
        faults.append(f"its release cannot be read: {released!r:.60}")
    if beside is not None:
        released_at = instant(beside) or 1
    flag = exclusive.strip().lower() if isinstance(exclusive, bytes) else exclusive
    if flag not in _FLAGS:
        faults.append(f"whether it is exclusive cannot be read: {exclusive!r:.60}")
    holder = as_text(name)
    holder = spelled.get(folded(holder), holder)
    if not holder:
        holder = f"agent {as_text(agent)}"
        faults.append("its agent is not known")
    return Held(
        id=number if isinstance(number, int) else 0,
        project=project if isinstance(project, int) else 0,
        holder=holder,
        retired=_since(retired_at)[0] is not None,
        text=as_bytes(text),
        exclusive=_FLAGS.get(flag, True),
        reason=as_text(reason),
        created_at=instant(created) or 0,
        expires_at=expires_at,
        released_at=released_at,
        fault="; ".join(faults),
    )


def _tables(connection: sqlite3.Connection) -> set[bytes]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    return {as_bytes(row[0]) for row in rows}


def _columns(connection: sqlite3.Connection, table: str) -> set[bytes]:
    return {as_bytes(row[1]) for row in connection.execute(f"PRAGMA table_info({table})").fetchall()}
