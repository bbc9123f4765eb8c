"""Two patterns overlap exactly when a path exists that git says both match."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.patterns.grammar import covering, fault, prefix
from guard.patterns.overlap import overlap, witness
from tests.support.git_check_ignore import Git, Maker, is_path

OVERLAPPING = [
    (b"/src/a*.py", b"/src/*b.py"),
    (b"/src/auth", b"/src/auth"),
    (b"/src/auth", b"/src/auth/token.py"),
    (b"/src/auth/**", b"/src"),
    (b"/src/auth", b"/src/auth/"),
    (b"/**", b"/x"),
    (b"**/*.py", b"/src/**/test_*"),
    (b"**/*.py", b"/src/a.py"),
    (b"/a/**/b", b"/a/b"),
    (b"/a/**/b", b"/a/x/**/y/b"),
    (b"/a/**/b", b"/**/a"),
    (b"/*a", b"/a*"),
    (b"/?", b"/[a-c]"),
    (b"/[!a]", b"/[a-b]"),
    (b"/caf?\xa9", "/café".encode()),
    (b"/\\*", b"/?"),
    (b"/..*", b"/...*"),
    (b"/.*", b"/?.*"),
    (b"/src/*_*", b"/src/*-*"),
    (b"*.py", b"/docs/"),
]

DISJOINT = [
    (b"/src/*.py", b"/src/*.ts"),
    (b"/src/auth", b"/src/authority"),
    (b"/src/auth/**", b"/src/*.py"),
    (b"/a?", b"/a"),
    (b"/?", "/é".encode()),
    (b"/[a-c]", b"/[d-f]"),
    (b"/[!a]", b"/a"),
    (b"/\\*", b"/a"),
    (b"/A", b"/a"),
    (b"/[A-C]", b"/b"),
    (b"/a*b", b"/a*c"),
    (b"/*aa*", b"/b?b"),
    (b"/a/*/c", b"/a/b/d"),
    (b"/?.", b"/.?"),  # only `..`, which is no name
    (b"/.?", b"/?.*"),
    (b"/[.]", b"/?"),  # only `.`
    (b"/.[.]/**", b"/**"),
]


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("oracle"))


@pytest.mark.parametrize(("a", "b"), OVERLAPPING)
def test_overlapping(a: bytes, b: bytes) -> None:
    assert overlap(a, b)
    assert overlap(b, a)


@pytest.mark.parametrize(("a", "b"), DISJOINT)
def test_disjoint(a: bytes, b: bytes) -> None:
    assert not overlap(a, b)
    assert not overlap(b, a)


@pytest.mark.parametrize(
    ("a", "b"), [(b"/SRC/a", b"/src/A"), (b"/[A-C]", b"/b"), (b"/[!a]*b", b"/BB"), (b"/*.PY", b"/x.py")]
)
def test_case_is_ignored_when_asked(a: bytes, b: bytes) -> None:
    assert overlap(a, b, fold=True)
    assert not overlap(a, b)


def test_a_letter_outside_of_ascii_keeps_its_case() -> None:
    assert not overlap("/É".encode(), "/é".encode(), fold=True)


@pytest.mark.parametrize(
    ("odd", "other", "expected"),
    [
        (b"/src/a**", b"/src/b.py", True),
        (b"/src/[", b"/src", True),
        (b"/src/a**", b"/lib/b.py", False),
        (b"x\\", b"/lib/b.py", True),
        (b"!/lib/b.py", b"/lib/b.py", False),
        (b"# a comment", b"/**", False),
        (b"", b"/**", False),
    ],
)
def test_outside_of_the_grammar_what_could_be_meant_counts(odd: bytes, other: bytes, expected: bool) -> None:
    assert overlap(odd, other) is overlap(other, odd) is expected


def test_a_long_pattern_needs_no_deep_stack() -> None:
    deep = b"/a" * 510
    assert overlap(deep, b"**/*a/**/*b")
    assert overlap(b"/" + b"?" * 1000, b"/*" + b"a" * 900 + b"*")
    assert not overlap(deep, b"/a" * 509 + b"/b")


def small_patterns(seed: int, count: int) -> list[bytes]:
    """Anchored patterns of few letters, so that many pairs just miss each other."""
    pick = random.Random(seed).choice
    pieces = (b"a", b"a", b"B", b".", b"*", b"?", b"[aB]", b"[!a]", b"[!.]", b"[.]")
    found: dict[bytes, None] = {}
    while len(found) < count:
        names = [b"".join(pick(pieces) for _ in range(pick((1, 1, 2, 3)))) for _ in range(pick((1, 1, 2)))]
        names.insert(pick((0, 1)), pick((b"**", b"a", b"*")))
        pattern = b"/" + b"/".join(names) + pick((b"", b"", b"/"))
        if not fault(pattern):
            found[pattern] = None
    return list(found)


@pytest.mark.parametrize("fold", [False, True])
def test_every_short_path_agrees(git: Git, fold: bool) -> None:
    """Brute force: all pairs of small patterns, on all paths of up to six bytes."""
    pool = [bytes(path) for size in range(1, 7) for path in itertools.product(b"aB./", repeat=size)]
    pool = [path for path in pool if is_path(path)]
    patterns = small_patterns(3, 150)
    matched = git.pairs(patterns, dict.fromkeys(range(len(patterns)), pool), fold=fold)
    covered = [{path for path in pool if (index, path) in matched} for index in range(len(patterns))]
    disjoint = 0
    for (a, paths), (b, others) in itertools.combinations(zip(patterns, covered, strict=True), 2):
        if paths & others:
            assert overlap(a, b, fold=fold), (a, b, min(paths & others))
        elif not overlap(a, b, fold=fold):
            disjoint += 1
    assert disjoint > 2_000


def check_with_git(git: Git, maker: Maker, count: int, *, fold: bool) -> int:
    """Pairs of patterns: git matches each witness with both, and where there is none, nothing with both.

    Returns how many pairs overlapped.
    """
    patterns = maker.accepted(count)
    pool = list({maker.near(pattern) for pattern in patterns} | {maker.path() for _ in range(count)})
    asked = {index: set(pool) for index in range(count)}
    witnesses = {}
    for i, j in itertools.combinations(range(count), 2):
        found = witness(patterns[i], patterns[j], fold=fold)
        assert (found is not None) is overlap(patterns[j], patterns[i], fold=fold)
        if found is not None:
            assert is_path(found)
            witnesses[i, j] = found
            asked[i].add(found)
            asked[j].add(found)
    matched = git.pairs(patterns, asked, fold=fold)
    for (i, j), path in witnesses.items():
        assert (i, path) in matched, (patterns[i], path)
        assert (j, path) in matched, (patterns[j], path)
    covered = [{path for path in pool if (index, path) in matched} for index in range(count)]
    for i, j in itertools.combinations(range(count), 2):
        if (i, j) not in witnesses:
            assert not covered[i] & covered[j], (patterns[i], patterns[j])
    return len(witnesses)


@pytest.mark.parametrize("fold", [False, True])
def test_git_matches_every_witness_with_both(git: Git, fold: bool) -> None:
    assert 5_000 < check_with_git(git, Maker(11 + fold), 200, fold=fold) < 18_000


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_git_matches_every_witness_with_both_at_length(git: Git, seed: int) -> None:
    check_with_git(git, Maker(100 + seed), 400, fold=seed % 2 == 1)


NAMES = st.lists(st.sampled_from([b"a", b"b", b".", b"*", b"?", b"[ab]", b"[!a]", b"[!.]"]), min_size=1, max_size=4)
PATTERNS = st.lists(NAMES.map(b"".join) | st.just(b"**"), min_size=1, max_size=4).map(b"/".join)


@given(PATTERNS, PATTERNS)
def test_it_is_symmetric_and_never_beyond_the_prefixes(a: bytes, b: bytes) -> None:
    found = witness(a, b)
    assert overlap(a, b) is overlap(b, a) is (found is not None)
    if found is not None:
        for lead in (prefix(a), prefix(b)):
            assert not lead or (found + b"/").startswith(lead + b"/")


@given(PATTERNS)
def test_a_pattern_overlaps_what_covers_it(a: bytes) -> None:
    assert overlap(a, covering(a)) is overlap(a, a) is overlap(a, b"/**")
