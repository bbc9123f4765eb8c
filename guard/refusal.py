"""The text of a refusal: who holds what, and the next steps, which work when they are pasted as they stand.

Pure: :mod:`guard.repo.situation` looks at the repository and fills the :class:`Situation` in. Loaded by the hook, but
only when something is refused.
"""

from __future__ import annotations

from guard.patterns.grammar import literal
from guard.record import Record
from guard.words import by_reservation, held, of_commit, pasted, safe, shown_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from guard.model import Conflict, Reservation
    from guard.repo.changes import OneSided
    from guard.repo.pusher import Pusher
    from guard.stores.interface import Kind

LINES_MAX = 25
"""Lines in the longest refusal."""
PATHS_TYPED = 5
"""Paths in the longest command that names paths one by one."""
IDS_TYPED = 12
RECEIVED_LINES_MAX = 10
"""Lines in the longest refusal of a push by the server."""
DROPPED_SHOWN = 10
WAIT = "5m"
"""How long the suggested command waits: coding agents' shells end a command that takes longer."""

_MAGIC = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.")


class LeaveOut(Record):
    """A git command that leaves paths out of the commit: ``command`` and then the paths.

    ``paths`` are relative to the top. ``exclude``: the command takes what it shall commit, so these are given as
    exclusions. ``file`` holds the same as pathspecs, each ended by a NUL; it is named when the paths are too many to
    type, or cannot be typed. It is b"" where no file could be written.
    """

    command: str
    paths: tuple[bytes, ...]
    exclude: bool = False
    file: bytes = b""


class Situation(Record):
    """What was refused, and what can be done about it.

    ``verb`` is what the user does: "commit", "merge" or "push". ``again`` is the command that repeats it.
    ``leave_out`` are the commands that take the reserved paths out, in their order; none when no command does that
    without losing somebody's work.     ``see_all`` is the command that lists every conflict.
    """

    verb: str
    again: str
    see_all: str
    leave_out: tuple[LeaveOut, ...] = ()


def refusal_text(
    conflicts: Sequence[Conflict],
    situation: Situation,
    *,
    me: str,
    now: int,
    kind: Kind | None = None,
    refused: bool = True,
) -> str:
    """What somebody reads whose commit, merge or push touches what others hold: at most :data:`LINES_MAX` lines.

    ``kind`` is that of the store, which says whether guard can wait and break there. Without ``refused`` it is a
    warning of something that goes through, and needs no next steps. ``now`` is in Unix ms.
    """
    paths = sorted({conflict.path for conflict in conflicts})
    rows = [row for row, _ in by_reservation(conflicts)]
    count = "1 path that is" if len(paths) == 1 else f"{len(paths)} paths that are"
    verb = situation.verb
    verdict = f"{verb} refused" if refused else f"warning, this {verb} goes through (mode warn)"
    steps = _steps(paths, rows, situation, me=me, kind=kind) if refused else []
    if any(conflict.commit and _is_older(conflict) for conflict in conflicts) and refused:
        steps.insert(0, "  A commit that was made before the reservation did nothing wrong: agree with its holder.")
    last = f"  (you are {safe(me)}; not you? guard whoami)"
    room = LINES_MAX - 4 - len(steps)
    lines = [f"guard: {verdict}: it changes {count} reserved by {holders(rows, me=me)}.", ""]
    lines += [*_conflict_lines(conflicts, now=now, room=room, see_all=situation.see_all), ""]
    return "\n".join([*lines, *steps, last])


