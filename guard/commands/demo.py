"""``guard demo``: two holders, a reservation, and a real commit that is refused and later allowed.

Everything happens in a temporary directory with its own home, configuration and store.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from guard.model import EXIT_DONE, GuardError
from guard.words import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES = {"README": "A small shop.\n", "src/auth/login.py": "def login(): ...\n", "src/web/page.py": "TITLE = 'shop'\n"}


def demo(environment: Mapping[bytes, bytes], *, keep: bool) -> int:
    """Plays the demo and prints each command with its output. Returns the exit code.

    ``environment`` is the caller's, of which the variables for git, guard and sessions are left out. With ``keep``, the
    directory stays. Raises :class:`GuardError` when a step ends with another status than expected.
    """
    place = Path(tempfile.mkdtemp(prefix="guard-demo-"))
    try:
        _play(place, environment)
    finally:
        if not keep:
            shutil.rmtree(place)
    if keep:
        click.echo(f"\nThe demo is still there: {place}")
    return EXIT_DONE


def _play(place: Path, environment: Mapping[bytes, bytes]) -> None:
    _make_repository(place / "shop")
    stage = _Stage(place, environment)
    stage.say("A repository with one commit. Two agents, alice and bob, work in it. It gets guard's hooks:")
    stage.run("alice", "guard install")
    stage.say("alice is about to change the login, and says so:")
    stage.run("alice", "guard reserve src/auth --reason 'new login'")
    stage.say("bob changes the same file, and something else, and commits:")
    stage.write("src/auth/login.py", "def login(): return 'mine'\n")
    stage.write("src/web/page.py", "TITLE = 'a better shop'\n")
    stage.run("bob", "git commit -q -a -m 'improve the shop'", expect=1)
    stage.say("What alice has not reserved, bob can commit:")
    stage.run("bob", "git commit -q -m 'improve the page' src/web/page.py")
    stage.say("alice is done:")
    stage.run("alice", "guard release src/auth")
    stage.run("bob", "git commit -q -a -m 'improve the login'")
    stage.run("bob", "git log --oneline")
    stage.run("bob", "guard log")
    stage.say("A real commit was refused, and went through when the reservation had ended.")


def _make_repository(path: Path) -> None:
    import pygit2

    repository = pygit2.init_repository(str(path), initial_head="main")
    for name, text in FILES.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    repository.index.add_all()
    repository.index.write()
    who = pygit2.Signature("alice", "alice@example.com")
    repository.create_commit("HEAD", who, who, "the shop", repository.index.write_tree(), [])


class _Stage:
    """Runs commands as one holder or the other, in an environment without the account's own settings."""

    def __init__(self, place: Path, environment: Mapping[bytes, bytes]) -> None:
        self._repository = place / "shop"
        home = place / "home"
        home.mkdir()
        kept = {
            name: value
            for name, value in ((os.fsdecode(name), os.fsdecode(value)) for name, value in environment.items())
            if not name.startswith(("GIT_", "GUARD_", "XDG_")) and not name.endswith(("_SESSION_ID", "_THREAD_ID"))
        }
        self._environment: Mapping[str, str] = kept | {
            "HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GUARD_DB": str(place / "guard.db"),
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        }

    def say(self, text: str) -> None:
        click.echo(f"\n{text}")

    def write(self, name: str, text: str) -> None:
        (self._repository / name).write_text(text)

    def run(self, who: str, line: str, *, expect: int = 0) -> None:
        """Runs a line in a shell as if a holder had typed it. ``guard`` in it is this guard."""
        click.echo(click.style(f"{who}$ {line}", bold=True))
        names = {"NAME": who, "EMAIL": f"{who}@example.com"}
        identity = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in names.items()}
        done = subprocess.run(
            ["sh", "-c", f'guard() {{ "$PYTHON" -m guard "$@"; }}; {line}'],
            cwd=self._repository,
            env={**self._environment, **identity, "GUARD_AGENT": who, "PYTHON": sys.executable},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        for said in done.stdout.splitlines():
            click.echo(f"    {safe(said)}")
        if done.returncode != expect:
            raise GuardError(
                f"the demo did not go as promised: '{line}' ended with status {done.returncode}, not {expect}",
                hint="guard demo --keep, and look around; please report it",
            )
