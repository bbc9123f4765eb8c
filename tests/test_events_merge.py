"""A merge is judged by what it changes that no parent has: carrying in what others finished is not editing it.

alice holds ``held`` and worked on the branch ``hers``; bob merges. Each row's script ends with the command judged.
"""

from __future__ import annotations

import re

import pytest

from tests.support.event_cases import Case, check, play
from tests.support.stage import Stage

BRANCHES = """
change() { # BRANCH FILE [TEXT]: a commit on a branch, by whoever, unjudged
    git checkout -q "$1"
    echo "${3-by $1}" >"$2"
    git add -A
    git commit -qnm "$1 changes $2"
}
git branch hers
git branch mine
git branch third
change hers held/x.txt
change hers held/new
change third src/b.py
change mine free.txt
"""

CONFLICT = "change mine held/x.txt"
TAKEN = f"{CONFLICT}; git merge hers || git checkout -q"
TWO = ["held/new", "held/x.txt"]

CLEAN = [
    Case("their work is carried in", "git merge hers", quick=False),
    Case("other work is carried in", "git merge third"),
    Case("their work is carried in, with --no-ff", "git checkout -q main; git merge --no-ff hers", quick=False),
    Case("fast-forward, which has no hook", "git checkout -q main; git merge hers"),
    Case("up to date", "git merge main"),
    Case("in two steps", "git merge --no-commit hers; git commit -m m", quick=False),
    Case("in two steps, with --continue", "git merge --no-commit hers; GIT_EDITOR=: git merge --continue", quick=False),
    Case("of an annotated tag", "git tag -m tag v1 hers; git merge v1", quick=False),
    Case("of an oid", "git merge $(git rev-parse hers)", quick=False),
    Case("on a detached head", "git checkout -q --detach; git merge hers", quick=False),
    Case("of several branches", "git merge hers third", quick=False),
    Case(
        "of several branches, one in another",
        "git checkout -q -b more hers; git checkout -q mine; "
        "change more src/b.py; git checkout -q mine; git merge hers more",
        quick=False,
    ),
    Case("of several branches, in two steps", "git merge --no-commit hers third; git commit -m m", quick=False),
    Case(
        "they deleted",
        "git checkout -q hers; git rm -qr held; git commit -qnm m; git checkout -q mine; git merge hers",
        quick=False,
    ),
    Case(
        "they renamed",
        "git checkout -q hers; git mv held/deep held/low; git commit -qnm m; git checkout -q mine; git merge hers",
        quick=False,
    ),
    Case(
        "unrelated histories",
        "git checkout -q --orphan root hers; git rm -qrf .; echo new >other; mkdir held; "
        "echo new >held/other; git add -A; git commit -qnm m; git checkout -q mine; "
        "git merge --allow-unrelated-histories root",
        quick=False,
    ),
    Case(
        "a conflict elsewhere",
        "change hers free.txt; git checkout -q mine; git merge hers || echo both >free.txt; "
        "git add -A; git commit -m m",
        quick=False,
    ),
    Case(
        "nobody else's file is changed in between",
        "git merge --no-commit hers; echo new >src/b.py; git add -A; git commit -m m",
        quick=False,
    ),
]

DROPS = [
    # what, script, the held paths in which a change is lost
    ("a strategy that keeps ours", "git merge -s ours hers", ["held/new", "held/x.txt"]),
    ("a strategy that keeps ours, in two steps", "git merge -s ours --no-commit hers; git commit -m m", TWO),
    ("an option that keeps ours in conflicts", f"{CONFLICT}; git merge -X ours hers", ["held/x.txt"]),
    (
        "an option that keeps ours in conflicts, and nothing else of theirs is held",
        f"git checkout -q hers; git rm -q held/new; git commit -qnm m; change hers src/b.py; {CONFLICT}; "
        "git merge -X ours hers",
        ["held/x.txt"],
    ),
    (
        "a driver that keeps ours",
        f"git checkout -q hers; git rm -q held/new; git commit -qnm m; change hers src/b.py; {CONFLICT}; "
        "git config merge.ours.driver true; mkdir -p .git/info; "
        "echo 'held/x.txt merge=ours' >.git/info/attributes; git merge hers",
        ["held/x.txt"],
    ),
    ("an option that takes theirs in conflicts", f"{CONFLICT}; git merge -X theirs hers", ["held/x.txt"]),
    ("a conflict, ours taken", f"{TAKEN} --ours held/x.txt; git add -A; git commit -m m", ["held/x.txt"]),
    ("a conflict, theirs taken", f"{TAKEN} --theirs held/x.txt; git commit -am m", ["held/x.txt"]),
    ("a file put back", "git merge --no-commit hers; git checkout HEAD held/x.txt; git commit -m m", ["held/x.txt"]),
    ("a file taken out", "git merge --no-commit hers; git rm -qf held/new; git commit -m m", ["held/new"]),
    ("everything of theirs", f"{CONFLICT}; git merge hers || git checkout hers .; git commit -am m", TWO[1:]),
    (
        "a deletion undone",
        "git checkout -q hers; git rm -q held/deep/y.txt; git commit -qnm m; git checkout -q mine; "
        "git merge --no-commit hers; git checkout HEAD held/deep/y.txt; git commit -m m",
        ["held/deep/y.txt"],
    ),
]

