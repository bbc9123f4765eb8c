"""What a person reads who is refused: one row a situation, with the whole text. Pure; nothing is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from guard.model import Conflict, GuardError, Reservation
from guard.refusal import LINES_MAX, LeaveOut, Situation, collapsed, dropped_text, pathspec, refusal_text
from guard.repo.changes import OneSided
from guard.stores.kinds import KINDS
from guard.words import notice, pasted, quoted, shown_name, unjudged_text

NOW = 1_700_000_000_000  # 22:13:20 on 14 November 2023, UTC
MINUTE = 60_000
KIND = {kind.name: kind for kind in KINDS}
SQLITE, AGENT_MAIL = KIND["sqlite"], KIND["agent-mail"]


def row(number: int = 1, pattern: bytes = b"/src/auth", **other: Any) -> Reservation:
    base = Reservation(
        id=number,
        project="p",
        holder="alice",
        pattern=pattern,
        typed=b"",
        exclusive=True,
        reason="new login",
        principal="",
        created_at=NOW - 10 * MINUTE,
        expires_at=NOW + 42 * MINUTE,
    )
    return base._replace(**other)


def touched(path: bytes, where: Reservation, commit: str | None = None, **other: Any) -> Conflict:
    return Conflict(path, commit, where)._replace(**other)


COMMIT = Situation("commit", "git commit …", "guard check", (LeaveOut("git restore --staged", (b"src/auth/x.py",)),))
PUSH = Situation("push", "git push …", "guard list --theirs")
ONE = [touched(b"src/auth/x.py", row())]
OID = "0123456789abcdef0123456789abcdef01234567"

TEXTS = {
    "a staged file": (
        refusal_text(ONE, COMMIT, me="bob", now=NOW, kind=SQLITE),
        """\
guard: commit refused: it changes 1 path that is reserved by alice.

  #1 alice holds /src/auth until 22:55 (in 42 min): new login
       src/auth/x.py

  leave it out:   git restore --staged -- :/src/auth/x.py
  wait for it:    guard reserve --wait 5m :/src/auth/x.py
  end theirs:     guard break 1 --reason 'why'   (ask first; they are told)
  once around it: GUARD_SKIP=1 git commit …   (recorded)
  (you are bob; not you? guard whoami)""",
    ),
    "nothing to leave it out of": (
        refusal_text(ONE, COMMIT._replace(leave_out=()), me="bob", now=NOW, kind=SQLITE),
        """\
guard: commit refused: it changes 1 path that is reserved by alice.

  #1 alice holds /src/auth until 22:55 (in 42 min): new login
       src/auth/x.py

  wait for it:    guard reserve --wait 5m :/src/auth/x.py
  end theirs:     guard break 1 --reason 'why'   (ask first; they are told)
  once around it: GUARD_SKIP=1 git commit …   (recorded)
  (you are bob; not you? guard whoami)""",
    ),
    "two holders, one of them a session": (
        refusal_text(
            [*ONE, touched(b"db/a b", row(2, b"/db/**", holder="claude-7f3a91c2-1b2c", reason="", expires_at=None))],
            COMMIT._replace(leave_out=(LeaveOut("git commit", (b"db/a b", b"src/auth/x.py"), exclude=True),)),
            me="bob",
            now=NOW,
            kind=SQLITE,
        ),
        """\
guard: commit refused: it changes 2 paths that are reserved by alice and claude-7f3a.

  #1 alice holds /src/auth until 22:55 (in 42 min): new login
       src/auth/x.py
  #2 claude-7f3a holds /db/** with no readable expiry, so it counts as active
       db/a b

  leave it out:   git commit -- ':/' ':/!db/a b' ':/!src/auth/x.py'
  wait for it:    guard reserve --wait 5m ':/db/a b' :/src/auth/x.py
  end theirs:     guard break 1 2 --reason 'why'   (ask first; they are told)
  once around it: GUARD_SKIP=1 git commit …   (recorded)
  (you are bob; not you? guard whoami)""",
    ),
    "Agent Mail's": (
        refusal_text(ONE, COMMIT, me="bob", now=NOW, kind=AGENT_MAIL),
        """\
