"""The table of events, and the files outside of Python that must agree with it."""

from __future__ import annotations

import re

import pytest

from guard import events
from guard.repo.place import Place
from tests.support.repositories import PACKAGE, Repository, run

HOOK = (PACKAGE / "hooks" / "guard").read_text()
YAML = (PACKAGE / ".pre-commit-hooks.yaml").read_text()


def test_every_name_and_id_stands_once_in_the_table() -> None:
    assert len(set(events.NAMES)) == len(events.EVENTS)
    ids = [event.framework_id for event in events.EVENTS if event.framework_id]
    assert len(set(ids)) == len(ids)
    assert [events.by_name(name).name for name in events.NAMES] == list(events.NAMES)


def test_an_event_that_receives_is_installed_in_bare_repositories_alone() -> None:
    assert [event.name for event in events.installed_in(bare=True)] == ["pre-receive"]
    assert set(events.installed_in(bare=True, worktrees=True)) == set(events.EVENTS)
    for worktrees in (False, True):
        assert not any(event.receives for event in events.installed_in(bare=False, worktrees=worktrees))


@pytest.mark.parametrize("event", events.EVENTS, ids=events.NAMES)
def test_the_hook_file_knows_the_event_and_its_verb(event: events.Event, repository: Repository) -> None:
    """The verb is what the hook itself says when no Python can be asked."""
    (repository.git_dir / "guard" / "python").unlink()
    names = f"refs/heads/x {'1' * 40} refs/heads/x {'0' * 40}\n".encode()
    line = f"{'0' * 40} {'1' * 40} refs/heads/x\n".encode() if event.receives else names
    copy = repository.git_dir / "guard" / "hook"
    done = run(["sh", str(copy), event.name], cwd=repository.path, stdin=line)
    assert done.code == 3, done.text
    assert f"whether this {event.verb} touches" in done.text


def test_the_hook_file_knows_no_other_event(repository: Repository) -> None:
    copy = repository.git_dir / "guard" / "hook"
    for name in ("post-commit", "pre-rebase", "", "pre-commit.sample x"):
        done = run(["sh", str(copy), name], cwd=repository.path)
        assert done.code == 2, done.text
        assert all(event in done.text for event in events.NAMES)


def test_the_command_that_removes_the_hooks_by_hand_looks_for_every_event() -> None:
    assert f"for g_name in {' '.join(events.NAMES)}; do" in HOOK


def test_pre_commits_file_names_every_event_of_the_table() -> None:
    found = re.findall(r"- id: (\S+)\n(?:.*\n)*?  entry: guard hook (\S+)\n(?:.*\n)*?  stages: \[(\S+)\]", YAML)
    assert found == [(each.framework_id, each.name, each.name) for each in events.EVENTS if each.framework_id]


@pytest.mark.parametrize("event", events.EVENTS, ids=events.NAMES)
def test_every_event_lists_its_changes(
    event: events.Event, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("a.txt", "changed\n")
    repository.git("add", "a.txt")
    if event.reads_stdin:
        repository.git("commit", "-q", "-m", "change")
    monkeypatch.chdir(repository.path)
    git_dir = str(repository.git_dir).encode()
    place = Place(git_dir=git_dir, common_dir=git_dir, top=str(repository.path).encode())
    head = repository.head()
    parent = repository.git("rev-parse", "HEAD^", expect=None).out.decode().strip()
    stdin = f"refs/heads/main {head} refs/heads/main {parent}\n".encode() if event.reads_stdin else b""
    if event.receives:
        repository.git("update-ref", "refs/heads/main", parent)
        stdin = f"{parent} {head} refs/heads/main\n".encode()
    changes = event.changes(events.Started(place, {}, ("origin", "url"), stdin))
    assert [change.path for change in changes] == [b"a.txt"]
