"""The text of a refusal: who holds what, and the next steps. Every command in it works when it is pasted.

The functions here read nothing: :mod:`guard.repo.situation` looks at the repository and makes the :class:`Situation`. A
hook loads this module only when it refuses something.
"""

from __future__ import annotations

from guard.patterns.grammar import literal
from guard.record import Record
from guard.words import by_reservation, held, of_commit, pasted, pasted_pattern, safe, short_name, shown_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from guard.model import Conflict, Reservation
    from guard.repo.changes import OneSided
    from guard.repo.pusher import Pusher
    from guard.stores.interface import Kind

LINES_MAX = 25
"""How many lines the longest refusal has."""
PATHS_TYPED = 5
"""How many paths a suggested command names at most; with more, it names a file that lists them."""
IDS_TYPED = 12
"""How many numbers of reservations a suggested command names at most."""
DROPPED_SHOWN = 10
"""How many dropped changes are listed."""
WAIT = "5m"
"""How long the suggested command waits. The shells of coding agents end a command that takes longer."""

_MAGIC = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.")


class LeaveOut(Record):
    """A git command that leaves paths out of the commit: ``command``, followed by the paths.

    ``paths`` are relative to the top. With ``exclude``, the command takes the paths that it shall commit, so these are
    given to it as exclusions. ``file`` names a file that holds the same paths as pathspecs, each with a NUL at its end,
    for when the paths are too many to type or cannot be typed. It is b"" when no file could be written.
    """

    command: str
    paths: tuple[bytes, ...]
    exclude: bool = False
    file: bytes = b""


class Situation(Record):
    """What was refused, and what can be done about it.

    ``verb`` is what the user does: "commit", "merge" or "push". ``again`` is the command that repeats it. ``see_all``
    is the command that lists every conflict. ``leave_out`` are the commands that take the reserved paths out, in the
    order in which to type them; () when every such command would lose somebody's work.
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
    """The message for a commit, merge or push that touches what others hold: at most :data:`LINES_MAX` lines.

    ``me`` is the holder, ``now`` the time in Unix ms. ``kind`` is the kind of the store, which says whether guard can
    wait and break there. Without ``refused`` the text is a warning: the change goes through, so there are no next
    steps.
    """
    paths = sorted({conflict.path for conflict in conflicts})
    rows = [row for row, _ in by_reservation(conflicts)]
    count = "1 path that is" if len(paths) == 1 else f"{len(paths)} paths that are"
    verb = situation.verb
    verdict = f"{verb} refused" if refused else f"warning, this {verb} goes through (mode warn)"
    steps = _steps(paths, rows, situation, me=me, kind=kind) if refused else []
    if any(conflict.commit and _is_older(conflict) for conflict in conflicts) and refused:
        steps.insert(0, "  A commit that was made before the reservation did nothing wrong: agree with its holder.")
    last = f"  (you are {short_name(me)}; not you? guard whoami)"
    room = LINES_MAX - 4 - len(steps)
    lines = [f"guard: {verdict}: it changes {count} reserved by {holders(rows, me=me)}.", ""]
    lines += [*_conflict_lines(conflicts, now=now, room=room, see_all=situation.see_all), ""]
    return "\n".join([*lines, *steps, last])


def received_text(
    conflicts: Sequence[Conflict], who: Pusher, *, repository: bytes, now: int, refused: bool = True
) -> str:
    """The message for a push that a server refuses: at most ten lines.

    The reader may have no guard, so the next steps say where they work. ``repository`` is the path on the server, and
    ``now`` is in Unix ms. Without ``refused`` the text is a warning.
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
    """A line that says who pushes, as the server sees it, and how a reservation becomes theirs."""
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
    """The message for a merge that goes through but loses a change of a reserved path; ``rows`` reserve the paths."""
    count = "a path" if len(lost) == 1 else f"{len(lost)} paths"
    lines = [f"guard: this merge takes one side of {count} reserved by {holders(rows)}, and so drops a change."]
    for one in lost[:DROPPED_SHOWN]:
        commit = one.commit[:12]
        lines.append(f"  it drops what {safe(one.author)} changed in {safe(one.path)} (git show {commit})")
    if len(lost) > DROPPED_SHOWN:
        lines.append(f"  … and what was changed in {len(lost) - DROPPED_SHOWN} more")
    last = "  It is not refused, but recorded (guard log). If you did not mean that, ask the holder before you push."
    return "\n".join([*lines, last])


def holders(rows: Sequence[Reservation], *, me: str = "") -> str:
    """The names of the holders in words, at most four: "alice, bob and carol". ``me`` is the reader's name."""
    full = list(dict.fromkeys(row.holder for row in rows))
    names = [safe(shown_name(name, [*full, me])) for name in full]
    if len(names) > 4:
        names = [*names[:3], f"{len(names) - 3} others"]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _is_older(conflict: Conflict) -> bool:
    return "made before" in of_commit(conflict)


def _conflict_lines(conflicts: Sequence[Conflict], *, now: int, room: int, see_all: str) -> list[str]:
    """The reservations in the way with their paths, in at most ``room`` lines; the last one counts what is left out."""
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
    lines = leave_out_lines(situation)
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


def leave_out_lines(situation: Situation) -> list[str]:
    """The line that says how to take the refused paths out; [] when no command does it without losing work."""
    commands = [_typed(step) for step in situation.leave_out]
    return [f"  leave it out:   {' && '.join(commands)}"] if commands and all(commands) else []


def _typed(step: LeaveOut) -> str:
    """The whole command; "" when its paths can be given neither as words nor in a file."""
    words = [pasted(pathspec(path, exclude=step.exclude)) for path in step.paths]
    if len(words) <= PATHS_TYPED and all(words):
        return " ".join([step.command, "--", *(["':/'"] if step.exclude else []), *words])
    file = pasted(step.file)
    return f"{step.command} --pathspec-from-file={file} --pathspec-file-nul" if file else ""


def pathspec(path: bytes, *, exclude: bool = False) -> bytes:
    """The pathspec that matches only this path, in whichever directory it is typed (gitglossary(7)).

    ``path`` is relative to the top. With ``exclude``, the pathspec leaves the path out.
    """
    if path[0] in _MAGIC and not any(byte in b"*?[\\" for byte in path):
        return (b":/!" if exclude else b":/") + path
    return (b":(top,exclude,literal)" if exclude else b":(top,literal)") + path


def collapsed(paths: Collection[bytes], changed: Collection[bytes]) -> tuple[bytes, ...]:
    """The same paths in fewer words: a directory stands for all paths below it when nothing else there was changed.

    ``changed`` are all changed paths. Up to :data:`PATHS_TYPED` paths are returned as they are, sorted.
    """
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
    """The directories above a path without the top itself; the highest comes first."""
    names = path.split(b"/")
    return [b"/".join(names[:depth]) for depth in range(1, len(names))]


def _reservable(paths: Sequence[bytes], rows: Sequence[Reservation]) -> str:
    """What to reserve, as words of a command: the paths, or if these are too many, the patterns that are in the way.

    "" when both are too many, or cannot be typed.
    """
    patterns = [b":" + row.pattern if row.pattern.startswith(b"/") else row.pattern for row in rows]
    for meant in ([b":" + literal(path) for path in paths], list(dict.fromkeys(patterns))):
        words = [pasted_pattern(word) for word in meant[: PATHS_TYPED + 1]]
        if len(words) <= PATHS_TYPED and all(words):
            return " ".join(words)
    return ""
