"""The store of our own: one SQLite file that every worktree, clone and holder on the machine shares.

A rollback journal rather than a write-ahead log, so that the file's own time tells of every commit (see
:mod:`guard.stores.freshness`). Loaded by the hook's refresh: imports nothing beyond SQLite.
"""

from __future__ import annotations

import os
import stat

from guard.lock import Locked
from guard.model import GuardError, Overlap, Reservation
from guard.patterns.grammar import covering, fault, prefix
from guard.stores import freshness
from guard.stores.interface import (
    APPLICATION_ID,
    RETENTION_MS,
    Actor,
    Chosen,
    Entry,
    Outcome,
    Snapshot,
    Source,
    Terms,
    Wanted,
)
from guard.stores.sqlite_file import as_bytes, as_text, connect, explained, now_ms, sqlite3, with_parents
from guard.stores.sqlite_kind import SQLITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    T = TypeVar("T")
    Row = tuple[Any, ...]

VERSION = 1
LATEST_MS = 253_402_300_799_999  # the end of the year 9999
PRUNED_AT_ONCE = 200
PUBLICATIONS_MAX = 64
CANDIDATES_AT_ONCE = 400
_SCHEMA = os.path.join(os.path.dirname(__file__), "schema.sql")
_COLUMNS = """id, project, holder, pattern, typed, exclusive, reason, principal, created_at, expires_at,
    ended_at, ended_by, "end" """
