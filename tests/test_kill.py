"""Killed at any instant, or failed by the disk at any call: nothing acknowledged is lost, nothing forbidden passes.

Every call that leaves a trace on the disk is tried, with one run of the command for each (tests/support/strace.py). A
quick run takes a share of them, which changes whenever the code moves them; ``--long`` takes all.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.databases import connected
from tests.support.repositories import GUARD, PACKAGE, Done
from tests.support.stage import Stage
from tests.support.strace import EIO, ENOSPC, KILL, Call, calls, disturbed, why_not

MANY = 300
"""Patterns enough for a union of many files."""


def nothing(stage: Stage) -> None:
    """The stage as it is."""


def alice_has_more(stage: Stage) -> None:
    stage.repository.guard("reserve", "src/auth", who="alice")


def stale(stage: Stage) -> None:
    """Another program ends something: bob's union has to be made anew."""
    alice_has_more(stage)
    stage.repository.guard("reserve", "src/b.py", who="carol")
    stage.hook("free.txt")
    end_one(stage)


def end_one(stage: Stage) -> None:
    with connected(stage.store) as connection:
        connection.execute(
            "UPDATE reservation SET ended_at = 1, \"end\" = 'released' WHERE id ="
            " (SELECT max(id) FROM reservation WHERE holder = 'carol')"
        )


def touched(stage: Stage) -> None:
    """The store's time says nothing any more, and nothing has changed."""
    alice_has_more(stage)
    os.utime(stage.store)


def nothing_published(stage: Stage) -> None:
    alice_has_more(stage)
    shutil.rmtree(stage.slot.parent)


def many(stage: Stage) -> None:
    """So many that the union is laid out by directory."""
    alice_has_more(stage)
    patterns = [f"many{number % 5}/part{number}*.py" for number in range(MANY)]
    stage.repository.guard("reserve", *patterns, who="carol")
    shutil.rmtree(stage.slot.parent)


def many_stale(stage: Stage) -> None:
    many(stage)
    stage.hook("free.txt")
    end_one(stage)


def held_is_staged(stage: Stage) -> None:
    alice_has_more(stage)
    stage.stage("held/x.txt")


def no_store(stage: Stage) -> None:
    shutil.rmtree(stage.store.parent)


class Deed(NamedTuple):
    """A command to disturb: who does it, on what ground, and the words with which it is acknowledged."""

    name: str
    before: Callable[[Stage], None]
    who: str
    arguments: tuple[str, ...]
    acknowledged: bytes


DEEDS = [
    Deed("reserve", nothing, "alice", ("reserve", "src/auth", "src/b.py"), b"reserved #"),
    Deed("release", alice_has_more, "alice", ("release", "src/auth"), b"released #2"),
    Deed("renew", alice_has_more, "alice", ("renew", "src/auth", "--ttl", "3h"), b"renewed #2"),
    Deed("break", alice_has_more, "carol", ("break", "2", "--reason", "hotfix"), b"broken #2"),
    Deed("refresh", stale, "bob", (), b"exact "),
    Deed("refresh of the same", touched, "bob", (), b"exact "),
    Deed("first publication", nothing_published, "bob", (), b"exact "),
    Deed("publication of many", many, "bob", (), b"exact "),
    Deed("publication of many again", many_stale, "bob", (), b"exact "),
    Deed("verdict", held_is_staged, "bob", (), b""),
    Deed("first reserve of all", no_store, "alice", ("reserve", "held", "src/auth"), b"reserved #"),
]
QUICK = {"reserve", "refresh", "release"}


class Trial:
    """A deed, done again and again from the same state."""

    def __init__(self, stage: Stage, deed: Deed) -> None:
        self.stage, self.deed = stage, deed
        deed.before(stage)
        self._kept = stage.base / "before"
        shutil.rmtree(self._kept, ignore_errors=True)
        for number, place in enumerate(self._places()):
            if place.exists():
                shutil.copytree(place, self._kept / str(number), symlinks=True)

    def _places(self) -> tuple[Path, ...]:
        return self.stage.store.parent, self.stage.repository.path / ".git/guard"

    def again(self) -> None:
        for number, place in enumerate(self._places()):
            shutil.rmtree(place, ignore_errors=True)
            if (self._kept / str(number)).exists():
                shutil.copytree(self._kept / str(number), place, symlinks=True)

    @property
    def env(self) -> dict[str, str]:
        return {"GUARD_AGENT": self.deed.who, "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"}

    @property
    def command(self) -> list[str]:
        if self.deed.arguments:
            return [*GUARD, *self.deed.arguments]
        python, home, site = (self.stage.repository.path / ".git/guard/python").read_text().splitlines()
        code = "import sys; sys.path[:0] = sys.argv[1:3]; from guard.hook import main; main(sys.argv[3:])"
        part = "judge" if self.deed.name == "verdict" else "publish"
        return [python, "-I", "-S", "-B", "-c", code, home, site, part, "pre-commit"]

    def calls(self) -> list[Call]:
        found, done = calls(self.command, cwd=self.stage.repository.path, env=self.env)
        assert self.deed.acknowledged in done.out, done.text
        return found

    def disturb(self, call: Call, fault: str) -> Done:
        return disturbed(self.command, call, fault, cwd=self.stage.repository.path, env=self.env)

    def assert_sound(self, done: Done) -> None:
        """After whatever happened: the next real commits are judged rightly, and what was acknowledged is there."""
        stage, deed = self.stage, self.deed
        if deed.before is no_store and not stage.store.exists():
            assert deed.acknowledged not in done.out
            return
        if deed.before is no_store and deed.acknowledged not in done.out:
            assert stage.commit("free.txt").code == 0
            assert stage.integrity() == "ok"
            return
        stage.assert_guarded()
        assert stage.integrity() == "ok"
        active = stage.active()
        if deed.acknowledged in done.out and deed.name.endswith(("reserve", "reserve of all")):
            assert ("alice", "/src/auth") in active
        if deed.acknowledged in done.out and deed.name in ("release", "break"):
            assert ("alice", "/src/auth") not in active
        if deed.name == "renew" or not deed.arguments:
            assert ("alice", "/src/auth") in active


