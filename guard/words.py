"""How guard writes to people: times, names, paths and reservations in words.

Names, reasons, patterns and paths that others wrote are escaped before a terminal gets them. The hook loads this
module, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guard.model import Conflict, GuardError, Reservation

PATHS_SHOWN = 20
"""How many paths are listed for one reservation; one more line counts the others."""

PROGRAMS = ("claude", "codex", "copilot", "gemini", "opencode", "cursor", "mcp")
"""Holders that are sessions of these coding agents have names like "PROGRAM-SESSION". "mcp" is for ``guard mcp``."""

REASON_SHOWN = 200
"""How many characters of a reason a message shows."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-")


def safe(text: str | bytes) -> str:
    """Text that a terminal may get: control characters, format characters and bytes that are not UTF-8 are escaped."""
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
    """A time as local clock time, with the day if it is not today. ``at`` and ``now`` are in Unix ms."""
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


def clipped(text: str) -> str:
    """At most :data:`REASON_SHOWN` characters of a text that others wrote, escaped as by :func:`safe`."""
    return safe(text if len(text) <= REASON_SHOWN else text[: REASON_SHOWN - 1] + "…")


def until(row: Reservation, *, now: int) -> str:
    """Until when a reservation holds: the clock time, and how long that is from ``now`` (Unix ms)."""
    if row.expires_at is None:
        return "with no readable expiry, so it counts as active"
    return f"until {clock(row.expires_at, now=now)} (in {length(row.expires_at - now)})"


def pattern(row: Reservation) -> str:
    """The pattern as stored, and as its holder typed it where that differs."""
    typed = safe(row.typed)
    stored = safe(row.pattern)
    return stored if typed in ("", stored) or "/" + typed.rstrip("/") == stored else f"{stored} (typed as {typed})"


def held(row: Reservation, *, now: int, among: Iterable[str] = ()) -> str:
    """Who holds what, until when and why, in one line.

    ``now`` is in Unix ms. ``among`` are other holders that are shown; see :func:`shown_name`.
    """
    kind = "" if row.exclusive else ", shared"
    reason = f": {clipped(row.reason)}" if row.reason else ""
    fault = f" [{safe(row.fault)}]" if row.fault else ""
    return f"{safe(shown_name(row.holder, among))} holds {pattern(row)} {until(row, now=now)}{kind}{reason}{fault}"


def notice(row: Reservation, *, now: int) -> str:
    """The message to a former holder: who ended the reservation, when and why, and how to reserve it again.

    ``now`` is in Unix ms.
    """
    when = "" if row.ended_at is None else f" at {clock(row.ended_at, now=now)}"
    if row.end == "broken":
        who = safe(shown_name(row.ended_by, [row.holder])) if row.ended_by else "somebody"
        why = f": {clipped(row.end_reason)}" if row.end_reason else ", and gave no reason"
        return f"guard: {who} broke your reservation #{row.id} of {pattern(row)}{when}{why}"
    again = pasted_pattern(b":" + row.pattern if row.pattern.startswith(b"/") else row.pattern)
    back = f" To have it back: guard reserve {again}" if again else ""
    return f"guard: your reservation #{row.id} of {pattern(row)} expired{when}.{back}"


NOTICES_SHOWN = 10
"""How many messages to a former holder are shown in full; one more line counts the others."""


def notices_in_words(rows: Sequence[Reservation], *, now: int) -> list[str]:
    """:func:`notice` for each of these. Where they are many, one for each of the first, and one that counts the others
    and says what shows them: a hook's output is no place for hundreds of lines. ``now`` is in Unix ms."""
    lines = [notice(row, now=now) for row in rows[:NOTICES_SHOWN]]
    if len(rows) > NOTICES_SHOWN:
        lines.append(f"guard: … and {len(rows) - NOTICES_SHOWN} more of your reservations: guard list --ended --mine")
    return lines


def quoted(path: bytes) -> str:
    """A path as a word of a shell command, with quotes if a shell needs them; a leading "-" makes no option of it.

    What a terminal does not show is escaped as in bash, zsh, ksh and POSIX.1-2024 (dollar-single-quotes): dash and fish
    do not read that.
    """
    text = path.decode("utf-8", "surrogateescape")
    text = f"./{text}" if text.startswith("-") else text
    if not text.isprintable():
        return "$'" + "".join(map(_in_dollar_quotes, text)) + "'"
    if text and not text.startswith("=") and all(letter in _PLAIN for letter in text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def _in_dollar_quotes(letter: str) -> str:
    if letter.isprintable():
        return f"\\{letter}" if letter in "'\\" else letter
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(letter))


def pasted(word: bytes) -> str:
    """A word of a shell command that can be copied from a terminal and pasted into any sh.

    "" for an empty word and for one with control characters or bytes that are not UTF-8: the terminal would show
    something else than the word.
    """
    try:
        text = word.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    if not text.isprintable():
        return ""
    if text and not text.startswith(("-", "~", "=")) and all(letter in _PLAIN for letter in text):
        return text
    return "'" + text.replace("'", "'\\''") + "'" if text else ""


