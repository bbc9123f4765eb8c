"""``guard install --all`` and ``guard status --all``: the same command in every repository of this account."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from guard.install import registry
from guard.install.hookdir import elsewhere
from guard.record import Record


class Outcome(Record):
    """What a command did in a repository: its exit code, and the lines that it wrote."""

    directory: bytes
    code: int
    lines: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The outcome as a member of the answer in JSON."""
        directory = os.fsdecode(self.directory).encode("utf-8", "backslashreplace").decode()
        return {"directory": directory, "code": self.code, "lines": list(self.lines)}


def run_in_all(*words: str) -> list[Outcome]:
    """Runs a command of guard in each repository on the account's list, one after the other.

    Each gets a process of its own, so that no setting of one repository counts in another.
    """
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = elsewhere()
    paths = [os.fsencode(home), *environment.get(b"PYTHONPATH", b"").split(os.pathsep.encode())]
    environment[b"PYTHONPATH"] = os.pathsep.encode().join(path for path in paths if path)
    command = [sys.executable, "-P", "-m", "guard", *words]  # -P: nothing is imported from the repository
    return [_run(directory, command, environment) for directory in registry.repositories()]


def _run(directory: bytes, command: list[str], environment: dict[bytes, bytes]) -> Outcome:
    done = subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    text = (done.stdout + done.stderr).decode("utf-8", "backslashreplace")
    return Outcome(directory, done.returncode, tuple(text.splitlines()))