@pytest.fixture
def trial(stage: Stage, request: pytest.FixtureRequest) -> Trial:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return Trial(stage, request.param)


EACH_DEED = pytest.mark.parametrize("trial", DEEDS, ids=[deed.name for deed in DEEDS], indirect=True)
SOME_DEEDS = [deed for deed in DEEDS if deed.name in QUICK]
EACH_QUICK = pytest.mark.parametrize("trial", SOME_DEEDS, ids=[deed.name for deed in SOME_DEEDS], indirect=True)


def try_all(trial: Trial, fault: str, *, every: int, figure: Callable[[str], None]) -> None:
    found = trial.calls()
    assert len(found) >= 5, found
    tried = found[len(found) % every :: every]
    for call in tried:
        trial.again()
        if trial.deed.name == "verdict":
            trial.stage.stage("held/x.txt")
        done = trial.disturb(call, fault)
        try:
            if fault == KILL:
                assert done.code == -signal.SIGKILL, "the call was not reached"
            else:
                assert done.code in ((11, 13) if trial.deed.name == "verdict" else (0, 1, 3, 13, 120)), done.text
                assert b"Traceback" not in done.err
                assert done.code or trial.deed.acknowledged in done.out or not trial.deed.arguments
            trial.assert_sound(done)
        except AssertionError as error:
            raise AssertionError(f"{fault} at {call.name} {call.number}: {call.shown}\n{error}\n{done.text}") from error
    figure(f"{fault} at {len(tried)} of {len(found)} calls")


@EACH_QUICK
def test_killed_at_a_share_of_the_calls(trial: Trial, figure: Callable[[str], None]) -> None:
    try_all(trial, KILL, every=17, figure=figure)


@pytest.mark.long
@EACH_DEED
def test_killed_at_every_call(trial: Trial, figure: Callable[[str], None]) -> None:
    try_all(trial, KILL, every=1, figure=figure)


@EACH_QUICK
@pytest.mark.parametrize("fault", [EIO, ENOSPC])
def test_the_disk_fails_at_a_share_of_the_calls(trial: Trial, fault: str, figure: Callable[[str], None]) -> None:
    try_all(trial, fault, every=17, figure=figure)


@pytest.mark.long
@EACH_DEED
@pytest.mark.parametrize("fault", [EIO, ENOSPC])
def test_the_disk_fails_at_every_call(trial: Trial, fault: str, figure: Callable[[str], None]) -> None:
    try_all(trial, fault, every=1, figure=figure)


@pytest.mark.parametrize("rounds", [12, pytest.param(300, marks=pytest.mark.long)])
def test_killed_at_random_instants(stage: Stage, rounds: int, figure: Callable[[str], None]) -> None:
    """No state is put back: what one kill leaves is what the next one meets."""
    drawn = random.Random(rounds)
    hook = str(stage.repository.path / ".git/hooks/pre-commit")
    commands: list[tuple[str, list[str]]] = [
        ("alice", [*GUARD, "reserve", "src/auth", "--ttl", "2h"]),
        ("alice", [*GUARD, "release", "src/auth"]),
        ("alice", [*GUARD, "renew", "--all"]),
        ("carol", [*GUARD, "break", "2", "3", "4", "5", "6"]),
        ("bob", [hook]),
        ("carol", [hook]),
    ]
    killed = 0
    for _ in range(rounds):
        stage.stage("free.txt")
        running = []
        for who, command in drawn.sample(commands, k=2):
            process = subprocess.Popen(
                command,
                cwd=stage.repository.path,
                start_new_session=True,
                env={**os.environ, "GUARD_AGENT": who, "PYTHONPATH": str(PACKAGE)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            running.append(process)
        time.sleep(drawn.uniform(0.005, 0.12))
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
            process.wait()
        stage.assert_guarded()
    assert stage.integrity() == "ok"
    assert killed
    figure(f"{killed} processes killed in {rounds} rounds")
