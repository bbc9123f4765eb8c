"""The messages to a coding agent: why an edit is refused, what its command has changed, and what is reserved.

A model reads these texts and acts on them. So each of them says what happened, who holds what, and what to do next.
Every command in them works when it is pasted.
"""

from __future__ import annotations

from guard.words import length, pattern, quoted, safe, shown_name, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Conflict, GuardError, Reservation

WHY_MAX = 500
"""How many characters of a reason are shown, because it may quote what a program sent."""
SHOWN = 5
"""How many paths or reservations are listed; one more line counts the others."""


def edit_refusal(conflicts: Sequence[Conflict], *, top: bytes, now: int, note: str = "") -> str:
    """Why an edit is refused. ``top`` is the repository's top, ``now`` in Unix ms; ``note`` is one more line."""
    paths = list(dict.fromkeys(conflict.path for conflict in conflicts))
    first = conflicts[0]
    holder = safe(shown_name(first.reservation.holder, _holders(conflicts)))
    what = safe(first.path) if len(paths) == 1 else f"{safe(first.path)} and {len(paths) - 1} more of these files"
    verb = "is" if len(paths) == 1 else "are"
    lines = [f"guard: {what} {verb} reserved by {holder}, so this edit was refused."]
    lines += _held_lines(conflicts, now=now)
    lines += [
        "Nothing was changed. Do not write to it in another way, such as through the shell.",
        "Do other work first, or ask the person you work for.",
        f"To wait for it: {_go(top)}guard reserve --wait 5m {' '.join(_from_top(path) for path in paths[:SHOWN])}",
    ]
    return "\n".join([*lines, note] if note else lines)


def _held_lines(conflicts: Sequence[Conflict], *, now: int) -> list[str]:
    lines = []
    among = _holders(conflicts)
    for conflict in list({conflict.reservation.id: conflict for conflict in conflicts}.values())[:SHOWN]:
        row = conflict.reservation
        why = f": {safe(row.reason)}" if row.reason else ""
        lines.append(f"  {safe(shown_name(row.holder, among))} holds {pattern(row)} {until(row, now=now)}{why}")
    return lines


def _holders(conflicts: Sequence[Conflict]) -> list[str]:
    return [conflict.reservation.holder for conflict in conflicts]


def _from_top(path: bytes) -> str:
    return quoted(b":/" + path)


def _go(top: bytes) -> str:
    return f"cd {quoted(top)} && "


def not_judged(error: GuardError, *, what: str) -> str:
    """The message when there is no verdict: why, and what to do. ``what`` is what was about to be done."""
    lines = [
        f"guard: cannot tell whether {what} is reserved, so it was refused.",
        f"  why:    {safe(error.what)[:WHY_MAX]}",
    ]
    if error.hint:
        lines.append(f"  repair: {safe(error.hint)}")
    lines.append("  A person can let it pass: git config guard.onError allow   (or start the agent with GUARD_SKIP=1)")
    return "\n".join(lines)


def command_refusal(conflicts: Sequence[Conflict], *, what: str, now: int, throws_away: bool) -> str:
    """The message for a refused shell command, which would throw away others' work (``throws_away``) or record it.

    ``what`` names the command, such as "git stash"; ``now`` is in Unix ms.
    """
    if throws_away:
        lines = [
            f"guard: this {what} would throw away what others have changed in this checkout and not committed yet:"
        ]
        way = "Leave these files alone: name only your own files in the command, or work in a checkout of your own: "
        way += "git worktree add ../another"
    else:
        lines = [f"guard: this {what} holds changes of files that others have reserved:"]
        way = "Commit only your own files: git commit -- YOUR FILES" if "commit" in what else "Push when they are done."
    paths = list(dict.fromkeys(conflict.path for conflict in conflicts))
    lines += [f"  {safe(path)}" for path in paths[:SHOWN]]
    lines += [f"  and {len(paths) - SHOWN} more"] if len(paths) > SHOWN else []
    return "\n".join([*lines, *_held_lines(conflicts, now=now), "The command was not run.", way])


def net_text(
    new: Sequence[Conflict], touched: Sequence[Conflict], *, untracked: set[bytes], top: bytes, now: int
) -> str:
    """The message after a command that has changed files of others.

    The files in ``new`` were unchanged before the command. Those in ``touched`` had changes already, so nothing can
    restore them. Those in ``untracked`` are not in git's index. ``top`` is the repository's top, ``now`` in Unix ms.
    """
    lines = ["guard: while this command ran, files changed that others have reserved:"]
    for conflict in [*new, *touched][: SHOWN * 2]:
        row = conflict.reservation
        holder = shown_name(row.holder, _holders([*new, *touched]))
        lines.append(f"  {safe(conflict.path)}, held by {safe(holder)} {until(row, now=now)}")
    restore = [conflict.path for conflict in new if conflict.path not in untracked]
    if restore:
        words = " ".join(quoted(path) for path in dict.fromkeys(restore))
        lines.append(f"If your command did this, undo it: git -C {quoted(top)} restore --worktree -- {words}")
    made = [conflict.path for conflict in new if conflict.path in untracked]
    if made:
        lines.append(f"If your command made them, remove them: cd {quoted(top)} && rm {' '.join(map(quoted, made))}")
    if touched:
        names = ", ".join(dict.fromkeys(safe(conflict.path) for conflict in touched))
        lines.append(f"Do not restore {names}: it held its holder's work before. Tell the person you work for.")
    return "\n".join(lines)


def session_lines(
    me: str, mine: Sequence[Reservation], theirs: Sequence[Reservation], lost: Sequence[Reservation], *, now: int
) -> str:
    """The message to a session that begins: at most ten lines. ``lost`` are reservations that others broke, or that
    expired."""
    names = [row.holder for row in theirs]
    you = safe(shown_name(me, names))
    lines = [f"guard: you are {you} in this repository. An edit of a file that somebody else has reserved is refused."]
    lines += _some("You hold", mine, 2, now=now)
    lines += _some("Others hold", theirs, 3, now=now)
    for row in lost[:1]:
        how = f"{safe(row.ended_by or 'somebody')} ended it" if row.end == "broken" else "it expired"
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        lines.append(f"You lost the reservation of {pattern(row)}: {how}{more}.")
    lines.append("Before a larger change: guard reserve PATH --reason 'why'; when it is done: guard release PATH.")
    return "\n".join(lines)


def _some(title: str, rows: Sequence[Reservation], count: int, *, now: int) -> list[str]:
    if not rows:
        return []
    shown = []
    for row in rows[:count]:
        remains = "" if row.expires_at is None else f" for {length(row.expires_at - now)}"
        why = f": {safe(row.reason)}" if row.reason else ""
        shown_holder = safe(shown_name(row.holder, [each.holder for each in rows]))
        who = "" if title == "You hold" else f"{shown_holder} holds "
        shown.append(f"  {who}{pattern(row)}{remains}{why}")
    more = f" (guard list shows all {len(rows)})" if len(rows) > count else ""
    return [f"{title} {len(rows)}{more}:", *shown]
