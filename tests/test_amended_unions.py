"""A union of many patterns is amended with what has changed, and comes out as the one that is made from nothing."""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from guard.repo.place import Place
from guard.stores import freshness
from guard.stores.interface import Actor, Chosen, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from guard.union import contents, fast, patterns, publish, published, renewal
from guard.union.published import LARGE, Identity, key_of
from guard.union.renewal import renew_slot
from tests.support.repositories import Repository

HOUR = 3_600_000
FEW = 6
"""So many patterns are many in these tests."""
HOLDERS = ("alice", "bob", "carol", "Zoe")
NAMES = (b"a", b"A", b"b", b"src", b"Src", b"x.py")
ENDS = (b"", b"/**", b"/*", b"/", b"/**/*.py", b"/[ab]", b"/\xff")
ODD = (b"a/b", b"/a\\-b", b"/a**", b"!/a", b"/**/a", b"**/a", b"/a /**", b"/src/[")
"""Patterns that only another program writes, and some that can be written in two ways."""


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "ONE_FILE_MAX", FEW)


class Union:
    """A store, and what is published of it for one holder."""

    def __init__(self, place: Path, holder: str, *, fold: bool) -> None:
        git_dir = place / ".git"
        git_dir.mkdir(parents=True)
        self.path = place / "guard.db"
        self.now = 1_700_000_000_000
        self.place = Place(git_dir=os.fsencode(git_dir), common_dir=os.fsencode(git_dir), top=os.fsencode(place))
        self.environment = {b"GUARD_AGENT": holder.encode(), b"USER": b""}
        self.slot = os.path.join(self.place.unions_dir, published.slot_of(self.environment))
        self.identity = Identity(holder.encode(), b"p", os.fsencode(self.path), fold, False)
        self.open()
        self.amended = 0

    def open(self) -> None:
        self.store = SqliteStore(str(self.path), patience_s=5, clock=lambda: self.now)
        self.store.file.connection.execute("PRAGMA synchronous = OFF")  # nothing here is lost with the machine

    def refresh(self) -> None:
        before = published.load(self.slot)
        source, wanted = contents.ask(self.store, self.slot, before, self.identity)
        self.amended += source.changes is not None
        key = key_of(self.environment)
        publish.publish(self.slot, key=key, identity=self.identity, source=source, settings=[], contents=wanted)

    @property
    def current(self) -> published.Current:
        current = published.load(self.slot)
        assert current is not None
        return current

    def table(self) -> dict[bytes, set[bytes]]:
        stored = contents.stored_in(os.path.join(self.slot, self.current.published.name))
        return {start: set(rests) for start, rests in stored.table().items()}

    def made_from_nothing(self) -> tuple[bytes, dict[bytes, set[bytes]]]:
        source = self.store.union_source("p", self.identity.holder.decode())
        wanted = contents.made_anew(source, self.identity, None)
        entries = contents._entries(wanted.patterns, fold=self.identity.fold)
        table = patterns.table_of_entries(entries)
        return wanted.state, {start: set(rests) for start, rests in table.items()}

    def reserve(self, holder: str, *patterns: bytes, exclusive: bool = True) -> None:
        terms = Terms(exclusive=exclusive, reason="", ttl_ms=HOUR, fold=False, shorten=False)
        for pattern in patterns:
            self.store.reserve(Actor("p", holder, "x@h"), [Wanted(pattern, pattern)], terms)

    def sql(self, statement: str, *values: object) -> None:
        """What another program writes, which knows nothing of guard."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(statement, values)

    def check(self) -> None:
        state, table = self.made_from_nothing()
        assert self.current.published.state == state
        if state == LARGE:
            assert self.table() == table


@pytest.fixture(params=[False, True], ids=["exact", "folded"])
def union(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Union]:
    made = Union(tmp_path / "at", "bob", fold=request.param)
    yield made
    made.store.close()


def act(union: Union, drawn: random.Random) -> None:
    """One change, of a kind that is drawn."""
    holder = drawn.choice(HOLDERS)
    actor = Actor("p", holder, "x@h")
    names = [drawn.choice(NAMES) for _ in range(drawn.randint(1, 3))]
    pattern = b"/" + b"/".join(names) + drawn.choice(ENDS)
    ids = [row.id for row in union.store.active("p").reservations]
    number = drawn.choice(ids) if ids else 0
    row = "INSERT OR REPLACE INTO reservation (id, project, holder, pattern, exclusive, created_at, expires_at)"
    kind = drawn.randrange(12)
    if kind < 4:
        union.reserve(holder, pattern, exclusive=drawn.random() < 0.8)
    elif kind == 4:
        union.store.release(actor, Chosen(ids=(number,)))
    elif kind == 5:
        union.store.break_(actor, [number], reason="")
    elif kind == 6:
        union.store.renew(actor, Chosen(everything=True), ttl_ms=HOUR)
    elif kind == 7:
        union.now += HOUR // 8
        union.store.active("p")
    elif kind == 8:
        there = number if drawn.random() < 0.5 else None
        union.sql(f"{row} VALUES (?, 'p', ?, ?, 1, 1, ?)", there, holder, pattern, union.now + HOUR)
    elif kind == 9:
        column = drawn.choice(["holder = 'bob'", "exclusive = 1 - exclusive", "project = 'q'", "pattern = '/a/**'"])
        union.sql(f"UPDATE reservation SET {column} WHERE id = ?", number)
    elif kind == 10:
        union.sql("DELETE FROM reservation WHERE id = ?", number)
    elif drawn.random() < 0.3:
        odd = drawn.choice(ODD)
        union.sql(f"{row} VALUES (NULL, 'p', ?, ?, 1, 1, ?)", holder, odd, union.now + HOUR // 4)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_it_is_the_union_made_from_nothing(union: Union, seed: int) -> None:
    drawn = random.Random(seed)
    union.reserve("alice", *(b"/held/%d" % number for number in range(60)))
    union.refresh()
    for _ in range(120):
        for _ in range(drawn.choice([0, 1, 1, 1, 5])):
            act(union, drawn)
        if drawn.random() < 0.5:
            union.refresh()
        else:
            renew_slot(union.slot, union.store)
            union.refresh()
        union.check()
    assert union.amended > 20


def test_a_change_among_many_writes_little_and_the_old_table_stays_as_it_is(union: Union) -> None:
    union.reserve("alice", *(b"/held/%d" % number for number in range(300)))
    union.refresh()
    place = Path(os.fsdecode(os.path.join(union.slot, union.current.published.name)))
    table = (place / "patterns").stat()
    for number in range(3):
        union.reserve("carol", b"/more/%d" % number)
        union.refresh()
        place = Path(os.fsdecode(os.path.join(union.slot, union.current.published.name)))
        base = (place / "base").stat()
        assert (base.st_ino, base.st_mtime_ns, base.st_size) == (table.st_ino, table.st_mtime_ns, table.st_size)
        assert (place / "patterns").stat().st_size < 500
        assert fast.verdict(union.place, union.environment, [b"more/%d" % number]) == fast.TOUCHED
        assert fast.verdict(union.place, union.environment, [b"more/x"]) == fast.CLEAR
    union.check()


def test_a_union_that_writers_cannot_amend_is_read_for_once(union: Union, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder may not commit for long, and until then each writer would read all that is reserved."""
    monkeypatch.setattr(contents, "AMENDED_MAX", 20)
    monkeypatch.setattr(renewal, "WRITTEN_ANEW_MAX", FEW)
    union.reserve("alice", *(b"/held/%d" % number for number in range(300)))
    union.refresh()
    union.reserve("carol", *(b"/more/%d" % number for number in range(30)))
    renew_slot(union.slot, union.store)
    assert published.load(union.slot) is None
    monkeypatch.setattr(union.store, "union_source", None)  # whoever asked for anything would fail
    renew_slot(union.slot, union.store)
    monkeypatch.undo()
    monkeypatch.setattr(contents, "ONE_FILE_MAX", FEW)
    union.refresh()
    union.check()


