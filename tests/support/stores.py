"""A fresh store of each kind, for the tests that every kind must pass.

To add a kind: write a subclass of :class:`Bench`, and add it to :data:`BENCHES`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from guard.stores.interface import Actor, Outcome, Store, Terms, Wanted
from guard.stores.sqlite import SqliteStore

if TYPE_CHECKING:
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
            "pattern": pattern,
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


BENCHES: tuple[type[Bench], ...] = (SqliteBench,)
"""Every kind of store that can be written."""
