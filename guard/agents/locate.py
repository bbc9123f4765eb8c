"""In which repository is a path, and what is its path there?

The repository is found from the path and not from the current directory, because an agent also edits files of other
worktrees, of submodules, and outside of every repository. No process is started: gitrepository-layout(5) says how a
work tree names its repository.
"""

from __future__ import annotations

import os

from guard.model import GuardError
from guard.record import Record
from guard.repo.place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOCAL_VARIABLES = frozenset(
    b"GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_CONFIG GIT_OBJECT_DIRECTORY GIT_DIR GIT_WORK_TREE GIT_IMPLICIT_WORK_TREE "
    b"GIT_GRAFT_FILE GIT_INDEX_FILE GIT_NO_REPLACE_OBJECTS GIT_REPLACE_REF_BASE GIT_PREFIX GIT_SHALLOW_FILE "
    b"GIT_COMMON_DIR GIT_INTERNAL_SUPER_PREFIX GIT_NAMESPACE GIT_QUARANTINE_PATH".split()
)
"""Variables that make git use another repository than the one around a path (git rev-parse --local-env-vars)."""


class Located(Record):
    """The paths of one repository that a call is about to write, relative to its top."""

    place: Place
    paths: tuple[bytes, ...]


def locate(paths: Iterable[bytes], cwd: bytes) -> list[Located]:
    """The paths, grouped by repository. Paths outside of every repository and paths inside .git are left out.

    ``paths`` are absolute or relative to ``cwd``. A symbolic link counts twice: as the file that it leads to, because a
    tool writes to that file, and as the link itself, because a tool may replace or delete the link. Raises
    :class:`GuardError` if there is a repository that cannot be read.
    """
    found: dict[bytes, tuple[Place, dict[bytes, None]]] = {}
    for path in paths:
        for real in _real(os.path.join(cwd, path)):
            place = around(os.path.dirname(real))
            if place is None or place.top is None or is_below(real, place.git_dir):
                continue
            relative = real[len(place.top.rstrip(b"/")) + 1 :]
            if b".git" in relative.lower().split(b"/"):
                continue  # git never tracks a path with this name in it
            found.setdefault(place.git_dir, (place, {}))[1][relative] = None
    return [Located(place, tuple(names)) for place, names in found.values()]


def _real(path: bytes) -> list[bytes]:
    """The path that ``path`` leads to, and if ``path`` is a link, also the link, with the links above it resolved."""
    if not os.path.isabs(path):
        raise GuardError(f"the coding agent gave a relative path and no directory: {os.fsdecode(path)!a}")
    path = os.path.normpath(path) if b"/../" not in path + b"/" else path
    leads_to = os.path.realpath(path)
    itself = os.path.join(os.path.realpath(os.path.dirname(path.rstrip(b"/"))), os.path.basename(path.rstrip(b"/")))
    return [leads_to] if itself == leads_to or os.path.basename(itself) in (b"..", b".") else [leads_to, itself]


def around(directory: bytes) -> Place | None:
    """The repository whose work tree a directory is in; None if there is none.

    ``directory`` is an absolute path without symbolic links; it need not exist. Raises :class:`GuardError` for a file
    .git that does not lead to a repository, as git does.
    """
    while True:
        entry = os.path.join(directory, b".git")
        git_dir = _git_dir(entry, directory)
        if git_dir is not None:
            return Place(git_dir=git_dir, common_dir=_common_dir(git_dir), top=directory)
        if os.path.basename(directory) == b".git" and _is_repository(directory):
            return Place(git_dir=directory, common_dir=_common_dir(directory), top=os.path.dirname(directory))
        above = os.path.dirname(directory)
        if above == directory:
            return None
        directory = above


def is_set_up(place: Place) -> bool:
    """Has guard been installed in this repository?"""
    return os.path.isdir(place.own_dir)


def is_below(path: bytes, directory: bytes) -> bool:
    """Is the path the directory itself, or below it?"""
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


def environment_for(environment: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The environment without the :data:`LOCAL_VARIABLES`."""
    return {name: value for name, value in environment.items() if name not in LOCAL_VARIABLES}


def _git_dir(entry: bytes, directory: bytes) -> bytes | None:
    try:
        with open(entry, "rb") as file:
            line = file.read(65_536)
    except IsADirectoryError:
        return os.path.realpath(entry) if _is_repository(entry) else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise GuardError(f"{os.fsdecode(entry)} cannot be read: {error.strerror}", hint="git status") from error
    if not line.startswith(b"gitdir: "):
        raise GuardError(f"{os.fsdecode(entry)} does not name a repository", hint="git status")
    git_dir = os.path.realpath(os.path.join(directory, line[len(b"gitdir: ") :].rstrip(b"\r\n")))
    if not _is_repository(git_dir):
        what = f"{os.fsdecode(entry)} names a repository that is not there: {os.fsdecode(git_dir)}"
        raise GuardError(what, hint="git worktree repair")
    return git_dir


def _is_repository(git_dir: bytes) -> bool:
    """Does git take this directory for a repository? It needs HEAD, and objects and refs in the common directory."""
    if not os.path.lexists(os.path.join(git_dir, b"HEAD")):
        return False
    common = _common_dir(git_dir)
    return os.path.isdir(os.path.join(common, b"objects")) and os.path.isdir(os.path.join(common, b"refs"))


def _common_dir(git_dir: bytes) -> bytes:
    try:
        with open(os.path.join(git_dir, b"commondir"), "rb") as file:
            return os.path.realpath(os.path.join(git_dir, file.read().rstrip(b"\n")))
    except OSError:
        return git_dir
