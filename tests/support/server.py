"""A bare repository with guard in it, and clones that push to it: what the server's tests build with."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from tests.support.repositories import Done, Repository, age, run

if TYPE_CHECKING:
    from pathlib import Path

HOUR_MS = 3_600_000
_BLAMED = re.compile(r"^remote: (?:GL-HOOK-ERR: )? {7}(\S+) \((?:discards )?commit ", re.MULTILINE)


@dataclass(frozen=True)
class Server:
    """``bare`` is pushed to; ``clone`` has no guard. alice, who works at a laptop, holds /held."""

    bare: Repository
    clone: Repository
    store: Path
    project: str

    @classmethod
    def of(cls, base: Path, store: Path, *, reserved: bool = True) -> Server:
        """The server whose repositories :func:`build` has made there. ``store`` is the file that holds reservations."""
        bare = Repository(base / "shop.git")
        project = bare.git("config", "guard.project").out.decode().strip()
        made = cls(bare, Repository(base / "clone"), store, project)
        if reserved:
            made.reserve("/held", holder="alice", principal="alice@laptop")
        return made

    def reserve(self, pattern: str, *, holder: str, principal: str) -> None:
        """As if guard reserve had been typed in that account, on that host."""
        store = SqliteStore(str(self.store), patience_s=30)
        actor = Actor(self.project, holder, principal)
        wanted = [Wanted(pattern.encode(), pattern.encode())]
        granted = store.reserve(actor, wanted, Terms(True, "refactoring", HOUR_MS, False, False))
        store.close()
        assert not granted.conflicts

    def settle(self) -> None:
        """As after a quiet while: the configuration is old, and what everybody holds is published."""
        age(self.bare.path / "config")
        age(self.bare.path / "hooks/pre-receive")
        gitconfig = os.path.join(os.environ["HOME"], ".gitconfig")
        if os.path.exists(gitconfig):
            os.utime(gitconfig, (1_600_000_000, 1_600_000_000))
        for _ in range(2):
            self.play("git commit -q --allow-empty -m quiet; git push -q origin main:quiet; git reset -q --hard HEAD~1")
            self.bare.git("update-ref", "-d", "refs/heads/quiet")

    def play(self, script: str, **env: str) -> Done:
        """Runs a script in the clone; all but its last command must succeed."""
        return play(self.clone, script, env)

    def log(self) -> list[tuple[str, str, str]]:
        """What happened: the event, who did it, and the reason."""
        store = SqliteStore(str(self.store), patience_s=30)
        entries = store.log(self.project, limit=100)
        store.close()
        return [(entry.event, entry.holder, entry.reason) for entry in entries]


def build(base: Path) -> None:
    """The store is made by guard install, in the place of the account that the tests run as."""
    bare = Repository(base / "shop.git")
    bare.path.mkdir(parents=True)
    bare.git("init", "-q", "--bare", "--template=")
    clone = Repository.make(base / "clone", "--template=", files={"free.txt": "free\n", "held/x.txt": "x\n"})
    clone.git("remote", "add", "origin", str(bare.path))
    clone.git("push", "-q", "origin", "main")
    clone.git("fetch", "-q")
    bare.install()


WORDS = """
make() {
    for each; do mkdir -p "$(dirname "$each")"; date +%N >>"$each"; git add "$each"; done
    git commit -qm "make $*"
}
"""


def play(clone: Repository, script: str, env: dict[str, str]) -> Done:
    """Runs a script. On a machine so slow that three seconds are not enough, the last command is run again."""
    for _ in range(TRIES):
        done = run(["sh", "-euc", WORDS + script], cwd=clone.path, env=env)
        if TOO_SLOW not in done.text:
            break
        script = script.rpartition("; ")[2]
    return done


TRIES = 30
TOO_SLOW = "no verdict was reached within"


def blamed(done: Done) -> list[str]:
    """The paths that a refusal by the server names, each once."""
    return sorted(set(_BLAMED.findall(done.text)))


def remote_lines(done: Done) -> list[str]:
    """What the server's hook said, without what git puts around it."""
    lines = [line.rstrip() for line in done.err.decode("utf-8", "backslashreplace").splitlines()]
    return [line.removeprefix("remote: ") for line in lines if line.startswith("remote: ")]
