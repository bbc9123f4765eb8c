"""Can some path match both of two patterns? The answer is exact, and such a path can be given as the proof.

A pattern covers what it matches and everything below that (gitignore(5)). So it is a sequence of names, and anything
may follow. Two sequences are walked together; each pair of positions is visited at most once, and two names are
compared byte by byte. Names are as git tracks them: not empty, not ``.``, not ``..``, of any bytes except NUL and
``/``.
"""

from __future__ import annotations

from functools import lru_cache

from guard.patterns.grammar import ONE, STAR, STARSTAR, atoms, covering, segments
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.patterns.grammar import Atom

__all__ = ["overlap", "witness"]

_DOT = 1 << ord(".")
_ANY = (1 << 256) - 1 & ~(1 << 0) & ~(1 << ord("/"))
_CAPITALS = (1 << 0x5B) - (1 << 0x41)
_SMALL = _CAPITALS << 0x20
_READABLE = b"abcdefghijklmnopqrstuvwxyz0123456789_-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""The bytes that are preferred in an example of a common path."""


class _Name(Record):
    """The names that a segment allows: for each place STAR, or a mask with one bit for each byte that is allowed.

    ``literal`` is the name when only one is allowed, else None; in small letters when case is ignored.
    """

    literal: bytes | None
    places: tuple[int, ...]


_ANY_NAME = _Name(None, (STAR,))


class _Parsed(Record):
    """The names of a pattern from the top, None for ``**``. ``literals`` are the literal names that it begins with.

    ``can_match`` is False when no path can match.
    """

    literals: tuple[bytes, ...]
    names: tuple[_Name | None, ...]
    can_match: bool


def overlap(a: bytes, b: bytes, *, fold: bool = False) -> bool:
    """Does some path match both patterns? ``fold`` ignores the case of ASCII letters.

    For a pattern outside of the accepted grammar, everything that it could cover counts.
    """
    one, two = _parsed(a, fold), _parsed(b, fold)
    return _may_meet(one, two) and _walk(one.names, two.names) is not None


def witness(a: bytes, b: bytes, *, fold: bool = False) -> bytes | None:
    """A path that matches both patterns; None when there is none."""
    one, two = _parsed(a, fold), _parsed(b, fold)
    steps = _walk(one.names, two.names) if _may_meet(one, two) else None
    if steps is None:
        return None
    return b"/".join(name for pair in steps if (name := _common_name(*pair)) is not None)


def _may_meet(one: _Parsed, two: _Parsed) -> bool:
    if not (one.can_match and two.can_match):
        return False
    depth = min(len(one.literals), len(two.literals))
    return one.literals[:depth] == two.literals[:depth]


# Paths


def _walk(one: Sequence[_Name | None], two: Sequence[_Name | None]) -> list[tuple[_Name, _Name]] | None:
    """The pairs of names that make a common path, from the top; None when there is no common path.

    At the position (i, j), the first i names of one and the first j names of the other are matched. When one of them is
    at its end, the rest of the other may follow, because a pattern also covers everything below what it matches.
    """
    came_from: dict[tuple[int, int], tuple[int, int]] = {(0, 0): (0, 0)}
    todo = [(0, 0)]
    while todo:
        i, j = here = todo.pop()
        if i == len(one) or j == len(two):
            return _steps(one, two, came_from, here)
        mine, other = one[i], two[j]
        if mine is None or other is None:
            following = [(i, j + 1), (i + 1, j)]
        else:
            following = [(i + 1, j + 1)] if _common_name(mine, other) is not None else []
        for there in following:
            if there not in came_from:
                came_from[there] = here
                todo.append(there)
    return None


def _steps(
    one: Sequence[_Name | None],
    two: Sequence[_Name | None],
    came_from: dict[tuple[int, int], tuple[int, int]],
    end: tuple[int, int],
) -> list[tuple[_Name, _Name]]:
    steps = [(name, _ANY_NAME) for name in [*one[end[0] :], *two[end[1] :]] if name is not None]
    here = end
    while here != (0, 0):
        i, j = before = came_from[here]
        mine = one[i] if here[0] > i else None
        other = two[j] if here[1] > j else None
        if mine is not None or other is not None:
            steps.insert(0, (mine or _ANY_NAME, other or _ANY_NAME))
        here = before
    return steps


# Names


@lru_cache(maxsize=1 << 16)
def _common_name(one: _Name, two: _Name) -> bytes | None:
    """A name that both allow; None if there is none."""
    if one.literal is not None and two.literal is not None:
        return one.literal if one.literal == two.literal else None
    if STAR in one.places and STAR in two.places:
        return _both_open(one.places, two.places)
    if STAR in two.places:
        one, two = two, one
    for fixed in _without_dots(two.places):
        found = _laid_over(one.places, fixed)
        if found is not None:
            return _spelt(found)
    return None


