"""The whole way, as a team goes it: a large repository, two worktrees, two holders, real commits and pushes."""

from __future__ import annotations

from pathlib import Path

import pygit2
import pytest

from tests.support.repositories import Repository, age

DIRECTORIES = 40
FILES = 30
COMMITS = 60


def large_repository(path: Path) -> Repository:
    """1,200 files in 40 directories, and sixty commits that changed them, written with libgit2."""
    made = pygit2.init_repository(str(path), initial_head="main")
    who = pygit2.Signature("Team", "team@example.com", 1_700_000_000, 0)
    for number in range(DIRECTORIES * FILES):
        file = path / f"src/module{number % DIRECTORIES}/part{number // DIRECTORIES}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"PART = {number}\n")
    made.index.add_all()
    parents: list[pygit2.Oid] = []
    for commit in range(COMMITS):
        name = f"src/module{commit % DIRECTORIES}/part{commit % FILES}.py"
        (path / name).write_text(f"PART = {commit}, 'again'\n")
        made.index.add(name)
        made.index.write()
        parents = [made.create_commit("HEAD", who, who, f"change {commit}", made.index.write_tree(), parents)]
    return Repository(path)


@pytest.fixture
def team(tmp_path: Path) -> tuple[Repository, Repository, Repository]:
    """The repository with a bare remote, and the worktrees of alice and bob."""
    main = large_repository(tmp_path / "main")
    (tmp_path / "remote.git").mkdir()
    Repository(tmp_path / "remote.git").git("init", "-q", "--bare")
    main.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    main.git("push", "-q", "origin", "main")
    alice = main.worktree(tmp_path / "alice", "alices-work")
    bob = main.worktree(tmp_path / "bob", "bobs-work")
    alice.install()
    age(main.common_dir / "config")
    return main, alice, bob


def test_reserved_refused_released_committed_pushed(team: tuple[Repository, Repository, Repository]) -> None:
    main, alice, bob = team
    assert len(main.git("ls-files").out.splitlines()) >= 1000
    assert len(main.git("log", "--oneline").out.splitlines()) >= 50

    reserved = alice.guard("reserve", "src/module7", "--reason", "new parser", who="alice")
    assert b"reserved #1 /src/module7 until " in reserved.out

    refused = bob.commit("src/module7/part3.py", who="bob", expect=1)
    assert "alice holds /src/module7 until " in refused.text
    assert "new parser" in refused.text
    assert "src/module7/part3.py" in refused.text
    assert "git restore --staged -- :/src/module7/part3.py" in refused.text
    before = bob.head()

    bob.commit("src/module8/part3.py", who="bob", expect=1)  # what is refused is still staged
    bob.git("restore", "--staged", ":/src/module7/part3.py")
    bob.git("commit", "-q", "-m", "mine", who="bob")
    assert bob.head() != before
    alice.commit("src/module7/part1.py", who="alice")

    bob.git("add", "-A")
    bob.git("commit", "-q", "--no-verify", "-m", "past the commit hook", who="bob")
    pushed = bob.git("push", "-q", "origin", "bobs-work", who="bob", expect=1)
    assert bob.head()[:12] in pushed.text
    assert "alice holds /src/module7" in pushed.text
    assert main.git("ls-remote", "origin", "bobs-work").out == b""

    alice.guard("release", "src/module7", who="alice")
    bob.git("push", "-q", "origin", "bobs-work", who="bob")
    assert bob.head().encode() in main.git("ls-remote", "origin", "bobs-work").out
    bob.commit("src/module7/part4.py", who="bob")

    log = [(entry["event"], entry["holder"]) for entry in alice.guard("log", "--json", who="alice").json()["log"]]
    assert log == [
        ("reserved", "alice"),
        ("refused", "bob"),
        ("refused", "bob"),
        ("refused", "bob"),
        ("released", "alice"),
    ]


def test_the_main_worktree_and_every_linked_one_are_guarded(team: tuple[Repository, Repository, Repository]) -> None:
    main, alice, bob = team
    alice.guard("reserve", "src/module1/*.py", who="alice")
    for place in (main, bob):
        assert "alice holds" in place.commit("src/module1/part2.py", who="bob", expect=1).text
    alice.commit("src/module1/part2.py", who="alice")
