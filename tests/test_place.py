"""Where git finds no repository that it can use: what guard says about it, and the command that helps."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from guard.install import hookdir
from tests.support.repositories import PACKAGE, Done, Repository, run


def _nothing(made: Repository) -> None:
    shutil.rmtree(made.path / ".git")


def _closed(made: Repository) -> None:
    (made.path / ".git").chmod(0)


def _closed_link(made: Repository) -> None:
    made.git("worktree", "add", "-q", str(made.path / "src/tree"))
    (made.path / "src/tree/.git").chmod(0)


def _closed_configuration(made: Repository) -> None:
    (made.path / ".git/config").chmod(0)


def _torn_configuration(made: Repository) -> None:
    with open(made.path / ".git/config", "a") as file:
        file.write("[core\n")


def _torn_account_configuration(made: Repository) -> None:
    with open(Path(os.environ["HOME"]) / ".gitconfig", "a") as file:
        file.write("[core\n")


def _newer_format(made: Repository) -> None:
    made.git("config", "core.repositoryFormatVersion", "99")


def _lost_directory(made: Repository) -> None:
    shutil.rmtree(made.path / ".git")
    (made.path / ".git").write_text("gitdir: /nowhere/else\n")


class Row(NamedTuple):
    """How the repository is broken, and guard's exit code, what it says, and the beginning of the command it names."""

    break_it: Callable[[Repository], None]
    code: int
    says: str
    next: str


ROWS = [
    Row(_nothing, 2, "no git repository around {}", "cd into a repository, or make one: git init"),
    Row(_closed, 3, "this account may not read {}/.git", "ls -ld {}/.git"),
    Row(_closed_link, 3, "{}/src/tree", ""),
    Row(_closed_configuration, 3, "git cannot use the repository around {}: unable to access", "git status"),
    Row(_torn_configuration, 3, "git cannot use the repository around {}: bad config line", "git status"),
    Row(_torn_account_configuration, 3, "git cannot use the repository around {}: bad config line", "git status"),
    Row(_newer_format, 3, "git cannot use the repository around {}: Expected git repo version <= 1, found 99", ""),
    Row(_lost_directory, 3, "git cannot use the repository around {}: not a git repository: /nowhere/else", ""),
]


def guard(made: Repository, *words: str, cwd: str = "", **env: str) -> Done:
    """Runs guard so that what may not be read cannot be, also for root."""
    drop = "--bounding-set=-dac_override,-dac_read_search"
    rights = ["setpriv", drop] if os.geteuid() == 0 else []
    env = {"PYTHONPATH": str(PACKAGE), **env}
    return run([*rights, sys.executable, "-m", "guard", *words], cwd=made.path / cwd, env=env)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.break_it.__name__)
def test_a_repository_that_git_cannot_use_is_named_with_the_reason(row: Row, tmp_path: Path) -> None:
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root reads everything, and setpriv is not installed")
    made = Repository.make(tmp_path / "repository")
    made.install()
    row.break_it(made)
    cwd = "src/tree" if row.break_it is _closed_link else ""
    for command in (["status"], ["check", "a.txt"], ["install"], ["hook", "pre-commit"]):
        done = guard(made, *command, cwd=cwd)
        assert done.code == row.code, done.text
        assert row.says.format(made.path) in done.text, done.text
        assert row.next.format(made.path) in done.text
        assert "Traceback" not in done.text
    if row.break_it in (_nothing, _closed):  # elsewhere git cannot say what is set
        assert guard(made, "list", "--all-projects").code == 0


@pytest.mark.parametrize("name", ["shop", "my shop", "it's", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_a_repository_of_another_account_is_named_with_the_command_that_trusts_it(name: str, tmp_path: Path) -> None:
    """git has a variable with which its own tests play another owner: every git that knows safe.directory reads it."""
    made = Repository.make(tmp_path / name)
    other = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    if made.git("status", env=other, expect=None).code == 0:
        pytest.skip("this git is older than safe.directory")
    done = guard(made, "install", **other)
    assert done.code == 2, done.text
    assert "git does not trust the repository" in done.text
    repair = re.search(r"next: (git config --global --add safe\.directory .+)", done.text)
    assert repair, done.text
    assert run(["sh", "-c", repair[1]], cwd=tmp_path).code == 0
    assert guard(made, "install", **other).code == 0
    assert guard(made, "status", "--check", **other).code == 0


@pytest.mark.parametrize("home", ["read-only", "absent", "unset"])
def test_where_the_home_may_not_be_written_the_store_is_named_in_the_repository(home: str, tmp_path: Path) -> None:
    """A setting of the account would stand in its home."""
    made = Repository.make(tmp_path / "repository")
    place = tmp_path / "closed"
    place.mkdir()
    env = {"HOME": str(place / "x" if home == "absent" else place), "XDG_DATA_HOME": str(place)}
    if home == "unset":
        env["HOME"] = ""
    place.chmod(0o555)
    done = guard(made, "install", **env)
    assert done.code == 3, done.text
    step = re.search(r"git config guard\.db (\S+)", done.text)
    assert step, done.text
    repair = step[0].replace(step[1], str(tmp_path / "guard.db"))
    assert run(["sh", "-c", repair], cwd=made.path, env=env).code == 0
    assert guard(made, "install", **env).code == 0
    assert (tmp_path / "guard.db").exists()


@pytest.mark.parametrize("path", [b"", b"nowhere", b"nowhere/else", b"/nowhere/else", b"."])
def test_a_hooks_directory_that_is_not_there_is_on_no_file_system_without_programs(path: bytes) -> None:
    """git takes an empty core.hooksPath for the current directory, and a relative one from the top."""
    assert not hookdir.is_noexec(path)
