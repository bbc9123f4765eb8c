"""Draws the tree as one SVG image (w3.org/TR/SVG11) that needs no script, no font and no other file."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from guard.map.layout import Box, squarify
from guard.words import length, pattern, safe, shown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.map.tree import Node
    from guard.model import Reservation

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442")
"""The palette of Okabe and Ito, whose colours people with any kind of colour blindness can tell apart."""
FREE, GROUND, EDGE = "#dfe3e6", "#ffffff", "#9aa3a8"
WIDTH, HEIGHT, LIST_WIDTH, MARGIN = 1280, 860, 400, 12
HEADING, LINE = 15, 16
"""The height of a directory's heading and of a line in the list, in pixels."""
LETTER = 6.7
"""The width of a letter in the 11-pixel monospaced font, in pixels, rounded up, so that labels do not overlap."""
_STYLE = (
    "text{font:11px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1a1a1a}"
    ".h{font-weight:bold}.s{fill:#5a6368}"
)


class Canvas:
    """Collects the parts of an image."""

    def __init__(self, colours: dict[str, str]) -> None:
        self.parts: list[str] = []
        self.colours = colours

    def rectangle(self, box: Box, fill: str, *, edge: str = GROUND, title: str = "") -> None:
        """A rectangle; a viewer shows ``title`` when somebody points at it."""
        shape = (
            f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
            f'fill="{fill}" stroke="{edge}" stroke-width=".5"'
        )
        self.parts.append(f"{shape}><title>{escape(title)}</title></rect>" if title else shape + "/>")

    def label(self, x: float, y: float, text: str, *, room: float, kind: str = "") -> None:
        """A text that is cut to ``room`` pixels; nothing if that would leave fewer than three letters."""
        shown = fitted(text, room)
        if shown:
            named = f' class="{kind}"' if kind else ""
            self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{named}>{escape(shown)}</text>')


def fitted(text: str, room: float) -> str:
    """The part of the text that fits into ``room`` pixels, with "…" at its end if it was cut."""
    columns = int(room / LETTER)
    if _columns(text) <= columns:
        return text
    if columns < 3:
        return ""
    shown = ""
    for letter in text:
        if _columns(shown + letter) >= columns:
            break
        shown += letter
    return shown + "…"


def _columns(text: str) -> int:
    """The width of a text in columns. Letters outside of Latin, Greek and Cyrillic count as two."""
    return sum(1 if ord(letter) < 0x1100 else 2 for letter in text)


def image(top: Node, reservations: Sequence[Reservation], *, count: int, project: str, me: str, now: int) -> str:
    """The whole image: a treemap of the files on the left, the list of reservations on the right.

    ``count`` is the number of files that exist; ``me`` is the holder whose reservations come first; ``now`` is in
    Unix ms.
    """
    holders = sorted({row.holder for row in reservations}, key=lambda holder: (holder != me, holder))
    offset = 0 if me in holders else 1
    canvas = Canvas({holder: COLOURS[(index + offset) % len(COLOURS)] for index, holder in enumerate(holders)})
    _draw_heading(canvas, count, project)
    _draw_tree(canvas, top, Box(MARGIN, 40, WIDTH - LIST_WIDTH - 3 * MARGIN, HEIGHT - 40 - MARGIN))
    _draw_list(canvas, holders, reservations, me=me, now=now)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img"><title>{escape(safe(project))}: who holds what</title>',
            f"<style>{_STYLE}</style><defs>{_hatches(canvas.colours)}</defs>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{GROUND}"/>',
            *canvas.parts,
            "</svg>\n",
        ]
    )


def _hatches(colours: dict[str, str]) -> str:
    """Stripes in each colour, for what is reserved and does not exist yet."""
    return "".join(
        f'<pattern id="{_hatch(colour)}" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{GROUND}"/>'
        f'<rect width="3" height="6" fill="{colour}"/></pattern>'
        for colour in sorted(set(colours.values()))
    )


def _hatch(colour: str) -> str:
    return "h" + colour[1:]


def _draw_heading(canvas: Canvas, count: int, project: str) -> None:
    canvas.label(MARGIN, 26, f"{safe(project)} · {count:,} files", room=WIDTH - LIST_WIDTH - 3 * MARGIN, kind="h")