guard: commit refused: it changes 1 path that is reserved by alice.

  #1 alice holds /src/auth until 22:55 (in 42 min): new login
       src/auth/x.py

  leave it out:   git restore --staged -- :/src/auth/x.py
  wait for it:    guard check :/src/auth/x.py   (ask alice through Agent Mail)
  once around it: AGENT_MAIL_BYPASS=1 git commit …
  (you are bob; not you? guard whoami)""",
    ),
    "a push": (
        refusal_text(
            [
                touched(b"src/auth/x.py", row(), OID, at=NOW - MINUTE),
                touched(b"src/auth/old", row(), OID[::-1], at=NOW - 60 * MINUTE),
                touched(b"src/auth/gone", row(), OID, at=NOW, discarded=True),
            ],
            PUSH,
            me="bob",
            now=NOW,
            kind=SQLITE,
        ),
        """\
guard: push refused: it changes 3 paths that are reserved by alice.

  #1 alice holds /src/auth until 22:55 (in 42 min): new login
       src/auth/x.py (commit 0123456789ab)
       src/auth/old (commit 76543210fedc, made before the reservation)
       src/auth/gone (discards commit 0123456789ab)

  A commit that was made before the reservation did nothing wrong: agree with its holder.
  wait for it:    guard reserve --wait 5m :/src/auth/gone :/src/auth/old :/src/auth/x.py
  end theirs:     guard break 1 --reason 'why'   (ask first; they are told)
  once around it: GUARD_SKIP=1 git push …   (recorded)
  (you are bob; not you? guard whoami)""",
    ),
    "a warning": (
        refusal_text(ONE, COMMIT, me="bob", now=NOW, refused=False),
        """\
guard: warning, this commit goes through (mode warn): it changes 1 path that is reserved by alice.

  #1 alice holds /src/auth until 22:55 (in 42 min): new login
       src/auth/x.py

  (you are bob; not you? guard whoami)""",
    ),
    "many paths": (
        refusal_text(
            [touched(b"src/auth/%d" % number, row()) for number in range(300)],
            COMMIT._replace(leave_out=(LeaveOut("git restore --staged", (b"src/auth",)),)),
            me="bob",
            now=NOW,
            kind=SQLITE,
        ),
        """\
guard: commit refused: it changes 300 paths that are reserved by alice.

  #1 alice holds /src/auth until 22:55 (in 42 min): new login
"""
        + "".join(f"       src/auth/{number}\n" for number in range(13))
        + """\
       … and 287 more
  (to see all: guard check)

  leave it out:   git restore --staged -- :/src/auth
  wait for it:    guard reserve --wait 5m :/src/auth
  end theirs:     guard break 1 --reason 'why'   (ask first; they are told)
  once around it: GUARD_SKIP=1 git commit …   (recorded)
  (you are bob; not you? guard whoami)""",
    ),
    "names that cannot be typed": (
        refusal_text(
            [touched(b"src/auth/\x1b[31m", row())],
            COMMIT._replace(leave_out=(LeaveOut("git restore --staged", (b"src/auth/\x1b",), file=b"/r/.git/out"),)),
            me="bob\x07",
            now=NOW,
            kind=SQLITE,
        ),
        """\
