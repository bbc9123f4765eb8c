"""One of many processes that reserve, renew, release, break, check and commit, and record the answers.

Started as ``python -m tests.support.load_worker``: it reads its orders as JSON from stdin, and writes its history as
JSON lines.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from guard import judge
from guard.model import Change, GuardError
from guard.stores.interface import Actor, Chosen, Outcome, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from guard.stores.sqlite_granting import grant, overlaps
from guard.stores.sqlite_writing import writing
from guard.union.renewal import renew
from tests.support.repositories import GUARD, PACKAGE
from tests.support.sequential_model import COVERS, PATHS

if TYPE_CHECKING:
    from collections.abc import Sequence

TTL_MS = 3_600_000


class CarelessStore(SqliteStore):
    """Broken on purpose: looks whether somebody is in the way in one transaction, and reserves in another."""

    def reserve(self, actor: Actor, wanted: Sequence[Wanted], terms: Terms, *, ticket: int | None = None) -> Outcome:
        file = self.file
        with file.reading():
            if way := overlaps(file, actor, wanted, terms):
                return Outcome(file.generation(actor.project), conflicts=way)
        with writing(file, actor.project):
            granted = [grant(file, actor, want, terms) for want in wanted]
            return Outcome(file.generation(actor.project), tuple(granted))


class Member:
    """A holder with a plan: so many operations, so many of them through the command line, so many commits."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.drawn = random.Random(orders["seed"])
        kind = CarelessStore if orders["careless"] else SqliteStore
        self.store = kind(orders["store"], patience_s=30)
        self.actor = Actor(orders["project"], orders["who"], "crowd@here")
        self.mine: dict[int, str] = {}
        self.theirs: list[int] = []

    def work(self) -> None:
        orders = self.orders
        kinds = ["store"] * orders["operations"] + ["command"] * orders["commands"] + ["commit"] * orders["commits"]
        self.drawn.shuffle(kinds)
        for kind in kinds:
            {"store": self.operate, "command": self.command, "commit": self.commit}[kind]()

    def operate(self) -> None:
        what = self.drawn.choices(("reserve", "release", "renew", "break", "check", "list"), (6, 4, 2, 1, 4, 1))[0]
        asked, exclusive = self.ask(what)
        began = time.monotonic_ns()
        try:
            answer, conflicts, generation = self.answer(what, asked, exclusive)
        except GuardError as error:
            self.say({"error": f"{what}: {error.what}"})
            return
        self.remember(what, asked, exclusive, answer, conflicts, generation, began)
        if what in ("reserve", "release", "renew", "break"):
            renew(self.store)

    def ask(self, what: str) -> tuple[list[Any], bool]:
        drawn = self.drawn
        if what == "reserve":
            return drawn.sample(sorted(COVERS), k=drawn.choice((1, 1, 2))), drawn.random() < 0.8
        if what in ("release", "renew"):
            return drawn.sample(sorted(self.mine), k=min(len(self.mine), 2)) or [999_999], True
        if what == "break":
            return [drawn.choice(self.theirs) if self.theirs else 999_999], True
        return ([drawn.choice(PATHS)] if what == "check" else []), True

    def answer(self, what: str, asked: list[Any], exclusive: bool) -> tuple[list[int], list[int], int]:
        store, actor = self.store, self.actor
        if what == "check":
            changes = [Change(asked[0].encode())]
            verdict = judge.verdict(store, changes, project=actor.project, me=actor.holder, fold=False)
            return [found.reservation.id for found in verdict.conflicts], [], verdict.generation
        if what == "list":
            snapshot = store.active(actor.project)
            return [row.id for row in snapshot.reservations], [], snapshot.generation
        if what == "reserve":
            terms = Terms(exclusive=exclusive, reason="", ttl_ms=TTL_MS, fold=False, shorten=False)
            outcome = store.reserve(actor, [Wanted(each.encode(), each.encode()) for each in asked], terms)
        elif what == "release":
            outcome = store.release(actor, Chosen(ids=tuple(asked)))
        elif what == "renew":
            outcome = store.renew(actor, Chosen(ids=tuple(asked)), ttl_ms=TTL_MS)
        else:
            outcome = store.break_(actor, asked, reason="")
        conflicts = {found.reservation.id for found in outcome.conflicts}
        return [row.id for row in outcome.reservations], sorted(conflicts), outcome.generation

    def command(self) -> None:
        """The same through the command line, as people and agents do."""
        what = self.drawn.choice(("reserve", "release", "list"))
        asked, _ = self.ask(what)
        words = [what, *(asked if what == "reserve" else [])]
        if what == "release":
            words += [word for number in asked for word in ("--id", str(number))]
        began = time.monotonic_ns()
        done = self.run([*GUARD, *words, "--json"])
        if done.returncode not in (0, 1) or not done.stdout:
            self.say({"error": f"guard {' '.join(words)} ended with {done.returncode}: {done.stderr.decode()}"})
            return
        said = json.loads(done.stdout)
        rows = said.get({"reserve": "granted", "release": "released", "list": "reservations"}[what])
        conflicts = {found["reservation"]["id"] for found in said.get("conflicts", [])}
        numbers = [row["id"] for row in rows]
        self.remember(what, asked, True, numbers, sorted(conflicts), said["generation"], began)

    def commit(self) -> None:
        """A real commit in this process's worktree, which it shares with others: they take turns at the index."""
        path = self.drawn.choice(PATHS)
        with open(self.orders["turn"], "w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            with open(os.path.join(self.orders["worktree"], path), "w") as file:
                file.write(f"{time.monotonic_ns()}\n")
            began = time.monotonic_ns()
            done = self.run(["git", "commit", "-q", "-m", "change", "--", path])
            ended = time.monotonic_ns()
        text = done.stderr.decode()
        if "cannot tell" in text or "locked" in text or (done.returncode and "commit refused" not in text):
            self.say({"error": f"commit ended with {done.returncode}: {text}"})
        else:
            self.say({"commit": [self.actor.holder, path, done.returncode == 0, began, ended]})

    def run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        env = {**os.environ, "GUARD_AGENT": self.actor.holder, "PYTHONPATH": str(PACKAGE)}
        return subprocess.run(command, cwd=self.orders["worktree"], env=env, capture_output=True, check=False)

    def remember(
        self,
        what: str,
        asked: list[Any],
        exclusive: bool,
        answer: list[int],
        conflicts: list[int],
        generation: int,
        began: int,
    ) -> None:
        ended = time.monotonic_ns()
        self.say({"done": [self.actor.holder, what, asked, exclusive, answer, conflicts, generation, began, ended]})
        if what == "reserve":
            self.mine.update(zip(answer, asked, strict=False))
            self.theirs = conflicts or self.theirs
        elif what == "release":
            for number in answer:
                self.mine.pop(number, None)
        elif what == "list":
            self.theirs = [number for number in answer if number not in self.mine]

    def say(self, line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    given = json.load(sys.stdin)
    member = Member(given)
    sys.stdout.write("ready\n")
    sys.stdout.flush()  # and from here on only at the end: writing takes no time from the others
    while not os.path.exists(given["start"]):
        time.sleep(0.01)
    member.work()
    member.store.close()
