"""A repository that others push to, by a path: what its hook refuses, what it lets pass, and what it says."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.event_cases import Case, no_python
from tests.support.repositories import PACKAGE, Repository, age
from tests.support.server import Server, blamed, remote_lines

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "make held/x.txt; "
FREE = "make free.txt; "
UNRELATED = "git checkout -q --orphan other; git rm -rqf .; "


@pytest.fixture
def server(pushed_to: Path, hermetic: Path) -> Server:
    return Server.of(pushed_to, hermetic / ".local/share/guard/guard.db")


REFUSED = [
    Case("past the client's hooks", COMMIT + "git push --no-verify origin main", ["held/x.txt"]),
    Case("from a clone without guard", COMMIT + "git push origin main", ["held/x.txt"]),
    Case("a new branch", COMMIT + "git push origin main:topic", ["held/x.txt"]),
    Case("a lightweight tag", COMMIT + "git tag v1; git push origin v1", ["held/x.txt"]),
    Case("an annotated tag", COMMIT + "git tag -m v1 v1; git push origin v1", ["held/x.txt"]),
    Case("a ref that is neither", COMMIT + "git push origin main:refs/notes/mine", ["held/x.txt"]),
    Case("a commit below the tip", COMMIT + FREE + "git push origin main", ["held/x.txt"]),
    Case("history that is not related", UNRELATED + COMMIT + "git push origin other", ["held/x.txt"]),
    Case("a deletion", "git rm -q held/x.txt; git commit -qm m; git push origin main", ["held/x.txt"]),
    Case("a rename", "git mv held/x.txt y.txt; git commit -qm m; git push origin main", ["held/x.txt"]),
    Case(
        "one of several refs",
        "git branch a; " + FREE + "git branch b; " + COMMIT + "git push origin a b main:c",
        ["held/x.txt"],
    ),
    Case(
        "one of several refs, atomically",
        FREE + "git branch b; " + COMMIT + "git push --atomic origin b main",
        ["held/x.txt"],
    ),
    Case(
        "a merge that itself changes it",
        "git checkout -qb side; make y.txt; git checkout -q main; make free.txt; git merge -q --no-commit side; "
        "echo evil >held/x.txt; git add held; git commit -qm evil; git push origin main",
        ["held/x.txt"],
    ),
    Case("with what is deleted", COMMIT + "git push origin :old main", ["held/x.txt"]),
]
DISCARDS = [
    Case(
        "a forced update of a branch",
        "git reset -q --hard HEAD~1; make free.txt; git push -f origin main",
        ["held/x.txt"],
    ),
    Case("a branch that goes back", "git push -f origin main~1:main", ["held/x.txt"]),
    Case("a branch that is replaced", UNRELATED + "make y.txt; git push -f origin other:main", ["held/x.txt"]),
    Case(
        "with a lease",
        "git reset -q --hard HEAD~1; make y.txt; git push --force-with-lease origin main",
        ["held/x.txt"],
    ),
    Case("of a tag", "git push -q origin :main; git push -f origin main~1:refs/tags/keep", ["held/x.txt"]),
    Case("to a tree", "git push -q origin :main; git push -f origin main^{tree}:refs/tags/keep", ["held/x.txt"]),
]
PASSES = [
    Case("what nobody holds", FREE + "git push origin main"),
    Case("a new branch of what is here", "git push origin main:topic"),
    Case("a tag of what is here", "git tag -m v1 v1; git push origin v1"),
    Case("a tag of a tree", "git tag t HEAD^{tree}; git push origin t", quick=False),
    Case("a tag of a blob", "git tag b HEAD:free.txt; git push origin b", quick=False),
    Case("a ref that is deleted", "git push -q origin main:topic; git push origin :topic", quick=False),
    Case(
        "a forced update that discards what nobody holds",
        "make free.txt; git push -q origin main; git reset -q --hard HEAD~1; make y.txt; git push -f origin main",
    ),
    Case("many refs", "for n in $(seq 150); do git branch b$n; done; git push -q origin --all", quick=False),
    Case("a branch under another name", "git push -q origin main:a; git push origin main:b :a", quick=False),
    Case("nothing", "git push origin main"),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_refused_and_no_ref_is_moved(server: Server, case: Case) -> None:
    server.bare.git("branch", "old", "main")
    before = server.bare.git("for-each-ref").out
    done = server.play(case.script)
    assert done.code == 1 and blamed(done) == case.refused, done.text
    assert "push refused: it changes 1 path that is reserved by alice" in done.text
    assert server.bare.git("for-each-ref").out == before, "all refs are refused, atomic or not"


@pytest.mark.parametrize("case", DISCARDS, ids=str)
def test_what_an_update_discards_is_judged(server: Server, case: Case) -> None:
    """The holder's commit was there before."""
    server.play("make held/x.txt; git push -q origin main", GITEA_PUSHER_NAME="alice")
    server.bare.git("config", "--add", "guard.alice.principal", "alice@laptop")
    server.bare.git("config", "receive.denyDeleteCurrent", "ignore")
    done = server.play("make held/x.txt; git push -q origin main main:refs/tags/keep", GITEA_PUSHER_NAME="alice")
    assert done.code == 0, done.text
    if "refs/tags/keep" not in case.script:
        server.bare.git("update-ref", "-d", "refs/tags/keep")
    done = server.play(case.script)
    assert done.code == 1 and blamed(done) == case.refused, done.text
    assert "discards commit" in done.text


