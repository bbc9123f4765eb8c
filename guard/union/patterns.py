"""A union's patterns in the form in which Python matches them: without pathspec, and almost without preparing them.

The patterns are sorted by the literal path with which each begins, so a changed path meets only those that can match
it. What a pattern means is what it means in a ``.gitignore`` file at the repository's top (gitignore(5)): it covers a
path when it matches the path or a directory above it. git itself answers the same question for smaller unions; the
tests compare the two.

Patterns and paths are bytes, relative to the repository's top. Imports nothing heavy.
"""

from __future__ import annotations

import marshal
from _blake2 import blake2b  # hashlib loads OpenSSL, which takes longer than a bare Python start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from guard.patterns.grammar import Atom

    Table = dict[bytes, tuple[bytes, ...]]
    """For each literal path: what follows it in the patterns that begin with it (see :func:`table_of`)."""
    Name = Callable[[bytes], bool]
    """Does a name match?"""
    Rest = tuple[tuple[Name | None, ...], bool]
    """A pattern's names behind the literal path, None for ``**``; and whether it covers only what is below a match."""
    Reached = tuple[Rest, int]
    """A pattern, and which of its names comes next."""

_MAGIC = b"guard patterns 2 "
_END = b"\nend of guard patterns\n"
_MARSHAL = 4
"""Every Python from 3.11 on reads and writes this format: several may serve one repository. It writes an object that
occurs many times once, which makes the table quick to read."""

ITSELF = b""
"""What follows in a literal pattern: it covers the path itself and everything below."""
ANY_NAMES = b"**"
"""The segment that stands for any number of names: STARSTAR of the grammar, whose import takes time and which is
loaded only when a path meets a wildcard."""
_ONE = -2
"""The atom ONE of the grammar."""
_SPECIAL = (b"?", b"[", b"\\")
"""What means something in a pattern besides the star: gitignore(5), fnmatch(3)."""
BELOW = b"/"
"""What follows in a pattern such as ``/src/``: it covers only what is below."""


def table_of(lines: Iterable[bytes], *, fold: bool) -> Table:
    """Sorts patterns of the accepted grammar by the literal path they begin with; empty lines match nothing.

    ``fold``: names that differ in the case of ASCII letters are the same. The path is then in lower case.
    """
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        if line:
            start, behind = _divided(line)
            found.setdefault(start.lower() if fold else start, []).append(behind)
    rows = {start: tuple(dict.fromkeys(rests)) for start, rests in found.items()}
    same: dict[tuple[bytes, ...], tuple[bytes, ...]] = {}  # marshal writes what is one object once
    return {start: same.setdefault(rests, rests) for start, rests in rows.items()}


def _divided(pattern: bytes) -> tuple[bytes, bytes]:
    """The literal path with which a pattern begins, and what follows it."""
    from guard.patterns.grammar import is_simple, prefix

    if is_simple(pattern):
        star = pattern.find(b"*")
        if star < 0:
            return pattern[1:], ITSELF
        slash = pattern.rfind(b"/", 0, star)
        return pattern[1:slash] if slash else b"", pattern[slash + 1 :]
    start = prefix(pattern)
    return start, _behind(pattern, start)


def _behind(pattern: bytes, start: bytes) -> bytes:
    from guard.patterns.grammar import is_literal, segments

    if start and is_literal(pattern):
        return ITSELF
    names, below = segments(pattern)
    behind = b"/".join(names[start.count(b"/") + 1 if start else 0 :])
    return behind + b"/" if below else behind


def digest(contents: bytes) -> bytes:
    """A name for some bytes that no others have."""
    return blake2b(contents, digest_size=16).hexdigest().encode()


