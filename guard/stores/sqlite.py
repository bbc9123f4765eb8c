"""guard's own store: one SQLite file that every worktree, clone and holder on the machine shares.

It has a rollback journal and no write-ahead log, so that the file's own time changes with every commit (see
:mod:`guard.stores.freshness`).

This module is the list of the store's operations. What an operation does is in a module beside this one, which is
imported when the operation is called: the hook's refresh reads a union's patterns, and must not load what only commands
use (:mod:`guard.stores.sqlite_union`, ``_search``, ``_granting``, ``_ending``, ``_waiters``, ``_log``, ``_roots``,
``_copies``, ``_completions``). All of them work on an :class:`guard.stores.sqlite_open.OpenFile`.
"""

from __future__ import annotations

import os

from guard.model import GuardError
from guard.stores.interface import RETENTION_MS
from guard.stores.sqlite_file import as_bytes, now_ms, sqlite3
from guard.stores.sqlite_kind import SQLITE
from guard.stores.sqlite_open import OpenFile, is_there
from guard.stores.sqlite_rows import storable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from guard.model import Reservation
    from guard.stores.completions import Begun
    from guard.stores.interface import (
        Actor,
        Chosen,
        Contents,
        Description,
        Entry,
        Outcome,
        Snapshot,
        Source,
        Terms,
        Wanted,
    )
    from guard.stores.sqlite_at_once import AtOnce

