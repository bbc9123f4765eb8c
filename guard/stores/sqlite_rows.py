"""Reads the reservations of a guard store in SQLite. Anybody may have written them.

A value that cannot be read makes its row count as active and exclusive, and is reported; it hides no other row. The
hook's refresh loads this module, so it imports nothing heavy.
"""

from __future__ import annotations

from guard.model import Reservation
from guard.patterns.grammar import covering, fault, is_simple
from guard.record import Record
from guard.stores.sqlite_file import as_bytes, as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LATEST_MS = 253_402_300_799_999
"""The end of the year 9999."""


class ReservationRow(Record):
    """A row of the table ``reservation``: the columns that are read, in this order, as SQLite gives them."""

    id: Any
    project: Any
    holder: Any
    pattern: Any
    typed: Any
    exclusive: Any
    reason: Any
    principal: Any
    created_at: Any
    expires_at: Any
    ended_at: Any
    ended_by: Any
    end: Any
    end_reason: Any

    def reservation(self) -> Reservation:
        """The row as a reservation, whose ``fault`` says what could not be read."""
        return reservation_of(self)

    def with_faults(self, pattern: bytes, typed: bytes, odd: str, expires_at: int | None) -> tuple[bytes, bytes, str]:
        """The pattern that stands for one on which git and pathspec differ, what was typed, and what is odd."""
        faults = []
        wide = covering(pattern) if odd else b""
        if wide:
            faults.append(f"taken for all that its pattern could cover, for {odd}")
            pattern, typed = wide, pattern
        if expires_at is None:
            faults.append(f"its expiry cannot be read: {self.expires_at!r:.60}")
        return pattern, typed, "; ".join(faults)


def reservation_of(row: tuple[Any, ...]) -> Reservation:
    """What SQLite gives for the columns of :class:`ReservationRow`, as a reservation: fast, for there may be many."""
    number, project, holder, pattern, typed, exclusive, reason, principal, created, expires, ended = row[:11]
    ended_by, how, end_reason = row[11:]
    pattern = pattern if type(pattern) is bytes else as_bytes(pattern)
    typed = typed if type(typed) is bytes else as_bytes(typed)
    expires_at = expires if type(expires) is int and 0 <= expires <= LATEST_MS else None
    odd = "" if is_simple(pattern) else fault(pattern)
    faults = ""
    if odd or expires_at is None:
        pattern, typed, faults = ReservationRow._make(row).with_faults(pattern, typed, odd, expires_at)
    text = _texts.get
    return Reservation._make(
        (
            number,
            text(project) or _text(project),
            text(holder) or _text(holder),
            pattern,
            typed,
            exclusive != 0,  # what cannot be read counts as exclusive
            text(reason) or _text(reason),
            text(principal) or _text(principal),
            created if type(created) is int and 0 <= created <= LATEST_MS else instant(created) or 0,
            expires_at,
            None if ended is None else instant(ended),
            None if ended_by is None else _text(ended_by),
            None if how is None else _text(how),
            faults,
            text(end_reason) or _text(end_reason),
        )
    )


_TEXTS_MAX = 4096
_texts: dict[object, str] = {}


def _text(value: object) -> str:
    """As :func:`as_text`; names, accounts and reasons stand in many rows, so each is decoded once."""
    text = _texts.get(value)
    if text is None:
        if len(_texts) >= _TEXTS_MAX:
            _texts.clear()
        text = _texts[value] = as_text(value)
    return text


def columns(row: type[tuple[Any, ...]]) -> str:
    """The columns of a kind of row, as SQL."""
    fields: tuple[str, ...] = row._fields  # type: ignore[attr-defined]
    return ", ".join(f'"{name}"' for name in fields)


def instant(value: object) -> int | None:
    """The value as a time in Unix ms; None if it is no time, or not in a year of four digits."""
    return value if isinstance(value, int) and 0 <= value <= LATEST_MS else None


def storable(value: bytes) -> str | bytes:
    """The bytes as text if they are UTF-8, so that people and other programs can read it; else the bytes."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value
