"""The picture as an HTML page, with a table of all reservations below it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from guard.words import pattern, safe, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Reservation

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 1300px; color: #1a1a1a; background: #fff; }
svg { width: 100%; height: auto; }
table { border-collapse: collapse; margin-top: 1rem; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #dfe3e6; vertical-align: top; }
td { overflow-wrap: anywhere; }
"""


def page(image: str, reservations: Sequence[Reservation], *, project: str, me: str, now: int) -> str:
    """The HTML page. ``image`` is an SVG element; ``now`` is in Unix ms."""
    rows = "\n".join(_row(row, me=me, now=now) for row in sorted(reservations, key=lambda row: row.id))
    table = (
        "<table><thead><tr><th>#</th><th>holder</th><th>pattern</th><th>until</th><th>reason</th></tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody></table>\n"
        if rows
        else "<p>Nothing is reserved.</p>\n"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(safe(project))}: who holds what</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{image}{table}</body></html>\n"
    )


def _row(row: Reservation, *, me: str, now: int) -> str:
    holder = safe(row.holder) + (" (you)" if row.holder == me else "")
    kind = "" if row.exclusive else ", shared"
    cells = (str(row.id), holder, pattern(row) + kind, until(row, now=now), safe(row.reason))
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
