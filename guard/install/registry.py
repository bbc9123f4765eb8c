"""The repositories of this account that have guard: a list in the account's data directory.

``guard install`` and ``guard uninstall`` keep it. ``guard install --all`` renews every repository on it, and
``guard status --all`` shows them. A line names a directory in which git finds the repository; a repository that is
gone is dropped when the list is written next.
"""

from __future__ import annotations

import errno
import os

from guard.install import hookfile
from guard.lock import Locked
from guard.repo.place import Place

PATIENCE_S = 10.0


def path() -> str:
    """The file that holds the list."""
    from platformdirs import user_data_dir

    return os.path.join(user_data_dir("guard", appauthor=False), "repositories")


def repositories() -> list[bytes]:
    """The directories on the list that still are repositories with guard in them, sorted."""
    lines = (hookfile.read(os.fsencode(path())) or b"").split(b"\n")
    return sorted({line for line in lines if line and _has_guard(line)})


def add(place: Place) -> None:
    """Puts a repository on the list. Raises OSError when it cannot be written there."""
    directory = _directory(place)
    if b"\n" in directory:
        raise OSError(errno.EINVAL, "there is a line break in the repository's path")
    _change(lambda listed: listed | {directory})


def remove(place: Place) -> None:
    """Takes a repository from the list. Raises OSError when the list cannot be written."""
    gone = {_directory(place), place.top, place.common_dir}
    _change(lambda listed: listed - gone)


def _change(change: Callable[[set[bytes]], set[bytes]]) -> None:
    file = os.fsencode(path())
    directory = os.path.dirname(file)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with Locked(directory, flags=os.O_RDONLY | os.O_DIRECTORY, patience_s=PATIENCE_S):
        before = set(repositories())
        after = sorted(change(before))
        contents = b"".join(line + b"\n" for line in after)
        if contents != (hookfile.read(file) or b""):
            hookfile.write(file, contents, mode=0o600)


def _directory(place: Place) -> bytes:
    """The main worktree, which outlives linked ones; the common git directory where there is none."""
    main = os.path.dirname(place.common_dir)
    if os.path.basename(place.common_dir) == b".git" and os.path.isdir(main):
        return main
    return place.top if place.top is not None and place.git_dir == place.common_dir else place.common_dir


def _has_guard(directory: bytes) -> bool:
    """Is there still a repository with guard, or a work tree of one whose git directory is elsewhere?"""
    if os.path.isdir(os.path.join(directory, b".git", b"guard")) or os.path.isdir(os.path.join(directory, b"guard")):
        return True
    return os.path.isfile(os.path.join(directory, b".git"))


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
