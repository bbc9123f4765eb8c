"""Thirty-two processes at once on one store: no two overlapping exclusives, nothing lost, nobody told of a lock."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import sequential_model
from tests.support.databases import connected
from tests.support.repositories import PACKAGE, Repository, age
from tests.support.sequential_model import COVERS, PATHS, Done, Held, clash

CROWD = 32
WORKTREES = 8


class Commit(NamedTuple):
    who: str
    path: str
    passed: bool
    began: int
    ended: int


class Recorded(NamedTuple):
    """What a crowd was told, what it was refused an answer to, and what an observer saw meanwhile."""

    history: list[Done]
    commits: list[Commit]
    errors: list[str]
    looks: int
    clashes: list[tuple[Held, Held]]
    seconds: float


class Ground(NamedTuple):
    """A repository with worktrees, on one store."""

    main: Repository
    worktrees: list[Repository]
    store: Path
    project: str


@pytest.fixture
def ground(tmp_path: Path, hermetic: Path) -> Ground:
    main = Repository.make(tmp_path / "main", "--template=", files=dict.fromkeys(PATHS, "first\n"))
    main.install()
    worktrees = [main.worktree(tmp_path / f"tree{number}", f"tree{number}") for number in range(WORKTREES)]
    age(main.common_dir / "config")
    project = str(main.guard("whoami", "--json").json()["project"])
    return Ground(main, worktrees, hermetic / ".local/share/guard/guard.db", project)


def crowd(
    ground: Ground, *, size: int, operations: int, commands: int, commits: int, careless: bool = False
) -> Recorded:
    """Lets a crowd loose, and looks on while it works."""
    place = ground.main.path.parent
    histories = [place / f"history{number}" for number in range(size)]
    running = []
    for number, history in enumerate(histories):
        worktree = ground.worktrees[number % WORKTREES].path
        orders: dict[str, Any] = {
            "who": f"holder{number}",
            "seed": number,
            "store": str(ground.store),
            "project": ground.project,
            "worktree": str(worktree),
            "turn": f"{worktree}.turn",
            "start": str(place / "start"),
            "careless": careless,
            "operations": operations,
            "commands": commands,
            "commits": commits,
        }
        (place / f"orders{number}").write_text(json.dumps(orders))
        with open(place / f"orders{number}", "rb") as given, open(history, "wb") as said:
            member = [sys.executable, "-m", "tests.support.load_worker"]
            running.append(subprocess.Popen(member, cwd=PACKAGE, stdin=given, stdout=said))
    while not all(history.read_bytes() for history in histories):
        assert all(process.poll() is None for process in running)
        time.sleep(0.02)
    (place / "start").touch()
    began = time.monotonic()
    looks, clashes = observed(running, ground.store)
    seconds = time.monotonic() - began
    assert [process.returncode for process in running] == [0] * size
    lines = [json.loads(line) for history in histories for line in history.read_text().splitlines()[1:]]
    return Recorded(
        [Done(*line["done"]) for line in lines if "done" in line],
        [Commit(*line["commit"]) for line in lines if "commit" in line],
        [line["error"] for line in lines if "error" in line],
        looks,
        clashes,
        seconds,
    )


def observed(running: list[subprocess.Popen[bytes]], store: Path) -> tuple[int, list[tuple[Held, Held]]]:
    """Looks at the rows while the processes run: how often, and what was active together that must not be."""
    looks, clashes = 0, []
    looking = sqlite3.connect(store, timeout=60)
    while any(process.poll() is None for process in running):
        clashes += overlapping(looking)
        looks += 1
        time.sleep(0.02)
    looking.close()
    return looks, clashes


def overlapping(connection: sqlite3.Connection) -> list[tuple[Held, Held]]:
    """Active reservations that must not be active together, as the rows are now."""
    rows = connection.execute("SELECT holder, pattern, exclusive FROM reservation WHERE ended_at IS NULL").fetchall()
    held = [Held(holder, pattern, bool(exclusive)) for holder, pattern, exclusive in rows]
    return [(one, two) for one, two in combinations(held, 2) if clash(one, two)]


def overlapping_in_the_log(store: Path) -> list[tuple[Held, Held]]:
    """The same for every moment there ever was, from the log in the order it was written."""
    with connected(store) as connection:
        kinds = dict(connection.execute("SELECT id, exclusive FROM reservation").fetchall())
        entries = connection.execute("SELECT event, reservation, whose, pattern FROM log ORDER BY id").fetchall()
    active: dict[int, Held] = {}
    found = []
    for event, number, whose, pattern in entries:
        if event == "reserved":
            # One that was reserved again keeps its number, and may have been shared before: those are left out.
            mine = Held(whose, pattern, bool(kinds[number]))
            others = [other for other in active.values() if other.exclusive and mine.exclusive]
            found += [(mine, other) for other in others if clash(mine, other)]
            active[number] = mine
        elif event in ("released", "broken", "expired"):
            active.pop(number, None)
    return found


def wrongly_passed_or_refused(commits: list[Commit], history: list[Done]) -> list[str]:
    """Commits that a reservation forbade all the while, or that none forbade at any moment."""
    ended = {number: done for done in history if done.what in ("release", "break") for number in done.answer}
    spans = []  # (holder, paths, surely from, surely until, perhaps from, perhaps until)
    for done in history:
        if done.what == "reserve" and done.answer:
            for number, pattern in zip(done.answer, done.asked, strict=True):
                end = ended.get(number)
                forever = 1 << 62
                surely_until, perhaps_until = (end.began, end.ended) if end else (forever, forever)
                span = (done.who, COVERS[pattern], done.exclusive, done.ended, surely_until, done.began, perhaps_until)
                spans.append(span)
    found = []
    for commit in commits:
        theirs = [span for span in spans if span[0] != commit.who and commit.path in span[1]]
        surely = any(span[2] and span[3] < commit.began and commit.ended < span[4] for span in theirs)
        perhaps = any(span[5] < commit.ended and commit.began < span[6] for span in theirs)
        # A holder may have made an exclusive one shared meanwhile: such a commit may pass.
        if commit.passed and surely and not any(span[5] < commit.ended and not span[2] for span in theirs):
            found.append(f"passed though forbidden: {commit}")
        if not commit.passed and not perhaps:
            found.append(f"refused though free: {commit}")
    return found


def lost(history: list[Done], store: Path) -> set[int]:
    """Reservations that were acknowledged, never ended, and are not there."""
    granted = {number for done in history if done.what == "reserve" for number in done.answer}
    ended = {number for done in history if done.what in ("release", "break") for number in done.answer}
    with connected(store) as connection:
        there = {row[0] for row in connection.execute("SELECT id FROM reservation WHERE ended_at IS NULL")}
    return (granted - ended) ^ there


@pytest.mark.parametrize(
    ("operations", "commands", "commits"),
    [(12, 1, 1), pytest.param(300, 10, 20, marks=pytest.mark.long)],
    ids=["quick", "thousands"],
)
def test_a_crowd_on_one_store(
    ground: Ground, operations: int, commands: int, commits: int, figure: Callable[[str], None]
) -> None:
    recorded = crowd(ground, size=CROWD, operations=operations, commands=commands, commits=commits)
    assert recorded.errors == []
    assert recorded.clashes == []
    assert overlapping_in_the_log(ground.store) == []
    assert lost(recorded.history, ground.store) == set()
    assert wrongly_passed_or_refused(recorded.commits, recorded.history) == []
    began = time.monotonic()
    assert sequential_model.faults(recorded.history) == []
    checked = time.monotonic() - began
    everything = [(done.ended - done.began, done.what) for done in recorded.history]
    everything += [(commit.ended - commit.began, "commit") for commit in recorded.commits]
    slowest, which = max(everything)
    refused = sum(not commit.passed for commit in recorded.commits)
    assert len(everything) == CROWD * (operations + commands + commits)
    assert sum(done.what == "reserve" and bool(done.conflicts) for done in recorded.history) > CROWD / 4
    figure(
        f"{CROWD} processes, {len(everything)} operations ({len(recorded.commits)} commits, {refused} refused) in"
        f" {recorded.seconds:.1f} s: {len(everything) / recorded.seconds:.0f} a second, the slowest a {which} of"
        f" {slowest / 1e9:.2f} s; {recorded.looks} looks meanwhile; linearizable, checked in {checked * 1000:.0f} ms"
    )


def test_a_store_broken_on_purpose_is_caught(ground: Ground, figure: Callable[[str], None]) -> None:
    """Checking and inserting in two transactions: the model, the observer or the log must notice."""
    recorded = crowd(ground, size=16, operations=30, commands=0, commits=0, careless=True)
    caught = sequential_model.faults(recorded.history)
    assert caught
    figure(f"caught by the model {len(caught)} times, by the observer {len(recorded.clashes)} times")


def done(what: str, asked: list[Any], answer: list[int], generation: int, **more: Any) -> Done:
    given = {"who": "alice", "exclusive": True, "conflicts": [], "began": generation, "ended": generation, **more}
    return Done(what=what, asked=asked, answer=answer, generation=generation, **given)


HONEST = [
    done("reserve", ["/d0"], [1], 1),
    done("reserve", ["/d0/a.py"], [], 1, who="bob", conflicts=[1], began=2, ended=2),
    done("check", ["d0/b.py"], [1], 1, who="bob", began=3, ended=3),
    done("release", [1, 7], [1], 2, began=4, ended=4),
    done("reserve", ["/d0/a.py"], [2], 3, who="bob", began=5, ended=5),
    done("list", [], [2], 3, began=6, ended=6),
]
LIES = {
    "granted twice": [HONEST[0], done("reserve", ["/d0/*.py"], [2], 2, who="bob")],
    "refused for nothing": [done("reserve", ["/d0"], [], 1, conflicts=[5])],
    "lost": [HONEST[0], done("list", [], [], 2)],
    "released twice": [*HONEST[:4], done("release", [1], [1], 4, began=7, ended=7)],
    "an old answer": [*HONEST, done("check", ["d0/b.py"], [1], 1, who="bob", began=9, ended=9)],
}


def test_the_model_believes_an_honest_history() -> None:
    assert sequential_model.faults(HONEST) == []


@pytest.mark.parametrize("lie", LIES)
def test_the_model_believes_no_lie(lie: str) -> None:
    assert sequential_model.faults(LIES[lie])