def pasted_pattern(pattern: bytes) -> str:
    """As :func:`pasted`, for a pattern: "?", which matches any one byte, stands for each byte that cannot be pasted."""
    text = pattern.decode("utf-8", "surrogateescape")
    shown = "".join(each if each.isprintable() else "?" * len(os.fsencode(each)) for each in text)
    return pasted(shown.encode())


def short_name(holder: str) -> str:
    """A holder's name as :func:`shown_name` has it where no other name stands beside it; safe for a terminal."""
    return safe(shown_name(holder, ()))


def shown_name(holder: str, among: Iterable[str]) -> str:
    """A holder's name for people: a coding agent's session is shown as its program and its first four digits.

    ``claude-7f3a91c2-…`` becomes ``claude-7f3a``, with more digits where two of the names in ``among`` would look
    alike. Every other name is shown as it is. The full name stays what is stored and compared.
    """
    program, dash, session = holder.partition("-")
    if program not in PROGRAMS or not dash or not _is_session(session):
        return holder
    others = [name for name in among if name != holder and name.startswith(program + "-")]
    for digits in range(4, len(session)):
        short = f"{program}-{session[:digits]}"
        if session[digits - 1] != "-" and not any(name.startswith(short) for name in others):
            return short
    return holder


def _is_session(text: str) -> bool:
    """Is this an id that a program made? Such an id has at least eight letters, digits and hyphens, and a digit."""
    return len(text) >= 8 and text.isascii() and text.replace("-", "").isalnum() and any(map(str.isdigit, text))


def by_reservation(conflicts: Sequence[Conflict]) -> list[tuple[Reservation, list[Conflict]]]:
    """Each reservation with its conflicts, in the order in which they first come."""
    groups: dict[int, tuple[Reservation, list[Conflict]]] = {}
    for conflict in conflicts:
        groups.setdefault(conflict.reservation.id, (conflict.reservation, []))[1].append(conflict)
    return list(groups.values())


def conflicts_in_words(conflicts: Sequence[Conflict], *, now: int) -> list[str]:
    """Lines that name every reservation in the way and the paths that it covers. ``now`` is in Unix ms."""
    lines = []
    for row, group in by_reservation(conflicts):
        lines.append(f"  #{row.id} {held(row, now=now)}")
        for conflict in group[:PATHS_SHOWN]:
            lines.append(f"       {safe(conflict.path)}{of_commit(conflict)}")
        if len(group) > PATHS_SHOWN:
            lines.append(f"       … and {len(group) - PATHS_SHOWN} more")
    return lines


def of_commit(conflict: Conflict) -> str:
    """The pushed commit that changed the path, in brackets; "" for a path of the index."""
    if not conflict.commit:
        return ""
    deed = "discards commit" if conflict.discarded else "commit"
    # A commit's time is in whole seconds, so within one second it is not known which came first.
    older = conflict.at is not None and conflict.at + 1000 <= conflict.reservation.created_at
    return f" ({deed} {conflict.commit[:12]}{', made before the reservation' if older else ''})"


def unjudged_text(error: GuardError, *, verb: str, passes: str, ways: Sequence[str] = ()) -> str:
    """The message when there is no verdict.

    ``verb`` is "commit", "merge" or "push". ``passes`` says why the change goes through all the same, "" when it is
    stopped. Then ``ways`` are the last lines, which name ways past guard; by default those of a repository with a work
    tree.
    """
    lines = [
        f"guard: cannot tell whether this {verb} touches a path that somebody has reserved.",
        f"  why:    {safe(error.what)}",
    ]
    if error.hint:
        lines.append(f"  repair: {safe(error.hint)}")
    if passes:
        lines.append(f"guard: NOT JUDGED, and let through: {passes}.")
    else:
        around = f"  around: GUARD_SKIP=1 git {verb} … (once, unjudged)"
        lines += ways or [around, "  out:    guard uninstall (in this repository, until guard install)"]
    return "\n".join(lines)


def unknown_text(name: str, value: str, *, source: str, use: str) -> str:
    """The message for a value that guard does not know, of a setting for which block is the safe one."""
    return f"guard: unknown {name} '{safe(value[:40])}' (from {source}), treated as block: use {use}."


def print_error(error: GuardError) -> int:
    """Prints an error and the command to type next; returns the error's exit code."""
    to_stderr(f"guard: {safe(error.what)}" + (f"\n  next: {safe(error.hint)}" if error.hint else ""))
    return error.code


_before_lines: list[str] = []


def begin_lines_with(prefix: str) -> None:
    """From now on every line of :func:`to_stderr` begins with this. Some servers show no other lines to a pusher."""
    _before_lines[:] = [prefix]


def to_stderr(text: str) -> None:
    """Writes a message to standard error, in its encoding; characters that the encoding lacks are escaped.

    Never raises, because there is no other place to report a failure.
    """
    for prefix in _before_lines:
        text = "\n".join(prefix + line for line in text.split("\n"))
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    data = (text + "\n").encode(encoding, "backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        return