OCTOPUS = [
    # what, script, the held paths in which a change is lost
    ("a strategy that keeps ours", "git merge -s ours hers third", TWO),
    ("a file of one of them is put back", "git merge --no-commit hers third; git checkout HEAD held/x.txt", TWO[1:]),
    ("a file of one of them is taken out", "git merge --no-commit third hers; git rm -qf held/new", TWO[:1]),
    (
        "one of two who changed it is taken",
        "git branch more main; change more held/deep/y.txt; change hers held/deep/y.txt theirs; git checkout -q mine; "
        "git merge --no-commit -s ours hers third more; git checkout hers -- held",
        ["held/deep/y.txt"],
    ),
]

BY_HAND = [
    # A MERGE_HEAD that git merge has not written: what is taken from there that was HEAD's before is a change.
    Case("HEAD itself", "echo evil >held/x.txt; git rev-parse HEAD >.git/MERGE_HEAD", ["held/x.txt"]),
    Case(
        "an ancestor, whose version is taken",
        "git merge -q --no-verify hers; git rev-parse main >.git/MERGE_HEAD; git checkout -q main -- held/x.txt",
        ["held/x.txt"],
    ),
    Case(
        "an ancestor, as if without fast-forward",
        "git merge -q --no-verify hers; git rev-parse main >.git/MERGE_HEAD; printf no-ff >.git/MERGE_MODE; "
        "git checkout -q main -- held/x.txt",
        ["held/x.txt"],
    ),
    Case(
        "several ancestors",
        "git merge -q --no-verify hers; git rev-parse main mine >.git/MERGE_HEAD; git checkout -q main -- held/x.txt",
        ["held/x.txt"],
    ),
    Case(
        "a descendant, which becomes the only parent",
        "git checkout -q main; git rev-parse hers >.git/MERGE_HEAD; git read-tree hers; "
        "git update-index --cacheinfo 100644,$(git rev-parse main:held/x.txt),held/x.txt",
        ["held/x.txt"],
    ),
    Case("no commit at all", "echo evil >held/x.txt; git rev-parse HEAD^{tree} >.git/MERGE_HEAD", ["held/x.txt"]),
    Case("an oid of nothing", f"echo evil >held/x.txt; echo {'1' * 40} >.git/MERGE_HEAD", ["held/x.txt"]),
]

EVIL = [
    Case(
        "a held file is changed in between",
        "git merge --no-commit hers; echo evil >held/deep/y.txt; git add -A; git commit -m m",
        ["held/deep/y.txt"],
    ),
    Case(
        "a held file that is carried in is changed in between",
        "git merge --no-commit hers; echo evil >held/x.txt; git commit -am m",
        ["held/x.txt"],
    ),
    Case(
        "a held file is added in between",
        "git merge --no-commit hers; echo evil >held/evil; git add -A; git merge --continue",
        ["held/evil"],
    ),
    Case(
        "a held file is deleted in between",
        "git merge --no-commit hers; git rm -q held/deep/y.txt; git commit -m m",
        ["held/deep/y.txt"],
    ),
    Case(
        "a held file is made executable in between",
        "git merge --no-commit hers; chmod +x held/x.txt; git commit -am m",
        ["held/x.txt"],
    ),
    Case(
        "a merge that has nothing to do with it",
        "git merge --no-commit third; echo evil >held/x.txt; git commit -am m",
        ["held/x.txt"],
    ),
    Case(
        "a conflict in a held file is resolved anew",
        "change mine held/x.txt; git merge hers || echo evil >held/x.txt; git add -A; git commit -m m",
        ["held/x.txt"],
    ),
    Case(
        "a conflict elsewhere, and a held file is changed",
        "change hers free.txt; git checkout -q mine; "
        "git merge hers || echo both >free.txt; echo evil >held/deep/y.txt; git commit -am m",
        ["held/deep/y.txt"],
    ),
    Case(
        "a held file is put together from both sides",
        'change main held/long "$(seq 9)"; git branch -f hers; git branch -f mine; '
        'change hers held/long "$(seq 8; echo end)"; change mine held/long "$(echo start; seq 2 9)"; git merge hers',
        ["held/long"],
    ),
    Case(
        "several branches",
        "git merge --no-commit hers third; echo evil >held/deep/y.txt; git commit -am m",
        ["held/deep/y.txt"],
    ),
    Case(
        "several branches, and what only one of them has is changed",
        "git merge --no-commit third hers; echo evil >held/new; git commit -am m",
        ["held/new"],
    ),
    Case(
        "amended afterwards",
        "git merge -q --no-verify hers; echo evil >held/x.txt; git commit -a --amend -m m",
        ["held/x.txt"],
    ),
    Case(
        "on a detached head",
        "git checkout -q --detach; git merge --no-commit hers; echo evil >held/x.txt; git commit -am m",
        ["held/x.txt"],
    ),
    Case(
        "a revert of a merge, judged as any commit",
        "git merge -q --no-verify hers; git revert -n -m 1 HEAD; git commit -m m",
        ["held/new", "held/x.txt"],
    ),
    Case("squashed, judged as any commit", "git merge --squash hers; git commit -m m", ["held/new", "held/x.txt"]),
]

