"""Finds arguments that were probably typed by mistake, and says what to type instead.

gitignore(5) has no braces, no variables and no line numbers, and a shell splits words only where they are not quoted. A
reservation of such an argument would protect nothing, and nobody would notice. If a path of exactly that name exists,
that path is meant. For a path that does not exist yet, a backslash before the sign says that the sign is meant.
"""

from __future__ import annotations

import re

from guard.patterns.grammar import Malformed
from guard.words import quoted, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Exists = Callable[[bytes], bool]
    """Tells whether a path exists; it is relative to the current directory, as it was typed."""

__all__ = ["alternatives", "check"]

SHOWN = 6
"""How many words a hint names at most."""

_LINE = re.compile(rb"(?P<file>.+?)(?::\d+(?:[-:,]\d+)*:?|:\d+:.*)", re.DOTALL)
_PLACE = re.compile(rb"(?P<file>.+?)(?:#L\d+(?:-L?\d+)?|\(\d+(?:,\s*\d+)?\)|@\d+|::\w.*|:[A-Za-z_]\w*)", re.DOTALL)
_VARIABLE = re.compile(rb"\$(?:[A-Z_][A-Z0-9_]*|\{\w+\})(?=/|\Z)")
_HOME = re.compile(rb"~[\w.-]*(?:/|\Z)")
_MAGIC = re.compile(rb":(?:\([\w,:! ]*\)|[!^])")
_REVISION = re.compile(rb"[\w.@/^~{}-]+:(?P<file>.+)", re.DOTALL)
_URL = re.compile(rb"[A-Za-z][A-Za-z+.-]*://")
_DIFF = re.compile(rb"[abiwco]/(?P<file>.+)", re.DOTALL)
_WILDCARD = re.compile(rb"(?<!\\)[*?[]")
_QUOTES = (b'"', b"'", b"`")


def check(typed: bytes, exists: Exists) -> None:
    """Raises :class:`Malformed` when the argument is one of the known mistakes. Its hint says what to type instead."""
    if not typed or exists(typed):
        return
    for find in (_quotes, _spaces, _shell, _address, _lines, _braces, _words, _difference):
        slip = find(typed, exists)
        if slip is not None:
            raise slip


def _quotes(typed: bytes, exists: Exists) -> Malformed | None:
    if len(typed) > 2 and typed[:1] in _QUOTES and typed[-1:] == typed[:1]:
        sign = typed[:1].decode()
        return Malformed(f"the signs {sign} are part of the name", f"guard reserve {quoted(typed[1:-1])}")
    return None


def _spaces(typed: bytes, exists: Exists) -> Malformed | None:
    bare = typed.strip(b" ")
    if bare != typed and bare and exists(bare):
        return Malformed("it begins or ends with a space", f"guard reserve {quoted(bare)}")
    return None


def _shell(typed: bytes, exists: Exists) -> Malformed | None:
    """Finds signs that a shell replaces when they are not quoted."""
    if _HOME.match(typed):
        meant = quoted(b":/" + typed)
        return Malformed(
            "no shell has replaced '~'",
            f"guard reserve {safe(typed)}   (without quotes; a file of that very name: {meant})",
        )
    if _VARIABLE.match(typed):  # only where a path begins: `routes/$id.tsx` is a usual name
        return Malformed("no shell has replaced the variable", f'guard reserve "{safe(typed)}"   (in double quotes)')
    if b"$(" in typed or (typed.count(b"`") >= 2 and not typed.startswith(b"`")):
        return Malformed("no shell has run the command in it", f'guard reserve "{safe(typed)}"   (in double quotes)')
    return None


def _address(typed: bytes, exists: Exists) -> Malformed | None:
    """Finds an address, git's pathspec magic, or a file in a revision."""
    if _URL.match(typed):
        return Malformed("it is an address, not a path", "guard reserve src   (a path below the repository's top)")
    magic = _MAGIC.match(typed)
    if magic is not None:
        rest = typed[magic.end() :]
        return Malformed("guard does not know git's pathspec magic", f"guard reserve {quoted(rest or b'.')}")
    revision = _REVISION.fullmatch(typed)
    if revision is not None and exists(revision["file"]):
        file = revision["file"]
        return Malformed("it names a file in a revision", f"guard reserve {quoted(file)}")
    return None


