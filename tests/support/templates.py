"""What many tests begin with: made once in each process that runs tests, and copied from then on.

A repository with guard in it names its own place in some files. The copy of such a file names the copy's place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.support.databases import connected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SQLITE = b"SQLite format 3\0"  # how each database file begins (https://sqlite.org/fileformat2.html)


class Template:
    """The directories of these names in a test's own directory, as ``make`` leaves them.

    ``make`` is called where nothing can be copied: for the first test, and for one that has changed its home or its
    environment before.
    """

    def __init__(self, kept: Path, *names: str, make: Callable[[Path], None]) -> None:
        self._kept = kept
        self._names = names
        self._make = make
        self._began: object = None
        self._place = b""
        self._naming: list[str] = []
        self._stores: list[str] = []
        self._repositories: list[str] = []

    def put(self, place: Path) -> None:
        """Makes the directories in ``place``; the test's home must be one of them, and the others must not be there."""
        began = _beginning()
        if self._began is None:
            self._make(place)
            self._keep(place)
            self._began = began
        elif self._began == began:
            self._copy(place)
        else:
            self._make(place)

    def _keep(self, place: Path) -> None:
        self._place = bytes(place)
        for name in self._names:
            shutil.copytree(place / name, self._kept / name, symlinks=True)
        for file in sorted(self._kept.rglob("*")):
            if file.name == "index" and (file.parent / "HEAD").exists():
                self._repositories.append(str(file.parent.parent.relative_to(self._kept)))
            elif file.is_file() and self._place in (contents := file.read_bytes()):
                naming = self._stores if contents.startswith(_SQLITE) else self._naming
                naming.append(str(file.relative_to(self._kept)))

    def _copy(self, place: Path) -> None:
        for name in self._names:
            shutil.copytree(self._kept / name, place / name, symlinks=True, dirs_exist_ok=True)
        for name in self._naming:
            file = place / name
            about = file.stat()
            file.write_bytes(file.read_bytes().replace(self._place, bytes(place)))
            os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
        for name in self._stores:
            with connected(str(place / name)) as store:
                store.execute("PRAGMA synchronous = OFF")
                store.execute(
                    "UPDATE root SET project = replace(project, ?, ?)", (os.fsdecode(self._place), str(place))
                )
                store.commit()
        for name in self._repositories:  # the index knows the files by their inodes, too
            subprocess.run(["git", "update-index", "-q", "--refresh"], cwd=place / name, check=True)


def _beginning() -> object:
    """What the test has at its beginning: its home, and its environment."""
    home = os.environ["HOME"]
    files = {name: _contents(os.path.join(home, name)) for name in os.listdir(home)}
    names = set(os.environ) - {"HOME", "PYTEST_CURRENT_TEST"}
    return files, {name: os.environ[name] for name in names}


def _contents(path: str) -> bytes | None:
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return file.read()