PUBLICATIONS_MAX = 64


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
        if not is_there(address):
            if not create:
                raise GuardError(f"the store {address} does not exist", hint="guard install")
            from guard.stores.sqlite_making import make_store

            make_store(address, patience_s=patience_s)
        self.file = OpenFile(address, patience_s=patience_s, clock=clock, retention_ms=retention_ms)

    def is_at(self, address: bytes) -> bool:
        return address == os.fsencode(self.address) or address in self.file.formerly

    def at_once(self) -> AtOnce:
        from guard.stores.sqlite_at_once import AtOnce

        return AtOnce(self.file)

    def close(self) -> None:
        self.file.close()

    # What the refresh of a hook asks for

    def notices(self, project: str, holder: str) -> tuple[Reservation, ...]:
        with self.file.reading():
            return tuple(self.file.select("project = ? AND holder = ? AND told = 0", project, holder))

    def union_source(
        self,
        project: str,
        holder: str,
        *,
        known: bytes = b"",
        along: Callable[[bytes], Iterable[bytes]] | None = None,
    ) -> Source:
        from guard.stores.sqlite_union import union_source

        return union_source(self.file, project, holder, known=known, along=along)

    def publish_in(self, directory: bytes, project: str) -> None:
        name = storable(directory)
        file = self.file
        with file.reading():
            ask = "SELECT 1 FROM publication WHERE directory = ?"
            known = file.connection.execute(ask, (name,)).fetchone()
        if not known:
            with file.changing():
                file.connection.execute(
                    "INSERT OR REPLACE INTO publication (directory, project, since) VALUES (?, ?, ?)",
                    (name, project, file.now()),
                )

    def why_nothing_counts(self, project: str) -> str:
        return ""

    def now(self) -> int:
        return self.file.now()

    # Reading

    def active(self, project: str) -> Snapshot:
        from guard.stores.sqlite_search import active

        return active(self.file, project)

    def covering(self, project: str, paths: Sequence[bytes], *, everything: bool = False) -> Snapshot:
        from guard.stores.sqlite_search import active, covering

        return active(self.file, project) if everything else covering(self.file, project, paths)

    def of_holder(self, project: str, holder: str) -> Snapshot:
        from guard.stores.sqlite_search import of_holder

        return of_holder(self.file, project, holder)

    def near(self, project: str, patterns: Sequence[bytes]) -> Snapshot:
        from guard.stores.sqlite_search import near

        return near(self.file, project, patterns)

    def ended(self, project: str) -> Snapshot:
        from guard.stores.sqlite_search import ended

        return ended(self.file, project)

    def everywhere(self) -> Snapshot:
        from guard.stores.sqlite_search import everywhere

        return everywhere(self.file)

    def log(self, project: str, *, limit: int) -> list[Entry]:
        from guard.stores.sqlite_log import entries

        with self.file.reading():
            return entries(self.file, project, limit=limit)

    def completions(self, begun: Begun) -> list[str]:
        from guard.stores.sqlite_completions import completions

        with self.file.reading():
            return completions(self.file.connection, begun, now=self.file.now())

    def spelling(self, holder: str) -> str:
        return holder

    def roles(self, ids: Sequence[int]) -> dict[int, str]:
        return {}  # a file knows no roles

    def remarks(self, project: str) -> list[str]:
        return []

    def generation(self, project: str) -> int:
        with self.file.reading():
            return self.file.generation(project)

    def version(self) -> object:
        try:
            status = os.stat(self.address)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def publications(self) -> list[bytes]:
        with self.file.reading():
            rows = self.file.connection.execute(
                "SELECT directory FROM publication ORDER BY since DESC LIMIT ?", (PUBLICATIONS_MAX,)
            ).fetchall()
        return [as_bytes(row[0]) for row in rows]

    def projects_with_roots(self, oids: Sequence[str]) -> dict[str, int]:
        from guard.stores.sqlite_roots import projects_with

        return projects_with(self.file, oids)

    # Writing

    def reserve(self, actor: Actor, wanted: Sequence[Wanted], terms: Terms, *, ticket: int | None = None) -> Outcome:
        from guard.stores.sqlite_granting import reserve

        return reserve(self.file, actor, wanted, terms, ticket=ticket)

    def release(self, actor: Actor, chosen: Chosen) -> Outcome:
        from guard.stores.sqlite_ending import release

        return release(self.file, actor, chosen)

    def renew(self, actor: Actor, chosen: Chosen, *, ttl_ms: int) -> Outcome:
        from guard.stores.sqlite_ending import renew

        return renew(self.file, actor, chosen, ttl_ms=ttl_ms)

    def break_(self, actor: Actor, ids: Sequence[int], *, reason: str) -> Outcome:
        from guard.stores.sqlite_ending import break_

        return break_(self.file, actor, ids, reason=reason)

    def told(self, notices: Sequence[Reservation]) -> None:
        with self.file.changing():
            self.file.connection.executemany(
                "UPDATE reservation SET told = 1 WHERE id = ?", [(row.id,) for row in notices]
            )

    def record(self, actor: Actor, event: str, reservations: Sequence[Reservation], *, reason: str) -> None:
        from guard.stores.sqlite_log import note, note_without_reservation
        from guard.stores.sqlite_writing import writing

        with writing(self.file, actor.project):
            note(self.file, actor, event, reservations, reason=reason)
            if not reservations:  # the fence refused: that concerns no reservation
                note_without_reservation(self.file, actor, event, reason=reason)

    def queue(self, actor: Actor, wanted: Sequence[Wanted], *, exclusive: bool, until: int) -> int:
        from guard.stores.sqlite_waiters import join

        with self.file.changing():
            return join(self.file, actor, wanted, exclusive=exclusive, until=until)

    def leave(self, ticket: int) -> None:
        from guard.stores.sqlite_waiters import leave

        with self.file.changing():
            leave(self.file, ticket)

    def remember_roots(self, project: str, oids: Sequence[str]) -> None:
        from guard.stores.sqlite_roots import remember

        remember(self.file, project, oids)

    def forget(self, directory: bytes) -> None:
        with self.file.changing():
            self.file.connection.execute("DELETE FROM publication WHERE directory = ?", (storable(directory),))

    # As a whole

    def describe(self) -> Description:
        from guard.stores.sqlite_copies import description

        with self.file.reading():
            return description(self.file.connection, self.address, self.file.version)

    def contents(self) -> Contents:
        from guard.stores.sqlite_copies import read_contents

        with self.file.reading():
            return read_contents(self.file.connection, self.file.version)

    def backup(self, to: str) -> None:
        from guard.stores.sqlite_copies import copy_to

        try:
            copy_to(self.file.connection, to, patience_s=self.file.patience_s)
        except sqlite3.Error as error:
            raise self.file.explained(error) from error

    def take_in(self, contents: Contents, *, formerly: str = "") -> None:
        from guard.stores.sqlite_copies import write_contents

        with self.file.changing():
            write_contents(self.file.connection, contents, formerly=formerly, now=self.file.now())
        self.file.formerly = self.file.former_addresses()

    def move_out(self, to: str, carry: Callable[[Contents], None]) -> None:
        from guard.stores.sqlite_copies import mark_moved, read_contents

        with self.file.changing():
            carry(read_contents(self.file.connection, self.file.version))
            mark_moved(self.file.connection, to)
