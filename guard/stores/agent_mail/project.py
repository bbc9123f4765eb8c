"""Which projects of MCP Agent Mail's concern a checkout, and from where the patterns of each start.

These count:

- those whose directory is the checkout's top, the main worktree's, one above or one below these, under whatever name:
  as spelled, or the same directory by way of symbolic links;
- those with a slug that one of the servers' identity modes makes from this checkout
  (:mod:`guard.stores.agent_mail.identity`): their patterns start at its top;
- the one whose slug or path guard.project names, wherever it is.

Loaded by the hook's refresh: imports nothing heavy.
"""

from __future__ import annotations

import os

from guard.record import Record
from guard.stores.agent_mail.identity import has_digits, slugs_of_place, slugs_of_remotes
from guard.stores.agent_mail.pattern import Site, names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from guard.repo.place import Place
    from guard.stores.agent_mail.pattern import Names

    Identity = tuple[int, int]


class Project(Record):
    """A project of theirs. ``fault`` says what could not be read.

    An archived one is hidden from lists; its server still grants reservations in it, so they count.
    """

    id: int
    slug: str
    key: bytes
    archived: bool
    fault: str = ""


def concerning(projects: Iterable[Project], name: str, place: Place | None) -> dict[int, tuple[Site, ...]]:
    """The projects that count for a checkout, by id, with the place where their patterns start. ``name`` is
    guard.project.
    """
    paths = directories(place)
    tops = [names_of(path) for path in paths]
    slugs = _Slugs(place, paths)
    above: dict[Identity, list[Site]] | None = None
    found = {}
    for project in projects:
        start = names_of(os.path.normpath(project.key)) if os.path.isabs(project.key) else None
        sites = [] if start is None else [Site(start, top) for top in tops if _one_holds_the_other(start, top)]
        if start is not None and not sites:
            above = _by_identity(tops) if above is None else above
            identity = _identity(project.key)
            sites = above.get(identity, []) if identity else []
        if not sites and slugs.has(project.slug):
            sites = [Site(top, top) for top in tops]
        if not sites and is_called(project, name):
            sites = [Site(start or (), start or ())]
        if sites:
            found[project.id] = tuple(sites)
    return found


class _Slugs:
    """The slugs of a checkout, each kind worked out when it is first needed."""

    def __init__(self, place: Place | None, paths: list[bytes]) -> None:
        self._place = place
        self._paths = paths
        self._of_place: set[str] | None = None
        self._of_remotes: set[str] | None = None

    def has(self, slug: str) -> bool:
        if self._place is None:
            return False
        if self._of_place is None:
            self._of_place = slugs_of_place(self._place, self._paths)
        if slug in self._of_place:
            return True
        if not has_digits(slug):
            return False
        if self._of_remotes is None:
            self._of_remotes = slugs_of_remotes(self._place)
        return slug in self._of_remotes


def is_called(project: Project, name: str) -> bool:
    """Does guard.project name this project?"""
    key = os.fsencode(name)
    return name == project.slug or (os.path.isabs(key) and os.path.normpath(key) == os.path.normpath(project.key))


def directories(place: Place | None) -> list[bytes]:
    """The top of the checkout and of its main worktree, each as named and as it really is."""
    if place is None:
        return []
    main = os.path.dirname(place.common_dir) if os.path.basename(place.common_dir) == b".git" else place.common_dir
    found = [path for path in (place.top, main) if path is not None]
    return list(dict.fromkeys(each for path in found for each in (os.path.normpath(path), os.path.realpath(path))))


def _one_holds_the_other(start: Names, top: Names) -> bool:
    length = min(len(start), len(top))
    return start[:length] == top[:length]


def _by_identity(tops: Iterable[Names]) -> dict[Identity, list[Site]]:
    """The tops and every directory above them, by what tells one directory from another."""
    found: dict[Identity, list[Site]] = {}
    for top in tops:
        for start in _with_parents(top):
            identity = _identity(b"/" + b"/".join(start))
            if identity is not None:
                found.setdefault(identity, []).append(Site(start, top))
    return found


def _with_parents(names: Names) -> Iterator[Names]:
    for length in range(len(names), -1, -1):
        yield names[:length]


def _identity(path: bytes) -> Identity | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
