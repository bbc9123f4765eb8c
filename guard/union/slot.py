"""The directory of a holder's publications: whose it is, who may change it, and how files are written there.

:mod:`guard.union.publish` says what lies in it.
"""

from __future__ import annotations

import os
import stat
import time

from guard.lock import Locked
from guard.stores import freshness
from guard.union import script
from guard.union.published import is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.union.published import Current

LEFTOVER_S = 60.0
"""After this many seconds, files that a killed publisher left are removed."""
LOCK_PATIENCE_S = 2.0
"""How long to wait for another publisher, in seconds; then Python judges, or the union is left to the next hook."""


def make(slot: bytes) -> None:
    """Makes the directory, private to this account; refuses one that is not this account's. Raises :class:`OSError`.

    The two directories above it are as open as the git directory, because several accounts may share it
    (core.sharedRepository).
    """
    unions = os.path.dirname(slot)
    own = os.path.dirname(unions)
    mode = os.stat(os.path.dirname(own)).st_mode & 0o2777
    for path, bits in ((own, mode), (unions, mode), (slot, 0o700)):
        try:
            os.mkdir(path, 0o700)
            os.chmod(path, bits)
        except FileExistsError:
            pass
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise NotADirectoryError(f"{os.fsdecode(path)} leads elsewhere")
    if not is_ours(slot):
        raise PermissionError(f"{os.fsdecode(slot)} belongs to somebody else")


def is_ours(slot: bytes) -> bool:
    """Is this a slot of this account below a git directory's guard/unions, without a symbolic link on the way?"""
    unions = os.path.dirname(slot)
    own = os.path.dirname(unions)
    if (os.path.basename(own), os.path.basename(unions)) != (b"guard", b"unions"):
        return False
    try:
        return os.lstat(slot).st_uid == os.getuid() and all(
            stat.S_ISDIR(os.lstat(path).st_mode) for path in (own, unions, slot)
        )
    except OSError:
        return False


def is_gone(slot: bytes) -> bool:
    """Is the directory gone? One that this account may not see is not gone."""
    try:
        return not stat.S_ISDIR(os.stat(slot).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True


def locked(slot: bytes) -> Locked:
    """Holds a slot's lock, so that one process at a time changes what is published there."""
    return Locked(os.path.join(slot, b"lock"), flags=os.O_RDWR | os.O_CREAT, patience_s=LOCK_PATIENCE_S)


def write(path: bytes, contents: bytes, *, mtime_ns: int | None = None) -> None:
    """Writes a private file, and gives it this modification time, in ns."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        while contents:
            contents = contents[os.write(file, contents) :]
        if mtime_ns is not None:
            os.utime(file, ns=(mtime_ns, mtime_ns))
    finally:
        os.close(file)


def replace(directory: bytes, name: bytes, contents: bytes, *, mtime_ns: int | None = None) -> None:
    """As :func:`write`, with a rename, so that a reader finds the old file or the new one."""
    temporary = os.path.join(directory, b"new." + name)
    write(temporary, contents, mtime_ns=mtime_ns)
    os.replace(temporary, os.path.join(directory, name))


def make_scratch(slot: bytes) -> None:
    """An empty repository: git check-ignore answers from its work tree's .gitignore file alone.

    Where a symbolic link has its name, which an archive of the repository may have brought, the link is removed, and
    nothing is written where it leads.
    """
    path = os.path.join(slot, b"repository")
    if os.path.islink(path):
        os.unlink(path)
    head = os.path.join(path, b"HEAD")
    if os.path.exists(head) and os.path.getsize(head):  # after a power cut it may be there, and empty
        return
    for directory in (path, os.path.join(path, b"objects"), os.path.join(path, b"refs")):
        os.makedirs(directory, mode=0o700, exist_ok=True)
    replace(path, b"config", b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
    replace(path, b"HEAD", b"ref: refs/heads/none\n")  # whole or not there, for it tells that the rest is there


def withdraw(slot: bytes, current: Current | None) -> None:
    """Removes a publication. Its mark goes first, so that a hook that is reading it notices."""
    if current is not None and is_name(current.published.name):
        place = os.path.join(slot, current.published.name)
        try:
            os.unlink(os.path.join(place, b"whole"))
        except FileNotFoundError:
            pass  # it was withdrawn before
        _remove(place)


def discard(slot: bytes, name: bytes) -> None:
    """Removes a publication that could not be finished, to which nothing leads; what cannot be removed is left."""
    try:
        _remove(os.path.join(slot, name))
        _remove(os.path.join(slot, b"current." + name))
    except OSError:
        pass  # a later sweep finds it


def sweep(slot: bytes, *, keep: bytes) -> None:
    """Removes what killed publishers left, and what the hooks of another boot ran. Raises :class:`OSError`.

    A symbolic link is removed itself, and what it leads to stays: an archive of the repository may have brought it.
    """
    kept_script = script.name_of(freshness.boot(), freshness.host())
    for entry in list(os.scandir(slot)):
        if entry.name.startswith(b"fresh."):
            left = entry.name != kept_script  # of another boot, or of another container, which makes its own anew
        else:
            is_old = entry.stat(follow_symlinks=False).st_mtime < time.time() - LEFTOVER_S
            is_half_made = entry.name.startswith((b"current.", b"asked.", b"new."))
            left = is_old and (is_half_made or (is_name(entry.name) and entry.name != keep))
        if left:
            _remove(entry.path)


def _remove(path: bytes) -> None:
    """Removes a file, a symbolic link, or a directory with what is in it; nothing that a link leads to."""
    try:
        is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
        names = os.listdir(path) if is_directory else []
    except OSError:
        return  # it is gone, or another account's
    for name in names:
        _remove(os.path.join(path, name))
    if is_directory:
        os.rmdir(path)
    else:
        os.unlink(path)
