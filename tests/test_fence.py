"""guard.only: commits and pushes of a worktree's holder stay within its patterns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.event_cases import play
from tests.support.repositories import Repository, run


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


STAGED = "echo new >src/b.py; echo new >a.txt; git add -A; "
OUTSIDE = {
    "all staged": STAGED + "git commit -m m",
    "commit -a": STAGED + "git reset -q; git commit -am m",
    "commit FILE": STAGED + "git commit -m m a.txt src/b.py",
    "commit FILE, and nothing else": STAGED + "git commit -m m a.txt",
    "a file leaves": "git mv src/b.py out.py; echo new >src/c.py; git add -A; git commit -m m",
    "many files": STAGED + "for n in $(seq 30); do echo new >out$n.txt; done; git add -A; git commit -m m",
    "a merge with more in it": "git checkout -qb side; echo side >src/c.py; git add -A; git commit -qm m; "
    "git checkout -q main; git merge -q --no-ff --no-commit side; echo more >a.txt; git add -A; git commit -m m",
}
"""Commits that leave the fence around ``src``, each with something inside but for one."""


@pytest.mark.parametrize("case", OUTSIDE)
def test_the_way_to_leave_it_out_works_in_each_situation(repository: Repository, case: str) -> None:
    repository.commit("src/b.py", "before\n", who="alice")
    repository.git("config", "guard.only", "src")
    refused = play(repository, OUTSIDE[case], env={"GUARD_AGENT": "alice"})
    assert "outside of this worktree's fence" in refused.text
    advice = [line.partition(":   ")[2] for line in refused.text.splitlines() if "leave it out:" in line]
    assert len(advice) == (0 if case == "commit FILE, and nothing else" else 1), refused.text
    if not advice:
        return
    writes = {"GUARD_AGENT": "alice", "GIT_EDITOR": "sh -c 'echo again >$0'"}
    done = play(repository, advice[0], env=writes)
    assert done.code == 0, (advice, done.text)
    if not advice[0].startswith("git commit"):
        again = play(repository, "git commit --allow-empty", env=writes)
        assert again.code == 0, (advice, again.text)
    made = play(repository, "git show --format= --name-only --diff-merges=first-parent HEAD").out.decode().split()
    assert all(path.startswith("src/") for path in made), (advice, made)


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


@pytest.mark.parametrize("value", ["!src", "a[", "it's [", "a\\"])
@pytest.mark.parametrize("scope", ["local", "global", "worktree"])
def test_a_value_that_is_no_pattern_stops_the_commit_and_its_repair_works(
    repository: Repository, scope: str, value: str
) -> None:
    repository.git("config", "extensions.worktreeConfig", "true")
    repository.git("config", f"--{scope}", "--add", "guard.only", value)
    refused = repository.commit("src/b.py", who="alice", expect=None)
    assert refused.code != 0
    assert "the fence" in refused.text and value in refused.text, refused.text
    repair = re.search(r"^ *repair: (.*)$", refused.text, re.MULTILINE)
    assert repair is not None, refused.text
    done = run(["sh", "-c", repair[1]], cwd=repository.path)
    assert done.code == 0, done.text
    assert repository.git("config", "--get-all", "guard.only", expect=None).out == b""
    repository.commit("src/b.py", "again\n", who="alice")


def test_a_value_of_the_variable_that_is_no_pattern_is_named(repository: Repository) -> None:
    repository.write("src/b.py", "new\n")
    repository.git("add", "-A")
    refused = repository.git("commit", "-q", "-m", "x", who="alice", env={"GUARD_ONLY": "src:a["}, expect=None)
    assert refused.code != 0
    assert "GUARD_ONLY" in refused.text and "repair: unset GUARD_ONLY" in refused.text, refused.text


def test_check_of_paths_honours_it(repository: Repository) -> None:
    repository.git("config", "guard.only", "src/auth")
    for inside in (["src/auth/login.py"], ["src/auth"], ["src/auth/*.py"], ["src/auth/new/x.py"]):
        assert repository.guard("check", *inside, who="alice").out.decode().endswith("clear\n")
    for outside in (["a.txt"], ["src"], ["src/*.py"], ["src/auth/login.py", "a.txt"]):
        assert "outside of the fence" in repository.guard("check", *outside, who="alice", expect=1).text
    answer = repository.guard("check", "src/auth/login.py", "a.txt", "--json", who="alice", expect=1).json()
    assert answer["verdict"] == "fenced"
    assert [(one["path"], one["state"], one["fenced"]) for one in answer["paths"]] == [
        ("src/auth/login.py", "free", False),
        ("a.txt", "free", True),
    ]
    assert answer["warnings"] == ["outside of the fence (guard.only), so a commit is refused: a.txt"]
    repository.guard("check", "a.txt", who="alice", env={"GUARD_ONLY": "*.txt"})
    repository.guard("check", "*.txt", who="alice", env={"GUARD_ONLY": "*.txt"})
    repository.guard("check", "a.txt", who="alice", env={"GUARD_MODE": "warn"})


def test_check_of_what_is_changed_and_of_stdin_honours_it(repository: Repository) -> None:
    repository.git("config", "guard.only", "src")
    repository.write("src/b.py", "inside\n")
    repository.guard("check", "--changed", who="alice")
    repository.guard("check", "--stdin", who="alice", stdin=b"src/b.py\n")
    repository.write("a.txt", "outside\n")
    assert "a.txt" in repository.guard("check", "--changed", who="alice", expect=1).text
    assert "a.txt" in repository.guard("check", "--stdin", who="alice", stdin=b"src/b.py\na.txt\n", expect=1).text


def test_check_says_who_holds_a_path_outside_of_it(repository: Repository) -> None:
    repository.git("config", "guard.only", "src")
    repository.guard("reserve", "a.txt", who="bob")
    refused = repository.guard("check", "a.txt", who="alice", expect=1)
    assert "bob holds /a.txt" in refused.text
    assert "outside of the fence" in refused.text
