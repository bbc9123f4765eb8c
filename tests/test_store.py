"""The SQLite store by itself, on a real file with a clock of the test's."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from guard.judge import verdict
from guard.model import Change, GuardError
from guard.stores.interface import Actor, Chosen, Terms, Wanted
from guard.stores.sqlite import PRUNED_AT_ONCE, SqliteStore

HOUR = 3_600_000
DAY = 24 * HOUR
ALICE = Actor("project", "alice", "alice@here")
BOB = Actor("project", "bob", "bob@here")


@dataclass
class Clock:
    now: int = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


@dataclass
class Bench:
    """A store, its clock, and its file as another program sees it."""

    path: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.store = SqliteStore(str(self.path), patience_s=5, clock=self.clock)

    def reserve(self, actor: Actor, *patterns: str, shared: bool = False, ttl: int = HOUR, ticket: int | None = None):  # type: ignore[no-untyped-def]
        wanted = [Wanted(pattern.encode(), pattern.encode()) for pattern in patterns]
        terms = Terms(exclusive=not shared, reason="", ttl_ms=ttl, fold=False, shorten=False)
        return self.store.reserve(actor, wanted, terms, ticket=ticket)

    def sql(self, text: str, *values: object) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(text, values).fetchall()
        finally:
            connection.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "guard.db")
    yield made
    made.store.close()


def test_what_ended_is_remembered_for_the_retention_and_then_forgotten_in_bites(bench: Bench) -> None:
    many = 3 * PRUNED_AT_ONCE
    for start in range(0, many, 100):
        bench.reserve(ALICE, *(f"/file{number}" for number in range(start, start + 100)))
    bench.store.release(ALICE, Chosen(everything=True))
    bench.reserve(ALICE, "/kept", ttl=30 * DAY)
    bench.clock.now += 29 * DAY
    bench.reserve(BOB, "/b")
    assert len(bench.store.ended("project").reservations) == many
    bench.clock.now += DAY + HOUR // 2
    left = []
    for _ in range(4):
        bench.reserve(BOB, "/b")
        left.append(bench.sql("SELECT count(*) FROM reservation WHERE ended_at IS NOT NULL AND holder = 'alice'")[0][0])
    assert left == [many - PRUNED_AT_ONCE + 1, many - 2 * PRUNED_AT_ONCE + 1, 1, 1]
    assert bench.sql("SELECT count(*) FROM log WHERE at < ?", bench.clock.now - 30 * DAY) < [(2 * many,)]


def test_each_row_and_entry_says_from_which_account_it_came(bench: Bench) -> None:
    bench.reserve(ALICE, "/a")
    bench.store.break_(BOB, [1], reason="why")
    assert bench.sql("SELECT principal FROM reservation") == [("alice@here",)]
    assert bench.sql("SELECT event, holder, principal, whose, reason FROM log ORDER BY id") == [
        ("reserved", "alice", "alice@here", "alice", ""),
        ("broken", "bob", "bob@here", "alice", "why"),
    ]


def test_an_expiry_is_exact_to_the_millisecond_and_final(bench: Bench) -> None:
    bench.reserve(ALICE, "/a", ttl=1000)
    bench.clock.now += 999
    assert bench.reserve(BOB, "/a").conflicts
    bench.clock.now += 1
    assert bench.reserve(BOB, "/a").reservations
    bench.clock.now -= 500  # the clock is set back: what was recorded as ended stays so
    assert [row.holder for row in bench.store.active("project").reservations] == ["bob"]
    assert [row.end for row in bench.store.notices("project", "alice")] == ["expired"]


def test_whoever_waits_longer_comes_first_unless_they_are_gone(bench: Bench) -> None:
    bench.reserve(ALICE, "/src")
    until = bench.clock.now + HOUR
    first = bench.store.queue(BOB, [Wanted(b"/src/**", b"")], exclusive=True, until=until)
    carol = Actor("project", "carol", "bob@here")
    second = bench.store.queue(carol, [Wanted(b"/src/x", b"")], exclusive=True, until=until)
    elsewhere = bench.store.queue(carol, [Wanted(b"/docs", b"")], exclusive=True, until=until)
    bench.store.release(ALICE, Chosen(everything=True))
    assert bench.reserve(carol, "/docs", ticket=elsewhere).reservations, "those who want something else do not queue"
    assert bench.reserve(carol, "/src/x", ticket=second).ahead == 1
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    bench.sql("UPDATE waiter SET process = ? WHERE ticket = ?", dead.pid, first)
    assert bench.reserve(carol, "/src/x", ticket=second).reservations


def test_the_generation_counts_every_change_by_whichever_program(bench: Bench) -> None:
    seen = [bench.reserve(ALICE, "/a", "/b").generation]
    seen.append(bench.store.renew(ALICE, Chosen(ids=(1,)), ttl_ms=2 * HOUR).generation)
    bench.sql("UPDATE reservation SET expires_at = expires_at + 1 WHERE id = 2")
    seen.append(bench.store.active("project").generation)
    bench.sql("DELETE FROM reservation WHERE id = 2")
    seen.append(bench.store.active("project").generation)
    seen.append(bench.store.release(ALICE, Chosen(everything=True)).generation)
    assert seen == [2, 3, 4, 5, 6]


def test_an_unreadable_row_counts_as_a_conflict_and_hides_no_other(bench: Bench) -> None:
    bench.reserve(ALICE, "/a")
    connection = sqlite3.connect(bench.path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    row = (
        "INSERT INTO reservation (project, holder, pattern, exclusive, created_at, expires_at)"
        " VALUES ('project', ?, ?, ?, ?, ?)"
    )
    connection.execute(row, ("mallory", "/b", "maybe", "then", "soon"))
    connection.execute(row, (b"\xff\xfe", b"/c\xff", 1, 0, 2**62))
    connection.execute(row, ("carol", 7, 1, 0, 2**62))
    connection.close()
    rows = {row.holder: row for row in bench.store.active("project").reservations}
    assert set(rows) == {"alice", "mallory", "\\xff\\xfe", "carol"}
    assert rows["mallory"].exclusive
    assert rows["mallory"].expires_at is None
    assert "soon" in rows["mallory"].fault
    assert set(bench.store.union_source("project", "bob").patterns) == {b"/a", b"/b", b"/c\xff", b"7"}
    assert bench.reserve(BOB, "/b").conflicts


@pytest.mark.parametrize("pattern", ["/src/[[:alpha:]].py", "/src/a**", "/src/***/x", "/src/[b", "/src/\\"])
def test_a_strangers_pattern_on_which_git_and_pathspec_differ_covers_all_it_could(bench: Bench, pattern: str) -> None:
    now = bench.clock.now
    row = "INSERT INTO reservation (project, holder, pattern, created_at, expires_at) VALUES (?, ?, ?, ?, ?)"
    bench.sql(row, "project", "mallory", pattern, now, now + HOUR)
    changes = [Change(b"src/a.py"), Change(b"docs/a.py")]
    answer = verdict(bench.store, changes, project="project", me="bob", fold=False)
    assert [(found.path, found.reservation.typed) for found in answer.conflicts] == [(b"src/a.py", pattern.encode())]
    assert "could cover" in answer.conflicts[0].reservation.fault


def test_a_newer_store_is_left_alone(bench: Bench) -> None:
    bench.sql("PRAGMA user_version = 99")
    before = bench.path.read_bytes()
    with pytest.raises(GuardError, match="newer guard") as caught:
        SqliteStore(str(bench.path), patience_s=1)
    assert caught.value.code == 3
    assert bench.path.read_bytes() == before


def test_the_file_is_private_until_somebody_shares_it(tmp_path: Path) -> None:
    path = tmp_path / "made" / "guard.db"
    old = os.umask(0)
    try:
        SqliteStore(str(path), patience_s=1).close()
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o660)  # shared on purpose
    SqliteStore(str(path), patience_s=1).close()
    assert path.stat().st_mode & 0o777 == 0o660


def test_reserving_finds_its_conflicts_by_an_index(bench: Bench) -> None:
    for number in range(50):
        bench.reserve(ALICE, *(f"/src/module{number}/{part}/**/*.py" for part in range(20)))
    for question in ("prefix IS NULL", "prefix IN (x'61', x'62')", "prefix >= x'612f' AND prefix < x'6130'"):
        asked = f"SELECT * FROM reservation WHERE project = ? AND ended_at IS NULL AND holder <> ? AND {question}"
        (step,) = bench.sql(f"EXPLAIN QUERY PLAN {asked}", "project", "bob")
        assert "reservation_by_prefix" in str(step[3])
    found = bench.reserve(BOB, "/src/module7/3/x.py").conflicts
    assert [row.reservation.pattern for row in found] == [b"/src/module7/3/**/*.py"]
    assert not bench.reserve(BOB, "/src/module7/30").conflicts