def to_bytes(table: Table, *, fold: bool) -> bytes:
    """The table as the contents of a file, of which :func:`from_bytes` notices when a part is missing or damaged.

    The paths behind which the same patterns stand are one string, with NULs between them: that is read faster than as
    many strings. Raises :class:`ValueError` for a path with a NUL in it.
    """
    groups: dict[tuple[bytes, ...], list[bytes]] = {}
    for start, rests in table.items():
        groups.setdefault(rests, []).append(start)
    if any(b"\0" in start for start in table):
        raise ValueError("a path with a NUL cannot be published")
    body = marshal.dumps((fold, [(rests, b"\0".join(starts)) for rests, starts in groups.items()]), _MARSHAL)
    return b"%b%d %b\n%b%b" % (_MAGIC, len(body), digest(body), body, _END)


def from_bytes(contents: bytes) -> tuple[Table, bool]:
    """The table and ``fold``. Raises :class:`ValueError` unless these are all the bytes that were written."""
    head, _, rest = contents.partition(b"\n")
    body, end = rest[: -len(_END)], rest[-len(_END) :]
    if not head.startswith(_MAGIC) or end != _END:
        raise ValueError("this is no table of patterns, or a part of it is missing")
    if head != b"%b%d %b" % (_MAGIC, len(body), digest(body)):
        raise ValueError("the table of patterns is damaged")
    fold, groups = marshal.loads(body)
    table: Table = {}
    for rests, starts in groups:
        table.update(dict.fromkeys(starts.split(b"\0"), rests))
    return table, fold


class Matcher:
    """Tells which paths a table covers; remembers what it has found out about directories.

    A pattern behind its literal path is a row of names. A :data:`Reached` is a pattern and the number of the name that
    comes next, after the names of some directory have matched all names before.
    """

    def __init__(self, table: Table, *, fold: bool) -> None:
        self._table = table
        self._fold = fold
        self._directories: dict[bytes, tuple[Reached, ...] | None] = {}
        self._last: dict[bytes, tuple[Name, ...] | None] = {}
        self._rests: dict[bytes, Rest] = {}

    def covers(self, path: bytes) -> bool:
        """Does a pattern cover the path, which has neither empty names nor slashes at its ends?"""
        if self._fold:
            path = path.lower()
        above, _, name = path.rpartition(b"/")
        last = self._last[above] if above in self._last else self._last_names(above)
        if last is None or ITSELF in self._table.get(path, ()):
            return True
        for matches in last:  # noqa: SIM110 - twice as fast as any()
            if matches(name):
                return True
        return False

    def _last_names(self, directory: bytes) -> tuple[Name, ...] | None:
        """What a path in the directory may be named to be covered; None when everything there is covered."""
        reached = self._reached(directory)
        found = None
        if reached is not None:
            ends = [(names[at], below) for (names, below), at in reached if at + 1 == len(names)]
            found = tuple(dict.fromkeys(name for name, below in ends if name is not None and not below))
        self._last[directory] = found
        return found

    def _reached(self, directory: bytes) -> tuple[Reached, ...] | None:
        """The patterns that could cover a path in the directory; None when everything in the directory is covered."""
        known = self._directories
        wanted, pending = directory, []
        while directory not in known:  # a loop, for a path may have thousands of names
            pending.append(directory)
            if not directory:
                break
            directory = directory.rpartition(b"/")[0]
        for each in reversed(pending):
            known[each] = self._reached_from_above(each)
        return known[wanted]

    def _reached_from_above(self, directory: bytes) -> tuple[Reached, ...] | None:
        """As :meth:`_reached`, where the answer for the directory above is known."""
        found: dict[Reached, None] | None = {}
        if directory:
            above, _, name = directory.rpartition(b"/")
            found = _further(self._directories[above], name)
        rests = self._table.get(directory, ())
        if ITSELF in rests or BELOW in rests:
            found = None
        for each in rests:
            if found is not None and _enter(found, self._rest(each), 0):
                found = None
        return None if found is None else tuple(found)

    def _rest(self, behind: bytes) -> Rest:
        found = self._rests.get(behind)
        if found is None:
            below = behind.endswith(b"/")
            names = (behind[:-1] if below else behind).split(b"/")
            compiled = tuple(None if name == ANY_NAMES else _name(name, fold=self._fold) for name in names)
            found = self._rests[behind] = (compiled, below)
        return found