@pytest.mark.parametrize("case", PASSES, ids=str)
def test_goes_through_without_a_word(server: Server, case: Case) -> None:
    server.settle()
    with no_python(server.bare) if case.quick else contextlib.nullcontext():
        done = server.play(case.script)
    assert done.code == 0 and "guard:" not in done.text, done.text


def test_what_another_branch_keeps_is_not_discarded(server: Server) -> None:
    server.bare.git("config", "--add", "guard.alice.principal", "alice@laptop")
    server.play("make held/x.txt; git push -q origin main main:keep", GITEA_PUSHER_NAME="alice")
    done = server.play("git push -f origin main~1:main")
    assert done.code == 0, done.text
    done = server.play("git push -f origin main~1:keep")
    assert done.code == 1 and "discards commit" in done.text, done.text


def test_the_holders_own_push_goes_through_from_a_second_clone(server: Server, tmp_path: Path) -> None:
    """Through the account: what this account reserves here is its own."""
    second = Repository(tmp_path / "second")
    server.bare.git("clone", "-q", str(server.bare.path), str(second.path))
    second.install()
    second.guard("reserve", "mine", who="a-name-nobody-can-prove")
    second.commit("mine/y.txt", who="a-name-nobody-can-prove")
    second.git("push", "-q", "origin", "main", who="a-name-nobody-can-prove")
    second.commit("mine/z.txt", who="a-name-nobody-can-prove")
    second.write("held/x.txt", "changed")
    second.git("commit", "-q", "-a", "-n", "-m", "change")
    refused = second.git("push", "--no-verify", "origin", "main", expect=1)
    assert blamed(refused) == ["held/x.txt"]
    server.bare.git("config", "--add", f"guard.{account()}.principal", "alice@laptop")
    second.git("push", "-q", "--no-verify", "origin", "main")


def account() -> str:
    from guard import system

    return system.account()


def test_what_is_pushed_is_judged_in_quarantine_and_never_leaks(server: Server) -> None:
    """git reads the new commits from where they wait; nothing of a refused push stays, and no ref is written."""
    objects = sorted(path for path in (server.bare.path / "objects").rglob("*") if path.is_file())
    done = server.play(COMMIT + "git push origin main")
    assert blamed(done) == ["held/x.txt"]
    assert sorted(path for path in (server.bare.path / "objects").rglob("*") if path.is_file()) == objects
    oid = server.clone.head()
    server.bare.git("cat-file", "-e", oid, expect=1)


QUARANTINE = ("GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")


