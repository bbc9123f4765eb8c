"""Words that complete one that is typed, asked of a PostgreSQL store: one statement, of which little comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.stores.completions import AT_MOST, IDS, PATTERNS, Begun, shortened

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Question = Callable[..., tuple[int, list[tuple[Any, ...]]]]


def completions(question: Question, begun: Begun) -> list[str]:
    """The words, sorted; ``question`` asks the store."""
    whose = "=" if begun.mine else "<>"
    active = f"r.project = %s AND r.holder {whose} %s AND r.ended_at IS NULL AND r.expires_at > guard.clock()"
    values: tuple[object, ...] = (begun.project, begun.holder)
    if begun.words == PATTERNS:
        word, begins = "r.pattern", "r.pattern >= %s::bytea AND r.pattern < %s::bytea"
        bounds: tuple[object, ...] = (begun.start.encode(), begun.start.encode() + b"\xff")
    else:
        word = ("r.id::text" if begun.words == IDS else "r.holder") + ' COLLATE "C"'
        begins, bounds = f"left({word}, %s) = %s", (len(begun.start), begun.start)
    found = f"SELECT DISTINCT {word} AS word FROM guard.reservation r WHERE {active} AND {begins}"
    first = f"({found} ORDER BY word LIMIT {AT_MOST + 1})"
    last = f"({found} ORDER BY word DESC LIMIT 1)"
    rows = question(
        "w.word", f"({first} UNION {last}) AS w ON true", (*values, *bounds, *values, *bounds), project=begun.project
    )[1]
    words = {row[0] if isinstance(row[0], str) else _text(row[0]) for row in rows if row[0] is not None}
    return shortened(sorted(words - {""}))


def _text(pattern: bytes) -> str:
    """A pattern as a shell can type it; "" where it is not UTF-8."""
    try:
        return bytes(pattern).decode("utf-8")
    except UnicodeDecodeError:
        return ""
