"""The settings that a repository shares with everybody who clones it: the file ``.guardconfig`` at its top.

The file is committed, so whoever can push can change it. Only settings that can do no harm are read from it: never a
path, an address or a command. It has the form of git's own configuration (git-config(1), SYNTAX), and every setting of
an account's own wins over it.
"""

from __future__ import annotations

import os
import stat

from guard.record import Record
from guard.repo.settings import TRACKED, tracked_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.repo.git import Configured
    from guard.repo.place import Place

KEYS = (b"guard.project", b"guard.ttl", b"guard.mode")
"""The settings that count in the file."""

SWITCHED_OFF = "guard.mode=off"
"""This entry never counts: whoever can push could otherwise switch guard off for everybody, without any message."""

SIZE_MAX = 64 * 1024
"""The size of the largest file that is read, in bytes."""


class Tracked(Record):
    """What is in the file: the entries that count, the keys that do not, and why it cannot be read, "" if it can."""

    entries: tuple[Configured, ...] = ()
    refused: tuple[str, ...] = ()
    fault: str = ""


def read(place: Place) -> Tracked:
    """The contents of the file, empty when there is none. Never raises: a file that cannot be read is ignored."""
    path = tracked_file(place)
    if path is None:
        return Tracked()
    try:
        contents = _contents(path)
    except OSError as error:
        return Tracked(fault=error.strerror or "it cannot be read")
    except ValueError as error:
        return Tracked(fault=str(error))
    return _parsed(path, contents) if contents else Tracked()


def _parsed(path: bytes, contents: bytes) -> Tracked:
    from guard.repo import git  # not needed when there is no such file

    try:
        listed = git.run(["config", "--file", "-", "--no-includes", "--list", "-z"], stdin=contents)
    except git.GitError:
        return Tracked(fault="git cannot read it as configuration")
    entries, refused = [], []
    for word in filter(None, listed.split(b"\0")):
        key, newline, value = word.partition(b"\n")
        if key == b"guard.mode" and value == b"off":
            refused.append(SWITCHED_OFF)
        elif key in KEYS:
            entries.append(git.Configured(TRACKED, path, key, value if newline else None))
        else:
            refused.append(os.fsdecode(key))
    return Tracked(tuple(entries), tuple(dict.fromkeys(refused)))


def _contents(path: bytes) -> bytes:
    """The file's bytes, b"" when there is none. Raises OSError, and ValueError if it is not a small regular file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    with open(file, "rb") as reader:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ValueError("it is not a regular file")
        contents = reader.read(SIZE_MAX + 1)
    if len(contents) > SIZE_MAX:
        raise ValueError(f"it is larger than {SIZE_MAX} bytes")
    return contents