def test_quarantine_variables_are_kept_for_the_git_that_lists_and_cleared_for_the_one_that_matches(
    server: Server, tmp_path: Path
) -> None:
    """In the repository in which git matches, none of the variables that say where a repository is may be set."""
    seen = tmp_path / "seen"
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (stubs / "git").write_text(
        f"#!/bin/sh\nPATH={os.environ['PATH']}\n"
        'case " $* " in *" log "*) w=log ;; *" check-ignore "*) w=match ;; *) w=other ;; esac\n'
        f'{{ echo "== $w"; env; }} >>{seen}\nexec git "$@"\n'
    )
    (stubs / "git").chmod(0o755)
    server.bare.git("config", "core.hooksPath", str(tmp_path / "wrapped"))
    (tmp_path / "wrapped").mkdir()
    hook = tmp_path / "wrapped/pre-receive"
    hook.write_text(f'#!/bin/sh\nPATH={stubs}:$PATH exec "{server.bare.path}/hooks/pre-receive" "$@"\n')
    hook.chmod(0o755)
    age(server.bare.path / "config")
    for _ in range(2):
        seen.unlink(missing_ok=True)
        assert server.play(FREE + "git push -q origin main").code == 0
    found = {part.split("\n")[0]: part for part in seen.read_text().split("== ")[1:]}
    assert set(found) == {"log", "match"}, "one git lists, one git matches"
    for name in QUARANTINE:
        assert f"\n{name}=" in found["log"]
        assert f"\n{name}=" not in found["match"]
    local = server.bare.git("rev-parse", "--local-env-vars").out.decode().split()
    given = {"GIT_DIR", "GIT_WORK_TREE", "GIT_NO_REPLACE_OBJECTS", "GIT_GRAFT_FILE"}  # guard's own
    for name in set(local) - given:
        assert f"\n{name}=" not in found["match"], name


def test_several_refusals_take_few_lines(server: Server) -> None:
    for number in range(12):
        server.reserve(f"/area{number}", holder=f"holder{number}", principal=f"x{number}@laptop")
    script = "make " + " ".join(f"area{number}/{name}.txt" for number in range(12) for name in "abc")
    done = server.play(script + "; git push origin main", GL_PROTOCOL="ssh", GL_USERNAME="bob")
    lines = remote_lines(done)
    assert done.code == 1 and 3 < len(lines) <= 10, done.text
    assert all(line.startswith("GL-HOOK-ERR: ") for line in lines)
    assert "36 paths" in done.text and "11 more reservations" in done.text
    assert "\x1b" not in done.text


def test_a_kept_hook_gets_its_standard_input_and_may_refuse(server: Server, tmp_path: Path) -> None:
    bare = server.bare
    bare.guard("uninstall")
    kept, got = bare.path / "hooks/pre-receive", tmp_path / "got"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(f'#!/bin/sh\n{{ cat; echo "$GIT_QUARANTINE_PATH"; }} >{got}\n! grep -q refs/heads/closed {got}\n')
    kept.chmod(0o755)
    before = kept.read_bytes()
    bare.git("config", "guard.project", server.project)
    bare.guard("install")
    first = server.clone.head()
    assert server.play(FREE + "git push -q origin main main:a").code == 0
    lines, quarantine = got.read_text().rsplit("\n", 2)[:2]
    new = server.clone.head()
    assert sorted(lines.split("\n")) == [f"{'0' * 40} {new} refs/heads/a", f"{first} {new} refs/heads/main"]
    assert quarantine, "it sees the new objects, too"
    assert server.play("git push -q origin main:closed").code == 1
    got.unlink()
    assert blamed(server.play(COMMIT + "git push -q origin main")) == ["held/x.txt"]
    assert not got.exists(), "what guard refuses, no other hook acts on"
    bare.guard("uninstall")
    assert kept.read_bytes() == before
    assert [path.name for path in kept.parent.iterdir()] == ["pre-receive"]


def test_what_is_deleted_is_recorded_and_not_judged(server: Server) -> None:
    server.play("git push -q origin main:topic; git push -q origin main:other")
    assert server.play("git push -q origin :topic").code == 0
    assert server.log()[-1] == ("deleted", account(), f"refs/heads/topic (was {server.clone.head()[:12]})")
    server.store.rename(server.store.with_suffix(".away"))
    done = server.play("git push origin :other")
    assert done.code == 0 and "not recorded" in done.text, done.text


