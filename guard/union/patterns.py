"""A union's patterns in the form in which Python matches them: without pathspec, and almost without preparing them.

The patterns are sorted by the literal path with which each begins, so a changed path meets only those that can match
it. What a pattern means is what it means in a ``.gitignore`` file at the repository's top (gitignore(5)): it covers a
path when it matches the path or a directory above it. git itself answers the same question for smaller unions; the
tests compare the two.

As a file (:func:`to_bytes`), the table is cut into buckets by a hash of the literal path, so that a reader unpacks what
it looks up and nothing else. Each bucket carries a checksum. What changed later is a second, small file
(:func:`amended_bytes`), which names the first one by its checksum: so a union of many patterns is brought up to date
without being read or written.

Patterns and paths are bytes, relative to the repository's top. Imports nothing heavy.
"""

from __future__ import annotations

import marshal
from _blake2 import blake2b  # hashlib loads OpenSSL, which takes longer than a bare Python start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from guard.patterns.grammar import Atom

    Table = dict[bytes, tuple[bytes, ...]]
    """For each literal path, the rests of the patterns that begin with it (see :func:`table_of`)."""
    Entry = tuple[bytes, bytes]
    """A pattern in the table: its literal path, and its rest."""
    Name = Callable[[bytes], bool]
    """Does a name match?"""
    Rest = tuple[tuple[Name | None, ...], bool]
    """The names of a pattern after its literal path, None for ``**``; and whether it covers only
    what is below a match.
    """
    Reached = tuple[Rest, int]
    """A pattern, and which of its names comes next."""

_MAGIC = b"guard patterns 3 "
_WHOLE, _AMENDED = b"whole", b"amended"
_END = b"\nend of guard patterns\n"
_MARSHAL = 4
"""Every Python from 3.11 on reads and writes this format: several may serve one repository."""
_BUCKET = 64
"""How many literal paths a bucket has on average."""
_SMALL = 200
"""So many buckets are read at once, in 2 ms or so."""
_INDEX_ENTRY = 20
"""For each bucket the index has its end, 4 bytes, and its checksum, 16 bytes."""

ITSELF = b""
"""The rest of a literal pattern: it covers the path itself and everything below."""
ANY_NAMES = b"**"
"""The segment that stands for any number of names: STARSTAR of the grammar, whose import takes time and which is
loaded only when a path meets a wildcard."""
_ONE = -2
"""The atom ONE of the grammar."""
_SPECIAL = (b"?", b"[", b"\\")
"""What means something in a pattern besides the star: gitignore(5), fnmatch(3)."""
BELOW = b"/"
"""The rest of a pattern such as ``/src/``: it covers only what is below."""
_SPELT = b"\0"
"""Where case does not count, this stands between what follows and the literal path as it was written, if that has
capitals. So two patterns never become one entry, of which nobody could tell when it has to go."""


def table_of(lines: Iterable[bytes], *, fold: bool) -> Table:
    """Sorts patterns of the accepted grammar by the literal path they begin with; empty lines match nothing.

    ``fold``: names that differ in the case of ASCII letters are the same. The path is then in lower case.
    """
    return table_of_entries(entry_of(line, fold=fold) for line in lines if line)


def table_of_entries(entries: Iterable[Entry]) -> Table:
    """A table with these entries."""
    found: dict[bytes, list[bytes]] = {}
    for start, behind in entries:
        found.setdefault(start, []).append(behind)
    return {start: tuple(dict.fromkeys(rests)) for start, rests in found.items()}


def entry_of(line: bytes, *, fold: bool, simple: bool = False) -> Entry:
    """The entry of a pattern of the accepted grammar. ``simple`` tells that the grammar's
    ``is_simple`` holds for it.
    """
    start, behind = _simply_divided(line) if simple else _divided(line)
    if not fold:
        return start, behind
    low = start.lower()
    return low, behind if low == start else behind + _SPELT + start


def _divided(pattern: bytes) -> Entry:
    """The literal path with which a pattern begins, and its rest."""
    from guard.patterns.grammar import is_simple, prefix

    if is_simple(pattern):
        return _simply_divided(pattern)
    start = prefix(pattern)
    return start, _behind(pattern, start)


def _simply_divided(pattern: bytes) -> Entry:
    star = pattern.find(b"*")
    if star < 0:
        return pattern[1:], ITSELF
    slash = pattern.rfind(b"/", 0, star)
    return pattern[1:slash] if slash else b"", pattern[slash + 1 :]


