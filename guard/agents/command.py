"""Before a shell command: which work of others would it throw away? After it: which files of others has it changed?"""

from __future__ import annotations

import os

from guard.agents import changed as changes
from guard.agents import quick
from guard.agents.changed import TookLong, held_by_others, is_guarded
from guard.agents.edit import decide
from guard.agents.locate import around
from guard.agents.world import World
from guard.model import GuardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.agents.shell import Git
    from guard.model import Conflict
    from guard.repo.place import Place


def refusal_of_command(
    command: str, cwd: bytes, environment: Mapping[bytes, bytes], *, git_hooks: bool
) -> tuple[str, str]:
    """Why a shell command must not run, and a warning; each is "" if there is none.

    ``git_hooks`` tells that git runs its hooks in this program's shell; then these judge commits and pushes. Raises
    :class:`GuardError` if no verdict can be reached.
    """
    if "g" not in command:
        return "", ""
    from guard.agents.shell import git_calls

    calls = git_calls(command)
    if not calls:
        return "", ""
    from guard.agents.aliases import expanded

    calls = expanded(calls, cwd, environment)
    refusals: list[str] = []
    warnings: list[str] = []
    for number, call in enumerate(calls):
        refused, warning = _refusal_of_call(call, calls[:number], cwd, environment, git_hooks=git_hooks)
        refusals += [refused] if refused else []
        warnings += [warning] if warning else []
    return "\n\n".join(dict.fromkeys(refusals)), "\n".join(warnings)


def _refusal_of_call(
    call: Git, before: Sequence[Git], cwd: bytes, environment: Mapping[bytes, bytes], *, git_hooks: bool
) -> tuple[str, str]:
    from guard.agents.destroy import loss

    directory = _directory(call, cwd)

    def exists(path: str) -> bool:
        return os.path.lexists(os.path.join(directory, path.encode("utf-8", "surrogateescape")))

    lost = loss(call, exists)
    judged = not git_hooks and call.verb in ("commit", "push")
    if lost is None and not judged:
        return "", ""
    if lost is not None and lost.directory:
        directory = os.path.join(directory, lost.directory.encode("utf-8", "surrogateescape"))
    place = around(os.path.realpath(directory))
    if place is None or not is_guarded(place):
        return "", ""
    world = World(place, environment)
    if world.settings.mode.value == "off":
        return "", ""
    if judged:
        from guard.agents.without_hooks import conflicts_of_call

        return _decided(world, conflicts_of_call(world, call, before, directory), f"git {call.verb}")
    assert lost is not None
    pathspecs = _from_top(place, directory, lost.paths)
    paths = changes.changed(place, environment, untracked=lost.untracked, paths=pathspecs)
    if not lost.tracked:
        tracked = set(changes.changed(place, environment, untracked=False, paths=pathspecs))
        paths = [path for path in paths if path not in tracked]
    return _decided(world, held_by_others(world, paths), f"git {call.verb}", throws_away=True)


def _decided(world: World, conflicts: Sequence[Conflict], what: str, *, throws_away: bool = False) -> tuple[str, str]:
    if not conflicts:
        return "", ""
    from guard.agents.words import command_refusal
    from guard.repo.standpoint import now_ms

    refused, said = decide(world, conflicts, what=what)
    if not refused:
        return "", said
    return command_refusal(conflicts, what=what, now=now_ms(), throws_away=throws_away), ""


def _directory(call: Git, cwd: bytes) -> bytes:
    """The directory in which git works; the one in which the command starts, if that is not known."""
    return os.path.join(cwd, (call.directory or "").encode("utf-8", "surrogateescape"))


def _from_top(place: Place, directory: bytes, paths: Sequence[str]) -> list[str]:
    """The pathspecs relative to the top; [], which means everything, if one of them cannot be read."""
    from guard.agents.shell import UNKNOWN

    assert place.top is not None
    if any(UNKNOWN in path for path in paths):
        return []
    start = os.path.relpath(os.path.realpath(directory), place.top)
    found = []
    for path in paths:
        if path.startswith((":(", ":!", ":^")):
            return []  # pathspecs that leave paths out are not worked out; all paths are looked at
        if path.startswith(":/"):
            found.append(path[2:] or ".")
            continue
        text = path.encode("utf-8", "surrogateescape")
        joined = os.path.normpath(os.path.join(start, text))
        if os.path.isabs(text):
            joined = os.path.relpath(os.path.realpath(text), place.top)
        found.append(joined.decode("utf-8", "surrogateescape"))
    return [path for path in found if not path.startswith("../")] or ([] if not found else ["."])


