"""The files of a repository as a tree, each with the reservation that covers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.patterns.grammar import prefix
from guard.patterns.match import Union

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guard.model import Reservation


class Node:
    """A directory or a file. ``held`` is the reservation that covers a file. ``missing``: the file does not exist yet.

    ``weight`` is the number of files below, and 1 for a file.
    """

    __slots__ = ("children", "held", "missing", "name", "weight")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.children: dict[bytes, Node] = {}
        self.held: Reservation | None = None
        self.missing = False
        self.weight = 0

    def child(self, name: bytes) -> Node:
        """The child with this name; it is made if there is none."""
        found = self.children.get(name)
        if found is None:
            found = self.children[name] = Node(name)
        return found


def grow(files: Iterable[bytes], reservations: Sequence[Reservation], *, fold: bool) -> Node:
    """The tree of all files, and of reserved paths that do not exist yet.

    ``files`` are paths relative to the repository's top; ``fold`` ignores the case of ASCII letters, as
    ``core.ignoreCase`` does. Where several reservations cover a file, an exclusive one counts, and then the oldest.
    """
    ranked = sorted(reservations, key=lambda row: (not row.exclusive, row.id))
    union = Union([row.pattern for row in ranked], fold=fold)
    top = Node(b"")
    used: set[int] = set()
    for path in files:
        covering = union.attribute(path)
        used.update(covering)
        _put(top, path, ranked[covering[0]] if covering else None, missing=False)
    for index, row in enumerate(ranked):
        if index not in used:
            _put(top, prefix(row.pattern) or row.pattern.strip(b"/"), row, missing=True)
    _weigh(top)
    return top


def _put(top: Node, path: bytes, held: Reservation | None, *, missing: bool) -> None:
    node = top
    for name in path.split(b"/"):
        node = node.child(name)
    if missing and node.children:  # a directory in which the pattern matches nothing yet
        node = node.child(b"(not there yet)")
    node.held, node.missing = held, missing


def _weigh(top: Node) -> None:
    """Counts the files below each node, without recursion: a path may have hundreds of names."""
    order = [top]
    for node in order:
        order.extend(node.children.values())
    for node in reversed(order):
        node.weight = sum(child.weight for child in node.children.values()) or 1
