"""What a call reads of a repository's settings, kept while every file that it was read from is proven unchanged.

A commit's hook keeps what the settings came to as long as the times of their files are as they were
(:mod:`guard.stores.freshness`). A process can ask for more than sh: a file is unchanged while its number, size, owner,
mode and both of its times are the same. No program can set the time of the last change of status (stat(2), st_ctime),
and a time younger than the coarsest clock's tick proves nothing.

What is kept was read between two looks at the same files, in which all of them were the same. So the first call only
notes which files there are, the second one reads again what it can keep, and the third one is the first that reads
nothing.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

from guard import events
from guard.install.remarks import hooks_directory, is_plainly_installed
from guard.record import Record
from guard.repo import defaults, libgit2, project
from guard.repo.settings import BY_ENVIRONMENT
from guard.stores.freshness import GRAIN_NS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.repo.defaults import Note
    from guard.repo.git import Configured
    from guard.repo.place import Place
    from guard.repo.settings import Settings

KEPT_MAX = 16
"""For how many directories and environments this is kept."""
_NOTES = (defaults.STORE_NOTE, defaults.NOTE, defaults.PROJECT_NOTE, defaults.HOST_NOTE, b"python")

Look = tuple[tuple[int, ...] | None, ...]
"""What stat(2) tells of files, in their order; None for one that is not there."""


class View(Record):
    """Where a call stands: the repository, git's configuration, the settings, and where the repository's note says that
    the store is.

    Only a place is kept where all is as usual: guard is in force by its own hooks, and the project and the store are
    the repository's own. Elsewhere, files that are not watched decide what an answer has to be read with.
    """

    place: Place
    entries: list[Configured]
    settings: Settings
    note: Note | None


class _Known(Record):
    paths: tuple[bytes, ...]
    look: Look | None
    view: View | None


class Views:
    """The views of one server. Used by one call at a time."""

    def __init__(self) -> None:
        self._known: dict[object, _Known] = {}

    def begin(self, environment: Mapping[bytes, bytes], cwd: bytes) -> Reading:
        """Looks at the files of an earlier call that stood here, before anything is read."""
        key = (cwd, os.uname().nodename, frozenset(environment.items()))
        known = self._known.get(key)
        if known is None:
            return Reading(self, key, (), None, None)
        look = _look_at(known.paths)
        return Reading(self, key, known.paths, look, known.view if look == known.look else None)

    def note(self, key: object, known: _Known) -> None:
        """Keeps what was found; the oldest is dropped."""
        self._known.pop(key, None)
        self._known[key] = known
        while len(self._known) > KEPT_MAX:
            del self._known[next(iter(self._known))]


class Reading:
    """One call's: ``view`` is what need not be read again, None when all must be."""

    def __init__(
        self, views: Views, key: object, paths: tuple[bytes, ...], before: Look | None, view: View | None
    ) -> None:
        self._views, self._paths, self._before = views, paths, before
        self._began_ns = time.time_ns()
        self.view = view
        self.key = key
        """Who asks, and from where: the same for all calls with one directory, host and environment."""

    def end(self, environment: Mapping[bytes, bytes], cwd: bytes, view: View) -> None:
        """Keeps what was read in this call with libgit2, if its files were the same before and after."""
        paths = _files_of(environment, cwd, view)
        if paths is None:
            return
        look = _look_at(paths)
        proven = paths == self._paths and look is not None and look == self._before and _is_aged(look, self._began_ns)
        self._views.note(self.key, _Known(paths, look if proven else None, view if proven else None))


def _look_at(paths: Sequence[bytes]) -> Look | None:
    """What is seen of these files; None where that cannot be told of one of them."""
    found: list[tuple[int, ...] | None] = []
    for path in paths:
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            found.append(None)
            continue
        except (OSError, ValueError):
            return None
        same: tuple[int, ...] = (status.st_dev, status.st_ino, status.st_mode, status.st_uid)
        if not (stat.S_ISDIR(status.st_mode) and not path.endswith(b"/worktrees")):
            same += (status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        found.append(same)
    return tuple(found)


def _is_aged(look: Look, now_ns: int) -> bool:
    """Is every time so old that a later change is certain to give another one?"""
    return all(len(each) < 7 or max(each[4:6]) <= now_ns - GRAIN_NS for each in look if each is not None)


def _files_of(environment: Mapping[bytes, bytes], cwd: bytes, view: View) -> tuple[bytes, ...] | None:
    """The files that decide what a view is; None where others do, too."""
    place, configuration = view.place, libgit2.files_of(environment, view.place)
    if place.top is None or configuration is None or not is_plainly_installed(place, view.entries):
        return None
    if _is_named_by_a_neighbour(view) or not _is_the_usual_store(view):
        return None
    files = [cwd, place.top, place.git_dir, place.common_dir]
    for directory in _from(os.path.realpath(cwd), place.top):  # a repository could be made in one of them
        files += [os.path.join(directory, name) for name in (b".git", b"HEAD")]
    files += [os.path.join(place.git_dir, name) for name in (b"commondir", b"config.worktree")]
    files += [*view.settings.watched, *(file for _, file in configuration)]
    files += [os.path.join(place.own_dir, name) for name in _NOTES]
    files.append(os.path.join(place.common_dir, b"worktrees"))
    hooks = hooks_directory(place, view.entries) or place.common_dir
    files += [os.path.join(hooks, name.encode()) for name in events.installed_at(place)]
    return tuple(dict.fromkeys(files))


def _is_named_by_a_neighbour(view: View) -> bool:
    """Does another repository on this machine, which is the remote of this one, decide what the project is called?

    Its settings may then come from yet another one. Where a variable or an option names the project, it is compared
    with the name that would hold without it.
    """
    name, url = project.remote_of(view.entries)
    is_configured = view.settings.project.scope not in ("", "command")
    return bool(name) and not is_configured and not project.parse(os.fsdecode(url)).host


def _is_the_usual_store(view: View) -> bool:
    """Is the store's address, letter for letter, the one that this repository usually has?

    Another address may lead to the same file by symbolic links, until one of these leads elsewhere.
    """
    store, note = view.settings.store, view.note
    if store.scope in ("local", "worktree"):
        return True
    if note is None:
        return store.scope != "command" and not store.source.startswith(BY_ENVIRONMENT)
    return note.address == store.value


def _from(directory: bytes, top: bytes) -> list[bytes]:
    """A directory, and those above it down from it to the top."""
    found = [directory]
    while directory != top and os.path.dirname(directory) != directory:
        directory = os.path.dirname(directory)
        found.append(directory)
    return found
