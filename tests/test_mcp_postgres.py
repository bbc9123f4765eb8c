"""``guard mcp`` where the store is a PostgreSQL server: while it runs, commits need not ask over the network."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from guard import system
from guard.repo.place import discover
from guard.repo.standpoint import asking_from
from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.postgres.store import PostgresStore
from guard.union import fast, lease, published
from guard.union.renewal import prolong_slot
from tests.support import postgres
from tests.support.mcp_client import PATIENCE_S, Raw
from tests.support.repositories import Repository, age

LENGTH_MS = 6_000
"""Long enough for a busy machine to ask in time, and short enough to wait for a third of it."""
HOUR_MS = 3_600_000
ME = {"GUARD_AGENT": "bob"}


class Team:
    """A repository in which bob works, whose store is a server, and others who reserve from other machines."""

    def __init__(self, place: Path, home: Path, server: postgres.Server) -> None:
        self.server, self.database = server, server.guard_database()
        self.address = server.address(self.database)
        self.repository = Repository.make(place / "repository")
        self.repository.git("config", "--global", "guard.db", self.address)
        self.repository.git("config", "--global", "guard.project", "shared")
        age(home / ".gitconfig")
        self.repository.install()
        self.slot = os.path.join(
            os.fsencode(self.repository.git_dir), b"guard/unions/bob@" + os.environb.get(b"USER", b"")
        )
        self.environment = {**os.environb, b"GUARD_AGENT": b"bob"}
        with asking_from(self.environment, os.fsencode(self.repository.path)):
            self.place = discover()

    def set_lease(self, length_ms: int) -> None:
        self.server.sql(
            self.database,
            "INSERT INTO project (name, lease_ms) VALUES ('shared', %s)"
            " ON CONFLICT (name) DO UPDATE SET lease_ms = excluded.lease_ms",
            length_ms,
        )

    def publish(self) -> None:
        """The first union is made by a hook."""
        for number in range(2):
            self.repository.commit("b.txt", f"{number}\n", who="bob")
        assert self.verdict(b"a.txt") == fast.CLEAR

    def store(self) -> PostgresStore:
        """What it does is done elsewhere: no union on this machine is renewed."""
        return PostgresStore(self.address, postgres.OPENING)

    def reserve(self, name: bytes, who: str, *, ttl_ms: int = HOUR_MS) -> None:
        terms = Terms(exclusive=True, reason="", ttl_ms=ttl_ms, fold=False, shorten=False)
        with closing(self.store()) as store:
            assert store.reserve(Actor("shared", who, f"{who}@elsewhere"), [Wanted(name, name)], terms).reservations

    def verdict(self, path: bytes) -> str:
        return fast.verdict(self.place, self.environment, [path])

    def current(self) -> published.Current:
        current = published.load(self.slot)
        assert current is not None
        return current

    def lease(self) -> lease.Lease:
        found = self.current().lease
        assert found is not None
        return found

    def prolong(self) -> bool:
        """Was there a new deadline?"""
        before = self.lease()
        with closing(self.store()) as store:
            prolong_slot(self.slot, store)
        return self.lease().asked_ns > before.asked_ns


@pytest.fixture
def team(tmp_path: Path, hermetic: Path) -> Team:
    return Team(tmp_path, hermetic, postgres.server_or_skip())


@pytest.fixture
def stoppable(tmp_path: Path, hermetic: Path) -> Iterator[Team]:
    """With a server of its own, that the test may stop."""
    postgres.server_or_skip()
    server = postgres.Server().make().start()
    try:
        yield Team(tmp_path, hermetic, server)
    finally:
        server.remove()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def test_a_union_is_prolonged_while_the_server_runs_and_learns_what_others_reserve(team: Team) -> None:
    team.set_lease(LENGTH_MS)
    team.publish()
    first = team.lease()
    with Raw(team.repository.path, ME) as client:
        client.shake_hands()
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "clear"

        def has_outlived() -> bool:
            now_ns = system.boot_clock_ns()
            return now_ns is not None and now_ns > lease.until_ns(first) and team.verdict(b"a.txt") == fast.CLEAR

        until(has_outlived)
        team.reserve(b"/a.txt", "alice")
        until(lambda: team.verdict(b"a.txt") == fast.TOUCHED)
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "reserved"
        client.leave()
        assert client.ends() == 0
        assert client.process.stdout is not None and client.process.stdout.read() == b""
    last = team.lease()
    time.sleep(LENGTH_MS / 3000 + 0.5)
    assert team.lease() == last


def test_a_server_that_hangs_keeps_no_call_and_no_process_waiting(stoppable: Team) -> None:
    stoppable.set_lease(LENGTH_MS)
    stoppable.publish()
    process = stoppable.server._process
    assert process is not None
    with Raw(stoppable.repository.path, {**ME, "GUARD_PATIENCE": "1h"}) as client:
        client.shake_hands()
        client.tool("guard_list", {})
        process.send_signal(signal.SIGSTOP)  # a new connection is taken by the kernel, and never answered
        try:
            until(lambda: not published.lease_holds(stoppable.current()))
            assert client.ask("ping")["result"] == {}
            outside = client.tool("guard_list", {"cwd": "/"})
            assert "no git repository" in outside["message"]
            client.begin("tools/call", {"name": "guard_list", "arguments": {}})
            client.leave()
            assert client.ends() == 0
        finally:
            process.send_signal(signal.SIGCONT)


def test_a_server_that_was_away_is_asked_again(stoppable: Team) -> None:
    stoppable.set_lease(LENGTH_MS)
    stoppable.publish()
    with Raw(stoppable.repository.path, ME) as client:
        client.shake_hands()
        client.tool("guard_list", {})
        stoppable.server.stop()
        until(lambda: not published.lease_holds(stoppable.current()))
        stoppable.server.start()
        until(lambda: stoppable.verdict(b"a.txt") == fast.CLEAR)


def test_nothing_new_gives_a_new_deadline_only(team: Team) -> None:
    team.set_lease(HOUR_MS)
    team.publish()
    before = team.current()
    assert team.prolong()
    after = team.current()
    assert after == before._replace(lease=after.lease)


def test_where_the_holder_has_to_be_told_something_the_hook_asks_itself(team: Team) -> None:
    """Else a hook that is never out of date would never tell."""
    team.set_lease(HOUR_MS)
    team.publish()
    team.reserve(b"/mine.txt", "bob")
    assert team.prolong()
    with closing(team.store()) as store:
        (row,) = store.active("shared").reservations
        assert store.break_(Actor("shared", "alice", "alice@elsewhere"), [row.id], reason="hotfix").reservations
    assert not team.prolong() and not team.prolong()
    done = team.repository.guard("list", who="bob")  # tells, as the hook would
    assert b"hotfix" in done.err
    assert team.prolong()


def test_where_a_lease_of_the_holders_own_has_run_out_the_hook_asks_itself(team: Team) -> None:
    team.set_lease(HOUR_MS)
    team.publish()
    team.reserve(b"/mine.txt", "bob", ttl_ms=1)
    assert not team.prolong()
    team.repository.guard("list", who="bob")  # records that it has run out
    assert not team.prolong()
    assert b"expired" in team.repository.guard("list", who="bob").err
    assert team.prolong()


def test_others_unions_are_left_to_them(team: Team) -> None:
    """Each server looks after its own holder's: twenty on a machine would else ask for twenty."""
    team.set_lease(HOUR_MS)
    team.publish()
    team.repository.commit("b.txt", "3\n", who="carol")
    other = team.slot.replace(b"bob@", b"carol@")
    before = published.load(other)
    assert before is not None and before.lease is not None
    assert team.prolong()
    assert published.load(other) == before
