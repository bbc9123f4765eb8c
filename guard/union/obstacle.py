"""What keeps a union from being published, so that every hook has to start Python.

Hooks then judge rightly and slowly, and they say nothing, for a commit is no moment to talk about speed. ``guard
status`` says it. Each file here is one that :mod:`guard.union.publication` or :mod:`guard.union.slot` has to write.
"""

from __future__ import annotations

import os
import stat

from guard.record import Record
from guard.stores import freshness
from guard.union import script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Obstacle(Record):
    """A path that is not what it has to be, and what is wrong with it, as the end of a sentence about it.

    ``can_go``: guard makes the path anew when it is removed.
    """

    path: bytes
    what: str
    can_go: bool = True


def find(slot: bytes) -> Obstacle | None:
    """The first obstacle in the directory of a holder's union, or above it; None if there is none.

    What is missing is no obstacle, for guard makes it. Nothing is written.
    """
    unions = os.path.dirname(slot)
    own = os.path.dirname(unions)
    for path in (own, unions, slot):
        mode = _mode_of(path)
        if mode is not None and not stat.S_ISDIR(mode):
            return Obstacle(path, "is no directory", can_go=path != own)
    if _mode_of(slot) is not None and os.lstat(slot).st_uid != os.getuid():
        return Obstacle(slot, "belongs to another account", can_go=False)
    there = next(path for path in (slot, unions, own, os.path.dirname(own)) if _mode_of(path) is not None)
    if not os.access(there, os.W_OK | os.X_OK):
        return Obstacle(there, "cannot be written to", can_go=False)
    for name, is_right, what in _needed():
        mode = _mode_of(os.path.join(slot, name))
        if mode is not None and not is_right(mode):
            return Obstacle(os.path.join(slot, name), what)
    return None


def _needed() -> list[tuple[bytes, Callable[[int], bool], str]]:
    """The names in a slot, what each has to be, and what is said of it otherwise."""
    run_by_hooks = script.name_of(freshness.boot(), freshness.host())
    return [
        (b"lock", stat.S_ISREG, "is no ordinary file"),
        (b"current", lambda mode: not stat.S_ISDIR(mode), "is a directory, and has to be a symbolic link"),
        (b"repository", lambda mode: stat.S_ISDIR(mode) or stat.S_ISLNK(mode), "is no directory"),
        *([(run_by_hooks, lambda mode: not stat.S_ISDIR(mode), "is a directory")] if run_by_hooks else []),
    ]


def _mode_of(path: bytes) -> int | None:
    """The kind of the file itself, also of a symbolic link (inode(7)); None if there is nothing."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return None
