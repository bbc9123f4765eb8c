"""A push is judged commit by commit: each one sent that the remote does not have, whatever ref it is sent by.

alice holds ``held``; bob pushes to ``origin``; a colleague's clone pushes there too, past everybody. Each row's script
ends with the push that is judged, and notes the guilty commits as it makes them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.event_cases import Case, blamed_commits, check, play, settle
from tests.support.repositories import Repository
from tests.support.stage import Stage

SETTING = r"""
remote=$HOME/remote.git
colleague=$HOME/colleague
make() { # FILE [TEXT]: a commit, unjudged
    echo "${2-new}" >"$1"
    git add -A
    git commit -qnm "some change of $1"
}
guilty() { # the commits that will be named: HEAD, or as told
    [ $# -gt 0 ] || set HEAD
    git rev-parse "$@" >>$HOME/guilty
}
theirs() { # FILE [TEXT]: the colleague pushes a change of it
    git -C $colleague pull -q
    (cd $colleague && make "$1" "${2-theirs}" && git push -q)
}
"""

CLEAR = [
    Case("a free commit", "make free.txt; git push origin main"),
    Case("a new branch", "git checkout -qb new; make free.txt; git push origin new"),
    Case("a new branch of nothing new", "git push origin main:refs/heads/new"),
    Case("nothing to push", "git push origin main"),
    Case("nothing to push, and nothing else", "git push origin --tags"),
    Case("a held commit, on another branch", "git checkout -qb new; make held/x.txt; git push origin main"),
    Case("a held change that is not committed", "echo new >held/x.txt; git add -A; git push origin main"),
    Case("a ref is deleted", "git push -q --no-verify origin main:old; git push origin --delete old"),
    Case(
        "a ref is deleted that held changes were on",
        "git checkout -qb old; make held/x.txt; git push -q --no-verify origin old; git checkout -q main; "
        "git branch -qD old; git push origin :old",
    ),
    Case("a ref that is not there is deleted", "git push origin :refs/heads/nowhere"),
    Case(
        "a ref is deleted and another pushed",
        "git push -q --no-verify origin main:old; make free.txt; git push origin :old main",
    ),
    Case("a tag of what is there", "git tag v1; git push origin v1"),
    Case("an annotated tag, and a tag of that", "git tag -m m v1; git tag -m m v2 v1; git push origin v1 v2"),
    Case("a tag of a tree", "git tag v1 HEAD^{tree}; git tag -m m v2 v1; git push origin v1 v2"),
    Case("a tag of a blob", "git tag v1 HEAD:held/x.txt; git tag -m m v2 v1; git push origin v1 v2"),
    Case("a tag of a free commit", "make free.txt; git tag -m m v1; git reset -q --hard HEAD^; git push origin v1"),
    Case("all branches", "make free.txt; git branch other; git push origin --all"),
    Case("everything, as a mirror", "make free.txt; git tag v1; git branch other; git push --mirror origin"),
    Case("tags that follow", "make free.txt; git tag -m m v1; git push --follow-tags origin main"),
    Case("from a detached head", "git checkout -q --detach; make free.txt; git push origin HEAD:refs/heads/new"),
    Case("a commit named by its message", "make free.txt; git push origin ':/some change of:refs/heads/new'"),
    Case("an oid", "make free.txt; git push origin $(git rev-parse HEAD):refs/heads/new"),
    Case("a root commit", "git checkout -q --orphan new; git rm -qrf held; git commit -qnm m; git push origin new"),
    Case("forced over an unknown tip", "theirs held/x.txt; make free.txt; git push --force origin main"),
    Case(
        "forced over a known tip",
        "make free.txt; git push -q --no-verify origin main; git commit -q --amend -nm m; git push --force origin main",
    ),
    Case("rewound", "make held/x.txt; git push -q --no-verify origin main; git push -f origin main^:main"),
    Case("to its address", "make free.txt; git push $remote main"),
    Case(
        "to an address nobody has a name for",
        "git clone -q --bare . $HOME/copy.git; make free.txt; git push $HOME/copy.git main",
    ),
    Case(
        "a name with its own address to push to",
        "git clone -q --bare . $HOME/copy.git; git remote set-url --push origin $HOME/copy.git; make free.txt; "
        "git push origin main",
        quick=False,
    ),
    Case(
        "several addresses at once",
        "git clone -q --bare . $HOME/copy.git; git remote set-url --add --push origin $HOME/copy.git; "
        "git remote set-url --add --push origin $remote; make free.txt; git push origin main",
        quick=False,
    ),
    Case("dry", "make free.txt; git push --dry-run origin main"),
    Case("past the hook", "make held/x.txt; git push --no-verify origin main"),
    Case("a note", "git notes add -m held HEAD; git push origin refs/notes/commits"),
    Case("an empty commit", "git commit -q --allow-empty -nm m; git push origin main"),
    Case("from a subdirectory", "make free.txt; cd src/auth; git push origin main"),
    Case("from elsewhere", "make free.txt; cd /; git -C $REPOSITORY/src push origin main"),
    Case("from elsewhere, with --git-dir", "make free.txt; cd /; git --git-dir=$REPOSITORY/.git push origin main"),
    Case("from elsewhere, with GIT_DIR", "make free.txt; cd ..; GIT_DIR=repository/.git git push origin main"),
    Case(
        "to a remote of a name with a slash",
        "git remote rename -q origin team/main 2>/dev/null || "
        "git remote rename origin team/main; make free.txt; git push team/main main",
        quick=False,
    ),
]

OTHERS_WORK = [
    Case("merged", "theirs held/x.txt; make free.txt; git pull -q --no-rebase --no-edit; git push", quick=False),
    Case("merged, and nothing of mine", "theirs held/x.txt; git pull -q; git push"),
    Case("rebased onto", "theirs held/x.txt; make free.txt; git pull -q --rebase; git push"),
    Case(
        "merged into a new branch",
        "theirs held/x.txt; git fetch -q; git checkout -qb new; make free.txt; "
        "git merge -q --no-verify --no-edit origin/main; git push origin new",
        quick=False,
    ),
    Case(
        "rebased onto, in a new branch",
        "theirs held/x.txt; git fetch -q; git checkout -qb new; make free.txt; "
        "git rebase -q origin/main; git push origin new",
    ),
    Case(
        "fetched from the address, and merged",
        "theirs held/x.txt; make free.txt; git pull -q --no-rebase --no-edit $remote main; git push",
        quick=False,
    ),
    Case(
        "merged without being tracked",
        "theirs held/x.txt; make free.txt; git pull -q --no-rebase --no-edit; "
        "git update-ref -d refs/remotes/origin/main; git push origin main",
        quick=False,
    ),
    Case(
        "merged, and pushed to the address",
        "theirs held/x.txt; make free.txt; git pull -q --no-rebase --no-edit; git push $remote main",
        quick=False,
    ),
    Case(
        "in a new branch pushed to the address",
        "theirs held/x.txt; git pull -q; git checkout -qb new; make free.txt; git push $remote new",
        quick=False,
    ),
    Case(
        "in a new branch pushed to a shortened address",
        "git config url.$HOME/.insteadOf home:; theirs held/x.txt; "
        "git pull -q; git checkout -qb new; make free.txt; git push home:remote.git new",
        quick=False,
    ),
    Case(
        "in a new branch pushed to the address it is pushed to by name",
        "theirs held/x.txt; git pull -q; git remote set-url origin $HOME/nowhere.git; "
        "git remote set-url --push origin $remote; git checkout -qb new; make free.txt; git push $remote new",
        quick=False,
    ),
    Case("in a tag", "theirs held/x.txt; git pull -q; git tag -m m v1; git push origin v1"),
    Case(
        "while they went on",
        "theirs held/x.txt; git pull -q; theirs held/x.txt again; git checkout -qb new; make free.txt; "
        "git push origin new",
    ),
    Case(
        "on the branch that is replaced",
        "theirs held/x.txt; git pull -q; git checkout -qb new HEAD^; make free.txt; git push --force origin new:main",
    ),
]

REFUSED = [
    Case("a held commit", "make held/x.txt; guilty; git push origin main", ["held/x.txt"]),
    Case(
        "a held commit below others",
        "make held/x.txt; guilty; make free.txt; make src/b.py; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "a held commit that was taken back",
        "make held/x.txt; guilty; git revert --no-edit HEAD; guilty; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "several held commits",
        "make held/x.txt; guilty; make free.txt; make held/deep/y.txt; guilty; git push origin main",
        ["held/deep/y.txt", "held/x.txt"],
    ),
    Case(
        "a deletion and a rename",
        "git mv held/x.txt x.txt; git rm -q held/deep/y.txt; git commit -qnm m; guilty; git push origin main",
        ["held/deep/y.txt", "held/x.txt"],
    ),
    Case(
        "a change of mode",
        "git update-index --chmod=+x held/x.txt; git commit -qnm m; guilty; git push origin main",
        ["held/x.txt"],
    ),
    Case("a new branch", "git checkout -qb new; make held/x.txt; guilty; git push origin new", ["held/x.txt"]),
    Case(
        "only the second ref",
        "git branch fine; git checkout -qb new; make held/x.txt; guilty; git push origin main:fine fine:fine2 new",
        ["held/x.txt"],
    ),
    Case(
        "only the first ref",
        "git branch zfine; git checkout -qb new; make held/x.txt; guilty; git push origin new zfine",
        ["held/x.txt"],
    ),
    Case(
        "a ref beside one that is deleted",
        "git push -q --no-verify origin main:old; make held/x.txt; guilty; git push origin :old main",
        ["held/x.txt"],
    ),
    Case("two refs with the same commit", "make held/x.txt; guilty; git push origin main main:new", ["held/x.txt"]),
    Case("a tag", "make held/x.txt; guilty; git tag v1; git reset -q --hard HEAD^; git push origin v1", ["held/x.txt"]),
    Case(
        "an annotated tag",
        "make held/x.txt; guilty; git tag -m m v1; git reset -q --hard HEAD^; git push origin v1",
        ["held/x.txt"],
    ),
    Case(
        "a tag of a tag",
        "make held/x.txt; guilty; git tag -m m v1; git tag -m m v2 v1; git reset -q --hard HEAD^; git push origin v2",
        ["held/x.txt"],
    ),
    Case(
        "all branches",
        "git branch old; make held/x.txt; guilty; git checkout -q old; git push --all origin",
        ["held/x.txt"],
    ),
    Case(
        "all tags",
        "make held/x.txt; guilty; git tag v1; git reset -q --hard HEAD^; git push --tags origin",
        ["held/x.txt"],
    ),
    Case(
        "everything, as a mirror",
        "git checkout -q --detach; make held/x.txt; guilty; git update-ref refs/odd/one HEAD; git push --mirror origin",
        ["held/x.txt"],
    ),
    Case(
        "tags that follow",
        "make held/x.txt; guilty; git tag -m m v1; git push --follow-tags origin main",
        ["held/x.txt"],
    ),
    Case("dry", "make held/x.txt; guilty; git push --dry-run origin main", ["held/x.txt"]),
    Case("all or none", "git branch fine; make held/x.txt; guilty; git push --atomic origin main fine", ["held/x.txt"]),
    Case(
        "forced over an unknown tip",
        "theirs held/deep/y.txt; make held/x.txt; guilty; git push --force origin main",
        ["held/x.txt"],
    ),
    Case("forced with a lease", "make held/x.txt; guilty; git push --force-with-lease origin main", ["held/x.txt"]),
    Case("to its address", "make held/x.txt; guilty; git push $remote main", ["held/x.txt"]),
    Case("to its address, written otherwise", "make held/x.txt; guilty; git push file://$remote main", ["held/x.txt"]),
    Case("to a relative address", "make held/x.txt; guilty; git push ../home/remote.git main", ["held/x.txt"]),
    Case(
        "to an address nobody has a name for",
        "git clone -q --bare . $HOME/copy.git; make held/x.txt; guilty; git push $HOME/copy.git main:main",
        ["held/x.txt"],
    ),
    Case(
        "to a second remote",
        "git clone -q --bare . $HOME/copy.git; git remote add second $HOME/copy.git; "
        "git fetch -q second; make held/x.txt; guilty; git push second main",
        ["held/x.txt"],
    ),
    Case(
        "to a second remote that lacks what the first has",
        "git clone -q --bare . $HOME/copy.git; git remote add second $HOME/copy.git; git fetch -q second; "
        "make held/x.txt; guilty; git push -q --no-verify origin main; git push second main",
        ["held/x.txt"],
    ),
    Case(
        "several addresses at once",
        "git clone -q --bare . $HOME/copy.git; git remote set-url --add --push origin $HOME/copy.git; "
        "git remote set-url --add --push origin $remote; make held/x.txt; guilty; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "from a detached head",
        "git checkout -q --detach; make held/x.txt; guilty; git push origin HEAD:refs/heads/new",
        ["held/x.txt"],
    ),
    Case(
        "a commit named by its message",
        "make held/x.txt; guilty; make free.txt; git push origin ':/some change of held:refs/heads/new'",
        ["held/x.txt"],
    ),
    Case("an oid", "make held/x.txt; guilty; git push origin $(git rev-parse HEAD):refs/heads/new", ["held/x.txt"]),
    Case(
        "a root commit",
        "git checkout -q --orphan new; git commit -qnm m; guilty; git push origin new",
        ["held/deep/y.txt", "held/x.txt"],
    ),
    Case(
        "a stash",
        "echo new >held/x.txt; git stash -q; guilty stash; git push origin refs/stash:refs/heads/stash",
        ["held/x.txt"],
    ),
    Case(
        "cherry-picked",
        "git checkout -qb hers; make held/x.txt; git checkout -q main; make free.txt; "
        "git cherry-pick hers; guilty; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "rebased",
        "theirs free.txt; make held/x.txt; git pull -q --rebase; guilty; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "applied from a mail",
        "make held/x.txt; git format-patch -q -1 --stdout >$HOME/mail; "
        "git reset -q --hard HEAD^; git am -q $HOME/mail; guilty; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "reverted",
        "make held/x.txt; git revert --no-edit HEAD; guilty HEAD HEAD^; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "filtered, so that nothing is left in the last tree",
        "make held/x.txt; guilty; git checkout -q HEAD^ -- held; git commit -qnm back; guilty; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "in a branch that was merged",
        "git checkout -qb side; make held/x.txt; guilty; git checkout -q main; "
        "make free.txt; git merge -q --no-verify --no-edit side; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "in a merge",
        "git checkout -qb side; make src/b.py; git checkout -q main; make free.txt; "
        "git merge -q --no-commit side; make held/x.txt evil; guilty; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "in a merge of what others pushed",
        "theirs held/x.txt; make free.txt; git pull -q --no-rebase --no-commit; "
        "make held/x.txt evil; guilty; make src/b.py; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "in a merge, several paths",
        "git checkout -qb side; make src/b.py; git checkout -q main; make free.txt; "
        "git merge -q --no-commit side; echo evil >held/deep/y.txt; echo evil >':a'; make held/x.txt evil; guilty; "
        "git push origin main",
        ["held/deep/y.txt", "held/x.txt"],
    ),
    Case(
        "in a merge of three",
        "git checkout -qb a; make a; git checkout -qb b main; make b; git checkout -q main; "
        "make c; git merge -q --no-commit a b; make held/x.txt evil; guilty; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "hidden by a replacement",
        "make free.txt; make held/x.txt; guilty; make src/b.py; git replace HEAD^ HEAD~2; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "hidden by a replaced parent",
        "make held/x.txt; guilty; make src/b.py; git replace --graft HEAD HEAD~2; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "hidden by a graft",
        "make held/x.txt; guilty; make src/b.py; mkdir -p .git/info; "
        "echo $(git rev-parse HEAD HEAD~2) >.git/info/grafts; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "hidden by an added tracking branch of another remote",
        "make held/x.txt; guilty; git update-ref refs/remotes/other/main HEAD; git push origin main",
        ["held/x.txt"],
    ),
    Case("from a subdirectory", "make held/x.txt; guilty; cd src/auth; git push origin main", ["held/x.txt"]),
    Case(
        "from elsewhere, with --git-dir",
        "make held/x.txt; guilty; cd /; git --git-dir=$REPOSITORY/.git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "from elsewhere, with GIT_DIR",
        "make held/x.txt; guilty; cd ..; GIT_DIR=repository/.git git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "from a linked worktree",
        "git worktree add -q $HOME/linked -b new; cd $HOME/linked; make held/x.txt; guilty; git push origin new",
        ["held/x.txt"],
    ),
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stage is kept once it has a remote and a colleague."""
    return tmp_path_factory.mktemp("pushing") / "base"


@pytest.fixture
def stage(stage: Stage, kept: Path) -> Stage:
    """The stage, with a remote and a colleague; bob's union is fresh."""
    if not kept.exists():
        script = "git init -q --bare --template= $HOME/remote.git; git remote add origin $HOME/remote.git; "
        script += "git push -q --no-verify -u origin main; git clone -q --template= $HOME/remote.git $HOME/colleague"
        assert play(stage.repository, script).code == 0
        settle(stage.repository)
        shutil.copytree(stage.base, kept, symlinks=True)
    else:
        shutil.rmtree(stage.base)
        shutil.copytree(kept, stage.base, symlinks=True)
    return stage


def judge_push(stage: Stage, case: Case) -> None:
    """Plays a case; exactly these paths must be refused, for exactly the commits noted as guilty."""
    done = check(stage.repository, Case(case.what, SETTING + case.script, case.refused, quick=case.quick))
    noted = stage.home / "guilty"
    guilty = {oid[:12] for oid in noted.read_text().split()} if noted.exists() else set()
    assert set(blamed_commits(done)) == guilty, done.text


@pytest.mark.parametrize("case", CLEAR, ids=str)
def test_a_clear_push(stage: Stage, case: Case) -> None:
    judge_push(stage, case)


@pytest.mark.parametrize("case", OTHERS_WORK, ids=str)
def test_others_work_that_the_remote_has_is_never_held_against_me(stage: Stage, case: Case) -> None:
    judge_push(stage, case)


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_refused_push_names_the_commits(stage: Stage, case: Case) -> None:
    judge_push(stage, case)


def test_a_refused_push_leaves_the_remote_as_it_was(stage: Stage) -> None:
    remote = Repository(stage.home / "remote.git")
    before = remote.git("for-each-ref").out
    script = "git branch fine; make free.txt; make held/x.txt; guilty; git push origin main fine"
    judge_push(stage, Case("", script, ["held/x.txt"]))
    assert remote.git("for-each-ref").out == before


@pytest.mark.parametrize("message", ["two\nlines", "a b c\nd", "a return\rin it", "a tab\tin it", "0 0", "held -"])
def test_a_commit_named_by_an_odd_message(stage: Stage, message: str) -> None:
    """git tells the hook the expression as it stands; one that breaks the line is nothing to guess about."""
    stage.repository.write("held/x.txt", "new\n")
    stage.repository.git("commit", "-qanm", f"held {message} and all")
    done = stage.repository.git("push", "origin", f":/{message}:refs/heads/new", who="bob", expect=None)
    assert done.code == 1
    assert ("guard: push refused" in done.text) != ("\n" in message), done.text
    assert ("guard: cannot tell" in done.text) == ("\n" in message), done.text
