"""Which paths does this commit, this merge or this push change?"""

from __future__ import annotations

import os

from guard.model import Change
from guard.record import Record
from guard.repo import git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    return _from_parents([_head(), *_merge_heads(place)])


def of_merge(place: Place, environment: Mapping[bytes, bytes]) -> list[Change]:
    """What a merge changes that none of its parents has, before git has recorded the parents.

    git merge names them in GITHEAD_OID variables, and drops those that another one contains.
    """
    parents: list[bytes] = list(_merge_heads(place))
    if not parents:
        oids = [name.removeprefix(b"GITHEAD_") for name in environment if name.startswith(b"GITHEAD_")]
        # Run in a hook of another repository's merge, we are told of its heads too.
        named = git.commits_here(oid for oid in oids if _is_oid(oid))
        if named:
            independent = git.run(["merge-base", "--independent", "HEAD", *sorted(named)]).split()
            head = git.run(["rev-parse", "HEAD"]).strip()
            parents = [oid for oid in independent if oid != head]
    return _from_parents([_head(), *parents])


def of_push(lines: bytes, *, remotes: list[str]) -> list[Change]:
    """What the commits change that a push sends, from git's lines to the hook; ``remotes`` names the remote.

    A remote pushed to by its address may be known by several names, or by none.
    """
    refs = pushed_refs(lines)
    tips = [ref.local_oid for ref in refs if not is_zero(ref.local_oid)]
    known = [ref.remote_oid for ref in refs if not is_zero(ref.remote_oid)]
    if not tips:
        return []
    return [Change(path, oid) for oid, paths in git.sent(tips, known, remotes) for path in paths]


def pushed_by_manager(environment: Mapping[bytes, bytes]) -> tuple[list[str], bytes]:
    """What pre-commit and prek tell of a push: the hook's arguments, and lines as git would have written them.

    They read git's lines themselves and leave variables, for the first ref alone (https://pre-commit.com, "pre-push");
    PRE_COMMIT_TO_REF is missing when a whole history is new to the remote. No line when nothing is told.
    """

    def said(name: str) -> bytes:
        return environment.get(b"PRE_COMMIT_%b" % name.encode(), b"")

    arguments = [os.fsdecode(said(name)) for name in ("REMOTE_NAME", "REMOTE_URL") if said(name)]
    tip, known = said("TO_REF") or said("LOCAL_BRANCH"), said("FROM_REF")
    if not tip:
        return arguments, b""
    oids = git.run(["rev-parse", "--end-of-options", tip, *([known] if known else [])]).split()[-2 if known else -1 :]
    oid, remote_oid = (*oids, b"0" * len(oids[0]))[:2]
    return arguments, b"%b %b %b %b\n" % (said("LOCAL_BRANCH") or tip, oid, said("REMOTE_BRANCH") or tip, remote_oid)


def remotes_meant(arguments: Sequence[str]) -> list[str]:
    """Every name of the remote that a push goes to: git gives its address in place of a name it was not told.

    ``arguments`` are those of the pre-push hook: the remote's name and its address.
    """
    name, address = (*arguments, "", "")[:2]
    if name != address and ":" not in name:
        return [name]
    from guard.repo.settings import unshortened

    entries = git.config()
    urls = [
        (os.fsdecode(entry.key[len(b"remote.") :].rpartition(b".")[0]), entry.value)
        for entry in entries
        if entry.value and entry.key.startswith(b"remote.") and entry.key.endswith((b".url", b".pushurl"))
    ]
    meant = os.fsencode(address)
    return list(dict.fromkeys(name for name, url in urls if meant in (url, unshortened(url, entries))))


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
        if len(words) != 4 or not (_is_oid(words[1]) and _is_oid(words[3])):
            raise git.GitError(f"git told the pre-push hook a line that is no ref update: {line[:200]!r}")
        refs.append(PushedRef(*words))
    return refs


def is_zero(oid: bytes) -> bool:
    """The oid that stands for "none": 40 zeros, or 64 in a SHA-256 repository."""
    return not oid.strip(b"0")


def _is_oid(word: bytes) -> bool:
    return len(word) in (40, 64) and all(digit in b"0123456789abcdef" for digit in word)


def _head() -> bytes:
    return b"HEAD" if git.has_head() else git.empty_tree()


def _merge_heads(place: Place) -> list[bytes]:
    try:
        with open(os.path.join(place.git_dir, b"MERGE_HEAD"), "rb") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _from_parents(parents: list[bytes]) -> list[Change]:
    changed = set(git.staged(parents[0]))
    for parent in parents[1:]:
        changed &= set(git.staged(parent))
    return [Change(path) for path in sorted(changed)]