# After a command: which files of others has it changed?

BEFORE = b".before"
"""The ending of the note that is made before a command. The note is beside that of the session."""


def remember(file: bytes, cwd: bytes, environment: Mapping[bytes, bytes]) -> None:
    """Before a command: notes which files that others hold are changed already, so that the command is not blamed.

    Never raises and never refuses. Without the note, nothing is reported after the command.
    """
    try:
        conflicts = _held(file, cwd, environment)
        place = around(os.path.realpath(cwd))
        top = (place.top if place else None) or b""
        lines = [_state(top, path) for path in dict.fromkeys(conflict.path for conflict in conflicts)]
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(opened, "wb") as written:
            written.write(b"\0\0".join([b"whole", *lines]))
    except (GuardError, OSError):
        try:
            os.unlink(file)
        except OSError:
            return


def _held(file: bytes, cwd: bytes, environment: Mapping[bytes, bytes]) -> list[Conflict]:
    """The changed files, in the work tree around a directory, that others hold. ``file`` is the command's note."""
    place = around(os.path.realpath(cwd)) if os.path.isabs(cwd) else None
    if place is None or not is_guarded(place):
        return []
    fresh, empty = quick.is_fresh_and_empty(place, environment)
    if empty:
        return []
    note = file.removesuffix(BEFORE)
    known = quick.known(note, place, environment) if fresh else None
    paths = changes.changed(place, environment, untracked=True, filters=known is None or known.filters)
    if known is not None and not paths:
        return []
    world = World(place, environment)
    if known is None:
        world.refresh()
        quick.remember(note, place, environment, world.known)
    if not paths or quick.is_clear(place, environment, paths):
        return []
    if world.settings.mode.value == "off" or not _others_hold_something(world):
        world.refresh()
        return []
    return held_by_others(world, paths)


def _others_hold_something(world: World) -> bool:
    rows = world.store.active(world.project).reservations
    return any(row.exclusive and row.holder != world.me for row in rows)


def _state(top: bytes, path: bytes) -> bytes:
    """A path, and the file's time, size and inode, which differ after somebody writes to it."""
    try:
        status = os.lstat(os.path.join(top, path))
        return b"%b\0%d %d %d" % (path, status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError:
        return b"%b\0gone" % path


def told_after(file: bytes, cwd: bytes, environment: Mapping[bytes, bytes]) -> str:
    """The message to the agent after a command: which files of others it has changed, and how to undo that.

    "" if there are none. For a file that was changed before the command, no command that restores it is named, because
    it has its holder's work in it. Raises :class:`GuardError`.
    """
    try:
        conflicts = _held(file, cwd, environment)
    except TookLong:
        return ""
    before = _remembered(file)
    if not conflicts or before is None:
        return ""
    place = around(os.path.realpath(cwd))
    assert place is not None and place.top is not None
    new, touched = [], []
    for conflict in conflicts:
        state = before.get(conflict.path)
        if state is None:
            new.append(conflict)
        elif state != _state(place.top, conflict.path).partition(b"\0")[2]:
            touched.append(conflict)
    if not new and not touched:
        return ""
    from guard.agents.words import net_text
    from guard.repo.standpoint import now_ms

    untracked = {conflict.path for conflict in new} - set(_tracked(place, environment, new))
    return net_text(new, touched, untracked=untracked, top=place.top, now=now_ms())


def _tracked(place: Place, environment: Mapping[bytes, bytes], new: Sequence[Conflict]) -> list[bytes]:
    if not new:
        return []
    return changes.changed(place, environment, untracked=False)


def _remembered(file: bytes) -> dict[bytes, bytes] | None:
    """The states that were noted before the command, by path; None if there is no whole note."""
    try:
        with open(file, "rb") as opened:
            mark, *lines = opened.read().split(b"\0\0")
        os.unlink(file)
    except (OSError, ValueError):
        return None
    if mark != b"whole":
        return None
    return {path: state for path, _, state in (line.partition(b"\0") for line in lines)}
