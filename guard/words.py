"""How guard speaks to people: times, names and paths as they are shown, and the refusal.

Whatever others wrote (names, reasons, patterns, paths) is escaped before a terminal sees it. Loaded by the hook:
imports nothing heavy.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Conflict, GuardError, Reservation
    from guard.stores.interface import Kind

PATHS_SHOWN = 20
"""Paths listed for one reservation; how many more there are is said."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-")


def safe(text: str | bytes) -> str:
    """Text for a terminal: control and format characters, bidi marks and what is not UTF-8 come escaped."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return repr(letter)[1:-1] if code < 0x20 else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def clock(at: int, *, now: int) -> str:
    """A time, given in Unix ms, as local clock time; with the day when that is not today."""
    then, today = time.localtime(at / 1000), time.localtime(now / 1000)
    shape = "%H:%M" if then[:3] == today[:3] else "%a %d %b %H:%M" if then[0] == today[0] else "%d %b %Y %H:%M"
    return time.strftime(shape, then)


def length(ms: int) -> str:
    """A length of time in words: 42 min, 3 h 5 min, 2 d 4 h."""
    seconds = max(0, ms) // 1000
    if seconds < 60:
        return f"{seconds} s"
    minutes = (seconds + 30) // 60
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    shown = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(shown[:2])


def until(row: Reservation, *, now: int) -> str:
    """Until when a reservation holds, as clock time and as what remains."""
    if row.expires_at is None:
        return "until nobody knows when"
    return f"until {clock(row.expires_at, now=now)} (in {length(row.expires_at - now)})"


def pattern(row: Reservation) -> str:
    """The pattern as stored, and as its holder typed it where that differs."""
    typed = safe(row.typed)
    stored = safe(row.pattern)
    return stored if typed in ("", stored) or "/" + typed.rstrip("/") == stored else f"{stored} (typed as {typed})"


def held(row: Reservation, *, now: int) -> str:
    """Who holds what, until when and why, in one line."""
    kind = "" if row.exclusive else ", shared"
    reason = f": {safe(row.reason)}" if row.reason else ""
    fault = f" [{safe(row.fault)}]" if row.fault else ""
    return f"{safe(row.holder)} holds {pattern(row)} {until(row, now=now)}{kind}{reason}{fault}"


def notice(row: Reservation, *, now: int) -> str:
    """What a former holder is told, once."""
    when = "" if row.ended_at is None else f" at {clock(row.ended_at, now=now)}"
    if row.end == "broken":
        return f"guard: {safe(row.ended_by or 'somebody')} broke your reservation #{row.id} of {pattern(row)}{when}."
    return f"guard: your reservation #{row.id} of {pattern(row)} expired{when}."


def quoted(path: bytes) -> str:
    """A path as a word of a shell command, in quotes where a shell needs them."""
    text = safe(path)
    if text and not text.startswith("-") and all(letter in _PLAIN for letter in text):
        return text
    return "'" + text.replace("'", "'\\''") + "'" if not text.startswith("-") else f"./{text}"


def by_reservation(conflicts: Sequence[Conflict]) -> list[tuple[Reservation, list[Conflict]]]:
    """Conflicts grouped by the reservation in the way, in the order they came."""
    groups: dict[int, tuple[Reservation, list[Conflict]]] = {}
    for conflict in conflicts:
        groups.setdefault(conflict.reservation.id, (conflict.reservation, []))[1].append(conflict)
    return list(groups.values())


def conflicts_in_words(conflicts: Sequence[Conflict], *, now: int) -> list[str]:
    """Every reservation in the way, with the paths it covers."""
    lines = []
    for row, group in by_reservation(conflicts):
        lines.append(f"  #{row.id} {held(row, now=now)}")
        for conflict in group[:PATHS_SHOWN]:
            lines.append(f"       {safe(conflict.path)}{of_commit(conflict)}")
        if len(group) > PATHS_SHOWN:
            lines.append(f"       … and {len(group) - PATHS_SHOWN} more")
    return lines


def of_commit(conflict: Conflict) -> str:
    """In which pushed commit a path was changed, in brackets; "" for a path of the index."""
    if not conflict.commit:
        return ""
    deed = "discards commit" if conflict.discarded else "commit"
    # A commit's time is in whole seconds: within the same second nobody knows which came first.
    older = conflict.at is not None and conflict.at + 1000 <= conflict.reservation.created_at
    return f" ({deed} {conflict.commit[:12]}{', made before the reservation' if older else ''})"


def refusal(
    conflicts: Sequence[Conflict], *, verb: str, me: str, now: int, refused: bool = True, kind: Kind | None = None
) -> str:
    """What somebody sees whose commit, merge or push touches what others hold; ``verb`` names which of them.

    ``kind`` is that of the store, which says whether guard can wait and break there; needed when ``refused``.
    """
    paths = sorted({conflict.path for conflict in conflicts})
    rows = [row for row, _ in by_reservation(conflicts)]
    count = "1 path that is" if len(paths) == 1 else f"{len(paths)} paths that are"
    verdict = f"{verb} refused" if refused else f"warning, this {verb} goes through (mode warn)"
    lines = [f"guard: {verdict}: it changes {count} reserved by {_holders(rows)}.", ""]
    lines += [*conflicts_in_words(conflicts, now=now), ""]
    if refused:
        lines += _ways_forward(paths, rows, verb, kind=kind)
    lines.append(f"  (you are {safe(me)}; not you? guard whoami)")
    return "\n".join(lines)


def _holders(rows: Sequence[Reservation]) -> str:
    names = list(dict.fromkeys(safe(row.holder) for row in rows))
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _ways_forward(paths: Sequence[bytes], rows: Sequence[Reservation], verb: str, *, kind: Kind | None) -> list[str]:
    top = [quoted(b":/" + path) for path in paths[:5]]
    some = " ".join(top) + (" …" if len(paths) > 5 else "")
    ids = " ".join(str(row.id) for row in rows)
    lines = []
    if verb == "commit":
        lines.append(f"  leave it out:   git restore --staged {some}")
    if kind is not None and not kind.writable:
        skip = kind.skip_variables[0].decode() if kind.skip_variables else "GUARD_SKIP"
        return [
            *lines,
            f"  wait for it:    guard check {some}   (ask {_holders(rows)} through {kind.ask_through})",
            f"  once around it: {skip}=1 git {verb} …",
        ]
    return [
        *lines,
        f"  wait for it:    guard reserve --wait 1h {some}",
        f"  end theirs:     guard break {ids} --reason 'why'   (ask first; they are told)",
        f"  once around it: GUARD_SKIP=1 git {verb} …   (recorded)",
    ]


def unjudged(error: GuardError, *, verb: str, passes: str) -> str:
    """What is said when guard cannot tell; ``passes`` says why it lets through all the same, "" when it does not."""
    lines = [
        f"guard: cannot tell whether this {verb} touches a path that somebody has reserved.",
        f"  why:    {safe(error.what)}",
    ]
    if error.hint:
        lines.append(f"  repair: {safe(error.hint)}")
    if passes:
        lines.append(f"guard: NOT JUDGED, and let through: {passes}.")
    else:
        lines.append(f"  around: GUARD_SKIP=1 git {verb} … (once, unjudged)")
    return "\n".join(lines)


def said(error: GuardError) -> int:
    """Says an error and what to type next; returns its exit code."""
    to_stderr(f"guard: {safe(error.what)}" + (f"\n  next: {safe(error.hint)}" if error.hint else ""))
    return error.code


def open_closed_files() -> None:
    """Puts /dev/null where standard input, output or error is closed: else the next file that is opened, perhaps the
    store, would stand there and get what is meant for people."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # open(2) gives the lowest number that is free


def to_stderr(text: str) -> None:
    """Writes a message for people; never fails, for there is nobody left to tell."""
    data = (text + "\n").encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        return