def _further(reached: tuple[Reached, ...] | None, name: bytes) -> dict[Reached, None] | None:
    """What is reached one directory further down, of that name; None when a pattern has matched the directory."""
    if reached is None:
        return None
    found: dict[Reached, None] = {}
    for rest, at in reached:
        matches = rest[0][at]
        if matches is not None and not matches(name):
            continue
        if _enter(found, rest, at if matches is None else at + 1):  # "**" stands for any number of names
            return None
    return found


def _enter(found: dict[Reached, None], rest: Rest, at: int) -> bool:
    """Adds that the pattern's names before ``at`` have matched; True when that covers everything in the directory.

    It does where no name is left, and where only "**" is left: everything inside (gitignore(5)). Elsewhere "**" may
    stand for no name at all, so the name behind it is reached too.
    """
    names = rest[0]
    while at < len(names):
        found[rest, at] = None
        if names[at] is not None:
            return False
        at += 1
    return True


def _name(segment: bytes, *, fold: bool) -> Name:
    """A function that tells whether a name matches one segment of a pattern other than ``**``."""
    if not fold and not any(special in segment for special in _SPECIAL):
        literal = segment.split(b"*")
        if len(literal) == 1:
            return literal[0].__eq__
        if len(literal) == 2:
            return _starts_and_ends(*literal)
    from guard.patterns.grammar import STAR, atoms

    pieces: list[list[Atom]] = [[]]
    for atom in atoms(segment):
        if atom == STAR:
            pieces.append([])
        else:
            pieces[-1].append(_lower(atom) if fold else atom)
    if all(isinstance(atom, int) and atom >= 0 for piece in pieces for atom in piece):
        literal = [bytes(atom for atom in piece if isinstance(atom, int)) for piece in pieces]
        if len(literal) == 1:
            return literal[0].__eq__
        if len(literal) == 2:
            return _starts_and_ends(*literal)
    return lambda name: _pieces_match(pieces, name, fold=fold)


def _lower(atom: Atom) -> Atom:
    return atom + 32 if isinstance(atom, int) and 0x41 <= atom <= 0x5A else atom


def _starts_and_ends(start: bytes, end: bytes) -> Name:
    shortest = len(start) + len(end)
    return lambda name: len(name) >= shortest and name.startswith(start) and name.endswith(end)


def _pieces_match(pieces: list[list[Atom]], name: bytes, *, fold: bool) -> bool:
    """Matches what stands between the stars: the first piece at the start, the last at the end, the others in turn.

    Each piece has a fixed length, so the leftmost place for each leaves the most room for those behind it.
    """
    first, *others = pieces
    if not others:
        return len(name) == len(first) and _piece_at(first, name, 0, fold=fold)
    last = others.pop()
    end = len(name) - len(last)
    at = len(first)
    if end < at or not _piece_at(first, name, 0, fold=fold) or not _piece_at(last, name, end, fold=fold):
        return False
    for piece in others:
        while at + len(piece) <= end and not _piece_at(piece, name, at, fold=fold):
            at += 1
        at += len(piece)
        if at > end:
            return False
    return True


def _piece_at(piece: list[Atom], name: bytes, at: int, *, fold: bool) -> bool:
    return all(_byte_matches(atom, name[at + number], fold=fold) for number, atom in enumerate(piece))


def _byte_matches(atom: Atom, byte: int, *, fold: bool) -> bool:
    """``byte`` is in lower case with ``fold``; a range then counts for both cases, as in git's wildmatch.c."""
    if isinstance(atom, int):
        return atom in (_ONE, byte)
    negated, ranges = atom
    found = any(low <= byte <= high for low, high in ranges)
    if fold and not found and 0x61 <= byte <= 0x7A:
        found = any(low <= byte - 32 <= high for low, high in ranges)
    return found != negated
