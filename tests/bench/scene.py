"""A repository with guard's hooks in force, a store of its own, and the hooks started as git starts them.

Nothing of the account that runs the benchmark counts: home, store and configuration are the scene's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from guard.patterns.grammar import prefix
from guard.stores.sqlite_file import now_ms
from tests.bench.timing import process_ms
from tests.support.repositories import age

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHECKOUT = Path(__file__).parents[2]
MODULES = 50
FILES = 500
ME, OTHER = "bob", "alice"
HOUR_MS = 3_600_000

_CHANGE = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
now = int(time.time() * 1000)
connection.execute(
    "DELETE FROM reservation WHERE project = ? AND holder = 'stranger' AND ended_at IS NULL", sys.argv[2:3]
)
connection.execute(
    "INSERT INTO reservation (project, holder, pattern, created_at, expires_at) VALUES (?, 'stranger', ?, ?, ?)",
    (sys.argv[2], "/elsewhere/%d" % now, now, now + 3600000),
)
connection.commit()
"""
"""Another program's change: it knows SQLite and the table, nothing of guard."""


@cache
def python() -> str:
    """The real interpreter, behind any virtual environment or shim."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@cache
def guard_command() -> tuple[str, ...]:
    """guard as it was installed beside this Python; where it was not, as a module of the checkout."""
    script = Path(sys.executable).parent / "guard"
    return (str(script),) if script.exists() else (sys.executable, "-m", "guard")


def module(number: int) -> str:
    """A directory of the repository that has files which are staged."""
    return f"src/module{number % MODULES}"


def _file(number: int) -> str:
    return f"{module(number)}/part/file{number}.txt"


def others_patterns(count: int) -> list[str]:
    """What others hold in most rows: the pattern of ADR-002, the first fifty in the directories that are changed."""
    return [f"/src/module{number}/**/*.py" for number in range(count)]


def crowded_patterns(count: int) -> list[str]:
    """As many files by name, all of them in the directories that are changed."""
    return [f"/{module(number)}/part/held{number}.txt" for number in range(count)]


@dataclass(frozen=True)
class Scene:
    """A repository at ``repo``, with the home ``home`` that its commands see."""

    place: Path

    @classmethod
    def make(cls, place: Path, *, staged: int = 50, patterns: Iterable[str] = (), guarded: bool = True) -> Scene:
        """500 files in one commit, ``staged`` of them changed and staged (beyond 500: new ones).

        With guard installed, unless ``guarded`` is false.
        """
        scene = cls(place)
        scene.repo.mkdir(parents=True)
        scene.home.mkdir()
        (scene.home / ".gitconfig").write_text(
            f"[user]\n\tname = Bench\n\temail = {ME}@example.com\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n"
        )
        scene.git("init", "-q")
        scene.write(range(FILES), "one\n")
        scene.git("add", "-A")
        scene.git("commit", "-q", "-m", "first")
        scene.write(range(staged), "two\n")
        scene.git("add", "-A")
        if guarded:
            scene.run(*guard_command(), "install")
            scene.age_settings()
            scene.reserve(patterns)
        return scene

    def age_settings(self) -> None:
        """guard does not trust the time of a file just written."""
        for config in (self.home / ".gitconfig", self.repo / ".git/config"):
            age(config)

    @property
    def repo(self) -> Path:
        return self.place / "repo"

    @property
    def home(self) -> Path:
        return self.place / "home"

    @property
    def store(self) -> Path:
        return self.home / "data/guard/guard.db"

    @property
    def hooks(self) -> Path:
        return self.repo / ".git/hooks"

    def env(self, holder: str = ME) -> dict[str, str]:
        """The environment of a command."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "SSL_CERT_FILE") if name in os.environ}
        checkout = {} if len(guard_command()) == 1 else {"PYTHONPATH": str(CHECKOUT)}
        own = {"HOME": str(self.home), "XDG_DATA_HOME": str(self.home / "data"), "GIT_CONFIG_NOSYSTEM": "1"}
        return {**kept, **checkout, **own, "LC_ALL": "C.UTF-8", "USER": "bench", "GUARD_AGENT": holder}

    def hook_env(self, holder: str = ME) -> dict[str, str]:
        """The environment in which git starts a hook (githooks(5)); its own programs come first on PATH."""
        env = self.env(holder)
        programs = _git_programs()
        return {
            **env,
            "PATH": f"{programs}:{env['PATH']}",
            "GIT_EXEC_PATH": programs,
            "GIT_INDEX_FILE": ".git/index",
            "GIT_PREFIX": "",
            "GIT_EDITOR": ":",
        }

    def write(self, numbers: Iterable[int], text: str) -> None:
        for number in numbers:
            file = self.repo / _file(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def run(self, *command: str, holder: str = ME, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.repo, env=self.env(holder), check=check, capture_output=True, text=True, timeout=600
        )

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout.strip()

    def commit_many(self, count: int) -> None:
        """Puts commits on the branch, each of which changes two files; the index and the files stay as they are."""
        stream = ""
        for number in range(count):
            text = f"commit {number}\n"
            stream += f"commit refs/heads/main\ncommitter Bench <b@example.com> {1_700_000_000 + number} +0000\n"
            stream += f"data {len(text)}\n{text}" + ("" if number else "from refs/heads/main^0\n")
            for file in (number, number + count):
                stream += f"M 644 inline {_file(file)}\ndata {len(text)}\n{text}"
        subprocess.run(
            ("git", "fast-import", "--quiet"), cwd=self.repo, env=self.env(), input=stream, text=True, check=True
        )

    def project(self) -> str:
        return _project(self)

    def reserve(self, patterns: Iterable[str], *, holder: str = OTHER) -> None:
        """Reserves for somebody else, or for another holder, as `guard reserve` would, in one go."""
        now = now_ms()
        rows = [
            (self.project(), holder, pattern, pattern, prefix(pattern.encode()).lower(), now, now + 24 * HOUR_MS)
            for pattern in patterns
        ]
        with contextlib.closing(sqlite3.connect(self.store)) as connection, connection:
            connection.executemany(
                "INSERT INTO reservation (project, holder, pattern, typed, prefix, created_at, expires_at,"
                " prefix_checked) VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
                rows,
            )

    def add_ended(self, count: int) -> None:
        """Adds reservations that ended in the last days, and their entries in the log."""
        now = now_ms()
        rows = [(self.project(), OTHER, f"/src/module{number}/old", number) for number in range(count)]
        with contextlib.closing(sqlite3.connect(self.store)) as connection, connection:
            connection.executemany(
                "INSERT INTO reservation (project, holder, pattern, prefix, created_at, expires_at, ended_at,"
                f' ended_by, "end") VALUES (?, ?, ?, CAST(substr(?3, 2) AS BLOB), {now} - ?4 * 10 - 1000,'
                f" {now} - ?4 * 10, {now} - ?4 * 10, ?2, 'released')",
                rows,
            )
            connection.execute(
                "INSERT INTO log (at, project, generation, event, holder, principal, reservation, whose, pattern)"
                " SELECT ended_at, project, 1, 'released', holder, '', id, holder, pattern FROM reservation"
                " WHERE ended_at IS NOT NULL"
            )

    def change_as_a_stranger(self) -> None:
        """Another program, with SQLite alone, changes what is reserved."""
        command = (python(), "-I", "-S", "-c", _CHANGE, str(self.store), self.project())
        subprocess.run(command, check=True, timeout=60)

    # The hook

    def hook_ms(
        self,
        event: str = "pre-commit",
        *arguments: str,
        stdin: Path | None = None,
        expect: int = 0,
        holder: str = ME,
    ) -> float:
        """How long an installed hook takes, started as git starts it."""
        return process_ms(
            (str(Path(".git/hooks") / event), *arguments),
            env=self.hook_env(holder),
            cwd=self.repo,
            stdin=stdin or os.devnull,
            expect=expect,
        )

    def settle(self, event: str = "pre-commit", *arguments: str, stdin: Path | None = None) -> None:
        """Two hooks: after them the union is published, and fresh."""
        for _ in range(2):
            with contextlib.suppress(RuntimeError):  # a refusal will do
                self.hook_ms(event, *arguments, stdin=stdin)

    def started(self, event: str = "pre-commit", *arguments: str, stdin: Path | None = None) -> list[str]:
        """Which of git and Python a hook starts, in their order."""
        bin_ = self.place / "recording"
        log = self.place / "recorded"
        with recorders(self.repo / ".git/guard/python", bin_, log):
            env = self.hook_env()
            with open(stdin or os.devnull, "rb") as lines:
                subprocess.run(
                    (str(self.hooks / event), *arguments),
                    cwd=self.repo,
                    env={**env, "PATH": f"{bin_}:{env['PATH']}"},
                    stdin=lines,
                    capture_output=True,
                    check=False,
                    timeout=600,
                )
        return log.read_text().split()


@contextlib.contextmanager
def recorders(setting: Path, bin_: Path, log: Path) -> Iterator[None]:
    """git and the hook's Python, each writing its name down before it does what it does."""
    bin_.mkdir(exist_ok=True)
    log.write_text("")
    before = setting.read_bytes()
    for name, real in (("git", shutil.which("git")), ("python", before.split(b"\n")[0].decode())):
        stub = bin_ / name
        stub.write_text(f'#!/bin/sh\necho {name} >>"{log}"\nexec "{real}" "$@"\n')
        stub.chmod(0o755)
    try:
        setting.write_bytes(b"\n".join([os.fsencode(bin_ / "python"), *before.split(b"\n")[1:]]))
        yield
    finally:
        setting.write_bytes(before)


@cache
def _git_programs() -> str:
    return subprocess.run(("git", "--exec-path"), check=True, capture_output=True, text=True).stdout.strip()


@cache
def _project(scene: Scene) -> str:
    return str(json.loads(scene.run(*guard_command(), "whoami", "--json").stdout)["project"])
