"""The line for prompts: cached by guard, shown by sh alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.repositories import PACKAGE, Repository
from tests.support.strace import why_not

PROGRAM = PACKAGE / "hooks" / "line"


def shown(repository: Repository, *command: str, cwd: Path | None = None) -> str:
    words = [*(command or ("sh", str(PROGRAM)))]
    done = subprocess.run(words, cwd=cwd or repository.path, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.strip()


def test_it_follows_what_is_reserved_by_anybody(repository: Repository, tmp_path: Path) -> None:
    assert shown(repository) == ""
    linked = repository.worktree(tmp_path / "linked", "side")
    repository.guard("reserve", "src", "docs", "--ttl", "30m", who="alice")
    line = repository.guard("status", "--line", who="alice").out.decode().strip()
    assert line == "2 mine · next 30 min"
    assert shown(repository).startswith("2 mine - next ")
    assert shown(repository, cwd=repository.path / "src") == shown(repository)
    repository.guard("reserve", "a.txt", who="alice")
    assert shown(repository).startswith("3 mine - next ")
    linked.guard("status", "--line", who="bob")
    assert shown(linked) == "3 theirs"
    repository.guard("release", "--all", who="alice")
    assert shown(repository) == ""
    assert shown(linked, cwd=tmp_path) == ""


def test_others_changes_reach_a_worktree_whose_union_is_published(repository: Repository, tmp_path: Path) -> None:
    linked = repository.worktree(tmp_path / "linked", "side")
    repository.guard("status", "--line", who="alice")
    repository.commit("a.txt", who="alice")
    linked.guard("reserve", "src", who="bob")
    assert shown(repository) == "1 theirs"


def test_a_shell_that_knows_the_time_shows_what_is_left(repository: Repository) -> None:
    repository.guard("reserve", "src", "--ttl", "30m", who="alice")
    repository.guard("status", "--line", who="alice")
    if shown(repository, "bash", "-c", "echo ${EPOCHSECONDS-}") == "":
        pytest.skip("needs the program bash 5")
    assert shown(repository, "bash", "-c", f"(. {PROGRAM})") in ("1 mine - next 30 min", "1 mine - next 29 min")


def test_it_starts_no_process(repository: Repository, tmp_path: Path) -> None:
    if why_not():
        pytest.skip(why_not())
    repository.guard("reserve", "src", who="alice")
    repository.guard("status", "--line", who="alice")
    log = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-o", str(log), "-e", "trace=execve,clone,clone3,fork,vfork", "sh", str(PROGRAM)],
        cwd=repository.path,
        env={"PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        timeout=60,
    )
    calls = [line for line in log.read_text().splitlines() if "(" in line]
    assert len(calls) == 1, calls
