"""A squarified treemap: rectangles whose areas are proportional to weights and whose shapes are close to squares.

The method is that of Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000). The heaviest items come first. Items
are put into a row along the shorter side, as long as that makes the most oblong rectangle of the row less oblong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence


class Box(Record):
    """A rectangle, in pixels, with its upper left corner at ``x``, ``y``."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, margin: float, *, top: float = 0.0) -> Box:
        """The rectangle inside of a margin and below a strip of ``top`` pixels. All lengths are in pixels."""
        width = max(0.0, self.width - 2 * margin)
        height = max(0.0, self.height - 2 * margin - top)
        return Box(self.x + margin, self.y + margin + top, width, height)


def squarify(weights: Sequence[float], box: Box) -> list[Box]:
    """One rectangle for each weight, in the order of the weights. Together they fill ``box``.

    Weights are positive. If the box has no area, every rectangle is empty.
    """
    found = [Box(box.x, box.y, 0.0, 0.0)] * len(weights)
    if box.width <= 0 or box.height <= 0 or not weights:
        return found
    scale = box.width * box.height / sum(weights)
    order = sorted(range(len(weights)), key=lambda index: -weights[index])
    areas = [weights[index] * scale for index in order]
    start = 0
    while start < len(areas):
        end = _row_end(areas, start, min(box.width, box.height))
        row, box = _placed(areas[start:end], box)
        for index, rectangle in zip(order[start:end], row, strict=True):
            found[index] = rectangle
        start = end
    return found


def _row_end(areas: Sequence[float], start: int, side: float) -> int:
    """The end of the row that begins at ``start``: the first item that would make its most oblong rectangle worse."""
    total = areas[start]
    worst = _worst(total, areas[start], areas[start], side)
    end = start + 1
    while end < len(areas):
        longer = _worst(total + areas[end], areas[start], areas[end], side)
        if longer > worst:
            break
        total, worst, end = total + areas[end], longer, end + 1
    return end


def _worst(total: float, largest: float, smallest: float, side: float) -> float:
    """The worst ratio of sides in a row of this total area along a side of this length."""
    if smallest <= 0 or side <= 0:
        return float("inf")
    return max(side * side * largest / (total * total), total * total / (side * side * smallest))


def _placed(areas: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """The rectangles of a row along the shorter side of the box, and the rest of the box."""
    total = sum(areas)
    found = []
    if box.width >= box.height:
        thickness, at = min(total / box.height, box.width), box.y
        for area in areas:
            length = area / thickness if thickness else 0.0
            found.append(Box(box.x, at, thickness, length))
            at += length
        return found, Box(box.x + thickness, box.y, max(0.0, box.width - thickness), box.height)
    thickness, at = min(total / box.width, box.height), box.x
    for area in areas:
        length = area / thickness if thickness else 0.0
        found.append(Box(at, box.y, length, thickness))
        at += length
    return found, Box(box.x, box.y + thickness, box.width, max(0.0, box.height - thickness))