def _behind(pattern: bytes, start: bytes) -> bytes:
    from guard.patterns.grammar import is_literal, segments

    if start and is_literal(pattern):
        return ITSELF
    names, below = segments(pattern)
    behind = b"/".join(names[start.count(b"/") + 1 if start else 0 :])
    return behind + b"/" if below else behind


def digest(contents: bytes) -> bytes:
    """A name for these bytes, which no other bytes have."""
    return blake2b(contents, digest_size=16).hexdigest().encode()


# As a file


def to_bytes(table: Table, *, fold: bool) -> bytes:
    """The table as the contents of a file. :class:`Stored` notices when a part of them is missing or damaged."""
    count = _buckets_for(len(table))
    buckets: list[Table] = [{} for _ in range(count)]
    for start, rests in table.items():
        buckets[_bucket_of(start, count)][start] = rests
    parts, entries, end = [], [], 0
    for bucket in buckets:
        part = marshal.dumps(_grouped(bucket), _MARSHAL)
        end += len(part)
        parts.append(part)
        entries.append(end.to_bytes(4, "little") + blake2b(part, digest_size=16).digest())
    index, body = b"".join(entries), b"".join(parts)
    fields = b"%d %d %d" % (fold, count, end)
    return b"%b%b %b %b\n%b%b%b" % (_MAGIC, _WHOLE, fields, digest(fields + index), index, body, _END)


def _grouped(bucket: Table) -> list[tuple[tuple[bytes, ...], bytes]]:
    """The paths behind which the same patterns stand as one string, with NULs between them: that is read faster than
    as many strings. Raises :class:`ValueError` for a path with a NUL in it."""
    groups: dict[tuple[bytes, ...], list[bytes]] = {}
    for start, rests in bucket.items():
        groups.setdefault(rests, []).append(start)
        if b"\0" in start:
            raise ValueError("a path with a NUL cannot be published")
    return [(rests, b"\0".join(starts)) for rests, starts in groups.items()]


def amended_bytes(base: bytes, changes: Mapping[Entry, bool], *, fold: bool) -> bytes:
    """The contents of a file with what has changed since the table that is called ``base`` (:attr:`Stored.base`) was
    written: whether each of these entries is there now."""
    body = marshal.dumps((base, [(*entry, there) for entry, there in changes.items()]), _MARSHAL)
    fields = b"%d %d" % (fold, len(body))
    return b"%b%b %b %b\n%b%b" % (_MAGIC, _AMENDED, fields, digest(fields + body), body, _END)


