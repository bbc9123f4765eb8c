"""Which paths does this commit, this merge or this push change?"""

from __future__ import annotations

import os

from guard.model import Change
from guard.record import Record
from guard.repo import git, published
from guard.repo.tracking import as_glob, is_tracking, tracking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from guard.repo.place import Place


class PushedRef(Record):
    """A line of what git tells a pre-push hook (githooks(5)). An oid of only zeros means there is none."""

    local: bytes
    local_oid: bytes
    remote: bytes
    remote_oid: bytes


def of_commit(place: Place) -> list[Change]:
    """What a commit changes relative to HEAD, from the index git handed to the hook.

    While a merge is being concluded, only paths that differ from every parent: carrying in others' work is not
    editing it.
    """
    return _from_parents(_parents(place, {}))


def of_merge(place: Place, environment: Mapping[bytes, bytes]) -> list[Change]:
    """What a merge changes that none of its parents has, before git has recorded the parents."""
    return _from_parents(_parents(place, environment))


def merge_heads(place: Place, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """What is being merged into HEAD, as hex oids of commits; none when no merge is under way.

    MERGE_HEAD lists them once git has recorded the merge. Before that, git merge names them in GITHEAD_OID variables.
    A commit that HEAD contains, or that another one contains, is left out: nothing of it can be carried in, and git
    merge would not merge it. So a MERGE_HEAD that somebody wrote by hand excuses nothing that HEAD had before.
    """
    oids = _recorded(place)
    if not oids:
        # Run in a hook of another repository's merge, we are told of its heads too.
        names = (name.removeprefix(b"GITHEAD_") for name in environment if name.startswith(b"GITHEAD_"))
        oids = [oid for oid in names if published.is_oid(oid)]
    named = git.commits_here(oids) if oids and git.has_head() else []
    if not named:
        return []
    head = git.run(["rev-parse", "HEAD"]).strip()
    independent = set(git.run(["merge-base", "--independent", head, *named]).split()) - {head}
    return [oid for oid in dict.fromkeys(named) if oid in independent]


def _parents(place: Place, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """The parents of the commit that is about to be made, as tree-ishes; the empty tree before the first commit.

    A merge whose heads all contain HEAD, and that was not begun with --no-ff (MERGE_MODE says so), becomes a commit
    without HEAD among its parents: git's builtin/commit.c, reduce_heads.
    """
    if not git.has_head():
        return [git.empty_tree()]
    heads = merge_heads(place, environment)
    if heads and _recorded(place) and not _is_without_fast_forward(place):
        status, _ = git.answer(["merge-base", "--is-ancestor", "HEAD", heads[0]], accept=(0, 1))
        if status == 0 and len(heads) == 1:
            return heads
    return [b"HEAD", *heads]


class OneSided(Record):
    """A path that a merge takes from some parents, though another had changed it since they parted.

    ``commit`` is the last commit of the other side that changed the path, ``author`` who wrote it.
    """

    path: bytes
    commit: str
    author: str


def taken_from_one_side(place: Place, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """In a merge: the paths in which the result is some parent's, and differs from another's."""
    parents = _parents(place, environment)
    if len(parents) == 1:
        return []
    differing = [set(git.staged(parent)) for parent in parents]
    everywhere = differing[0].intersection(*differing[1:])
    return sorted(differing[0].union(*differing[1:]) - everywhere)


def dropped(place: Place, environment: Mapping[bytes, bytes], paths: Collection[bytes]) -> list[OneSided]:
    """Those of ``paths``, as :func:`taken_from_one_side` gives them, in which a change of some parent is lost.

    It is lost where the result is another parent's, and since those two parted this one has changed the path.
    """
    parents = _parents(place, environment)
    differing = {parent: set(paths) & set(git.staged(parent)) for parent in parents}
    lost: dict[tuple[bytes, str], OneSided] = {}
    for side, given_up in differing.items():
        for taken in parents:
            candidates = given_up - differing[taken]
            base = git.merge_base(taken, side) if candidates else b""
            if base:
                changed = candidates & set(git.between(base, side))
                for path, (commit, author) in sorted(git.last_changes(base, side, changed).items()):
                    lost.setdefault((path, commit), OneSided(path, commit, author))
    return list(lost.values())


def of_push(lines: bytes, place: Place, entries: Sequence[git.Configured]) -> list[Change]:
    """What a push changes, commit by commit, from git's lines to the hook; ``entries`` are git's configuration.

    Judged are the commits that are sent and not yet published, and those that a forced update discards. Published
    is what the remote says it has, what a ref has that tracks a remote, and what :func:`published.elsewhere` finds.
    """
    refs = [ref for ref in pushed_refs(lines) if not is_zero(ref.local_oid)]
    if not refs:
        return []
    trees, refs = _without_commits(refs)
    tips = [ref.local_oid for ref in refs if not is_zero(ref.local_oid)]
    replaced = [ref.remote_oid for ref in refs if not is_zero(ref.remote_oid)]
    destinations = tracking(entries, place)
    globs = list(map(as_glob, destinations))
    new = git.history(tips, without=[*replaced, *published.elsewhere(place)], tracking=globs)
    changes = [
        Change(path, commit.oid, commit.at, submodule=path in commit.submodules)
        for commit in new
        for path in commit.paths
    ]
    changes += [Change(path) for tree in trees for path in _of_tree(tree, globs)]
    return changes + [
        Change(path, commit.oid, commit.at, discarded=True, submodule=path in commit.submodules)
        for commit in _discarded(refs, tips, destinations)
        for path in commit.paths
    ]


def _without_commits(refs: list[PushedRef]) -> tuple[list[bytes], list[PushedRef]]:
    """The trees that are sent by themselves, in tags, and the refs that send commits.

    A ref that takes a commit's place with a tree or a blob stays, with the zero oid for what is sent: it discards. A
    blob that is sent by itself has no path, so it changes none. Branches hold commits alone: git-update-ref(1).
    """
    odd = [ref for ref in refs if not ref.remote.startswith(b"refs/heads/")]
    kinds = git.kinds(oid for ref in odd for oid in (ref.local_oid, ref.remote_oid) if not is_zero(oid))
    trees, kept = [], []
    for ref in refs:
        kind, oid = kinds.get(ref.local_oid, (b"commit", b""))
        if kind == b"tree":
            trees.append(oid)
        if kinds.get(ref.remote_oid, (b"commit", b""))[0] != b"commit":
            ref = ref._replace(remote_oid=b"0" * len(ref.remote_oid))
        if kind != b"commit":
            ref = ref._replace(local_oid=b"0" * len(ref.local_oid))
        kept.append(ref)
    return list(dict.fromkeys(trees)), [
        ref for ref in kept if not is_zero(ref.local_oid) or not is_zero(ref.remote_oid)
    ]


def _of_tree(tree: bytes, globs: Sequence[bytes]) -> list[bytes]:
    """The paths that a tree which is sent by itself changes: those in which it differs from every published tip.

    None when it is the tree of a published commit. ``globs`` match the refs that track remotes.
    """
    published_trees = git.trees_of(globs, every=True)
    if tree in published_trees:
        return []
    return git.differing_from_all(tree, git.trees_of(globs, every=False) or [git.empty_tree()])


EVERY_REF = (b"refs/*",)
"""The globs of all refs of a repository."""


class ReceivedRef(Record):
    """A line of what git tells a pre-receive hook (githooks(5)). An oid of only zeros means there is none."""

    old: bytes
    new: bytes
    name: bytes


def received_refs(lines: bytes) -> list[ReceivedRef]:
    """The lines "old new ref". Raises :class:`git.GitError` for a line that is not of that form."""
    refs = []
    for line in lines.removesuffix(b"\n").split(b"\n") if lines else ():
        words = line.split(b" ", 2)
        if len(words) != 3 or not (published.is_oid(words[0]) and published.is_oid(words[1])):
            raise git.GitError(f"git told the pre-receive hook a line that is no ref update: {line[:200]!r}")
        refs.append(ReceivedRef(*words))
    return refs


def of_received(refs: list[ReceivedRef]) -> list[Change]:
    """What a push changes in the repository that receives it, commit by commit.

    Judged are the commits that no ref of this repository reaches, those that a forced update takes away, and trees
    that are sent by themselves, in tags. A ref that is deleted is nothing to judge. The number of processes depends
    neither on that of commits nor on that of refs, but on that of trees.
    """
    sent = [PushedRef(ref.name, ref.new, ref.name, ref.old) for ref in refs if not is_zero(ref.new)]
    if not sent:
        return []
    trees, kept = _without_commits(sent)
    tips = [ref.local_oid for ref in kept if not is_zero(ref.local_oid)]
    new = git.history(tips, without=(), tracking=EVERY_REF, strict=True) if tips else []
    parts = [(commit, False) for commit in new] + [(commit, True) for commit in _taken_away(kept, tips)]
    return [Change(path) for tree in trees for path in _of_tree(tree, EVERY_REF)] + [
        Change(path, commit.oid, commit.at, discarded=discarded, submodule=path in commit.submodules)
        for commit, discarded in parts
        for path in commit.paths
    ]


def _taken_away(refs: list[PushedRef], tips: list[bytes]) -> list[git.Commit]:
    """The commits that updates take away: the old value of a ref reaches them, no new one does, and no other ref."""
    updated = [ref for ref in refs if not is_zero(ref.remote_oid)]
    # With "..." git finds where the two parted, also when commits have impossible times.
    both = [
        ref.remote_oid if is_zero(ref.local_oid) else b"%b...%b" % (ref.local_oid, ref.remote_oid) for ref in updated
    ]
    if not both or not git.history(both, without=tips, strict=True):
        return []
    names = {ref.remote for ref in updated}
    kept = [oid for oid, name in git.refs_below("refs/") if name not in names]
    return git.history(both, without=[*tips, *kept], strict=True)


def _discarded(refs: list[PushedRef], tips: list[bytes], destinations: Sequence[bytes]) -> list[git.Commit]:
    """The commits that forced updates take away, and that no other remote-tracking ref is known to keep.

    A ref that tracks an updated one does not count, whatever its remote is called: ``refs/remotes/origin/main`` for
    ``refs/heads/main``. Nor does ``refs/remotes/origin/HEAD``, which stands for another one of them.
    """
    # With "..." git finds where the two parted, also when commits have impossible times.
    both = [
        ref.remote_oid if is_zero(ref.local_oid) else b"%b...%b" % (ref.local_oid, ref.remote_oid)
        for ref in refs
        if not is_zero(ref.remote_oid)
    ]
    if not both or not git.history(both, without=tips):
        return []
    updated = [b"/" + ref.remote.removeprefix(b"refs/heads/") for ref in refs if not is_zero(ref.remote_oid)]
    updated.append(b"/HEAD")
    others = [(oid, name) for oid, name in git.remote_refs() if not name.endswith(tuple(updated))]
    kept = [oid for oid, name in others if is_tracking(name, destinations)]
    return git.history(both, without=[*tips, *kept])


def pushed_by_manager(environment: Mapping[bytes, bytes]) -> bytes:
    """What pre-commit and prek tell of a push, as a line that git would have written; b"" when they tell nothing.

    They read git's lines themselves and leave variables, for the first ref alone (https://pre-commit.com, "pre-push").
    PRE_COMMIT_FROM_REF is missing when the whole history is new to the remote.
    """

    def told(name: bytes) -> bytes:
        return environment.get(b"PRE_COMMIT_" + name, b"")

    tip, known = told(b"TO_REF") or told(b"LOCAL_BRANCH"), told(b"FROM_REF")
    if not tip:
        return b""
    oids = git.run(["rev-parse", "--end-of-options", tip, *([known] if known else [])]).split()[-2 if known else -1 :]
    oid, remote_oid = (*oids, b"0" * len(oids[0]))[:2]
    return b"%b %b %b %b\n" % (told(b"LOCAL_BRANCH") or tip, oid, told(b"REMOTE_BRANCH") or tip, remote_oid)


def between(old: str, new: str) -> list[Change]:
    """What differs between two commits or trees."""
    return [Change(path) for path in git.between(old, new)]


def pushed_refs(lines: bytes) -> list[PushedRef]:
    """The lines "local-ref local-oid remote-ref remote-oid"; a local ref given as an expression may hold spaces.

    Raises :class:`git.GitError` for a line that is not of that form.
    """
    refs = []
    for line in lines.removesuffix(b"\n").split(b"\n") if lines else ():
        words = line.rsplit(b" ", 3)
        if len(words) != 4 or not (published.is_oid(words[1]) and published.is_oid(words[3])):
            raise git.GitError(f"git told the pre-push hook a line that is no ref update: {line[:200]!r}")
        refs.append(PushedRef(*words))
    return refs


def is_zero(oid: bytes) -> bool:
    """The oid that stands for "none": 40 zeros, or 64 in a SHA-256 repository."""
    return not oid.strip(b"0")


def _recorded(place: Place) -> list[bytes]:
    """What MERGE_HEAD says."""
    try:
        with open(os.path.join(place.git_dir, b"MERGE_HEAD"), "rb") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _is_without_fast_forward(place: Place) -> bool:
    try:
        with open(os.path.join(place.git_dir, b"MERGE_MODE"), "rb") as file:
            return file.read() == b"no-ff"
    except FileNotFoundError:
        return False


def _from_parents(parents: list[bytes]) -> list[Change]:
    submodules = git.staged_submodules(parents[0])
    changed = set(submodules)
    for parent in parents[1:]:
        changed &= set(git.staged(parent))
    return [Change(path, submodule=submodules[path]) for path in sorted(changed)]
