"""Backup, restore and move of a store of each kind, also while others write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from guard.model import GuardError
from guard.stores import copies
from guard.stores.choose import open_store
from guard.stores.interface import Actor, Chosen, Contents, Moved, Store, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from guard.stores.sqlite_file import now_ms
from tests.support.agent_mail import Mail
from tests.support.repositories import PACKAGE, Repository
from tests.support.stores import ALICE, BENCHES, BOB, CAROL, HOUR, Bench, SqliteBench


@pytest.fixture(params=BENCHES, ids=lambda kind: kind.name)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = request.param(tmp_path)
    fill(made)
    yield made
    made.close()


@pytest.fixture
def sqlite_bench(tmp_path: Path) -> Iterator[SqliteBench]:
    made = SqliteBench(tmp_path)
    fill(made)
    yield made
    made.close()


def fill(bench: Bench) -> None:
    """Something of everything that a store keeps."""
    bench.reserve(ALICE, "/src", "/docs", reason="new login")
    bench.reserve(BOB, "/lib", shared=True)
    bench.reserve(Actor("other", "dora", "dora@there"), "/a")
    bench.store.break_(BOB, [1], reason="why")
    bench.store.release(ALICE, Chosen(ids=(2,)))
    bench.foreign_row("mallory", "/x/[[:alpha:]]*")
    bench.store.remember_roots("project", ["a" * 40])
    bench.store.publish_in(b"/repository/.git/guard/unions/bob@", "project")
    bench.store.publish_in(b"/caf\xe9/.git/guard/unions/bob@", "project")


def without_generations(contents: Contents) -> Contents:
    return contents._replace(projects=tuple((name, 0) for name, _ in contents.projects))


def test_what_a_store_keeps_can_be_put_into_another_one_and_nothing_is_lost(bench: Bench) -> None:
    before = bench.store.contents()
    assert [kept.reservation.id for kept in before.reservations] == [1, 2, 3, 4, 5]
    assert [kept.told for kept in before.reservations] == [False, True, True, True, True]
    other = bench.fresh("other")
    other.take_in(before, formerly="/old/place")
    after = other.contents()
    assert without_generations(after) == without_generations(before)
    for name, generation in before.projects:
        assert dict(after.projects)[name] > generation
    assert other.active("project").reservations == bench.store.active("project").reservations
    assert other.notices("project", "alice") == bench.store.notices("project", "alice")
    assert other.is_at(b"/old/place")
    assert not bench.store.is_at(b"/old/place")
    (granted,) = granted_in(other, "/new")
    assert granted == 6, "no number is given twice"


def granted_in(store: Store, pattern: str) -> list[int]:
    terms = Terms(exclusive=True, reason="", ttl_ms=HOUR, fold=False, shorten=False)
    outcome = store.reserve(CAROL, [Wanted(pattern.encode(), pattern.encode())], terms)
    return [row.id for row in outcome.reservations]


def test_numbers_are_not_given_twice_when_everything_that_had_one_is_forgotten(bench: Bench) -> None:
    contents = bench.store.contents()._replace(reservations=())
    other = bench.fresh("other")
    other.take_in(contents)
    assert granted_in(other, "/new") == [6]


def test_putting_contents_in_the_place_of_others_keeps_publications_and_raises_generations(bench: Bench) -> None:
    old = bench.store.contents()
    for _ in range(20):
        bench.store.renew(BOB, Chosen(everything=True), ttl_ms=2 * HOUR)
    bench.reserve(CAROL, "/later")
    bench.store.publish_in(b"/later/.git/guard/unions/bob@", "project")
    now = dict(bench.store.contents().projects)
    bench.store.take_in(old)
    after = bench.store.contents()
    assert after.reservations == old.reservations
    assert after.log == old.log
    assert all(generation > now[name] for name, generation in after.projects)
    assert b"/later/.git/guard/unions/bob@" in dict(after.publications)


# Backup and restore


def test_a_backup_is_a_store_of_its_own_that_holds_all_and_is_private(bench: Bench, tmp_path: Path) -> None:
    bench.store.backup(str(tmp_path / "backup.db"))
    with closing(SqliteStore(str(tmp_path / "backup.db"), patience_s=1, create=False)) as copy:
        assert without_generations(copy.contents()) == without_generations(bench.store.contents())
    assert (tmp_path / "backup.db").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.glob("backup*")) == ["backup.db"]
    before = (tmp_path / "backup.db").read_bytes()
    with pytest.raises(GuardError, match="exists; nothing was written"):
        bench.store.backup(str(tmp_path / "backup.db"))
    with pytest.raises(GuardError, match="cannot be made"):
        bench.store.backup(str(tmp_path / "nowhere" / "backup.db"))
    assert (tmp_path / "backup.db").read_bytes() == before


def test_a_restore_puts_back_what_was_and_says_what_is_lost(sqlite_bench: SqliteBench, tmp_path: Path) -> None:
    bench = sqlite_bench
    bench.clock.now = now_ms()
    bench.reserve(BOB, "/kept")
    bench.store.backup(str(tmp_path / "backup.db"))
    bench.reserve(CAROL, "/later")
    inode = bench.path.stat().st_ino
    done = copies.restore(str(bench.path), str(tmp_path / "backup.db"), patience_s=5)
    assert [row.pattern for row in done.lost] == [b"/later"]
    assert bench.path.stat().st_ino == inode, "whoever has it open goes on with the same file"
    assert b"/later" not in {row.pattern for row in bench.store.active("project").reservations}
    assert b"/kept" in {row.pattern for row in bench.store.active("project").reservations}
    with closing(SqliteStore(done.kept, patience_s=1, create=False)) as kept:
        assert b"/later" in {row.reservation.pattern for row in kept.contents().reservations}


DAMAGE = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(b"something else\n" * 1000),
    "its pages overwritten": lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_restore_over_a_damaged_store_keeps_the_damaged_file(
    sqlite_bench: SqliteBench, tmp_path: Path, damage: str
) -> None:
    sqlite_bench.store.backup(str(tmp_path / "backup.db"))
    before = sqlite_bench.store.contents()
    sqlite_bench.close()
    path = sqlite_bench.path
    DAMAGE[damage](path)
    broken = path.read_bytes() if path.exists() else None
    path.with_name("guard.db-journal").write_bytes(b"left behind")
    done = copies.restore(str(path), str(tmp_path / "backup.db"), patience_s=5)
    with closing(SqliteStore(str(path), patience_s=1, create=False)) as store:
        assert store.contents().reservations == before.reservations
    if broken is None:
        assert done.kept == ""
    else:
        assert Path(done.kept).read_bytes() == broken


@pytest.mark.parametrize("what", ["nothing", "text", "Agent Mail's"])
def test_a_restore_from_what_is_no_backup_changes_nothing(sqlite_bench: SqliteBench, tmp_path: Path, what: str) -> None:
    source = tmp_path / "source"
    if what == "text":
        source.write_text("hello\n")
    elif what == "Agent Mail's":
        Mail.make(source)
    before = sqlite_bench.path.read_bytes()
    with pytest.raises(GuardError, match="source"):
        copies.restore(str(sqlite_bench.path), str(source), patience_s=1)
    assert sqlite_bench.path.read_bytes() == before


# Move


def test_whoever_opens_a_moved_store_is_sent_on(sqlite_bench: SqliteBench, tmp_path: Path) -> None:
    before = sqlite_bench.store.contents()
    new = str(tmp_path / "new.db")
    copies.move(sqlite_bench.store, new, patience_s=5)
    with closing(open_store(str(sqlite_bench.path), patience_s=1)) as store:
        assert store.address == new
        assert without_generations(store.contents()) == without_generations(before)
        assert store.is_at(os.fsencode(sqlite_bench.path)), "a union that names the old place is one of this store"
        copies.move(store, str(tmp_path / "third.db"), patience_s=5)
    with closing(open_store(str(sqlite_bench.path), patience_s=1)) as store:
        assert store.address == str(tmp_path / "third.db")
    for ask in (
        lambda: sqlite_bench.store.active("project"),
        lambda: sqlite_bench.reserve(BOB, "/y"),
        lambda: sqlite_bench.store.union_source("project", "bob"),
    ):
        with pytest.raises(Moved, match=f"were moved to {new}") as caught:
            ask()
        assert caught.value.code == 3
        assert new in caught.value.hint


def test_a_store_that_moved_in_a_circle_or_away_is_an_error(sqlite_bench: SqliteBench, tmp_path: Path) -> None:
    new = str(tmp_path / "new.db")
    copies.move(sqlite_bench.store, new, patience_s=5)
    os.rename(new, tmp_path / "elsewhere.db")
    with pytest.raises(GuardError, match=r"new\.db does not exist"):
        open_store(str(sqlite_bench.path), patience_s=1, create=True)
    os.link(sqlite_bench.path, new)
    with pytest.raises(Moved):
        open_store(str(sqlite_bench.path), patience_s=1)


def test_a_move_that_fails_changes_nothing(sqlite_bench: SqliteBench, tmp_path: Path) -> None:
    taken = tmp_path / "taken.db"
    taken.write_text("mine\n")
    with pytest.raises(GuardError, match="exists; nothing was moved"):
        copies.move(sqlite_bench.store, str(taken), patience_s=1)
    with pytest.raises(GuardError, match="cannot be made"):
        copies.move(sqlite_bench.store, "/proc/nowhere/new.db", patience_s=1)

    def fail(contents: Contents) -> None:
        raise GuardError("the other place died")

    with pytest.raises(GuardError, match="died"):
        sqlite_bench.store.move_out("/x", fail)
    assert taken.read_text() == "mine\n"
    assert sqlite_bench.reserve(BOB, "/y").reservations


_WRITER = """
import sys
from guard.stores.choose import open_store
from guard.stores.interface import Actor, Moved, Terms, Wanted
actor, terms = Actor("project", sys.argv[2], "x"), Terms(True, "", 3_600_000, False, False)
store = open_store(sys.argv[1], patience_s=30)
print("ready", flush=True)
for number in range(60):
    name = b"/%s/%d" % (sys.argv[2].encode(), number)
    while True:
        try:
            (row,) = store.reserve(actor, [Wanted(name, name)], terms).reservations
            break
        except Moved:
            store.close()
            store = open_store(sys.argv[1], patience_s=30)
    print(name.decode(), flush=True)
