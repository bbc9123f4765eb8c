"""Which refs below refs/remotes/ track a remote?

Only the refs count into which a configured remote is fetched (git-config(1), remote.<name>.fetch). Everybody can make
other refs there with ``git update-ref``; these do not show what is published.
"""

from __future__ import annotations

import os

from guard.repo.place import common_dir_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guard.repo.git import Configured
    from guard.repo.place import Place

_BELOW = b"refs/remotes/"
_KEYS = ((b"remote.", b".fetch"), (b"svn-remote.", (b".fetch", b".branches", b".tags")))


def tracking(entries: Sequence[Configured], place: Place) -> tuple[bytes, ...]:
    """The destinations below refs/remotes/ of all remotes, such as ``refs/remotes/origin/*``.

    A remote without an address and a remote that is this very repository do not count, because nothing is published
    there.
    """
    found: dict[bytes, None] = {}
    elsewhere: dict[bytes, bool] = {}
    for entry in entries:
        start, ends = next(((start, ends) for start, ends in _KEYS if entry.key.startswith(start)), (b"", b""))
        if not start or not entry.key.endswith(ends) or not entry.value:
            continue
        name = entry.key[: entry.key.rindex(b".")]
        if name not in elsewhere:
            elsewhere[name] = _is_elsewhere(name, entries, place)
        _, colon, ref = entry.value.rpartition(b":")
        if colon and elsewhere[name] and ref.startswith(_BELOW) and b" " not in ref and b"\n" not in ref:
            found[ref] = None
    return tuple(found)


def as_glob(ref: bytes) -> bytes:
    """The same ref for ``--glob=`` of git-rev-list(1), which would take a name without a wildcard for a directory."""
    return ref if b"*" in ref else ref[:-1] + b"[" + ref[-1:] + b"]"


def is_tracking(name: bytes, destinations: Iterable[bytes]) -> bool:
    """Is a ref's full name one of the destinations that :func:`tracking` gives?"""
    for each in destinations:
        before, star, after = each.partition(b"*")
        if name == each or (star and name.startswith(before) and name.endswith(after)):
            return True
    return False


def _is_elsewhere(name: bytes, entries: Sequence[Configured], place: Place) -> bool:
    """Does a remote have an address that is not this repository? ``name`` is its key without ``.url``."""
    urls = [entry.value for entry in entries if entry.key == name + b".url" and entry.value]
    if any(entry.key.startswith(b"url.") for entry in entries):
        from guard.repo.project import unshortened

        urls = [unshortened(url, entries) for url in urls if url]
    here = os.path.realpath(place.common_dir)
    return bool(urls) and not all(repository_at(url, place) == here for url in urls if url)


def repository_at(url: bytes, place: Place) -> bytes | None:
    """The common git directory of a remote that is a repository on this machine; None for any other remote."""
    path = url.removeprefix(b"file://")
    head, colon, _ = path.partition(b":")
    if not path or b"://" in path or (colon and b"/" not in head):  # "host:path", as ssh has it
        return None
    return common_dir_of(os.path.join(place.top or place.git_dir, path))
