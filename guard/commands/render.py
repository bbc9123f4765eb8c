"""Answers as JSON for programs, and as lines for people. ``guard help json`` documents the JSON."""

from __future__ import annotations

from guard.model import Reservation
from guard.words import clock, length, pattern, safe, shown_name
from guard.work.shapes import (
    as_json,
    asked_lines,
    bytes_json,
    check_json,
    granted,
    in_the_way,
    iso,
    list_json,
    outcome_json,
    reservation_json,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from guard.stores.interface import Entry
    from guard.work.shapes import Json

    Style = Callable[..., str]

__all__ = [  # names of guard/work/shapes.py, which MCP uses, too, and names for the terminal alone
    "as_json",
    "asked_lines",
    "bytes_json",
    "check_json",
    "cut",
    "ended_listing",
    "granted",
    "in_the_way",
    "iso",
    "list_json",
    "listing",
    "log_json",
    "log_lines",
    "outcome_json",
    "reservation_json",
]


def log_json(entries: Iterable[Entry], *, project: str, generation: int) -> Json:
    """The answer of ``guard log`` for programs."""
    shown = [
        {
            "id": entry.id,
            "at": iso(entry.at),
            "generation": entry.generation,
            "event": entry.event,
            "holder": entry.holder,
            "principal": entry.principal,
            "reservation": entry.reservation,
            "whose": entry.whose,
            **(bytes_json("pattern", entry.pattern) if entry.pattern is not None else {"pattern": None}),
            "reason": entry.reason,
        }
        for entry in entries
    ]
    return {"generation": generation, "project": project, "log": shown}


def listing(rows: Sequence[Reservation], *, me: str, now: int, width: int | None, style: Style) -> list[str]:
    """Lines about reservations, grouped by holder. Those of ``me`` come first; of each holder, those that end soonest.

    ``now`` is in Unix ms. ``width`` is that of the terminal in columns; None for another output, and nothing is cut.
    """
    of_holder: dict[str, list[Reservation]] = {}
    for row in rows:
        of_holder.setdefault(row.holder, []).append(row)
    remains = {at: "no expiry" if at is None else f"in {length(at - now)}" for at in {row.expires_at for row in rows}}
    lines = []
    for holder in sorted(of_holder, key=lambda holder: (holder != me, holder)):
        theirs = of_holder[holder]
        theirs.sort(key=lambda row: (row.expires_at is not None, row.expires_at, row.id))
        mine = holder == me
        name = safe(shown_name(holder, of_holder)) + (" (you)" if mine else "")
        lines.append(style(name, bold=True, fg="green" if mine else None))
        lines += _columns([_cells(row, remains[row.expires_at]) for row in theirs], width=width, style=style)
    return lines


def ended_listing(rows: Sequence[Reservation], *, now: int, width: int | None) -> list[str]:
    """Lines about reservations that have ended, in the order of ``rows``. ``now`` and ``width`` as for listing()."""
    names = {name for row in rows for name in (row.holder, row.ended_by) if name}
    lines = []
    for row in rows:
        by = f" by {safe(shown_name(row.ended_by, names))}" if row.end == "broken" and row.ended_by else ""
        when = "" if row.ended_at is None else f" {clock(row.ended_at, now=now)}"
        holder = safe(shown_name(row.holder, names))
        lines.append(cut(f"#{row.id}  {holder}  {pattern(row)}  {safe(row.end or 'ended')}{by}{when}", width))
    return lines


def log_lines(entries: Sequence[Entry], *, now: int, width: int | None) -> list[str]:
    """Lines about entries of the log, in their order, which say who did what. The rest is as for :func:`listing`."""
    names = {name for entry in entries for name in (entry.holder, entry.whose) if name}
    lines = []
    for entry in entries:
        holder = safe(shown_name(entry.holder, names))
        whose = f" of {safe(shown_name(entry.whose, names))}" if entry.whose and entry.whose != entry.holder else ""
        what = f" #{entry.reservation}{whose} {safe(entry.pattern or b'')}" if entry.reservation else ""
        reason = f": {safe(entry.reason)}" if entry.reason else ""
        deed = _DEEDS.get(entry.event, safe(entry.event)) + (" because of" if what and entry.event in _PASSIVE else "")
        lines.append(cut(f"{clock(entry.at, now=now)}  {holder} {deed}{what}{reason}", width))
    return lines


_DEEDS = {"refused": "was refused", "warned": "was warned", "bypassed": "went past", "broken": "broke"}
"""The events of the log that need other words after the holder's name."""

_PASSIVE = ("refused", "warned")
"""The events that happened to the holder, because of a reservation."""


def cut(line: str, width: int | None) -> str:
    """The line, cut to a terminal's width (columns), with "…" at its end if something is missing."""
    return line if width is None or len(line) <= width else line[: width - 1] + "…"


def _cells(row: Reservation, remains: str) -> tuple[str, str, str, str]:
    kind = "" if row.exclusive else "shared  "
    return f"#{row.id}", safe(row.pattern), remains, kind + safe(row.reason or row.fault)


def _columns(rows: list[tuple[str, str, str, str]], *, width: int | None, style: Style) -> list[str]:
    number, name, time_ = (max(len(row[column]) for row in rows) for column in (0, 1, 2))
    if width is not None:
        name = max(12, min(name, width - 2 - number - 2 - 2 - time_ - (22 if width >= 80 else 0)))
    lines = []
    for tag, shown, remains, rest in rows:
        shown = shown if len(shown) <= name else shown[: name - 1] + "…"
        line = cut(f"  {tag:>{number}}  {shown:<{name}}  {remains:<{time_}}  {rest}".rstrip(), width)
        lines.append(style(line, dim=True) if rest.startswith("shared") else line)
    return lines