def _both_open(one: tuple[int, ...], two: tuple[int, ...]) -> bytes | None:
    """A name that two segments with stars allow. Only the parts before the first and after the last star can differ."""
    head = _overlaid(_before_star(one), _before_star(two))
    tail = _overlaid(_before_star(one[::-1]), _before_star(two[::-1]))
    if head is None or tail is None:
        return None
    inside = _inside_stars(one) + _inside_stars(two)
    name = _spelt([*head, *inside, *tail[::-1]])
    return name if name not in (b"", b".", b"..") else _spelt([*head, _ANY, *inside, *tail[::-1]])


def _before_star(places: tuple[int, ...]) -> tuple[int, ...]:
    return places[: places.index(STAR)]


def _inside_stars(places: tuple[int, ...]) -> list[int]:
    first, last = places.index(STAR), len(places) - places[::-1].index(STAR)
    return [place for place in places[first:last] if place != STAR]


def _overlaid(one: tuple[int, ...], two: tuple[int, ...]) -> list[int] | None:
    """The places of both, combined from the first one on, then the rest of the longer one; None if two places clash."""
    shared = [a & b for a, b in zip(one, two, strict=False)]
    return [*shared, *one[len(shared) :], *two[len(shared) :]] if all(shared) else None


def _without_dots(places: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Variants of the places that together match all their names except ``.`` and ``..``. There is no star in them."""
    if len(places) > 2:
        return [places]
    return [(*places[:at], place & ~_DOT, *places[at + 1 :]) for at, place in enumerate(places) if place & ~_DOT]


def _laid_over(places: tuple[int, ...], fixed: tuple[int, ...]) -> list[int] | None:
    """The ``fixed`` places, limited to what ``places`` allows, in which a star takes any number; None when they clash.

    When places clash after a star, that star takes one more place. Only the latest star is tried again: the part before
    it was matched as early as possible, and that leaves the most room for the rest (as in git's wildmatch.c).
    """
    laid: list[int] = []
    at = 0
    star: tuple[int, int] | None = None
    while len(laid) < len(fixed) or at < len(places):
        if at < len(places) and places[at] == STAR:
            at += 1
            star = at, len(laid)
        elif at < len(places) and len(laid) < len(fixed) and places[at] & fixed[len(laid)]:
            laid.append(places[at] & fixed[len(laid)])
            at += 1
        elif star is not None and star[1] < len(fixed):
            at, taken = star[0], star[1] + 1
            laid[star[1] :] = [fixed[star[1]]]
            star = at, taken
        else:
            return None
    return laid


def _spelt(places: Sequence[int]) -> bytes:
    return bytes(map(_byte, places))


@lru_cache(maxsize=1 << 12)
def _byte(place: int) -> int:
    for byte in _READABLE:
        if place >> byte & 1:
            return byte
    return (place & -place).bit_length() - 1


# Patterns


@lru_cache(maxsize=1 << 15)
def _parsed(pattern: bytes, fold: bool) -> _Parsed:
    line = covering(pattern)
    if not line:
        return _Parsed((), (), False)
    segs, below = segments(line)
    names = [None if segment == STARSTAR else _name(segment, fold) for segment in segs]
    if names[-1] is None:
        names[-1] = _ANY_NAME  # `a/**` covers what is below `a`, as `a/*` does
    if below:
        names.append(_ANY_NAME)
    can_match = all(name is None or _common_name(name, _ANY_NAME) is not None for name in names)
    return _Parsed(_leading_literals(names), tuple(names), can_match)


def _leading_literals(names: Sequence[_Name | None]) -> tuple[bytes, ...]:
    literals = []
    for name in names:
        if name is None or name.literal is None:
            break
        literals.append(name.literal)
    return tuple(literals)


@lru_cache(maxsize=1 << 15)
def _name(segment: bytes, fold: bool) -> _Name:
    parts = atoms(segment)
    literal = None
    if all(isinstance(part, int) and part >= 0 for part in parts):
        literal = bytes(part for part in parts if isinstance(part, int))
        literal = literal.lower() if fold else literal
    return _Name(literal, tuple(_place(part, fold) for part in parts))


def _place(atom: Atom, fold: bool) -> int:
    if atom == STAR:
        return STAR
    if atom == ONE:
        return _ANY
    if isinstance(atom, int):
        return _folded(1 << atom) if fold else 1 << atom
    negated, ranges = atom
    listed = 0
    for low, high in ranges:
        listed |= (1 << high + 1) - (1 << low)
    if fold:
        listed = _folded(listed)
    return _ANY & ~listed if negated else _ANY & listed


def _folded(listed: int) -> int:
    return listed | (listed & _CAPITALS) << 0x20 | (listed & _SMALL) >> 0x20
