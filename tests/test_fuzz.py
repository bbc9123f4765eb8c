"""Random patterns, paths, rows, lines and bytes: the hook's fast verdict never clears what the full one refuses.

The differential test goes through the installed hook: the staged paths come from a real index, the fast verdict is sh
and git, the full one is Python and pathspec, and git check-ignore itself is asked as a third.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard import judge, words
from guard.commands import render
from guard.model import Change, UsageError
from guard.patterns.grammar import fault, prefix, stored
from guard.refusal import Situation, refusal_text
from guard.repo import changes, git
from guard.stores.sqlite import SqliteStore
from tests.support import environment
from tests.support.databases import connected
from tests.support.git_check_ignore import Git, Maker
from tests.support.repositories import Done, run
from tests.support.stage import Stage

NOW = time.time_ns() // 1_000_000
HOUR = 3_600_000


def settle(stage: Stage, rows: list[tuple[str, bytes, int, bool]]) -> None:
    """Writes (holder, pattern, exclusive, with its prefix) as another program does: what is held is just that."""
    with connected(stage.store) as connection:
        connection.execute("DELETE FROM reservation")
        connection.executemany(
            "INSERT INTO reservation (project, holder, pattern, prefix, exclusive, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (stage.project, holder, pattern, prefix(pattern).lower() if known else None, exclusive, NOW, NOW + HOUR)
                for holder, pattern, exclusive, known in rows
            ],
        )


def hook_says(stage: Stage, path: bytes, index: Path, oid: str) -> Done:
    """The verdict of the installed hook on an index in which just this path differs from HEAD."""
    repository = stage.repository
    env = {"GIT_INDEX_FILE": str(index)}
    repository.git("read-tree", "HEAD", env=env)
    entry = b"100644 " + oid.encode() + b" 0\t" + path + b"\0"
    repository.git("update-index", "-z", "--index-info", env=env, stdin=entry)
    return run([str(repository.path / ".git/hooks/pre-commit")], cwd=repository.path, env={"GUARD_AGENT": "bob", **env})


def can_be_tracked(path: bytes) -> bool:
    names = [name.lower() for name in path.split(b"/")]
    return not any(name.startswith(b".git") or b"~" in name for name in names)


def differential(
    stage: Stage, place: Path, *, seed: int, sets: int, size: int, paths: int, fold: bool, spread: bool = False
) -> str:
    """Compares the verdicts on random sets of patterns; returns what was compared.

    ``spread``: each pattern in a directory of its own, for among many in one place nothing would ever be clear.
    """
    maker = Maker(seed)
    place.mkdir(exist_ok=True)
    oracle = Git(place / "oracle")
    index = place / "index"
    stage.repository.git("config", "core.ignoreCase", "true" if fold else "false")
    config = stage.repository.path / ".git/config"
    os.utime(config, (1_000_000_000, 1_000_000_000))
    oid = stage.repository.git("hash-object", "-w", "--stdin", stdin=b"new\n").out.decode().strip()
    store = SqliteStore(str(stage.store), patience_s=10)
    refused = asked = 0
    for _ in range(sets):
        patterns = maker.accepted(size)
        if spread:
            patterns = [b"/d%d/%b" % (number, each.lstrip(b"/")) for number, each in enumerate(patterns)]
            patterns = [each for each in patterns if not fault(each)]
        strange = [] if spread else [maker.pattern()]  # another program may store what guard itself refuses
        rows = [(maker.random.choice(("alice", "carol")), each, 1, maker.random.random() < 0.8) for each in patterns]
        rows += [("carol", each, 1, False) for each in strange if fault(each)]
        rows += [("bob", b"/d*", 1, True), ("alice", b"**", 0, True)]  # his own, and a shared one: neither refuses
        settle(stage, rows)
        theirs = [pattern for holder, pattern, exclusive, _ in rows if holder != "bob" and exclusive]
        strict = [pattern for pattern in theirs if not fault(pattern)]
        tried = [maker.near(maker.random.choice(theirs)) for _ in range(paths // 2)]
        tried += [b"d%d/%b" % (number % size, maker.path()) for number in range(paths - len(tried))]
        tried = [path for path in dict.fromkeys(tried) if can_be_tracked(path)]
        by_git = oracle.covered({b"": strict}, tried, fold=fold)
        for path in tried:
            said = hook_says(stage, path, index, oid)
            change = [Change(path)]
            full = judge.verdict(store, change, project=stage.project, me="bob", fold=fold)
            asked += 1
            refused += said.code == 1
            shown = (path, theirs, said.text)
            assert said.code in (0, 1), shown
            assert (said.code == 0) == full.clear, shown
            assert path not in by_git or said.code == 1, shown
            assert path in by_git or said.code == 0 or len(strict) < len(theirs), shown
    store.close()
    assert asked / 20 < refused < asked * 19 / 20, f"{refused} of {asked} refused: that says little"
    return f"{asked} changes, {asked * size} pattern × path pairs: {refused} refused, the rest clear, all agreed"


@pytest.mark.parametrize("fold", [False, True], ids=["exact", "folded"])
def test_the_fast_verdict_and_the_full_one_agree(
    stage: Stage, tmp_path: Path, fold: bool, figure: Callable[[str], None]
) -> None:
    seed = int(environment.OUTSIDE.get("GUARD_SEED", "0")) or random.randrange(1 << 32)
    try:
        figure(differential(stage, tmp_path, seed=seed, sets=4, size=2, paths=12, fold=fold))
    except AssertionError as error:
        raise AssertionError(f"with GUARD_SEED={seed}: {error}") from error


@pytest.mark.long
@pytest.mark.parametrize("fold", [False, True], ids=["exact", "folded"])
def test_the_fast_verdict_and_the_full_one_agree_at_length(
    stage: Stage, tmp_path: Path, fold: bool, figure: Callable[[str], None]
) -> None:
    figure(differential(stage, tmp_path / "few", seed=6, sets=30, size=2, paths=24, fold=fold))
    figure(differential(stage, tmp_path / "many", seed=7, sets=30, size=60, paths=24, fold=fold, spread=True))


@pytest.mark.long
def test_and_where_the_union_is_laid_out_by_directory(
    stage: Stage, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    figure(differential(stage, tmp_path, seed=8, sets=4, size=400, paths=60, fold=False, spread=True))


# Lines of a push


OID = st.sampled_from(["0" * 40, "1" * 40, "a" * 64, "0" * 64]).map(str.encode)
REF = st.sampled_from([b"refs/heads/main", b"(delete)", b"HEAD~1 x", b"refs/\xff\x1b[2J"]) | st.binary(max_size=20)
LINES = st.lists(st.one_of(st.tuples(REF, OID, REF, OID).map(b" ".join), st.binary(max_size=80)), max_size=4)


@given(LINES)
def test_any_line_of_a_push_is_read_or_refused(lines: list[bytes]) -> None:
    try:
        updates = changes.pushed_refs(b"\n".join(lines))
    except git.GitError as error:
        assert "no ref update" in error.what
    else:
        for update in updates:
            assert len(update.new) in (40, 64)
            assert len(update.old) in (40, 64)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES)
def test_a_push_of_nonsense_ends_with_a_message(stage: Stage, lines: list[bytes]) -> None:
    hook = str(stage.repository.path / ".git/hooks/pre-push")
    done = run(
        [hook, "origin", "/nowhere"],
        cwd=stage.repository.path,
        env={"GUARD_AGENT": "bob"},
        stdin=b"".join(line + b"\n" for line in lines),
    )
    assert done.code in (0, 3), done.text
    assert done.code == 0 or b"cannot tell" in done.err
    assert b"Traceback" not in done.err


# Patterns


@given(st.binary(max_size=40), st.sampled_from([b"", b"src", b"a b/[c]"]), st.booleans())
def test_any_bytes_are_a_pattern_or_a_reason_why_not(typed: bytes, cwd: bytes, exists: bool) -> None:
    try:
        pattern = stored(typed, cwd=cwd, exists=lambda _: exists)
    except UsageError as error:
        assert error.what.isprintable()
        assert error.hint
    else:
        assert not fault(pattern)
        assert pattern.startswith((b"/", b"**/"))
        assert b"\n" not in pattern


# Rows, as anybody may have written them

ANYTHING = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1), st.floats(allow_nan=False), st.text(max_size=12), st.binary(max_size=12)
)
SOMETIMES = st.one_of(st.none(), ANYTHING)
HOLDER = st.one_of(st.sampled_from(["alice", "bob", "carol"]), ANYTHING)
PATTERN = st.one_of(st.sampled_from(["/held", "/src/**", "/[", "!/held", "!**", "", "\n/held", "**", "\0"]), ANYTHING)
ROW = st.fixed_dictionaries(
    {
        "holder": HOLDER, "pattern": PATTERN, "typed": ANYTHING, "prefix": st.none(), "exclusive": ANYTHING,
        "reason": ANYTHING, "principal": ANYTHING, "created_at": ANYTHING, "expires_at": ANYTHING,
        "ended_at": SOMETIMES, "ended_by": SOMETIMES, "end": SOMETIMES, "told": ANYTHING,
    }
)  # fmt: skip


def write_badly(path: Path, project: str, rows: list[dict[str, object]]) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA ignore_check_constraints = 1")
    connection.execute("DELETE FROM reservation WHERE id <> 1")
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        connection.execute(
            f"INSERT INTO reservation (project, {names}) VALUES (?{', ?' * len(row)})", (project, *row.values())
        )
    connection.execute("DELETE FROM log")
    entries = "INSERT INTO log (project, at, event, generation, holder, principal, pattern, reason) VALUES"
    named = ("created_at", "typed", "told", "holder", "principal", "pattern", "reason")
    for row in rows:
        connection.execute(f"{entries} (?, ?, ?, ?, ?, ?, ?, ?)", (project, *(row.get(name, 1) for name in named)))
    connection.commit()
    connection.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=4))
def test_bad_rows_disable_no_good_one(stage: Stage, rows: list[dict[str, object]]) -> None:
    write_badly(stage.store, stage.project, rows)
    store = SqliteStore(str(stage.store), patience_s=5)
    try:
        assert b"/held" in store.union_source(stage.project, "bob").patterns
        verdict = judge.verdict(store, [Change(b"held/x.txt")], project=stage.project, me="bob", fold=False)
        assert 1 in [found.reservation.id for found in verdict.conflicts]
        clear = judge.verdict(store, [Change(b"src/b.py")], project=stage.project, me="bob", fold=False).clear
        blind = [
            row for row in rows
            if row["pattern"] == "/src/**" and row["ended_at"] is None and row["holder"] in ("alice", "carol")
            and row["exclusive"] not in (0, "0") and not isinstance(row["expires_at"], (int, float))
        ]  # fmt: skip
        assert not (clear and blind), "a row whose expiry cannot be read counts"
        snapshot, ended = store.active(stage.project), store.ended(stage.project)
        everything = [*snapshot.reservations, *ended.reservations, *store.everywhere().reservations]
        shown = render.list_json(everything, project="p", me="bob", generation=1, all_projects=True)
        assert json.loads(render.as_json(shown))["reservations"]
        entries = store.log(stage.project, limit=50)
        json.loads(render.as_json(render.log_json(entries, project="p", generation=1)))
        lines = render.log_lines(entries, now=NOW, width=None)
        lines += render.listing(everything, me="bob", now=NOW, width=100, style=lambda text, **_: text)
        lines += render.ended_listing(ended.reservations, now=NOW, width=None)
        lines += [words.notice(row, now=NOW) for row in store.notices(stage.project, "bob")]
        lines += refusal_text(verdict.conflicts, Situation("commit", "", ""), me="bob", now=NOW).split("\n")
        assert not [line for line in lines if not line.isprintable()]
    finally:
        store.close()


UNREADABLE = [
    *(("exclusive", value) for value in (2, -1, 1.5, "yes", "", b"\x00", b"0")),
    *(("expires_at", value) for value in ("soon", "", b"\xff", 1 << 62, 1e300, float("inf"))),
    *(("holder", value) for value in (b"alice", b"\xff\xfe", "al\x00ice", 7, "")),
    *(("pattern", value) for value in (b"/src/**", "/src/[", "/src/a**", "src/\n")),
    *(("created_at", value) for value in ("never", -(1 << 63), (1 << 63) - 1)),
    *((name, b"\xff\x1b[2J") for name in ("typed", "reason", "principal", "ended_by", "end", "told")),
]


@pytest.mark.parametrize(("name", "value"), UNREADABLE, ids=ascii)
def test_a_row_that_cannot_be_read_counts_for_what_it_covers(stage: Stage, name: str, value: object) -> None:
    row: dict[str, object] = {"holder": "carol", "pattern": "/src/**", "typed": "", "exclusive": 1}
    row |= {"created_at": NOW, "expires_at": NOW + HOUR, name: value}
    write_badly(stage.store, stage.project, [row])
    path = "src/a.py" if value == "/src/a**" else "src/b.py"
    if value not in ("/src/[", "src/\n"):
        refused = stage.hook(path)
        assert refused.code == 1, refused.text
        assert b"\x1b" not in refused.err
    refused = stage.hook("held/x.txt")
    assert refused.code == 1, refused.text
    assert "alice holds /held" in refused.text


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=4))
def test_bad_rows_through_the_hook_and_the_command_line(stage: Stage, rows: list[dict[str, object]]) -> None:
    write_badly(stage.store, stage.project, rows)
    refused = stage.hook("held/x.txt")
    assert refused.code == 1, refused.text
    assert "alice holds /held" in refused.text
    for command in (["list"], ["log"], ["check", "held/x.txt"]):
        done = stage.repository.guard(*command, "--json", who="bob", expect=None)
        assert done.code in (0, 1), done.text
        done.json()


# The published union


def mutated(text: bytes, drawn: random.Random) -> bytes:
    """The lines of ``current`` as a torn write, a bad disk or a careless editor leaves them."""
    lines = text.split(b"\n")
    kind = drawn.randrange(6)
    at = drawn.randrange(len(lines))
    if kind == 0:
        return text[: drawn.randrange(len(text))]
    if kind == 1:
        del lines[at]
    elif kind == 2:
        lines.insert(at, drawn.choice(lines))
    elif kind == 3:
        other = drawn.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 4:
        spot = drawn.randrange(len(text))
        return text[:spot] + bytes([drawn.randrange(256)]) + text[spot + 1 :]
    else:
        return drawn.randbytes(drawn.randrange(400))
    return b"\n".join(lines)


@pytest.mark.parametrize("rounds", [20, pytest.param(600, marks=pytest.mark.long)])
def test_no_published_bytes_clear_what_is_held(stage: Stage, rounds: int, figure: Callable[[str], None]) -> None:
    drawn = random.Random(rounds)
    for _ in range(2):
        stage.hook("free.txt")
    files = [stage.slot / "current", *stage.slot.glob("fresh.*")]
    assert len(files) == 2
    whole, sealed = [file.read_bytes() for file in files], stage.store.stat()
    stage.stage("held/x.txt")
    for number in range(rounds):
        os.utime(stage.store, ns=(sealed.st_atime_ns, sealed.st_mtime_ns))
        broken = mutated(whole[number % 2], drawn)
        files[number % 2].write_bytes(broken)
        done = stage.hook()
        assert done.code == 1, (broken, done.text)
    figure(f"{rounds} broken publications, none believed")
