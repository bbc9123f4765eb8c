"""A line that runs guard before other commands of a hook: no commit passes in silence, for they may stage more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.event_cases import no_python, settle
from tests.support.repositories import Done, Repository, age

LINE = 'g=$(git rev-parse --git-common-dir)/guard/hook; [ ! -f "$g" ] || sh "$g" pre-commit "$@" || exit\n'
AFTER = {
    "a formatter that stages what it finds": "git add -A\n",
    "one that stages what it knows": "git add -u\n",
    "a command that stages nothing": "echo checked\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with a committed directory of hooks; alice holds src/auth."""
    made = Repository.make(tmp_path / "repository")
    made.git("config", "core.hooksPath", ".githooks")
    write_hook(made, LINE)
    made.git("add", "-A")
    made.git("commit", "-q", "-n", "-m", "hooks")
    made.install()
    made.guard("reserve", "src/auth", who="alice")
    return made


def write_hook(repository: Repository, *lines: str) -> None:
    repository.write(".githooks/pre-commit", "#!/bin/sh\n" + "".join(lines))
    hook = repository.path / ".githooks/pre-commit"
    hook.chmod(0o755)
    repository.git("update-index", "--add", "--chmod=+x", ".githooks/pre-commit")
    age(hook)


def commit_free(repository: Repository, *, expect: int | None, **env: str) -> Done:
    repository.write("a.txt", os.urandom(8).hex())
    repository.git("add", "a.txt")
    return repository.git("commit", "-q", "-m", "m", who="bob", expect=expect, env=env)


@pytest.mark.parametrize("after", AFTER.values(), ids=list(AFTER))
def test_what_alice_has_changed_in_the_same_checkout_stops_the_commit(repository: Repository, after: str) -> None:
    write_hook(repository, LINE, after)
    repository.write("src/auth/login.py", "unfinished\n")
    done = commit_free(repository, expect=1)
    assert "runs other commands after guard" in done.text
    assert "src/auth/login.py, which alice holds, is changed in this work tree" in done.text
    assert "src/auth" not in repository.git("show", "--name-only", "--format=").text


@pytest.mark.parametrize("after", AFTER.values(), ids=list(AFTER))
def test_otherwise_it_is_said_in_every_commit(repository: Repository, after: str) -> None:
    write_hook(repository, LINE, after)
    for _ in range(2):
        assert "NOT PROVEN" in commit_free(repository, expect=0).text


def test_a_new_file_counts_too(repository: Repository) -> None:
    write_hook(repository, LINE, "git add -A\n")
    repository.write("src/auth/new.py", "unfinished\n")
    assert "src/auth/new.py, which alice holds" in commit_free(repository, expect=1).text


def test_the_repair_that_is_named_works(repository: Repository) -> None:
    write_hook(repository, LINE, "git add -A\n")
    repository.write("src/auth/login.py", "unfinished\n")
    said = commit_free(repository, expect=1).text
    repair = next(line for line in said.splitlines() if line.startswith("  repair: "))[len("  repair: ") :]
    repository._run(("sh", "-ec", repair), 0, "", None, b"", None)
    refused = commit_free(repository, expect=1).text  # now guard sees what the formatter has staged
    assert "it changes 1 path that is reserved by alice" in refused
    assert (repository.path / ".githooks/pre-commit").stat().st_mode & 0o111


def test_a_line_in_its_place_costs_nothing_and_says_nothing(repository: Repository) -> None:
    write_hook(repository, "echo checked\n", LINE)
    settle(repository)
    with no_python(repository):
        assert "guard:" not in commit_free(repository, expect=0).text


def test_a_line_that_is_moved_later_is_noticed(repository: Repository) -> None:
    write_hook(repository, "echo checked\n", LINE)
    settle(repository)
    with no_python(repository):
        assert "guard:" not in commit_free(repository, expect=0).text
    write_hook(repository, LINE, "echo checked\n")
    assert "NOT PROVEN" in commit_free(repository, expect=0).text


def test_what_a_push_has_published_does_not_stand_for_a_commit(repository: Repository, tmp_path: Path) -> None:
    """All events share what is published: one that a push made was made without a look at the line of commits."""
    write_hook(repository, LINE, "git add -A\n")
    repository.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    repository.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    repository.git("push", "-q", "--no-verify", "origin", "main")
    age(repository.common_dir / "config")
    for _ in range(2):
        repository.git("push", "-q", "origin", "main", who="bob")
        assert "NOT PROVEN" in commit_free(repository, expect=0).text


def test_nothing_is_said_where_nothing_is_reserved_by_others(repository: Repository) -> None:
    write_hook(repository, LINE, "git add -A\n")
    repository.guard("release", "--all", who="alice")
    assert "guard:" not in commit_free(repository, expect=0).text


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({"GUARD_SKIP": "1"}, 0),
        ({"GUARD_MODE": "warn"}, 0),
        ({"GUARD_MODE": "off"}, 0),
        ({"GUARD_ON_ERROR": "allow"}, 0),
    ],
)
def test_what_lets_through_what_cannot_be_judged_does_so_here(
    repository: Repository, env: dict[str, str], code: int
) -> None:
    write_hook(repository, LINE, "git add -A\n")
    repository.write("src/auth/login.py", "unfinished\n")
    done = commit_free(repository, expect=code, **env)
    assert ("runs other commands after guard" in done.text) == (env != {"GUARD_MODE": "off"})


def test_guard_hook_as_a_command_is_the_same(repository: Repository) -> None:
    """As pre-commit's framework calls it."""
    write_hook(repository, "guard hook pre-commit\n", "git add -A\n")
    repository.write("src/auth/login.py", "unfinished\n")
    done = repository.guard("hook", "pre-commit", who="bob", expect=3)
    assert "runs other commands after guard" in done.text