PULLS = [
    Case("merging", "git pull --no-rebase --no-edit origin hers", quick=False),
    Case("fast-forwarding", "git checkout -q main; git pull --ff-only origin hers"),
    Case("rebasing, which has no hook", "git pull --rebase origin hers"),
    Case("several branches", "git pull --no-rebase --no-edit origin hers third", quick=False),
    Case(
        "squashing, and then commit",
        "git pull --no-rebase --squash origin hers; git commit -m m",
        ["held/new", "held/x.txt"],
    ),
    Case(
        "stopping, and a held file is changed",
        "git pull --no-rebase --no-commit origin hers; echo evil >held/x.txt; git commit -am m",
        ["held/x.txt"],
    ),
]


def before(case: Case, script: str) -> Case:
    return Case(case.what, script + case.script, case.refused, quick=case.quick)


@pytest.mark.parametrize("case", CLEAN, ids=str)
def test_a_merge_nobody_minds(stage: Stage, case: Case) -> None:
    check(stage.repository, before(case, BRANCHES))


@pytest.mark.parametrize("case", EVIL, ids=str)
def test_a_merge_that_changes_what_is_held(stage: Stage, case: Case) -> None:
    check(stage.repository, before(case, BRANCHES))


@pytest.mark.parametrize(("what", "script", "lost"), DROPS)
def test_a_merge_that_drops_a_change_is_told_and_recorded(
    stage: Stage, what: str, script: str, lost: list[str]
) -> None:
    """It is not refused: one may have the right to. But silence would mean that nothing is lost."""
    done = play(stage.repository, BRANCHES + script)
    assert done.code == 0, done.text
    told = re.findall(r"it drops what Nobody changed in (\S+) \(git show ([0-9a-f]{12})\)", done.text)
    assert [path for path, _ in told] == lost, done.text
    for path, commit in told:
        assert path in stage.repository.git("show", "--name-only", "--format=", commit).out.decode().split()
    log = stage.repository.guard("log", "--json", who="bob").json()["log"]
    assert [(entry["event"], entry["whose"]) for entry in log if entry["event"] != "reserved"] == [("dropped", "alice")]


@pytest.mark.parametrize(("what", "script", "lost"), OCTOPUS)
def test_a_merge_of_several_that_drops_a_change_is_told(stage: Stage, what: str, script: str, lost: list[str]) -> None:
    done = play(stage.repository, BRANCHES + "git checkout -q mine; " + script)
    if (stage.repository.git_dir / "MERGE_HEAD").exists():
        done = play(stage.repository, "git commit -m m")
    assert done.code == 0, done.text
    assert sorted(set(re.findall(r"it drops what Nobody changed in (\S+) ", done.text))) == lost, done.text


@pytest.mark.parametrize("case", BY_HAND, ids=str)
def test_a_merge_head_that_was_written_by_hand_excuses_nothing(stage: Stage, case: Case) -> None:
    stage_all = "" if "read-tree" in case.script else "git add -A; "
    script = f"{BRANCHES}git checkout -q mine; {case.script}; {stage_all}git commit -m m"
    check(stage.repository, Case(case.what, script, case.refused))


@pytest.mark.parametrize("script", ["git merge -s ours third", "change mine src/b.py; git merge -X ours third"])
def test_a_merge_that_drops_what_nobody_holds_is_not_mentioned(stage: Stage, script: str) -> None:
    check(stage.repository, Case("", BRANCHES + script))


@pytest.mark.parametrize("case", PULLS, ids=str)
def test_pull(stage: Stage, case: Case) -> None:
    clone = (
        "git clone -q --bare . $HOME/remote.git; git branch -qD hers third; git remote add origin $HOME/remote.git; "
    )
    check(stage.repository, before(case, BRANCHES + clone))


@pytest.mark.parametrize("case", [CLEAN[0], CLEAN[5], CLEAN[-2], EVIL[0], EVIL[1], EVIL[6], EVIL[9]], ids=str)
def test_in_a_linked_worktree(stage: Stage, case: Case) -> None:
    script = BRANCHES + "git checkout -q main; git worktree add -q $HOME/linked mine; cd $HOME/linked; "
    check(stage.repository, before(Case(case.what, case.script, case.refused, quick=False), script))


@pytest.mark.parametrize("name", ["GITHEAD_" + "1" * 40, "GITHEAD_x", "GITHEAD_"])
def test_within_the_hook_of_another_repositorys_merge(stage: Stage, name: str) -> None:
    """git merge tells its hooks what it merges by variables, which their own git commands inherit."""
    check(stage.repository, Case(name, BRANCHES + f"env {name}=topic git merge --no-edit hers", quick=False))
