"""What is in the index: its paths, their spelling, and its submodules. Commands use it; the fast hook does not."""

from __future__ import annotations

import os
from bisect import bisect_left
from functools import cached_property

from guard.repo import git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from guard.repo.place import Place

_PATHSPEC_VARIABLES = (
    b"GIT_LITERAL_PATHSPECS",
    b"GIT_GLOB_PATHSPECS",
    b"GIT_NOGLOB_PATHSPECS",
    b"GIT_ICASE_PATHSPECS",
)


class Index:
    """The index of one worktree. Each list is read when it is first used, with one ``git ls-files``.

    Paths are relative to the top. A bare repository has no index, so every list is empty there.
    """

    def __init__(self, place: Place, environment: Mapping[bytes, bytes]) -> None:
        self._place = place
        self._environment = environment

    @cached_property
    def names(self) -> list[bytes]:
        """Every path in the index, sorted, each once."""
        return sorted(set(self.listed("--cached")))

    @cached_property
    def submodules(self) -> list[bytes]:
        """The paths of the submodules, sorted; [] when there is no file ``.gitmodules``."""
        top = self._place.top
        if top is None or not os.path.lexists(os.path.join(top, b".gitmodules")):
            return []
        entries = self.listed("--cached", "--stage")
        return sorted({entry.partition(b"\t")[2] for entry in entries if entry.startswith(b"160000 ")})

    @cached_property
    def _spellings(self) -> dict[str, bytes]:
        """The paths of the index and the directories above them, by the key that :func:`same_name` gives to each."""
        spellings: dict[str, bytes] = {}
        for name in self.names:
            at = len(name)
            while at > 0 and (key := same_name(name[:at])) not in spellings:
                spellings[key] = name[:at]
                at = name.rfind(b"/", 0, at)
        return spellings

    def has(self, path: bytes) -> bool:
        """Is this path in the index, or a path below it?"""
        at = bisect_left(self.names, path)
        if self.names[at : at + 1] == [path]:
            return True
        at = bisect_left(self.names, path + b"/")
        return any(name.startswith(path + b"/") for name in self.names[at : at + 1])

    def spelled(self, path: bytes) -> bytes:
        """The path in the spelling of the index, as far as the index has its leading names.

        For file systems on which names that differ only in case are the same name (core.ignoreCase in git-config(1)).
        git keeps the spelling of the index there.
        """
        names = path.split(b"/")
        for count in range(len(names), 0, -1):
            known = self._spellings.get(same_name(b"/".join(names[:count])))
            if known is not None:
                return b"/".join([known, *names[count:]])
        return path

    def matching(self, specs: Sequence[bytes], *, untracked: bool) -> list[bytes]:
        """The paths in the index that the pathspecs match; with ``untracked``, instead, those that git would add."""
        kind = ("--others", "--exclude-standard") if untracked else ("--cached",)
        return self.listed(*kind, "--", *specs)

    def changed(self) -> list[bytes]:
        """The paths that differ from HEAD in the index or the work tree, and new ones that git does not ignore."""
        asked = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none"]
        entries = self._asked([*git.without_filters(), *asked]).split(b"\0")
        return sorted({entry[3:] for entry in entries if len(entry) > 3})

    def listed(self, *arguments: bytes | str) -> list[bytes]:
        """What ``git ls-files -z`` lists, from the top. Raises :class:`guard.repo.git.GitError`."""
        asked = ["-c", "core.fsmonitor=", "ls-files", "-z", *arguments]
        return [name for name in self._asked(asked).split(b"\0") if name]

    def _asked(self, arguments: Sequence[bytes | str]) -> bytes:
        place = self._place
        if place.top is None:
            return b""
        environment = {name: value for name, value in self._environment.items() if name not in _PATHSPEC_VARIABLES}
        environment |= {b"GIT_DIR": place.git_dir, b"GIT_WORK_TREE": place.top}
        environment |= {b"GIT_OPTIONAL_LOCKS": b"0"}
        return git.run(arguments, directory=place.top, environment=environment)


_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}


def unquoted(name: bytes) -> bytes:
    """The path that git printed, without the quotes and escapes that git gives to an unusual one (core.quotePath)."""
    import re

    if len(name) < 2 or not (name.startswith(b'"') and name.endswith(b'"')):
        return name

    def byte(found: re.Match[bytes]) -> bytes:
        return bytes([int(found[1], 8) & 0xFF if found[1] else _ESCAPES[found[2]]])

    return re.sub(rb'\\(?:([0-7]{3})|([abtnvfr"\\]))', byte, name[1:-1])


def same_name(path: bytes) -> str:
    """A key that is equal for two names which a case-insensitive, normalizing file system takes for one."""
    import unicodedata

    return unicodedata.normalize("NFC", path.decode("utf-8", "surrogateescape")).casefold()


def composed(path: bytes) -> bytes:
    """The name in Unicode's form NFC, as git stores it where core.precomposeUnicode is true (git-config(1)).

    A name that is not UTF-8 is returned as it is.
    """
    if path.isascii():
        return path
    import unicodedata

    try:
        return unicodedata.normalize("NFC", path.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return path


def specs(patterns: Iterable[bytes], *, fold: bool) -> list[bytes]:
    """The pathspecs that match everything that stored patterns cover (gitglossary(7), pathspec)."""
    magic = b":(top,glob,icase)" if fold else b":(top,glob)"
    found = []
    for pattern in patterns:
        line = pattern.lstrip(b"/") if pattern.startswith(b"/") else pattern
        if line.endswith((b"/**", b"/")) or line == b"**":
            found.append(magic + line.rstrip(b"/") + (b"/**" if line.endswith(b"/") else b""))
        else:
            found += [magic + line, magic + line + b"/**"]
    return found
