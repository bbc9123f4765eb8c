"""The patterns of a union: made anew from all that others hold, or amended with what has changed since.

A union of few patterns is always made anew, for git reads them from one file. One of many keeps its table as it is: the
next publication links the file, and has a small one beside it that says what has changed. Nothing that was published is
written again. When the changes have become many, the table is made anew.

An amendment has to come out as the union that is made from nothing would (the tests compare the two). So it is made
only where each line of the union tells which patterns it stands for:

- Every line that a changed pattern gives is looked at again: is it still given by any pattern that others hold? The
  store is asked for those as well (:func:`along`).
- A pattern outside of the grammar, which is published as a wider one, and one that could also be written otherwise, are
  never amended: the whole union is made anew as long as there is one (:attr:`Contents.at_least` is then 0).
"""

from __future__ import annotations

import os

from guard.patterns.grammar import covering, is_simple, literal
from guard.record import Record
from guard.union.patterns import Stored, amended_bytes, digest, entry_of, table_of_entries, to_bytes
from guard.union.published import EMPTY, EXACT, FOLDED, LARGE, OFF, is_whole, was_made_here
from guard.union.slot import make_scratch, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from guard.stores.interface import Source, Store
    from guard.union.patterns import Entry
    from guard.union.published import Current, Identity

ONE_FILE_MAX = 1000
"""More patterns than this are matched by Python: git tries every pattern of a file on every path.

So many cost 50 paths 2 ms, which is less than Python's start, and 1,000 paths 25 ms.
"""
AMENDED_MAX = 1000
"""When more entries than this have changed, the table is made anew."""
WRITTEN_NS = 86_400 * 10**9
"""The made-up time of a union's .gitignore, in ns: whoever writes to it gives it the time of day, and is seen."""
IGNORE = b".gitignore"

_BELOW = (b"/**", b"/*", b"/")
"""How a pattern ends that is for what is in a directory."""

_lines: dict[bytes, tuple[bytes, ...]] = {}


class Contents(Record):
    """What a union says: its state, and a name for its patterns, which no other patterns have.

    ``at_least``: so many patterns they are at least; 0 where the union cannot be amended. ``patterns`` are all of them,
    if they are to be written. ``kept`` is a publication whose files have them already. ``changes`` is what its table,
    which is called ``table``, is to be amended with; None for nothing.
    """

    state: bytes
    checksum: bytes
    at_least: int = 0
    patterns: tuple[bytes, ...] = ()
    kept: bytes = b""
    table: bytes = b""
    changes: Mapping[Entry, bool] | None = None

    @property
    def has_patterns(self) -> bool:
        """Are there any patterns?"""
        return self.state not in (OFF, EMPTY)


def ask(store: Store, slot: bytes, before: Current | None, identity: Identity) -> tuple[Source, Contents]:
    """What others hold now, and the contents to publish. If possible, only what has changed is read.

    ``before`` is what is published. Raises :class:`guard.model.GuardError`.
    """
    return ask_for_changes(store, slot, before, identity) or _ask_for_all(store, before, identity)


def _ask_for_all(store: Store, before: Current | None, identity: Identity) -> tuple[Source, Contents]:
    source = store.union_source(identity.project.decode(), identity.holder.decode())
    return source, made_anew(source, identity, before)


def ask_for_changes(
    store: Store, slot: bytes, before: Current | None, identity: Identity
) -> tuple[Source, Contents] | None:
    """As :func:`ask`; None if the union has to be made anew. Then nothing, or little, was read."""
    if before is None or not _can_be_amended(slot, before, identity):
        return None
    source = store.union_source(
        identity.project.decode(), identity.holder.decode(), known=before.store_state, along=along
    )
    if source.changes is None:
        return source, made_anew(source, identity, before)
    contents = _amended(slot, before, dict(source.changes))
    return None if contents is None else (source, contents)


def made_anew(source: Source | None, identity: Identity, before: Current | None) -> Contents:
    """A union of all patterns; ``source`` is None when guard is switched off."""
    state = state_of(source, identity)
    patterns = source.patterns if source and state != OFF else ()
    checksum = digest(b"\0".join(patterns))
    same = before is not None and (before.patterns, before.identity.fold) == (checksum, identity.fold)
    if before is not None and same and before.published.state == state:
        return Contents(state, checksum, before.at_least, patterns, before.published.name)
    at_least = len(patterns) if state == LARGE and all(map(_is_written_one_way, patterns)) else 0
    return Contents(state, checksum, at_least, patterns)


def state_of(source: Source | None, identity: Identity) -> bytes:
    """The state of the union, which says who matches the patterns (:mod:`guard.union.published`)."""
    if identity.off or source is None:
        return OFF
    if not source.patterns:
        return EMPTY
    if len(source.patterns) > ONE_FILE_MAX:
        return LARGE
    return FOLDED if identity.fold else EXACT


# Amending


def along(pattern: bytes) -> Iterator[bytes]:
    """The patterns that may give the union the same line as this one."""
    for line in lines_of(pattern):
        yield line
        yield from (line + end for end in _BELOW)


def _can_be_amended(slot: bytes, before: Current, identity: Identity) -> bool:
    """Is this the same holder's union of many patterns, whose table is still there?"""
    same = before.identity._replace(tracking=identity.tracking, placed=identity.placed)
    return (
        before.published.state == LARGE
        and before.at_least > ONE_FILE_MAX
        and bool(before.store_state)
        and same == identity
        and was_made_here(before)
        and is_whole(slot, before.published.name)
    )


def _amended(slot: bytes, before: Current, changes: dict[bytes, bool]) -> Contents | None:
    """The published union with these changes; None if it has to be made anew."""
    place = os.path.join(slot, before.published.name)
    try:
        stored = stored_in(place)
        stored.check()  # all of it, for it is used on
    except (OSError, ValueError):
        return None  # it is damaged
    there = _lines_there(changes)
    if not all(map(_is_written_one_way, (*there, *(pattern for pattern in changes if changes[pattern])))):
        return None
    amendment, is_new = dict(stored.changes), False
    for line, is_there in there.items():
        start, behind = entry_of(line, fold=before.identity.fold)
        if (behind in stored.get(start)) != is_there:
            is_new = True
            if amendment.pop((start, behind), None) is None:  # else the table itself says so, and had been amended
                amendment[start, behind] = is_there
    if not is_new:
        return Contents(LARGE, before.patterns, before.at_least, kept=before.published.name)
    gone = sum(not is_held and there.keys() >= set(lines_of(pattern)) for pattern, is_held in changes.items())
    at_least = before.at_least - gone
    if len(amendment) > AMENDED_MAX or at_least <= ONE_FILE_MAX:
        return None
    amendment = dict(sorted(amendment.items()))
    checksum = digest(amended_bytes(stored.base, amendment, fold=stored.fold))
    return Contents(LARGE, checksum, at_least, kept=before.published.name, table=stored.base, changes=amendment)


def _lines_there(changes: Mapping[bytes, bool]) -> dict[bytes, bool]:
    """For each line of which every pattern that may give it is known: does one of those that are held?"""
    found = {}
    for line in dict.fromkeys(line for pattern in changes for line in lines_of(pattern) if line):
        givers = (line, *(line + end for end in _BELOW))
        if all(giver in changes for giver in givers):
            found[line] = any(changes[giver] and line in lines_of(giver) for giver in givers)
    return found


def _is_written_one_way(pattern: bytes) -> bool:
    """Is it published as it is, and is there no other pattern that comes out as the same entry of a table?"""
    is_plain = is_simple(pattern)
    if is_plain and (b"*" not in pattern or b"/" in pattern[1 : pattern.find(b"*")]):
        return True  # it begins with a literal name
    if not is_plain and covering(pattern) != pattern:
        return False
    start, behind = entry_of(pattern, fold=False, simple=is_plain)
    if not start:
        return pattern == (behind if behind.startswith(b"**/") else b"/" + behind)
    return pattern == literal(start) + (behind if behind in (b"", b"/") else b"/" + behind)


# Lines and files


def lines_of(pattern: bytes) -> tuple[bytes, ...]:
    """:func:`guard.patterns.grammar.covering`, worked out once for all the unions that one process renews.

    A pattern for what is in a directory may also mean a submodule in its place, of which git lists the directory alone.
    Whether it is one, the full verdict finds out.
    """
    lines = _lines.get(pattern)
    if lines is None:
        line = covering(pattern)
        place = _place_of(line)
        lines = _lines[pattern] = (line, place) if place else (line,)
    return lines


