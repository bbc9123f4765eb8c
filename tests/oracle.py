"""What git itself says: does a pattern, as a line of .gitignore, cover a path?

Every question of one call is answered by a single ``git check-ignore``, in a scratch repository that sees nothing of
the developer's settings.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Git:
    """A scratch repository below ``place``, asked about patterns and paths (bytes)."""

    def __init__(self, place: Path) -> None:
        self.tree = place / "tree"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(place / "home"),
            "XDG_CONFIG_HOME": str(place / "home"),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_DIR": str(place / "git"),
            "GIT_WORK_TREE": str(self.tree),
        }
        self.tree.mkdir(parents=True)
        (place / "home").mkdir()
        subprocess.run(["git", "init", "-q"], env=self.env, cwd=self.tree, check=True, timeout=60)

    def covered(self, files: Mapping[bytes, Sequence[bytes]], paths: Iterable[bytes], *, fold: bool) -> set[bytes]:
        """Which of the paths are ignored when each directory of ``files`` has a .gitignore of those lines."""
        shutil.rmtree(self.tree)
        self.tree.mkdir()
        top = os.fsencode(self.tree)
        for directory, lines in files.items():
            place = os.path.join(top, directory)
            os.makedirs(place, exist_ok=True)
            with open(os.path.join(place, b".gitignore"), "wb") as file:
                file.writelines(line + b"\n" for line in lines)
        settings = ("-c", f"core.excludesFile={os.devnull}", "-c", f"core.ignoreCase={'true' if fold else 'false'}")
        asked = subprocess.run(
            ["git", *settings, "check-ignore", "--no-index", "--stdin", "-z"],
            env=self.env,
            cwd=self.tree,
            input=b"".join(b"./" + path + b"\0" for path in paths),
            capture_output=True,
            timeout=600,
            check=False,
        )
        assert asked.returncode in (0, 1), asked.stderr
        return {path.removeprefix(b"./") for path in asked.stdout.split(b"\0") if path}

    def pairs(
        self, patterns: Sequence[bytes], paths: Mapping[int, Iterable[bytes]], *, fold: bool
    ) -> set[tuple[int, bytes]]:
        """Which (index of a pattern, path of that index) match, each pattern by itself.

        Pattern n is the only line of ``n/.gitignore``, and is asked about ``n/path``.
        """
        files = {b"%d" % index: [pattern] for index, pattern in enumerate(patterns)}
        asked = [b"%d/%s" % (index, path) for index, own in paths.items() for path in own]
        answers = (path.partition(b"/") for path in self.covered(files, asked, fold=fold))
        return {(int(index), path) for index, _, path in answers}
