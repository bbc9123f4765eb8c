"""Real repositories, real git, the real command line: what tests build with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.forks import FORKS, PACKAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GUARD = (sys.executable, "-m", "guard")


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit code, and what it wrote."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return (self.out + self.err).decode("utf-8", "backslashreplace")

    def json(self) -> Any:
        return json.loads(self.out)


def run(
    command: Sequence[str | bytes],
    *,
    cwd: Path,
    env: dict[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 120,
) -> Done:
    """Runs a command to its end; the environment is the test's, with ``env`` on top."""
    variables = {**os.environ, **(env or {})}
    if tuple(command[: len(GUARD)]) == GUARD:
        forked = FORKS.run(command[len(GUARD) :], cwd=cwd, env=variables, stdin=stdin, timeout=timeout)
        if forked is not None:
            return Done(*forked)
    done = subprocess.run(
        command,
        cwd=cwd,
        env=variables,
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def age(path: Path, seconds: float = 3600) -> None:
    """Makes a file look as if it was written a while ago: guard does not trust the time of one just written."""
    then = time.time() - seconds
    os.utime(path, (then, then))


@dataclass(frozen=True)
class Repository:
    """A repository or a linked worktree, at its top."""

    path: Path

    @classmethod
    def make(cls, path: Path, *options: str, files: dict[str, str] | None = None) -> Repository:
        """A new repository with one commit."""
        path.mkdir(parents=True)
        made = cls(path)
        made.git("init", "-q", *options)
        for name, text in (files or {"a.txt": "a\n", "src/b.py": "b\n", "src/auth/login.py": "login\n"}).items():
            made.write(name, text)
        made.git("add", "-A")
        made.git("commit", "-q", "-m", "first")
        return made

    @property
    def git_dir(self) -> Path:
        return Path(os.fsdecode(self.git("rev-parse", "--absolute-git-dir").out.strip()))

    @property
    def common_dir(self) -> Path:
        return (self.path / os.fsdecode(self.git("rev-parse", "--git-common-dir").out.strip())).resolve()

    def install(self) -> None:
        self.guard("install", expect=0)
        age(self.common_dir / "config")

    def write(self, name: str | bytes, text: str | bytes) -> None:
        file = os.path.join(os.fsencode(self.path), os.fsencode(name))
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as writer:
            writer.write(text.encode() if isinstance(text, str) else text)

    def git(
        self,
        *arguments: str | bytes,
        expect: int | None = 0,
        who: str = "",
        env: dict[str, str] | None = None,
        stdin: bytes = b"",
        cwd: Path | None = None,
    ) -> Done:
        """Runs git; ``who`` is the holder the hooks see. Fails the test on another exit code than expected."""
        return self._run(("git", *arguments), expect, who, env, stdin, cwd)

    def guard(
        self,
        *arguments: str | bytes,
        expect: int | None = 0,
        who: str = "",
        env: dict[str, str] | None = None,
        stdin: bytes = b"",
        cwd: Path | None = None,
    ) -> Done:
        """Runs guard's command line as a holder."""
        return self._run((*GUARD, *arguments), expect, who, {"PYTHONPATH": str(PACKAGE), **(env or {})}, stdin, cwd)

    def commit(self, name: str | bytes, text: str = "changed\n", *, who: str = "", expect: int | None = 0) -> Done:
        """Writes a file and commits it alone."""
        self.write(name, text)
        self.git("add", "-A", "--", os.path.join(b".", os.fsencode(name)))
        return self.git("commit", "-q", "-m", "change", who=who, expect=expect)

    def worktree(self, path: Path, branch: str) -> Repository:
        self.git("worktree", "add", "-q", "-b", branch, str(path))
        return Repository(path)

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").out.decode().strip()

    def started(
        self, command: Sequence[str | bytes], *, who: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a command here, and does not wait for it."""
        return subprocess.Popen(
            self._there(command),
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": str(PACKAGE), **self._variables(who, env)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _there(self, command: Sequence[str | bytes]) -> Sequence[str | bytes]:
        """The command as it is started where the repository is."""
        return command

    def _variables(self, who: str, env: Mapping[str, str] | None) -> dict[str, str]:
        """What a command of that holder finds in its environment there, beside the test's."""
        return {**({"GUARD_AGENT": who} if who else {}), **(env or {})}

    def _run(
        self,
        command: tuple[str | bytes, ...],
        expect: int | None,
        who: str,
        env: dict[str, str] | None,
        stdin: bytes,
        cwd: Path | None,
    ) -> Done:
        done = run(self._there(command), cwd=cwd or self.path, env=self._variables(who, env), stdin=stdin)
        assert expect is None or done.code == expect, f"{command} ended with {done.code}:\n{done.text}"
        return done


__all__ = ["GUARD", "PACKAGE", "Done", "Repository", "age", "run"]
