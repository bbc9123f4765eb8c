"""The store in a SQLite file: the file itself, its versions, and by which index each question is answered."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from guard.model import GuardError
from guard.stores.interface import APPLICATION_ID
from guard.stores.sqlite import SqliteStore
from guard.stores.sqlite_tables import STEPS
from guard.stores.sqlite_versions import VERSION
from tests.support.older_guard import old_guard
from tests.support.repositories import PACKAGE, Repository, run
from tests.support.stores import ALICE, BOB, HOUR, START, SqliteBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SqliteBench]:
    made = SqliteBench(tmp_path)
    yield made
    made.close()


def test_an_unreadable_row_counts_as_a_conflict_and_hides_no_other(bench: SqliteBench) -> None:
    bench.reserve(ALICE, "/a")
    connection = sqlite3.connect(bench.path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    row = (
        "INSERT INTO reservation (project, holder, pattern, exclusive, created_at, expires_at)"
        " VALUES ('project', ?, ?, ?, ?, ?)"
    )
    connection.execute(row, ("mallory", "/b", "maybe", "then", "soon"))
    connection.execute(row, (b"\xff\xfe", b"/c\xff", 1, 0, 2**62))
    connection.execute(row, ("carol", 7, 1, 0, 2**62))
    connection.close()
    rows = {row.holder: row for row in bench.store.active("project").reservations}
    assert set(rows) == {"alice", "mallory", "\\xff\\xfe", "carol"}
    assert rows["mallory"].exclusive
    assert rows["mallory"].expires_at is None
    assert "soon" in rows["mallory"].fault
    assert set(bench.store.union_source("project", "bob").patterns) == {b"/a", b"/b", b"/c\xff", b"7"}
    assert bench.reserve(BOB, "/b").conflicts


def test_a_newer_store_is_left_alone(bench: SqliteBench) -> None:
    bench.sql("PRAGMA user_version = 99")
    before = bench.path.read_bytes()
    with pytest.raises(GuardError, match="newer guard") as caught:
        SqliteStore(str(bench.path), patience_s=1)
    assert caught.value.code == 3
    assert bench.path.read_bytes() == before


def test_the_file_is_private_until_somebody_shares_it(tmp_path: Path) -> None:
    path = tmp_path / "made" / "guard.db"
    old = os.umask(0)
    try:
        SqliteStore(str(path), patience_s=1).close()
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o660)  # shared on purpose
    SqliteStore(str(path), patience_s=1).close()
    assert path.stat().st_mode & 0o777 == 0o660


def test_reserving_finds_its_conflicts_by_an_index(bench: SqliteBench) -> None:
    for number in range(50):
        bench.reserve(ALICE, *(f"/src/module{number}/{part}/**/*.py" for part in range(20)))
    for question in ("prefix IS NULL", "prefix IN (x'61', x'62')", "prefix >= x'612f' AND prefix < x'6130'"):
        asked = f"SELECT * FROM reservation WHERE project = ? AND ended_at IS NULL AND holder <> ? AND {question}"
        (step,) = bench.sql(f"EXPLAIN QUERY PLAN {asked}", "project", "bob")
        assert "reservation_by_prefix" in str(step[3])
    found = bench.reserve(BOB, "/src/module7/3/x.py").conflicts
    assert [row.reservation.pattern for row in found] == [b"/src/module7/3/**/*.py"]
    assert not bench.reserve(BOB, "/src/module7/30").conflicts


def test_each_question_about_reservations_is_answered_by_an_index(bench: SqliteBench) -> None:
    bench.reserve(ALICE, "/src")
    who = ("project", "alice")
    for question, index in {
        "SELECT * FROM reservation WHERE {} AND holder = ? AND pattern IN ('/a', x'2f61')": "reservation_by_pattern",
        "SELECT DISTINCT pattern FROM reservation WHERE {} AND exclusive IS NOT 0 AND holder <> ?": "COVERING INDEX",
        "SELECT min(expires_at) FROM reservation WHERE {} AND holder = ?": "COVERING INDEX reservation_by_end",
        "SELECT * FROM reservation WHERE {} AND expires_at <= ? ORDER BY expires_at": "reservation_by_expiry",
    }.items():
        asked = question.format("project = ? AND ended_at IS NULL")
        steps = [str(row[3]) for row in bench.sql(f"EXPLAIN QUERY PLAN {asked}", *who)]
        assert len(steps) == 1, steps
        assert index in steps[0], steps


# Versions


def make_version_1(path: Path) -> None:
    """A store as version 1 made it, with a row that it wrote and one that another program wrote badly."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript((Path(__file__).parent / "support/schema_1.sql").read_text())
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        row = (
            "INSERT INTO reservation (project, holder, pattern, typed, prefix, created_at, expires_at)"
            " VALUES ('project', ?, ?, '', ?, ?, ?)"
        )
        connection.execute(row, ("alice", "/src/auth", b"src/auth", START, START + HOUR))
        connection.execute(row, ("mallory", "/docs/*.md", b"elsewhere", START, START + HOUR))


