"""Two machines, one repository, a server: what commits and pushes know, by the installed hooks.

The lease is an hour where a test needs one that holds, and a second where it needs one that ends. No test waits for a
time to pass and hopes: it waits for what ``guard reserve --settle`` says, or compares what the boot's clock showed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard import system
from guard.union import published
from tests.network.conftest import Team
from tests.support import rows
from tests.support.machines import Clone
from tests.support.repositories import GUARD, Done, age

LENGTH_S = 1
"""The shortest lease that a project can have."""


def slot_of(clone: Clone, who: str) -> bytes:
    return os.path.join(
        os.fsencode(clone.git_dir), b"guard/unions", os.fsencode(who) + b"@" + os.environb.get(b"USER", b"")
    )


def commit(clone: Clone, name: str, *, who: str, env: dict[str, str] | None = None) -> Done:
    """Commits a change of a file, or has it refused; the change is then taken back."""
    clone.write(name, os.urandom(8).hex())
    clone.git("add", name)
    done = clone.git("commit", "-q", "-m", "change", who=who, expect=None, env=env)
    if done.code:
        clone.git("reset", "-q", "--hard")
    return done


def push(clone: Clone, *, who: str, env: dict[str, str] | None = None) -> Done:
    return clone.git("push", "-q", "origin", f"HEAD:refs/heads/{who}", who=who, expect=None, env=env)


def is_refused(done: Done, *, by: str) -> bool:
    assert done.code == 0 or f"reserved by {by}" in done.text, done.text
    return done.code != 0


# The promise


def test_a_commit_within_the_lease_does_not_ask(team: Team) -> None:
    bob = team.clones["bob"]
    assert commit(bob, "bob.txt", who="bob").code == 0
    team.proxies["bob"].obey("refuse")
    assert commit(bob, "bob.txt", who="bob").code == 0


def test_a_commit_within_the_lease_may_miss_a_reservation_and_the_push_does_not(team: Team) -> None:
    alice, bob = team.clones["alice"], team.clones["bob"]
    assert commit(bob, "bob.txt", who="bob").code == 0
    alice.guard("reserve", "both", who="alice")
    assert commit(bob, "both", who="bob").code == 0
    assert is_refused(push(bob, who="bob"), by="alice")
    alice.guard("release", "--all", who="alice")
    assert push(bob, who="bob").code == 0


def test_a_push_asks_though_nothing_was_reserved_when_the_union_was_published(team: Team) -> None:
    alice, bob = team.clones["alice"], team.clones["bob"]
    assert commit(bob, "both", who="bob").code == 0
    current = published.load(slot_of(bob, "bob"))
    assert current is not None and current.published.state == published.EMPTY
    alice.guard("reserve", "both", who="alice")
    assert is_refused(push(bob, who="bob"), by="alice")


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.long)])
def test_what_is_settled_is_in_force_everywhere(team: Team, times: int) -> None:
    alice, bob = team.clones["alice"], team.clones["bob"]
    team.set_lease(LENGTH_S)
    for _ in range(times):
        assert commit(bob, "both", who="bob").code == 0
        alice.guard("reserve", "--settle", "both", who="alice")
        assert is_refused(commit(bob, "both", who="bob"), by="alice")
        alice.guard("release", "--all", who="alice")
        assert push(bob, who="bob").code == 0  # asks, so that the release is known


@pytest.mark.parametrize("late_s", rows.some([0.0, 0.5, 0.9, 0.98, 1.0, 1.02, 1.5], {0.0, 0.98}))
def test_a_commit_misses_a_reservation_for_at_most_the_lease(team: Team, late_s: float) -> None:
    """The reservation is made so long after the union was published, and commits go on until one is refused."""
    alice, bob = team.clones["alice"], team.clones["bob"]
    team.set_lease(LENGTH_S)
    assert commit(bob, "bob.txt", who="bob").code == 0
    time.sleep(late_s)
    alice.guard("reserve", "both", who="alice")
    acknowledged_ns = now_ns()
    while True:
        began_ns = now_ns()
        if is_refused(commit(bob, "both", who="bob"), by="alice"):
            break
        assert began_ns < acknowledged_ns + LENGTH_S * 10**9
    assert push(bob, who="bob").code == 0 or is_refused(push(bob, who="bob"), by="alice")


def test_on_the_machine_where_somebody_reserves_it_is_in_force_at_once(team: Team) -> None:
    alice = team.clones["alice"]
    assert commit(alice, "both", who="carol").code == 0
    assert commit(alice, "both", who="carol").code == 0
    alice.guard("reserve", "both", who="alice")
    assert is_refused(commit(alice, "both", who="carol"), by="alice")
    alice.guard("release", "--all", who="alice")
    assert commit(alice, "both", who="carol").code == 0


def test_a_writer_that_cannot_renew_a_union_ends_its_lease(team: Team) -> None:
    alice = team.clones["alice"]
    assert commit(alice, "both", who="carol").code == 0
    slot = slot_of(alice, "carol")
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(open(Path(os.fsdecode(slot)) / "lock", "wb"))
        assert system.try_lock(lock.fileno())  # another publisher was stopped there
        alice.guard("reserve", "both", who="alice")
    assert is_refused(commit(alice, "both", who="carol"), by="alice")


def test_reserve_says_when_it_is_in_force(team: Team) -> None:
    alice = team.clones["alice"]
    team.set_lease(30)
    done = alice.guard("reserve", "both", who="alice")
    assert b"in force on other machines within 30 s" in done.err
    assert alice.guard("reserve", "both", "--json", who="alice").json()["in_force_in_s"] == 30
    team.set_lease(LENGTH_S)
    assert alice.guard("reserve", "both", "--settle", "--json", who="alice").json()["in_force_in_s"] == 0


def test_a_watcher_keeps_the_unions_of_its_machine_fresh(team: Team) -> None:
    bob = team.clones["bob"]
    team.set_lease(LENGTH_S)
    assert commit(bob, "bob.txt", who="bob").code == 0
    watching = bob.started((*GUARD, "list", "--watch"), who="bob")
    asked = {lease_of(bob)}
    while len(asked) < 4:  # three times without any hook
        assert watching.poll() is None
        asked.add(lease_of(bob))
        time.sleep(0.02)
    watching.terminate()
    watching.communicate()


def lease_of(clone: Clone) -> int:
    current = published.load(slot_of(clone, "bob"))
    return current.lease.asked_ns if current is not None and current.lease is not None else 0


# What may come between a question and its answer


def test_an_unchanged_state_gives_a_new_deadline_only(team: Team) -> None:
    bob = team.clones["bob"]
    team.clones["alice"].guard("reserve", "alice.txt", who="alice")
    assert commit(bob, "bob.txt", who="bob").code == 0
    before = published.load(slot_of(bob, "bob"))
    assert push(bob, who="bob").code == 0
    after = published.load(slot_of(bob, "bob"))
    assert before is not None and after is not None and before.lease is not None and after.lease is not None
    assert after.lease.asked_ns > before.lease.asked_ns
    assert after == before._replace(lease=after.lease)


def test_a_hook_that_was_stopped_for_longer_than_the_lease_publishes_nothing_that_holds(team: Team) -> None:
    alice, bob = team.clones["alice"], team.clones["bob"]
    team.set_lease(LENGTH_S)
    bob.write("both", "late\n")
    bob.git("add", "both")
    with held_answer(team, bob) as hook:
        os.kill(hook, signal.SIGSTOP)
        team.proxies["bob"].obey("pass")  # the answer arrives, and nobody reads it
        alice.guard("reserve", "--settle", "both", who="alice")
        os.kill(hook, signal.SIGCONT)
    assert is_refused(commit(bob, "both", who="bob"), by="alice")


@contextlib.contextmanager
def held_answer(team: Team, clone: Clone) -> Iterator[int]:
    """Yields the process of a hook whose question the server has answered, and whose answer is on its way."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state = 'idle' AND query LIKE '%%lease_ms%%'"
    team.proxies["bob"].obey("hold lease_ms")
    running = clone.started(("git", "commit", "-q", "-m", "late"), who="bob")
    while not team.server.sql(team.database, asked, team.database)[0][0]:
        assert running.poll() is None
        time.sleep(0.01)
    yield hook_below(running.pid)
    out, err = running.communicate(timeout=60)
    assert running.returncode in (0, 1), out + err
    clone.git("reset", "-q", "--hard")


