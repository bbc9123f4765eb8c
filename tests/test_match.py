"""A union covers what git says its patterns cover, each judged by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from guard.patterns.grammar import covering, fault
from guard.patterns.match import Union
from tests.support.git_check_ignore import Git, Maker, is_path

ROOT = Path(__file__).parent.parent

TABLE = [
    (b"/src/auth", b"src/auth", True),
    (b"/src/auth", b"src/auth/token.py", True),
    (b"/src/auth", b"src/authority", False),
    (b"/src/auth", b"lib/src/auth", False),
    (b"/src/auth/", b"src/auth", False),
    (b"/src/auth/", b"src/auth/token.py", True),
    (b"/src/auth/**", b"src/auth", False),
    (b"/src/auth/**", b"src/auth/a/b", True),
    (b"/src/*", b"src/d/a.py", True),
    (b"/src/*.py", b"src/d/a.py", False),
    (b"/src/**/*.py", b"src/a.py", True),
    (b"/src/**/*.py", b"src/d/e/a.py", True),
    (b"**/*.py", b"a.py", True),
    (b"**/*.py", b"d/a.py/below", True),
    (b"*.py", b"d/a.py", True),
    (b"/**", b"a", True),
    (b"/*/", b"a", False),
    (b"/*/", b"a/b", True),
    (b"**/*/", b"a/b", True),
    (b"**/*/", b"a", False),
    (b"/a/**/b", b"a/b", True),
    (b"/a/**/b", b"a/x/y/b/z", True),
    (b"/a[!x]b", b"a/b", False),
    (b"/a[+-9]b", b"a/b", False),
    (b"/a[+-9]b", b"a5b", True),
    (b"/?", "é".encode(), False),
    (b"/??", "é".encode(), True),
    (b"/a", b"a\n", False),
    (b"**/a*", b"x\ny/a\n", True),
    (b"**/*\xc3\xa0", b"voil\xc3\xa0", True),
    (b"**/*\xc3\xa0", b"voil\xc3", False),
    (b"/\\[slug\\]/x", b"[slug]/x", True),
    (b"/app/\\[slug\\]/*.tsx", b"app/[slug]/page.tsx", True),
    (b"/a\\ ", b"a ", True),
    (b"/a\\ ", b"a", False),
    (b"/#x", b"#x", True),
    (b"/!x", b"!x", True),
    (b"/my dir/*.py", b"my dir/a.py", True),
]


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("oracle"))


@pytest.mark.parametrize(("pattern", "path", "expected"), TABLE)
def test_a_pattern_covers_what_it_matches_and_all_below(pattern: bytes, path: bytes, expected: bool) -> None:
    union = Union([b"/elsewhere", pattern])
    assert union.matches(path) is expected
    assert union.attribute(path) == [1] * expected


def test_git_agrees_with_the_table(git: Git) -> None:
    patterns = [pattern for pattern, _, _ in TABLE]
    matched = git.pairs(patterns, {index: [path] for index, (_, path, _) in enumerate(TABLE)}, fold=False)
    assert matched == {(index, path) for index, (_, path, expected) in enumerate(TABLE) if expected}


def check_with_git(git: Git, maker: Maker, patterns: int, paths: int, *, fold: bool) -> int:
    """Each pattern of the grammar by itself, on paths near it and on paths that are not; returns how many matched."""
    made = maker.accepted(patterns)
    common = [maker.path() for _ in range(paths // 2)]
    asked = {
        index: {*common, *(maker.near(pattern) for _ in range(paths - len(common)))}
        for index, pattern in enumerate(made)
    }
    matched = git.pairs(made, asked, fold=fold)
    for index, pattern in enumerate(made):
        union = Union([pattern], fold=fold)
        by_git = {path for path in asked[index] if (index, path) in matched}
        assert set(union.touched(asked[index])) == by_git, (pattern, set(union.touched(asked[index])) ^ by_git)
        assert all(union.attribute(path) == ([0] if path in by_git else []) for path in asked[index])
    return len(matched)


@pytest.mark.parametrize("fold", [False, True])
def test_git_agrees_on_generated_patterns(git: Git, fold: bool) -> None:
    assert check_with_git(git, Maker(21 + fold), 1_000, 40, fold=fold) > 5_000


@pytest.mark.long
@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_git_agrees_on_100_000_pairs(git: Git, seed: int, fold: bool) -> None:
    check_with_git(git, Maker(1000 + seed), 2_500, 50, fold=fold)


@pytest.mark.parametrize("fold", [False, True])
def test_a_union_is_all_its_patterns_together(git: Git, fold: bool) -> None:
    maker = Maker(31 + fold)
    for _ in range(30):
        patterns = [b"/" + pattern.lstrip(b"*/") for pattern in maker.accepted(12)]
        patterns = [pattern for pattern in patterns if not fault(pattern)]
        paths = {maker.near(maker.random.choice(patterns)) for _ in range(60)}
        union = Union(patterns, fold=fold)
        assert set(union.touched(paths)) == git.covered({b"": patterns}, paths, fold=fold)
        for path in paths:
            single = [index for index, pattern in enumerate(patterns) if Union([pattern], fold=fold).matches(path)]
            assert union.attribute(path) == single


def test_case_is_ignored_when_asked_and_only_of_ascii_letters() -> None:
    union = Union([b"/SRC/Auth", b"/Lib/**/*.PY", "/É".encode(), b"/[A-C]x"], fold=True)
    assert union.attribute(b"src/aUTH/x") == [0]
    assert union.attribute(b"lIB/A.py") == [1]
    assert union.attribute(b"bX") == [3]
    assert not union.matches("é".encode())


def test_paths_come_back_in_their_order_and_as_they_were() -> None:
    union = Union([b"/SRC"], fold=True)
    assert union.touched([b"src/Z", b"lib/a", b"Src/A", b"src/Z"]) == [b"src/Z", b"Src/A", b"src/Z"]


@pytest.mark.parametrize("nothing", [b"!/src/a.py", b"!**", b"# a comment", b"#*", b"", b"   "])
def test_negations_comments_and_blank_lines_cover_nothing_and_cancel_nothing(nothing: bytes) -> None:
    union = Union([nothing, b"/src/**", nothing])
    assert union.attribute(b"src/a.py") == [1]
    assert union.attribute(b"# a comment") == []


@pytest.mark.parametrize(
    ("odd", "path", "expected"),
    [
        (b"/src/a**", b"src/abc", True),
        (b"/src/a**", b"src/b", False),
        (b"/src/[[:alpha:]]", b"src/a", False),  # as pathspec reads it: a character of the set, then `]`
        (b"/src/[[:alpha:]]", b"src/a]", True),
        (b"/src/x\\", b"src/x/y", True),
        (b"/src/[z-a]", b"src/b", True),
        (b"/src/[z-a]", b"lib/b", False),
        (b"/src/*.py ", b"src/b.py", True),
        (b"/src/" + b"*a" * 300, b"src/b", True),
        (b"/" + b"a/" * 600 + b"*", b"a/" * 600 + b"b", True),
        (b"/src/a\0b", b"src/a", False),
        (b"/src/x\ny", b"src/x\ny", True),
    ],
)
def test_what_another_program_wrote_is_judged_too_and_never_blinds_the_rest(
    odd: bytes, path: bytes, expected: bool
) -> None:
    assert fault(odd)
    union = Union([odd, b"/docs", odd])
    assert union.attribute(path) == [0, 2] * expected
    assert union.attribute(b"docs/x") == [1]
    assert union.touched([b"docs/x", path]) == [b"docs/x", path][: 1 + expected]


@pytest.mark.parametrize("fold", [False, True])
def test_the_covering_line_never_misses_what_the_union_or_git_covers(git: Git, fold: bool) -> None:
    maker = Maker(41 + fold)
    pieces = (*maker.LITERAL, *maker.SETS, b"*", b"**", b"/", b"/", b"\\", b"\\a", b"\\A", b"[A]", b"[", b"[:", b"\x85")
    patterns = [b"".join(maker.random.choices(pieces, k=maker.random.randint(1, 7))) for _ in range(1_000)]
    asked = {index: {maker.near(pattern) for _ in range(25)} for index, pattern in enumerate(patterns)}
    by_git = git.pairs(patterns, asked, fold=fold)
    by_union = {
        (index, path)
        for index, pattern in enumerate(patterns)
        for path in Union([pattern], fold=fold).touched(asked[index])
    }
    lines = [covering(pattern) for pattern in patterns]
    assert not [line for line in lines if line and fault(line)]
    assert by_git | by_union <= git.pairs(lines, asked, fold=fold)


def test_hostile_patterns_do_not_stall_it() -> None:
    names = b"e" * 200 + b"/" + b"/".join([b"e" * 60] * 12)
    for pattern in (
        b"**/*?*?*?*?x",
        b"**/*[!b]*e*[!c]x",
        b"**/" + b"*?" * 200 + b"x",
        b"/**/e" * 100 + b"/x",
        b"a" + b"*" * 300 + b"/x",
        b"[a" * 400,
    ):
        Union([pattern]).matches(names)


def test_building_compiles_nothing_and_loads_no_pathspec() -> None:
    asked = """
import sys
sys.path.insert(0, sys.argv[1])
from guard.patterns.match import Union
union = Union([b"/src/module%d/**/*.py" % number for number in range(10_000)])
assert not union.matches(b"lib/x")
assert union.matches(b"src/module7/x.py")
assert "pathspec" not in sys.modules
assert Union([b"/src/a?"]).matches(b"src/ab")
assert "pathspec" in sys.modules
"""
    subprocess.run([sys.executable, "-c", asked, str(ROOT)], check=True, timeout=60)


def test_paths_of_the_generator_are_paths() -> None:
    assert is_path(b"a/.b")
    assert not any(map(is_path, (b"", b"a//b", b"/a", b"a/", b"a/./b", b"..", b"a\0")))
