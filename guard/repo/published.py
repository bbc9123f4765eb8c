"""Which commits have been published, so that a push does not make them public for the first time?

Remote-tracking refs say most of it (:mod:`guard.repo.tracking`). This module reads the two files that say the
rest: FETCH_HEAD, for what was fetched without a tracking ref, and ``shallow``, for where history was cut off.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from guard.repo.place import Place

_KINDS = (b"branch '", b"tag '", b"remote-tracking branch '", b"'")


def elsewhere(place: Place) -> list[bytes]:
    """Hex oids of commits that came from another repository: they and all that they descend from are published.

    They are what the last ``git fetch`` or ``git pull`` brought (gitrepository-layout(5), FETCH_HEAD), and the
    boundary of a shallow clone. An oid may be unknown here: both files may be older than a ``git gc``.
    """
    lines = _lines(os.path.join(place.git_dir, b"FETCH_HEAD"))
    found = fetched(lines, is_here=lambda url: _is_here(url, place))
    return list(dict.fromkeys([*found, *_lines(os.path.join(place.common_dir, b"shallow"))]))


def fetched(lines: list[bytes], *, is_here: Callable[[bytes], bool]) -> list[bytes]:
    """The oids in lines of FETCH_HEAD that came from another repository.

    A line is "oid TAB [not-for-merge] TAB note", and the note is "KIND 'NAME' of URL", or a URL alone when HEAD was
    fetched. A name holds no space, so the first "' of " ends it. A line of another form says nothing.
    """
    found = []
    for line in lines:
        oid, _, rest = line.partition(b"\t")
        _, tab, note = rest.partition(b"\t")
        if not tab:
            continue
        url = note.partition(b"' of ")[2] if note.startswith(_KINDS) else note
        if url and not is_here(url):
            found.append(oid)
    return [oid for oid in found if is_oid(oid)]


def is_oid(word: bytes) -> bool:
    """Is this an object id in full, in hexadecimal?"""
    return len(word) in (40, 64) and all(digit in b"0123456789abcdef" for digit in word)


def _is_here(url: bytes, place: Place) -> bool:
    """Does the URL in FETCH_HEAD name this very repository? git leaves a ".git" at the end of the URL out.

    A linked worktree's ``.git`` is a file: whose it is is not looked up, and it counts as this repository.
    """
    path = url.removeprefix(b"file://")
    for end in (b"", b".git", b"/.git", b".git/.git"):
        candidate = os.path.join(place.top or place.git_dir, path + end)
        if os.path.isfile(candidate):
            return True
        if os.path.isdir(candidate) and os.path.realpath(candidate) == os.path.realpath(place.common_dir):
            return True
    return url == b"."


def _lines(path: bytes) -> list[bytes]:
    """The lines of a file; none when there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []
