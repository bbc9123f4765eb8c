"""A push is judged commit by commit: each one sent that is not yet published, whatever ref it is sent by.

alice holds ``held``; bob pushes to ``origin``; a colleague's clone pushes there too, past everybody. Each row's script
ends with the push that is judged, and notes the guilty commits as it makes them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from guard.repo.published import fetched
from tests.support.event_cases import Case, assert_as_expected, blamed, blamed_commits, check, play, run_hook, settle
from tests.support.repositories import PACKAGE, Repository
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
    Case("a tag of a tree", "git tag v1 HEAD^{tree}; git tag -m m v2 v1; git push origin v1 v2", quick=False),
    Case("a tag of a blob", "git tag v1 HEAD:held/x.txt; git tag -m m v2 v1; git push origin v1 v2", quick=False),
    Case(
        "a tag of a tree of old, after others have changed it",
        "theirs held/x.txt; git pull -q; git tag v1 HEAD^^{tree}; git push origin v1",
        quick=False,
    ),
    Case(
        "a tag of a tree with free changes",
        "echo new >free.txt; git add -A; git tag v1 $(git write-tree); git push origin v1",
        quick=False,
    ),
    Case(
        "a tag of a tree in place of another",
        "git tag v1 HEAD^{tree}; git push -q --no-verify origin v1; echo new >free.txt; git add -A; "
        "git tag -f v1 $(git write-tree); git push -f origin v1",
        quick=False,
    ),
    Case(
        "a commit in place of a tag of a tree",
        "git tag v1 HEAD^{tree}; git push -q --no-verify origin v1; make free.txt; git tag -f v1; "
        "git push -f origin v1",
        quick=False,
    ),
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
    Case("rewound", "make free.txt; git push -q --no-verify origin main; git push -f origin main^:main"),
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
    Case("several empty commits", "for n in 1 2 3; do git commit -q --allow-empty -nm $n; done; git push origin main"),
    Case("an empty commit, first", "make free.txt; git commit -q --allow-empty -nm m; git push origin main"),
    Case("an empty commit, last", "git commit -q --allow-empty -nm m; make free.txt; git push origin main"),
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
        "a tag of a commit beside a tag of a blob",
        "git tag blob HEAD:free.txt; make held/x.txt; guilty; git tag v1; git push origin blob v1",
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

PUBLISHED = [
    Case("to a second remote", "git init -q --bare $HOME/second.git; git push -q $HOME/second.git main"),
    Case(
        "to a second remote with a name",
        "git init -q --bare $HOME/second.git; git remote add second $HOME/second.git; make free.txt; "
        "git push second main",
        quick=False,
    ),
    Case(
        "to a remote that lacks what another remote has",
        "git clone -q --bare . $HOME/copy.git; git remote add second $HOME/copy.git; "
        "make held/deep/y.txt; git push -q --no-verify origin main; make free.txt; git push second main",
        quick=False,
    ),
    Case("to another spelling of the address", "git checkout -qb new; make free.txt; git push file://$remote new"),
    Case("to a relative address", "git checkout -qb new; make free.txt; git push ../home/remote.git new"),
    Case("to this very repository", "git checkout -qb new; make free.txt; git push . HEAD:refs/heads/copy"),
    Case(
        "a branch stacked on one that was fetched from elsewhere",
        "(cd $colleague; git checkout -qb topic; make held/x.txt; git push -q --no-verify origin topic); "
        "git fetch -q $remote topic; git checkout -q FETCH_HEAD; make free.txt; git push origin HEAD:refs/heads/new",
    ),
    Case(
        "a change for review that was fetched by its ref",
        "(cd $colleague; git checkout -q --detach; make held/x.txt; "
        "git push -q --no-verify origin HEAD:refs/changes/1/1); git fetch -q file://$remote refs/changes/1/1; "
        "git checkout -q FETCH_HEAD; make free.txt; git push origin HEAD:refs/heads/new",
    ),
    Case(
        "the head of a repository without a name",
        "(cd $colleague; make held/x.txt); git fetch -q $colleague; git checkout -q FETCH_HEAD; make free.txt; "
        "git push origin HEAD:refs/heads/new",
    ),
    Case(
        "several branches fetched at once",
        "(cd $colleague; git branch b; make held/x.txt; git checkout -q b; make held/z.txt); "
        "git fetch -q $colleague main b; for oid in $(cut -f 1 .git/FETCH_HEAD); do "
        "git checkout -q $oid; make src/new$oid; git branch b$oid; done; git push origin --all",
    ),
]

TREES = [
    # How a tree gets a ref without a commit, from the index or from a commit.
    "git tag v1 $(git write-tree); git push origin v1",
    "git tag -m m v1 $(git write-tree); git push origin v1",
    "git tag -m m v1 $(git write-tree); git tag -m m v2 v1; git push origin v2",
    "git tag v1 $(git write-tree); git push origin main v1",
    "git tag v1 $(git write-tree); git push $remote v1",
    "git update-ref refs/odd/one $(git write-tree); git push origin refs/odd/one",
    "git push origin $(git write-tree):refs/tags/v1",
    "git tag v1 $(git write-tree); git push --tags",
    "git tag v1 HEAD; git push -q --no-verify origin v1; git push -f origin $(git write-tree):refs/tags/v1",
]

PUBLISHED_IS_NOT = [
    Case(
        "what a ref below refs/remotes has that tracks nothing",
        "make held/x.txt; guilty; git update-ref refs/remotes/fake/x HEAD; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "what a ref has that only begins like one that tracks a remote",
        "make held/x.txt; guilty; git update-ref refs/remotes/origin2/x HEAD; git push origin HEAD:refs/heads/new",
        ["held/x.txt"],
    ),
    Case(
        "what a remote has that is this very repository",
        "make held/x.txt; guilty; git remote add me .; git fetch -q me; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "what a remote has that is this repository by another name",
        "make held/x.txt; guilty; git config url.$REPOSITORY.insteadOf it:; git remote add me it:; git fetch -q me; "
        "git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "what a remote without an address has",
        "make held/x.txt; guilty; git config remote.fake.fetch '+refs/heads/*:refs/remotes/fake/*'; "
        "git update-ref refs/remotes/fake/x HEAD; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "what a ref that tracks nothing keeps of a branch that is rewound",
        "make held/x.txt; guilty; git push -q --no-verify origin main; git update-ref refs/remotes/fake/x HEAD; "
        "git push -f origin main^:main",
        ["held/x.txt"],
    ),
    Case(
        "what this repository was fetched from itself",
        "git checkout -qb own; make held/x.txt; guilty; git fetch -q . own; git push origin own",
        ["held/x.txt"],
    ),
    Case(
        "what was fetched from its own address",
        "git checkout -qb own; make held/x.txt; guilty; git fetch -q file://$REPOSITORY own; git push origin own",
        ["held/x.txt"],
    ),
    Case(
        "what was fetched from a worktree of it",
        "git worktree add -q $HOME/linked; git checkout -qb own; make held/x.txt; guilty; "
        "git fetch -q $HOME/linked own; git push origin own",
        ["held/x.txt"],
    ),
    Case(
        "a new commit on what was fetched",
        "theirs held/deep/y.txt; git fetch -q $remote; git checkout -q FETCH_HEAD; make held/x.txt; guilty; "
        "git push origin HEAD:refs/heads/new",
        ["held/x.txt"],
    ),
]

DISCARDED = [
    Case(
        "rewound",
        "make held/x.txt; guilty; git push -q --no-verify origin main; git push -f origin main^:main",
        ["held/x.txt"],
    ),
    Case(
        "the branch is replaced by one without",
        "theirs held/x.txt; git pull -q; guilty; git checkout -qb new HEAD^; make free.txt; "
        "git push --force origin new:main",
        ["held/x.txt"],
    ),
    Case(
        "rewound, where the remote has a default branch",
        "git remote set-head origin main; make held/x.txt; guilty; git push -q --no-verify origin main; "
        "git push -f origin main^:main",
        ["held/x.txt"],
    ),
    Case(
        "amended",
        "make held/x.txt; guilty; git push -q --no-verify origin main; echo x >free.txt; "
        "git commit -qan --amend -m m; guilty; git push -f origin main",
        ["held/x.txt"],
    ),
    Case(
        "by the plus of a refspec, to an address",
        "make held/x.txt; guilty; git push -q --no-verify origin main; git push $remote +main^:main",
        ["held/x.txt"],
    ),
    Case(
        "only the second ref is forced",
        "git checkout -qb two; make held/x.txt; guilty; git push -q --no-verify origin two; git checkout -q main; "
        "make free.txt; git push -f origin main two^:two",
        ["held/x.txt"],
    ),
    Case(
        "several commits",
        "make held/x.txt; guilty; make free.txt; make held/deep/y.txt; guilty; git push -q --no-verify origin main; "
        "git push -f origin main~3:main",
        ["held/deep/y.txt", "held/x.txt"],
    ),
]

KEPT = [
    Case(
        "another branch of the remote keeps it",
        "git checkout -qb keeper; make held/x.txt; git push -q --no-verify origin keeper keeper:main; "
        "git push -f origin main",
        quick=False,
    ),
    Case(
        "it moves to another branch",
        "make held/x.txt; git push -q --no-verify origin main; git push -f origin main:saved main^:main",
        quick=False,
    ),
    Case(
        "the tag is moved",
        "make held/x.txt; git tag v1; git push -q --no-verify origin main v1; git push -f origin main^:refs/tags/v1",
        quick=False,
    ),
    Case("it is not known here", "theirs held/x.txt; make free.txt; git push -f origin main"),
    Case(
        "only free paths are discarded",
        "make held/x.txt; make free.txt; git push -q --no-verify origin main; git push -f origin main^:main",
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


ELSEWHERE = [
    Case(
        "from a clone without the files' contents",
        "git -C $remote config uploadpack.allowFilter true; git clone -q --template= --filter=blob:none --no-checkout "
        "file://$remote $HOME/part; cd $HOME/part; set_up; git checkout -q main; make held/x.txt; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "from a clone without directories",
        "git -C $remote config uploadpack.allowFilter true; git clone -q --template= --filter=tree:0 --no-checkout "
        "file://$remote $HOME/part; cd $HOME/part; set_up; git checkout -q main; make held/x.txt; git push origin main",
        ["held/x.txt"],
    ),
    Case(
        "with submodules that are checked",
        "git init -q --template= $HOME/sub; (cd $HOME/sub; make x); git submodule --quiet add $HOME/sub sub; "
        "git commit -qnm m; git push -q --no-verify origin main; make held/x.txt; "
        "git push --recurse-submodules=check origin main",
        ["held/x.txt"],
    ),
    Case(
        "a ref deleted and another created, all or none",
        "git push -q --no-verify origin main:old; make held/x.txt; git push --atomic origin :old main:new",
        ["held/x.txt"],
    ),
    Case(
        "a note that is rewritten",
        "git notes add -m x; git push -q origin refs/notes/commits; git notes add -f -m y; "
        "git push -f origin refs/notes/commits",
    ),
]


@pytest.mark.parametrize("case", ELSEWHERE, ids=str)
def test_other_repositories_and_other_pushes(stage: Stage, case: Case) -> None:
    set_up = 'set_up() { git config guard.project "$PROJECT"; "$PYTHON" -m guard install >$HOME/said; }; '
    env = {"PROJECT": stage.project, "PYTHONPATH": str(PACKAGE), "PYTHON": sys.executable}
    done = play(stage.repository, SETTING + set_up + case.script, env=env)
    assert (done.code, set(case.refused)) == (1 if case.refused else 0, set(blamed(done))), done.text


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


@pytest.mark.parametrize("case", PUBLISHED, ids=str)
def test_what_is_published_already_is_not_judged(stage: Stage, case: Case) -> None:
    """alice's reserved path was changed in what everybody can have; the one new commit changes a free path."""
    past = "make held/x.txt; git push -q --no-verify origin main; "
    judge_push(stage, Case(case.what, past + case.script, case.refused, quick=case.quick))


@pytest.mark.parametrize("case", PUBLISHED_IS_NOT, ids=str)
def test_what_is_not_published_is_judged(stage: Stage, case: Case) -> None:
    judge_push(stage, case)


@pytest.mark.parametrize("script", TREES)
def test_a_tree_that_is_sent_without_a_commit_is_judged(stage: Stage, script: str) -> None:
    """No commit is named, for there is none: the paths are those in which it differs from what is published."""
    change = "echo new | tee held/x.txt free.txt; git add -A; "
    check(stage.repository, Case(script, SETTING + change + script, ["held/x.txt"]))


@pytest.mark.parametrize("case", DISCARDED, ids=str)
def test_a_forced_push_is_judged_by_what_it_discards(stage: Stage, case: Case) -> None:
    judge_push(stage, case)


@pytest.mark.parametrize("case", KEPT, ids=str)
def test_a_forced_push_that_loses_nothing(stage: Stage, case: Case) -> None:
    judge_push(stage, case)


IN_PYTHON = """
mkdir $HOME/in-python; printf '#!/bin/sh\\nexec "%s" -m guard hook pre-push "$@"\\n' "$PYTHON" >$HOME/in-python/pre-push
chmod +x $HOME/in-python/pre-push
"""


@pytest.mark.parametrize("case", [*PUBLISHED[1:], *PUBLISHED_IS_NOT, *DISCARDED, *KEPT], ids=str)
def test_python_alone_has_the_same_rule(stage: Stage, case: Case) -> None:
    before, _, push = case.script.rpartition("git push ")
    script = f"{SETTING}{IN_PYTHON}{before}git -c core.hooksPath=$HOME/in-python push {push}"
    env = {"PYTHONPATH": str(PACKAGE), "PYTHON": sys.executable}
    assert_as_expected(play(stage.repository, script, env=env), case.refused)


@pytest.mark.parametrize("depth", ["--depth=1", "--depth=2"])
@pytest.mark.parametrize("how", ["refs/heads/main", "+refs/heads/main:refs/remotes/pull/5/merge", "refs/tags/v1"])
def test_a_push_from_a_shallow_checkout(stage: Stage, how: str, depth: str) -> None:
    """As services for continuous integration make it: the boundary commit looks as if it had added every file."""
    script = """
    make held/x.txt; make free.txt; git tag v1; git push -q --no-verify origin main v1
    git init -q --template= $HOME/ci; cd $HOME/ci; git remote add origin file://$remote
    git config guard.project "$PROJECT"; "$PYTHON" -m guard install >$HOME/said
    git fetch -q $DEPTH origin $HOW; git checkout -q --detach FETCH_HEAD; rm .git/FETCH_HEAD
    make src/new; git push origin HEAD:refs/heads/ci
    """
    env = {"PROJECT": stage.project, "DEPTH": depth, "HOW": how, "PYTHONPATH": str(PACKAGE), "PYTHON": sys.executable}
    assert_as_expected(play(stage.repository, SETTING + script, env=env), [])
    refused = play(Repository(stage.home / "ci"), SETTING + "make held/x.txt newer; git push origin HEAD:refs/heads/ci")
    assert_as_expected(refused, ["held/x.txt"])