def test_what_does_not_concern_the_holder_leaves_the_files_as_they_are(union: Union) -> None:
    union.reserve("alice", *(b"/held/%d" % number for number in range(30)))
    union.refresh()
    checksum = union.current.patterns
    union.reserve("bob", b"/mine")
    union.store.renew(Actor("p", "alice", "x@h"), Chosen(everything=True), ttl_ms=2 * HOUR)
    union.store.reserve(Actor("q", "alice", "x@h"), [Wanted(b"/q", b"")], Terms(True, "", HOUR, False, False))
    union.refresh()
    assert (union.current.patterns, union.amended) == (checksum, 1)
    union.check()


def test_another_history_of_the_same_file_is_read_as_a_whole(union: Union) -> None:
    """A copy of the store is brought back, in which the numbers of later changes are given once more."""
    union.reserve("alice", *(b"/held/%d" % number for number in range(30)))
    shutil.copy(union.path, union.path.parent / "copy")
    union.reserve("alice", b"/before")
    union.refresh()
    union.store.close()
    shutil.copy(union.path.parent / "copy", union.path)
    union.open()
    union.reserve("carol", b"/instead")
    union.reserve("carol", b"/later")
    union.refresh()
    union.check()
    assert fast.verdict(union.place, union.environment, [b"instead"]) == fast.TOUCHED
    assert union.amended == 0