def hook_below(process: int) -> int:
    """The Python that a hook started, among what a process has started."""
    below = [process]
    for each in below:
        below += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
    (found,) = [each for each in below if b"guard.hook" in Path(f"/proc/{each}/cmdline").read_bytes()]
    return found


def test_another_boot_asks(team: Team, tmp_path: Path) -> None:
    bob = team.clones["bob"]
    assert commit(bob, "bob.txt", who="bob").code == 0
    team.proxies["bob"].obey("refuse")
    boot = tmp_path / "boot_id"
    boot.write_text("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9\n")
    bob.write("bob.txt", "after the boot\n")
    bob.git("add", "bob.txt")
    script = 'mount --bind "$1" /proc/sys/kernel/random/boot_id && exec git commit -q -m "after the boot"'
    command = ("unshare", "--mount", "sh", "-c", script, "sh", str(boot))
    assert not is_done(bob.started(command, who="bob"))
    team.proxies["bob"].obey("pass")
    assert is_done(bob.started(command, who="bob"))
    current = published.load(slot_of(bob, "bob"))
    assert current is not None and current.boot == boot.read_bytes().strip()


def is_done(process: subprocess.Popen[bytes]) -> bool:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 or b"cannot tell" in err, out + err
    return process.returncode == 0


@pytest.mark.parametrize("hours", [-7, 7])
def test_clocks_that_are_hours_apart_change_nothing(team: Team, hours: int) -> None:
    alice, bob = team.clones["alice"], team.clones["bob"]
    apart = f"floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + {hours * 3_600_000}"
    team.server.sql(
        team.database,
        f"CREATE OR REPLACE FUNCTION guard.clock() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT {apart} $$",
    )
    team.set_lease(LENGTH_S)
    assert commit(bob, "both", who="bob").code == 0
    alice.guard("reserve", "--settle", "both", "--ttl", "2h", who="alice")
    refused = commit(bob, "both", who="bob")
    assert is_refused(refused, by="alice")
    assert "in 1 h 59 min" in refused.text or "in 2 h" in refused.text
    team.set_lease(3600)
    bob.guard("reserve", "bob.txt", who="bob")
    assert commit(bob, "bob.txt", who="bob").code == 0
    assert "expired" not in commit(bob, "bob.txt", who="bob").text


