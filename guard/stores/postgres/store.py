"""A store in a PostgreSQL database, for teams on several machines. schema.sql has its tables and functions.

Reading is one statement, writing is one call of a function: each is one transaction and one round trip. The server's
clock is the only one that counts. Overlaps are decided here, by the code that serves the SQLite store too: the function
``guard.reserve`` grants only when guard has judged every reservation that is near (:meth:`PostgresStore.reserve`).
"""

from __future__ import annotations

import os
import time

from guard.model import GuardError, Overlap, Reservation
from guard.patterns.grammar import prefix
from guard.repo import standpoint
from guard.repo.secrets import bare_of_password
from guard.stores.interface import (
    Actor,
    Chosen,
    Contents,
    Description,
    Entry,
    Moved,
    Opening,
    Outcome,
    Snapshot,
    Source,
    Terms,
    Wanted,
    can_be_id,
)
from guard.stores.postgres.connection import Connection, machine, uptime_s
from guard.stores.postgres.kind import POSTGRES
from guard.stores.postgres.versions import VERSION, newer
from guard.stores.sqlite_file import with_parents
from guard.stores.sqlite_log import LogRow
from guard.stores.sqlite_rows import ReservationRow, columns
from guard.stores.waiting_process import is_gone, namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from guard.stores.completions import Begun

PREFIXES_AT_ONCE = 2000
PUBLICATIONS_MAX = 64
ATTEMPTS = 1000
"""How often reserve judges reservations that came near meanwhile. Each time, somebody else has got a reservation."""

_ROW = columns(ReservationRow)
_HEADER = """(SELECT v.readable_since, v.moved_to, pg_is_in_recovery() AS replica, guard.clock() AS now,
    coalesce((SELECT generation FROM guard.project WHERE name = %s), 0) AS generation FROM guard.version v) AS h"""
_ACTIVE = "r.project = %s AND r.ended_at IS NULL"
_WIDTH = 5  # columns of the header

_ANSWER = (
    "what, generation, now, revision, process, namespace, id, project, holder, pattern, typed, exclusive, reason,"
    ' principal, created_at, expires_at, ended_at, ended_by, "end", end_reason'
)
_OF_ROW = 6  # columns of an answer before those of the reservation