FETCH_HEAD = [
    # note, the URL that it names
    ("branch 'main' of https://example.com/shop", "https://example.com/shop"),
    ("tag 'v1' of ../shop", "../shop"),
    ("remote-tracking branch 'origin/x' of ssh://host/shop", "ssh://host/shop"),
    ("'refs/changes/1/1' of host:shop", "host:shop"),
    ("https://example.com/shop", "https://example.com/shop"),
    ("branch 'a'b' of /srv/it' of all", "/srv/it' of all"),
    ("branch 'main' of ", ""),
    ("branch 'main'", ""),
    ("", ""),
]


@pytest.mark.parametrize("mark", ["", "not-for-merge"])
@pytest.mark.parametrize(("note", "url"), FETCH_HEAD)
def test_reading_a_line_of_fetch_head(note: str, url: str, mark: str) -> None:
    oid = b"ab" * 20
    asked: list[bytes] = []

    def is_here(name: bytes) -> bool:
        asked.append(name)
        return False

    found = fetched([b"%b\t%b\t%b" % (oid, mark.encode(), note.encode())], is_here=is_here)
    assert asked == ([url.encode()] if url else [])
    assert found == ([oid] if url else [])


@pytest.mark.parametrize("line", [b"", b"x", b"ab" * 20, b"ab" * 20 + b"\t", b"ab" * 19 + b"\t\thost:shop", b"\t\t\t"])
def test_what_is_no_line_of_fetch_head_says_nothing(line: bytes) -> None:
    assert fetched([line], is_here=lambda _: False) == []


@pytest.mark.parametrize("old", ["0" * 40, "1" * 40], ids=["new", "unknown here"])
def test_what_is_pushed_from_another_repository_is_never_clear(stage: Stage, old: str) -> None:
    """A manager that goes to another directory starts the hook in a repository that has none of the commits."""
    repository = stage.repository
    here = f"refs/heads/main {repository.head()} refs/heads/main {old}\n"
    assert run_hook(repository, "pre-push", "origin", "/nowhere", stdin=here.encode()).code == 0
    elsewhere = here + f"refs/heads/new {'2' * 40} refs/heads/new {old}\n"
    done = run_hook(repository, "pre-push", "origin", "/nowhere", stdin=elsewhere.encode())
    assert done.code == 3, done.text
    assert f"{'2' * 40}, which is pushed, is not in the repository" in done.text


def test_a_commit_older_than_the_reservation_is_named_as_such(stage: Stage) -> None:
    """Who commits, gives the path back and pushes later did nothing wrong, and is told what happened."""
    old = "2020-01-01T12:00:00Z"
    env = {"GIT_COMMITTER_DATE": old}
    done = play(stage.repository, SETTING + "make held/x.txt; guilty; git push origin main", env=env)
    assert_as_expected(done, ["held/x.txt"])
    assert "made before the reservation" in done.text
    done = play(stage.repository, SETTING + "git reset -q --hard HEAD^; make held/x.txt; git push origin main")
    assert_as_expected(done, ["held/x.txt"])
    assert "made before the reservation" not in done.text


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
