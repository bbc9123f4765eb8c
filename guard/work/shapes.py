"""Answers as JSON, and lines for people, which commands and the MCP server share."""

from __future__ import annotations

import time

from guard.model import SCHEMA, Reservation, Verdict
from guard.words import held, pattern, safe, until
from guard.work.here import now_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from guard.model import Overlap
    from guard.repo.settings import Setting
    from guard.stores.copies import Restored
    from guard.stores.interface import Description, Kind, Outcome
    from guard.work.questions import Asked

    Json = dict[str, Any]


def as_json(answer: Json) -> str:
    """The answer as one line of ASCII, so that no control character reaches a terminal.

    A word that somebody typed, or a path, may have bytes that are not UTF-8; JSON has no text for these.
    """
    import json  # 4 ms that a list for people need not take

    line = json.dumps({"schema": SCHEMA, **answer})
    if "\\udc" in line:  # half of a surrogate pair, by which Python means a byte; or a part of an emoji
        line = json.dumps({"schema": SCHEMA, **_in_utf_8(answer)})
    return line


_PROSE = ("what", "next", "warnings", "notices")
"""The members whose texts are for people, who get such bytes escaped."""


def _in_utf_8(answer: Json) -> Json:
    """The same members; what is not UTF-8 in base64, under the name NAME_b64. A list has the others left in it."""
    found: Json = {}
    for name, value in answer.items():
        texts = value if isinstance(value, list) else [value]
        bad = [each for each in texts if isinstance(each, str) and not _is_utf_8(each)]
        if isinstance(value, dict):
            found[name] = _in_utf_8(value)
        elif name in _PROSE:
            texts = [safe(each) if each in bad else each for each in texts]
            found[name] = texts if isinstance(value, list) else texts[0]
        elif isinstance(value, list):
            found[name] = [_in_utf_8(each) if isinstance(each, dict) else each for each in value if each not in bad]
            found |= {f"{name}_b64": [*map(_base64, bad)]} if bad else {}
        else:
            found |= {f"{name}_b64": _base64(value)} if bad else {name: value}
    return found


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _base64(word: str) -> str:
    import base64

    return base64.b64encode(word.encode("utf-8", "surrogateescape")).decode("ascii")


def envelope(answer: Json, *, warnings: Sequence[str], notices: Sequence[str], next_: Sequence[str]) -> Json:
    """An answer with the members that every answer has.

    Its generation is None where it concerns no single project. ``next_`` are commands to type next.
    """
    told = {"warnings": list(warnings), "notices": list(notices), "next": list(next_)}
    return {"generation": None, **answer, **told}


def iso(ms: int | None) -> str | None:
    """Unix ms as ISO 8601 in UTC, "2026-11-22T08:37:35.414Z"; None stays None."""
    if ms is None:
        return None
    seconds, rest = divmod(ms, 1000)
    text = _seconds.get(seconds)
    if text is None:
        if len(_seconds) >= _SECONDS_MAX:
            _seconds.clear()
        text = _seconds[seconds] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{rest:03d}Z"


_SECONDS_MAX = 4096
_seconds: dict[int, str] = {}
"""Many reservations were made, or end, in the same second."""


def bytes_json(name: str, value: bytes) -> Json:
    """A member for bytes: as text if they are UTF-8, else in base64, with the name NAME_b64."""
    try:
        return {name: value.decode("utf-8")}
    except UnicodeDecodeError:
        import base64

        return {f"{name}_b64": base64.b64encode(value).decode("ascii")}


def reservation_json(row: Reservation, *, me: str, now: int | None = None) -> Json:
    """A reservation for programs. ``now`` is in Unix ms; a caller with many rows gives it once."""
    now = now_ms() if now is None else now
    answer: Json = {"id": row.id, "holder": row.holder, **bytes_json("pattern", row.pattern)}
    answer |= {
        "exclusive": row.exclusive,
        "reason": row.reason,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
        "expires_in_s": None if row.expires_at is None else max(0, row.expires_at - now) // 1000,
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


def list_json(
    rows: Sequence[Reservation], *, project: str, me: str, generation: int | None, all_projects: bool
) -> Json:
    """The answer of ``guard list`` for programs. ``generation`` is None where it is of no single project."""
    now = now_ms()
    shown = [reservation_json(row, me=me, now=now) for row in rows]
    if all_projects:
        shown = [each | {"project": row.project} for each, row in zip(shown, rows, strict=True)]
    return {"generation": generation, "project": project, "holder": me, "reservations": shown}


def outcome_json(name: str, outcome: Outcome, *, me: str) -> Json:
    """The answer of release, renew, break and reserve; ``name`` is the member for the changed reservations."""
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
    """A verdict, with each reservation once. ``asked`` are the paths that were asked about.

    ``fenced`` tells that nobody else has reserved anything of it, but a path is outside of the fence.
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


def store_json(
    setting: Setting,
    kind: Kind,
    about: Description,
    *,
    now: int,
    round_trip_ms: float | None,
    rows: Sequence[Reservation],
    projects: Sequence[str],
) -> Json:
    """Where reservations are kept, and how many there are, in all projects. ``now`` is the store's time, in Unix ms."""
    return {
        "store": setting.value,
        "source": setting.source,
        "kind": kind.name,
        "writable": kind.writable,
        "written_by": about.written_by,
        "readable_since": about.readable_since,
        "size": about.size,
        "ended": about.ended,
        "log": about.log,
        "time": iso(now),
        "round_trip_ms": round_trip_ms,
        "reservations": len(rows),
        "projects": list(projects),
    }


def restored_json(done: Restored, address: str, file: str) -> Json:
    """What a restore from a file has done to the store at an address."""
    return {
        "restored": address,
        "from": file,
        "kept": done.kept or None,
        "active": done.active,
        "lost": [row.id for row in done.lost],
    }


def asked_lines(asked: Sequence[Asked], *, me: str, now: int) -> list[str]:
    """Lines that say of each path whether it is held, yours, shared or free. ``now`` is in Unix ms."""
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


def granted(row: Reservation, *, now: int) -> str:
    """A line about a reservation that was granted. ``now`` is in Unix ms."""
    kind = "" if row.exclusive else " (shared)"
    return f"reserved #{row.id} {pattern(row)}{kind} {until(row, now=now)}"


def in_the_way(outcome: Outcome, *, now: int) -> list[str]:
    """A line for each reservation that is in the way, however many patterns meet it. ``now`` is in Unix ms."""
    met: dict[int, list[Overlap]] = {}
    for found in outcome.conflicts:
        met.setdefault(found.reservation.id, []).append(found)
    lines = []
    for number, (first, *others) in met.items():
        what = f"{safe(first.pattern)} and {len(others)} more meet" if others else f"{safe(first.pattern)} meets"
        lines.append(f"  {what} #{number}: {held(first.reservation, now=now)}")
    return lines
