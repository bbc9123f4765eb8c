"""Many clients on four machines, 20 ms from the server, which is killed in the middle.

Whatever was acknowledged is there, no two overlapping exclusive reservations were active at once, the answers are those
of a store that does one thing after another, and each push was judged by all that was reserved before it began.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.network.conftest import Team
from tests.support import machines, postgres, sequential_model
from tests.support.repositories import PACKAGE
from tests.support.sequential_model import COVERS, PATHS, Done, Held, clash

MACHINES = ("north", "east", "south", "west")
LEASE_S = 2
DELAY_MS = 10
FOREVER = 1 << 62


class Judged(NamedTuple):
    """A commit or a push, and what became of it; times of the monotonic clock that all machines here share, in ns."""

    who: str
    machine: str
    paths: list[str]
    verdict: str
    began: int
    ended: int


class Span(NamedTuple):
    """A reservation: from and until when it surely was active, and from and until when it may have been."""

    who: str
    paths: frozenset[str]
    exclusive: bool
    surely_from: int
    surely_until: int
    perhaps_from: int
    perhaps_until: int


class Told(NamedTuple):
    """What the clients were told."""

    history: list[Done]
    unknown: list[tuple[str, str, list[Any], bool, str]]
    commits: list[Judged]
    pushes: list[Judged]


def told(histories: list[Path]) -> Told:
    lines = [json.loads(line) for history in histories for line in history.read_text().splitlines()[1:]]
    return Told(
        [Done(*line["done"]) for line in lines if "done" in line],
        [tuple(line["unknown"]) for line in lines if "unknown" in line],
        [Judged(*line["commit"]) for line in lines if "commit" in line],
        [Judged(*line["push"]) for line in lines if "push" in line],
    )


def completed(answers: Told, log: list[tuple[Any, ...]], exclusive: dict[int, bool]) -> list[Done]:
    """The history, with what was done and not acknowledged: the log knows it. It was done at some time or other."""
    seen = {(done.who, done.generation) for done in answers.history if sequential_model.changes(done)}
    verbs = {"reserved": "reserve", "released": "release", "renewed": "renew", "broken": "break"}
    groups: dict[tuple[str, str, int], list[tuple[int, str]]] = {}
    for generation, event, holder, number, pattern in log:
        if event in verbs and (holder, generation) not in seen:
            groups.setdefault((holder, verbs[event], generation), []).append((number, bytes(pattern).decode()))
    found = list(answers.history)
    for (holder, what, generation), rows in groups.items():
        numbers = [number for number, _ in rows]
        asked: list[Any] = [pattern for _, pattern in rows] if what == "reserve" else numbers
        attempts = [each for each in answers.unknown if each[:2] == (holder, what) and set(asked) <= set(each[2])]
        assert attempts, f"{holder} never asked for {what} {asked}"
        kind = attempts[0][3] if what == "reserve" else exclusive[numbers[0]]
        found.append(Done(holder, what, asked, kind, numbers, [], generation, 0, FOREVER))
    return found


def not_in_the_log(answers: Told, log: list[tuple[Any, ...]]) -> list[Done]:
    """What was acknowledged, and the log does not know of."""
    known = {(holder, generation, number) for generation, _, holder, number, _ in log}
    return [
        done
        for done in answers.history
        if sequential_model.changes(done)
        and any((done.who, done.generation, number) not in known for number in done.answer)
    ]


def spans_of(history: list[Done]) -> list[Span]:
    """The reservations of a history: one that was reserved again or broken belongs to several operations."""
    ends = {number: done for done in history if done.what in ("release", "break") for number in done.answer}
    found = []
    for done in history:
        if done.what == "reserve" and done.answer:
            for number, pattern in zip(done.answer, done.asked, strict=True):
                end = ends.get(number)
                surely, perhaps = (end.began, end.ended) if end else (FOREVER, FOREVER)
                found.append(Span(done.who, COVERS[pattern], done.exclusive, done.ended, surely, done.began, perhaps))
    return found


def misjudged(judged: list[Judged], spans: list[Span], *, late_ns: int) -> list[str]:
    """What passed though it was forbidden for longer than ``late_ns`` before, and what was refused though free."""
    found = []
    for one in judged:
        theirs = [span for span in spans if span.who != one.who and span.paths & set(one.paths)]
        surely = any(
            span.exclusive and span.surely_from + late_ns < one.began and one.ended < span.surely_until
            for span in theirs
        )
        perhaps = any(span.perhaps_from < one.ended and one.began < span.perhaps_until for span in theirs)
        # A holder may have made an exclusive one shared meanwhile: such a commit may pass.
        softened = any(not span.exclusive and span.perhaps_from < one.ended for span in theirs)
        if one.verdict == "passed" and surely and not softened:
            found.append(f"passed though forbidden: {one}")
        if one.verdict == "refused" and not perhaps:
            found.append(f"refused though free: {one}")
        if one.verdict.startswith("failed"):
            found.append(one.verdict)
    return found


def clashes_in_the_log(log: list[tuple[Any, ...]], exclusive: dict[int, bool]) -> list[tuple[Held, Held]]:
    active: dict[int, Held] = {}
    found = []
    for _, event, holder, number, pattern in log:
        if event == "reserved":
            mine = Held(holder, bytes(pattern).decode(), exclusive[number])
            found += [
                (mine, other) for other in active.values() if other.exclusive and mine.exclusive and clash(mine, other)
            ]
            active[number] = mine
        elif event in ("released", "broken", "expired"):
            active.pop(number, None)
    return found


def start_clients(
    team: Team, *, clients: int, seconds: float, hooks: int
) -> tuple[list[subprocess.Popen[bytes]], list[Path]]:
    place, running, histories = team.place, [], []
    for number in range(clients):
        machine = MACHINES[number % len(MACHINES)]
        clone = team.clones[machine]
        worktree = clone.path if number < len(MACHINES) else place / f"tree{number}"
        if worktree != clone.path:
            clone.git("worktree", "add", "-q", "-b", f"tree{number}", str(worktree), "origin/main")
        proxy = team.proxies[machine]
        orders = {
            "who": f"holder{number}",
            "seed": number,
            "store": f"postgresql://owner@{proxy.host}:{proxy.port}/{team.database}",
            "project": "shared",
            "machine": machine,
            "worktree": str(worktree),
            "start": str(place / "start"),
            "seconds": seconds,
            "hooks": hooks,
        }
        (place / f"orders{number}").write_text(json.dumps(orders))
        histories.append(place / f"history{number}")
        with open(place / f"orders{number}", "rb") as given, open(histories[-1], "wb") as said:
            member = clone.machine.inside((sys.executable, "-m", "tests.support.network_worker"))
            env = {**os.environ, **clone.machine.env}
            running.append(subprocess.Popen(member, cwd=PACKAGE, stdin=given, stdout=said, env=env))
    while not all(history.read_bytes() for history in histories):
        assert all(process.poll() is None for process in running)
        time.sleep(0.05)
    return running, histories


@pytest.mark.parametrize(
    ("clients", "seconds", "hooks"),
    [(8, 6, 1), pytest.param(32, 60, 3, marks=pytest.mark.long)],
    ids=["quick", "a minute"],
)
def test_a_crowd_on_four_machines_and_a_server_that_is_killed(
    tmp_path: Path, clients: int, seconds: float, hooks: int, figure: Callable[[str], None]
) -> None:
    if reason := postgres.why_not() or machines.why_not():
        pytest.skip(reason)
    server = postgres.Server(settings=("synchronous_commit=on",)).make().start()
    team = Team(tmp_path, server, people=MACHINES, files=PATHS)
    try:
        team.set_lease(LEASE_S)
        for proxy in team.proxies.values():
            proxy.obey(f"delay {DELAY_MS}")
        running, histories = start_clients(team, clients=clients, seconds=seconds, hooks=hooks)
        (tmp_path / "start").touch()
        time.sleep(seconds / 2)
        server.stop(signal.SIGQUIT)
        time.sleep(1)
        server.start()
        assert [process.wait(timeout=300) for process in running] == [0] * clients
        answers = told(histories)
        log = server.sql(
            team.database,
            "SELECT generation, event, holder, reservation, pattern FROM log WHERE reservation IS NOT NULL ORDER BY id",
        )
        exclusive = dict(server.sql(team.database, "SELECT id, exclusive FROM reservation"))
    finally:
        team.close()
        server.remove()
    history = completed(answers, log, exclusive)
    assert not_in_the_log(answers, log) == []
    assert clashes_in_the_log(log, exclusive) == []
    assert sequential_model.faults(history) == []
    spans = spans_of(history)
    assert misjudged(answers.pushes, spans, late_ns=0) == []
    assert misjudged(answers.commits, spans, late_ns=LEASE_S * 10**9) == []
    assert len(answers.history) > clients * seconds
    changes = sum(sequential_model.changes(done) for done in answers.history)
    asked = sum(done.what == "reserve" for done in answers.history)
    verdicts = [one.verdict for one in (*answers.commits, *answers.pushes)]
    figure(
        f"{clients} clients on {len(MACHINES)} machines, {2 * DELAY_MS} ms away: {len(answers.history) / seconds:.0f}"
        f" transactions a second, {asked / seconds:.0f} of them reserve, {changes / seconds:.0f} changed something;"
        f" {len(answers.unknown)} got no answer; {len(answers.commits)} commits and {len(answers.pushes)} pushes,"
        f" {verdicts.count('refused')} refused, {verdicts.count('known')} by what was known"
    )
