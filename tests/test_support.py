"""What the tests build with is what a user has: commands that are forked, and repositories that are copied."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.databases import connected
from tests.support.forks import FORKS
from tests.support.repositories import GUARD, Done, Repository, run
from tests.support.stage import contents
from tests.support.templates import Template

COMMANDS: dict[str, tuple[tuple[str, ...], bytes, int]] = {
    "a page": (("--help",), b"", 0),
    "a plain command": (("whoami",), b"", 0),
    "JSON": (("whoami", "--json"), b"", 0),
    "a free path": (("check", "src/b.py"), b"", 0),
    "a reserved path": (("check", "a.txt"), b"", 1),
    "what is on stdin": (("check", "--stdin"), b"src/b.py\na.txt\n", 1),
    "a mistake": (("reserve",), b"", 2),
    "no such command": (("lst",), b"", 2),
    "a hook": (("hook", "pre-push", "origin", "nowhere"), b"", 0),
}


def forked(repository: Repository, *words: str, stdin: bytes = b"", **env: str) -> Done | None:
    done = FORKS.run(words, cwd=repository.path, env={**os.environ, **env}, stdin=stdin, timeout=60)
    return None if done is None else Done(*done)


def started(repository: Repository, *words: str, stdin: bytes = b"", **env: str) -> Done:
    done = subprocess.run(
        [*GUARD, *words], cwd=repository.path, env={**os.environ, **env}, input=stdin, capture_output=True, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def with_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.repositories import PACKAGE

    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_forked_command_says_what_one_says_that_is_started(
    repository: Repository, with_package: None, name: str
) -> None:
    words, stdin, code = COMMANDS[name]
    repository.guard("reserve", "a.txt", "--ttl", "36h", who="alice")  # what is left of it is said in hours
    expected = started(repository, *words, stdin=stdin, GUARD_AGENT="bob")
    assert expected.code == code, expected.text
    assert forked(repository, *words, stdin=stdin, GUARD_AGENT="bob") in (expected, None)
    assert FORKS.start_python or forked(repository, "whoami") is not None


@pytest.mark.parametrize("variable", ["PYTHONPATH", "PYTHONUNBUFFERED", "LC_ALL", "LD_PRELOAD"])
def test_what_python_reads_when_it_starts_is_not_left_to_a_fork(
    repository: Repository, with_package: None, variable: str
) -> None:
    env = {**os.environ, variable: "/other"}
    assert FORKS.run(["whoami"], cwd=repository.path, env=env, stdin=b"", timeout=60) is None


def test_a_forked_command_has_the_tests_environment_and_umask(repository: Repository, with_package: None) -> None:
    repository.guard("reserve", "a.txt", who="alice")
    for mask in (0o077, 0o022):
        before = os.umask(mask)
        try:
            repository.guard("map", "--output", f"{mask}.svg")
        finally:
            os.umask(before)
        assert (repository.path / f"{mask}.svg").stat().st_mode & 0o777 == 0o666 & ~mask
    assert repository.guard("whoami", env={"GUARD_AGENT": "carol"}).out.startswith(b"carol")
    with pytest.raises(subprocess.TimeoutExpired):
        run((*GUARD, "reserve", "a.txt", "--wait", "10m"), cwd=repository.path, env={"GUARD_AGENT": "bob"}, timeout=1)
    assert repository.guard("whoami", who="bob").out.startswith(b"bob")


def test_a_copied_repository_is_as_one_that_is_made_there(
    tmp_path: Path, hermetic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the exception of the index, which knows files by their inodes, and of whether git then takes them as new."""
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
    config = (hermetic / ".gitconfig").read_bytes()

    def make(place: Path) -> None:
        Repository.make(place / "repository").install()

    def begin(name: str) -> Path:
        home = tmp_path / name / "home"
        home.mkdir(parents=True)
        (home / ".gitconfig").write_bytes(config)
        monkeypatch.setenv("HOME", str(home))
        return tmp_path / name

    template = Template(tmp_path / "kept", "home", "repository", make=make)
    template.put(begin("first"))
    template.put(place := begin("second"))
    assert Repository(place / "repository").git("diff-files").out == b""
    copied = snapshot(place)
    shutil.rmtree(place)
    make(begin("second"))
    assert copied == snapshot(place)

    place = begin("third")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    template.put(place)
    assert b"Somebody" in Repository(place / "repository").git("log").out, "nothing is copied into another environment"


def snapshot(place: Path) -> dict[str, object]:
    found: dict[str, object] = {**contents(place)}
    store = next(name for name in found if name.endswith("/guard.db"))
    with connected(place.parent / store) as connection:
        found[store] = list(connection.iterdump())
    return {name: each for name, each in found.items() if not name.endswith((".git/index", "guard.db-wal", "-shm"))}
