"""Words of a store's that complete one that is typed: patterns, numbers and holders of reservations.

A list is never longer than :data:`AT_MOST`, however much is reserved. It always has the first and the last word, so
that what all words in it begin with, which a shell types for the user, is what all words begin with.
"""

from __future__ import annotations

from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.model import Reservation

PATTERNS, IDS, HOLDERS = "patterns", "ids", "holders"
AT_MOST = 300


class Begun(Record):
    """What is asked for: which words, of whose reservations, and how they begin.

    ``mine`` are those of ``holder``; else those of everybody else's.
    """

    project: str
    holder: str
    words: str
    mine: bool
    start: str


def among(rows: Iterable[Reservation], begun: Begun) -> list[str]:
    """The words, for a store that has nothing better than to look at all active reservations."""
    mine = (row for row in rows if (row.holder == begun.holder) == begun.mine)
    found = {_word(row, begun.words) for row in mine}
    return shortened(sorted(word for word in found if word.startswith(begun.start)))


def _word(row: Reservation, words: str) -> str:
    if words == PATTERNS:
        return row.pattern.decode("utf-8", "surrogateescape")
    return str(row.id) if words == IDS else row.holder


def shortened(words: list[str]) -> list[str]:
    """Sorted words, but not more than :data:`AT_MOST`: the first ones and the last."""
    return words if len(words) <= AT_MOST else [*words[: AT_MOST - 1], words[-1]]