def _lines(typed: bytes, exists: Exists) -> Malformed | None:
    found = _LINE.fullmatch(typed)
    if found is None:
        found = _PLACE.fullmatch(typed)
        if found is None or not exists(found["file"]):
            return None
    file = found["file"]
    if _is_escaped(typed, len(file)):
        return None
    return Malformed("a reservation covers whole files, not lines", f"guard reserve {quoted(file)}")


def _braces(typed: bytes, exists: Exists) -> Malformed | None:
    words = list(alternatives(typed))
    if len(words) < 2:
        return None
    shown = " ".join(map(quoted, words[:SHOWN])) + (" …" if len(words) > SHOWN else "")
    meant = re.sub(rb"(?<!\\)([{}])", rb"\\\1", typed)
    return Malformed(
        "braces have no meaning in a pattern, so it would match nothing",
        f"guard reserve {shown}   (a file of that very name: {quoted(meant)})",
    )


def alternatives(typed: bytes) -> Iterator[bytes]:
    """The words that bash makes of an argument with braces (bash(1), Brace Expansion); without any, the argument."""
    found = _first_braces(typed)
    if found is None:
        yield typed
        return
    start, end, parts = found
    for part in parts:
        yield from alternatives(typed[:start] + part + typed[end:])


def _first_braces(typed: bytes) -> tuple[int, int, list[bytes]] | None:
    """The first braces with a comma or a range in them: where they begin and end, and what they list. None if none."""
    for start in range(len(typed)):
        if typed[start : start + 1] != b"{" or _is_escaped(typed, start):
            continue
        depth, cuts = 0, [start]
        for at in range(start, len(typed)):
            sign = typed[at : at + 1]
            if _is_escaped(typed, at):
                continue
            depth += (sign == b"{") - (sign == b"}")
            if sign == b"," and depth == 1:
                cuts.append(at)
            if depth == 0:
                parts = [typed[low + 1 : high] for low, high in zip(cuts, [*cuts[1:], at], strict=True)]
                parts = _range(parts[0]) if len(parts) == 1 else parts
                if parts:
                    return start, at + 1, parts
                break
    return None


def _range(listed: bytes) -> list[bytes]:
    """The words of ``1..3``, ``01..12`` or ``a..d``; none for anything else."""
    found = re.fullmatch(rb"(\d{1,4})\.\.(\d{1,4})|([A-Za-z])\.\.([A-Za-z])", listed)
    if found is None:
        return []
    if found[1] is not None:
        width = len(found[1]) if found[1].startswith(b"0") else 0
        return [b"%0*d" % (width, number) for number in range(int(found[1]), int(found[2]) + 1)][:1000]
    return [b"%c" % letter for letter in range(found[3][0], found[4][0] + 1)]


def _words(typed: bytes, exists: Exists) -> Malformed | None:
    """Finds several paths in one argument; each exists, or is a pattern that begins with an existing directory."""
    for between in (rb"(?<!\\),[ ]*", rb"(?<!\\);[ ]*", rb"(?<!\\)[ ]+", rb"(?<!\\):"):
        words = [word for word in re.split(between, typed) if word]
        if len(words) > 1 and all(_leads_somewhere(word, exists) for word in words):
            shown = " ".join(map(quoted, words[:SHOWN])) + (" …" if len(words) > SHOWN else "")
            meant = re.sub(rb"(?<!\\)([ ,;:])", rb"\\\1", typed)
            return Malformed(
                "it holds several words, and would be one name",
                f"guard reserve {shown}   (one name: {quoted(meant)})",
            )
    return None


def _leads_somewhere(word: bytes, exists: Exists) -> bool:
    """Does the path exist, or, for a pattern or a new file, the directory that it begins with?"""
    if exists(word):
        return True
    glob = _WILDCARD.search(word)
    directory = (word[: glob.start()] if glob else word).rpartition(b"/")[0]
    return exists(directory) if directory else glob is not None and glob.start() == 0 and len(word) > 1


def _difference(typed: bytes, exists: Exists) -> Malformed | None:
    """Finds ``a/src/x.py``, as a patch writes a path (diff.noprefix, diff.mnemonicPrefix in git-config(1))."""
    found = _DIFF.fullmatch(typed)
    if found is not None and not exists(typed[:1]) and exists(found["file"]):
        file = found["file"]
        return Malformed(f"'{safe(typed[:2])}' is what a patch puts before a path", f"guard reserve {quoted(file)}")
    return None


def _is_escaped(text: bytes, at: int) -> bool:
    before = text[:at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1
