"""What lies in a work tree: each path is looked at once, however often it is asked about."""

from __future__ import annotations

import os
import stat


class WorkTree:
    """The files of a work tree, named relative to its top; there is nothing in a bare repository's, whose top is None.

    What was seen is remembered until :meth:`look_anew`.
    """

    def __init__(self, top: bytes | None) -> None:
        self._lead = b"" if top is None else top.rstrip(b"/") + b"/"
        self._modes: dict[bytes, int] = {}
        self.passable: set[bytes] = set()
        """Directories of which somebody has found out that this repository's own files lie below them."""

    def look_anew(self) -> None:
        """Forgets what was seen."""
        self._modes.clear()
        self.passable.clear()

    def exists(self, path: bytes) -> bool:
        """Is there anything, be it a link that leads nowhere?"""
        return self._mode(path) != 0

    def is_link(self, path: bytes) -> bool:
        """Is it a symbolic link?"""
        return stat.S_ISLNK(self._mode(path))

    def is_file(self, path: bytes) -> bool:
        """Is it a regular file?"""
        return stat.S_ISREG(self._mode(path))

    def is_directory(self, path: bytes) -> bool:
        """Is it a directory, or a symbolic link to one?"""
        mode = self._mode(path)
        return stat.S_ISDIR(mode) or (stat.S_ISLNK(mode) and os.path.isdir(self._lead + path))

    def is_repository(self, path: bytes) -> bool:
        """Is there a repository of its own? To git, an empty ``.git`` is none (gitrepository-layout(5))."""
        inside = path + b"/.git"
        mode = self._mode(inside)
        if not mode:
            return False
        return os.path.isfile(self._lead + inside) or os.path.lexists(self._lead + inside + b"/HEAD")

    def _mode(self, path: bytes) -> int:
        """The mode that lstat(2) tells; 0 where there is nothing, or where that cannot be told."""
        mode = self._modes.get(path)
        if mode is None:
            try:
                mode = os.lstat(self._lead + path).st_mode if self._lead else 0
            except (OSError, ValueError):
                mode = 0
            self._modes[path] = mode
        return mode
