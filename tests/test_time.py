"""Time: to the millisecond, set back, set forward, and running out in the middle of a commit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard import judge
from guard.model import Change
from guard.stores.interface import Actor, Chosen, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from tests.support.databases import connected
from tests.support.stage import Stage

START = 1_750_000_000_000
TTL = 3_600_000
ALICE = Actor("p", "alice", "alice@here")
BOB = Actor("p", "bob", "bob@here")
SRC = [Wanted(b"/src", b"src")]


class Clock:
    """The time of day, in ms, as the test sets it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteStore]:
    made = SqliteStore(str(tmp_path / "guard.db"), patience_s=1, clock=clock)
    yield made
    made.close()


def terms(ttl_ms: int = TTL, *, exclusive: bool = True, shorten: bool = False) -> Terms:
    return Terms(exclusive=exclusive, reason="", ttl_ms=ttl_ms, fold=False, shorten=shorten)


def is_clear(store: SqliteStore) -> bool:
    return judge.verdict(store, [Change(b"src/a")], project="p", me="bob", fold=False).clear


def test_it_holds_to_its_last_millisecond_and_not_one_longer(store: SqliteStore, clock: Clock) -> None:
    store.reserve(ALICE, SRC, terms())
    clock.now = START + TTL - 1
    assert not is_clear(store)
    assert store.reserve(BOB, SRC, terms()).conflicts
    clock.now = START + TTL
    assert is_clear(store)
    assert store.active("p").reservations == ()
    assert store.reserve(BOB, SRC, terms()).reservations


def test_what_ended_by_time_ended_when_it_was_due_and_its_holder_is_told(store: SqliteStore, clock: Clock) -> None:
    store.reserve(ALICE, SRC, terms())
    clock.now = START + 5 * TTL
    store.active("p")
    (row,) = store.ended("p").reservations
    assert (row.end, row.ended_at) == ("expired", START + TTL)
    assert [each.id for each in store.notices("p", "alice")] == [row.id]
    assert [(entry.event, entry.at) for entry in store.log("p", limit=9)] == [
        ("reserved", START),
        ("expired", START + TTL),
    ]


@pytest.mark.parametrize("back", [1, TTL, 400 * 86_400_000])
def test_a_clock_set_back_revives_nothing_that_was_recorded(store: SqliteStore, clock: Clock, back: int) -> None:
    store.reserve(ALICE, SRC, terms())
    clock.now = START + TTL
    assert is_clear(store)  # recorded now
    clock.now -= back
    assert is_clear(store)
    assert store.active("p").reservations == ()
    assert store.renew(ALICE, Chosen(everything=True), ttl_ms=TTL).reservations == ()


def test_a_clock_set_back_makes_a_lease_longer_never_shorter(store: SqliteStore, clock: Clock) -> None:
    store.reserve(ALICE, SRC, terms())
    clock.now = START - 86_400_000
    assert not is_clear(store)
    assert store.union_source("p", "bob").patterns == (b"/src",)
    store.reserve(ALICE, SRC, terms())  # the same again ends no earlier than it would have
    assert store.active("p").reservations[0].expires_at == START + TTL


def test_a_clock_set_forward_ends_leases_once(store: SqliteStore, clock: Clock) -> None:
    store.reserve(ALICE, SRC, terms())
    clock.now = START + 400 * 86_400_000
    assert is_clear(store)
    clock.now = START + 1
    assert is_clear(store), "what was seen to end stays ended"
    assert store.reserve(BOB, SRC, terms()).reservations


def test_the_union_keeps_a_pattern_until_its_end_is_recorded(store: SqliteStore, clock: Clock) -> None:
    store.reserve(ALICE, SRC, terms())
    clock.now = START + TTL
    assert store.union_source("p", "bob").patterns == (b"/src",)
    store.active("p")
    assert store.union_source("p", "bob").patterns == ()


