"""What this account may not read or write, and the command that changes that."""

from __future__ import annotations

import errno
import os

from guard.install import hookdir
from guard.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def closed(directories: Iterable[bytes]) -> list[bytes]:
    """The directories that are there and that this account may not list or enter.

    What stands in such a directory is not known. It must not be taken for an empty one.
    """
    return [
        path for path in dict.fromkeys(directories) if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK)
    ]


def repair(path: bytes, number: int | None) -> str:
    """A command after which this account can use a path, or one that shows what is in the way.

    ``number`` is the errno with which the system refused it.
    """
    directory = path if os.path.isdir(path) else os.path.dirname(path) or b"."
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory) or b"."
    if number == errno.EROFS:
        return f"sudo mount -o remount,rw {quoted(hookdir.mount_point(directory))}"
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"df -h {quoted(directory)}"
    if number in (errno.EACCES, errno.EPERM) and os.stat(directory).st_uid != os.geteuid():
        return f'sudo chown -R "$(id -un)" {quoted(directory)}'
    if number in (errno.EACCES, errno.EPERM):
        return f"chmod u+rwx {quoted(directory)}"
    return f"ls -ld {quoted(path)}"
