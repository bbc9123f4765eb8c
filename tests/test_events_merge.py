"""A merge is judged by what it changes that no parent has: carrying in what others finished is not editing it.

alice holds ``held`` and worked on the branch ``hers``; bob merges. Each row's script ends with the command judged.
"""

from __future__ import annotations

import pytest

from tests.support.event_cases import Case, check
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

CLEAN = [
    Case("their work is carried in", "git merge hers", quick=False),
    Case("other work is carried in", "git merge third"),
    Case("their work is carried in, with --no-ff", "git checkout -q main; git merge --no-ff hers", quick=False),
    Case("fast-forward, which has no hook", "git checkout -q main; git merge hers"),
    Case("up to date", "git merge main"),
    Case("in two steps", "git merge --no-commit hers; git commit -m m"),
    Case("in two steps, with --continue", "git merge --no-commit hers; GIT_EDITOR=: git merge --continue"),
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
    Case("of several branches, in two steps", "git merge --no-commit hers third; git commit -m m"),
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
    Case("with a strategy that keeps ours", "git merge -s ours hers"),
    Case(
        "a conflict elsewhere",
        "change hers free.txt; git checkout -q mine; git merge hers || echo both >free.txt; "
        "git add -A; git commit -m m",
    ),
    Case(
        "a conflict in a held file, theirs taken",
        "change mine held/x.txt; git merge hers || git checkout -q --theirs held/x.txt; git add -A; git commit -m m",
        quick=False,
    ),
    Case(
        "a conflict in a held file, ours taken",
        "change mine held/x.txt; git merge hers || git checkout -q --ours held/x.txt; git add -A; git commit -m m",
        quick=False,
    ),
    Case(
        "nobody else's file is changed in between",
        "git merge --no-commit hers; echo new >src/b.py; git add -A; git commit -m m",
    ),
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