_ACTIVE = "project = ? AND ended_at IS NULL"


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
        if not _is_there(address):
            if not create:
                raise GuardError(f"the store {address} does not exist", hint="guard install")
            self._make()
        self._connection = self._ask(lambda: _connect(address, patience_s))
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def is_at(self, address: bytes) -> bool:
        return address == os.fsencode(self.address)

    def close(self) -> None:
        self._connection.close()

    # Reading

    def active(self, project: str) -> Snapshot:
        return self._settled(project, lambda: self._select(_ACTIVE, project))

    def covering(self, project: str, paths: Sequence[bytes]) -> Snapshot:
        above = sorted({prefix for path in paths for prefix in with_parents(path.lower())})

        def read() -> list[Reservation]:
            found = self._select(f"{_ACTIVE} AND prefix IS NULL", project)
            for start in range(0, len(above), CANDIDATES_AT_ONCE):
                part = above[start : start + CANDIDATES_AT_ONCE]
                marks = ", ".join("?" * len(part))
                found += self._select(f"{_ACTIVE} AND prefix IN ({marks})", project, *part)
            return found

        return self._settled(project, read)

    def ended(self, project: str) -> Snapshot:
        def read() -> Snapshot:
            return Snapshot(
                self._generation(project),
                tuple(self._select("project = ? AND ended_at IS NOT NULL ORDER BY ended_at, id", project)),
            )

        return self._reading(read)

    def everywhere(self) -> Snapshot:
        rows = self._reading(lambda: self._select("ended_at IS NULL AND expires_at > ? ORDER BY id", self._clock()))
        return Snapshot(0, tuple(rows))

    def notices(self, project: str, holder: str) -> tuple[Reservation, ...]:
        return tuple(self._reading(lambda: self._select("project = ? AND holder = ? AND told = 0", project, holder)))

    def log(self, project: str, *, limit: int) -> list[Entry]:
        rows = self._ask(
            lambda: self._connection.execute(
                "SELECT id, at, generation, event, holder, principal, reservation, whose, pattern, reason"
                " FROM log WHERE project = ? ORDER BY id DESC LIMIT ?",
                (project, limit),
            ).fetchall()
        )
        return [_entry(row) for row in reversed(rows)]

    def remarks(self, project: str) -> list[str]:
        return []

    def union_source(self, project: str, holder: str) -> Source:
        def read() -> tuple[int, set[bytes]]:
            # Expired ones too, until a writer has recorded that they ended: a clock set back must not free a path.
            rows = self._connection.execute(
                f"SELECT pattern FROM reservation WHERE {_ACTIVE} AND exclusive IS NOT 0 AND holder <> ?",
                (project, holder),
            ).fetchall()
            return self._generation(project), {as_bytes(row[0]) for row in rows}

        (generation, patterns), stamps = self._ask(
            lambda: freshness.read_sealed(
                self._connection, os.fsencode(self.address), read, now_ns=self._clock() * 1_000_000
            )
        )
        return Source(tuple(sorted(patterns)), generation, stamps)

    def version(self) -> object:
        try:
            status = os.stat(self.address)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def publications(self) -> list[bytes]:
        rows = self._ask(
            lambda: self._connection.execute(
                "SELECT directory FROM publication ORDER BY since DESC LIMIT ?", (PUBLICATIONS_MAX,)
            ).fetchall()
        )
        return [as_bytes(row[0]) for row in rows]

    # Writing

    def reserve(self, actor: Actor, wanted: Sequence[Wanted], terms: Terms, *, ticket: int | None = None) -> Outcome:
        def write() -> Outcome:
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

        return self._writing(actor.project, write)

    def release(self, actor: Actor, chosen: Chosen) -> Outcome:
        def write() -> Outcome:
            mine, missing = self._mine(actor, chosen)
            ended = [self._end(row, actor, "released", tell=False) for row in mine]
            self._note(actor, "released", ended, reason="")
            return Outcome(self._generation(actor.project), tuple(ended), missing)

        return self._writing(actor.project, write)

    def renew(self, actor: Actor, chosen: Chosen, *, ttl_ms: int) -> Outcome:
        def write() -> Outcome:
            mine, missing = self._mine(actor, chosen)
            expires_at = self._clock() + ttl_ms
            for row in mine:
                self._connection.execute("UPDATE reservation SET expires_at = ? WHERE id = ?", (expires_at, row.id))
            renewed = [self._by_id(row.id) for row in mine]
            self._note(actor, "renewed", renewed, reason="")
            return Outcome(self._generation(actor.project), tuple(renewed), missing)

        return self._writing(actor.project, write)

    def break_(self, actor: Actor, ids: Sequence[int], *, reason: str) -> Outcome:
        def write() -> Outcome:
            broken, missing = [], []
            for number in ids:
                found = self._select(f"{_ACTIVE} AND id = ? AND holder <> ?", actor.project, number, actor.holder)
                if found:
                    broken.append(self._end(found[0], actor, "broken", tell=True))
                else:
                    missing.append(str(number))
            self._note(actor, "broken", broken, reason=reason)
            return Outcome(self._generation(actor.project), tuple(broken), tuple(missing))

        return self._writing(actor.project, write)

    def told(self, notices: Sequence[Reservation]) -> None:
        def write() -> None:
            for row in notices:
                self._connection.execute("UPDATE reservation SET told = 1 WHERE id = ?", (row.id,))

        self._transaction(write)

    def record(self, actor: Actor, event: str, reservations: Sequence[Reservation], *, reason: str) -> None:
        self._writing(actor.project, lambda: self._note(actor, event, reservations, reason=reason))

    def queue(self, actor: Actor, wanted: Sequence[Wanted], *, exclusive: bool, until: int) -> int:
        def write() -> int:
            ticket = self._connection.execute(
                "INSERT INTO waiter (project, holder, principal, process, until) VALUES (?, ?, ?, ?, ?)",
                (actor.project, actor.holder, actor.principal, os.getpid(), until),
            ).lastrowid
            self._connection.executemany(
                "INSERT INTO waiter_pattern VALUES (?, ?, ?)",
                [(ticket, _storable(want.pattern), exclusive) for want in wanted],
            )
            return ticket or 0

        return self._transaction(write)

    def leave(self, ticket: int) -> None:
        self._transaction(lambda: self._connection.execute("DELETE FROM waiter WHERE ticket = ?", (ticket,)))

    def publish_in(self, directory: bytes, project: str) -> None:
        known = self._ask(
            lambda: self._connection.execute(
                "SELECT 1 FROM publication WHERE directory = ?", (_storable(directory),)
            ).fetchone()
        )
        if not known:
            row = (_storable(directory), project, self._clock())
            self._transaction(
                lambda: self._connection.execute("INSERT OR REPLACE INTO publication VALUES (?, ?, ?)", row)
            )

    def forget(self, directory: bytes) -> None:
        self._transaction(
            lambda: self._connection.execute("DELETE FROM publication WHERE directory = ?", (_storable(directory),))
        )

    # Inside a transaction

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
            # Three questions, for SQLite does not take the index on the prefix for one with OR in it.
            found = self._select(f"{others} AND prefix IS NULL", *who)
            found += self._select(f"{others} AND prefix IN ({marks})", *who, *above)
            found += self._select(f"{others} AND prefix >= ? AND prefix < ?", *who, lead + b"/", lead + b"0")
        near = sorted(found, key=lambda other: other.id)
        return [other for other in near if overlap(pattern, other.pattern, fold=fold)]

    def _ahead_of(self, ticket: int, actor: Actor, wanted: Sequence[Wanted], terms: Terms) -> int:
        """How many holders wait longer, still do, and want something of the same."""
        from guard.patterns.overlap import overlap

        rows = self._connection.execute(
            "SELECT DISTINCT w.ticket, w.principal, w.process, p.pattern, p.exclusive"
            " FROM waiter AS w JOIN waiter_pattern AS p USING (ticket)"
            " WHERE w.project = ? AND w.ticket < ? AND w.holder <> ? AND w.until > ?",
            (actor.project, ticket, actor.holder, self._clock()),
        ).fetchall()
        here = actor.principal.rpartition("@")[2]
        ahead = {
            number
            for number, principal, process, pattern, exclusive in rows
            if (exclusive or terms.exclusive)
            and not (as_text(principal).rpartition("@")[2] == here and _is_gone(process))
            and any(overlap(want.pattern, as_bytes(pattern), fold=terms.fold) for want in wanted)
        }
        return len(ahead)

    def _grant(self, actor: Actor, want: Wanted, terms: Terms) -> Reservation:
        now = self._clock()
        expires_at = now + terms.ttl_ms
        stored = _storable(want.pattern)
        held = self._select(f"{_ACTIVE} AND holder = ? AND pattern = ?", actor.project, actor.holder, stored)
        if held:
            mine = held[0]
            if not terms.shorten and mine.expires_at is not None:
                expires_at = max(expires_at, mine.expires_at)
            self._connection.execute(
                "UPDATE reservation SET expires_at = ?, exclusive = ?, reason = ?, typed = ?, principal = ?"
                " WHERE id = ?",
                (
                    *(expires_at, terms.exclusive, terms.reason or mine.reason),
                    *(_storable(want.typed), actor.principal, mine.id),
                ),
            )
            return self._by_id(mine.id)
        made = self._connection.execute(
            "INSERT INTO reservation (project, holder, pattern, typed, prefix, exclusive, reason, principal,"
            " created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(actor.project, actor.holder, stored, _storable(want.typed), prefix(want.pattern).lower()),
                *(terms.exclusive, terms.reason, actor.principal, now, expires_at),
            ),
        )
        return self._by_id(made.lastrowid or 0)

    def _mine(self, actor: Actor, chosen: Chosen) -> tuple[list[Reservation], tuple[str, ...]]:
        """The actor's active reservations that were chosen, by id, and what was chosen but is not there."""
        held = self._select(f"{_ACTIVE} AND holder = ? ORDER BY id", actor.project, actor.holder)
        if chosen.everything:
            return held, ()
        patterns = {want.pattern for want in chosen.patterns}
        mine = [row for row in held if row.id in chosen.ids or row.pattern in patterns]
        have_ids = {row.id for row in mine}
        have_patterns = {row.pattern for row in mine}
        missing = [str(number) for number in chosen.ids if number not in have_ids]
        missing += [os.fsdecode(want.typed) for want in chosen.patterns if want.pattern not in have_patterns]
        return mine, tuple(missing)

    def _end(self, row: Reservation, actor: Actor, end: str, *, tell: bool) -> Reservation:
        self._connection.execute(
            'UPDATE reservation SET ended_at = ?, ended_by = ?, "end" = ?, told = ? WHERE id = ?',
            (self._clock(), actor.holder, end, not tell, row.id),
        )
        return self._by_id(row.id)

    def _expire(self, project: str) -> None:
        """Records what time has ended, so that no clock set back can revive it."""
        due = self._select(f"{_ACTIVE} AND expires_at <= ? ORDER BY expires_at", project, self._clock())
        for row in due:
            self._connection.execute(
                "UPDATE reservation SET ended_at = expires_at, \"end\" = 'expired', told = 0 WHERE id = ?", (row.id,)
            )
        for row in due:
            actor = Actor(project, row.holder, row.principal)
            self._note(actor, "expired", [row], reason=row.reason, at=row.expires_at)

    def _prune(self) -> None:
        """Forgets a small bite of what ended longer ago than is remembered, and of waiters who gave up."""
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
                    *(actor.principal, row.id, row.holder, _storable(row.pattern), reason),
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
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM reservation WHERE {where}", values).fetchall()
        return [_reservation(row) for row in rows]

    # Around a transaction

    def _settled(self, project: str, read: Callable[[], list[Reservation]]) -> Snapshot:
        """Reads active reservations; when time has ended some of them, records that first."""

        def snapshot() -> Snapshot:
            return Snapshot(self._generation(project), tuple(sorted(read(), key=lambda row: row.id)))

        found = self._reading(snapshot)
        now = self._clock()
        if any(row.expires_at is not None and row.expires_at <= now for row in found.reservations):
            try:
                self._writing(project, lambda: None)
                found = self._reading(snapshot)
            except GuardError:  # a store we may only read still answers; the clock decides alone
                now = self._clock()
        alive = tuple(row for row in found.reservations if row.expires_at is None or row.expires_at > now)
        return found._replace(reservations=alive)

    def _reading(self, read: Callable[[], T]) -> T:
        return self._transaction(read, begin="BEGIN")

    def _writing(self, project: str, write: Callable[[], T]) -> T:
        def settled() -> T:
            self._expire(project)
            result = write()
            self._prune()
            return result

        return self._transaction(settled)

    def _transaction(self, body: Callable[[], T], *, begin: str = "BEGIN IMMEDIATE") -> T:
        def attempt() -> T:
            self._connection.execute(begin)
            try:
                result = body()
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            return result

        return self._ask(attempt)

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except sqlite3.Error as error:
            raise explained(error, self.address, self._patience_s) from error

    # Opening

    def _make(self) -> None:
        """Makes the store beside its place and renames it there, so that an empty file is always a damaged store.

        One process at a time: the directory is locked meanwhile. What one that was killed left is replaced.
        """
        directory = os.path.dirname(self.address)
        beside = self.address + "-making"
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            with Locked(os.path.realpath(directory), flags=os.O_RDONLY, patience_s=self._patience_s):
                if _is_there(self.address):
                    return  # somebody was faster
                for leftover in (beside, beside + "-journal"):
                    if os.path.lexists(leftover):
                        os.unlink(leftover)
                os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                self._connection = self._ask(lambda: _connect(beside, self._patience_s))
                try:
                    self._transaction(self._make_tables)
                finally:
                    self.close()
                os.rename(beside, self.address)
        except OSError as error:
            raise GuardError(
                f"the store {self.address} cannot be made: {error.strerror or error}",
                hint="name a place you can write: git config --global guard.db /path/to/guard.db",
            ) from error

    def _make_tables(self) -> None:
        with open(_SCHEMA, encoding="utf-8") as file:
            statement = ""
            for line in file:
                statement += line
                if sqlite3.complete_statement(statement):
                    self._connection.execute(statement)
                    statement = ""
        self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _check(self) -> None:
        """Refuses a file that is something else, or newer than this guard."""
        if not os.path.getsize(self.address):
            raise GuardError(
                f"the store {self.address} is empty: what was reserved in it is lost",
                hint=f"restore it from a backup, or remove it to start anew: rm {self.address}",
            )
        application, version = self._ask(self._what_is_it)
        if application != APPLICATION_ID or version < VERSION:
            raise GuardError(
                f"{self.address} is a SQLite file, but not a guard store; it was left as it is",
                hint="name another file: git config guard.db /path/to/guard.db",
            )
        if version > VERSION:
            raise GuardError(
                f"the store {self.address} was made by a newer guard (version {version}, this one knows {VERSION})",
                hint="upgrade guard: pip install --upgrade git-guard",
            )

    def _what_is_it(self) -> tuple[int, int]:
        ask = self._connection.execute
        return int(ask("PRAGMA application_id").fetchone()[0]), int(ask("PRAGMA user_version").fetchone()[0])


