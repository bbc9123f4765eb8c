"""A fresh store of each kind, for the tests that every kind must pass.

To add a kind: write a subclass of :class:`Bench`, and add it to :data:`BENCHES`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from guard.stores.interface import Actor, Outcome, Store, Terms, Wanted
from guard.stores.postgres.store import PostgresStore
from guard.stores.sqlite import SqliteStore
from tests.support import postgres

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_700_000_000_000
PROJECT = "project"
ALICE = Actor(PROJECT, "alice", "alice@here")
BOB = Actor(PROJECT, "bob", "bob@here")
CAROL = Actor(PROJECT, "carol", "bob@here")


@dataclass
class Clock:
    """The time of day of a store under test, in Unix ms."""

    now: int = START

    def __call__(self) -> int:
        return self.now


class Bench:
    """A store, its clock, and its tables as another program sees them."""

    name: ClassVar[str]

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.store = self.open()
        self._opened = [self.store]

    def open(self) -> Store:
        """One more connection to the same store, with the same clock."""
        raise NotImplementedError

    def another(self) -> Store:
        """As :meth:`open`; closed when the test ends."""
        self._opened.append(self.open())
        return self._opened[-1]

    def fresh(self, name: str) -> Store:
        """Another, empty store of this kind; closed when the test ends."""
        raise NotImplementedError

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """What another program asks or writes, past guard. Values are marked with "?"."""
        raise NotImplementedError

    def column_value(self, value: object) -> object:
        """A value that another program writes where the store keeps bytes, as this store's column takes it."""
        return value

    def close(self) -> None:
        for store in self._opened:
            store.close()

    # What both sides of a test say often

    def reserve(
        self,
        actor: Actor,
        *patterns: str,
        shared: bool = False,
        ttl: int = HOUR,
        ticket: int | None = None,
        reason: str = "",
    ) -> Outcome:
        wanted = [Wanted(pattern.encode(), pattern.encode()) for pattern in patterns]
        terms = Terms(exclusive=not shared, reason=reason, ttl_ms=ttl, fold=False, shorten=False)
        return self.store.reserve(actor, wanted, terms, ticket=ticket)

    def foreign_row(self, holder: str, pattern: str, **columns: object) -> None:
        """A reservation that another program wrote, which may say anything in the columns that guard derives."""
        row = {
            "project": PROJECT,
            "holder": holder,
            "pattern": self.column_value(pattern),
            "created_at": self.clock.now,
            "expires_at": self.clock.now + HOUR,
            **columns,
        }
        marks = ", ".join("?" * len(row))
        self.sql(f"INSERT INTO reservation ({', '.join(row)}) VALUES ({marks})", *row.values())


class SqliteBench(Bench):
    name = "sqlite"

    @property
    def path(self) -> Path:
        return self.directory / "guard.db"

    def open(self) -> Store:
        return SqliteStore(str(self.path), patience_s=5, clock=self.clock)

    def fresh(self, name: str) -> Store:
        self._opened.append(SqliteStore(str(self.directory / name), patience_s=5, clock=self.clock))
        return self._opened[-1]

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(text, values).fetchall()


class ServerClock(Clock):
    """The clock of a database under test: the function that tells the time there reads it from a table."""

    def __init__(self, database: Callable[..., object]) -> None:
        self._sql = database
        self._sql("CREATE TABLE guard.test_clock AS SELECT %s::bigint AS now", START)
        self._sql(
            "CREATE OR REPLACE FUNCTION guard.clock() RETURNS bigint LANGUAGE sql VOLATILE AS"
            " $$ SELECT now FROM guard.test_clock $$"
        )
        self._sql("CREATE DOMAIN guard.blob AS bytea")  # what SQLite calls bytes
        self._now = START

    @property
    def now(self) -> int:
        return self._now

    @now.setter
    def now(self, now: int) -> None:
        self._sql("UPDATE guard.test_clock SET now = %s", now)
        self._now = now


class PostgresBench(Bench):
    """A database of its own on the tests' server."""

    name = "postgresql"

    def __init__(self, directory: Path) -> None:
        self.server = postgres.server_or_skip()
        self.database = self.server.guard_database()
        self.clock = self._clock_of(self.database)
        self.directory = directory
        self.store = self.open()
        self._opened = [self.store]

    def _clock_of(self, database: str) -> ServerClock:
        return ServerClock(lambda text, *values: self.server.sql(database, text, *values))

    def open(self) -> Store:
        return PostgresStore(self.server.address(self.database), postgres.OPENING)

    def fresh(self, name: str) -> Store:
        database = self.server.guard_database()
        self._clock_of(database)
        self._opened.append(PostgresStore(self.server.address(database), postgres.OPENING))
        return self._opened[-1]

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        return self.server.sql(self.database, text.replace("?", "%s"), *values)

    def column_value(self, value: object) -> object:
        return value if value is None or isinstance(value, bytes) else str(value).encode()

    def foreign_row(self, holder: str, pattern: str, **columns: object) -> None:
        """As in any store, in the types of this one's columns."""
        if "prefix_checked" in columns:
            columns["prefix_checked"] = bool(columns["prefix_checked"])
        super().foreign_row(holder, pattern, **columns)


BENCHES: tuple[type[Bench], ...] = (SqliteBench, PostgresBench)
"""Every kind of store that can be written."""
