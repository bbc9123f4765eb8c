"""A state machine: whatever order things happen in, the store answers as a model of a few lines does."""

from __future__ import annotations

import os
import tempfile
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from guard import judge
from guard.model import Change
from guard.stores.interface import Actor, Chosen, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from tests.support.sequential_model import COVERS, PATHS, meet

HOLDERS = st.sampled_from(["alice", "bob", "carol"])
PATTERNS = st.lists(st.sampled_from(sorted(COVERS)), min_size=1, max_size=3, unique=True)
MINUTE = 60_000


class Lease(NamedTuple):
    holder: str
    pattern: str
    exclusive: bool
    until: int


def actor(holder: str) -> Actor:
    return Actor("p", holder, f"{holder}@here")


class Reservations(RuleBasedStateMachine):
    """alice, bob and carol, a clock that is moved, and what they should be told."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.now = 1_750_000_000_000
        path = os.path.join(self.directory.name, "guard.db")
        self.store = SqliteStore(path, patience_s=1, clock=lambda: self.now)
        self.other = SqliteStore(path, patience_s=1, clock=lambda: self.now)
        self.active: dict[int, Lease] = {}
        self.untold: dict[int, str] = {}
        self.generation = 0

    def teardown(self) -> None:
        self.store.close()
        self.other.close()
        self.directory.cleanup()

    def expire(self) -> None:
        """Time ends what is due, whenever anybody looks."""
        for number, lease in list(self.active.items()):
            if lease.until <= self.now:
                del self.active[number]
                self.untold[number] = lease.holder

    def of(self, holder: str) -> list[int]:
        return sorted(number for number, lease in self.active.items() if lease.holder == holder)

    @rule(holder=HOLDERS, patterns=PATTERNS, exclusive=st.booleans(), minutes=st.integers(1, 90), shorten=st.booleans())
    def reserve(self, holder: str, patterns: list[str], exclusive: bool, minutes: int, shorten: bool) -> None:
        self.expire()
        terms = Terms(exclusive=exclusive, reason="", ttl_ms=minutes * MINUTE, fold=False, shorten=shorten)
        wanted = [Wanted(each.encode(), each.encode()) for each in patterns]
        outcome = self.store.reserve(actor(holder), wanted, terms)
        way = {
            number
            for number, lease in self.active.items()
            if lease.holder != holder
            and (lease.exclusive or exclusive)
            and any(meet(lease.pattern, pattern) for pattern in patterns)
        }
        assert {found.reservation.id for found in outcome.conflicts} == way
        assert bool(outcome.reservations) == (not way)
        before = {lease.pattern: number for number, lease in self.active.items() if lease.holder == holder}
        for pattern, row in zip(patterns, outcome.reservations, strict=False):
            until = self.now + minutes * MINUTE
            if pattern in before:
                assert row.id == before[pattern]
                until = until if shorten else max(until, self.active[row.id].until)
            else:
                assert row.id not in self.active
            assert (row.expires_at, row.exclusive) == (until, exclusive)
            self.active[row.id] = Lease(holder, pattern, exclusive, until)

    @rule(holder=HOLDERS, data=st.data(), everything=st.booleans())
    def release(self, holder: str, data: st.DataObject, everything: bool) -> None:
        self.expire()
        ids = data.draw(st.lists(st.sampled_from([*self.active, 999]), max_size=3, unique=True))
        outcome = self.store.release(actor(holder), Chosen(ids=tuple(ids), everything=everything))
        mine = self.of(holder) if everything else [number for number in self.of(holder) if number in ids]
        assert sorted(row.id for row in outcome.reservations) == mine
        assert everything or set(outcome.not_found) == {str(number) for number in ids if number not in mine}
        for number in mine:
            del self.active[number]

    @rule(holder=HOLDERS, minutes=st.integers(1, 90))
    def renew(self, holder: str, minutes: int) -> None:
        self.expire()
        outcome = self.other.renew(actor(holder), Chosen(everything=True), ttl_ms=minutes * MINUTE)
        assert sorted(row.id for row in outcome.reservations) == self.of(holder)
        for number in self.of(holder):
            self.active[number] = self.active[number]._replace(until=self.now + minutes * MINUTE)

    @precondition(lambda self: self.active)
    @rule(holder=HOLDERS, data=st.data())
    def break_one(self, holder: str, data: st.DataObject) -> None:
        self.expire()
        number = data.draw(st.sampled_from([*self.active, 999]))
        outcome = self.other.break_(actor(holder), [number], reason="must")
        theirs = number in self.active and self.active[number].holder != holder
        assert [row.id for row in outcome.reservations] == ([number] if theirs else [])
        if theirs:
            self.untold[number] = self.active.pop(number).holder

    @rule(holder=HOLDERS)
    def be_told(self, holder: str) -> None:
        self.store.active("p")  # as every command does first or last
        self.expire()
        notices = self.store.notices("p", holder)
        assert {row.id for row in notices} == {number for number, whose in self.untold.items() if whose == holder}
        self.store.told(notices)
        for row in notices:
            del self.untold[row.id]

    @rule(ms=st.integers(1, 40 * MINUTE))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(ms=st.integers(1, 40 * MINUTE))
    def the_clock_is_set_back(self, ms: int) -> None:
        self.store.active("p")  # what is due is recorded first: nothing of it comes back
        self.expire()
        self.now -= ms

    @invariant()
    def what_is_active_is_what_should_be(self) -> None:
        snapshot = self.other.active("p")
        self.expire()
        rows = {
            row.id: Lease(row.holder, row.pattern.decode(), row.exclusive, row.expires_at or 0)
            for row in snapshot.reservations
        }
        assert rows == self.active
        assert snapshot.generation >= self.generation
        self.generation = snapshot.generation

    @invariant()
    def every_verdict_is_the_models(self) -> None:
        self.expire()
        for me in ("alice", "bob"):
            found = judge.verdict(self.store, [Change(p.encode()) for p in PATHS], project="p", me=me, fold=False)
            expected = {
                (path, number)
                for number, lease in self.active.items()
                for path in COVERS[lease.pattern]
                if lease.exclusive and lease.holder != me
            }
            assert {(each.path.decode(), each.reservation.id) for each in found.conflicts} == expected
            union = set(self.store.union_source("p", me).patterns)
            theirs = [lease for lease in self.active.values() if lease.exclusive and lease.holder != me]
            assert {lease.pattern.encode() for lease in theirs} <= union


TestReservations = Reservations.TestCase
TestReservations.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@pytest.mark.long
def test_reservations_at_length() -> None:
    run_state_machine_as_test(Reservations, settings=settings(max_examples=300, stateful_step_count=50, deadline=None))
