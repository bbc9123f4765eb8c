"""Which files are changed in a work tree, and which of them do others hold?

git gets its own time limit, because a large work tree must not keep a shell command from running.
"""

from __future__ import annotations

import os
import time

from guard.agents.limits import deadline_s
from guard.agents.locate import is_set_up
from guard.agents.world import World
from guard.model import Change, Conflict, GuardError
from guard.repo.git import without_filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.repo.place import Place

LIMIT = 0.6
"""The part of the hook's deadline that git may take (0.6 = 60 %)."""


class TookLong(GuardError):
    """git did not answer in time."""


def changed(
    place: Place,
    environment: Mapping[bytes, bytes],
    *,
    untracked: bool,
    paths: Sequence[str] = (),
    filters: bool = True,
) -> list[bytes]:
    """The changed paths of a work tree, relative to its top; with ``untracked`` also the new files.

    ``paths`` are pathspecs relative to the top; without them, the whole work tree counts. ``filters`` is False when it
    is known that the configuration names no filters; then it is not read.

    Raises :class:`GuardError` if git fails, and :class:`TookLong` if it takes too long.
    """
    shown = "all" if untracked else "no"
    arguments = [
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--ignore-submodules=none",
        f"--untracked-files={shown}",
    ]
    asked = [path.encode("utf-8", "surrogateescape") for path in paths]
    options = without_filters() if filters else ["-c", "core.fsmonitor="]
    said = _git(place, environment, [*options, *arguments, "--", *asked])
    return [entry[3:] for entry in said.split(b"\0") if len(entry) > 3]


def held_by_others(world: World, paths: Sequence[bytes]) -> list[Conflict]:
    """The conflicts of the paths with exclusive reservations of others. Raises :class:`GuardError`."""
    from guard.judge import conflicts

    if not paths:
        return []
    rows = world.store.covering(world.project, paths).reservations
    return conflicts([Change(path) for path in paths], rows, me=world.me, fold=world.settings.fold)


def is_guarded(place: Place | None) -> bool:
    """Is this a work tree in which guard is set up?"""
    return place is not None and place.top is not None and is_set_up(place)


def _git(place: Place, environment: Mapping[bytes, bytes], arguments: Sequence[bytes | str]) -> bytes:
    """Runs git in a work tree, for at most a part of the deadline, and returns what it wrote."""
    assert place.top is not None
    command = ["git", "-C", place.top, "-c", "core.quotePath=false", *arguments]
    env = {**environment, b"GIT_OPTIONAL_LOCKS": b"0", b"LC_ALL": b"C", b"GIT_TRACE": b"0", b"GIT_TRACE2": b"0"}
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
        try:
            process = os.posix_spawnp("git", command, env, file_actions=actions)
        except OSError as error:
            raise GuardError(f"git cannot be started: {error.strerror}") from error
    finally:
        os.close(writer)
        os.close(null)
    try:
        said = _read_until_end(reader, process, LIMIT * deadline_s(environment))
    finally:
        os.close(reader)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status != 0:
        raise GuardError(f"git status failed with status {status} in {os.fsdecode(place.top)}", hint="git status")
    return said


def _read_until_end(reader: int, process: int, limit_s: float) -> bytes:
    from select import poll

    until = time.monotonic() + limit_s
    waiting = poll()
    waiting.register(reader)
    parts: list[bytes] = []
    while True:
        left = until - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            os.kill(process, 9)
            os.waitpid(process, 0)
            raise TookLong(f"git status took longer than {limit_s:g} s")
        part = os.read(reader, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)
