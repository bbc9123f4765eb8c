"""Paths × reservations: which changed paths does a union of patterns cover, and which patterns are to blame?

pathspec translates a pattern into a regular expression, which is then made to read bytes as git does. Patterns are kept
by the literal directory they begin with, so that a path meets only those it could match, and nothing is compiled
before a path comes near it. Patterns and paths are bytes, relative to the repository's top.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

from guard.pattern import LIMIT, SLOW, STARSTAR, covering, fault, is_literal, prefix, segments
from guard.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Match = Callable[[bytes, int], object]
    """Does a path match from an offset on? Truthy when it does."""
    Rule = tuple[tuple[Match, int], ...]

__all__ = ["Union"]

_PLAIN = re.compile(rb"/((?:[^*?\[\\/\x00-\x1f\x7f]+/)*)([^*?\[\\/\x00-\x20\x7f]*\Z)?")
"""The literal directories of an anchored pattern, and its last name if that is literal too."""


class _Bucket(Record):
    """The globs that begin with one literal directory; all they cover is below it."""

    everything: bool
    match: Match | None
    whole: tuple[Match, ...]
    """Matchers that want the whole path, not what is below the directory."""


class Union:
    """Patterns to be judged together; ``fold`` ignores the case of ASCII letters, as ``core.ignoreCase`` does.

    A pattern outside of the accepted grammar is judged as pathspec reads it, or, when pathspec cannot, by what it could
    cover at most; a negated one, a comment or a blank line covers nothing. None of them changes what the others cover.
    """

    def __init__(self, patterns: Iterable[bytes], *, fold: bool = False) -> None:
        self._patterns = list(patterns)
        self._fold = fold
        self._exact: dict[bytes, list[int]] = {}
        self._globs: dict[bytes, list[int]] = {}
        self._buckets: dict[bytes, _Bucket] = {}
        self._rules: dict[bytes, Rule] = {}
        self._singles: dict[int, Rule] = {}
        for index, pattern in enumerate(self._patterns):
            key, literal = _key(pattern)
            kind = self._exact if literal else self._globs
            kind.setdefault(key.lower() if fold else key, []).append(index)

    def matches(self, path: bytes) -> bool:
        """Does any pattern cover the path, or a directory above it?"""
        return bool(self.touched((path,)))

    def touched(self, paths: Iterable[bytes]) -> list[bytes]:
        """Those of the paths that any pattern covers, in their order."""
        rules, exact, fold = self._rules, self._exact, self._fold
        found = []
        for path in paths:
            key = path.lower() if fold else path
            directory = key[: key.rfind(b"/") + 1]
            rule = rules.get(directory)
            if rule is None:
                rule = rules[directory] = self._rule(directory[:-1])
            if key in exact:
                found.append(path)
                continue
            for match, start in rule:
                if match(key, start):
                    found.append(path)
                    break
        return found

    def attribute(self, path: bytes) -> list[int]:
        """The indices of every pattern that covers the path or a directory above it, in order."""
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
        """What to try on the paths of a directory."""
        rule: Rule = ()
        for above in [*_above(directory), directory] if directory else [b""]:
            if above in self._exact:
                return _ALWAYS
            if above in self._globs:
                rule += _tries(self._bucket(above), above)
        return rule

    def _bucket(self, key: bytes) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            patterns = [self._patterns[index] for index in self._globs[key]]
            bucket = self._buckets[key] = _bucket(patterns, _depth(key), self._fold)
        return bucket

    def _single(self, index: int, key: bytes) -> Rule:
        rule = self._singles.get(index)
        if rule is None:
            bucket = _bucket([self._patterns[index]], _depth(key), self._fold)
            rule = self._singles[index] = _tries(bucket, key)
        return rule


def _key(pattern: bytes) -> tuple[bytes, bool]:
    """The literal path that all a pattern covers is below; or, with True, that it covers and all below."""
    plain = None if b"\\" in pattern else _PLAIN.match(pattern)
    if plain is None:
        return prefix(pattern), is_literal(pattern)
    return (pattern[1:], True) if plain[2] else (plain[1][:-1], False)


def _above(path: bytes) -> Iterator[bytes]:
    """The directories above a path, from the top (b"") down."""
    yield b""
    at = path.find(b"/")
    while at >= 0:
        yield path[:at]
        at = path.find(b"/", at + 1)


def _depth(key: bytes) -> int:
    return key.count(b"/") + 1 if key else 0


def _tries(bucket: _Bucket, key: bytes) -> Rule:
    if bucket.everything:
        return _ALWAYS
    start = len(key) + 1 if key else 0
    below: Rule = ((bucket.match, start),) if bucket.match else ()
    return below + tuple((match, 0) for match in bucket.whole)


def _bucket(patterns: Iterable[bytes], depth: int, fold: bool) -> _Bucket:
    """The globs of one literal directory, ``depth`` names below the top."""
    expressions: dict[bytes, None] = {}
    whole: list[Match] = []
    for pattern in patterns:
        if not fault(pattern):
            segs, below = segments(pattern)
            expressions[_expression(tuple(segs[depth:]), below)] = None
        elif (match := _as_it_stands(pattern, fold)) is not None:
            whole.append(match)
        elif covering(pattern):
            expressions[b""] = None
    everything = b"" in expressions
    match = _compiled(b"|".join(expressions), fold) if expressions and not everything else None
    return _Bucket(everything, match, tuple(whole))


@lru_cache(maxsize=4096)
def _compiled(expression: bytes, fold: bool) -> Match:
    return re.compile(expression, _flags(fold)).match


def _flags(fold: bool) -> int:
    # Of bytes, re.IGNORECASE folds ASCII letters only, as git does.
    return re.DOTALL | (re.IGNORECASE if fold else 0)


def _always(path: bytes, start: int) -> object:
    return True


_ALWAYS: Rule = ((_always, 0),)


# From patterns to regular expressions


def _as_it_stands(pattern: bytes, fold: bool) -> Match | None:
    """A matcher of whole paths for a pattern outside of the grammar, as pathspec reads it; None when it cannot."""
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    if len(pattern) > LIMIT or pattern.count(b"*") > SLOW + 2:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # re's, about sets it may read differently one day
            expression, include = GitIgnoreSpecPattern.pattern_to_regex(pattern)
            return re.compile(expression, _flags(fold)).search if include and expression else None
    except (ValueError, re.error):
        return None


@lru_cache(maxsize=4096)
def _expression(segs: tuple[bytes, ...], below: bool) -> bytes:
    """The expression that matches, from its start, what a pattern of the grammar covers; b"" for every path.

    pathspec is asked about everything below the pattern, since it would drop a last byte 0x85 or 0xA0, which read as
    latin-1 is a space, and since its ``$`` also matches before a path's last newline.
    """
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    while segs and segs[-1] == STARSTAR:
        segs, below = segs[:-1], True
    while segs[:1] == (STARSTAR,) and segs[1:] in ((b"*",), (STARSTAR, b"*")):
        segs = segs[1:]
    if not segs or (segs == (b"*",) and not below):
        return b""
    expression, _ = GitIgnoreSpecPattern.pattern_to_regex(b"/" + b"/".join(segs) + b"/**")
    assert expression is not None
    assert expression[:1] == b"^"
    assert expression[-1:] == b"/"
    return _as_git(expression[1:-1]) + (b"/" if below else rb"(?:/|\Z)")


_SET = re.compile(rb"\\.|\[\^/\]|(\[\^?\]?[^\]]*\])", re.DOTALL)


def _as_git(expression: bytes) -> bytes:
    """pathspec's expression, with sets such as ``[!a]`` or ``[+-9]`` that never match ``/`` (wildmatch.c)."""
    return _SET.sub(lambda found: b"(?!/)" + found[1] if found[1] else found[0], expression)
