"""What git itself says: does a pattern, as a line of .gitignore, cover a path?

Every question of one call is answered by a single ``git check-ignore``, in a scratch repository that sees nothing of
the developer's settings.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from guard.patterns.grammar import fault

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
        if "GIT_EXEC_PATH" in os.environ:
            self.env["GIT_EXEC_PATH"] = os.environ["GIT_EXEC_PATH"]
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


class Maker:
    """Makes patterns, and paths that are likely to match them or nearly so; the same ones for the same seed."""

    LITERAL = (b"a", b"b", b"A", b".", b"-", b" ", b"#", b"!", b":", b"]", b"^", b"\xc3\xa9", b"\xff", b"\xc3\xa0")
    ESCAPED = (b"\\*", b"\\?", b"\\[", b"\\]", b"\\\\", b"\\ ", b"\\#", b"\\!")
    SETS = (
        b"[ab]",
        b"[!a]",
        b"[^b]",
        b"[a-c]",
        b"[A-C]",
        b"[!A-C]",
        b"[]a]",
        b"[a-]",
        b"[+-9]",
        b"[Z-a]",
        b"[*?]",
        b"[!.]",
    )
    WILD = (b"*", b"*", b"?")
    BYTES = b"abcABCzZ.-_ #!:]^[*?\\\n\xc3\xa9\xff\xa0+/"

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def name(self) -> bytes:
        kinds = self.random.choices((self.LITERAL, self.WILD, self.SETS, self.ESCAPED), (8, 4, 2, 1), k=4)
        return b"".join(map(self.random.choice, kinds[: self.random.randint(1, 4)]))

    def pattern(self) -> bytes:
        """A line of .gitignore, most of the time in the accepted grammar."""
        segments = [self.random.choice((self.name(), self.name(), b"**", b"*", b"a")) for _ in range(4)]
        text = b"/".join(segments[: self.random.randint(1, 4)])
        return self.random.choice((b"", b"/", b"/", b"**/")) + text + self.random.choice((b"", b"", b"", b"/"))

    def accepted(self, count: int) -> list[bytes]:
        """That many different patterns of the accepted grammar."""
        found: dict[bytes, None] = {}
        while len(found) < count:
            pattern = self.pattern()
            if not fault(pattern):
                found[pattern] = None
        return list(found)

    def path(self) -> bytes:
        while True:
            path = bytes(self.random.choices(self.BYTES, k=self.random.randint(1, 7)))
            if is_path(path):
                return path

    def near(self, pattern: bytes) -> bytes:
        """A path made from a pattern, its wildcards filled in."""
        pick = self.random.choice
        while True:
            path = pattern.strip(b"/")
            path = re.sub(rb"\*\*", lambda _: pick((b"a", b"b/a", b"x/a/b")), path)
            path = re.sub(rb"\[.[^\]]*\]", lambda _: pick((b"a", b"b", b"B", b"c", b"/", b"-", b"]", b"_")), path)
            path = re.sub(rb"(?<!\\)\*", lambda _: pick((b"", b"a", b"ab", b"\n", b"B", b"/")), path)
            path = re.sub(rb"(?<!\\)\?", lambda _: pick((b"a", b"\n", b"\xc3", b"\xc3\xa9", b"/")), path)
            path = re.sub(rb"\\(.)", rb"\1", path, flags=re.DOTALL)
            path = pick((b"", b"", b"", b"a/", b"b/a/")) + path + pick((b"", b"", b"", b"/a", b"/b/a", b"\n", b"a"))
            path = path.swapcase() if pick((False, False, True)) else path
            if is_path(path):
                return path
            pattern = self.pattern()


def is_path(path: bytes) -> bool:
    """Could git track a file of this path?"""
    return b"\0" not in path and all(name not in (b"", b".", b"..") for name in path.split(b"/"))