def test_nothing_that_the_pusher_has_set_counts(server: Server, tmp_path: Path, hermetic: Path) -> None:
    own = {"GUARD_MODE": "off", "GUARD_SKIP": "1", "GUARD_DB": str(tmp_path / "own.db"), "GUARD_PROJECT": "other"}
    server.clone.git("config", "--global", "guard.mode", "off")
    server.clone.git("config", "--global", "guard.db", str(tmp_path / "own.db"))
    done = server.play(COMMIT + "git push origin main", **own, GUARD_AGENT="alice", GUARD_ON_ERROR="allow")
    assert blamed(done) == ["held/x.txt"], done.text


@pytest.mark.parametrize("value", ["warn", "off"])
def test_the_servers_own_mode_counts(server: Server, value: str) -> None:
    server.bare.git("config", "guard.mode", value)
    done = server.play(COMMIT + "git push origin main")
    assert done.code == 0 and ("this push goes through" in done.text) == (value == "warn"), done.text


# When guard cannot tell


def test_without_its_store_it_refuses_and_says_what_to_do(server: Server) -> None:
    server.store.rename(server.store.with_suffix(".away"))
    done = server.play(FREE + "git push origin main")
    lines = remote_lines(done)
    assert done.code == 1 and "cannot tell" in done.text and str(server.store) in done.text, done.text
    assert len(lines) <= 10 and "GUARD_SKIP" not in done.text
    around = next(line for line in lines if "around:" in line).partition("around:")[2].partition("(")[0]
    assert server.play(around).code == 0
    done = server.play("git push origin main")
    assert done.code == 0 and "NOT JUDGED, and let through" in done.text, done.text


def test_an_account_that_has_a_store_of_its_own_is_not_judged_by_it(server: Server) -> None:
    """Where it is not noted, another account's own store, which is empty, would let everything pass."""
    (server.bare.path / "guard/store").unlink()
    (server.bare.path / "guard/default-store").unlink()
    done = server.play(COMMIT + "git push origin main")
    assert done.code == 1 and "not noted" in done.text, done.text


def test_a_python_that_is_gone_does_not_let_anything_pass(server: Server) -> None:
    with no_python(server.bare):
        done = server.play(COMMIT + "git push origin main", PATH="/usr/bin:/bin")
        assert done.code == 1 and "cannot tell" in done.text and "GUARD_SKIP" not in done.text, done.text
        server.bare.git("config", "guard.onError", "allow")
        done = server.play("git push origin main", PATH="/usr/bin:/bin")
        assert done.code == 0 and "NOT JUDGED" in done.text, done.text


def test_git_that_takes_too_long_is_given_up(server: Server, tmp_path: Path) -> None:
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (stubs / "git").write_text(
        f'#!/bin/sh\nPATH={os.environ["PATH"]}\ncase " $* " in *" log "*) exec sleep 60 ;; esac\nexec git "$@"\n'
    )
    (stubs / "git").chmod(0o755)
    inner, hook = tmp_path / "inner", server.bare.path / "hooks/pre-receive"
    inner.mkdir()
    hook.rename(inner / "pre-receive")
    hook.write_text(f'#!/bin/sh\nPATH={stubs}:$PATH exec "{inner}/pre-receive"\n')
    hook.chmod(0o755)
    began = time.monotonic()
    server.play(FREE)
    done = server.clone.git("push", "origin", "main", expect=1)
    assert "no verdict was reached within 3 s" in done.text, done.text
    assert time.monotonic() - began < 50, "git would have taken 60 s"


# Installing


def test_status_says_what_is_in_force(server: Server) -> None:
    answer = server.bare.guard("status", "--check", "--json").json()
    assert [event["event"] for event in answer["events"] if event["in_force"]] == ["pre-receive"]
    assert answer["in_force"] and answer["project"] == server.project
    said = server.bare.guard("status").text
    assert "in force: pre-receive" in said and server.project in said
    (server.bare.path / "hooks/pre-receive").chmod(0o644)
    assert "not executable" in server.bare.guard("status", "--check", expect=1).text


