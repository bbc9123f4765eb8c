"""How the event tests play a situation: a script of visible git commands, and what the last one was refused for."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.repositories import Done, Repository, age, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLAMED = re.compile(
    r"^ {7}(?P<path>.*?)(?: \((?:discards )?commit (?P<commit>[0-9a-f]{12})(?:, [^()]*)?\))?$", re.MULTILINE
)


@dataclass(frozen=True)
class Case:
    """What happens, how, and the paths it is refused for; none when it goes through.

    ``quick``: what goes through does so without Python.
    """

    what: str
    script: str
    refused: list[str] = field(default_factory=list)
    quick: bool = True

    def __str__(self) -> str:
        return self.what.replace(" ", "_")


def play(repository: Repository, script: str, *, env: dict[str, str] | None = None, cwd: Path | None = None) -> Done:
    """Runs a script as bob; all but its last command must succeed."""
    environment = {"GUARD_AGENT": "bob", "REPOSITORY": str(repository.path), **(env or {})}
    return run(["sh", "-euc", script], cwd=cwd or repository.path, env=environment)


def run_hook(
    repository: Repository,
    event: str,
    *arguments: str,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    **variables: str,
) -> Done:
    """The installed hook, run as bob in the way git runs it."""
    hook = str(repository.common_dir / "hooks" / event)
    environment = {"GUARD_AGENT": "bob", **(env or {}), **variables}
    return run([hook, *arguments], cwd=repository.path, env=environment, stdin=stdin)


def check(repository: Repository, case: Case) -> Done:
    """Plays a case; exactly these paths must be refused."""
    with no_python(repository) if case.quick and not case.refused else contextlib.nullcontext():
        done = play(repository, case.script)
    assert_as_expected(done, case.refused)
    return done


def blamed(done: Done) -> list[str]:
    """The paths that a refusal lists, each once."""
    return sorted({found["path"] for found in _BLAMED.finditer(done.text)})


def blamed_commits(done: Done) -> dict[str, set[str]]:
    """The abbreviated commits that a refusal lists, each with its paths."""
    commits: dict[str, set[str]] = {}
    for found in _BLAMED.finditer(done.text):
        commits.setdefault(found["commit"], set()).add(found["path"])
    return commits


def assert_as_expected(done: Done, refused: list[str]) -> None:
    """Exactly these paths are refused; with none, it went through, and guard had nothing to say."""
    assert blamed(done) == sorted(refused), done.text
    assert done.code == (1 if refused else 0), done.text
    assert ("refused: it changes" in done.text) == bool(refused), done.text
    if not refused:
        assert "guard:" not in done.text, done.text


@contextlib.contextmanager
def no_python(repository: Repository) -> Iterator[None]:
    """While the Python that guard would start is gone: what goes through was decided by sh and git alone."""
    named = repository.common_dir / "guard/python"
    before = named.read_bytes()
    named.write_text("/nowhere\n/nowhere\n/nowhere\n")
    try:
        yield
    finally:
        named.write_bytes(before)


def settle(repository: Repository, **env: str) -> None:
    """Lets the configuration grow old and bob's union be published anew, as after a quiet while."""
    for name in ("config", "config.worktree"):
        if (repository.common_dir / name).exists():
            age(repository.common_dir / name)
    gitconfig = os.path.join(os.environ["HOME"], ".gitconfig")
    with open(gitconfig, "rb"):
        os.utime(gitconfig, (1_600_000_000, 1_600_000_000))
    for _ in range(2):
        repository.git("commit", "-q", "--allow-empty", "-m", "quiet", who="bob", env=env)
    repository.git("reset", "-q", "--soft", "HEAD~2")
