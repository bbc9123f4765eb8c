"""guard's own store: one SQLite file that every worktree, clone and holder on the machine shares.

It has a rollback journal and no write-ahead log, so that the file's own time changes with every commit (see
:mod:`guard.stores.freshness`). The hook's refresh loads this module, so it imports nothing beyond SQLite.
"""

from __future__ import annotations

import os

from guard.model import GuardError, Overlap, Reservation
from guard.patterns.grammar import prefix
from guard.stores import freshness, sqlite_versions
from guard.stores.interface import (
    RETENTION_MS,
    Actor,
    Chosen,
    Contents,
    Description,
    Entry,
    Moved,
    Outcome,
    Snapshot,
    Source,
    Terms,
    Wanted,
    WouldWait,
    can_be_id,
)
from guard.stores.sqlite_file import (
    PATIENCE_MAX_S,
    Transaction,
    as_bytes,
    as_text,
    explained,
    now_ms,
    sqlite3,
    with_parents,
)
from guard.stores.sqlite_kind import SQLITE
from guard.stores.sqlite_place import check_size, connected, is_there, make_store
from guard.stores.sqlite_rows import LogRow, ReservationRow, columns, reservation_of, storable
from guard.stores.waiting_process import is_gone, namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from guard.stores.completions import Begun

PRUNED_AT_ONCE = 200
PREFIXES_AT_ONCE = 2000
PUBLICATIONS_MAX = 64
CHANGES_AT_ONCE = 500
"""After more changes than this, a union is made anew."""
AT_ONCE = 400
"""How many values one statement has at most. Every SQLite accepts 999."""
ROWS_AT_ONCE = 500
"""How many reservations one question finds at most while everything has to be answered at once."""
_REMEMBERS_CHANGES = 3
"""The version since which a store remembers what has changed."""

_ACTIVE = "project = ? AND ended_at IS NULL"
_THEIRS = f"{_ACTIVE} AND exclusive IS NOT 0 AND holder <> ?"
_EXPIRED = """UPDATE reservation SET ended_at = expires_at, "end" = 'expired', told = 0 WHERE id = ?"""


