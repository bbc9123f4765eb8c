"""Letting go at the right time: what a release says of unpushed work, leases that end after the push, taking over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repositories import GUARD, PACKAGE, Repository

SESSION = "claude-7f3a91c2-1111-4222-8333-444455556666"


@pytest.fixture
def clone(tmp_path: Path) -> Repository:
    """A clone of a bare repository, on branch main, with everything pushed."""
    made = Repository.make(tmp_path / "clone", "-b", "main")
    made.git("init", "-q", "--bare", str(tmp_path / "bare.git"))
    made.git("remote", "add", "origin", str(tmp_path / "bare.git"))
    made.git("push", "-q", "-u", "origin", "main")
    return made


def held(repository: Repository) -> list[str]:
    return [row["pattern"] for row in repository.guard("list", "--json", who="bob").json()["reservations"]]


def test_a_release_says_what_is_not_pushed(clone: Repository) -> None:
    clone.guard("reserve", "src", "a.txt", who="alice")
    clone.write("src/b.py", "changed\n")
    clone.commit("src/auth/login.py", who="alice")
    said = clone.guard("release", "src", who="alice")
    assert "1 uncommitted change and 1 unpushed commit" in said.text
    assert b"released #1 /src" in said.out
    assert "uncommitted" not in clone.guard("release", "a.txt", who="alice").text


def test_without_a_remote_there_is_nothing_to_push(repository: Repository) -> None:
    repository.guard("reserve", "src", who="alice")
    repository.commit("src/b.py", who="alice")
    assert "push" not in repository.guard("release", "src", who="alice").text


def test_a_lease_is_kept_until_its_changes_are_pushed(clone: Repository) -> None:
    clone.guard("reserve", "src", "a.txt", "--ttl", "5m", who="alice")
    clone.commit("src/b.py", who="alice")
    done = clone.guard("release", "--all", "--after-push", "--json", who="alice").json()
    assert [row["pattern"] for row in done["released"]] == ["/a.txt"]
    assert [row["pattern"] for row in done["kept_until_pushed"]] == ["/src"]
    assert done["kept_until_pushed"][0]["expires_in_s"] > 80_000
    assert held(clone) == ["/src"]
    clone.git("commit", "-q", "--amend", "-m", "another name for the same", who="alice")
    assert held(clone) == ["/src"]
    clone.write("src/b.py", "one thing more\n")
    clone.git("push", "-q", who="alice")
    assert held(clone) == ["/src"], "there is a change that the push did not contain"
    clone.git("checkout", "-q", "src/b.py")
    assert held(clone) == [], "any guard command in this clone sees that it has been pushed"
    assert list((clone.common_dir / "guard" / "after-push").iterdir()) == []


def test_a_push_that_failed_is_none(clone: Repository, tmp_path: Path) -> None:
    clone.guard("reserve", "src", who="alice")
    clone.commit("src/b.py", who="alice")
    clone.guard("release", "src", "--after-push", who="alice")
    os.rename(tmp_path / "bare.git", tmp_path / "away.git")
    clone.git("push", "-q", expect=None, who="alice")
    assert held(clone) == ["/src"]
    os.rename(tmp_path / "away.git", tmp_path / "bare.git")
    clone.git("checkout", "-q", "-b", "elsewhere", "HEAD~1")
    assert held(clone) == ["/src"], "the commit is on its branch, and not pushed"
    clone.git("push", "-q", "origin", "main", who="alice")
    assert "its changes have been pushed" in clone.guard("list", who="alice").text
    assert held(clone) == []


def test_what_is_pushed_already_ends_at_once(clone: Repository) -> None:
    clone.guard("reserve", "src", who="alice")
    assert b"released #1 /src" in clone.guard("release", "src", "--after-push", who="alice").out


def test_a_lease_that_somebody_broke_meanwhile_is_forgotten(clone: Repository) -> None:
    clone.guard("reserve", "src", who="alice")
    clone.commit("src/b.py", who="alice")
    clone.guard("release", "src", "--after-push", who="alice")
    clone.guard("break", "--holder", "alice", "--reason", "hotfix", who="bob")
    clone.guard("list", who="bob")
    assert list((clone.common_dir / "guard" / "after-push").iterdir()) == []


def test_breaking_all_that_a_holder_has(repository: Repository) -> None:
    repository.guard("reserve", "src", "docs", env={"GUARD_AGENT": SESSION})
    repository.guard("reserve", "a.txt", who="carol")
    assert "nobody else holds dora" in repository.guard("break", "--holder", "dora", who="bob", expect=1).text
    done = repository.guard("break", "--holder", "claude-7f3a", "--reason", "crashed", "--json", who="bob").json()
    assert [row["pattern"] for row in done["broken"]] == ["/src", "/docs"]
    assert {row["end_reason"] for row in done["broken"]} == {"crashed"}
    assert held(repository) == ["/a.txt"]


def test_taking_over_from_a_dead_session(repository: Repository) -> None:
    repository.guard("reserve", "src", "--reason", "login", env={"GUARD_AGENT": SESSION})
    repository.guard("reserve", "a.txt", who="alice")
    alive = repository.guard("take", who="bob", expect=1)
    assert "did something with guard" in alive.text
    long_ago(repository)
    sleeper = subprocess.Popen(["sleep", "60"], env={"CLAUDE_CODE_SESSION_ID": SESSION.partition("-")[2]})
    try:
        if os.path.isdir("/proc/self"):
            assert "works under that name" in repository.guard("take", "claude-7f3a", who="bob", expect=1).text
    finally:
        sleeper.kill()
        sleeper.wait()
    done = repository.guard("take", "--json", who="bob").json()
    assert [(row["holder"], row["pattern"], row["reason"]) for row in done["granted"]] == [("bob", "/src", "login")]
    assert [row["holder"] for row in done["broken"]] == [SESSION]
    assert set(held(repository)) == {"/src", "/a.txt"}, "alice is somebody's chosen name, and not taken over unasked"
    assert "taken over by a later session" in repository.guard("log", "--event", "broken").text
    assert "no dead session" in repository.guard("take", who="bob", expect=1).text


def long_ago(repository: Repository) -> None:
    """Makes the log an hour older."""
    from contextlib import closing
    from sqlite3 import connect

    store = repository.guard("status", "--json").json()["store"]
    with closing(connect(store)) as connection:
        connection.execute("UPDATE log SET at = at - 3600000")
        connection.commit()


def test_who_waits_stops_when_nobody_is_there_for_it(repository: Repository) -> None:
    repository.guard("reserve", "src", who="alice")
    words = " ".join([*GUARD, "reserve", "src", "--wait", "10m"])
    shell = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run({words!r}.split()); sys.exit(9)"],
        cwd=repository.path,
        env={**os.environ, "GUARD_AGENT": "bob", "PYTHONPATH": str(PACKAGE)},
        stderr=subprocess.PIPE,
    )
    assert shell.stderr is not None
    assert b"waiting" in shell.stderr.readline()
    shell.send_signal(signal.SIGKILL)
    said = shell.communicate(timeout=60)[1]  # until the waiter, which has it open too, has ended
    assert b"is gone" in said
    repository.guard("release", "--all", who="alice")
    repository.guard("reserve", "src", who="carol")
