"""The plan that ``--dry-run`` shows is the plan that is carried out; and the account's list of repositories."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.install import registry
from guard.install.draft import KEPT, Draft
from guard.model import GuardError
from tests.support.foreign_hooks import CONFIGURED, assert_commit_refused, hook, picture
from tests.support.repositories import Repository


def plain(made: Repository) -> None:
    pass


def foreign_hooks(made: Repository) -> None:
    for event in ("pre-commit", "pre-push"):
        hook(made.git_dir / "hooks" / event)


def installed(made: Repository) -> None:
    made.guard("install")


def overwritten(made: Repository) -> None:
    hook(made.git_dir / "hooks" / "pre-commit")
    made.guard("install")
    os.unlink(made.git_dir / "hooks" / "pre-commit")
    hook(made.git_dir / "hooks" / "pre-commit", "#!/bin/sh\necho other\n")


def written_anew(made: Repository) -> None:
    for text in ("#!/bin/sh\necho 1\n", "#!/bin/sh\necho 2\n"):
        (made.git_dir / "hooks" / "pre-commit").unlink(missing_ok=True)
        hook(made.git_dir / "hooks" / "pre-commit", text)
        made.guard("install")
    (made.git_dir / "hooks" / "pre-commit").unlink()
    hook(made.git_dir / "hooks" / "pre-commit", "#!/bin/sh\necho 3\n")


def moved_aside(made: Repository) -> None:
    made.guard("install")
    installed = made.git_dir / "hooks" / "pre-commit"
    installed.rename(f"{installed}.old")


def no_hooks_directory(made: Repository) -> None:
    shutil.rmtree(made.git_dir / "hooks")


def hooks_path(made: Repository) -> None:
    made.git("config", "core.hooksPath", "own-hooks")


SITUATIONS = (
    *(plain, foreign_hooks, installed, overwritten),
    *(written_anew, moved_aside, no_hooks_directory, hooks_path),
)


def _files(made: Repository) -> dict[str, tuple[object, ...]]:
    """Everything in the repository but what commands leave on their way: object files, and guard's caches."""
    left = ("/objects/", "/guard/unions", "/guard/history", "/guard/line")
    return {path: about for path, about in picture(made.path).items() if not any(name in path for name in left)}


@pytest.mark.parametrize("command", ["install", "uninstall"])
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
def test_a_dry_run_changes_nothing_and_names_every_path_that_then_changes(
    situation: Callable[[Repository], None], command: str, tmp_path: Path
) -> None:
    made = Repository.make(tmp_path / "repo")
    situation(made)
    before = _files(made)
    planned = made.guard(command, "--dry-run", "--json", expect=None)
    assert _files(made) == before
    steps = planned.json()["plan"]

    done = made.guard(command, expect=None)
    assert done.code == planned.code, done.text
    after = _files(made)
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    told = "\n".join(steps)
    for path in changed - {str(made.git_dir / "config")}:
        assert path in told or any(
            step.startswith("remove the directory") and step.split()[3] in path for step in steps
        )
    assert (str(made.git_dir / "config") in changed) <= ("git config --local" in told), steps
    again = made.guard(command, "--dry-run", "--json", expect=None).json()["plan"]
    assert again == [], again


def test_a_dry_run_in_words(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "repo")
    installed = hook(made.git_dir / "hooks" / "pre-commit")
    said = made.guard("install", "--dry-run").out.decode().splitlines()
    if not CONFIGURED:
        assert f"would keep {installed} as {installed}.before-guard" in said
        assert f"would write {installed} (guard's hook)" in said
    made.guard("install")
    assert made.guard("install", "--dry-run").out == b"nothing would change\n"
    assert (
        f"would remove the directory {made.git_dir / 'guard'} and what is in it"
        in made.guard("uninstall", "--dry-run").out.decode()
    )


# The draft


def _draft(tmp_path: Path) -> tuple[Draft, bytes]:
    path = tmp_path / "hooks" / "pre-commit"
    hook(path)
    return Draft(), os.fsencode(path)


def test_a_draft_answers_as_if_its_steps_were_done_and_touches_nothing(tmp_path: Path) -> None:
    draft, path = _draft(tmp_path)
    before = picture(tmp_path / "hooks")
    kept = draft.take(path)
    assert kept == path + KEPT
    assert draft.is_ours(path) and draft.runs(path) and draft.kept(path) == [kept]
    assert not draft.is_ours(kept) and draft.runs(kept)
    assert draft.put_back(path) == kept
    assert not draft.is_ours(path) and not draft.exists(kept)
    draft.remove(path)
    assert not draft.exists(path) and draft.names(os.path.dirname(path)) == set()
    assert picture(tmp_path / "hooks") == before


def test_a_file_that_changed_since_it_was_looked_at_stops_the_plan(tmp_path: Path) -> None:
    draft, path = _draft(tmp_path)
    draft.take(path)
    hook(Path(os.fsdecode(path)), "#!/bin/sh\necho written meanwhile\n")
    before = picture(tmp_path / "hooks")
    with pytest.raises(GuardError, match="was changed by another program"):
        draft.perform()
    assert picture(tmp_path / "hooks") == before


# Every repository of the account


def _listed() -> list[str]:
    return [os.fsdecode(line) for line in registry.repositories()]


def test_install_and_uninstall_keep_the_list(tmp_path: Path) -> None:
    one, two = (Repository.make(tmp_path / name) for name in ("one", "two"))
    for made in (one, two, one):
        made.guard("install")
    linked = one.worktree(tmp_path / "linked", "linked")
    linked.guard("install")
    assert _listed() == [str(one.path), str(two.path)]
    assert Path(registry.path()).stat().st_mode & 0o777 == 0o600
    two.guard("uninstall")
    assert _listed() == [str(one.path)]
    shutil.rmtree(one.path)
    assert _listed() == []


def test_install_all_renews_every_repository_and_status_all_lists_them(tmp_path: Path) -> None:
    one = Repository.make(tmp_path / "one")
    two = Repository.make(tmp_path / "two", f"--separate-git-dir={tmp_path / 'two.git'}")
    bare = Repository(tmp_path / "bare.git")
    one.git("clone", "-q", "--bare", ".", str(bare.path))
    for made in (one, two, bare):
        made.guard("install")
    for made in (one, two):
        file = made.git_dir / "hooks" / "pre-commit"
        file.write_text(file.read_text().replace("# guard hook 2:", "# guard hook 1:"))
    (tmp_path / "elsewhere").mkdir()
    outside = Repository(tmp_path / "elsewhere")
    said = outside.guard("status", "--all", "--check", "--json", expect=1).json()["repositories"]
    assert [each["code"] for each in said] == [0, 1, 1]
    done = outside.guard("install", "--all")
    assert [line for line in done.out.decode().splitlines() if not line.startswith(" ")] == [
        str(bare.path),
        str(one.path),
        str(two.path if str(two.path) in done.text else tmp_path / "two.git"),
    ]
    assert outside.guard("status", "--all", "--check").code == 0
    assert_commit_refused(one)


def test_without_any_repository_all_says_so(tmp_path: Path) -> None:
    assert "in no repository" in Repository(tmp_path).guard("install", "--all").text


def test_a_list_that_cannot_be_written_is_said_and_the_install_counts(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "one")
    made.guard("install")
    Path(registry.path()).unlink()
    Path(registry.path()).mkdir()
    said = made.guard("install").text
    assert "the list of repositories for --all was not changed" in said
    assert_commit_refused(made)