def _connect(path: str, patience_s: float) -> sqlite3.Connection:
    connection = connect(path, "mode=rw", patience_s=patience_s)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _is_there(path: str) -> bool:
    """Is there a regular file? Raises :class:`GuardError` when something else is, or nobody can tell."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if os.path.islink(path):
            raise GuardError(
                f"the store {path} is a symbolic link to {os.readlink(path)}, which does not exist",
                hint=f"make the target, or remove the link: rm {path}",
            ) from None
        return False
    except OSError as error:
        raise GuardError(
            f"the store {path} cannot be reached: {error.strerror}", hint=f"ls -ld {os.path.dirname(path)}"
        ) from error
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise GuardError(f"the store {path} is {kind}", hint="name a file: git config guard.db /path/to/guard.db")
    return True


# Rows, as anybody may have written them


def _reservation(row: Row) -> Reservation:
    faults = []
    pattern, typed = as_bytes(row[3]), as_bytes(row[4])
    odd = fault(pattern)
    if odd and covering(pattern):  # guard stores no such pattern, and git and pathspec differ on it
        faults.append(f"taken for all that its pattern could cover, for {odd}")
        pattern, typed = covering(pattern), pattern
    expires_at = _instant(row[9])
    if expires_at is None:
        faults.append(f"its expiry cannot be read: {row[9]!r:.60}")
    return Reservation(
        id=row[0],
        project=as_text(row[1]),
        holder=as_text(row[2]),
        pattern=pattern,
        typed=typed,
        exclusive=row[5] != 0,  # what cannot be read counts as exclusive
        reason=as_text(row[6]),
        principal=as_text(row[7]),
        created_at=_instant(row[8]) or 0,
        expires_at=expires_at,
        ended_at=_instant(row[10]),
        ended_by=None if row[11] is None else as_text(row[11]),
        end=None if row[12] is None else as_text(row[12]),
        fault="; ".join(faults),
    )


def _entry(row: Row) -> Entry:
    return Entry(
        id=row[0],
        at=_instant(row[1]) or 0,
        generation=row[2] if isinstance(row[2], int) else 0,
        event=as_text(row[3]),
        holder=as_text(row[4]),
        principal=as_text(row[5]),
        reservation=row[6] if isinstance(row[6], int) else None,
        whose=None if row[7] is None else as_text(row[7]),
        pattern=None if row[8] is None else as_bytes(row[8]),
        reason=as_text(row[9]),
    )


def _instant(value: object) -> int | None:
    """A time in Unix ms; None for what is none, or lies outside of the years that can be written with four digits."""
    return value if isinstance(value, int) and 0 <= value <= LATEST_MS else None


def _storable(value: bytes) -> str | bytes:
    """Text where it is UTF-8, so that people and other programs can read it; else the bytes."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def _is_gone(process: object) -> bool:
    """Has this process on this host ended?"""
    if not isinstance(process, int) or process <= 0:
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
