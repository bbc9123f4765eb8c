"""What was reserved when the server of the store last answered.

A union that was made from a server's answer keeps, beside the patterns, the reservations behind them. So a hook can
still say who holds a path, why and until when while the server gives no answer.
"""

from __future__ import annotations

import marshal
import os

from guard.model import Reservation
from guard.union.patterns import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.union.published import Current

_MARSHAL = 4
"""Every Python from 3.11 on reads and writes this format."""


def to_bytes(rows: Iterable[Reservation]) -> bytes:
    """Reservations as the contents of a file: a checksum, and the rows."""
    body = marshal.dumps([tuple(row) for row in rows], _MARSHAL)
    return digest(body) + b"\n" + body


def read(slot: bytes, current: Current) -> list[Reservation] | None:
    """The reservations behind what is published; None when the file is missing or damaged."""
    try:
        with open(os.path.join(slot, current.published.name, b"rows"), "rb") as file:
            checksum, _, body = file.read().partition(b"\n")
        return [Reservation(*row) for row in marshal.loads(body)] if digest(body) == checksum else None
    except (OSError, ValueError, EOFError, TypeError):
        return None


def holds(slot: bytes, current: Current, rows: Iterable[Reservation]) -> bool:
    """Are these the reservations behind what is published?"""
    return read(slot, current) == list(rows)
