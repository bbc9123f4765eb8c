"""A hook finds its repository and its Python, however and wherever it is started; or it stops the commit and says why.

git starts hooks at the top of the work tree, with GIT_DIR set where that is needed. Libraries, hook managers, lines in
other hooks and people start them otherwise.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from guard.events import installed_in
from tests.support.foreign_hooks import hook, ran
from tests.support.repositories import PACKAGE, Done, Repository, run

LINE = 'g=$(git rev-parse --git-common-dir)/guard/hook || exit; [ ! -f "$g" ] || sh "$g" pre-commit "$@" || exit'


# Places: each returns the repository (or worktree) and the directory that the hook is started in.


def top(made: Repository) -> tuple[Repository, Path]:
    return made, made.path


def subdirectory(made: Repository) -> tuple[Repository, Path]:
    return made, made.path / "src" / "auth"


def git_directory(made: Repository) -> tuple[Repository, Path]:
    return made, made.git_dir


def hooks_directory(made: Repository) -> tuple[Repository, Path]:
    return made, made.git_dir / "hooks"


def linked_worktree(made: Repository) -> tuple[Repository, Path]:
    linked = made.worktree(made.path.parent / "linked", "linked")
    return linked, linked.path


def linked_worktrees_subdirectory(made: Repository) -> tuple[Repository, Path]:
    linked, path = linked_worktree(made)
    return linked, path / "src"


def submodule(made: Repository) -> tuple[Repository, Path]:
    outer = Repository.make(made.path.parent / "outer")
    outer.git("submodule", "--quiet", "add", str(made.path), "sub")
    inner = Repository(outer.path / "sub")
    inner.install()
    return inner, inner.path


def submodules_subdirectory(made: Repository) -> tuple[Repository, Path]:
    inner, path = submodule(made)
    return inner, path / "src" / "auth"


def separate_git_directory(made: Repository) -> tuple[Repository, Path]:
    other = Repository.make(made.path.parent / "separate", f"--separate-git-dir={made.path.parent / 'elsewhere.git'}")
    other.install()
    return other, other.path


def reached_by_a_link(made: Repository) -> tuple[Repository, Path]:
    link = made.path.parent / "link"
    link.symlink_to(made.path / "src")
    return made, link


def directory_that_holds_an_empty_git_directory(made: Repository) -> tuple[Repository, Path]:
    (made.path / "src" / ".git").mkdir()
    return made, made.path / "src"


def oddly_named(made: Repository) -> tuple[Repository, Path]:
    odd = Repository.make(made.path.parent / 'it\'s $(odd) "é"')
    odd.install()
    return odd, odd.path / "src"


PLACES = (
    top,
    subdirectory,
    git_directory,
    hooks_directory,
    linked_worktree,
    linked_worktrees_subdirectory,
    submodule,
    submodules_subdirectory,
    separate_git_directory,
    reached_by_a_link,
    directory_that_holds_an_empty_git_directory,
    oddly_named,
)


# Ways of starting it.


def by_its_path(there: Repository) -> list[str]:
    return [str(there.common_dir / "hooks" / "pre-commit")]


def by_sh(there: Repository) -> list[str]:
    return ["sh", str(there.common_dir / "hooks" / "pre-commit")]


def by_the_copy(there: Repository) -> list[str]:
    return ["sh", str(there.common_dir / "guard" / "hook"), "pre-commit"]


def by_the_line(there: Repository) -> list[str]:
    return ["sh", "-c", LINE]


STARTS = (by_its_path, by_sh, by_the_copy, by_the_line)


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.__name__)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_it_finds_its_repository(
    place: Callable[[Repository], tuple[Repository, Path]],
    start: Callable[[Repository], list[str]],
    repository: Repository,
) -> None:
    there, directory = place(repository)
    there.guard("reserve", ":/src/auth", who="alice")
    there.write("src/auth/login.py", "changed\n")
    there.git("add", "src/auth/login.py")
    done = run(start(there), cwd=directory, env={"GUARD_AGENT": "bob"})
    assert done.code == 1, done.text
    assert "alice holds /src/auth" in done.text
    there.git("reset", "-q", "--hard")
    done = run(start(there), cwd=directory, env={"GUARD_AGENT": "bob"})
    assert (done.code, done.text) == (0, "")


def test_a_kept_hook_is_run_at_the_top_from_a_relative_path(repository: Repository) -> None:
    hook(repository.git_dir / "hooks" / "pre-commit.before-guard", '#!/bin/sh\npwd >>"$HOME/ran"\n')
    done = run(["sh", "../.git/hooks/pre-commit"], cwd=repository.path / "src")
    assert done.code == 0, done.text
    assert ran() == [str(repository.path)]


def test_a_push_is_judged_from_a_subdirectory(repository: Repository) -> None:
    repository.guard("reserve", ":/src/auth", who="alice")
    repository.write("src/auth/login.py", "changed\n")
    repository.git("commit", "-q", "-n", "-a", "-m", "past it")
    line = f"refs/heads/x {repository.head()} refs/heads/x {'0' * 40}\n".encode()
    command = [str(repository.git_dir / "hooks" / "pre-push"), "origin", "url"]
    done = run(command, cwd=repository.path / "src", env={"GUARD_AGENT": "bob"}, stdin=line)
    assert done.code == 1, done.text
    assert "src/auth/login.py" in done.text


# Where there is no repository


@dataclass(frozen=True)
class Lost:
    what: str
    env: dict[str, str]
    directory: str = "elsewhere"

    def __str__(self) -> str:
        return self.what


LOST = (
    Lost("outside", {}),
    Lost("GIT_DIR names nothing", {"GIT_DIR": "/nowhere/.git"}),
    Lost("GIT_DIR names an empty directory", {"GIT_DIR": "."}),
    Lost("GIT_DIR is relative to another place", {"GIT_DIR": ".git"}),
    Lost("GIT_DIR is relative, in a subdirectory", {"GIT_DIR": ".git"}, "repository/src"),
    Lost("the repository is above a ceiling", {"GIT_CEILING_DIRECTORIES": "{base}/repository"}, "repository/src"),
)


@pytest.mark.parametrize("lost", LOST, ids=str)
@pytest.mark.parametrize("event", ["pre-commit", "pre-merge-commit", "pre-push"])
def test_without_a_repository_nothing_passes(event: str, lost: Lost, repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    command = [str(repository.git_dir / "hooks" / event), "origin", "url"]
    env = {name: value.format(base=tmp_path) for name, value in lost.env.items()}
    done = run(command, cwd=tmp_path / lost.directory, env=env)
    assert done.code == 3, done.text
    assert "no repository was found from" in done.text
    assert "not set up" not in done.text


def test_the_line_stops_where_git_finds_no_repository(tmp_path: Path) -> None:
    assert run(["sh", "-c", LINE], cwd=tmp_path).code == 128


def test_a_clone_with_hooks_from_a_template_says_that_it_is_not_set_up(repository: Repository, tmp_path: Path) -> None:
    template = tmp_path / "template" / "hooks"
    template.mkdir(parents=True)
    for event in installed_in(bare=False):
        shutil.copy(repository.git_dir / "hooks" / event.name, template)
    command = ("git", "clone", "-q", f"--template={template.parent}", str(repository.path), "clone")
    assert run(command, cwd=tmp_path).code == 0
    clone = Repository(tmp_path / "clone")
    done = clone.commit("free.txt", "free", expect=None)
    assert done.code == 1
    assert "this clone is not set up: its hooks are there" in done.text
    assert "repair: guard install" in done.text
    clone.install()
    clone.commit("free.txt", "free")


# Pythons


@dataclass(frozen=True)
class Noted:
    """Lines of .git/guard/python; {own} stands for the three that install wrote."""

    what: str
    lines: str
    said: str = ""

    def __str__(self) -> str:
        return self.what


USABLE = (
    Noted("its own", "{own}"),
    Noted("a container's first", "/opt/container/bin/python\n/opt/guard\n/opt/lib\n{own}"),
    Noted("three containers first", "/a/python\n/a\n/a\n/b/python\n/b\n/b\n/c/python\n/c\n/c\n{own}"),
    Noted("one without guard first", "{python}\n/nowhere\n/nowhere\n{own}"),
    Noted("one that cannot start first", "/bin/false\n{home}\n{home}\n{own}"),
    Noted("one whose libraries are gone last", "{own}{python}\n{home}\n/nowhere\n"),
    Noted("torn after its own", "{own}/a/python\n/a"),
)
UNUSABLE = (
    Noted("gone", "/nowhere/python\n/nowhere\n/nowhere\n", "is gone: /nowhere/python"),
    Noted("guard gone", "{python}\n/nowhere\n/nowhere\n", "guard itself is gone from /nowhere"),
    Noted("all gone", "/a/python\n/a\n/a\n/b/python\n/b\n/b\n", "is gone: /a/python"),
    Noted("empty", "", "is missing or torn"),
    Noted("torn", "{python}\n{home}", "is missing or torn"),
    Noted("cannot start", "/bin/false\n{home}\n{home}\n", "/bin/false ended with status 1"),
)


def _note(made: Repository, noted: Noted) -> None:
    file = made.git_dir / "guard" / "python"
    own = file.read_text()
    file.write_text(noted.lines.format(own=own, python=sys.executable, home=PACKAGE))


def _commits(made: Repository, env: dict[str, str]) -> tuple[Done, Done]:
    """A commit of what alice holds, then one of something else, both by bob."""
    made.write("src/auth/login.py", os.urandom(8).hex())
    made.git("add", "-A")
    held = made.git("commit", "-q", "-m", "held", who="bob", expect=None, env=env)
    made.git("reset", "-q", "--hard")
    return held, made.commit("free.txt", os.urandom(8).hex(), who="bob", expect=None)


@pytest.mark.parametrize("noted", USABLE, ids=str)
def test_the_first_usable_python_is_taken(noted: Noted, repository: Repository) -> None:
    repository.guard("reserve", ":/src/auth", who="alice")
    _note(repository, noted)
    held, free = _commits(repository, {})
    assert "alice holds /src/auth" in held.text
    assert free.code == 0, free.text


@pytest.mark.parametrize("noted", UNUSABLE, ids=str)
def test_without_a_usable_python_it_stops_and_names_the_way_out(noted: Noted, repository: Repository) -> None:
    repository.guard("reserve", ":/src/auth", who="alice")
    hook(repository.git_dir / "hooks" / "pre-commit.before-guard")
    _note(repository, noted)
    for done in _commits(repository, {}):
        assert done.code == 1
        assert noted.said in done.text
        out = next(line for line in done.text.splitlines() if line.startswith("  out:"))
    run(["sh", "-euc", out.removeprefix("  out:").strip()], cwd=repository.path / "src")
    repository.commit("src/auth/login.py", "out\n", who="bob")
    assert ran() == ["pre-commit.before-guard ran"] * 3
    assert not (repository.git_dir / "guard").exists()
    assert not list((repository.git_dir / "hooks").glob("*guard*"))
    assert not (repository.git_dir / "hooks" / "pre-push").exists()


@pytest.mark.parametrize("noted", UNUSABLE, ids=str)
def test_after_the_noted_pythons_the_guard_on_path_judges(
    noted: Noted, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.guard("reserve", ":/src/auth", who="alice")
    _note(repository, noted)
    command = tmp_path / "bin" / "guard"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH={PACKAGE} exec {sys.executable} -m guard "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    held, free = _commits(repository, {})
    assert held.code == 1
    assert "alice holds /src/auth" in held.text
    assert free.code == 0, free.text
    repository.write("src/auth/login.py", "pushed\n")
    repository.git("commit", "-q", "-n", "-a", "-m", "past it")
    (tmp_path / "remote.git").mkdir()
    Repository(tmp_path / "remote.git").git("init", "-q", "--bare")
    pushed = repository.git("push", "-q", str(tmp_path / "remote.git"), "HEAD:x", who="bob", expect=1)
    assert "src/auth/login.py" in pushed.text


@pytest.mark.parametrize("entry", [".", "", "./", "bin/.."])
def test_a_guard_in_the_repository_is_not_started(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    """A PATH with "." in it, or an empty entry, which means the same, must not let the repository's files run."""
    _note(repository, UNUSABLE[0])
    trap = repository.path / "guard"
    trap.write_text('#!/bin/sh\necho trapped >>"$HOME/ran"\n')
    trap.chmod(trap.stat().st_mode | stat.S_IXUSR)
    (repository.path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{entry}:{os.environ['PATH']}")
    assert repository.commit("free.txt", who="bob", expect=1).code == 1
    assert ran() == []
