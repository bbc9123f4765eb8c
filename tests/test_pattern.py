"""What is typed is stored as a pattern that means to git what was meant, or refused with a suggestion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.model import EXIT_USAGE, UsageError
from guard.patterns.grammar import (
    EVERYTHING,
    LIMIT,
    covering,
    directory,
    fault,
    is_literal,
    literal,
    prefix,
    relative,
    stored,
)
from tests.support.git_check_ignore import Git, Maker, is_path

ROOT = Path(__file__).parent.parent

TREE = {b"", b"src", b"src/auth", b"app", b"app/[slug]", b"app/[slug]/page.tsx", b"!x", b"a\\b", b"star*", b"[", b"#x"}

STORED = [
    # a path that exists, or has no wildcard
    (b"", b"auth", b"/auth"),
    (b"src", b"auth", b"/src/auth"),
    (b"src", b"auth/", b"/src/auth"),
    (b"src", b"./auth//x", b"/src/auth/x"),
    (b"src/deep", b"../auth/./x", b"/src/auth/x"),
    (b"src", b"/docs/x", b"/docs/x"),
    (b"src", b":/docs/x", b"/docs/x"),
    (b"src", b":docs", b"/src/:docs"),
    (b"", b"app/[slug]/page.tsx", b"/app/\\[slug\\]/page.tsx"),
    (b"app", b"[slug]", b"/app/\\[slug\\]"),
    (b"app/[slug]", b"page.tsx", b"/app/\\[slug\\]/page.tsx"),
    (b"", b"star*", b"/star\\*"),
    (b"", b"a\\b", b"/a\\\\b"),
    (b"", b"[", b"/\\["),
    (b"", b"!x", b"/!x"),
    (b"", b"#x", b"/#x"),
    (b"src", b"#y", b"/src/#y"),
    (b"", b"with space", b"/with space"),
    (b"", b"at its end  ", b"/at its end \\ "),
    (b"", "café".encode(), "/café".encode()),
    (b"", b"latin-1 \xe9", b"/latin-1 \xe9"),
    # all of a directory
    (b"src", b".", b"/src"),
    (b"", b".", EVERYTHING),
    (b"", b"./", EVERYTHING),
    (b"src", b"..", EVERYTHING),
    (b"src", b"/", EVERYTHING),
    (b"src", b":/", EVERYTHING),
    (b"src", b":/.", EVERYTHING),
    # globs
    (b"", b"*.py", b"**/*.py"),
    (b"src", b"*.py", b"/src/**/*.py"),
    (b"src", b"./*.py", b"/src/*.py"),
    (b"src", b"/*.py", b"/*.py"),
    (b"src", b":/*.py", b"/*.py"),
    (b"src", b"/**/*.py", b"**/*.py"),
    (b"src", b"a*/b", b"/src/a*/b"),
    (b"src/deep", b"../*.py", b"/src/*.py"),
    (b"src", b"x//./y*", b"/src/x/y*"),
    (b"src", b"x/../y*", b"/src/y*"),
    (b"src", b"build*/", b"/src/**/build*/"),
    (b"", b"build*/", b"**/build*/"),
    (b"src", b"**", b"/src/**"),
    (b"", b"**", EVERYTHING),
    (b"", b"*", b"**/*"),
    (b"", b"dir/**", b"/dir/**"),
    (b"", b"dir/**/", b"/dir/*/"),
    (b"src", b"**/", b"/src/*/"),
    (b"", b"a/**/**/b", b"/a/**/b"),
    (b"", b"**/a?", b"**/a?"),
    (b"app/[slug]", b"*.tsx", b"/app/\\[slug\\]/**/*.tsx"),
    (b"", b"app/\\[slug\\]/*.tsx", b"/app/\\[slug\\]/*.tsx"),
    (b"", b"#*#", b"**/#*#"),
    (b"", b"x*\\ ", b"**/x*\\ "),
    (b"", b"[abc]*", b"**/[abc]*"),
    (b"", b"[!a-c]", b"**/[!a-c]"),
    (b"", b"[^a-c]", b"**/[^a-c]"),
    # a backslash takes the meaning off
    (b"", b"\\!x", b"/!x"),
    (b"src", b"a\\*b", b"/src/a\\*b"),
    (b"", b"a\\*", b"/a\\*"),
    (b"", b"\\**", b"**/\\**"),
    # the same, ignoring case and not
    (b"", b"*.[Cc]", b"**/*.[C-Cc]"),
    (b"", b"*.[!AB]", b"**/*.[!A-AB-B]"),
    (b"", b"[[]*", b"**/\\[*"),
    (b"", b"[A]*", b"**/A*"),
]

REFUSED = [
    (b"", b"", "it is empty", "'.'"),
    (b"", b"!y", "a leading '!'", "'\\!y'"),
    (b"", b"!src/*.py", "a leading '!'", "'\\!src/*.py'"),
    (b"", b"../x", "outside of the repository", "below the repository's top"),
    (b"src", b"../../*.py", "outside of the repository", "below the repository's top"),
    (b"src", b"/../x", "outside of the repository", "below the repository's top"),
    (b"", b"a\0b", "control character", "'a?b'"),
    (b"", b"a\nb", "control character", "'a?b'"),
    (b"", b"\x1b[31m", "control character", "'?[31m'"),
    (b"", b"a\x7f", "control character", "'a?'"),
    (b"", b"x" * 1025, "longer than 1,024 bytes", "directory above"),
    (b"src", b"x" * 1024, "longer than 1,024 bytes", "directory above"),
    (b"", b"a**", "'**' is not a whole name", "'*'"),
    (b"", b"**a/b", "'**' is not a whole name", "'*'"),
    (b"", b"***", "'**' is not a whole name", "'*'"),
    (b"", b"[[:alpha:]]x", "'[:alpha:]'", "'[a-zA-Z]'"),
    (b"", b"a[b", "not closed", "'\\['"),
    (b"", b"[]", "not closed", "'\\['"),
    (b"", b"[!]", "not closed", "'\\['"),
    (b"", b"x[a/b]", "not closed", "'\\['"),
    (b"", "[é]x".encode(), "not ASCII", "'*'"),
    (b"", b"[\\]]x", "a bracket holds a backslash", "']' first"),
    (b"", b"[z-a]", "runs backwards", "'a-z'"),
    (b"", b"[[a]", "begins with '['", "at the end"),
    (b"", b"[a--]", "'-' twice", "at the end"),
    (b"", b"[a&&b]", "'&' twice", "once"),
    (b"", b"x*\\", "ends in a backslash", "'\\\\'"),
    (b"", b"x\\", "ends in a backslash", "'\\\\'"),
    (b"", b"x\\/y*", "ends in a backslash", "'\\\\'"),
    (b"", b"src\\auth", "before an ordinary character", "'/'"),
    (b"", b"*\\A", "before an ordinary character", "leave it out"),
    (b"", b"x* ", "the space at its end", "'x*\\ '"),
    (b"", b"*/../x", "follows a wildcard", "directory itself"),
    (b"", b"app/[slug]/*", "is a directory here", "'app/\\[slug\\]/*'"),
    (b"", b".git", "'.git'", "files themselves"),
    (b"src", b"sub/.GIT/hooks/*", "'.git'", "files themselves"),
    (b"", b"*a*a*a*a*a", "take minutes", "leave some"),
    (b"", b"**/a/**/a/**/a/**/a/**/a", "take minutes", "leave some"),
]

FAULTY = [
    b"",
    b"!x",
    b"#x",
    b"\xef\xbb\xbf/x",
    b"/x ",
    b"/a//b",
    b"//",
    b"/",
    b"/a/./b",
    b"/a/../b",
    b"/a/\\./b",
    b"/a/**/",
    b"**/",
    b"/[A]",
    b"/\\A",
    b"/\\a",
    b"/a\xc3\\\xa9",
    b"/x" * 513,
]


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("oracle"))


def exists(path: bytes) -> bool:
    return path in TREE


@pytest.mark.parametrize(("cwd", "typed", "expected"), STORED)
def test_stored(cwd: bytes, typed: bytes, expected: bytes) -> None:
    assert stored(typed, cwd=cwd, exists=exists) == expected
    assert fault(expected) == ""
    assert covering(expected) == expected


@pytest.mark.parametrize(("cwd", "typed", "reason", "hint"), REFUSED)
def test_refused_with_a_reason_and_a_suggestion(cwd: bytes, typed: bytes, reason: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        stored(typed, cwd=cwd, exists=exists)
    assert refused.value.code == EXIT_USAGE
    assert reason in refused.value.what
    assert hint in refused.value.hint
    assert (refused.value.what + refused.value.hint).isprintable()


def test_a_refusal_quotes_what_was_typed_without_terminal_tricks() -> None:
    with pytest.raises(UsageError, match=r"cannot reserve 'a\\x1b\[2J\\u202ex\\xff':"):
        stored(b"a\x1b[2J\xe2\x80\xaex\xff", cwd=b"", exists=exists)


@pytest.mark.parametrize("pattern", FAULTY)
def test_outside_of_the_grammar(pattern: bytes) -> None:
    assert fault(pattern)


@given(st.binary(max_size=12), st.sampled_from([b"", b"src", b"app/[slug]"]))
def test_whatever_is_typed_is_stored_in_the_grammar_or_refused(typed: bytes, cwd: bytes) -> None:
    try:
        pattern = stored(typed, cwd=cwd, exists=exists)
    except UsageError:
        return
    assert fault(pattern) == ""
    assert pattern.startswith((b"/", b"**/"))
    assert stored(pattern, cwd=b"", exists=lambda _: False) == pattern


CONTROL = bytes(range(0x20)) + b"\x7f"


@given(st.binary(max_size=12).filter(lambda path: is_path(path) and path.translate(None, CONTROL) == path))
def test_an_existing_path_is_itself(path: bytes) -> None:
    pattern = literal(path)
    assert fault(pattern) == ""
    assert is_literal(pattern)
    assert prefix(pattern) == path
    if not path.startswith(b":/") and b".git" not in path.lower().split(b"/"):
        assert stored(path, cwd=b"", exists=lambda asked: asked == path) == pattern


@pytest.mark.parametrize("fold", [False, True])
def test_a_path_with_control_characters_has_a_pattern_that_covers_it_and_nothing_of_another_length(
    git: Git, fold: bool
) -> None:
    paths = [b"a/" + bytes([byte]) + b"b [x]" for byte in CONTROL if byte] + [
        b"a\t/\n",
        b"\x7f\xff",
        b" \x01 ",
        b"\x1b[31m",
    ]
    for path in paths:
        pattern = literal(path)
        assert fault(pattern) == ""
        others = [path + b"x", b"x" + path, b"a", b"other", path[:-1]]
        asked = [each for each in (path, *others) if is_path(each)]
        assert git.covered({b"": [pattern]}, asked, fold=fold) == {path}


@pytest.mark.parametrize("fold", [False, True])
def test_a_glob_means_what_it_means_in_a_gitignore_of_that_directory(git: Git, fold: bool) -> None:
    maker = Maker(51 + fold)
    checked = 0
    for _ in range(400):
        typed = maker.pattern()
        try:
            pattern = stored(typed, cwd=b"sub", exists=lambda _: False)
        except UsageError:
            continue
        if is_literal(pattern) or typed.startswith((b"/", b":/", b"#")) or fault(typed):
            continue
        paths = {b"sub/" + maker.near(typed) for _ in range(20)} | {maker.near(typed), b"sub"}
        assert git.covered({b"sub": [typed]}, paths, fold=fold) == git.covered({b"": [pattern]}, paths, fold=fold), (
            typed
        )
        checked += 1
    assert checked > 100


@pytest.mark.parametrize(
    ("pattern", "lead", "only"),
    [
        (b"/src/auth", b"src/auth", True),
        (b"/src/auth/", b"src/auth", False),
        (b"/src/a*.py", b"src", False),
        (b"/src/**", b"src", False),
        (b"/app/\\[slug\\]/x", b"app/[slug]/x", True),
        (b"/app/\\[slug\\]/[a]", b"app/[slug]", False),
        (b"/a\\ ", b"a ", True),
        (b"**/*.py", b"", False),
        (b"**/a", b"", False),
        (b"a", b"", False),
        (b"a/", b"", False),
        (b"a/b", b"a/b", True),
        (EVERYTHING, b"", False),
        (b"/src/a**", b"src", False),
        (b"/src/a\nb", b"src", False),
        (b"/src/../x", b"src", False),
        (b"src/ ", b"", False),
        (b"!/src", b"", False),
    ],
)
def test_the_literal_prefix(pattern: bytes, lead: bytes, only: bool) -> None:
    assert prefix(pattern) == lead
    assert is_literal(pattern) is only


@given(st.binary(max_size=16))
def test_any_bytes_have_a_covering_line_in_the_grammar(pattern: bytes) -> None:
    line = covering(pattern)
    assert line == b"" or fault(line) == ""
    assert not line or (prefix(pattern) + b"/").startswith(prefix(line).rstrip(b"/") + b"/" if prefix(line) else b"")


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (b"/src/a**", b"/src"),
        (b"/src/[slug]/[[:alpha:]]", b"/src"),
        (b"/my [dir", EVERYTHING),
        (b"/app/\\[slug\\]/a**", b"/app/\\[slug\\]"),
        (b"x\\", EVERYTHING),
        (b"/" + b"a/" * 600 + b"*", b"/a" * 511),
        (b"!x", b""),
        (b"# x", b""),
        (b"  ", b""),
    ],
)
def test_the_covering_line(pattern: bytes, line: bytes) -> None:
    assert covering(pattern) == line


@pytest.mark.parametrize(
    ("pattern", "place", "line"),
    [
        (b"/src/mod5/**/*.py", b"src/mod5", b"/**/*.py"),
        (b"/src/auth", b"src", b"/auth"),
        (b"/src/auth/", b"src", b"/auth/"),
        (b"/src/auth/**", b"src/auth", b"/**"),
        (b"/auth", b"", b"/auth"),
        (b"**/*.py", b"", b"**/*.py"),
        (b"src/*.py", b"src", b"/*.py"),
        (b"/app/\\[slug\\]/a/b", b"app/[slug]/a", b"/b"),
        (b"/sub/.Git/x/*", b"sub", b"/.Git/x/*"),
        (b"/sub/.gitignore/x", b"sub", b"/.gitignore/x"),
        (b"/sub/" + b"n" * 256 + b"/x", b"sub", b"/" + b"n" * 256 + b"/x"),
    ],
)
def test_where_a_pattern_is_laid_out(pattern: bytes, place: bytes, line: bytes) -> None:
    assert directory(pattern) == place
    assert relative(pattern, place) == line
    assert relative(pattern, b"") == pattern


def test_a_directory_above_may_hold_it_too() -> None:
    assert relative(b"/src/mod5/**/*.py", b"src") == b"/mod5/**/*.py"


def test_ignoring_case_only_names_without_letters_are_laid_out() -> None:
    assert directory(b"/2024/01/src/x/*", fold=True) == b"2024/01"


@pytest.mark.parametrize("fold", [False, True])
def test_laid_out_by_directory_the_answers_are_the_same(git: Git, fold: bool) -> None:
    maker = Maker(61 + fold)
    for _ in range(40):
        top = [b"/".join(maker.random.choices([b"a", b"B", b"1", b"\\[x\\]", b"c d"], k=3)) for _ in range(6)]
        patterns = [b"/" + maker.random.choice(top) + b"/" + pattern.lstrip(b"/") for pattern in maker.accepted(15)]
        patterns = [pattern for pattern in patterns if not fault(pattern)]
        paths = {maker.near(maker.random.choice(patterns)) for _ in range(100)}
        files: dict[bytes, list[bytes]] = {}
        for pattern in patterns:
            place = directory(pattern, fold=fold)
            files.setdefault(place, []).append(relative(pattern, place))
        assert git.covered(files, paths, fold=fold) == git.covered({b"": patterns}, paths, fold=fold)


def test_it_loads_nothing_that_slows_the_hook() -> None:
    asked = "import sys; sys.path.insert(0, sys.argv[1]); import guard.patterns.grammar; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", asked, str(ROOT)], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert not {"typing", "re", "pathlib", "pathspec", "enum", "dataclasses", "functools", "json"} & set(loaded)


def test_the_longest_pattern_is_accepted() -> None:
    assert stored(b"x" * (LIMIT - 1), cwd=b"", exists=exists) == b"/" + b"x" * (LIMIT - 1)
