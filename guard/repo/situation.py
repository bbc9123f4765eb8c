"""In which situation was a commit or a merge refused? The steps that guard suggests must work there.

This module is used only when something is refused.
"""

from __future__ import annotations

import os

from guard.refusal import PATHS_TYPED, LeaveOut, Situation, collapsed, pathspec
from guard.repo import changes, git
from guard.words import pasted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.model import Change
    from guard.repo.place import Place

FILE = b"left-out"
"""The file, in guard's directory of a worktree, with the paths that the last refusal tells how to leave out."""

USUAL, ALL, ONLY = "usual", "all", "only"


def index_of(environment: Mapping[bytes, bytes]) -> str:
    """Which index git has given to the hook (git-commit(1)).

    USUAL is the one that later commands use, too. ALL is ``index.lock``, which ``git commit -a``, ``-i`` and ``-p``
    make. ONLY is ``next-index-PID.lock``, which ``git commit FILE`` makes.
    """
    name = os.path.basename(environment.get(b"GIT_INDEX_FILE", b""))
    if not name.endswith(b".lock"):
        return USUAL
    return ONLY if name.startswith(b"next-index-") else ALL


def of_commit(
    place: Place, environment: Mapping[bytes, bytes], changed: Sequence[Change], refused: Sequence[bytes], *, verb: str
) -> Situation:
    """The situation of a refused commit or merge (``verb``).

    ``changed`` are all changes that were judged, ``refused`` the paths that others hold.
    """
    index = index_of(environment)
    heads = changes.merge_heads(place, environment)
    if heads:
        steps = _in_merge(heads, refused) if index == USUAL else []
        again = "git merge --continue" if index == USUAL else "git commit …"
    else:
        steps = _in_commit(place, index, [change.path for change in changed], refused)
        again = "git commit …"
    steps = [step._replace(file=_written(place, step)) for step in steps]
    see_all = "guard check" if index == USUAL else "guard check :/"
    return Situation(verb, again, see_all, tuple(steps))


def of_push() -> Situation:
    """The situation of a refused push. No command that leaves out a pushed commit is right everywhere."""
    return Situation("push", "git push …", "guard list --theirs")


def _in_commit(place: Place, index: str, changed: list[bytes], refused: Sequence[bytes]) -> list[LeaveOut]:
    born = git.has_head()
    out = set(refused)
    for old, new in git.staged_renames() if born else []:
        if old in out or new in out:
            out |= {old, new}
    changed = [*changed, *(out - set(changed))]
    rest = [path for path in changed if path not in out]
    if index == USUAL:
        command = "git restore --staged" if born else "git rm -q -r --cached"
        return [LeaveOut(command, collapsed(out, changed))]
    if not rest or _is_stopped(place):
        return []
    if index == ONLY:
        return [LeaveOut("git commit", collapsed(rest, changed))]
    # git commit -a takes every change. -i and -p leave some in the work tree; the suggested command must not add these.
    unstaged = set(git.unstaged()) - out
    if not unstaged:
        return [LeaveOut("git commit", collapsed(out, changed), exclude=True)]
    if unstaged.isdisjoint(rest):
        return [LeaveOut("git commit", tuple(rest))]
    return [LeaveOut("git commit -p", collapsed(out, changed), exclude=True)]


def _is_stopped(place: Place) -> bool:
    """Is a cherry-pick, a revert or a rebase under way? git then refuses to commit some of the paths only."""
    names = (b"CHERRY_PICK_HEAD", b"REVERT_HEAD", b"REBASE_HEAD", b"rebase-merge", b"rebase-apply")
    return any(os.path.exists(os.path.join(place.git_dir, name)) for name in names)


def _in_merge(heads: Sequence[bytes], refused: Sequence[bytes]) -> list[LeaveOut]:
    """The commands that give the refused paths the version that the merge alone would give them.

    When only one side has changed a path, that is the version of this side. When both sides have changed one of the
    paths, either version would drop the other side's work, so nothing is suggested.
    """
    base = git.merge_base(b"HEAD", heads[0])
    if len(heads) != 1 or not base:
        return []
    ours, theirs = set(git.between(base, "HEAD")), set(git.between(base, heads[0]))
    if ours & theirs & set(refused):
        return []
    from_theirs = tuple(path for path in refused if path in theirs)
    from_ours = tuple(path for path in refused if path not in theirs)
    steps = [
        LeaveOut("git restore --source=MERGE_HEAD --staged", from_theirs),
        LeaveOut("git restore --staged", from_ours),
    ]
    return [step for step in steps if step.paths]


def _written(place: Place, step: LeaveOut) -> bytes:
    """Writes the step's paths as pathspecs to a file; returns its path, b"" when none is needed or can be written."""
    if len(step.paths) <= PATHS_TYPED and all(pasted(path) for path in step.paths):
        return b""
    words = [pathspec(path, exclude=step.exclude) for path in step.paths]
    path = os.path.join(place.git_dir, b"guard", FILE)
    try:
        with open(path, "wb") as file:
            file.write(b"".join(b"%b\0" % word for word in ([b":/"] if step.exclude else []) + words))
    except OSError:
        return b""
    return path
