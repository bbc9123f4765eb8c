"""``remarks_in_force``: not being in force is said by the commands that people use, each reason with its repair."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.install.remarks import remarks_in_force
from guard.repo import git
from guard.repo.place import discover
from tests.support.foreign_hooks import CONFIGURED, hook
from tests.support.repositories import Repository


def _remarks(made: Repository, monkeypatch: pytest.MonkeyPatch, *, mode: str = "block") -> tuple[str, ...]:
    monkeypatch.chdir(made.path)
    return remarks_in_force(discover(), git.config(), mode=mode)


def _never_installed(made: Repository) -> None:
    made.guard("uninstall")


def _hooks_path_is_no_directory(made: Repository) -> None:
    made.git("config", "core.hooksPath", "/dev/null")


def _hooks_path_is_empty(made: Repository) -> None:
    made.git("config", "core.hooksPath", "")


def _hooks_path_elsewhere(made: Repository) -> None:
    made.git("config", "core.hooksPath", "elsewhere")


def _hooks_path_of_the_machine(made: Repository) -> None:
    machine = made.path.parent / "machine"
    machine.mkdir()
    made.git("config", "--global", "core.hooksPath", str(machine))


def _moved_aside(made: Repository) -> None:
    installed = made.git_dir / "hooks" / "pre-commit"
    installed.rename(f"{installed}.old")


def _overwritten(made: Repository) -> None:
    os.unlink(made.git_dir / "hooks" / "pre-commit")
    hook(made.git_dir / "hooks" / "pre-commit")


def _one_removed(made: Repository) -> None:
    os.unlink(made.git_dir / "hooks" / "pre-push")


def _not_executable(made: Repository) -> None:
    (made.git_dir / "hooks" / "pre-commit").chmod(0o644)


def _hooks_directory_gone(made: Repository) -> None:
    shutil.rmtree(made.git_dir / "hooks")


REASONS: dict[Callable[[Repository], None], str] = {
    _never_installed: "guard's hooks are not installed in this repository (repair: guard install)",
    _hooks_path_is_no_directory: "core.hooksPath (local) is '/dev/null'",
    _hooks_path_is_empty: "core.hooksPath (local) is ''",
    _hooks_path_elsewhere: "git looks for hooks in ",
    _hooks_path_of_the_machine: "git looks for hooks in ",
    _moved_aside: "another program moved guard's hook",
    _overwritten: "is somebody else's hook",
    _one_removed: "guard's hook for pre-push is not installed (repair: guard install)",
    _not_executable: "is not executable",
    _hooks_directory_gone: "guard's hooks are not installed in this repository (repair: guard install)",
}


@pytest.mark.skipif(CONFIGURED, reason="this git runs configured hooks whatever becomes of the hooks directory")
@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.__name__)
def test_each_reason_is_said(
    reason: Callable[[Repository], None], repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _remarks(repository, monkeypatch) == ()
    reason(repository)
    remarks = _remarks(repository, monkeypatch)
    assert any(REASONS[reason] in remark for remark in remarks), remarks
    assert all(remark.startswith("not in force: ") and "(repair: " in remark for remark in remarks)


def test_hooks_path_of_this_process_alone_is_said(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """As some agents' shells set it."""
    for name, value in (("COUNT", "1"), ("KEY_0", "core.hooksPath"), ("VALUE_0", "")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    remarks = _remarks(repository, monkeypatch)
    assert any("for this process" in remark for remark in remarks), remarks


@pytest.mark.parametrize("mode", ["off", "warn"])
def test_a_mode_that_refuses_nothing_is_said(
    mode: str, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    (remark,) = _remarks(repository, monkeypatch, mode=mode)
    assert f"mode is {mode}" in remark


def _linked_worktree(made: Repository) -> Repository:
    return made.worktree(made.path.parent / "linked", "linked")


def _hooks_path_relative(made: Repository) -> Repository:
    made.git("config", "core.hooksPath", "own-hooks")
    made.guard("install")
    return made


PLACES: tuple[Callable[[Repository], Repository], ...] = (lambda made: made, _linked_worktree, _hooks_path_relative)


@pytest.mark.parametrize("place", PLACES)
def test_where_the_hooks_are_in_place_no_process_is_started(
    place: Callable[[Repository], Repository],
    repository: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = place(repository)
    monkeypatch.chdir(there.path)
    found, entries = discover(), git.config()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert remarks_in_force(found, entries) == ()