def received_text(
    conflicts: Sequence[Conflict], who: Pusher, *, repository: bytes, now: int, refused: bool = True
) -> str:
    """What somebody reads whose push a server refuses: at most :data:`RECEIVED_LINES_MAX` lines.

    It need not have guard there, so the next steps say where they work. ``repository`` is the path on the server.
    """
    paths = len({conflict.path for conflict in conflicts})
    count = "1 path that is" if paths == 1 else f"{paths} paths that are"
    groups = by_reservation(conflicts)
    rows = [row for row, _ in groups]
    verdict = "push refused" if refused else "warning, this push goes through (mode warn)"
    lines = [f"guard: {verdict}: it changes {count} reserved by {holders(rows)}."]
    shown = 2 if len(groups) == 2 else 1
    for row, group in groups[:shown]:
        lines += _group_lines(row, group, 1, now=now, among={row.holder for row in rows})
    if len(groups) > shown:
        rest = len(groups) - shown
        lines.append(f"  … and {rest} more {'reservation' if rest == 1 else 'reservations'}")
    if not refused:
        return "\n".join(lines)
    lines.append(f"  {_pusher_line(who, rows, repository)}")
    if who.forge:
        lines.append("  A merge in the web interface is pushed by whoever clicked.")
    ids = " ".join(str(row.id) for row in rows[:IDS_TYPED])
    lines.append(
        f"  To end theirs, in a clone with guard: guard break {ids} --reason 'why'   (ask first; they are told)"
    )
    return "\n".join(lines)


def _pusher_line(who: Pusher, rows: Sequence[Reservation], repository: bytes) -> str:
    """Who the server takes the pusher for, and what makes a reservation theirs."""
    if not who.name:
        asked = f" ({safe(who.source)}, which is empty)" if who.source else ""
        return f"Nobody can tell who pushes{asked}, so what is reserved is refused to everybody."
    as_holder = f" as the holder {safe(who.holder)}" if who.holder is not None else ""
    line = f"You push as {safe(who.name)}{as_holder} (from {safe(who.source)})."
    made_from = [row.principal for row in rows if row.principal and row.principal not in who.principals]
    name, principal = pasted(f"guard.{who.name}.principal".encode()), pasted((made_from or [""])[0].encode())
    if not (made_from and name and principal and pasted(repository)):
        return line
    command = f"git -C {pasted(repository)} config --add {name} {principal}"
    return f"{line} Are you {safe(made_from[0])}, too? On the server: {command}"


def dropped_text(lost: Sequence[OneSided], rows: Sequence[Reservation]) -> str:
    """What is said of a merge that goes through and loses a change of a reserved path; ``rows`` reserve the paths."""
    count = "a path" if len(lost) == 1 else f"{len(lost)} paths"
    lines = [f"guard: this merge takes one side of {count} reserved by {holders(rows)}, and so drops a change."]
    for one in lost[:DROPPED_SHOWN]:
        commit = one.commit[:12]
        lines.append(f"  it drops what {safe(one.author)} changed in {safe(one.path)} (git show {commit})")
    if len(lost) > DROPPED_SHOWN:
        lines.append(f"  … and what was changed in {len(lost) - DROPPED_SHOWN} more")
    return "\n".join([*lines, "  It is not refused, but recorded (guard log). Meant? If not, ask before you push it."])


def holders(rows: Sequence[Reservation], *, me: str = "") -> str:
    """The names of the holders, at most four of them: "alice, bob and carol"."""
    full = list(dict.fromkeys(row.holder for row in rows))
    names = [safe(shown_name(name, [*full, me])) for name in full]
    if len(names) > 4:
        names = [*names[:3], f"{len(names) - 3} others"]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _is_older(conflict: Conflict) -> bool:
    return "made before" in of_commit(conflict)


