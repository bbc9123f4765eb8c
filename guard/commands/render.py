"""Answers as JSON for programs and as lists for people. ``guard help json`` lists the shapes."""

from __future__ import annotations

import time

from guard.model import SCHEMA, Reservation, Verdict
from guard.words import clock, held, length, pattern, safe, shown_name, until
from guard.work.here import now_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from guard.stores.interface import Entry, Outcome
    from guard.work.questions import Asked

    Json = dict[str, Any]
    Style = Callable[..., str]


def as_json(answer: Json) -> str:
    """One line of ASCII: nothing in it can reach a terminal as a control character."""
    import json  # 4 ms that a list for people need not take

    return json.dumps({"schema": SCHEMA, **answer})


def iso(ms: int | None) -> str | None:
    """Unix ms as ISO 8601 in UTC, "2026-11-22T08:37:35.414Z"; None stays None."""
    if ms is None:
        return None
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(ms // 1000))}.{ms % 1000:03d}Z"


def bytes_json(name: str, value: bytes) -> Json:
    """A member for bytes: text where they are UTF-8, else under NAME_b64."""
    try:
        return {name: value.decode("utf-8")}
    except UnicodeDecodeError:
        import base64

        return {f"{name}_b64": base64.b64encode(value).decode("ascii")}


def reservation_json(row: Reservation, *, me: str) -> Json:
    answer: Json = {"id": row.id, "holder": row.holder, **bytes_json("pattern", row.pattern)}
    answer |= {
        "exclusive": row.exclusive,
        "reason": row.reason,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
        "expires_in_s": None if row.expires_at is None else max(0, row.expires_at - now_ms()) // 1000,
        "mine": row.holder == me,
    }
    if row.end is not None or row.ended_at is not None:
        answer |= {
            "ended_at": iso(row.ended_at),
            "ended_by": row.ended_by,
            "end": row.end,
            "end_reason": row.end_reason,
        }
    if row.fault:
        answer["fault"] = row.fault
    return answer


def list_json(rows: Iterable[Reservation], *, project: str, me: str, generation: int, all_projects: bool) -> Json:
    shown = [reservation_json(row, me=me) | ({"project": row.project} if all_projects else {}) for row in rows]
    return {"generation": generation, "project": project, "holder": me, "reservations": shown}


def outcome_json(name: str, outcome: Outcome, *, me: str) -> Json:
    """What release, renew, break and reserve changed, under the name of the deed."""
    answer: Json = {
        "generation": outcome.generation,
        name: [reservation_json(row, me=me) for row in outcome.reservations],
    }
    if name == "granted":
        conflicts = [
            bytes_json("pattern", found.pattern) | {"reservation": reservation_json(found.reservation, me=me)}
            for found in outcome.conflicts
        ]
        return answer | {"conflicts": conflicts, "in_force_in_s": -(-outcome.lease_ms // 1000)}
    return answer | {"not_found": list(outcome.not_found)}


def check_json(answer: Verdict, *, me: str, asked: Sequence[Asked] = (), fenced: bool = False) -> Json:
    """A verdict; each reservation once, however many paths it covers. ``asked`` are the paths asked about.

    ``fenced`` tells that nothing is reserved by others, and that some path leaves the fence all the same.
    """
    conflicts = [
        bytes_json("path", found.path) | {"commit": found.commit, "reservation_id": found.reservation.id}
        for found in answer.conflicts
    ]
    rows = {found.reservation.id: found.reservation for found in answer.conflicts}
    verdict = "reserved" if conflicts else "fenced" if fenced else "clear"
    shown: Json = {"generation": answer.generation, "verdict": verdict}
    if asked:
        rows |= {row.id: row for one in asked for row in one.reservations}
        shown["paths"] = [
            bytes_json("path", one.path)
            | {"state": one.state(me), "reservation_ids": [row.id for row in one.reservations], "fenced": one.fenced}
            for one in asked
        ]
    reservations = [reservation_json(rows[number], me=me) for number in sorted(rows)]
    return shown | {"conflicts": conflicts, "reservations": reservations}


def asked_lines(asked: Sequence[Asked], *, me: str, now: int) -> list[str]:
    """What each path is to somebody, for people: held, yours, shared or free."""
    width = min(40, max((len(safe(one.path)) for one in asked), default=0))
    lines = []
    for one in asked:
        state = one.state(me)
        rows = one.held_by_others(me) or one.reservations
        first = f"{safe(one.path):<{width}}  "
        if state == "free":
            lines.append(first + ("free, but outside of the fence" if one.fenced else "free"))
        for row in rows:
            words = held(row, now=now)
            if state == "mine":
                words = f"yours, {pattern(row)} {until(row, now=now)}" if row.holder == me else f"shared, {words}"
            elif state == "shared":
                words = f"shared, {words}"
            lines.append(f"{first}{words}  (#{row.id})")
            first = " " * len(first)
    return lines


def log_json(entries: Iterable[Entry], *, project: str, generation: int) -> Json:
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
    """Reservations for people: grouped by holder, mine first, what ends soonest on top.

    ``width`` is the terminal's, in columns; None when the lines go elsewhere and nothing is cut.
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
    """Reservations that have ended, the latest last."""
    names = {name for row in rows for name in (row.holder, row.ended_by) if name}
    lines = []
    for row in rows:
        by = f" by {safe(shown_name(row.ended_by, names))}" if row.end == "broken" and row.ended_by else ""
        when = "" if row.ended_at is None else f" {clock(row.ended_at, now=now)}"
        holder = safe(shown_name(row.holder, names))
        lines.append(cut(f"#{row.id}  {holder}  {pattern(row)}  {safe(row.end or 'ended')}{by}{when}", width))
    return lines


def log_lines(entries: Sequence[Entry], *, now: int, width: int | None) -> list[str]:
    """What happened, for people, the latest last."""
    names = {name for entry in entries for name in (entry.holder, entry.whose) if name}
    lines = []
    for entry in entries:
        holder = safe(shown_name(entry.holder, names))
        whose = f" of {safe(shown_name(entry.whose, names))}" if entry.whose and entry.whose != entry.holder else ""
        what = f" #{entry.reservation}{whose} {safe(entry.pattern or b'')}" if entry.reservation else ""
        reason = f": {safe(entry.reason)}" if entry.reason else ""
        lines.append(cut(f"{clock(entry.at, now=now)}  {holder} {safe(entry.event)}{what}{reason}", width))
    return lines


def granted(row: Reservation, *, now: int) -> str:
    kind = "" if row.exclusive else " (shared)"
    return f"reserved #{row.id} {pattern(row)}{kind} {until(row, now=now)}"


def in_the_way(outcome: Outcome, *, now: int) -> list[str]:
    """Who stands in the way of a reserve, and what next."""
    lines = []
    for found in outcome.conflicts:
        lines.append(f"  {safe(found.pattern)} meets #{found.reservation.id}: {held(found.reservation, now=now)}")
    return lines


def cut(line: str, width: int | None) -> str:
    """A line cut to a terminal's width, with a mark where something is missing."""
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
