"""One of many clients on several machines: reserves, releases, renews, breaks, lists, commits and pushes, and records.

Started as ``python -m tests.support.network_worker`` inside of a machine's namespaces. It reads its orders as JSON from
stdin, works until they say, and writes its history as JSON lines. What it was given no answer to is recorded, too.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import Any

from guard.model import GuardError
from guard.stores.interface import Actor, Opening
from guard.stores.postgres.store import PostgresStore
from tests.support.load_worker import Member
from tests.support.sequential_model import PATHS

PAUSE_S = 0.1
"""After an operation that got no answer, in seconds."""


class Client(Member):
    """A holder on a machine, with a work tree of its own."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.drawn = random.Random(orders["seed"])
        self.store = PostgresStore(orders["store"], Opening(patience_s=10, trusted=True))  # type: ignore[assignment]
        self.actor = Actor(orders["project"], orders["who"], "crowd@here")
        self.mine: dict[int, str] = {}
        self.theirs: list[int] = []

    def work(self) -> None:
        began = time.monotonic()
        hooks = sorted(self.drawn.uniform(0.05, 0.95) * self.orders["seconds"] for _ in range(self.orders["hooks"]))
        while (now := time.monotonic() - began) < self.orders["seconds"]:
            if hooks and now >= hooks[0]:
                hooks.pop(0)
                self.drawn.choice((self.commit, self.push))()
            else:
                self.operate()

    def operate(self) -> None:
        what = self.drawn.choices(("reserve", "release", "renew", "break", "check", "list"), (8, 5, 2, 1, 3, 1))[0]
        asked, exclusive = self.ask(what)
        began = time.monotonic_ns()
        try:
            answer, conflicts, generation = self.answer(what, asked, exclusive)
        except GuardError as error:
            self.say({"unknown": [self.actor.holder, what, asked, exclusive, error.what]})
            time.sleep(PAUSE_S)
            return
        self.remember(what, asked, exclusive, answer, conflicts, generation, began)

    def commit(self) -> None:
        path = self.drawn.choice(PATHS)
        self.change(path)
        self.judge("commit", path, ["git", "commit", "-q", "-m", "change", "--", path])

    def push(self) -> None:
        """Pushes one commit, which no commit hook has seen."""
        path = self.drawn.choice(PATHS)
        self.change(path)
        self.git("add", path)
        tree = self.git("write-tree")
        tip = self.git("commit-tree", "-m", "change", "-p", "refs/remotes/origin/main", tree)
        self.git("reset", "-q", "--hard")
        branch = f"refs/heads/{self.actor.holder}-{time.monotonic_ns()}"
        # Others' commits are below HEAD in this clone, so the tree holds the changes of this work tree's own commits.
        paths = self.git("diff", "--name-only", "refs/remotes/origin/main", tip).split()
        self.judge("push", " ".join(paths), ["git", "push", "-q", "origin", f"{tip}:{branch}"])

    def change(self, path: str) -> None:
        with open(os.path.join(self.orders["worktree"], path), "w") as file:
            file.write(f"{self.actor.holder} {time.monotonic_ns()}\n")

    def git(self, *words: str) -> str:
        done = self.run(["git", *words])
        if done.returncode:
            raise AssertionError(f"git {words}: {done.stderr.decode()}")
        return done.stdout.decode().strip()

    def judge(self, what: str, paths: str, command: list[str]) -> None:
        began = time.monotonic_ns()
        done = self.run(command)
        ended = time.monotonic_ns()
        text = done.stderr.decode()
        if f"{what} refused: it changes what was" in text:
            verdict = "known"  # the server gave no answer, and what it last said refuses
        elif f"{what} refused" in text:
            verdict = "refused"
        elif "cannot tell" in text:
            verdict = "unknown"
        elif done.returncode:
            verdict = f"failed: {text}"
        else:
            verdict = "passed"
        if verdict != "passed":
            self.git("reset", "-q", "--hard")
        self.say({what: [self.actor.holder, self.orders["machine"], paths.split(), verdict, began, ended]})


if __name__ == "__main__":
    client = Client(json.load(sys.stdin))
    client.store.union_source(client.actor.project, client.actor.holder)  # connects
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not os.path.exists(client.orders["start"]):
        time.sleep(0.02)
    client.work()
    client.store.close()