def test_more_changes_than_the_store_remembers_are_read_as_a_whole(union: Union) -> None:
    union.reserve("alice", *(b"/held/%d" % number for number in range(30)))
    union.refresh()
    for _ in range(2):
        union.sql("UPDATE reservation SET exclusive = 0 WHERE pattern = '/held/1'")
        with closing(sqlite3.connect(union.path)) as connection, connection:
            for number in range(2100):
                connection.execute("UPDATE reservation SET exclusive = ? WHERE pattern = '/held/2'", (number % 2,))
                connection.execute("UPDATE reservation SET holder = ? WHERE pattern = '/held/3'", (f"h{number}",))
        union.refresh()
        union.check()
    assert union.amended == 0


@pytest.mark.parametrize("name", ["patterns", "base"])
def test_a_damaged_file_proves_nothing_and_is_made_anew(union: Union, name: str) -> None:
    union.reserve("alice", *(b"/held/%d" % number for number in range(30)))
    union.refresh()
    union.reserve("carol", b"/more")
    union.refresh()
    place = Path(os.fsdecode(os.path.join(union.slot, union.current.published.name)))
    file, current = place / name, (place / "current").read_bytes()
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:-30], whole[:40], b"", *(whole[:n] + b"~" + whole[n + 1 :] for n in range(90))):
        file.write_bytes(damaged)
        (place / "current").write_bytes(current)  # what is found to be damaged is taken back
        (place / "whole").touch()
        said = fast.verdict(union.place, union.environment, [b"more", *(b"held/%d" % n for n in range(30))])
        assert said in (fast.UNKNOWN, fast.TOUCHED)
        assert fast.verdict(union.place, union.environment, [b"free"]) != fast.CLEAR or damaged[:60] == whole[:60]
    (place / "current").write_bytes(current)
    (place / "whole").touch()
    file.write_bytes(whole[:-1])
    union.reserve("carol", b"/and/more")
    union.refresh()
    union.check()
    assert fast.verdict(union.place, union.environment, [b"and/more"]) == fast.TOUCHED


@pytest.mark.parametrize("what", ["a change", "no change", "other settings"])
@pytest.mark.parametrize("name", ["patterns", "base"])
def test_a_damaged_part_of_a_table_is_not_used_on(union: Union, tmp_path: Path, name: str, what: str) -> None:
    """Only the parts that a path leads to are read, so such damage may be found late."""
    union.reserve("alice", *(b"/held/%d" % number for number in range(300)))
    union.refresh()
    if name == "base":
        union.reserve("carol", b"/more")
        union.refresh()
    file = Path(os.fsdecode(os.path.join(union.slot, union.current.published.name))) / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-600] + bytes(byte ^ 1 for byte in whole[-600:-100]) + whole[-100:])
    if what == "a change":
        ids = tuple(row.id for row in union.store.active("p").reservations[:40])
        union.store.release(Actor("p", "alice", "x@h"), Chosen(ids=ids))
        union.refresh()
    elif what == "no change":
        union.refresh()
    else:
        (tmp_path / "config").write_text("x")
        source, wanted = contents.ask(union.store, union.slot, union.current, union.identity)
        settings = [freshness.aged(os.fsencode(tmp_path / "config"), now_ns=time.time_ns())]
        key = key_of(union.environment)
        publish.publish(union.slot, key=key, identity=union.identity, source=source, settings=settings, contents=wanted)
    union.check()