class SqliteStore:
    """A :class:`guard.stores.interface.Store` in a SQLite file. ``clock`` gives Unix ms."""

    kind = SQLITE

    def __init__(
        self,
        address: str,
        *,
        patience_s: float,
        create: bool = True,
        clock: Callable[[], int] = now_ms,
        retention_ms: int = RETENTION_MS,
    ) -> None:
        self.address = address
        self._clock = clock
        self._retention_ms = retention_ms
        self._patience_s = patience_s
        self._is_at_once = False
        if not is_there(address):
            if not create:
                raise GuardError(f"the store {address} does not exist", hint="guard install")
            make_store(address, patience_s=patience_s)
        self._connection = connected(address, patience_s)
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def is_at(self, address: bytes) -> bool:
        return address == os.fsencode(self.address) or address in self._formerly

    def at_once(self) -> _AtOnce:
        return _AtOnce(self)

    def close(self) -> None:
        self._connection.close()

    # Reading

    def active(self, project: str) -> Snapshot:
        return self._settled(project, lambda: self._select(_ACTIVE, project))

    def covering(self, project: str, paths: Sequence[bytes], *, everything: bool = False) -> Snapshot:
        if everything:
            return self.active(project)
        above = sorted({lead for path in paths for lead in with_parents(path.lower())})
        return self._settled(project, lambda: self._led_by(project, above))

    def of_holder(self, project: str, holder: str) -> Snapshot:
        return self._settled(project, lambda: self._select(f"{_ACTIVE} AND holder = ?", project, holder))

    def near(self, project: str, patterns: Sequence[bytes]) -> Snapshot:
        leads = {prefix(pattern).lower() for pattern in patterns}
        if b"" in leads:
            return self.active(project)
        return self._settled(project, lambda: self._above_or_below(project, leads))

    def ended(self, project: str) -> Snapshot:
        with self._reading():
            rows = self._select("project = ? AND ended_at IS NOT NULL ORDER BY ended_at, id", project)
            return Snapshot(self._generation(project), tuple(rows))

    def everywhere(self) -> Snapshot:
        with self._reading():
            return Snapshot(0, tuple(self._select("ended_at IS NULL AND expires_at > ? ORDER BY id", self._clock())))

    def notices(self, project: str, holder: str) -> tuple[Reservation, ...]:
        with self._reading():
            return tuple(self._select("project = ? AND holder = ? AND told = 0", project, holder))

    def log(self, project: str, *, limit: int) -> list[Entry]:
        with self._reading():
            rows = self._connection.execute(
                f"SELECT {columns(LogRow)} FROM log WHERE project = ? ORDER BY id DESC LIMIT ?", (project, limit)
            ).fetchall()
        return [LogRow(*row).entry() for row in reversed(rows)]

    def completions(self, begun: Begun) -> list[str]:
        from guard.stores.sqlite_completions import completions

        with self._reading():
            return completions(self._connection, begun, now=self._clock())

    def spelling(self, holder: str) -> str:
        return holder

    def roles(self, ids: Sequence[int]) -> dict[int, str]:
        return {}  # a file knows no roles

    def why_nothing_counts(self, project: str) -> str:
        return ""

    def remarks(self, project: str) -> list[str]:
        return []

    def generation(self, project: str) -> int:
        with self._reading():
            return self._generation(project)

    def now(self) -> int:
        return self._clock()

    def union_source(
        self,
        project: str,
        holder: str,
        *,
        known: bytes = b"",
        along: Callable[[bytes], Iterable[bytes]] | None = None,
    ) -> Source:
        def read() -> Source:
            self._check_version()
            state = self._state()
            changed = self._changed_since(project, known) if along is not None else None
            if changed is None or along is None:
                return Source(self._held_by_others(project, holder), self._generation(project), (), state=state)
            asked = dict.fromkeys(other for pattern in changed for other in (pattern, *along(pattern)))
            held = tuple((pattern, self._is_held_by_others(project, holder, pattern)) for pattern in asked)
            return Source((), self._generation(project), (), state=state, since=known, changes=held)

        def read_with_end() -> Source:
            found = read()
            (until,) = self._connection.execute(
                f"SELECT min(expires_at) FROM reservation WHERE {_ACTIVE} AND holder = ?", (project, holder)
            ).fetchone()
            return found._replace(mine_until=until if isinstance(until, int) else None)

        path = os.fsencode(self.address)
        try:
            source, stamps = freshness.read_sealed(
                self._connection, path, read_with_end, now_ns=self._clock() * 1_000_000
            )
        except sqlite3.Error as error:
            raise self._explained(error) from error
        return source._replace(stamps=stamps)

    def version(self) -> object:
        try:
            status = os.stat(self.address)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def publications(self) -> list[bytes]:
        with self._reading():
            rows = self._connection.execute(
                "SELECT directory FROM publication ORDER BY since DESC LIMIT ?", (PUBLICATIONS_MAX,)
            ).fetchall()
        return [as_bytes(row[0]) for row in rows]

    def projects_with_roots(self, oids: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        with self._reading():
            if self._version.written_by < 2:
                return {}
            marks = ", ".join("?" * len(oids[:AT_ONCE]))
            rows = self._connection.execute(
                f"SELECT DISTINCT project FROM root WHERE oid IN ({marks})", tuple(oids[:AT_ONCE])
            ).fetchall()
            for (name,) in rows:
                count = f"SELECT count(*) FROM reservation WHERE {_ACTIVE} AND expires_at > ?"
                asked = (as_text(name), self._clock())
                found[as_text(name)] = self._connection.execute(count, asked).fetchone()[0]
        return found

    def describe(self) -> Description:
        from guard.stores.sqlite_copies import description

        with self._reading():
            return description(self._connection, self.address, self._version)

    def contents(self) -> Contents:
        from guard.stores.sqlite_copies import read_contents

        with self._reading():
            return read_contents(self._connection, self._version)

    def backup(self, to: str) -> None:
        from guard.stores.sqlite_copies import copy_to

        try:
            copy_to(self._connection, to, patience_s=self._patience_s)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    # Writing

    def reserve(self, actor: Actor, wanted: Sequence[Wanted], terms: Terms, *, ticket: int | None = None) -> Outcome:
        with self._writing(actor.project):
            conflicts = [
                Overlap(want.pattern, other)
                for want in wanted
                for other in self._in_the_way(actor, want.pattern, exclusive=terms.exclusive, fold=terms.fold)
            ]
            ahead = 0
            if ticket is not None and not conflicts:
                ahead = self._ahead_of(ticket, actor, wanted, terms)
            if conflicts or ahead:
                return Outcome(self._generation(actor.project), conflicts=tuple(conflicts), ahead=ahead)
            granted = [self._grant(actor, want, terms) for want in wanted]
            if ticket is not None:
                self._connection.execute("DELETE FROM waiter WHERE ticket = ?", (ticket,))
            self._note(actor, "reserved", granted, reason=terms.reason)
            return Outcome(self._generation(actor.project), tuple(granted))

    def release(self, actor: Actor, chosen: Chosen) -> Outcome:
        with self._writing(actor.project):
            mine, missing = self._mine(actor, chosen)
            ended = [self._end(row, actor, "released") for row in mine]
            self._note(actor, "released", ended, reason="")
            return Outcome(self._generation(actor.project), tuple(ended), missing)

    def renew(self, actor: Actor, chosen: Chosen, *, ttl_ms: int) -> Outcome:
        with self._writing(actor.project):
            mine, missing = self._mine(actor, chosen)
            expires_at = self._clock() + ttl_ms
            self._connection.executemany(
                "UPDATE reservation SET expires_at = ? WHERE id = ?", [(expires_at, row.id) for row in mine]
            )
            renewed = [self._by_id(row.id) for row in mine]
            self._note(actor, "renewed", renewed, reason="")
            return Outcome(self._generation(actor.project), tuple(renewed), missing)

    def break_(self, actor: Actor, ids: Sequence[int], *, reason: str) -> Outcome:
        with self._writing(actor.project):
            broken, missing = [], []
            for number in ids:
                where = f"{_ACTIVE} AND id = ? AND holder <> ?"
                found = self._select(where, actor.project, number, actor.holder) if can_be_id(number) else []
                if found:
                    broken.append(self._end(found[0], actor, "broken", reason=reason, tell=True))
                else:
                    missing.append(str(number))
            self._note(actor, "broken", broken, reason=reason)
            return Outcome(self._generation(actor.project), tuple(broken), tuple(missing))

    def told(self, notices: Sequence[Reservation]) -> None:
        with self._changing():
            self._connection.executemany("UPDATE reservation SET told = 1 WHERE id = ?", [(row.id,) for row in notices])

    def record(self, actor: Actor, event: str, reservations: Sequence[Reservation], *, reason: str) -> None:
        with self._writing(actor.project):
            self._note(actor, event, reservations, reason=reason)
            if not reservations:  # the fence refused: that concerns no reservation
                self._connection.execute(
                    "INSERT INTO log (at, project, generation, event, holder, principal, reason)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(self._clock(), actor.project, self._generation(actor.project)),
                        *(event, actor.holder, actor.principal, reason),
                    ),
                )

    def queue(self, actor: Actor, wanted: Sequence[Wanted], *, exclusive: bool, until: int) -> int:
        with self._changing():
            ticket = self._connection.execute(
                "INSERT INTO waiter (project, holder, principal, process, until, namespace) VALUES (?, ?, ?, ?, ?, ?)",
                (actor.project, actor.holder, actor.principal, os.getpid(), until, namespace()),
            ).lastrowid
            self._connection.executemany(
                "INSERT INTO waiter_pattern (ticket, pattern, exclusive) VALUES (?, ?, ?)",
                [(ticket, storable(want.pattern), exclusive) for want in wanted],
            )
            return ticket or 0

    def leave(self, ticket: int) -> None:
        with self._changing():
            self._connection.execute("DELETE FROM waiter WHERE ticket = ?", (ticket,))

    def remember_roots(self, project: str, oids: Sequence[str]) -> None:
        with self._reading():
            if self._version.written_by < 2:
                known = set()
            else:
                rows = self._connection.execute("SELECT oid FROM root WHERE project = ?", (project,)).fetchall()
                known = {as_text(row[0]) for row in rows}
        new = [(oid, project) for oid in dict.fromkeys(oids) if oid not in known]
        if new:
            with self._changing():
                self._connection.executemany("INSERT OR IGNORE INTO root (oid, project) VALUES (?, ?)", new)

    def publish_in(self, directory: bytes, project: str) -> None:
        name = storable(directory)
        with self._reading():
            ask = "SELECT 1 FROM publication WHERE directory = ?"
            known = self._connection.execute(ask, (name,)).fetchone()
        if not known:
            with self._changing():
                self._connection.execute(
                    "INSERT OR REPLACE INTO publication (directory, project, since) VALUES (?, ?, ?)",
                    (name, project, self._clock()),
                )

    def forget(self, directory: bytes) -> None:
        with self._changing():
            self._connection.execute("DELETE FROM publication WHERE directory = ?", (storable(directory),))

    def take_in(self, contents: Contents, *, formerly: str = "") -> None:
        from guard.stores.sqlite_copies import write_contents

        with self._changing():
            write_contents(self._connection, contents, formerly=formerly, now=self._clock())
        self._formerly = self._former_addresses()

    def move_out(self, to: str, carry: Callable[[Contents], None]) -> None:
        from guard.stores.sqlite_copies import mark_moved, read_contents

        with self._changing():
            carry(read_contents(self._connection, self._version))
            mark_moved(self._connection, to)

    # Inside a transaction

    def _state(self) -> bytes:
        """The name of the latest change (:attr:`Source.state`); b"" where none is remembered."""
        if self._version.written_by < _REMEMBERS_CHANGES:
            return b""
        row = self._connection.execute("SELECT number, name FROM change ORDER BY number DESC LIMIT 1").fetchone()
        return b"%d-%s" % (row[0], as_bytes(row[1]).hex().encode()) if row else b""

    def _changed_since(self, project: str, state: bytes) -> list[bytes] | None:
        """The patterns that were reserved or ended since; None if that is not known, and if they are too many."""
        number, _, name = state.partition(b"-")
        if self._version.written_by < _REMEMBERS_CHANGES or not number.isdigit():
            return None
        row = self._connection.execute("SELECT name FROM change WHERE number = ?", (int(number),)).fetchone()
        if row is None or as_bytes(row[0]).hex().encode() != name:
            return None  # it was long ago, or in another history: a backup was restored since
        rows = self._connection.execute(
            "SELECT DISTINCT pattern FROM change WHERE number > ? AND project = ? LIMIT ?",
            (int(number), project, CHANGES_AT_ONCE + 1),
        ).fetchall()
        changed = list(dict.fromkeys(as_bytes(pattern) for (pattern,) in rows))
        return changed if len(changed) <= CHANGES_AT_ONCE else None

    def _held_by_others(self, project: str, holder: str) -> tuple[bytes, ...]:
        """All patterns that others hold exclusively, sorted.

        Expired ones too, until a writer has recorded that they ended: a clock set back must not free a path.
        """
        rows = self._connection.execute(
            f"SELECT DISTINCT pattern FROM reservation WHERE {_THEIRS}", (project, holder)
        ).fetchall()
        return tuple(sorted({value if type(value) is bytes else as_bytes(value) for (value,) in rows}))

    def _is_held_by_others(self, project: str, holder: str, pattern: bytes) -> bool:
        """As :meth:`_held_by_others`, for one pattern, whether it stands there as text or as bytes."""
        where = f"{_THEIRS} AND pattern IN (?, CAST(? AS TEXT))"
        values = (project, holder, pattern, pattern)
        return (
            self._connection.execute(f"SELECT 1 FROM reservation WHERE {where} LIMIT 1", values).fetchone() is not None
        )

    def _led_by(self, project: str, leads: Sequence[bytes]) -> list[Reservation]:
        """The active reservations whose literal prefix is one of these, and those that have none."""
        found = self._select(f"{_ACTIVE} AND prefix IS NULL", project)
        for start in range(0, len(leads), AT_ONCE):
            part = leads[start : start + AT_ONCE]
            found += self._select(f"{_ACTIVE} AND prefix IN ({', '.join('?' * len(part))})", project, *part)
        return found

    def _above_or_below(self, project: str, leads: Iterable[bytes]) -> list[Reservation]:
        """The active reservations whose literal prefix is above or below one of these, and those that have none."""
        found = self._led_by(project, sorted({name for lead in leads for name in with_parents(lead)}))
        below = f"{_ACTIVE} AND prefix >= ? AND prefix < ?"
        for lead in leads:
            found += self._select(below, project, lead + b"/", lead + b"0")
        return list({row.id: row for row in found}.values())

    def _in_the_way(self, actor: Actor, pattern: bytes, *, exclusive: bool, fold: bool) -> list[Reservation]:
        """Others' active reservations that could share a path with the pattern, when one of the two is exclusive.

        Only reservations whose literal prefix lies above or below the pattern's are looked at.
        """
        from guard.patterns.overlap import overlap

        others = f"{_ACTIVE} AND holder <> ? AND (exclusive IS NOT 0 OR ?)"
        who = (actor.project, actor.holder, exclusive)
        lead = prefix(pattern).lower()
        if not lead:
            found = self._select(others, *who)
        else:
            above = with_parents(lead)
            marks = ", ".join("?" * len(above))
            # Three questions, because SQLite does not use the index on the prefix for one that has OR in it.
            found = self._select(f"{others} AND prefix IS NULL", *who)
            found += self._select(f"{others} AND prefix IN ({marks})", *who, *above)
            found += self._select(f"{others} AND prefix >= ? AND prefix < ?", *who, lead + b"/", lead + b"0")
        near = sorted(found, key=lambda other: other.id)
        return [other for other in near if overlap(pattern, other.pattern, fold=fold)]

    def _ahead_of(self, ticket: int, actor: Actor, wanted: Sequence[Wanted], terms: Terms) -> int:
        """How many holders began to wait earlier, still wait, and want some of the same paths."""
        from guard.patterns.overlap import overlap

        rows = self._connection.execute(
            "SELECT DISTINCT w.ticket, w.principal, w.process, w.namespace, p.pattern, p.exclusive"
            " FROM waiter AS w JOIN waiter_pattern AS p USING (ticket)"
            " WHERE w.project = ? AND w.ticket < ? AND w.holder <> ? AND w.until > ?",
            (actor.project, ticket, actor.holder, self._clock()),
        ).fetchall()
        here = actor.principal.rpartition("@")[2]
        ahead = {
            number
            for number, principal, process, where, pattern, exclusive in rows
            if (exclusive or terms.exclusive)
            and not (as_text(principal).rpartition("@")[2] == here and is_gone(process, where=as_text(where)))
            and any(overlap(want.pattern, as_bytes(pattern), fold=terms.fold) for want in wanted)
        }
        return len(ahead)

    def _grant(self, actor: Actor, want: Wanted, terms: Terms) -> Reservation:
        now = self._clock()
        expires_at = now + terms.ttl_ms
        held = self._held(actor, want.pattern)
        if held:
            mine = held[0]
            if not terms.shorten and mine.expires_at is not None:
                expires_at = max(expires_at, mine.expires_at)
            self._connection.execute(
                "UPDATE reservation SET expires_at = ?, exclusive = ?, reason = ?, typed = ?, principal = ?"
                " WHERE id = ?",
                (
                    *(expires_at, terms.exclusive, terms.reason or mine.reason),
                    *(storable(want.typed), actor.principal, mine.id),
                ),
            )
            return self._by_id(mine.id)
        made = self._connection.execute(
            "INSERT INTO reservation (project, holder, pattern, typed, prefix, prefix_checked, exclusive, reason,"
            " principal, created_at, expires_at) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
            (
                *(actor.project, actor.holder, storable(want.pattern), storable(want.typed)),
                *(prefix(want.pattern).lower(), terms.exclusive, terms.reason, actor.principal, now, expires_at),
            ),
        )
        return self._by_id(made.lastrowid or 0)

    def _held(self, actor: Actor, pattern: bytes) -> list[Reservation]:
        """The actor's active reservations with exactly this pattern, whether it is stored as text or as bytes."""
        where = f"{_ACTIVE} AND holder = ? AND pattern IN (?, ?)"
        return self._select(where, actor.project, actor.holder, storable(pattern), pattern)

    def _mine(self, actor: Actor, chosen: Chosen) -> tuple[list[Reservation], tuple[str, ...]]:
        """The chosen active reservations of the actor, ordered by id, and the choices that name none."""
        where = f"{_ACTIVE} AND holder = ?"
        if chosen.everything:
            return self._select(f"{where} ORDER BY id", actor.project, actor.holder), ()
        mine: dict[int, Reservation] = {}
        missing = []
        for number in chosen.ids:
            found = []
            if can_be_id(number):
                found = self._select(f"{where} AND id = ?", actor.project, actor.holder, number)
            mine.update({row.id: row for row in found})
            missing += [] if found else [str(number)]
        for want in chosen.patterns:
            found = self._held(actor, want.pattern)
            mine.update({row.id: row for row in found})
            missing += [] if found else [os.fsdecode(want.typed)]
        return [mine[number] for number in sorted(mine)], tuple(missing)

    def _end(self, row: Reservation, actor: Actor, end: str, *, reason: str = "", tell: bool = False) -> Reservation:
        self._connection.execute(
            'UPDATE reservation SET ended_at = ?, ended_by = ?, "end" = ?, end_reason = ?, told = ? WHERE id = ?',
            (self._clock(), actor.holder, end, reason, not tell, row.id),
        )
        return self._by_id(row.id)

    def _expire(self, project: str) -> None:
        """Records which reservations have expired, so that a clock that is set back cannot revive them."""
        due = self._select(f"{_ACTIVE} AND expires_at <= ? ORDER BY expires_at", project, self._clock())
        self._connection.executemany(_EXPIRED, [(row.id,) for row in due])
        for row in due:
            actor = Actor(project, row.holder, row.principal)
            self._note(actor, "expired", [row], reason=row.reason, at=row.expires_at)

    def _prune(self) -> None:
        """Deletes some rows that ended longer ago than guard.retention, and waiters that have given up."""
        before = self._clock() - self._retention_ms
        self._connection.execute(
            "DELETE FROM reservation WHERE id IN (SELECT id FROM reservation"
            " WHERE ended_at IS NOT NULL AND ended_at < ? LIMIT ?)",
            (before, PRUNED_AT_ONCE),
        )
        self._connection.execute(
            "DELETE FROM log WHERE id IN (SELECT id FROM log WHERE at < ? LIMIT ?)", (before, PRUNED_AT_ONCE)
        )
        self._connection.execute("DELETE FROM waiter WHERE until < ?", (self._clock(),))

    def _note(
        self, actor: Actor, event: str, rows: Iterable[Reservation], *, reason: str, at: int | None = None
    ) -> None:
        generation = self._generation(actor.project)
        self._connection.executemany(
            "INSERT INTO log (at, project, generation, event, holder, principal, reservation, whose, pattern, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(self._clock() if at is None else at, actor.project, generation, event, actor.holder),
                    *(actor.principal, row.id, row.holder, storable(row.pattern), reason),
                )
                for row in rows
            ],
        )

    def _generation(self, project: str) -> int:
        row = self._connection.execute("SELECT generation FROM project WHERE name = ?", (project,)).fetchone()
        return int(row[0]) if row else 0

    def _by_id(self, number: int) -> Reservation:
        return self._select("id = ?", number)[0]

    def _select(self, where: str, *values: object) -> list[Reservation]:
        found = self._connection.execute(f"SELECT {self._columns} FROM reservation WHERE {where}", values)
        if not self._is_at_once:
            return list(map(reservation_of, found.fetchall()))
        rows = found.fetchmany(ROWS_AT_ONCE + 1)
        if len(rows) > ROWS_AT_ONCE:
            raise WouldWait(f"more than {ROWS_AT_ONCE} reservations")
        return list(map(reservation_of, rows))

    # Around a transaction

    def _settled(self, project: str, read: Callable[[], list[Reservation]]) -> Snapshot:
        """Reads active reservations, after it has recorded which of them have expired."""
        found = self._snapshot(project, read)
        now = self._clock()
        if any(row.expires_at is not None and row.expires_at <= now for row in found.reservations):
            try:
                with self._writing(project):
                    pass
                found = self._snapshot(project, read)
            except GuardError:  # a store that we may only read still answers: then the clock decides alone
                now = self._clock()
        alive = tuple(row for row in found.reservations if row.expires_at is None or row.expires_at > now)
        return found._replace(reservations=alive)

    def _snapshot(self, project: str, read: Callable[[], list[Reservation]]) -> Snapshot:
        with self._reading():
            return Snapshot(self._generation(project), tuple(sorted(read(), key=lambda row: row.id)))

    def _reading(self) -> Transaction | _Within:
        if self._is_at_once:
            return _Within()
        return Transaction(self._connection, "BEGIN", explain=self._explained, first=self._check_version)

    def _changing(self) -> Transaction:
        """A transaction that writes, but no reservations."""
        self._refuse_at_once()
        return Transaction(self._connection, "BEGIN IMMEDIATE", explain=self._explained, first=self._migrate)

    def _writing(self, project: str) -> Transaction:
        """A transaction that writes reservations. It first records which have expired, and at last drops old rows."""

        def first() -> None:
            self._migrate()
            sqlite_versions.check_prefixes(self._connection, project, limit=PREFIXES_AT_ONCE)
            self._expire(project)

        self._refuse_at_once()
        return Transaction(self._connection, "BEGIN IMMEDIATE", explain=self._explained, first=first, last=self._prune)

    def _refuse_at_once(self) -> None:
        if self._is_at_once:
            raise WouldWait("something has to be written")

    def _check_version(self) -> None:
        """Raises when a newer guard has changed the file, or moved the store elsewhere, since it was opened."""
        if sqlite_versions.readable_since_of(self._connection) != self._version.readable_since:
            self._look_inside()

    def _migrate(self) -> None:
        self._check_version()
        if self._version.written_by < sqlite_versions.VERSION:
            self._look_inside()  # somebody else may have brought it up to date meanwhile
            if self._version.written_by < sqlite_versions.VERSION:
                sqlite_versions.migrate(self._connection, self._version.written_by)
                self._look_inside()

    def _explained(self, error: sqlite3.Error) -> GuardError:
        return explained(error, self.address, self._patience_s)

    # Opening

    def _look(self) -> None:
        """Checks the header and the version of the file; raises when it is another program's, for newer guards, or
        moved.
        """
        check_size(self.address)
        try:
            self._look_inside()
            self._formerly = self._former_addresses()
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _look_inside(self) -> None:
        found = sqlite_versions.version_of(self._connection, self.address)
        if found.moved_to:
            raise Moved(self.address, found.moved_to)
        self._version = found
        wanted = columns(ReservationRow)
        self._columns = wanted if self._version.written_by >= 2 else wanted.replace('"end_reason"', "''")

    def _former_addresses(self) -> frozenset[bytes]:
        """The addresses from which this store was moved here."""
        if self._version.written_by < 2:
            return frozenset()
        rows = self._connection.execute("SELECT address FROM moved_from").fetchall()
        return frozenset(as_bytes(row[0]) for row in rows)


class _AtOnce:
    """Answers at once (:meth:`guard.stores.interface.Store.at_once`): in one transaction that only reads, and waits for
    no lock."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __enter__(self) -> None:
        store = self._store
        store._is_at_once = True
        try:
            store._connection.execute("PRAGMA busy_timeout = 0")
            store._connection.execute("BEGIN")
            store._check_version()
        except BaseException as error:
            self.__exit__(None, error, None)
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        store = self._store
        store._is_at_once = False
        if store._connection.in_transaction:
            store._connection.execute("ROLLBACK")
        patience_ms = int(min(store._patience_s, PATIENCE_MAX_S) * 1000)
        store._connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
        if isinstance(error, sqlite3.Error):
            raise WouldWait(str(error)) from error


class _Within:
    """The transaction has begun already, and ends later."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        pass
