"""A long-lived process answers each request from where its caller stands, with what is true then."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.model import UsageError
from guard.repo import git
from guard.repo.place import discover, in_hook
from guard.repo.standpoint import asking_from
from guard.work import leases, questions
from guard.work.here import Here
from guard.work.leases import Wish
from tests.support.repositories import Repository


@pytest.fixture(autouse=True)
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process stands outside of every repository, and neither that nor its environment may change."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    before = dict(os.environb)
    yield
    after = {name: value for name, value in os.environb.items() if name != b"PYTEST_CURRENT_TEST"}
    before.pop(b"PYTEST_CURRENT_TEST", None)
    assert after == before
    assert Path.cwd() == elsewhere


def here(repository: Repository, where: str = ".", **env: str) -> Here:
    changed = {name.encode(): value.encode() for name, value in env.items()}
    return Here({**os.environb, **changed}, os.fsencode(os.path.normpath(repository.path / where)))


def test_each_request_has_its_own_place_and_settings(tmp_path: Path) -> None:
    made = [Repository.make(tmp_path / name) for name in ("one", "two")]
    for repository in made:
        repository.install()
        repository.git("config", "guard.agent", repository.path.name)
    for repository in made * 2:
        seen = here(repository, "src")
        assert seen.place.prefix == b"src"
        assert seen.place.top == os.fsencode(repository.path)
        assert seen.place.common_dir == os.fsencode(repository.path / ".git")
        assert seen.me == repository.path.name
        assert here(repository, GUARD_AGENT="bob").me == "bob"
        assert seen.project == f"{repository.path}/.git"


def test_what_changed_meanwhile_counts_in_the_next_request(repository: Repository) -> None:
    assert here(repository).settings.mode.value == "block"
    repository.git("config", "guard.mode", "warn")
    assert here(repository).settings.mode.value == "warn"
    assert here(repository, GUARD_MODE="off").settings.mode.value == "off"
    assert here(repository).settings.mode.value == "warn"
    repository.git("config", "guard.project", "another")
    assert here(repository).project == "another"


def test_use_cases_work_from_there(repository: Repository) -> None:
    alice = here(repository, "src", GUARD_AGENT="alice")
    leases.reserve(alice, [b"b.py"], Wish())
    alice.store.close()
    repository.write("src/b.py", "changed\n")
    repository.git("add", "-A")
    bob = here(repository, GUARD_AGENT="bob")
    assert [change.path for change in questions.staged(bob)] == [b"src/b.py"]
    repository.git("commit", "-qnm", "past the hook")
    between = questions.between(here(repository), "HEAD~1", "HEAD")
    assert [change.path for change in between] == [b"src/b.py"]
    assert not questions.staged(here(repository))


def test_a_linked_worktree_and_a_bare_repository(repository: Repository, tmp_path: Path) -> None:
    tree = repository.worktree(tmp_path / "tree", "tree")
    assert here(tree).place.common_dir == os.fsencode(repository.path / ".git")
    assert here(tree, "src").place.prefix == b"src"
    repository.git("init", "-q", "--bare", str(tmp_path / "bare.git"))
    assert here(Repository(tmp_path / "bare.git")).place.top is None


def test_a_variable_of_gits_counts_relative_to_there(repository: Repository) -> None:
    assert here(repository, "src", GIT_DIR="../.git").place.git_dir == os.fsencode(repository.path / ".git")
    with asking_from({**os.environb, b"GIT_DIR": b".git"}, os.fsencode(repository.path)):
        assert in_hook().git_dir == os.fsencode(repository.path / ".git")
        assert in_hook().top == os.fsencode(repository.path)


def test_outside_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"no git repository around {tmp_path}/x"):
        (tmp_path / "x").mkdir()
        assert Here(os.environb, os.fsencode(tmp_path / "x")).place


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    made = [Repository.make(tmp_path / f"r{number}") for number in range(4)]
    wrong: list[object] = []

    def ask(repository: Repository) -> None:
        for _ in range(10):
            with asking_from(os.environb, os.fsencode(repository.path)):
                top = discover().top
                listed = git.run(["rev-parse", "--show-toplevel"]).strip()
            if not top == listed == os.fsencode(repository.path):
                wrong.append((top, listed))

    threads = [threading.Thread(target=ask, args=(repository,)) for repository in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_blocks_may_stand_in_each_other_and_end_with_an_error(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(UsageError), asking_from(os.environb, os.fsencode(repository.path)):
        with asking_from(os.environb, os.fsencode(repository.path / "src")):
            assert discover().prefix == b"src"
        assert discover().prefix == b""
        raise UsageError("ended")
    with pytest.raises(UsageError):
        discover()