def make_version_2(path: Path) -> None:
    """A store as version 2 made it, with a row of its own and one of another program's."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript((Path(__file__).parent / "support/schema_2.sql").read_text())
        connection.execute("INSERT INTO version (written_by) VALUES (2)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        row = (
            "INSERT INTO reservation (project, holder, pattern, typed, prefix, prefix_checked, created_at, expires_at)"
            " VALUES ('project', ?, ?, '', ?, ?, ?, ?)"
        )
        connection.execute(row, ("alice", "/src/auth", b"src/auth", 1, START, START + HOUR))
        connection.execute(row, ("mallory", "/docs/*.md", b"elsewhere", 0, START, START + HOUR))


MAKERS: dict[int, Callable[[Path], None]] = {1: make_version_1, 2: make_version_2}
"""What makes a file of each earlier version."""


def shape(path: Path) -> dict[str, object]:
    """The tables with their columns, the indexes and triggers of a store, however they came to be."""
    with closing(sqlite3.connect(path)) as connection:
        found: dict[str, object] = {}
        for kind, name, sql in connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"
        ):
            columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
            plain = " ".join(line.partition("--")[0] for line in (sql or "").splitlines()).split()
            found[f"{kind} {name}"] = sorted(row[1:] for row in columns) if kind == "table" else plain
        found["version"] = connection.execute("SELECT written_by FROM version").fetchall()
        found["readable since"] = connection.execute("PRAGMA user_version").fetchone()
        return found


def test_there_is_a_maker_and_a_step_for_each_version() -> None:
    assert sorted(MAKERS) == list(range(1, VERSION))
    assert [number for number, _ in STEPS] == list(range(2, VERSION + 1))


@pytest.mark.parametrize("version", MAKERS)
def test_a_writer_brings_an_older_file_to_the_same_shape_as_a_new_one(tmp_path: Path, version: int) -> None:
    MAKERS[version](tmp_path / "guard.db")
    made = SqliteBench(tmp_path)
    try:
        before = (tmp_path / "guard.db").read_bytes()
        assert {row.holder for row in made.store.active("project").reservations} == {"alice", "mallory"}
        assert made.store.notices("project", "alice") == ()
        assert made.store.contents().reservations
        assert made.store.projects_with_roots(["a" * 40]) == {}
        assert (tmp_path / "guard.db").read_bytes() == before, "who only reads changes nothing"
        other = made.another()
        found = made.reserve(BOB, "/docs/x.md")
        assert [way.reservation.holder for way in found.conflicts] == ["mallory"], "its prefix was computed anew"
        made.fresh("new.db")
        assert shape(tmp_path / "guard.db") == shape(tmp_path / "new.db")
        assert other.break_(BOB, [1], reason="why").reservations[0].end_reason == "why"
        assert other.notices("project", "alice")
    finally:
        made.close()


@pytest.mark.parametrize("version", MAKERS)
def test_an_older_file_that_may_only_be_read_is_read(tmp_path: Path, version: int) -> None:
    MAKERS[version](tmp_path / "guard.db")
    with closing(SqliteStore(str(tmp_path / "guard.db"), patience_s=1, clock=lambda: START + HOUR)) as store:
        store.file.connection.execute("PRAGMA query_only = ON")
        assert store.active("project").reservations == (), "the clock alone decides, for nothing can be recorded"
        assert store.union_source("project", "bob").patterns == (b"/docs/*.md", b"/src/auth")
        with pytest.raises(GuardError, match="cannot be written"):
            store.remember_roots("project", ["a" * 40])


@pytest.mark.parametrize("version", MAKERS)
def test_several_processes_bring_a_file_up_to_date_at_once(tmp_path: Path, version: int) -> None:
    MAKERS[version](tmp_path / "guard.db")
    code = (
        "import sys; from guard.stores.sqlite import SqliteStore; from guard.stores.interface import Actor;"
        " store = SqliteStore(sys.argv[1], patience_s=30); print('ready', flush=True); sys.stdin.read();"
        "store.remember_roots('project', [sys.argv[2] * 40])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "guard.db")]
    running = [
        subprocess.Popen([*command, letter], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PACKAGE)
        for letter in "abcdef"
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in running:
        process.communicate()
    assert [process.returncode for process in running] == [0] * 6
    SqliteStore(str(tmp_path / "new.db"), patience_s=1).close()
    assert shape(tmp_path / "guard.db") == shape(tmp_path / "new.db")


def test_a_guard_that_is_too_old_notices_while_it_has_the_file_open(bench: SqliteBench) -> None:
    bench.reserve(ALICE, "/src")
    bench.sql("PRAGMA user_version = 99")
    for ask in (
        lambda: bench.store.active("project"),
        lambda: bench.store.union_source("project", "bob"),
        lambda: bench.reserve(BOB, "/docs"),
        lambda: bench.store.leave(1),
    ):
        with pytest.raises(GuardError, match="newer guards") as caught:
            ask()
        assert caught.value.code == 3
    assert bench.sql("SELECT count(*) FROM reservation") == [(1,)]


def test_the_first_version_goes_on_working_on_a_file_that_this_one_writes(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    program = "import sys; sys.path.insert(0, sys.argv.pop(1)); from guard.__main__ import main; main()"
    command = [sys.executable, "-c", program, str(old_guard(tmp_path))]

    def old(*words: str, who: str, expect: int = 0) -> str:
        done = run([*command, *words], cwd=repository.path, env={"GUARD_AGENT": who})
        assert done.code == expect, done.text
        return done.text

    old("install", who="alice")
    old("reserve", "src", who="alice")
    assert "#1" in repository.guard("list", who="bob").text
    repository.guard("reserve", "docs", "--reason", "mine", who="bob")
    repository.guard("break", "1", "--reason", "why", who="bob")
    assert "bob broke your reservation #1" in old("list", who="alice")
    old("reserve", "docs/x.md", who="alice", expect=1)
    old("reserve", "lib", "--shared", who="alice")
    old("renew", "--all", who="alice")
    old("reserve", "docs", "--wait", "1s", who="alice", expect=1)
    assert "docs" in old("log", who="alice")
    repository.write("docs/x.md", "changed\n")
    repository.git("add", "-A")
    refused = repository.git("commit", "-q", "-m", "x", who="alice", expect=1)
    assert "bob holds /docs" in refused.text, "its own hook judges by the new file"
    repository.guard("release", "--all", who="bob")
    repository.git("commit", "-q", "-m", "x", who="alice")
    old("release", "--all", who="alice")
