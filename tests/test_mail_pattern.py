"""What MCP Agent Mail's patterns mean to guard, as tables: their text, a path, and whether it is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guard.patterns.grammar import covering, fault
from guard.patterns.match import Union
from guard.stores.agent_mail.pattern import Site, protects_nothing, translated, with_submodule
from tests.support.git_check_ignore import Git

if TYPE_CHECKING:
    from pathlib import Path

HERE = Site((b"srv", b"shop"), (b"srv", b"shop"))
ABOVE = Site((b"srv",), (b"srv", b"shop"))
BELOW = Site((b"srv", b"shop", b"packages", b"[web]"), (b"srv", b"shop"))
ASIDE = Site((b"other",), (b"srv", b"shop"))

COVERED = [
    (b"src/auth/**", b"src/auth/login.py"),
    (b"src/auth", b"src/auth/deep/login.py"),
    (b"src/auth/", b"src/auth/login.py"),
    (b"README.md", b"README.md"),
    (b"README.md", b"docs/README.md"),
    (b"./README.md", b"README.md"),
    (b"./src//auth/./login.py", b"src/auth/login.py"),
    (b"src/../lib/x.py", b"lib/x.py"),
    (b"/README.md", b"README.md"),
    (b".", b"any/thing"),
    (b"./", b"any/thing"),
    (b"/", b"any/thing"),
    (b"**", b"any/thing"),
    (b"*", b"any/thing"),
    (b"**/*.py", b"a.py"),
    (b"src\\auth\\login.py", b"src/auth/login.py"),
    (b"src\\*.py", b"src/a.py"),
    (b"src\\*.py", b"src*.py"),
    (b"a\\#b", b"a#b"),
    (b"src\\auth.py", b"srcauth.py"),  # as git reads it
    (b"app/[slug]/page.tsx", b"app/[slug]/page.tsx"),
    (b"app/[slug]/page.tsx", b"app/s/page.tsx"),
    (b"app/[...all]/page.tsx", b"app/[...all]/page.tsx"),
    (b"/srv/shop/src/a.py", b"src/a.py"),
    (b"/srv/shop/src/a.py", b"srv/shop/src/a.py"),
    (b"/srv/shop", b"any/thing"),
    (b"#notes", b"#notes"),
    (b" src/a.py ", b"src/a.py"),
    (b"src/a.py\n", b"src/a.py"),
    (b"a**", b"abc"),
    (b"a/***/b", b"a/x/y/b"),
    (b"src/**.py", b"src/a.py"),
    (b"src/[[:alpha:]]x", b"src/ax"),  # as git reads it
    (b"src/[[:alpha:]]x", b"src/a]x"),  # as pathspec does
    (b"src/[", b"src/["),
    (b"src/[z-a]", b"src/[z-a]"),
    (b"[Mm]akefile", b"makefile"),
    (b"[Mm]akefile", b"Makefile"),
    (b"x\\", b"x"),
    (b"src/*/../y", b"src/y"),
    (b"src/**/../y", b"src/a/y"),
    (b"x" * 2000, b"anything"),
    (b"*a" * 40, b"anything"),
    (b"caf\xc3\xa9/**", b"caf\xc3\xa9/x"),
    (b"\xff\xfe", b"\xff\xfe"),
]

NOT_COVERED = [
    (b"src/auth/**", b"src/author.py"),
    (b"./README.md", b"docs/README.md"),
    (b"/README.md", b"docs/README.md"),
    (b"src/../lib/x.py", b"src/x.py"),
    (b"../sibling/x.py", b"x.py"),
    (b"../sibling/x.py", b"sibling/x.py"),
    (b"a**", b"b"),
    (b"src/**.py", b"src/a/b.py"),
    (b"src/[[:alpha:]]x", b"lib/ax"),
    (b"[Mm]akefile", b"bakefile"),
    (b"!src/a.py", b"src/a.py"),
    (b"!**", b"any/thing"),
    (b"tool://build", b"tool:/build"),
    (b"resource://db/main", b"db/main"),
    (b"SERVICE://queue", b"queue"),
    (b"", b"any/thing"),
    (b"  ", b"any/thing"),
]


@pytest.mark.parametrize(("text", "path"), COVERED)
def test_covered(text: bytes, path: bytes) -> None:
    assert Union(translated(text, HERE)).matches(path), translated(text, HERE)


@pytest.mark.parametrize(("text", "path"), NOT_COVERED)
def test_not_covered(text: bytes, path: bytes) -> None:
    assert not Union(translated(text, HERE)).matches(path), translated(text, HERE)


def test_the_union_that_git_reads_misses_none_of_it(tmp_path: Path) -> None:
    git = Git(tmp_path / "git")
    for text, path in COVERED:
        lines = [covering(pattern) for pattern in translated(text, HERE)]
        assert all(not fault(line) for line in lines), lines
        assert git.covered({b"": lines}, [path], fold=False) == {path}, (text, lines)


def test_what_is_in_the_grammar_covers_what_it_covers_to_git(tmp_path: Path) -> None:
    """One meaning, where there is one: then nothing more is covered either."""
    git = Git(tmp_path / "git")
    paths = [path for _, path in COVERED + NOT_COVERED]
    for text in (b"src/auth/**", b"src/auth/", b"README.md", b"/README.md", b"**/*.py", b"[Mm]akefile", b"src/b?.py"):
        for path in paths:
            assert Union(translated(text, HERE)).matches(path) == bool(git.covered({b"": [text]}, [path], fold=False))


@pytest.mark.parametrize(
    ("text", "site", "patterns"),
    [
        (b"shop/src/**", ABOVE, [b"/src/**"]),
        (b"*/src/**", ABOVE, [b"/src/**"]),
        (b"sh?p/src/a.py", ABOVE, [b"/src/a.py"]),
        (b"s[a-h]op/src/a.py", ABOVE, [b"/src/a.py"]),
        (b"SHOP/src/a.py", ABOVE, [b"/src/a.py"]),  # core.ignoreCase is not known here
        (b"other/src/**", ABOVE, []),
        (b"shop", ABOVE, [b"/**"]),
        (b"sh*", ABOVE, [b"/**"]),
        (b"shop/", ABOVE, [b"/**"]),
        (b"shop/**", ABOVE, [b"/**"]),
        (b".", ABOVE, [b"/**"]),
        (b"*.py", ABOVE, [b"**/*.py"]),
        (b"**/shop/a.py", ABOVE, [b"**/shop/a.py", b"/a.py"]),
        (b"/srv/shop/a.py", ABOVE, [b"/a.py"]),
        (b"shop/x[[:alpha:]]y/z", ABOVE, [b"/**", b"/x?y/z"]),
        (b"src/a.py", BELOW, [b"/packages/\\[web\\]/src/a.py"]),
        (b"*.py", BELOW, [b"/packages/\\[web\\]/**/*.py"]),
        (b".", BELOW, [b"/packages/\\[web\\]/**"]),
        (b"../api/x.py", BELOW, [b"/packages/api/x.py"]),
        (b"/srv/shop/lib/x.py", BELOW, [b"/packages/\\[web\\]/srv/shop/lib/x.py", b"/lib/x.py"]),
        (b"src/**", ASIDE, []),
        (b"../srv/shop/src/**", ASIDE, [b"/src/**"]),
    ],
)
def test_relative_to_the_projects_directory(text: bytes, site: Site, patterns: list[bytes]) -> None:
    found = translated(text, site)
    assert found == patterns or (b"/**" in patterns and found == [b"/**"])


def test_what_protects_nothing_is_said() -> None:
    assert "negated" in protects_nothing(b"!src/a.py")
    assert "no path" in protects_nothing(b"tool://build")
    assert "empty" in protects_nothing(b" ")
    assert protects_nothing(b"src/**") == ""


def test_no_bytes_are_too_odd() -> None:
    import random

    generator = random.Random(7)
    letters = b"ab/\\[]*?!#. \n\x00\xff^-:~"
    for _ in range(5000):
        text = bytes(generator.choices(letters, k=generator.randint(0, 12)))
        for site in (HERE, ABOVE, BELOW):
            for pattern in translated(text, site):
                line = covering(pattern)
                assert not line or not fault(line), (text, pattern)
                Union([pattern]).matches(b"a/b")


@pytest.mark.parametrize(
    ("pattern", "widened"),
    [
        (b"/src/**", b"/src"),
        (b"/src/", b"/src"),
        (b"/src", b"/src"),
        (b"/src/*", b"/src/*"),
        (b"/a*/**", b"/a*"),
        (b"/**", b"/**"),
        (b"**/x/**", b"**/x"),
        (b"/*/", b"/*/"),
        (b"/src/a\\", b"/src/a\\"),
    ],
)
def test_all_below_a_directory_is_widened_to_what_stands_there(pattern: bytes, widened: bytes) -> None:
    assert with_submodule(pattern) == widened
