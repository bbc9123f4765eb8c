"""Which commits have been published before, so that a push of them is nothing new?

Remote-tracking refs show most of them (:mod:`guard.repo.tracking`). This module reads two files that show the others:
FETCH_HEAD lists what was fetched without a tracking ref, and ``shallow`` lists where the history was cut off.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from guard.repo.place import Place

_KINDS = (b"branch '", b"tag '", b"remote-tracking branch '", b"'")


def elsewhere(place: Place) -> list[bytes]:
    """Hex oids of commits that came from another repository. They and all their ancestors are published.

    They are the ones that the last ``git fetch`` or ``git pull`` brought (gitrepository-layout(5), FETCH_HEAD), and the
    boundary of a shallow clone. An oid may be missing in this repository, because ``git gc`` may have removed it.
    """
    lines = _lines(os.path.join(place.git_dir, b"FETCH_HEAD"))
    found = fetched(lines, is_here=lambda url: _is_here(url, place))
    return list(dict.fromkeys([*found, *_lines(os.path.join(place.common_dir, b"shallow"))]))


def fetched(lines: list[bytes], *, is_here: Callable[[bytes], bool]) -> list[bytes]:
    """The oids in lines of FETCH_HEAD that came from another repository.

    A line is "OID TAB [not-for-merge] TAB NOTE". The note is "KIND 'NAME' of URL", or only a URL when HEAD was fetched.
    A name has no space, so the first "' of " ends it. Lines of another form are passed over. ``is_here`` tells whether
    a URL names this very repository.
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
    """Does the URL in FETCH_HEAD name this very repository? git writes the URL without a ".git" at its end.

    The ``.git`` of a linked worktree is a file. It counts as this repository; it is not read.
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
    """The lines of a file; [] when there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []
