"""Turns what was typed into a stored pattern, and reads stored patterns.

A *stored* pattern is a gitignore glob relative to the repository's top, never negated. It begins with ``/`` or ``**/``,
and has the meaning of the same line in a ``.gitignore`` at the top (gitignore(5)): it covers a path when it matches the
path or a directory above it. The accepted grammar leaves out every form that git and pathspec read differently, with
``core.ignoreCase`` or without.

Patterns, paths and names are bytes. The hook's refresh loads this module, so it imports nothing heavy.
"""

from __future__ import annotations

from guard.model import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "EVERYTHING",
    "LIMIT",
    "ONE",
    "STAR",
    "STARSTAR",
    "STARSTARS_MAX",
    "STARS_MAX",
    "Malformed",
    "atoms",
    "canonical",
    "covering",
    "directory",
    "fault",
    "is_literal",
    "literal",
    "prefix",
    "relative",
    "segments",
    "stored",
]

LIMIT = 1024
"""The longest pattern, in bytes."""

EVERYTHING = b"/**"
"""The pattern of the whole repository."""

_SIMPLE = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@=,/*"
"""The bytes of most patterns: see :func:`is_simple`."""
_SIMPLE_NAMES = _SIMPLE.replace(b"*", b"")
"""The bytes of most paths: none of them has a meaning in a pattern."""

STARSTARS_MAX = 4
"""How many ``**`` a pattern may have. Each of them multiplies the number of ways in which a path may match."""
STARS_MAX = 3
"""How many ``*`` a pattern may have, not counting the first one of each name.

git before 2.41 tries every way in which they may match before it decides that a name does not. With more of them, one
pattern could make every hook wait for minutes.
"""

STARSTAR = b"**"
"""The segment that stands for any number of directories."""

STAR = -1
"""The atom ``*``: any bytes of a name, also none."""
ONE = -2
"""The atom ``?``: one byte of a name."""

if TYPE_CHECKING:
    Bracket = tuple[bool, tuple[tuple[int, int], ...]]
    """The atom ``[…]``: whether it is negated, and the byte ranges (first, last) that it lists."""
    Atom = int | Bracket

_BOM = b"\xef\xbb\xbf"
_CONTROL = bytes(range(0x20)) + b"\x7f"
_ANY_FOR_CONTROL = bytes.maketrans(_CONTROL, b"?" * len(_CONTROL))
_SPECIAL = b"*?[\\"
_ESCAPED = b"*?[]\\"
_ESCAPABLE = b" !\"#$%&'()*+,-.:;<=>?@[\\]^_`{|}~"
_NAME_MAX = 255


class Malformed(Exception):
    """A pattern is not in the accepted grammar. ``reason`` says why, and ``hint`` what to type instead."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


# What was typed


def stored(typed: bytes, *, cwd: bytes, exists: Callable[[bytes], bool]) -> bytes:
    """The pattern to store for an argument of ``guard reserve``.

    ``cwd`` is the current directory relative to the repository's top, b"" for the top. ``exists`` tells whether a path
    relative to the top exists. An argument that names an existing path, or has no wildcard, is that path: it covers the
    file, or the directory and everything below it. Any other argument is a glob with gitignore's rules in ``cwd``: it
    matches at any depth below when it has no slash, or only one at its end, and otherwise from ``cwd`` on. With a
    leading ``/`` or ``:/`` the top takes the place of ``cwd``. A backslash makes a wildcard an ordinary character, so
    ``a\\*b`` is the file ``a*b``. ``.``, ``..`` and doubled slashes are resolved as in a path; symbolic links are not
    followed. The whole repository (``.`` at the top, ``/``, ``:/``) is stored as ``/**``.

    Raises UsageError, with a suggestion, for an argument that is probably a mistake, and for one that git and pathspec
    read differently. A leading ``#`` does not make a comment. A capital in brackets is stored as a range (``[A-A]``).
    """
    try:
        return _stored(typed, cwd, exists)
    except Malformed as odd:
        raise UsageError(f"cannot reserve '{_shown(typed)}': {odd.reason}", hint=odd.hint) from None


def _stored(typed: bytes, cwd: bytes, exists: Callable[[bytes], bool]) -> bytes:
    _check_text(typed)
    rest = typed[1:] if typed.startswith(b":/") else typed
    if rest.startswith(b"/"):
        rest, start = rest.lstrip(b"/"), []
        anchored = True
    else:
        start = cwd.split(b"/") if cwd else []
        anchored = b"/" in rest.rstrip(b"/")
    plain = _is_plain(rest)
    path = _resolved(start, rest.split(b"/"), strict=plain)
    found = path is not None and exists(b"/".join(path))
    if typed.startswith(b"!") and not found:
        raise _negation(typed)
    if path is not None and (plain or found):
        pattern = literal(b"/".join(path))
    else:
        pattern = _glob(start, rest, anchored, exists)
    _check_stored(pattern)
    return pattern


def _check_text(typed: bytes) -> None:
    if not typed:
        raise Malformed("it is empty", "type '.' for the current directory and everything below")
    if typed.translate(None, _CONTROL) != typed:
        instead = typed.translate(_ANY_FOR_CONTROL)
        raise Malformed("it holds a control character", f"'?' matches any one byte: '{_shown(instead)}'")
    if len(typed) > LIMIT:
        raise Malformed(f"it is longer than {LIMIT:,} bytes", "reserve a directory above")


def _check_stored(pattern: bytes) -> None:
    if is_simple(pattern):
        return
    if len(pattern) > LIMIT:
        raise Malformed(f"from the repository's top it is longer than {LIMIT:,} bytes", "reserve a directory above")
    _check(pattern)
    for segment in segments(pattern)[0]:
        if segment.lower() == b".git":
            raise Malformed("git never commits what is in '.git'", "reserve the files themselves")


def _resolved(start: list[bytes], names: Iterable[bytes], *, strict: bool) -> list[bytes] | None:
    """The names of a path from the top, without ``.``, ``..`` and empty names.

    For a path outside of the repository, returns None, or raises Malformed when ``strict``.
    """
    path = list(start)
    for name in names:
        if name == b"..":
            if not path:
                if strict:
                    raise _outside()
                return None
            path.pop()
        elif name and name != b".":
            path.append(name)
    return path


def _outside() -> Malformed:
    return Malformed("it lies outside of the repository", "name a path below the repository's top")


def _escaped(name: bytes) -> bytes:
    if _is_plain(name) and b"]" not in name:
        return name
    return b"".join(_escaped_byte(byte) for byte in name)


def _escaped_byte(byte: int) -> bytes:
    return b"\\%c" % byte if byte in _ESCAPED else b"%c" % byte


def _glob(start: list[bytes], text: bytes, anchored: bool, exists: Callable[[bytes], bool]) -> bytes:
    if text.endswith(b" ") and _is_bare(text, len(text) - 1):
        spaced = text[:-1] + b"\\ "
        raise Malformed(
            "git ignores the space at its end", f"leave the space out, or type '{_shown(spaced)}' if it is meant"
        )
    segs = [canonical(segment) for segment in text.split(b"/")]
    if all(map(_is_literal_segment, segs)):
        path = _resolved(start, map(_unescaped, segs), strict=True)
        assert path is not None
        return literal(b"/".join(path))
    _check_lookalike(start, text, exists)
    return _assembled(_resolved_glob(list(map(_escaped, start)), segs), anchored, len(start), text.endswith(b"/"))


def _negation(text: bytes) -> Malformed:
    return Malformed(
        "a leading '!' would cancel other people's reservations",
        f"for a path of that name type '\\{_shown(text)}', else leave the '!' out",
    )


def _check_lookalike(start: list[bytes], text: bytes, exists: Callable[[bytes], bool]) -> None:
    """Refuses ``app/[slug]/*`` when there is a directory ``[slug]``, because the set of letters does not match it."""
    names = text.split(b"/")
    for count, name in enumerate(names[:-1], 1):
        if b"[" not in name or not _is_plain(name.replace(b"[", b"")):
            continue
        path = _resolved(start, names[:count], strict=False)
        if path and exists(b"/".join(path)):
            meant = b"/".join(_escaped(each) if b"[" in each else each for each in names[:count])
            raise Malformed(
                f"'{_shown(name)}' is a directory here, but in a pattern a set of characters",
                f"type '{_shown(b'/'.join([meant, *names[count:]]))}' for the directory",
            )


def _resolved_glob(segs: list[bytes], typed: list[bytes]) -> list[bytes]:
    """The segments from the top, resolved as by :func:`_resolved`; several ``**`` in a row become one."""
    for segment in typed:
        if segment == b"..":
            if not segs:
                raise _outside()
            if not _is_literal_segment(segs[-1]):
                raise Malformed("'..' follows a wildcard", "name the directory itself")
            segs.pop()
        elif segment and segment != b"." and not (segment == STARSTAR and segs and segs[-1] == STARSTAR):
            segs.append(segment)
    return segs


def _assembled(segs: list[bytes], anchored: bool, depth: int, below: bool) -> bytes:
    if not anchored and segs[-1] != STARSTAR:
        segs.insert(depth, STARSTAR)
    if below and segs[-1] == STARSTAR:
        # "everything in directories below a directory": `a/**/` is `a/*/`, which git and pathspec read alike.
        segs[-1] = b"*"
    pattern = b"/".join(segs) + (b"/" if below else b"")
    return pattern if segs[0] == STARSTAR and len(segs) > 1 else b"/" + pattern


def canonical(segment: bytes) -> bytes:
    """A typed segment as it is stored: with only the needed escapes, and with brackets that also work without case.

    Raises Malformed when it is not in the accepted grammar.
    """
    if _is_plain(segment) or segment == STARSTAR:
        return segment
    out = b"".join(text for _, text in _scan(segment, strict=False))
    return out[:-1] + b"\\ " if segment.endswith(b"\\ ") and not out.endswith(b"\\ ") else out


# What is stored


def literal(path: bytes) -> bytes:
    """The pattern that covers exactly a path (relative to the top, b"" for the top itself) and everything below.

    No pattern may hold a control character. Where the path has one, the pattern has ``?``, which matches any byte.
    """
    if not path:
        return EVERYTHING
    if not path.translate(None, _SIMPLE_NAMES):
        return b"/" + path
    pattern = (b"/" + b"/".join(map(_escaped, path.split(b"/")))).translate(_ANY_FOR_CONTROL)
    # git drops a line's trailing spaces unless the last one is escaped.
    return pattern[:-1] + b"\\ " if pattern.endswith(b" ") else pattern


def fault(pattern: bytes) -> str:
    """Why a stored pattern is not in the accepted grammar; "" when it is."""
    if is_simple(pattern):
        return ""
    try:
        _check(pattern)
    except Malformed as odd:
        return odd.reason
    return ""


def is_simple(pattern: bytes) -> bool:
    """Is it an anchored path of plain names, with at most one ``*`` and one ``**``? This is a fast test.

    Most patterns are simple. A simple pattern is in the grammar, and its literal names end before the name with the
    first star.
    """
    return (
        pattern[:1] == b"/"
        and 1 < len(pattern) <= LIMIT
        and not pattern.translate(None, _SIMPLE)
        and b"//" not in pattern
        and b"/." not in pattern
        and pattern[-1:] != b"/"
        and (b"*" not in pattern or _has_few_stars(pattern))
    )


def _is_simple_path(pattern: bytes) -> bool:
    return b"*" not in pattern and is_simple(pattern)


def _has_few_stars(pattern: bytes) -> bool:
    pairs = pattern.count(b"**")
    return (
        pairs <= 1
        and pairs == pattern.count(b"/**/") + pattern.endswith(b"/**")
        and pattern.count(b"*") - 2 * pairs <= 1
    )


def _check(pattern: bytes) -> None:
    """Raises Malformed unless the pattern is in the accepted grammar."""
    if not pattern:
        raise Malformed("it is empty", "")
    if len(pattern) > LIMIT:
        raise Malformed(f"it is longer than {LIMIT:,} bytes", "")
    if pattern.translate(None, _CONTROL) != pattern:
        raise Malformed("it holds a control character", "")
    if pattern.startswith(b"!"):
        raise Malformed("it is negated", "")
    if pattern.startswith(b"#"):
        raise Malformed("it is a comment", "")
    if pattern.startswith(_BOM):
        raise Malformed("it begins with a byte order mark, which git drops", "")
    if pattern.endswith(b" ") and _is_bare(pattern, len(pattern) - 1):
        raise Malformed("git ignores the space at its end", "")
    segs, below = segments(pattern)
    for segment in segs:
        if segment != STARSTAR:
            _check_segment(segment)
    if pattern.count(b"*") > STARS_MAX:
        _check_stars(segs)
    if below and segs[-1] == STARSTAR:
        raise Malformed("git and pathspec read '**/' at the end differently", "")


def _check_segment(segment: bytes) -> None:
    if not segment:
        raise Malformed("it has an empty name between two slashes", "")
    if segment in (b".", b".."):
        raise Malformed("no path has '.' or '..' for a name", "")
    if not _is_plain(segment):
        name = b"".join(text for _, text in _scan(segment, strict=True))
        if name in (b".", b".."):
            raise Malformed("no path has '.' or '..' for a name", "")


def _check_stars(segs: list[bytes]) -> None:
    stars = (atoms(segment).count(STAR) for segment in segs if segment != STARSTAR)
    if segs.count(STARSTAR) > STARSTARS_MAX or sum(max(0, count - 1) for count in stars) > STARS_MAX:
        raise Malformed("it has so many '*' that matching it could take minutes", "leave some of the '*' out")


def segments(pattern: bytes) -> tuple[list[bytes], bool]:
    """The segments of a stored pattern from the top, and whether it covers only what is below its match (a last ``/``).

    A pattern whose only slash is at its end matches at any depth (gitignore(5)), so it gets a leading ``**``.
    """
    below = pattern.endswith(b"/")
    segs = (pattern[:-1] if below else pattern).split(b"/")
    if len(segs) == 1:
        return (segs if segs[0] == STARSTAR else [STARSTAR, *segs]), below
    if not segs[0]:
        del segs[0]
    return segs, below


def atoms(segment: bytes) -> list[Atom]:
    """The atoms of a segment other than ``**``: each is a literal byte, STAR, ONE or a bracket.

    Raises Malformed when the segment is not in the accepted grammar.
    """
    return [atom for atom, _ in _scan(segment, strict=True)]


def _scan(segment: bytes, *, strict: bool) -> list[tuple[Atom, bytes]]:
    """The atoms of a segment, each with the text that is stored for it.

    With ``strict``, raises Malformed for a text that is not as it is stored.
    """
    found: list[tuple[Atom, bytes]] = []
    at, end = 0, len(segment)
    while at < end:
        byte = segment[at]
        at += 1
        if byte == 0x5C:
            found.append(_scan_escape(segment, at))
            at += 1
        elif byte == 0x5B:
            atom, text, at = _scan_bracket(segment, at, strict)
            found.append((atom, text))
        elif byte == 0x2A:
            if at < end and segment[at] == 0x2A:
                raise Malformed("'**' is not a whole name", "type '*', or '**' between slashes")
            found.append((STAR, b"*"))
        elif byte == 0x3F:
            found.append((ONE, b"?"))
        else:
            found.append((byte, _escaped_byte(byte)))
    return found


def _scan_escape(segment: bytes, at: int) -> tuple[int, bytes]:
    if at == len(segment):
        raise Malformed("a name ends in a backslash", "type '\\\\' for a backslash, '/' between directories")
    if segment[at] not in _ESCAPABLE:
        # `src\auth` is probably a mistake for `src/auth`. Besides, git never matches `\A` when it ignores case.
        raise Malformed(
            "a backslash stands before an ordinary character",
            "type '\\\\' for a backslash, '/' between directories, or leave it out",
        )
    return segment[at], _escaped_byte(segment[at])


def _scan_bracket(segment: bytes, at: int, strict: bool) -> tuple[Atom, bytes, int]:
    """Reads the bracket that opens before ``at`` as git's wildmatch.c does; returns atom, text and where it ends."""
    negated = segment[at : at + 1] in (b"!", b"^")
    first = at + negated
    last = segment.find(b"]", first + 1)
    if last < 0:
        raise Malformed("a '[' is not closed before the next '/' or the end", "type '\\[' for the character itself")
    listed = segment[first:last]
    _check_bracket(listed)
    ranges, text = _ranges(listed)
    if not negated and len(ranges) == 1 and ranges[0][0] == ranges[0][1] and not strict:
        byte = ranges[0][0]
        return byte, _escaped_byte(byte), last + 1
    if listed.startswith(b"["):
        raise Malformed("a bracket begins with '['", "put the '[' at the end of the bracket")
    if strict and text != listed:
        raise Malformed("git reads a capital letter in brackets differently when it ignores case", "")
    return (negated, ranges), b"[" + segment[at:first] + text + b"]", last + 1


def _check_bracket(listed: bytes) -> None:
    if b"[:" in listed:
        raise Malformed("it uses a class such as '[:alpha:]'", "list the characters: '[a-zA-Z]'")
    if not listed.isascii():
        raise Malformed("a bracket holds a character that is not ASCII", "type '*' or the whole names instead")
    if b"\\" in listed:
        raise Malformed("a bracket holds a backslash", "put a ']' first and a '-' last, without a backslash")
    for doubled in (b"--", b"&&", b"||", b"~~"):
        if doubled in listed:
            sign = doubled[:1].decode()
            raise Malformed(f"a bracket holds '{sign}' twice in a row", f"list '{sign}' once, a '-' at the end")


def _ranges(listed: bytes) -> tuple[tuple[tuple[int, int], ...], bytes]:
    """The ranges that a bracket lists, and its text with single capitals written as ranges.

    When git ignores case, it lowers the letter of the name but not that of the bracket. So ``[A]`` never matches then,
    and ``[A-A]`` does.
    """
    ranges: list[tuple[int, int]] = []
    text = b""
    at = 0
    while at < len(listed):
        low = high = listed[at]
        width = 1
        if listed[at + 1 : at + 2] == b"-" and at + 2 < len(listed):
            high, width = listed[at + 2], 3
        if high < low:
            raise Malformed("a range in brackets runs backwards", f"turn it round: '{high:c}-{low:c}'")
        single_capital = width == 1 and 0x41 <= low <= 0x5A
        text += b"%c-%c" % (low, low) if single_capital else listed[at : at + width]
        ranges.append((low, high))
        at += width
    return tuple(ranges), text


# What it covers


def prefix(pattern: bytes) -> bytes:
    """The path of literal names that a pattern begins with: every path that it covers is this one or below it.

    b"" when it may match anywhere. ``pattern`` may be any bytes, also outside of the grammar.
    """
    return pattern[1:] if _is_simple_path(pattern) else b"/".join(_prefix_names(pattern))


def _prefix_names(pattern: bytes) -> list[bytes]:
    if pattern[:1] in (b"!", b"#") or pattern.startswith(_BOM):
        return []
    is_cut = pattern[-1:] in (b" ", b"\x85", b"\xa0") and fault(pattern) != ""
    segs, _ = segments(_cut(pattern) if is_cut else pattern)
    names: list[bytes] = []
    for segment in segs[:-1] if is_cut else segs:
        if not _is_literal_segment(segment) or segment.translate(None, _CONTROL) != segment:
            break
        name = _unescaped(segment)
        if name in (b"", b".", b".."):
            break
        names.append(name)
    return names


def _cut(pattern: bytes) -> bytes:
    """The pattern without the end that git or pathspec drops: git drops spaces, pathspec all white space of latin-1."""
    return pattern.rstrip(b" \x85\xa0" + _CONTROL)


def is_literal(pattern: bytes) -> bool:
    """Does the pattern cover exactly one path, its :func:`prefix`, and everything below that?"""
    if _is_simple_path(pattern):
        return True
    segs, below = segments(pattern)
    return not below and all(map(_is_literal_segment, segs)) and fault(pattern) == ""


def literal_path(pattern: bytes) -> bytes | None:
    """The :func:`prefix` of a pattern that :func:`is_literal`; None for any other one."""
    if _is_simple_path(pattern):
        return pattern[1:]
    return prefix(pattern) if is_literal(pattern) else None


def covering(pattern: bytes) -> bytes:
    """A pattern in the accepted grammar that covers at least what git or pathspec could cover by ``pattern``.

    ``pattern`` may be any bytes, because another program may have written the row. A pattern in the grammar is returned
    as it is. For a line that matches nothing (a blank line, a comment, a negation), returns b"".
    """
    if not fault(pattern):
        return pattern
    if pattern[:1] in (b"!", b"#") or not pattern.strip(b" "):
        return b""
    line = b""
    for name in _prefix_names(pattern):
        longer = line + b"/" + _escaped(name)
        if len(longer) >= LIMIT:
            break
        line = longer
    if line.endswith(b" "):
        line = line[:-1] + b"\\ "
    return line or EVERYTHING


def directory(pattern: bytes, *, fold: bool = False) -> bytes:
    """The deepest directory in whose ``.gitignore`` the pattern may stand, in the form that :func:`relative` gives it.

    ``pattern`` is in the grammar. The directory ends before a name with which git would fail in a work tree (``.git``,
    ``.gitignore``, a name that is too long for a file). When git ignores case (``fold``), it also ends before a name
    with letters, because git opens the ``.gitignore`` by the spelling of the changed path.
    """
    segs, _ = segments(pattern)
    names: list[bytes] = []
    for segment in segs[:-1]:
        if not _is_literal_segment(segment):
            break
        name = _unescaped(segment)
        if len(name) > _NAME_MAX or name.lower() in (b".git", b".gitignore"):
            break
        if fold and name.lower() != name.upper():
            break
        names.append(name)
    return b"/".join(names)


def relative(pattern: bytes, directory: bytes) -> bytes:
    """The pattern as a line in the ``.gitignore`` of ``directory``, which is its :func:`directory` or one above it."""
    if not directory:
        return pattern
    segs, below = segments(pattern)
    depth = directory.count(b"/") + 1
    return b"/" + b"/".join(segs[depth:]) + (b"/" if below else b"")


# Names and terminals


def _is_plain(text: bytes) -> bool:
    return len(text.translate(None, _SPECIAL)) == len(text)


def _is_literal_segment(segment: bytes) -> bool:
    if _is_plain(segment):
        return True
    if b"\\" not in segment:
        return False
    at = 0
    while at < len(segment):
        if segment[at] == 0x5C:
            if at + 1 == len(segment) or segment[at + 1] not in _ESCAPABLE:
                return False
            at += 1
        elif segment[at] in _SPECIAL:
            return False
        at += 1
    return True


def _unescaped(segment: bytes) -> bytes:
    if b"\\" not in segment:
        return segment
    out = bytearray()
    at = 0
    while at < len(segment):
        if segment[at] == 0x5C:
            at += 1
        out.append(segment[at])
        at += 1
    return bytes(out)


def _is_bare(text: bytes, at: int) -> bool:
    """Is there no backslash that escapes the byte at ``at``?"""
    before = text[:at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 0


def _shown(text: bytes) -> str:
    """The text for a terminal: unprintable characters are escaped, and after 200 bytes it is cut."""
    shown = "".join(map(_shown_character, text[:200].decode("utf-8", "surrogateescape")))
    return shown + "…" if len(text) > 200 else shown


def _shown_character(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
