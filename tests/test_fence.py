"""guard.only: commits and pushes of a worktree's holder stay within its patterns."""

from __future__ import annotations

from pathlib import Path

from tests.support.repositories import Repository


def test_commits_outside_are_refused(repository: Repository) -> None:
    repository.commit("src/b.py", "before\n", who="alice")
    repository.git("config", "--add", "guard.only", "src/**")
    repository.git("config", "--add", "guard.only", "*.md")
    repository.commit("src/b.py", who="alice")
    repository.commit("docs/x.md", who="alice")
    repository.commit("*.md", who="alice")
    refused = repository.commit("a.txt", who="alice", expect=1)
    assert "1 path outside of this worktree's fence" in refused.text
    assert "src/**, *.md" in refused.text
    advice = next(line for line in refused.text.splitlines() if "leave it out" in line).partition(":   ")[2]
    repository.write("src/b.py", "again\n")
    repository.git("add", "src/b.py")
    assert "outside of the fence" in repository.guard("check", who="alice", expect=1).text
    assert repository.guard("check", "--json", who="alice", expect=1).json()["verdict"] == "fenced"
    repository.git(*advice.split()[1:])
    repository.guard("check", who="alice")
    repository.git("commit", "-q", "-m", "without it", who="alice")
    repository.git("add", "a.txt")
    assert "leaves the fence" in repository.git("commit", "-q", "-m", "x", who="alice", env={"GUARD_SKIP": "1"}).text
    entries = repository.guard("log", "--json").json()["log"]
    assert [entry["event"] for entry in entries] == ["refused", "bypassed"]


def test_it_does_not_stand_in_for_reservations(repository: Repository) -> None:
    repository.git("config", "guard.only", "src")
    repository.guard("reserve", "src/b.py", who="bob")
    assert "bob holds" in repository.commit("src/b.py", who="alice", expect=1).text


def test_each_worktree_has_its_own(repository: Repository, tmp_path: Path) -> None:
    linked = repository.worktree(tmp_path / "linked", "side")
    repository.git("config", "extensions.worktreeConfig", "true")
    linked.git("config", "--worktree", "guard.only", "docs")
    linked.commit("a.txt", who="alice", expect=1)
    repository.commit("a.txt", who="alice")


def test_it_holds_from_the_moment_it_is_set(repository: Repository) -> None:
    repository.guard("reserve", "docs", who="bob")
    repository.commit("a.txt", "published\n", who="alice")
    repository.commit("a.txt", "published again\n", who="alice")
    repository.write("a.txt", "outside\n")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "x", who="alice", env={"GUARD_ONLY": "src:docs"}, expect=1)
    repository.git("config", "guard.only", "src")
    repository.git("commit", "-q", "-m", "x", who="alice", expect=1)
    repository.git("config", "--unset", "guard.only")
    repository.git("commit", "-q", "-m", "x", who="alice")


def test_pushes_outside_are_refused(repository: Repository, tmp_path: Path) -> None:
    repository.git("init", "-q", "--bare", str(tmp_path / "bare.git"))
    repository.git("remote", "add", "origin", str(tmp_path / "bare.git"))
    repository.git("push", "-q", "origin", "HEAD", who="alice")
    repository.commit("a.txt", who="alice")
    repository.git("config", "guard.only", "src")
    assert "push refused" in repository.git("push", "-q", "origin", "HEAD", who="alice", expect=1).text
    repository.git("push", "-q", "origin", "HEAD", who="alice", env={"GUARD_ONLY": "*.txt"})


def test_a_value_that_is_no_pattern_stops_the_commit(repository: Repository) -> None:
    repository.git("config", "guard.only", "!src")
    refused = repository.commit("src/b.py", who="alice", expect=None)
    assert refused.code != 0
    assert "'!src'" in refused.text