guard: commit refused: it changes 1 path that is reserved by alice.

  #1 alice holds /src/auth until 22:55 (in 42 min): new login
       src/auth/\\x1b[31m

  leave it out:   git restore --staged --pathspec-from-file=/r/.git/out --pathspec-file-nul
  wait for it:    guard reserve --wait 5m ':/src/auth/?\\[31m'
  end theirs:     guard break 1 --reason 'why'   (ask first; they are told)
  once around it: GUARD_SKIP=1 git commit …   (recorded)
  (you are bob\\x07; not you? guard whoami)""",
    ),
    "a merge that drops a change": (
        dropped_text([OneSided(b"src/auth/x.py", OID, "Alice A.")], [row()]),
        """\
guard: this merge takes one side of a path reserved by alice, and so drops a change.
  it drops what Alice A. changed in src/auth/x.py (git show 0123456789ab)
  It is not refused, but recorded (guard log). If you did not mean that, ask the holder before you push.""",
    ),
    "a lease that expired": (
        notice(row(end="expired", ended_at=NOW - MINUTE), now=NOW),
        "guard: your reservation #1 of /src/auth expired at 22:12. To have it back: guard reserve :/src/auth",
    ),
    "a lease that was broken": (
        notice(row(end="broken", ended_by="carol", ended_at=NOW - MINUTE, end_reason="hotfix 4711"), now=NOW),
        "guard: carol broke your reservation #1 of /src/auth at 22:12: hotfix 4711",
    ),
    "a lease that was broken without a reason": (
        notice(row(end="broken", ended_by="carol", ended_at=NOW - MINUTE), now=NOW),
        "guard: carol broke your reservation #1 of /src/auth at 22:12, and gave no reason",
    ),
    "no answer": (
        unjudged_text(GuardError("the store /s is empty", hint="rm /s"), verb="commit", passes=""),
        """\
guard: cannot tell whether this commit touches a path that somebody has reserved.
  why:    the store /s is empty
  repair: rm /s
  around: GUARD_SKIP=1 git commit … (once, unjudged)
  out:    guard uninstall (in this repository, until guard install)""",
    ),
    "no answer, and let through": (
        unjudged_text(GuardError("git failed"), verb="push", passes="GUARD_SKIP is set"),
        """\
guard: cannot tell whether this push touches a path that somebody has reserved.
  why:    git failed
guard: NOT JUDGED, and let through: GUARD_SKIP is set.""",
    ),
}


@pytest.mark.parametrize("situation", list(TEXTS))
def test_the_whole_text(situation: str) -> None:
    said, expected = TEXTS[situation]
    assert said == expected


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 40, 500])
@pytest.mark.parametrize("each", [1, 2, 7, 30])
@pytest.mark.parametrize("commit", [None, OID])
def test_never_more_than_a_screen_and_everything_is_counted(rows: int, each: int, commit: str | None) -> None:
    conflicts = [
        touched(b"d%d/%d" % (number, path), row(number, b"/d%d" % number, holder=f"h{number}"), commit, at=0)
        for number in range(rows)
        for path in range(each)
    ]
    situation = COMMIT if commit is None else PUSH
    lines = refusal_text(conflicts, situation, me="bob", now=NOW, kind=SQLITE).split("\n")
    assert len(lines) <= LINES_MAX, "\n".join(lines)
    assert f"{rows * each} path" in lines[0]
    shown = sum(line.startswith("       d") for line in lines)
    more = sum(int(line.split()[2]) for line in lines if line.startswith("       … and"))
    if rows * each > shown:
        groups = sum(line.startswith("  #") for line in lines)
        assert shown + more == groups * each
        assert any(line.startswith(f"  … and {rows - groups} more reservation") for line in lines) == (rows > groups)
        assert any("to see all: " in line for line in lines)


NAMES = [
    # name, among, as shown
    ("claude-7f3a91c2-1b2c-4d5e", [], "claude-7f3a"),
    ("claude-7f3a91c2", ["claude-7f3b0000"], "claude-7f3a"),
    ("claude-7f3a91c2", ["claude-7f3a0000"], "claude-7f3a9"),
    ("claude-7f3a91c2-1b2c", ["claude-7f3a91c2-1b2d"], "claude-7f3a91c2-1b2c"),
    ("claude-7f3a91c2-1b2c", ["claude-7f3a91c2-2b2c"], "claude-7f3a91c2-1"),
    ("claude-7f3a91c2", ["codex-7f3a91c2"], "claude-7f3a"),
    ("claude-7f3a91c2", ["claude-7f3a91c2"], "claude-7f3a"),
    ("codex-0199a213-81c0", [], "codex-0199"),
    ("claude-reviewer", [], "claude-reviewer"),
    ("claude-7f3", [], "claude-7f3"),
    ("claude", [], "claude"),
    ("alice", [], "alice"),
    ("alice-7f3a91c2", [], "alice-7f3a91c2"),
    ("claude-7f3a91c2@host", [], "claude-7f3a91c2@host"),
    ("", [], ""),
]


@pytest.mark.parametrize(("name", "among", "shown"), NAMES)
def test_a_session_is_shown_short_and_never_like_another(name: str, among: list[str], shown: str) -> None:
    assert shown_name(name, among) == shown
    assert all(shown_name(other, [name]) != shown for other in among if other != name)


WORDS = [
    b"plain",
    b"a b",
    b"-n",
    b"~",
    b"=x",
    b"!x",
    b"#x",
    b"a'b",
    b'a"b',
    b"$HOME",
    b"`x`",
    b"a\\b",
    b"*",
    b"?",
    b"[a]",
]


@pytest.mark.parametrize("word", [*WORDS, b"a;b", b"a|b&c", b"%s", b"caf\xc3\xa9", b"{a,b}", b"(x)", b"a=b", b"^"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_pasted_word_arrives_as_it_is(word: bytes, shell: str, tmp_path: Path) -> None:
    text = pasted(word)
    assert text
    said = subprocess.run([shell, "-c", f"printf '%s' {text}"], capture_output=True, check=True, cwd=tmp_path)
    assert said.stdout == word


ODD = [
    b"-x'\"$(touch x)",
    b"-n",
    b"- y",
    b"a\nb",
    b"\x1b[31m'\\",
    b"caf\xe9 \xff7",
    "\u202egnp\x07".encode(),
    b"=ls",
    b"~",
    b"",
]


@pytest.mark.parametrize("word", [*WORDS, *ODD])
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_quoted_path_arrives_as_it_is(word: bytes, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs the program {shell}")
    text = quoted(word)
    assert text.isprintable()
    place = tmp_path / "place"
    place.mkdir()
    said = subprocess.run([shell, "-c", f"printf '%s' {text}"], capture_output=True, check=True, cwd=place)
    assert said.stdout == (b"./" + word if word.startswith(b"-") else word)
    assert not os.listdir(place), "something in the name was run"


@pytest.mark.parametrize("word", [b"", b"\n", b"a\tb", b"\x1b[m", b"caf\xe9", "\u202egnp".encode(), b"\x7f"])
def test_what_a_terminal_cannot_show_is_not_offered_to_be_pasted(word: bytes) -> None:
    assert pasted(word) == ""


PATHSPECS = [
    (b"src/x.py", b":/src/x.py", b":/!src/x.py"),
    (b".x", b":/.x", b":/!.x"),
    (b"_x", b":(top,literal)_x", b":(top,exclude,literal)_x"),
    (b"!x", b":(top,literal)!x", b":(top,exclude,literal)!x"),
    (b"a*", b":(top,literal)a*", b":(top,exclude,literal)a*"),
    (b"\xff", b":(top,literal)\xff", b":(top,exclude,literal)\xff"),
]


@pytest.mark.parametrize(("path", "plain", "excluded"), PATHSPECS)
def test_a_path_as_a_pathspec_for_itself_alone(path: bytes, plain: bytes, excluded: bytes) -> None:
    assert (pathspec(path), pathspec(path, exclude=True)) == (plain, excluded)


SIX = [b"d/%d" % number for number in range(6)]
COLLAPSED = [
    (SIX[:5], SIX, SIX[:5]),
    (SIX, SIX, [b"d"]),
    (SIX, [*SIX, b"d/other"], SIX),
    (SIX, [*SIX, b"x"], [b"d"]),
    ([*SIX, b"d/e/f", b"x"], [*SIX, b"d/e/f", b"x"], [b"d", b"x"]),
    ([*SIX, b"d/e/f"], [*SIX, b"d/e/f", b"d/g/h"], [*SIX, b"d/e"]),
    ([*SIX, b"dd"], [*SIX, b"dd"], [b"d", b"dd"]),
]


@pytest.mark.parametrize(("paths", "changed", "found"), COLLAPSED)
def test_a_directory_stands_for_its_files_where_nothing_else_in_it_was_changed(
    paths: list[bytes], changed: list[bytes], found: list[bytes]
) -> None:
    assert list(collapsed(paths, changed)) == found
