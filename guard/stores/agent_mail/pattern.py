"""From a pattern as MCP Agent Mail keeps it to those of ours that cover whatever it may have meant.

Agents write paths and globs as they please, relative to their project's directory: ``./x``, ``src\\a``, absolute paths,
``app/[id]/page.tsx``. Nobody checked them. A pattern with several meanings gets several of ours, and the verdict is
theirs together: rather one refusal too many, which is seen, than one too few. What git's rules alone cannot settle
stays outside of the grammar, for :class:`guard.patterns.match.Union` to judge.

Loaded by the hook's refresh: imports nothing heavy.
"""

from __future__ import annotations

from guard.patterns.grammar import (
    EVERYTHING,
    LIMIT,
    ONE,
    STAR,
    STARSTAR,
    Malformed,
    atoms,
    canonical,
    covering,
    fault,
    literal,
    segments,
)
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.patterns.grammar import Atom

    Names = tuple[bytes, ...]

SCHEMES = (b"tool://", b"resource://", b"service://")
"""Reservations with these schemes are for no path."""

_SPECIAL = b"*?[]\\!# "
"""What a backslash takes the meaning off; before anything else it is as likely a slip for a slash."""


class Site(Record):
    """Where a project's patterns start, and the top that ours are relative to: the names of both, from one root."""

    start: Names
    top: Names


def names_of(path: bytes) -> Names:
    """The names of a path, without empty ones and ``.``."""
    return tuple(name for name in path.split(b"/") if name not in (b"", b"."))


def protects_nothing(text: bytes) -> str:
    """Why a pattern of Agent Mail's protects no path; "" when it may protect one."""
    if text.lstrip().lower().startswith(SCHEMES):
        return "it is no path"
    if text.startswith(b"!"):
        return "it is negated, which cancels nobody else's"
    return "" if text.strip() else "it is empty"


def translated(text: bytes, site: Site) -> list[bytes]:
    """The patterns, relative to the top, that together cover everything that the text may mean; [] if that is nothing
    here.
    """
    if site.start == site.top and _is_plain(text):
        return [b"/" + text if b"/" in text else b"**/" + text]
    if protects_nothing(text):
        return []
    found: dict[bytes, None] = {}
    for meaning in _meanings(text):
        for pattern in _placed(meaning, site):
            found[pattern if len(pattern) <= LIMIT else covering(pattern)] = None
    return [EVERYTHING] if EVERYTHING in found else list(found)


def with_submodule(pattern: bytes) -> bytes:
    """A pattern for all that is below a directory, widened to what stands there: git sees a submodule as one entry."""
    whole = pattern.removesuffix(b"/**") if pattern.endswith(b"/**") else pattern.removesuffix(b"/")
    return whole if whole.strip(b"/*") and not whole.endswith(b"\\") else pattern


def _is_plain(text: bytes) -> bool:
    """Does the text have only one meaning, which is in guard's grammar after a slash is put before
    it? Most texts do.
    """
    return (
        0 < len(text) < LIMIT - 3
        and len(text.translate(None, b"\\[]!# \t\r\n\v\f\0:")) == len(text)
        and b"//" not in text
        and b"./" not in text
        and text[:1] not in (b"/", b"*")
        and text[-1:] not in (b"/", b".")
        and text.count(b"**") == text.count(b"/**/") + text.endswith(b"/**")
        and text.count(b"*") - 2 * text.count(b"**") <= 1
    )


# What it may have meant


def _meanings(text: bytes) -> list[bytes]:
    """As git reads it; with every backslash for a slash; and with every bracket for itself."""
    if not text.endswith(b"\\ "):
        text = text.rstrip()  # git drops spaces there, and no agent means a newline
    found: dict[bytes, None] = {}
    for each in dict.fromkeys((text, text.lstrip())):
        if b"\\" not in each and b"[" not in each:
            found[b"/".join(map(_starred, each.split(b"/"))) if b"**" in each else each] = None
            continue
        slashes = each.replace(b"\\", b"/")
        for meaning in (_as_git(each), slashes, slashes.replace(b"[", b"\\[")):
            found.update(dict.fromkeys(_in_grammar(meaning)))
    return list(found)


def _as_git(text: bytes) -> bytes:
    """Without the backslashes that git takes no notice of: those before ordinary characters, and a last one."""
    out = b""
    at = 0
    while at < len(text):
        if text[at] == 0x5C:
            at += 1
            out += b"\\" if text[at : at + 1] and text[at] in _SPECIAL else b""
        out += text[at : at + 1]
        at += 1
    return out


def _in_grammar(text: bytes) -> list[bytes]:
    """The same in our grammar; where brackets keep it out, as it stands and with anything in their place."""
    names = [_starred(name) for name in text.split(b"/")]
    try:
        return [b"/".join(name if name == STARSTAR else canonical(name) for name in names)]
    except Malformed:
        return [b"/".join(names), b"/".join(_without_brackets(name) if b"[" in name else name for name in names)]


def _starred(name: bytes) -> bytes:
    """Two stars or more that are not a whole name are one, to git and to pathspec; alone, ``**`` covers the most."""
    if b"**" not in name or name == STARSTAR:
        return name
    if not name.strip(b"*"):
        return STARSTAR
    while b"**" in name:
        name = name.replace(b"**", b"*")
    return name


def _without_brackets(name: bytes) -> bytes:
    """A ``?`` in place of every bracket, which takes one byte whatever it lists; an unclosed one for itself."""
    out = b""
    at = 0
    while at < len(name):
        end = _end_of_bracket(name, at)
        if end:
            out += b"?"
            at = end
        else:
            length = 2 if name[at] == 0x5C else 1
            out += b"\\[" if name[at] == 0x5B else name[at : at + length]
            at += length
    return out


def _end_of_bracket(name: bytes, at: int) -> int:
    """Where a bracket that begins at a byte ends, to git's wildmatch.c; 0 when none begins, or it never ends."""
    if name[at] != 0x5B:
        return 0
    at += 2 if name[at + 1 : at + 2] in (b"!", b"^") else 1
    at += name[at : at + 1] == b"]"  # listed, when it comes first
    while at < len(name) and name[at] != 0x5D:
        inner = name.find(b":]", at + 2) if name[at : at + 2] == b"[:" else -1
        at = inner + 2 if inner >= 0 else at + 2 if name[at] == 0x5C else at + 1
    return at + 1 if at < len(name) else 0


# Where that is, from the top


def _placed(text: bytes, site: Site) -> list[bytes]:
    """From the project's directory on; or from the root of the file system, when that leads there too."""
    found = _from(site.start, site.top, text)
    if text.startswith(b"/"):
        names = names_of(text)
        if any(each and names[: len(each)] == each for each in site):
            found += _from((), site.top, text)
    return found


def _from(start: Names, top: Names, text: bytes) -> list[bytes]:
    anchored = b"/" in text.rstrip(b"/")
    below = text.endswith(b"/")
    segs: list[bytes] = []
    for name in text.split(b"/"):
        if name == b"..":
            if not segs:
                start = start[:-1]  # out of the project's directory, perhaps still into the repository
            elif segs[-1] != STARSTAR:  # up from any depth is any depth
                segs.pop()
        elif name not in (b"", b".") and not (name == STARSTAR and segs[-1:] == [STARSTAR]):
            segs.append(name)
    if not segs:
        segs, below = [STARSTAR], False
    elif not anchored and segs != [STARSTAR]:
        segs.insert(0, STARSTAR)
    if below and segs[-1] == STARSTAR:
        segs[-1] = b"*"
    if start == top:
        return [_assembled(segs, below)]
    if start[: len(top)] == top:
        return [literal(b"/".join(start[len(top) :])) + _assembled(segs, below, lead=b"/")]
    if top[: len(start)] == start:
        return _inside(segs, below, top[len(start) :])
    return []


def _assembled(segs: Iterable[bytes], below: bool, *, lead: bytes = b"") -> bytes:
    segs = list(segs)
    pattern = b"/".join(segs) + (b"/" if below else b"")
    return lead + pattern if lead or (segs[0] == STARSTAR and len(segs) > 1) else b"/" + pattern


def _inside(segs: list[bytes], below: bool, names: Names) -> list[bytes]:
    """What a pattern covers below a directory, whose names lead there from where the pattern starts."""
    pattern = _assembled(segs, below)
    if fault(pattern):
        pattern = covering(pattern)
        if not pattern:
            return []
        segs, below = segments(pattern)
    left: set[Names] = {tuple(segs)}
    for name in names:
        left = {rest for each in left for rest in _after(each, name)}
    if () in left:  # a directory above, or the top itself
        return [EVERYTHING]
    return sorted(_assembled(rest, below) for rest in left)


def _after(segs: Names, name: bytes) -> set[Names]:
    """What remains of a pattern's segments when a path begins with this name; () when it covers all below."""
    if not segs:
        return {()}
    if segs[0] == STARSTAR:
        return {segs} | (_after(segs[1:], name) if len(segs) > 1 else set())
    return {segs[1:]} if _matches(segs[0], name) else set()


def _matches(segment: bytes, name: bytes) -> bool:
    """Does a segment match a name, whatever the case of its letters?"""
    try:
        wanted = atoms(segment.lower())
    except Malformed:
        return True
    reached = {0}
    for byte in name.lower():
        reached = _past_stars(reached, wanted)
        reached = {
            at if wanted[at] == STAR else at + 1 for at in reached if at < len(wanted) and _takes(wanted[at], byte)
        }
    return len(wanted) in _past_stars(reached, wanted)


def _past_stars(reached: set[int], wanted: list[Atom]) -> set[int]:
    found = set(reached)
    for at in reached:
        while at < len(wanted) and wanted[at] == STAR:
            at += 1
            found.add(at)
    return found


def _takes(atom: Atom, byte: int) -> bool:
    if isinstance(atom, int):
        return atom in (STAR, ONE, byte)
    negated, ranges = atom
    return negated != any(low <= byte <= high for low, high in ranges)