def _buckets_for(starts: int) -> int:
    """How many buckets a table has: a number by which the remainders of the paths, as numbers, are spread evenly."""
    count = max(1, starts // _BUCKET)
    while count > 1 and not (count % 2 and count % 3 and count % 5 and count % 17):
        count += 1  # 256, by which a path's bytes are multiplied, leaves 0 or 1 when it is divided by these
    return count


def _bucket_of(start: bytes, count: int) -> int:
    return int.from_bytes(start, "little") % count


class Stored:
    """A table as :func:`to_bytes` wrote it, with what :func:`amended_bytes` says of it; read where it is asked.

    ``base`` is the name of the table, which an amendment has in it, ``changes`` the amendment.

    What has not been read yet is not proven yet: :meth:`get` raises :class:`ValueError` for a damaged bucket.
    """

    def __init__(self, contents: bytes, open_base: Callable[[], bytes] | None = None) -> None:
        """``open_base`` gives the table's contents if ``contents`` are an amendment.

        Raises :class:`ValueError` unless these are all the bytes that were written, apart from buckets' contents.
        """
        self.changes: dict[Entry, bool] = {}
        kind, fields, body = _parsed(contents)
        amends = b""
        if kind == _AMENDED and open_base is not None:
            amends, fold = self._read_amendment(fields, body), fields[0]
            kind, fields, body = _parsed(open_base())
            if fields[0] != fold:
                raise ValueError("the patterns and their amendment differ on whether case counts")
        if kind != _WHOLE or len(fields) != 4:
            raise ValueError("this is no table of patterns")
        self.fold = fields[0] == b"1"
        self._count, length, self.base = int(fields[1]), int(fields[2]), fields[3]
        self._index = body[: self._count * _INDEX_ENTRY]
        self._body = body[self._count * _INDEX_ENTRY :]
        named = digest(b" ".join(fields[:3]) + self._index)
        if len(self._body) != length or named != self.base or amends not in (b"", self.base):
            raise ValueError("the table of patterns is damaged, or belongs to another amendment")
        self._amended: dict[bytes, list[tuple[bytes, bool]]] = {}
        for (start, behind), there in self.changes.items():
            self._amended.setdefault(start, []).append((behind, there))
        self._buckets: list[Table | None] = [None] * self._count

    def _read_amendment(self, fields: list[bytes], body: bytes) -> bytes:
        """Reads what has changed; returns the name of the table in which it did."""
        if len(fields) != 3 or int(fields[1]) != len(body) or fields[2] != digest(b" ".join(fields[:2]) + body):
            raise ValueError("the amendment of the patterns is damaged")
        name, changes = marshal.loads(body)
        self.changes = {(start, behind): there for start, behind, there in changes}
        return bytes(name)

    def get(self, start: bytes, default: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
        """The rests of a literal path. Raises :class:`ValueError` if that part of the file is damaged."""
        number = int.from_bytes(start, "little") % self._count  # as _bucket_of, for every path comes here
        bucket = self._buckets[number]
        found = (self._unpack(number) if bucket is None else bucket).get(start, default)
        if start not in self._amended:
            return found
        rests = dict.fromkeys(found)
        for behind, there in self._amended[start]:
            if there:
                rests[behind] = None
            else:
                rests.pop(behind, None)
        return tuple(rests)

    @property
    def is_small(self) -> bool:
        """Is it read at once in less time than git takes to list what a commit changes?"""
        return self._count <= _SMALL

    def for_paths(self, count: int) -> Table | Stored:
        """The quickest table to look so many paths up in: all of it, read at once, where nearly all of it is needed.

        Raises :class:`ValueError` where a part is damaged.
        """
        return self.table() if count > 2 * self._count else self

    def table(self) -> Table:
        """All of it. Raises :class:`ValueError` where a part is damaged."""
        found: Table = {}
        for number in range(self._count):
            found.update(self._unpack(number))
        if self._amended:
            found.update({start: self.get(start) for start in self._amended})
            return {start: rests for start, rests in found.items() if rests}
        return found

    def check(self) -> None:
        """Raises :class:`ValueError` where a part is damaged; unpacks none."""
        for number in range(self._count):
            self._part(number)

    def _unpack(self, number: int) -> Table:
        part = self._part(number)
        found: Table = {}
        for rests, starts in marshal.loads(part):
            found.update(dict.fromkeys(starts.split(b"\0"), rests))
        self._buckets[number] = found
        return found

    def _part(self, number: int) -> bytes:
        at = number * _INDEX_ENTRY
        begin = int.from_bytes(self._index[at - _INDEX_ENTRY : at - _INDEX_ENTRY + 4], "little") if number else 0
        end = int.from_bytes(self._index[at : at + 4], "little")
        part = self._body[begin:end]
        if blake2b(part, digest_size=16).digest() != self._index[at + 4 : at + _INDEX_ENTRY]:
            raise ValueError("a part of the table of patterns is damaged")
        return part


def _parsed(contents: bytes) -> tuple[bytes, list[bytes], bytes]:
    """What the first line calls the contents, its other fields, and what stands between it and the end mark."""
    head, _, rest = contents.partition(b"\n")
    if not head.startswith(_MAGIC) or not rest.endswith(_END):
        raise ValueError("this is no table of patterns, or a part of it is missing")
    kind, *fields = head[len(_MAGIC) :].split(b" ")
    return kind, fields, rest[: -len(_END)]


class Matcher:
    """Tells which paths a table covers; remembers what it has found out about directories.

    A pattern behind its literal path is a row of names. A :data:`Reached` is a pattern and the number of the name that
    comes next, after the names of some directory have matched all names before.
    """

    def __init__(self, table: Table | Stored, *, fold: bool) -> None:
        self._table = table
        self._fold = fold
        self._follows: Callable[[bytes, tuple[bytes, ...]], tuple[bytes, ...]] = self._unspelt if fold else table.get
        self._directories: dict[bytes, tuple[Reached, ...] | None] = {}
        self._last: dict[bytes, tuple[Name, ...] | None] = {}
        self._rests: dict[bytes, Rest] = {}

    def covers(self, path: bytes) -> bool:
        """Does a pattern cover the path? It has neither empty names nor slashes at its ends."""
        if self._fold:
            path = path.lower()
        above, _, name = path.rpartition(b"/")
        last = self._last[above] if above in self._last else self._last_names(above)
        if last is None or ITSELF in self._follows(path, ()):
            return True
        for matches in last:  # noqa: SIM110 - twice as fast as any()
            if matches(name):
                return True
        return False

    def _unspelt(self, start: bytes, default: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """What follows a literal path in the patterns that begin with it, where case does not count."""
        return tuple(each.partition(_SPELT)[0] for each in self._table.get(start, default))

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
        rests = self._follows(directory, ())
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