def _place_of(line: bytes) -> bytes:
    """The directory itself, for a line that is for what is in it; else b""."""
    end = next((end for end in _BELOW if line.endswith(end)), b"")
    place = line[: len(line) - len(end)] if end else b""
    return place if place.strip(b"*/") else b""


def _entries(patterns: Iterable[bytes], *, fold: bool) -> Iterator[Entry]:
    """The entries that many patterns have in a table."""
    for pattern in patterns:
        if is_simple(pattern):  # and so is its place
            yield entry_of(pattern, fold=fold, simple=True)
            if pattern[-1:] == b"*" and (place := _place_of(pattern)):
                yield entry_of(place, fold=fold, simple=True)
        else:
            yield from (entry_of(line, fold=fold) for line in lines_of(pattern) if line)


def stored_in(place: bytes) -> Stored:
    """The table of a publication in its directory. Raises :class:`OSError` and :class:`ValueError`."""
    return Stored(_read(place, b"patterns"), lambda: _read(place, b"base"))


def is_intact(place: bytes) -> bool:
    """Are the patterns for Python in a publication's directory as they were written?"""
    try:
        stored_in(place).check()
    except (OSError, ValueError):
        return False
    return True


def _read(place: bytes, name: bytes) -> bytes:
    with open(os.path.join(place, name), "rb") as file:
        return file.read()


def write_patterns(slot: bytes, name: bytes, contents: Contents, *, fold: bool) -> None:
    """Writes a publication's patterns, for git and for Python; links what is there already. Raises :class:`OSError`."""
    make_scratch(slot)
    place = os.path.join(slot, name)
    kept = os.path.join(slot, contents.kept) if contents.kept else b""
    if contents.changes is not None:
        _share(kept, (b"base", b"patterns"), os.path.join(place, b"base"))
        write(os.path.join(place, b"patterns"), amended_bytes(contents.table, contents.changes, fold=fold))
    elif kept and not contents.patterns:
        _share(kept, (b"patterns",), os.path.join(place, b"patterns"))
        if os.path.exists(os.path.join(kept, b"base")):
            _share(kept, (b"base",), os.path.join(place, b"base"))
    elif not (
        kept and is_intact(kept) and _is_linked(os.path.join(kept, b"patterns"), os.path.join(place, b"patterns"))
    ):
        table = table_of_entries(_entries(contents.patterns, fold=fold))
        write(os.path.join(place, b"patterns"), to_bytes(table, fold=fold))
    if kept and not contents.patterns and not is_whole(slot, contents.kept):
        raise FileNotFoundError(f"{os.fsdecode(kept)} was withdrawn meanwhile")
    if contents.state != LARGE:
        lines = [line for pattern in contents.patterns for line in lines_of(pattern)]
        os.mkdir(os.path.join(place, b"tree"), 0o700)
        write(os.path.join(place, b"tree", IGNORE), _ignore_file(lines, name), mtime_ns=WRITTEN_NS)


def _share(kept: bytes, names: Iterable[bytes], new: bytes) -> None:
    """Links the first of these files of a publication that is there; copies it on a file system without hard links."""
    old = next((path for path in (os.path.join(kept, name) for name in names) if os.path.exists(path)), None)
    if old is None:
        raise FileNotFoundError(f"{os.fsdecode(kept)} was withdrawn")
    if not _is_linked(old, new):
        with open(old, "rb") as file:
            write(new, file.read())


def _is_linked(old: bytes, new: bytes) -> bool:
    """Links a published file, which nobody ever writes again; False if it is not there, or cannot be linked."""
    try:
        os.link(old, new)
    except OSError:
        return False
    return True


def _ignore_file(lines: Iterable[bytes], name: bytes) -> bytes:
    """The patterns, and at last the line that the end mark matches: "?" stands for its newlines."""
    head = b"# What others hold here; made by guard, which makes it anew.\n"
    return head + b"".join(line + b"\n" for line in lines) + b"?%b?\n" % name