def test_what_has_run_out_is_not_renewed(store: SqliteStore, clock: Clock) -> None:
    (row,) = store.reserve(ALICE, SRC, terms()).reservations
    clock.now = START + TTL
    outcome = store.renew(ALICE, Chosen(ids=(row.id,)), ttl_ms=TTL)
    assert (outcome.reservations, outcome.not_found) == ((), (str(row.id),))


def test_a_renewal_counts_from_now(store: SqliteStore, clock: Clock) -> None:
    store.reserve(ALICE, SRC, terms())
    clock.now = START + TTL - 1
    (row,) = store.renew(ALICE, Chosen(everything=True), ttl_ms=TTL).reservations
    assert row.expires_at == START + 2 * TTL - 1


def test_what_ended_is_forgotten_after_its_time_and_not_before(store: SqliteStore, clock: Clock) -> None:
    store.reserve(ALICE, SRC, terms())
    store.release(ALICE, Chosen(everything=True))
    clock.now = START + 30 * 86_400_000
    store.reserve(BOB, SRC, terms())
    assert [row.holder for row in store.ended("p").reservations] == ["alice"]
    clock.now += 1
    store.release(BOB, Chosen(everything=True))
    assert [row.holder for row in store.ended("p").reservations] == ["bob"]


# Real time, real commits


def lease(stage: Stage, ms: int) -> None:
    """Lets what alice holds end that many ms from now; a minute is the least that can be asked for."""
    with connected(stage.store) as connection:
        connection.execute("UPDATE reservation SET expires_at = ?", (time.time_ns() // 1_000_000 + ms,))


def test_a_lease_that_ends_between_two_commits(stage: Stage) -> None:
    stage.stage("held/x.txt")
    lease(stage, 3_600_000)
    refused_at = []  # when each commit that was refused began, in Unix ms
    while True:
        began = time.time_ns() // 1_000_000
        done = stage.repository.git("commit", "-q", "-m", "change", who="bob", expect=None)
        if done.code == 0:
            break
        assert "alice holds /held" in done.text
        refused_at.append(began)
        if len(refused_at) == 1:
            lease(stage, 700)  # from here on it is a race, whichever commit wins it
    assert refused_at
    with connected(stage.store) as connection:
        end, ended_at = connection.execute('SELECT "end", ended_at FROM reservation WHERE id = 1').fetchone()
    assert end == "expired"
    assert ended_at <= time.time_ns() // 1_000_000
    assert all(at < ended_at for at in refused_at), "the first commit that begins after the end passes"
    told = stage.repository.guard("list", who="alice")
    assert b"your reservation #1 of /held expired" in told.err
    assert b"expired" not in stage.repository.guard("list", who="alice").err, "told once"


def test_a_lease_that_ends_while_other_hooks_take_their_time(stage: Stage) -> None:
    """What counts is the moment of the verdict: the hook that was there before runs first, and sleeps past the end."""
    kept = stage.repository.path / ".git/hooks/pre-commit.before-guard"
    kept.write_text("#!/bin/sh\nsleep 1\n")
    kept.chmod(0o755)
    lease(stage, 700)
    done = stage.commit("held/x.txt")
    assert done.code == 0, done.text


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York", "Europe/Berlin", "UTC"])
def test_the_zone_of_whoever_looks_changes_no_expiry(stage: Stage, zone: str) -> None:
    """Expiry is in UTC: two holders in two zones, on either side of a change to summer time, agree."""
    row = stage.repository.guard("list", "--json", who="bob", env={"TZ": zone}).json()["reservations"][0]
    other = stage.repository.guard("list", "--json", who="bob").json()["reservations"][0]
    for answer in (row, other):
        del answer["expires_in_s"]  # the two were asked one after the other
    assert row == other
    assert row["expires_at"].endswith("Z")
    assert stage.hook("held/x.txt", TZ=zone).code == 1


def test_the_machines_own_clock_is_all_that_is_asked(stage: Stage) -> None:
    """A commit's dates may lie anywhere: they are claims."""
    for date in ("1990-01-01T00:00:00Z", "2037-01-01T00:00:00Z"):
        assert stage.commit("held/x.txt", GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date).code == 1
    assert os.environ["TZ"] == "UTC"
