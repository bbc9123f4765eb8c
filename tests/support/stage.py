"""A repository to break things in: made once, put back before every test, with two holders who know each other.

alice holds ``held`` (acknowledged); bob works in the same repository, and his union is published and fresh.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pathspec

from tests.support.databases import connected
from tests.support.repositories import PACKAGE, Done, Repository, age, run

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = {
    "free.txt": "free\n",
    "held/x.txt": "x\n",
    "held/deep/y.txt": "y\n",
    "src/auth/login.py": "login\n",
    "src/b.py": "b\n",
}
NOBODY = 65534
"""An account that is not root and owns nothing."""


@dataclass(frozen=True)
class Stage:
    """The place everything happens in: a home with the store, and one repository with guard installed."""

    base: Path

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def repository(self) -> Repository:
        return Repository(self.base / "repository")

    @property
    def store(self) -> Path:
        return self.home / ".local/share/guard/guard.db"

    @property
    def slot(self) -> Path:
        """Where bob's union is published."""
        return self.repository.path / ".git/guard/unions/bob@"

    @property
    def project(self) -> str:
        return str(self.repository.path / ".git")

    def build(self, config: str) -> None:
        self.home.mkdir(parents=True)
        (self.home / ".gitconfig").write_text(config)
        age(self.home / ".gitconfig")
        made = Repository.make(self.repository.path, "--template=", files=FILES)
        made.install()
        made.guard("reserve", "held", "--reason", "mine", who="alice")
        for text in ("once\n", "twice\n"):
            made.commit("free.txt", text, who="bob")
        assert (self.slot / "current").exists()
        shutil.copytree(self.base, self._kept, symlinks=True)

    def restore(self) -> None:
        for path in (self.home, self.repository.path):
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(self._kept / path.name, path, symlinks=True)

    @property
    def _kept(self) -> Path:
        return self.base.parent / (self.base.name + ".kept")

    # What happens on it

    def stage(self, *names: str) -> None:
        """Stages a change of these files, and of nothing else."""
        self.repository.git("reset", "-q", "--hard")
        for name in names:
            self.repository.write(name, f"{time.time_ns()}\n")
        self.repository.git("add", "-A", "--", *names)

    def hook(self, *names: str, event: str = "pre-commit", who: str = "bob", **env: str) -> Done:
        """Runs the installed hook as git does, with a change of these files staged."""
        if names:
            self.stage(*names)
        hook = str(self.repository.path / ".git/hooks" / event)
        return run([hook], cwd=self.repository.path, env={"GUARD_AGENT": who, **env})

    def commit(self, *names: str, who: str = "bob", **env: str) -> Done:
        """A real commit that changes these files."""
        self.stage(*names)
        return self.repository.git("commit", "-q", "-m", "change", who=who, env=env, expect=None)

    def active(self) -> list[tuple[str, str]]:
        """(holder, pattern) of what the store holds, read past guard."""
        with connected(f"file:{self.store}?mode=ro", uri=True) as connection:
            rows = connection.execute("SELECT holder, pattern FROM reservation WHERE ended_at IS NULL ORDER BY id")
            return [(str(holder), str(pattern)) for holder, pattern in rows]

    def integrity(self) -> str:
        """What SQLite says of the store."""
        connection = sqlite3.connect(self.store)
        said = str(connection.execute("PRAGMA integrity_check").fetchone()[0])
        connection.close()
        return said

    def assert_guarded(self) -> None:
        """What the store forbids bob is refused, what it does not is let through, by real commits."""
        refused = self.commit("held/x.txt", "free.txt")
        assert refused.code == 1, refused.text
        assert "alice holds /held" in refused.text, refused.text
        held = {pattern for holder, pattern in self.active() if holder != "bob"}
        assert "/held" in held, "an acknowledged reservation is gone"
        for name, pattern in (("src/auth/login.py", "/src/auth"), ("src/b.py", "/src/b.py")):
            done = self.commit(name)
            assert (done.code == 1) == (pattern in held), (pattern, held, done.text)
        passed = self.commit("free.txt")
        assert passed.code == 0, passed.text

    def lock(self) -> sqlite3.Connection:
        """Another program has the store locked and does not let go, until this connection is closed."""
        connection = sqlite3.connect(self.store, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        return connection


def contents(path: Path) -> dict[str, bytes | str]:
    """Every byte below a path, and what is not a file by its kind."""
    found: dict[str, bytes | str] = {}
    for each in [path, *sorted(path.rglob("*"))] if path.is_dir() and not path.is_symlink() else [path]:
        name = str(each.relative_to(path.parent))
        if each.is_symlink():
            found[name] = "-> " + os.readlink(each)
        elif each.is_file():
            found[name] = each.read_bytes()
        else:
            found[name] = "directory" if each.is_dir() else "something else" if each.exists() else "nothing"
    return found


def readable_python(account: int = NOBODY) -> str | None:
    """A Python that another account can start; None where there is none, or where we are not root."""
    if os.geteuid() != 0:
        return None
    site = str(Path(pathspec.__file__).parent.parent)
    code = f"import sys; sys.path[:0] = [{str(PACKAGE)!r}, {site!r}]; import sqlite3, pathspec, pygit2, guard.hook"
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            done = subprocess.run(
                [python, "-I", "-S", "-c", f"{code}; assert sys.version_info >= (3, 11)"],
                user=account,
                group=account,
                extra_groups=[],
                capture_output=True,
                check=False,
                cwd="/",
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return None


def strangers_directory() -> Iterator[Path]:
    """A directory that every account can reach, for tests with a second one; removed afterwards."""
    import tempfile

    place = Path(tempfile.mkdtemp(prefix="guard-accounts-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