"""


def test_nothing_that_was_acknowledged_is_lost_when_a_store_moves_while_others_write(
    sqlite_bench: SqliteBench, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _WRITER, str(sqlite_bench.path)]
    writers = [
        subprocess.Popen([*command, f"w{number}"], stdout=subprocess.PIPE, text=True, cwd=PACKAGE)
        for number in range(4)
    ]
    said: list[str] = []
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        said.append(writer.stdout.readline().strip())
    for number in range(3):
        with closing(open_store(str(sqlite_bench.path), patience_s=30)) as store:
            store.backup(str(tmp_path / f"backup{number}.db"))
            copies.move(store, str(tmp_path / f"moved{number}.db"), patience_s=30)
    for writer in writers:
        said += writer.communicate()[0].split()
        assert writer.returncode == 0
    assert len(said) == 4 * 60
    with closing(open_store(str(sqlite_bench.path), patience_s=1)) as store:
        assert store.address == str(tmp_path / "moved2.db")
        held = {kept.reservation.pattern.decode() for kept in store.contents().reservations}
    assert set(said) <= held
    for number in range(3):
        with closing(SqliteStore(str(tmp_path / f"backup{number}.db"), patience_s=1)) as copy:
            assert copy.contents().reservations


def test_commits_are_judged_by_a_moved_store(tmp_path: Path) -> None:
    """The whole way: a repository whose settings still name the old place."""
    made = Repository.make(tmp_path / "repository", files={"src/a.py": "a\n", "b.txt": "b\n"})
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    made.git("config", "guard.db", str(old))
    made.install()
    made.guard("reserve", "src", who="alice")
    made.write("b.txt", "1\n")
    made.git("commit", "-q", "-a", "-m", "published", who="bob")
    with closing(open_store(str(old), patience_s=5)) as store:
        copies.move(store, str(new), patience_s=5)
    made.write("src/a.py", "changed\n")
    assert "alice holds /src" in made.git("commit", "-q", "-a", "-m", "x", who="bob", expect=1).text
    made.guard("release", "src", who="alice")
    made.git("commit", "-q", "-a", "-m", "x", who="bob")
    made.guard("reserve", "b.txt", who="alice")
    made.write("b.txt", "2\n")
    assert "alice holds /b.txt" in made.git("commit", "-q", "-a", "-m", "x", who="bob", expect=1).text


# Somebody else's database


def test_guard_neither_copies_nor_moves_another_programs_database(tmp_path: Path) -> None:
    mail = Mail.make(tmp_path / "mail.db")
    before = mail.beside()
    store = open_store(str(mail.path), patience_s=1)
    for deed in (
        lambda: copies.backup(store, str(tmp_path / "copy.db")),
        lambda: copies.move(store, str(tmp_path / "copy.db"), patience_s=1),
        lambda: store.contents(),
    ):
        with pytest.raises(GuardError, match="only reads"):
            deed()
    with pytest.raises(GuardError):
        copies.restore(str(mail.path), str(mail.path), patience_s=1)
    assert mail.beside()["mail.db"] == before["mail.db"]
    assert not (tmp_path / "copy.db").exists()
    assert store.describe().projects == 0
