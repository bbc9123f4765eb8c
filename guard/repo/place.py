"""Which repository, which worktree, and which directory in it does a command or a hook work in?"""

from __future__ import annotations

import os

from guard.model import GuardError, UsageError
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.repo.git import GitError


class Place(Record):
    """A repository as seen from one of its worktrees; all paths are absolute.

    ``git_dir`` belongs to this worktree, ``common_dir`` to all of them (gitrepository-layout(5)). ``top`` is the top of
    the work tree, None where there is none. ``bare`` tells that the repository is meant to have none. ``prefix`` is the
    current directory relative to ``top``, without slashes at its ends.
    """

    git_dir: bytes
    common_dir: bytes
    top: bytes | None
    prefix: bytes = b""
    bare: bool = False

    @property
    def own_dir(self) -> bytes:
        """The directory in which guard keeps what belongs to the whole repository."""
        return os.path.join(self.common_dir, b"guard")

    @property
    def has_worktrees(self) -> bool:
        """Are worktrees linked to the repository?"""
        directory = os.path.join(self.common_dir, b"worktrees")
        return os.path.isdir(directory) and bool(os.listdir(directory))

    @property
    def unions_dir(self) -> bytes:
        """The directory in which the unions of this worktree are published."""
        return os.path.join(self.git_dir, b"guard", b"unions")


def discover() -> Place:
    """The repository around the standpoint (:mod:`guard.repo.standpoint`), as git finds it: GIT_DIR and the like count.

    Raises :class:`UsageError` outside of a repository, and :class:`GuardError` where there is one that git cannot use.
    """
    from guard.repo import git, standpoint  # a coding agent's hook does not need them, and must be fast

    questions = ("--is-bare-repository", "--absolute-git-dir", "--git-common-dir", "--show-prefix", "--show-toplevel")
    try:
        # Where there is no work tree, the last question fails after the others were answered.
        status, said = git.answer(["rev-parse", *questions], accept=(0, 128))
        if status == 128 and said.count(b"\n") < 3:
            git.run(["rev-parse", "--git-dir"])  # this fails, too, and its error says why
    except git.GitError as error:
        if error.status != 128:
            raise
        raise _why_not(error) from error
    expected = len(questions) - (status == 128)
    answers = said.split(b"\n")[:-1]
    if len(answers) != expected:  # a path with a newline in it
        answers = [git.run(["rev-parse", question]).removesuffix(b"\n") for question in questions[:expected]]
    bare, git_dir, common_dir, prefix, *top = answers
    return Place(
        git_dir=git_dir,
        common_dir=os.path.realpath(os.path.join(standpoint.directory() or b"", common_dir)),
        top=top[0] if top else None,
        prefix=prefix.rstrip(b"/"),
        bare=bare == b"true",
    )


def in_hook() -> Place:
    """The repository whose hook this process is. git is not asked: githooks(5) says where it starts hooks."""
    from guard.repo import standpoint

    git_dir = standpoint.absolute(standpoint.environment().get(b"GIT_DIR") or b".git")
    common_dir = git_dir
    try:
        with open(os.path.join(git_dir, b"commondir"), "rb") as file:
            common_dir = os.path.join(git_dir, file.read().rstrip(b"\n"))
    except FileNotFoundError:
        pass  # not a linked worktree
    return Place(git_dir=git_dir, common_dir=os.path.realpath(common_dir), top=standpoint.absolute(b""))


def common_dir_of(path: bytes) -> bytes | None:
    """The common git directory of the repository at a path, found as git finds a local remote; None if there is none.

    git tries "PATH/.git", "PATH", "PATH.git/.git" and "PATH.git", in this order (git's path.c, enter_repo).
    """
    for each in (os.path.join(path, b".git"), path, os.path.join(path + b".git", b".git"), path + b".git"):
        directory = each
        if os.path.isfile(each):
            line = _first_line(each)
            if not line.startswith(b"gitdir: "):
                continue
            directory = os.path.join(os.path.dirname(each), line[len(b"gitdir: ") :])
        if not os.path.isfile(os.path.join(directory, b"HEAD")):
            continue
        common = _first_line(os.path.join(directory, b"commondir"))
        directory = os.path.join(directory, common) if common else directory
        if os.path.isdir(os.path.join(directory, b"objects")):
            return os.path.realpath(directory)
    return None


def _why_not(error: GitError) -> GuardError:
    """What is wrong where git finds no repository that it can use, and what helps."""
    from guard.repo import standpoint
    from guard.words import quoted, safe

    try:
        here = standpoint.absolute(b"")
    except FileNotFoundError:
        return UsageError("the current directory is gone", hint=ELSEWHERE)
    said = error.what
    if _TRUST in said:  # git gives the path as a shell takes it, as the last word of what it says
        why = f"git does not trust the repository around {safe(here)}: another account owns it"
        return UsageError(why, hint=f"git config --global --add {_TRUST}{said.rpartition(_TRUST)[2].strip()}")
    if "not a git repository (" in said:  # else a file or a variable names a place where there is none
        closed = _closed_repository(here)
        if not closed:
            return UsageError(f"no git repository around {safe(here)}", hint=ELSEWHERE)
        return GuardError(f"this account may not read {safe(closed)}", hint=f"ls -ld {quoted(closed)}")
    fatal = [line.removeprefix("fatal: ") for line in said.splitlines() if "fatal: " in line]
    words = fatal[-1].rpartition("fatal: ")[2] if fatal else said
    return GuardError(f"git cannot use the repository around {safe(here)}: {words}", hint="git status")


_TRUST = "safe.directory "
ELSEWHERE = "cd into a repository, or make one: git init"
"""What to type next where there is no repository."""


def _closed_repository(here: bytes) -> bytes:
    """A ``.git`` here or above that this account may not enter or read: git passes over it. b"" if there is none."""
    directory = here
    while True:
        path = os.path.join(directory, b".git")
        if os.path.lexists(path) and not os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0)):
            return path
        if directory == os.path.dirname(directory):
            return b""
        directory = os.path.dirname(directory)


def _first_line(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.readline(4096).rstrip(b"\n")
    except OSError:
        return b""
