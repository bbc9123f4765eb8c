"""Which paths does this commit, this merge or this push change?"""

from __future__ import annotations

import os

from guard.model import Change, GuardError
from guard.record import Record
from guard.repo import git, published
from guard.repo.tracking import as_glob, is_tracking, tracking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from guard.repo.place import Place


EVERY_REF = (b"refs/*",)
"""The globs of all refs of a repository."""


class RefUpdate(Record):
    """One ref that a push updates (githooks(5), pre-push and pre-receive).

    ``ref`` is its full name in the repository that is pushed to. ``old`` and ``new`` are the hex oids that it has
    before and after the push. An oid of only zeros means that there is none: the ref is made, or it is deleted.
    """

    ref: bytes
    old: bytes
    new: bytes


def of_commit(place: Place) -> list[Change]:
    """What a commit changes relative to HEAD, from the index that git gave to the hook.

    While a merge is being concluded, only the paths that differ from every parent count: who merges the work of others
    does not edit it.
    """
    return _from_parents(_parents(place, {}))


def of_merge(place: Place, environment: Mapping[bytes, bytes]) -> list[Change]:
    """What a merge changes that none of its parents has, before git has recorded the parents."""
    return _from_parents(_parents(place, environment))


def merge_heads(place: Place, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """What is being merged into HEAD, as hex oids of commits; [] when no merge is under way.

    MERGE_HEAD lists them once git has recorded the merge. Before that, git merge names them in GITHEAD_OID variables.
    A commit that HEAD contains, or that another one contains, is left out: it brings nothing new, and git merge would
    not merge it. So a MERGE_HEAD that somebody wrote by hand excuses nothing that HEAD had before.
    """
    oids = _recorded(place)
    if not oids:
        # A hook of another repository's merge may have started this git: its variables name commits of that one too.
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
    """A path that a merge takes from one parent, although the other side has changed it since the two parted.

    ``commit`` is the hex oid of the last commit of the other side that changed the path, ``author`` its author's name.
    """

    path: bytes
    commit: str
    author: str


def taken_from_one_side(place: Place, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """In a merge: the paths that the result takes from one parent, and in which it differs from another one."""
    parents = _parents(place, environment)
    if len(parents) == 1:
        return []
    differing = [set(git.staged(parent)) for parent in parents]
    everywhere = differing[0].intersection(*differing[1:])
    return sorted(differing[0].union(*differing[1:]) - everywhere)


def dropped_changes(place: Place, environment: Mapping[bytes, bytes], paths: Collection[bytes]) -> list[OneSided]:
    """Those of ``paths`` in which the merge loses a change of some parent; ``paths`` are some that
    :func:`taken_from_one_side` gives.

    A change is lost when one parent has changed the path since it parted from another parent, and the result has the
    version of that other parent.
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
    """What a push changes, commit by commit. ``lines`` is what git tells the hook; ``entries`` are git's configuration.

    The commits count that are sent and not published yet, and those that a forced update discards. A commit is
    published when the remote says that it has it, when a ref that tracks a remote reaches it, or when
    :func:`published.elsewhere` finds it. Raises :class:`GuardError` when something that is sent is not in this
    repository: the hook was started in another one.
    """
    sent = [update for update in pushed_refs(lines) if not is_zero(update.new)]
    if not sent:
        return []
    trees, updates = _without_commits(sent)
    tips = _new_tips(updates)
    replaced = [update.old for update in updates if not is_zero(update.old)]
    destinations = tracking(entries, place)
    globs = list(map(as_glob, destinations))
    new = _new_commits(tips, [*replaced, *published.elsewhere(place)], globs, place)
    lost = _discarded(updates, tips, lambda: _kept_by_remotes(updates, destinations))
    return [*_changes_of(new), *_changes_of_trees(trees, globs), *_changes_of(lost, discarded=True)]


def _new_commits(
    tips: list[bytes], published_oids: list[bytes], globs: Sequence[bytes], place: Place
) -> list[git.Commit]:
    """The commits that ``tips`` reach and that are not published. Every tip has to be in this repository."""
    try:
        return git.history(tips, without=published_oids, tracking=globs, strict=True)
    except git.GitError:  # also when the remote has a commit that is not here: then git has to pass over it
        found = git.kinds(tips)
        for tip in tips:
            if tip not in found:
                raise _not_here(tip, place) from None
    return git.history(tips, without=published_oids, tracking=globs)


def _not_here(oid: bytes, place: Place) -> GuardError:
    from guard.words import quoted

    what = f"{oid.decode()}, which is pushed, is not in the repository {quoted(place.git_dir)}"
    return GuardError(what, hint="start the hook in the repository that is pushed from, or set GIT_DIR to that one")


def of_received(updates: list[RefUpdate]) -> list[Change]:
    """What a push changes in the repository that receives it, commit by commit.

    The commits count that no ref of this repository reaches, and those that a forced update takes away; so do trees
    that are sent by themselves, in tags. A deleted ref changes nothing. The number of processes grows with the number
    of trees alone, not with that of commits or refs.
    """
    sent = [update for update in updates if not is_zero(update.new)]
    if not sent:
        return []
    trees, kept = _without_commits(sent)
    tips = _new_tips(kept)
    new = git.history(tips, without=(), tracking=EVERY_REF, strict=True) if tips else []
    lost = _discarded(kept, tips, lambda: _kept_by_other_refs(kept), strict=True)
    return [*_changes_of_trees(trees, EVERY_REF), *_changes_of(new), *_changes_of(lost, discarded=True)]


def _changes_of(commits: Iterable[git.Commit], *, discarded: bool = False) -> list[Change]:
    return [
        Change(path, commit.oid, commit.at, discarded=discarded, submodule=path in commit.submodules)
        for commit in commits
        for path in commit.paths
    ]


def _changes_of_trees(trees: Iterable[bytes], globs: Sequence[bytes]) -> list[Change]:
    return [Change(path) for tree in trees for path in _of_tree(tree, globs)]


def _new_tips(updates: Iterable[RefUpdate]) -> list[bytes]:
    return [update.new for update in updates if not is_zero(update.new)]


def _without_commits(updates: list[RefUpdate]) -> tuple[list[bytes], list[RefUpdate]]:
    """The trees that are sent by themselves, in tags, and the updates that send or discard commits.

    A ref may get a tree or a blob in place of a commit. Its update stays, with the zero oid as the new one, because it
    discards that commit. A blob that is sent by itself has no path, so it changes none. Branches can hold only commits:
    git-update-ref(1).
    """
    odd = [update for update in updates if not update.ref.startswith(b"refs/heads/")]
    kinds = git.kinds(oid for update in odd for oid in (update.new, update.old) if not is_zero(oid))
    trees, kept = [], []
    for update in updates:
        kind, oid = kinds.get(update.new, (b"commit", b""))
        if kind == b"tree":
            trees.append(oid)
        if kinds.get(update.old, (b"commit", b""))[0] != b"commit":
            update = update._replace(old=b"0" * len(update.old))
        if kind != b"commit":
            update = update._replace(new=b"0" * len(update.new))
        kept.append(update)
    return list(dict.fromkeys(trees)), [each for each in kept if not (is_zero(each.new) and is_zero(each.old))]


def _of_tree(tree: bytes, globs: Sequence[bytes]) -> list[bytes]:
    """The paths that a tree changes when it is sent by itself: those in which it differs from every published tip.

    [] when it is the tree of a published commit. ``globs`` match the refs that say what is published.
    """
    published_trees = git.trees_of(globs, every=True)
    if tree in published_trees:
        return []
    return git.differing_from_all(tree, git.trees_of(globs, every=False) or [git.empty_tree()])


def _discarded(
    updates: list[RefUpdate], tips: list[bytes], kept: Callable[[], list[bytes]], *, strict: bool = False
) -> list[git.Commit]:
    """The commits that forced updates take away: the old value of a ref reaches them, and none of ``tips`` does.

    ``kept`` lists the oids that keep their commits. It is called only when something may be taken away. ``strict`` is
    as for :func:`git.history`.
    """
    # With "..." git finds where the two parted, also when commits have impossible times.
    pairs = [
        update.old if is_zero(update.new) else b"%b...%b" % (update.new, update.old)
        for update in updates
        if not is_zero(update.old)
    ]
    if not pairs or not git.history(pairs, without=tips, strict=strict):
        return []
    return git.history(pairs, without=[*tips, *kept()], strict=strict)


def _kept_by_remotes(updates: list[RefUpdate], destinations: Sequence[bytes]) -> list[bytes]:
    """The oids of the refs that track remotes, without those that track an updated ref.

    ``refs/remotes/origin/main`` tracks ``refs/heads/main``, whatever its remote is called. ``refs/remotes/origin/HEAD``
    does not count either, for it stands for another one of them.
    """
    left_out = (*(b"/" + each.ref.removeprefix(b"refs/heads/") for each in updates if not is_zero(each.old)), b"/HEAD")
    others = [(oid, name) for oid, name in git.remote_refs() if not name.endswith(left_out)]
    return [oid for oid, name in others if is_tracking(name, destinations)]


def _kept_by_other_refs(updates: list[RefUpdate]) -> list[bytes]:
    """The oids of all refs of this repository that the push does not update."""
    updated = {update.ref for update in updates if not is_zero(update.old)}
    return [oid for oid, name in git.refs_below("refs/") if name not in updated]


def pushed_by_manager(environment: Mapping[bytes, bytes]) -> bytes:
    """What pre-commit and prek tell about a push, as the line that git would have written; b"" when they tell nothing.

    They read git's lines themselves, and set variables for the first ref alone (https://pre-commit.com, "pre-push").
    PRE_COMMIT_FROM_REF is missing when the whole history is new to the remote.
    """

    def variable(name: bytes) -> bytes:
        return environment.get(b"PRE_COMMIT_" + name, b"")

    tip, known = variable(b"TO_REF") or variable(b"LOCAL_BRANCH"), variable(b"FROM_REF")
    if not tip:
        return b""
    oids = git.run(["rev-parse", "--end-of-options", tip, *([known] if known else [])]).split()[-2 if known else -1 :]
    oid, remote_oid = (*oids, b"0" * len(oids[0]))[:2]
    return b"%b %b %b %b\n" % (variable(b"LOCAL_BRANCH") or tip, oid, variable(b"REMOTE_BRANCH") or tip, remote_oid)


def between(old: str, new: str) -> list[Change]:
    """What differs between two commits or trees, each given as a revision (gitrevisions(7))."""
    return [Change(path) for path in git.between(old, new)]


def pushed_refs(lines: bytes) -> list[RefUpdate]:
    """Reads what git tells a pre-push hook: "local-ref local-oid remote-ref remote-oid" on each line (githooks(5)).

    A local ref that was given as an expression may have spaces in it. Raises :class:`git.GitError` for a line of
    another form.
    """
    found = _words(lines, lambda line: line.rsplit(b" ", 3), count=4, oids=(1, 3), event="pre-push")
    return [RefUpdate(ref, old, new) for _, new, ref, old in found]


def received_refs(lines: bytes) -> list[RefUpdate]:
    """Reads what git tells a pre-receive hook: "old new ref" on each line (githooks(5)).

    Raises :class:`git.GitError` for a line of another form.
    """
    found = _words(lines, lambda line: line.split(b" ", 2), count=3, oids=(0, 1), event="pre-receive")
    return [RefUpdate(ref, old, new) for old, new, ref in found]


def _words(
    lines: bytes, split: Callable[[bytes], list[bytes]], *, count: int, oids: tuple[int, int], event: str
) -> Iterator[list[bytes]]:
    """The words of each line. There must be ``count`` of them, and full oids at the two places ``oids``."""
    for line in lines.removesuffix(b"\n").split(b"\n") if lines else ():
        words = split(line)
        if len(words) != count or not all(published.is_oid(words[place]) for place in oids):
            raise git.GitError(f"git told the {event} hook a line that is no ref update: {line[:200]!r}")
        yield words


def is_zero(oid: bytes) -> bool:
    """Is this the oid that stands for "none": 40 zeros, or 64 in a SHA-256 repository?"""
    return not oid.strip(b"0")


def _recorded(place: Place) -> list[bytes]:
    """The hex oids in MERGE_HEAD; [] when there is no such file."""
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
