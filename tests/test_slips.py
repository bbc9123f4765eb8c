"""What is refused though it is a pattern: it would guard nothing. Each kind with many members, and its look-alikes."""

from __future__ import annotations

import pytest

from guard.patterns.grammar import Malformed
from guard.patterns.slips import alternatives, check

TREE = {
    b"src",
    b"src/a.py",
    b"src/b.py",
    b"src/auth",
    b"docs",
    b"docs/a.md",
    b"README.md",
    b"odd {a,b}.txt",
    b"x:12",
    b"my dir",
    b"two words.txt",
}

SLIPS = [
    # braces
    (b"src/*.{py,ts}", "braces", "guard reserve 'src/*.py' 'src/*.ts'"),
    (b"src/{a,b}.py", "braces", "guard reserve src/a.py src/b.py"),
    (b"{src,docs}", "braces", "guard reserve src docs"),
    (b"{src,docs}/**", "braces", "'src/**' 'docs/**'"),
    (b"src/{a,b{c,d}}.py", "braces", "src/a.py src/bc.py src/bd.py"),
    (b"{a,b}/{c,d}", "braces", "a/c a/d b/c b/d"),
    (b"src/{a,}.py", "braces", "src/a.py src/.py"),
    (b"file{1..3}.txt", "braces", "file1.txt file2.txt file3.txt"),
    (b"file{08..10}.txt", "braces", "file08.txt file09.txt file10.txt"),
    (b"{a..c}.txt", "braces", "a.txt b.txt c.txt"),
    (b"src/**/*.{js,jsx,ts,tsx,mjs,cjs,vue}", "braces", " …"),
    # lines, columns, symbols
    (b"file.py:12", "whole files", "guard reserve file.py"),
    (b"src/a.py:12", "whole files", "guard reserve src/a.py"),
    (b"src/a.py:12:5", "whole files", "guard reserve src/a.py"),
    (b"src/a.py:12-20", "whole files", "guard reserve src/a.py"),
    (b"src/a.py:12:", "whole files", "guard reserve src/a.py"),
    (b"src/a.py:12: error: bad", "whole files", "guard reserve src/a.py"),
    (b"src/a.py#L12", "whole files", "guard reserve src/a.py"),
    (b"src/a.py#L12-L20", "whole files", "guard reserve src/a.py"),
    (b"src/a.py(12)", "whole files", "guard reserve src/a.py"),
    (b"src/a.py(12,5)", "whole files", "guard reserve src/a.py"),
    (b"src/a.py@12", "whole files", "guard reserve src/a.py"),
    (b"src/a.py::test_x", "whole files", "guard reserve src/a.py"),
    (b"src/a.py:login", "whole files", "guard reserve src/a.py"),
    (b"new file.py:7", "whole files", "'new file.py'"),
    # several words
    (b"src docs", "several words", "guard reserve src docs"),
    (b"src/a.py src/b.py", "several words", "guard reserve src/a.py src/b.py"),
    (b"src/new.py docs/new.md", "several words", "src/new.py docs/new.md"),
    (b"src/*.py docs/*.md", "several words", "'src/*.py' 'docs/*.md'"),
    (b"src/**  README.md", "several words", "'src/**' README.md"),
    (b"*.py *.md", "several words", "'*.py' '*.md'"),
    (b"src,docs", "several words", "guard reserve src docs"),
    (b"src/a.py, src/b.py", "several words", "src/a.py src/b.py"),
    (b"src;docs", "several words", "guard reserve src docs"),
    (b"src:docs", "revision", "guard reserve docs"),
    (b"src/a.py:src/b.py", "revision", "guard reserve src/b.py"),
    # quotes and spaces that the shell was to take off
    (b"'src/a.py'", "part of the name", "guard reserve src/a.py"),
    (b'"src/*.py"', "part of the name", "guard reserve 'src/*.py'"),
    (b"`src`", "part of the name", "guard reserve src"),
    (b" src", "begins or ends with a space", "guard reserve src"),
    (b"docs ", "begins or ends with a space", "guard reserve docs"),
    # what the shell was to replace
    (b"~/project/src", "'~'", "guard reserve ~/project/src"),
    (b"~", "'~'", "guard reserve ~"),
    (b"~alice/src", "'~'", "guard reserve ~alice/src"),
    (b"$PWD/src", "the variable", 'guard reserve "$PWD/src"'),
    (b"${PWD}/src", "the variable", 'guard reserve "${PWD}/src"'),
    (b"$HOME", "the variable", 'guard reserve "$HOME"'),
    (b"$(git rev-parse --show-toplevel)/src", "the command", "double quotes"),
    (b"src/`date`", "the command", "double quotes"),
    # words of git's, of patches, of browsers
    (b":(glob)src/**", "magic", "guard reserve 'src/**'"),
    (b":(top,icase)src", "magic", "guard reserve src"),
    (b":!docs", "magic", "guard reserve docs"),
    (b":^docs", "magic", "guard reserve docs"),
    (b"HEAD:src/a.py", "revision", "guard reserve src/a.py"),
    (b"main~2:src/a.py", "revision", "guard reserve src/a.py"),
    (b"https://github.com/o/r/blob/main/src/a.py", "address", "guard reserve src"),
    (b"file:///src/a.py", "address", "guard reserve src"),
    (b"a/src/a.py", "a patch puts", "guard reserve src/a.py"),
    (b"b/README.md", "a patch puts", "guard reserve README.md"),
]

MEANT = [
    *sorted(TREE),
    b"src/new.py",
    b"src/**/*.py",
    b"with space",
    b"my dir/*.py",
    b"src/my file.py",
    b"Program Files/x",
    b"two words.txt",
    b"a,b",
    b"a;b",
    b"c:d",
    b"app/(group)/page.tsx",
    b"routes/$id.tsx",
    b"$id.tsx",
    b"routes/$",
    b"[slug]/page.tsx",
    b"@types/x.d.ts",
    b"{}",
    b"{a}",
    b"src/\\{a,b\\}.py",
    b"file.py\\:12",
    b"src\\ docs",
    b"#x",
    b"a~",
    b"src/~a",
    b"x#L",
    b"src/a.py(x)",
    b"new.py@12",
    b"a/new.py",
    b":docs",
    b":/docs",
    b"it's",
    b"'",
    b"''",
    b"don't stop",
    b"",
]


def exists(path: bytes) -> bool:
    return path in TREE


@pytest.mark.parametrize(("typed", "reason", "hint"), SLIPS, ids=lambda value: repr(value)[:40])
def test_slips_are_refused_with_the_right_words(typed: bytes, reason: str, hint: str) -> None:
    with pytest.raises(Malformed) as refused:
        check(typed, exists)
    assert reason in refused.value.reason
    assert hint in refused.value.hint
    assert refused.value.hint.startswith("guard reserve ")


@pytest.mark.parametrize("typed", MEANT, ids=repr)
def test_what_only_looks_like_a_slip_passes(typed: bytes) -> None:
    check(typed, exists)


def test_braces_are_expanded_as_a_shell_does() -> None:
    assert list(alternatives(b"a{b,c{1..2}}d\\{e,f\\}")) == [b"abd\\{e,f\\}", b"ac1d\\{e,f\\}", b"ac2d\\{e,f\\}"]
    assert list(alternatives(b"a{b")) == [b"a{b"]
    assert list(alternatives(b"a}b,c{")) == [b"a}b,c{"]