# A server that gives no answer


FAULTS = ("refuse", "cut", "silent")


@pytest.mark.parametrize("fault", rows.some(FAULTS, {"silent"}))
def test_what_is_known_to_be_reserved_still_refuses(team: Team, fault: str) -> None:
    alice, bob = team.clones["alice"], team.clones["bob"]
    alice.guard("reserve", "both", "--reason", "the schema", who="alice")
    assert commit(bob, "bob.txt", who="bob").code == 0
    team.proxies["bob"].obey(fault)
    soon = {"GUARD_PATIENCE": "1s", "GUARD_ON_ERROR": "allow"}
    done = commit(bob, "both", who="bob", env=soon)
    assert is_refused(done, by="alice") and "the schema" in done.text
    assert "GUARD_SKIP=1 git commit" in done.text
    assert commit(bob, "bob.txt", who="bob", env=soon).code == 0


@pytest.mark.parametrize("fault", rows.some(FAULTS, {"cut"}))
def test_a_push_that_cannot_ask_is_not_judged(team: Team, fault: str) -> None:
    bob = team.clones["bob"]
    bob.git("config", "guard.offline", "15m")
    assert commit(bob, "bob.txt", who="bob").code == 0
    team.proxies["bob"].obey(fault)
    done = push(bob, who="bob", env={"GUARD_PATIENCE": "1s"})
    assert done.code and "cannot tell" in done.text and "it was last asked" in done.text
    passed = push(bob, who="bob", env={"GUARD_PATIENCE": "1s", "GUARD_ON_ERROR": "allow"})
    assert passed.code == 0 and "guard.onError is allow" in passed.text


def test_after_the_deadline_on_error_decides_and_the_message_says_why(team: Team) -> None:
    bob = team.clones["bob"]
    bob.git("config", "--global", "guard.db", secret_address(team))
    age_global(bob)
    team.set_lease(LENGTH_S)
    assert commit(bob, "bob.txt", who="bob").code == 0
    team.clones["alice"].guard("reserve", "--settle", "alice.txt", who="alice")  # so long that the lease is over
    team.proxies["bob"].obey("refuse")
    done = commit(bob, "bob.txt", who="bob")
    assert done.code and "cannot tell" in done.text
    assert "it was last asked" in done.text and f"@{team.proxies['bob'].host}" in done.text
    assert "repair:" in done.text and "hunter2" not in done.text
    passed = commit(bob, "bob.txt", who="bob", env={"GUARD_ON_ERROR": "allow"})
    assert passed.code == 0 and "guard.onError" in passed.text


def secret_address(team: Team) -> str:
    proxy = team.proxies["bob"]
    return f"postgresql://owner:hunter2@{proxy.host}:{proxy.port}/{team.database}"


def age_global(clone: Clone) -> None:
    age(clone.machine.home / ".gitconfig")


def test_offline_lets_commits_go_on_loudly_and_pushes_not(team: Team) -> None:
    alice, bob = team.clones["alice"], team.clones["bob"]
    bob.git("config", "--global", "guard.offline", "15m")
    age_global(bob)
    team.set_lease(LENGTH_S)
    alice.guard("reserve", "alice.txt", who="alice")
    assert commit(bob, "bob.txt", who="bob").code == 0
    alice.guard("reserve", "--settle", "both", who="alice")
    team.proxies["bob"].obey("refuse")
    done = commit(bob, "bob.txt", who="bob")
    assert done.code == 0 and "guard: OFFLINE: this commit" in done.text
    assert is_refused(commit(bob, "alice.txt", who="bob"), by="alice")
    assert push(bob, who="bob").code != 0
    bob.git("config", "--global", "guard.offline", "1s")
    age_global(bob)
    alice.guard("reserve", "--settle", "both", who="alice")
    assert commit(bob, "bob.txt", who="bob").code != 0


def test_a_server_that_crashes_and_comes_back(team: Team) -> None:
    alice, bob = team.clones["alice"], team.clones["bob"]
    alice.guard("reserve", "both", who="alice")
    assert commit(bob, "bob.txt", who="bob").code == 0
    team.server.stop(signal.SIGQUIT)
    try:
        assert commit(bob, "bob.txt", who="bob").code == 0, "the lease holds"
        assert push(bob, who="bob").code != 0
        assert alice.guard("reserve", "alice.txt", who="alice", expect=3).code == 3
    finally:
        team.server.start()
    assert push(bob, who="bob").code == 0
    assert is_refused(commit(bob, "both", who="bob"), by="alice")


def now_ns() -> int:
    now = system.boot_clock_ns()
    assert now is not None
    return now