def _conflict_lines(conflicts: Sequence[Conflict], *, now: int, room: int, see_all: str) -> list[str]:
    """The reservations in the way with their paths, in at most ``room`` lines; what is left out is counted."""
    groups = by_reservation(conflicts)
    among = {row.holder for row, _ in groups}
    if len(groups) + len(conflicts) <= room:
        return [line for row, group in groups for line in _group_lines(row, group, len(group), now=now, among=among)]
    shown = groups[: max(1, (room - 2) // 3)]
    each = max(1, (room - 2) // len(shown) - 2)
    lines = [line for row, group in shown for line in _group_lines(row, group, each, now=now, among=among)]
    if len(groups) > len(shown):
        rest = len(groups) - len(shown)
        lines.append(f"  … and {rest} more {'reservation' if rest == 1 else 'reservations'}")
    return [*lines, f"  (to see all: {see_all})"]


def _group_lines(
    row: Reservation, group: Sequence[Conflict], most: int, *, now: int, among: Collection[str]
) -> list[str]:
    lines = [f"  #{row.id} {held(row, now=now, among=among)}"]
    lines += [f"       {safe(conflict.path)}{of_commit(conflict)}" for conflict in group[:most]]
    if len(group) > most:
        lines.append(f"       … and {len(group) - most} more")
    return lines


# The next steps


def _steps(
    paths: Sequence[bytes], rows: Sequence[Reservation], situation: Situation, *, me: str, kind: Kind | None
) -> list[str]:
    lines = []
    commands = [_typed(step) for step in situation.leave_out]
    if commands and all(commands):
        lines.append(f"  leave it out:   {' && '.join(commands)}")
    wanted = _reservable(paths, rows)
    if kind is not None and not kind.writable:
        skip = kind.skip_variables[0].decode() if kind.skip_variables else "GUARD_SKIP"
        if wanted:
            lines.append(f"  wait for it:    guard check {wanted}   (ask {holders(rows)} through {kind.ask_through})")
        return [*lines, f"  once around it: {skip}=1 {situation.again}"]
    if wanted:
        lines.append(f"  wait for it:    guard reserve --wait {WAIT} {wanted}")
    if len(rows) <= IDS_TYPED:
        ids = " ".join(str(row.id) for row in rows)
        lines.append(f"  end theirs:     guard break {ids} --reason 'why'   (ask first; they are told)")
    else:
        lines.append("  who to ask:     guard list --theirs")
    return [*lines, f"  once around it: GUARD_SKIP=1 {situation.again}   (recorded)"]


def _typed(step: LeaveOut) -> str:
    """The command in full, "" when its paths can be given neither as words nor in a file."""
    words = [pasted(pathspec(path, exclude=step.exclude)) for path in step.paths]
    if len(words) <= PATHS_TYPED and all(words):
        return " ".join([step.command, "--", *(["':/'"] if step.exclude else []), *words])
    file = pasted(step.file)
    return f"{step.command} --pathspec-from-file={file} --pathspec-file-nul" if file else ""


def pathspec(path: bytes, *, exclude: bool = False) -> bytes:
    """A path below the top as git's pathspec for just that path, wherever the command is typed (gitglossary(7))."""
    if path[0] in _MAGIC and not any(byte in b"*?[\\" for byte in path):
        return (b":/!" if exclude else b":/") + path
    return (b":(top,exclude,literal)" if exclude else b":(top,literal)") + path


def collapsed(paths: Collection[bytes], changed: Collection[bytes]) -> tuple[bytes, ...]:
    """The paths; many of them with a directory in place of those below it, where nothing else below it was changed."""
    meant = set(paths)
    if len(meant) <= PATHS_TYPED:
        return tuple(sorted(meant))
    mixed = {directory for path in changed if path not in meant for directory in _above(path)}
    found = set()
    for path in meant:
        whole = [directory for directory in _above(path) if directory not in mixed]
        found.add(whole[0] if whole else path)
    return tuple(sorted(found))


def _above(path: bytes) -> list[bytes]:
    """The directories above a path, the highest first, without the top itself."""
    names = path.split(b"/")
    return [b"/".join(names[:depth]) for depth in range(1, len(names))]


def _reservable(paths: Sequence[bytes], rows: Sequence[Reservation]) -> str:
    """What to reserve, as words of a command: the paths, or the patterns in the way, whichever is few enough."""
    patterns = [b":" + row.pattern if row.pattern.startswith(b"/") else row.pattern for row in rows]
    for meant in ([b":" + literal(path) for path in paths], list(dict.fromkeys(patterns))):
        words = [pasted(word) for word in meant[: PATHS_TYPED + 1]]
        if len(words) <= PATHS_TYPED and all(words):
            return " ".join(words)
    return ""
