"""Which changed paths does a union of patterns cover, and which patterns cover them?

pathspec translates a pattern into a regular expression, which is then changed to read bytes as git does. Patterns are
grouped by the literal directory that they begin with. So a path is compared only with patterns that may match it, and a
pattern is compiled only when such a path comes. Patterns and paths are bytes, relative to the repository's top.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

from guard.patterns.grammar import LIMIT, STARS_MAX, STARSTAR, covering, fault, is_literal, prefix, segments
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Match = Callable[[bytes, int], object]
    """A function of a path and an offset. Its result is true when the path matches from the offset on."""
    Tries = tuple[tuple[Match, int], ...]
    """What to try on a path: functions, each with the offset to give it."""
    Rule = tuple[tuple[bytes, ...], Tries]
    """The rule for the paths of one directory: the endings that match, and what to try on the other paths."""

__all__ = ["Union"]

_PLAIN = re.compile(rb"/((?:[^*?\[\\/\x00-\x1f\x7f]+/)*)([^*?\[\\/\x00-\x20\x7f]*\Z)?")
"""The literal directories of an anchored pattern, and its last name if that is literal too."""

_SUFFIX = re.compile(rb"\*[^*?\[\\]+")
"""A name of which only the end is given, such as ``*.py``."""

_ALWAYS: Rule = (b"",), ()


class Union:
    """Several patterns together. ``fold`` ignores the case of ASCII letters, as ``core.ignoreCase`` does.

    A pattern outside of the accepted grammar covers what pathspec says; when pathspec cannot read it, it covers
    everything that it could mean. A negated pattern, a comment and a blank line cover nothing. No pattern changes what
    the others cover.
    """

    def __init__(self, patterns: Iterable[bytes], *, fold: bool = False) -> None:
        self._patterns = list(patterns)
        self._fold = fold
        self._exact: dict[bytes, list[int]] = {}
        self._globs: dict[bytes, list[int]] = {}
        self._rules: dict[bytes, Rule] = {}
        self._singles: dict[int, Tries] = {}
        for index, pattern in enumerate(self._patterns):
            key, literal = _key(pattern)
            kind = self._exact if literal else self._globs
            kind.setdefault(key.lower() if fold else key, []).append(index)

    def matches(self, path: bytes) -> bool:
        """Does any pattern cover the path, or a directory above it?"""
        return bool(self.touched((path,)))

    def touched(self, paths: Iterable[bytes]) -> list[bytes]:
        """Those of the paths that any pattern covers, in their order."""
        known, exact, fold = self._rules.get, self._exact, self._fold
        found = []
        for path in paths:
            key = path.lower() if fold else path
            directory = key.rpartition(b"/")[0]
            suffixes, tries = known(directory) or self._rule(directory)
            if key.endswith(suffixes) or key in exact:
                found.append(path)
            elif tries:
                for match, start in tries:
                    if match(key, start):
                        found.append(path)
                        break
        return found

    def attribute(self, path: bytes) -> list[int]:
        """The indices of all patterns that cover the path or a directory above it, sorted."""
        if not self.matches(path):
            return []
        key = path.lower() if self._fold else path
        found = list(self._exact.get(key, ()))
        for above in _above(key):
            found += self._exact.get(above, ())
            for index in self._globs.get(above, ()):
                if any(match(key, start) for match, start in self._single(index, above)):
                    found.append(index)
        return sorted(found)

    def _rule(self, directory: bytes) -> Rule:
        """The rule for a directory: the rule of the directory above it, and what its own patterns add."""
        rule = self._rules.get(b"") or self._own_rule(b"")
        for at in [*_above(directory), directory][1:] if directory else ():
            known = self._rules.get(at)
            if known is None:
                suffixes, tries = rule
                if at in self._exact or at.endswith(suffixes) or any(match(at, start) for match, start in tries):
                    known = _ALWAYS
                else:
                    own_suffixes, own_tries = self._own_rule(at)
                    known = suffixes + own_suffixes, tries + own_tries
                self._rules[at] = known
            rule = known
        self._rules[directory] = rule
        return rule

    def _own_rule(self, key: bytes) -> Rule:
        indices = self._globs.get(key)
        return _rule_of([self._patterns[index] for index in indices], key, self._fold) if indices else ((), ())

    def _single(self, index: int, key: bytes) -> Tries:
        tries = self._singles.get(index)
        if tries is None:
            suffix = _suffix(self._patterns[index], _depth(key))
            if suffix:  # many patterns have this form, and a refusal by one of them need not load pathspec
                start = len(key) + 1 if key else 0
                tries = ((_any_name_ends(suffix.lower() if self._fold else suffix), start),)
            else:
                reading = _reading(self._patterns[index], _depth(key), self._fold)
                tries = _tries([reading], key, self._fold)
            self._singles[index] = tries
        return tries


def _key(pattern: bytes) -> tuple[bytes, bool]:
    """The literal path that a pattern begins with, and whether the pattern covers just this path and all below it."""
    plain = None if b"\\" in pattern else _PLAIN.match(pattern)
    if plain is None:
        return prefix(pattern), is_literal(pattern)
    return (pattern[1:], True) if plain[2] else (plain[1][:-1], False)


def _above(path: bytes) -> Iterator[bytes]:
    """The directories above a path; the top (b"") comes first."""
    yield b""
    at = path.find(b"/")
    while at >= 0:
        yield path[:at]
        at = path.find(b"/", at + 1)


def _depth(key: bytes) -> int:
    return key.count(b"/") + 1 if key else 0


def _rule_of(patterns: Iterable[bytes], key: bytes, fold: bool) -> Rule:
    """The rule of the patterns that begin with ``key``, for paths below it of which no directory is covered."""
    depth = _depth(key)
    suffixes: list[bytes] = []
    readings = []
    for pattern in patterns:
        suffix = _suffix(pattern, depth)
        if suffix:
            suffixes.append(suffix.lower() if fold else suffix)
        else:
            readings.append(_reading(pattern, depth, fold))
    if _EVERYTHING in readings:
        return _ALWAYS
    return tuple(suffixes), _tries(readings, key, fold)


@lru_cache(maxsize=4096)
def _suffix(pattern: bytes, depth: int) -> bytes:
    """``.py`` for a pattern that has ``**/*.py`` right after its literal names; b"" for any other pattern."""
    segs, below = segments(pattern)
    if below or len(segs) != depth + 2 or segs[-2] != STARSTAR or not _SUFFIX.fullmatch(segs[-1]) or fault(pattern):
        return b""
    return segs[-1][1:]


def _any_name_ends(suffix: bytes) -> Match:
    """A match for ``**/*SUFFIX``: it covers a path in which some name has that end."""
    return lambda path, start: any(name.endswith(suffix) for name in path[start:].split(b"/"))


class _Reading(Record):
    """How one pattern is compared: by an expression for what follows its literal names, or by ``whole``, for a path."""

    expression: bytes | None
    whole: Match | None = None


_EVERYTHING, _NOTHING = _Reading(b""), _Reading(None)


def _reading(pattern: bytes, depth: int, fold: bool) -> _Reading:
    if not fault(pattern):
        segs, below = segments(pattern)
        return _Reading(_expression(tuple(segs[depth:]), below))
    whole = _as_it_stands(pattern, fold)
    if whole is not None:
        return _Reading(None, whole)
    return _EVERYTHING if covering(pattern) else _NOTHING


def _tries(readings: Iterable[_Reading], key: bytes, fold: bool) -> Tries:
    expressions = dict.fromkeys(reading.expression for reading in readings if reading.expression is not None)
    start = len(key) + 1 if key else 0
    together: Tries = ((_compiled(b"|".join(expressions), fold), start),) if expressions else ()
    return together + tuple((reading.whole, 0) for reading in readings if reading.whole is not None)


@lru_cache(maxsize=4096)
def _compiled(expression: bytes, fold: bool) -> Match:
    return re.compile(expression, _flags(fold)).match


def _flags(fold: bool) -> int:
    # For bytes, re.IGNORECASE ignores the case of ASCII letters only, as git does.
    return re.DOTALL | (re.IGNORECASE if fold else 0)


# From patterns to regular expressions


def _as_it_stands(pattern: bytes, fold: bool) -> Match | None:
    """A match of whole paths for a pattern outside of the grammar, as pathspec reads it; None when it cannot."""
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    if len(pattern) > LIMIT or pattern.count(b"*") > STARS_MAX:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # re warns of sets that a later version may read differently
            expression, include = GitIgnoreSpecPattern.pattern_to_regex(pattern)
            return re.compile(expression, _flags(fold)).search if include and expression else None
    except (ValueError, re.error):
        return None


@lru_cache(maxsize=4096)
def _expression(segs: tuple[bytes, ...], below: bool) -> bytes:
    """The expression that matches, from its start, what a pattern of the grammar covers; b"" matches every path.

    pathspec is given the pattern for everything below it, for two reasons: it would drop a last byte 0x85 or 0xA0,
    which is white space in latin-1, and its ``$`` also matches before a last newline in a path.
    """
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    segs = tuple(name for at, name in enumerate(segs) if name != STARSTAR or segs[at - 1 : at] != (STARSTAR,))
    if segs[-1:] == (STARSTAR,):
        segs, below = segs[:-1], True
    if segs == (STARSTAR, b"*"):
        segs = (b"*",)
    if not segs or (segs == (b"*",) and not below):
        return b""
    expression, _ = GitIgnoreSpecPattern.pattern_to_regex(b"/" + b"/".join(segs) + b"/**")
    assert expression is not None
    assert expression[:1] == b"^"
    assert expression[-1:] == b"/"
    return _as_git(expression[1:-1]) + (b"/" if below else rb"(?:/|\Z)")


_SET = re.compile(rb"\\.|\[\^/\]|(\[\^?\]?[^\]]*\])", re.DOTALL)
"""Parts of an expression from pathspec: an escape, the translation of a wildcard, or a set."""
_STAR = re.compile(rb"\[\^/\]\*((?:\\.|\(\?!/\)\[\^?\]?[^\]]*\]|\[\^/\](?!\*)|[^\[\\/()])*)(?=\[\^/\]\*)", re.DOTALL)
"""A star, and the part of the name up to the next star."""


def _as_git(expression: bytes) -> bytes:
    """pathspec's expression, changed in two ways to match as git does.

    Sets such as ``[!a]`` and ``[+-9]`` never match ``/`` (git's wildmatch.c). And the part between two stars matches
    only at the first place where it fits, because that leaves the most room for the rest; otherwise ``*?*?*?*x`` would
    take seconds on a long name.
    """
    strict = _SET.sub(lambda found: b"(?!/)" + found[1] if found[1] else found[0], expression)
    return _STAR.sub(rb"(?>[^/]*?\1)", strict)