def test_install_says_what_the_project_is_called(tmp_path: Path) -> None:
    bare = Repository(tmp_path / "shop.git")
    bare.path.mkdir()
    bare.git("init", "-q", "--bare")
    assert f"The project is {tmp_path}/shop" in bare.guard("install").text
    again = bare.guard("install").text
    assert f"only reservations in the project {tmp_path}/shop count here" in again, "the second time too"
    assert sorted(path.name for path in (bare.path / "hooks").iterdir() if path.suffix != ".sample") == ["pre-receive"]
    assert bare.guard("uninstall").code == 0
    assert not [path for path in (bare.path / "hooks").iterdir() if path.suffix != ".sample"]
    assert not (bare.path / "guard").exists()


def test_with_worktrees_linked_to_it_commits_are_judged_too(server: Server, tmp_path: Path) -> None:
    server.bare.git("worktree", "add", "-q", str(tmp_path / "linked"), "main")
    server.bare.guard("install")
    names = {event["event"] for event in server.bare.guard("status", "--json").json()["events"]}
    assert names == {"pre-commit", "pre-merge-commit", "pre-push", "pre-receive"}
    Repository(tmp_path / "linked").guard("install")
    assert (server.bare.path / "hooks/pre-receive").exists()


GITEA = """#!/usr/bin/env bash
# AUTO GENERATED BY GITEA, DO NOT MODIFY
data=$(cat)
exitcodes=""
hookname=$(basename $0)
GIT_DIR=${GIT_DIR:-$(dirname $0)/..}
for hook in ${GIT_DIR}/hooks/${hookname}.d/*; do
  test -x "${hook}" && test -f "${hook}" || continue
  echo "${data}" | "${hook}"
  exitcodes="${exitcodes} $?"
done
for i in ${exitcodes}; do [ ${i} -eq 0 ] || exit ${i}; done
"""


@pytest.mark.parametrize("forge", ["gitea", "gitlab"])
def test_where_a_forge_runs_a_directory_of_hooks_it_gets_guards(server: Server, forge: str) -> None:
    """The forge's own hook, or the program that GitLab starts instead, is played by a script that does what it does."""
    bare = server.bare
    bare.guard("uninstall")
    bare.git("config", "guard.project", server.project)
    (bare.path / "hooks").mkdir(exist_ok=True)
    directory = bare.path / ("hooks/pre-receive.d" if forge == "gitea" else "custom_hooks/pre-receive.d")
    directory.mkdir(parents=True)
    forges = bare.path / "hooks/pre-receive"
    forges.write_text(GITEA if forge == "gitea" else GITEA.replace("/hooks/", "/custom_hooks/"))
    forges.chmod(0o755)
    assert str(directory / "guard") in bare.guard("install").text
    assert bare.guard("status", "--check", "--json").json()["in_force"]
    done = server.play(COMMIT + "git push origin main", GITEA_PUSHER_NAME="bob", GITEA_PUSH_TRIGGER="push")
    assert blamed(done) == ["held/x.txt"] and "You push as bob" in done.text, done.text
    bare.git("config", "--add", "guard.bob.principal", "alice@laptop")
    assert server.play("git push -q origin main", GITEA_PUSHER_NAME="bob").code == 0
    bare.guard("uninstall")
    assert list(directory.iterdir()) == []


def test_the_hook_can_be_called_from_a_hook_of_ones_own(server: Server) -> None:
    hook = server.bare.path / "hooks/pre-receive"
    hook.unlink()
    hook.write_text(f"#!/bin/sh\nPYTHONPATH={PACKAGE} python3 -m guard hook pre-receive\n")
    hook.chmod(0o755)
    import sys

    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    assert blamed(server.play(COMMIT + "git push origin main", PATH=path)) == ["held/x.txt"]
    assert server.play("git reset -q --hard HEAD~1; make free.txt; git push -q origin main", PATH=path).code == 0