def _lose(file: Path) -> None:
    file.unlink()


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _turn_bits(file: Path) -> None:
    """Of some parts of a table, or of an amendment."""
    whole = file.read_bytes()
    middle = bytes(byte ^ 1 for byte in whole[-600:-100])
    file.write_bytes(whole[:-600] + middle + whole[-100:] if len(whole) > 900 else whole[:-30] + b"~" + whole[-29:])


def _swap(file: Path) -> None:
    """Another union's, which is whole."""
    file.write_bytes(patterns.to_bytes(patterns.table_of([b"/other"], fold=False), fold=False))


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name in ("patterns", "base") for damage in (_lose, _empty, _cut, _turn_bits)]
    + [("base", _swap)],
)
def test_a_damaged_table_is_made_anew_although_nothing_has_changed(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, name: str, damage: Callable[[Path], None]
) -> None:
    """Else every commit would be judged by all of Python until somebody reserves or releases something."""
    monkeypatch.setattr(contents, "ONE_FILE_MAX", 1000)  # as it is for the hook
    repository.guard("reserve", *(f"held/{number}/**" for number in range(1100)), who="alice")
    repository.commit("src/first", who="bob")
    repository.guard("reserve", "more", who="alice")
    repository.commit("src/second", who="bob")
    slot = repository.git_dir / "guard/unions/bob@"
    file = (slot / "current").resolve().parent / name
    damage(file)
    for number in range(2):
        repository.commit(f"src/after{number}", who="bob")
    assert (slot / "current").resolve().parent != file.parent
    again = contents.stored_in(os.fsencode((slot / "current").resolve().parent))
    again.check()
    assert b"held/7" in again.table()
    traced = repository.git("hook", "run", "pre-commit", who="bob", env={"GUARD_TRACE": "1"})
    assert "is proven to be current" in traced.text
    assert repository.commit("held/7/x", who="bob", expect=1)


@pytest.mark.parametrize("most", [0, 10, 100, 500])
@pytest.mark.parametrize("amends", [True, False], ids=["amended", "made anew"])
def test_what_cannot_be_written_to_its_end_leaves_nothing(union: Union, amends: bool, most: int) -> None:
    """The system lets no file become longer than ``most`` bytes, as if the disk were full."""
    union.reserve("alice", *(b"/held/%d" % number for number in range(30)))
    if amends:
        union.refresh()
        union.reserve("carol", b"/more")
    there = set(os.listdir(union.slot)) if amends else set()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = published.load(union.slot)
    source, wanted = contents.ask(union.store, union.slot, before, union.identity)
    assert (wanted.changes is not None) == amends
    key = key_of(union.environment)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))  # Python ignores the signal, and sees an error
    try:
        for _ in range(3):
            said = publish.publish(
                union.slot, key=key, identity=union.identity, source=source, settings=[], contents=wanted
            )
            assert said.state == published.BY_PYTHON
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    left = {name for name in set(os.listdir(union.slot)) - there if published.is_name(name)}
    assert not left
    head = os.path.join(union.slot, b"repository/HEAD")
    assert not os.path.exists(head) or os.path.getsize(head), "git would take it for no repository, ever after"
    union.refresh()
    union.check()


def test_a_file_system_without_hard_links(union: Union, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    union.reserve("alice", *(b"/held/%d" % number for number in range(30)))
    for name in (b"/one", b"/two"):
        union.refresh()
        union.reserve("carol", name)
        union.reserve("bob", b"/mine" + name)
    union.refresh()
    union.check()
    assert union.amended == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [(b"/**/a", b"**/a"), (b"/src/[", b"/src"), (b"/a\\-b", b"/a-b"), (b"/lib/**", b"/lib"), (b"/Lib", b"/lib")],
)
def test_of_two_patterns_that_come_to_the_same_one_may_go(union: Union, one: bytes, other: bytes) -> None:
    row = "INSERT INTO reservation (project, holder, pattern, created_at, expires_at) VALUES ('p', 'carol', ?, 1, ?)"
    for gone, left in ((one, other), (other, one)):
        union.reserve("alice", *(b"/held/%d" % number for number in range(60)))
        for pattern in (gone, left):
            union.sql(row, pattern.decode(), union.now + HOUR)
        union.refresh()
        union.sql("DELETE FROM reservation WHERE pattern = ?", gone.decode())
        union.refresh()
        union.check()
        union.sql("DELETE FROM reservation WHERE pattern = ?", left.decode())
        union.refresh()
        union.check()
