"""What a hook does when a session begins, and when it ends."""

from __future__ import annotations

from guard.agents import notes
from guard.agents.locate import around, is_set_up
from guard.agents.world import AUTO_REASON, World
from guard.model import GuardError
from guard.repo.standpoint import now_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def at_start(cwd: bytes, environment: Mapping[bytes, bytes]) -> str:
    """The message to a session that begins: its name as a holder, what it holds, what others hold, what it lost.

    "" where guard is not set up or is switched off. Raises :class:`GuardError`.
    """
    import os

    from guard.agents.words import session_lines

    place = around(os.path.realpath(cwd)) if os.path.isabs(cwd) else None
    if place is None or not is_set_up(place):
        return ""
    world = World(place, environment)
    if world.settings.mode.value == "off":
        return ""
    rows = world.store.active(world.project).reservations
    lost = world.store.notices(world.project, world.me)
    mine = [row for row in rows if row.holder == world.me]
    theirs = [row for row in rows if row.holder != world.me and row.exclusive]
    text = session_lines(world.me, mine, theirs, lost, now=now_ms())
    if lost:
        try:
            world.store.told(lost)
        except GuardError:
            pass  # then the message comes once more
    return text


def at_end(note: bytes, environment: Mapping[bytes, bytes]) -> int:
    """Releases the files that the session reserved by editing, and returns how many. Other reservations stay.

    Raises the last :class:`GuardError` of a repository that cannot be reached, after it has looked at all others. The
    leases there expire.
    """
    from guard.stores.interface import Chosen

    held: dict[bytes, dict[bytes, int]] = {}
    for edited in notes.read(note):
        held.setdefault(edited.git_dir, {})[edited.path] = edited.id
    count = 0
    failed: GuardError | None = None
    for git_dir, ids in held.items():
        wanted = {number for number in ids.values() if number}
        try:
            world = _world(git_dir, environment)
            if world is None or not wanted:
                continue
            paths = list(ids)
            rows = world.store.covering(world.project, paths).reservations
            mine = [row.id for row in rows if row.id in wanted and row.holder == world.me and row.reason == AUTO_REASON]
            if mine:
                count += len(world.store.release(world.actor, Chosen(ids=tuple(mine))).reservations)
                _tell_others(world)
        except GuardError as error:
            failed = error
    notes.remove(note)
    if failed is not None:
        raise failed
    return count


def _world(git_dir: bytes, environment: Mapping[bytes, bytes]) -> World | None:
    import os

    from guard.repo.place import Place

    try:
        with open(os.path.join(git_dir, b"gitdir"), "rb") as file:  # a linked worktree: gitrepository-layout(5)
            top = os.path.dirname(file.read().rstrip(b"\n"))
    except OSError:
        top = os.path.dirname(git_dir) if os.path.basename(git_dir) == b".git" else git_dir
    place = around(top) or Place(git_dir=git_dir, common_dir=git_dir, top=git_dir)
    return World(place, environment) if is_set_up(place) and os.path.isdir(place.top or b"") else None


def _tell_others(world: World) -> None:
    from guard.union.renewal import renew

    renew(world.store)