def _draw_tree(canvas: Canvas, top: Node, box: Box) -> None:
    """Draws a directory and everything below it, without recursion, because paths may be deep."""
    pending = [(top, box, b"")]
    while pending:
        node, box, path = pending.pop()
        if not node.children:
            _draw_file(canvas, node, box, path)
            continue
        inner = box
        if path and box.width > 4 and box.height > 4:
            canvas.rectangle(box, "#f4f6f7", edge=EDGE, title=safe(path) + "/")
            strip = HEADING if box.height > 3 * HEADING and box.width > 5 * LETTER else 0
            if strip:
                canvas.label(box.x + 3, box.y + 11, safe(node.name) + "/", room=box.width - 6, kind="s")
            inner = box.inside(1.5, top=strip)
        children = sorted(node.children.values(), key=lambda child: child.name)
        boxes = squarify([child.weight for child in children], inner)
        for child, place in zip(children, boxes, strict=True):
            pending.append((child, place, path + b"/" + child.name if path else child.name))


def _draw_file(canvas: Canvas, node: Node, box: Box, path: bytes) -> None:
    row = node.held
    if row is None:
        canvas.rectangle(box, FREE, title=safe(path))
    else:
        colour = canvas.colours[row.holder]
        kind = "" if row.exclusive else ", shared"
        there = ", not there yet" if node.missing else ""
        fill = f"url(#{_hatch(colour)})" if node.missing else colour
        canvas.rectangle(box, fill, title=f"{safe(path)}: #{row.id} {safe(row.holder)}{kind}{there}")
    if box.height >= 13 and not node.missing and row is None:
        canvas.label(box.x + 3, box.y + 11, safe(node.name), room=box.width - 6)
    elif row is not None and box.height >= 17 and box.width >= 30:
        _draw_plate(canvas, box, f"#{row.id} {safe(node.name)}")


def _draw_plate(canvas: Canvas, box: Box, text: str) -> None:
    """A label on a light ground, so that it can be read on every colour and on stripes."""
    shown = fitted(text, box.width - 10)
    if shown:
        plate = Box(box.x + 2, box.y + 2, min(box.width - 4, _columns(shown) * LETTER + 6), 14)
        canvas.rectangle(plate, "#ffffff", edge="none")
        canvas.label(box.x + 5, box.y + 13, shown, room=box.width - 10)


def _draw_list(
    canvas: Canvas, holders: Sequence[str], reservations: Sequence[Reservation], *, me: str, now: int
) -> None:
    x, y, room = WIDTH - LIST_WIDTH - MARGIN, 26.0, float(LIST_WIDTH)
    canvas.label(x, y, "Nothing is reserved." if not reservations else f"{len(reservations):,} reserved", room=room)
    bottom = HEIGHT - MARGIN - 2 * LINE
    shown = 0
    for holder in holders:
        if y + 3 * LINE > bottom:
            break
        y += LINE * 1.5
        canvas.rectangle(Box(x, y - 10, 12, 12), canvas.colours[holder])
        name = safe(shown_name(holder, holders)) + (" (you)" if holder == me else "")
        canvas.label(x + 18, y, name, room=room - 18, kind="h")
        for row in sorted((row for row in reservations if row.holder == holder), key=lambda row: row.id):
            if y + 2 * LINE > bottom:
                break
            y += LINE
            canvas.label(x + 18, y, _described(row, now), room=room - 18)
            shown += 1
    if shown < len(reservations):
        canvas.label(x, y + LINE * 1.5, f"… and {len(reservations) - shown:,} more: guard list", room=room, kind="s")
    canvas.label(x, HEIGHT - MARGIN, "Stripes: reserved, and not there yet. Grey: free.", room=room, kind="s")


def _described(row: Reservation, now: int) -> str:
    remains = "no expiry" if row.expires_at is None else f"in {length(row.expires_at - now)}"
    kind = "" if row.exclusive else " shared"
    return f"#{row.id} {pattern(row)}{kind}, {remains}" + (f": {safe(row.reason)}" if row.reason else "")
