"""What else decides whether guard is in force in a repository that others push to: can each account reach the store?"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from guard.install.inforce import Problem, World
from guard.repo import settings, standpoint
from guard.words import quoted, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.repo.git import Configured

_GROUP_READS_AND_WRITES = 0o060


def look_at_store(world: World) -> list[Problem]:
    """Why an account that may push cannot be judged: the store's file is not as open as the repository is."""
    path = _store(world)
    repository = os.stat(world.place.common_dir)
    if not path or not repository.st_mode & stat.S_IWGRP:
        return []  # one account receives every push, or the store is reached through a network
    directory = os.path.dirname(path)
    try:
        file, above = os.stat(path), os.stat(directory)
    except OSError:
        return []  # status says that it cannot be reached
    open_file = file.st_mode & _GROUP_READS_AND_WRITES == _GROUP_READS_AND_WRITES
    open_above = above.st_mode & 0o030 == 0o030
    same = repository.st_gid == file.st_gid == above.st_gid
    if open_file and open_above and (same or file.st_mode & 0o006 == 0o006):
        return []
    what = (
        f"the repository is its group's, and the store {safe(path)} is not: pushes of other accounts cannot be judged"
    )
    place, name = quoted(os.fsencode(directory)), quoted(os.fsencode(path))
    repair = f"chgrp {repository.st_gid} {place} {name} && chmod g+rwxs {place} && chmod g+rw {name}"
    return [Problem("store-private", what, repair)]


def notes(world: World) -> list[str]:
    """The notes of ``guard install`` and ``guard status`` about who pushes here, and about the project's name."""
    return [_who_pushes(world.entries), _project(world)]


def _who_pushes(entries: Sequence[Configured]) -> str:
    named = [safe(entry.value) for entry in entries if entry.key == b"guard.pusher" and entry.value]
    who = f"the variable {named[-1]}" if named else "the forge's variable, else REMOTE_USER, else the account"
    keys = [entry.key for entry in entries if entry.key.startswith(b"guard.") and entry.key.endswith(b".principal")]
    names = sorted({safe(key[len(b"guard.") : -len(b".principal")]) for key in keys})
    listed = f"; principals are listed for {', '.join(names[:5])}{', …' if len(names) > 5 else ''}" if names else ""
    return f"the pusher is named by {who}{listed} (guard help server)"


def _project(world: World) -> str:
    project = _settings(world).project.value
    return (
        f"only reservations in the project {safe(project)} count here. guard whoami --json shows that of a clone; "
        f"to set it there: git config guard.project {quoted(os.fsencode(project))}"
    )


def _store(world: World) -> str:
    address = _settings(world).store.value
    return "" if "://" in address else address


def _settings(world: World) -> settings.Settings:
    return settings.read(standpoint.environment(), world.entries, world.place)