class PostgresStore:
    """A :class:`guard.stores.interface.Store` at a ``postgresql://`` address."""

    kind = POSTGRES

    def __init__(self, address: str, opening: Opening) -> None:
        self.address = bare_of_password(address)
        self._patience_ms = max(1, int(opening.patience_s * 1000))
        self._retention_ms = opening.retention_ms
        self.connection = Connection(opening.secret or address, patience_s=opening.patience_s)
        self._ahead_s: float | None = None
        self._said_at = 0
        self._lease_ms = 0
        self._formerly: frozenset[bytes] | None = None

    def is_at(self, address: bytes) -> bool:
        if address == os.fsencode(self.address):
            return True
        if self._formerly is None:
            rows = self._question("f.address", "guard.moved_from f ON true", ())[1]
            self._formerly = frozenset(os.fsencode(name) for (name,) in rows)
        return address in self._formerly

    def at_once(self) -> None:
        return None  # a server is asked over a network

    def close(self) -> None:
        self.connection.close()

    def now(self) -> int:
        """The time by the server's clock in Unix ms: what it said last, and the time that has passed since."""
        if self._ahead_s is None:
            self._question("NULL", "", ())
        return int((uptime_s() + (self._ahead_s or 0.0)) * 1000)

    # Reading

    def generation(self, project: str) -> int:
        return self._question("NULL", "", (), project=project)[0]

    def active(self, project: str) -> Snapshot:
        return self._settled(project, lambda: self._select(project, _ACTIVE, project))

    def covering(self, project: str, paths: Sequence[bytes], *, everything: bool = False) -> Snapshot:
        if everything:
            return self.active(project)
        above = sorted({lead for path in paths for lead in with_parents(path.lower())})
        near = f"{_ACTIVE} AND (r.prefix IS NULL OR r.prefix = ANY (%s::bytea[]))"
        return self._settled(project, lambda: self._select(project, near, project, above))

    def of_holder(self, project: str, holder: str) -> Snapshot:
        mine = f"{_ACTIVE} AND r.holder = %s"
        return self._settled(project, lambda: self._select(project, mine, project, holder))

    def near(self, project: str, patterns: Sequence[bytes]) -> Snapshot:
        leads = sorted({prefix(pattern).lower() for pattern in patterns})
        if b"" in leads:
            return self.active(project)
        above = sorted({name for lead in leads for name in with_parents(lead)})
        bounds = [bound for lead in leads for bound in (lead + b"/", lead + b"0")]
        below = "".join(" OR (r.prefix >= %s::bytea AND r.prefix < %s::bytea)" for _ in leads)
        where = f"{_ACTIVE} AND (r.prefix IS NULL OR r.prefix = ANY (%s::bytea[]){below})"
        return self._settled(project, lambda: self._select(project, where, project, above, *bounds))

    def ended(self, project: str) -> Snapshot:
        found = self._select(project, "r.project = %s AND r.ended_at IS NOT NULL", project)
        return found._replace(
            reservations=tuple(sorted(found.reservations, key=lambda row: (row.ended_at or 0, row.id)))
        )

    def everywhere(self) -> Snapshot:
        found = self._select("", "r.ended_at IS NULL AND r.expires_at > h.now")
        return found._replace(generation=0)

    def notices(self, project: str, holder: str) -> tuple[Reservation, ...]:
        return self._select(project, "r.project = %s AND r.holder = %s AND NOT r.told", project, holder).reservations

    def log(self, project: str, *, limit: int) -> list[Entry]:
        names = ", ".join(f"l.{name}" for name in LogRow._fields)
        newest = "(SELECT * FROM guard.log WHERE project = %s ORDER BY id DESC LIMIT %s) AS l ON true"
        rows = self._question(names, newest, (project, limit), project=project)[1]
        return sorted((LogRow(*row).entry() for row in rows), key=lambda entry: entry.id)

    def completions(self, begun: Begun) -> list[str]:
        from guard.stores.postgres.completions import completions

        return completions(self._question, begun)

    def spelling(self, holder: str) -> str:
        return holder

    def why_nothing_counts(self, project: str) -> str:
        return ""

    def remarks(self, project: str) -> list[str]:
        return []

    def union_source(
        self,
        project: str,
        holder: str,
        *,
        known: bytes = b"",
        along: Callable[[bytes], Iterable[bytes]] | None = None,
    ) -> Source:
        """As the interface says. The question is one statement, so its answer is the state at one instant."""
        names = ", ".join(f"r.{name.strip()}" for name in _ROW.split(","))
        generation, rows = self._question(
            "s.lease_ms, s.state, s.until, h.now, " + names,
            "(SELECT coalesce(max(p.lease_ms), %s) AS lease_ms, coalesce(max(p.state), '-') AS state, (SELECT"
            " min(r.expires_at) FROM guard.reservation r WHERE r.project = %s AND r.ended_at IS NULL AND r.holder = %s)"
            " AS until FROM guard.project p WHERE p.name = %s) AS s ON true LEFT JOIN guard.reservation r ON"
            f" s.state <> %s AND {_ACTIVE} AND r.exclusive AND r.holder <> %s",
            (DEFAULT_LEASE_MS, project, holder, project, os.fsdecode(known), project, holder),
            project=project,
        )
        lease_ms, state, until, now = rows[0][:4]
        found = tuple(ReservationRow._make(row[4:]).reservation() for row in rows if row[4] is not None)
        patterns = {row[4 + ReservationRow._fields.index("pattern")] for row in rows if row[4] is not None}
        return Source(
            tuple(sorted(patterns)),
            generation,
            (),
            until,
            lease_ms=lease_ms,
            state=state.encode(),
            rows=tuple(sorted(found, key=lambda row: row.id)),
            unchanged=state.encode() == known,
            now=now,
        )

    def version(self) -> object:
        rows = self._question("(SELECT sum(generation) FROM guard.project)::bigint", "", ())[1]
        return rows[0][0]

    def roles(self, ids: Sequence[int]) -> dict[int, str]:
        rows = self._question(
            "r.id, r.role",
            "(SELECT id, role FROM guard.reservation WHERE id = ANY (%s::bigint[])) AS r ON true",
            (list(ids),),
        )[1]
        return {number: role for number, role in rows if number is not None}

    def publications(self) -> list[bytes]:
        rows = self._question(
            "p.directory",
            "(SELECT directory FROM guard.publication WHERE machine = %s ORDER BY since DESC LIMIT %s) AS p ON true",
            (machine(), PUBLICATIONS_MAX),
        )[1]
        return [row[0] for row in rows]

    def projects_with_roots(self, oids: Sequence[str]) -> dict[str, int]:
        rows = self._question(
            "f.project, (SELECT count(*) FROM guard.reservation r WHERE r.project = f.project AND r.ended_at IS NULL"
            " AND r.expires_at > h.now)",
            "(SELECT DISTINCT project FROM guard.root WHERE oid = ANY (%s::text[])) AS f ON true",
            (list(oids),),
        )[1]
        return dict(rows)

    # Writing

    def reserve(self, actor: Actor, wanted: Sequence[Wanted], terms: Terms, *, ticket: int | None = None) -> Outcome:
        """As the interface says.

        The server is asked to grant, with the rows that are known not to be in the way: none at first. It answers with
        the rows near by that are not known; they are judged here, outside of its lock. When none of them is in the way
        it is asked again, and grants unless others have come near meanwhile. So most requests take one or two round
        trips, and the project is locked for about a millisecond, however far away the client is.
        """
        leads = [prefix(want.pattern).lower() for want in wanted]
        above = sorted({name for lead in leads for name in with_parents(lead)})
        known: dict[int, int] = {}
        waiters: set[int] = set()
        for _ in range(ATTEMPTS):
            generation, rows = self._change(
                "guard.reserve(%s, %s, %s, %s::bytea[], %s::bytea[], %s::bytea[], %s::bytea[], %s, %s, %s::bigint, %s,"
                " %s::bigint, %s::bigint[], %s::bigint[], %s::bigint[], %s, %s::bigint)",
                actor.project, actor.holder, actor.principal, [want.pattern for want in wanted],
                [want.typed for want in wanted], leads, above, terms.exclusive, terms.reason, terms.ttl_ms,
                terms.shorten, ticket, list(known), list(known.values()), list(waiters),
            )  # fmt: skip
            near = [row for row in rows if row[0] == "candidate"]
            ahead = [row for row in rows if row[0] == "waiter"]
            if not near and not ahead:
                return Outcome(generation, tuple(map(_reservation, rows)), lease_ms=self._lease_ms)
            conflicts = _overlaps(wanted, [_reservation(row) for row in near], fold=terms.fold)
            if conflicts:
                return Outcome(generation, conflicts=conflicts)
            if before := _ahead(ahead, actor, wanted, fold=terms.fold):
                return Outcome(generation, ahead=before)
            known.update((row[_OF_ROW], row[3]) for row in near)
            waiters.update(row[_OF_ROW] for row in ahead)
        raise GuardError(f"the store {self.address} changes too fast", hint="try again")

    def release(self, actor: Actor, chosen: Chosen) -> Outcome:
        return self._end_mine("release", actor, chosen)

    def renew(self, actor: Actor, chosen: Chosen, *, ttl_ms: int) -> Outcome:
        return self._end_mine("renew", actor, chosen, ttl_ms)

    def _end_mine(self, what: str, actor: Actor, chosen: Chosen, *more: int) -> Outcome:
        generation, rows = self._change(
            f"guard.{what}(%s, %s, %s, %s::bigint[], %s::bytea[], %s{', %s::bigint' * len(more)}, %s, %s::bigint)",
            *actor,
            list(filter(can_be_id, chosen.ids)),
            [want.pattern for want in chosen.patterns],
            chosen.everything,
            *more,
        )
        done = tuple(_reservation(row) for row in rows)
        ids, patterns = {row.id for row in done}, {row[_OF_ROW + 3] for row in rows}
        missing = [str(number) for number in chosen.ids if number not in ids]
        missing += [os.fsdecode(want.typed) for want in chosen.patterns if want.pattern not in patterns]
        return Outcome(generation, done, () if chosen.everything else tuple(missing))

    def break_(self, actor: Actor, ids: Sequence[int], *, reason: str) -> Outcome:
        generation, rows = self._change(
            "guard.break(%s, %s, %s, %s::bigint[], %s, %s, %s::bigint)", *actor, list(filter(can_be_id, ids)), reason
        )
        done = tuple(_reservation(row) for row in rows)
        broken = {row.id for row in done}
        return Outcome(generation, done, tuple(str(number) for number in ids if number not in broken))

    def told(self, notices: Sequence[Reservation]) -> None:
        self._write(
            "UPDATE guard.reservation SET told = true WHERE id = ANY (%s::bigint[])", [row.id for row in notices]
        )

    def record(self, actor: Actor, event: str, reservations: Sequence[Reservation], *, reason: str) -> None:
        self._change(
            "guard.record(%s, %s, %s, %s, %s::bigint[], %s::text[], %s::bytea[], %s, %s, %s::bigint)",
            *(actor.project, event, actor.holder, actor.principal),
            [row.id for row in reservations],
            [row.holder for row in reservations],
            [row.pattern for row in reservations],
            reason,
        )

    def queue(self, actor: Actor, wanted: Sequence[Wanted], *, exclusive: bool, until: int) -> int:
        rows = self._write(
            "SELECT guard.queue(%s, %s, %s, %s, %s, %s::bigint, %s::bytea[], %s)",
            *(*actor, os.getpid(), namespace(), until, [want.pattern for want in wanted], exclusive),
        )
        return int(rows[0][0])

    def leave(self, ticket: int) -> None:
        self._write("DELETE FROM guard.waiter WHERE ticket = %s", ticket)

    def remember_roots(self, project: str, oids: Sequence[str]) -> None:
        rows = self._question("f.oid", "guard.root f ON f.project = %s", (project,))[1]
        known = {row[0] for row in rows}
        if new := [oid for oid in dict.fromkeys(oids) if oid not in known]:
            self._write(
                "INSERT INTO guard.root (oid, project) SELECT oid, %s FROM unnest(%s::text[]) AS oid"
                " ON CONFLICT DO NOTHING",
                *(project, new),
            )

    def publish_in(self, directory: bytes, project: str) -> None:
        known = "guard.publication p ON p.machine = %s AND p.directory = %s AND p.project = %s"
        if not self._question("p.since", known, (machine(), directory, project))[1]:
            self._write(
                "INSERT INTO guard.publication (machine, directory, project, since) VALUES (%s, %s, %s, guard.clock())"
                " ON CONFLICT (machine, directory) DO UPDATE SET project = excluded.project, since = excluded.since",
                *(machine(), directory, project),
            )

    def forget(self, directory: bytes) -> None:
        self._write("DELETE FROM guard.publication WHERE machine = %s AND directory = %s", machine(), directory)

    # As a whole

    def describe(self) -> Description:
        from guard.stores.postgres.copies import description

        return description(self)

    def contents(self) -> Contents:
        from guard.stores.postgres.copies import read_contents

        return read_contents(self)

    def take_in(self, contents: Contents, *, formerly: str = "") -> None:
        from guard.stores.postgres.copies import write_contents

        write_contents(self, contents, formerly=formerly)
        self._formerly = None

    def move_out(self, to: str, carry: Callable[[Contents], None]) -> None:
        from guard.stores.postgres.copies import move_out

        move_out(self, to, carry)

    def backup(self, to: str) -> None:
        from guard.stores.postgres.copies import backup

        backup(self, to)

    # Asking

    def _question(
        self, wanted: str, source: str, values: tuple[object, ...], *, project: str = "", first: bool = False
    ) -> tuple[int, list[tuple[Any, ...]]]:
        """One statement: the project's generation and the rows of ``source``, all as of one instant.

        Raises when the store was moved, when it is for newer guards, and when a replica answered: it may be behind.
        ``first``: the parameters of ``wanted`` come first in ``values``; else those of ``source``, which follow the
        header's. The first column of ``wanted`` is never NULL in a row of the source.
        """
        join = f"LEFT JOIN {source}" if source else ""
        asked = (*values, project) if first else (project, *values)
        before = uptime_s()
        rows = self.connection.ask(
            f"SELECT h.readable_since, h.moved_to, h.replica, h.now, h.generation, {wanted} FROM {_HEADER} {join}",
            asked,
        )
        if not rows:
            raise GuardError(f"the store {self.address} does not say which version it has", hint="guard store init")
        readable_since, moved_to, replica, now, generation = rows[0][:_WIDTH]
        self._hear_clock(now, before)
        if moved_to:
            raise Moved(self.address, moved_to)
        if readable_since > VERSION:
            raise newer(self.address, readable_since)
        if replica:
            raise GuardError(
                f"the store {self.address} leads to a replica, which may be behind the primary server",
                hint="name the primary server, or several hosts with target_session_attrs=read-write: guard help teams",
            )
        found = [row[_WIDTH:] for row in rows]
        return generation, [] if source and found[0][0] is None else found

    def _select(self, project: str, where: str, *values: object) -> Snapshot:
        names = ", ".join(f"r.{name.strip()}" for name in _ROW.split(","))
        generation, rows = self._question(names, f"guard.reservation r ON {where}", values, project=project)
        found = sorted((ReservationRow._make(row).reservation() for row in rows), key=lambda row: row.id)
        return Snapshot(generation, tuple(found))

    def _settled(self, project: str, read: Callable[[], Snapshot]) -> Snapshot:
        """Reads active reservations. When some of them have expired, that is recorded first."""
        found = read()
        now = self._said_at
        if any(row.expires_at is not None and row.expires_at <= now for row in found.reservations):
            try:
                self._change("guard.settle(%s, %s, %s::bigint)", project)
                found = read()
            except GuardError:  # a role that may only read still gets an answer: then the clock decides alone
                pass
            now = self._said_at
        alive = tuple(row for row in found.reservations if row.expires_at is None or row.expires_at > now)
        return found._replace(reservations=alive)

    def _hear_clock(self, now: int, asked_at: float) -> None:
        """Remembers the server's time, in Unix ms, as of the middle between question and answer."""
        self._said_at = now
        self._ahead_s = now / 1000 - (asked_at + uptime_s()) / 2
        standpoint.follow_clock(self.now() - time.time_ns() // 1_000_000)

    def _change(self, call: str, *values: object) -> tuple[int, list[tuple[Any, ...]]]:
        """Calls a function that changes a project; its last parameters, patience and retention, are added here."""
        before = uptime_s()
        rows = self.connection.change(f"SELECT {_ANSWER} FROM {call}", (*values, self._patience_ms, self._retention_ms))
        (header,) = [row for row in rows if row[0] == "header"]
        self._hear_clock(header[2], before)
        self._lease_ms = header[3]
        if header[_OF_ROW]:
            self._compute_prefixes(str(values[0]))
        return header[1], [row for row in rows if row[0] != "header"]

    def _write(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        return self.connection.change(text, values)

    def _compute_prefixes(self, project: str) -> None:
        """Computes the prefix of active rows that have none, because another program wrote them."""
        where = f"{_ACTIVE} AND r.prefix IS NULL LIMIT %s"
        rows = self._question("r.id, r.pattern", f"guard.reservation r ON {where}", (project, PREFIXES_AT_ONCE))[1]
        found = "unnest(%s::bigint[], %s::bytea[], %s::bytea[]) AS f (id, pattern, prefix)"
        self._write("UPDATE guard.reservation SET prefix_checked = false WHERE prefix IS NULL AND prefix_checked")
        self._write(
            f"UPDATE guard.reservation r SET prefix = f.prefix, prefix_checked = true FROM {found}"
            " WHERE r.id = f.id AND r.pattern = f.pattern",
            *([row[0] for row in rows], [row[1] for row in rows], [prefix(row[1]).lower() for row in rows]),
        )


DEFAULT_LEASE_MS = 30_000
"""The length of the lease of a project that has no row yet."""


def _reservation(row: tuple[Any, ...]) -> Reservation:
    """A row of an answer as a reservation; an answer has the columns of :class:`ReservationRow` in their order."""
    return ReservationRow._make(row[_OF_ROW:]).reservation()


def _overlaps(wanted: Sequence[Wanted], near: Sequence[Reservation], *, fold: bool) -> tuple[Overlap, ...]:
    from guard.patterns.overlap import overlap

    return tuple(
        Overlap(want.pattern, other)
        for want in wanted
        for other in near
        if overlap(want.pattern, other.pattern, fold=fold)
    )


def _ahead(rows: Iterable[tuple[Any, ...]], actor: Actor, wanted: Sequence[Wanted], *, fold: bool) -> int:
    """How many of those who began to wait earlier still wait, and want some of the same paths."""
    from guard.patterns.overlap import overlap

    here = actor.principal.rpartition("@")[2]
    ahead = set()
    for row in rows:
        waiter = dict(zip(ReservationRow._fields, row[_OF_ROW:], strict=True))
        at_home = waiter["principal"].rpartition("@")[2] == here
        if at_home and is_gone(row[4], where=row[5]):
            continue
        if any(overlap(want.pattern, waiter["pattern"], fold=fold) for want in wanted):
            ahead.add(waiter["id"])
    return len(ahead)
