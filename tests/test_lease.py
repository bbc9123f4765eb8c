"""The deadline in a published union: what the installed hook and Python make of it. tests/network has real servers."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from guard import system
from guard.model import Reservation
from guard.stores.interface import Source
from guard.union import known, publish, published
from guard.union import leased as leasing
from guard.union.lease import Lease
from guard.union.published import BY_PYTHON, Current
from tests.support.repositories import Repository

S = 10**9
LENGTH_MS = 3_600_000
"""An hour: no test is so slow that this lease ends in it. Those that ended were asked for long ago."""


class Leased:
    """A repository in which a union of a server's is published, and no Python: the hook decides alone or not at all."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        repository.commit("a.txt", "settle\n", who="bob")
        repository.commit("a.txt", "settle again\n", who="bob")
        self.slot = os.path.join(os.fsencode(repository.git_dir), b"guard/unions/bob@" + os.environb.get(b"USER", b""))
        current = published.load(self.slot)
        assert current is not None and current.lease is None
        self.sqlite: Current = current
        (repository.common_dir / "guard/python").write_text("/absent/python\n/absent\n/absent\n")

    def publish(self, *patterns: bytes, asked_ns: int, state: bytes = b"1", length_ms: int = LENGTH_MS) -> bytes:
        source = Source(patterns, 1, (), lease_ms=length_ms, state=state)
        return publish.publish(
            self.slot,
            key=self.sqlite.key,
            identity=self.sqlite.identity,
            source=source,
            settings=list(self.sqlite.files[self.sqlite.store_files :]),
            asked_ns=asked_ns,
        ).state

    @property
    def current(self) -> Current:
        found = published.load(self.slot)
        assert found is not None
        return found

    def is_fresh(self) -> bool:
        return published.is_fresh(self.slot, self.current, self.sqlite.key)

    def commits(self) -> bool:
        """Does a commit pass by the published union alone?"""
        self.repository.write("a.txt", os.urandom(8).hex())
        self.repository.git("add", "a.txt")
        done = self.repository.git("commit", "-q", "-m", "change", who="bob", expect=None)
        assert done.code in (0, 1)
        assert (done.code == 0) != ("cannot tell" in done.text), done.text
        return done.code == 0

    @property
    def script(self) -> Path:
        """What the hook runs to see whether the union is fresh."""
        (found,) = Path(os.fsdecode(self.slot)).glob("fresh.*")
        return found


@pytest.fixture
def leased(repository: Repository) -> Leased:
    return Leased(repository)


def now_ns() -> int:
    now = system.boot_clock_ns()
    assert now is not None
    return now


sh_has_the_clock = pytest.mark.skipif(
    system.boot()[0] != system.BY_PROC or not system.shows_boot_clock(),
    reason="does not apply: sh has no clock of this boot, or the boot has no name in /proc",
)


@sh_has_the_clock
@pytest.mark.parametrize("patterns", [(), (b"/held",)], ids=["nothing is reserved", "something is"])
def test_within_the_lease_the_hook_decides_alone(leased: Leased, patterns: tuple[bytes, ...]) -> None:
    leased.publish(*patterns, asked_ns=now_ns())
    assert leased.is_fresh()
    assert leased.commits()


@pytest.mark.parametrize("patterns", [(), (b"/held",)], ids=["nothing is reserved", "something is"])
@pytest.mark.parametrize("asked_s", [-3600, -3_600_000, 10], ids=["just ended", "ended long ago", "from another clock"])
def test_after_the_lease_the_server_is_asked(leased: Leased, patterns: tuple[bytes, ...], asked_s: int) -> None:
    leased.publish(*patterns, asked_ns=now_ns() + asked_s * S)
    assert not leased.is_fresh()
    assert not leased.commits()


def test_a_push_always_asks(leased: Leased, tmp_path: Path) -> None:
    leased.publish(asked_ns=now_ns())
    leased.repository.git("init", "-q", "--bare", str(tmp_path / "origin"))
    leased.repository.git("remote", "add", "origin", str(tmp_path / "origin"))
    done = leased.repository.git("push", "-q", "origin", "HEAD", who="bob", expect=None)
    assert done.code != 0 and "cannot tell" in done.text


def test_the_boot_is_named(leased: Leased) -> None:
    leased.publish(asked_ns=now_ns())
    current = Path(os.fsdecode(leased.slot)) / "current"
    lines = current.read_bytes().split(b"\n")
    boot = lines[1].decode()
    lines[1] = lines[1][::-1]
    current.write_bytes(b"\n".join(lines))
    leased.script.rename(leased.script.with_name(leased.script.name.replace(boot, boot[::-1])))
    assert not leased.is_fresh()
    assert not leased.commits()


def test_a_hook_without_such_a_clock_asks_python(leased: Leased, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "shows_boot_clock", lambda: False)
    leased.publish(asked_ns=now_ns())
    assert leased.is_fresh()
    assert not leased.commits()


@sh_has_the_clock
@pytest.mark.parametrize("end", ["", "x", "-1", "0", "99x"])
def test_a_damaged_deadline_is_none(leased: Leased, end: str) -> None:
    leased.publish(asked_ns=now_ns())
    written = leased.script.stat()
    damaged, count = re.subn(r"-lt \d+", f"-lt {end}", leased.script.read_text())
    assert count == 1
    leased.script.write_text(damaged)
    os.utime(leased.script, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert not leased.commits()


def test_what_was_asked_later_stands(leased: Leased) -> None:
    leased.publish(b"/new", asked_ns=now_ns(), state=b"2")
    newer = leased.current
    leased.publish(b"/old", asked_ns=now_ns() - 5 * S)
    assert leased.current == newer


def test_an_answer_from_before_a_writer_ended_the_lease_is_not_published(leased: Leased) -> None:
    asked_ns = now_ns()
    leased.publish(asked_ns=asked_ns)
    leasing.end(leased.slot, now_ns())
    assert published.load(leased.slot) is None
    assert leased.publish(asked_ns=asked_ns) == BY_PYTHON
    assert published.load(leased.slot) is None
    leased.publish(asked_ns=now_ns())
    assert leased.is_fresh()


def test_unchanged_gives_a_new_deadline_and_nothing_else(leased: Leased) -> None:
    leased.publish(b"/held", asked_ns=now_ns() - 3600 * S)
    before, asked_ns = leased.current, now_ns()
    assert leasing.prolong(leased.slot, before, asked_ns) == before.published
    assert (Path(os.fsdecode(leased.slot)) / os.fsdecode(before.published.name) / "whole").exists()
    assert leased.current == before._replace(lease=Lease(before.boot, asked_ns, LENGTH_MS))
    assert leased.is_fresh()


def test_an_answer_that_comes_after_its_deadline_is_asked_for_again(leased: Leased) -> None:
    assert leased.publish(b"/held", asked_ns=now_ns() - 3600 * S) == BY_PYTHON
    assert leasing.prolong(leased.slot, leased.current, now_ns() - 3600 * S).state == BY_PYTHON
    assert leased.publish(b"/held", asked_ns=now_ns()) != BY_PYTHON


def test_the_deadline_never_moves_back(leased: Leased) -> None:
    leased.publish(asked_ns=now_ns())
    before = leased.current
    leasing.prolong(leased.slot, before, now_ns() - 60 * S)
    assert leased.current == before


def test_what_was_published_meanwhile_is_not_given_a_deadline(leased: Leased) -> None:
    leased.publish(b"/old", asked_ns=now_ns() - 3600 * S)
    before = leased.current
    leased.publish(b"/new", asked_ns=now_ns() - 3600 * S, state=b"2")
    newer = leased.current
    assert leasing.prolong(leased.slot, before, now_ns()).state == BY_PYTHON
    assert leased.current == newer


def test_an_answer_without_a_clock_is_not_published(leased: Leased) -> None:
    before = leased.current
    source = Source((b"/held",), 1, (), lease_ms=LENGTH_MS)
    settings = list(leased.sqlite.files[leased.sqlite.store_files :])
    answer = publish.publish(
        leased.slot, key=leased.sqlite.key, identity=leased.sqlite.identity, source=source, settings=settings
    )
    assert answer.state == BY_PYTHON
    assert leased.current == before


def test_a_file_pays_nothing_for_leases(leased: Leased) -> None:
    assert "uptime" not in leased.script.read_text()


def test_the_clock_of_the_boot_counts_up() -> None:
    first = system.boot_clock_ns()
    second = system.boot_clock_ns()
    assert first is not None and second is not None and first <= second


def test_a_clock_that_is_not_the_boots_is_not_given_to_sh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "uptime"
    monkeypatch.setattr(system, "UPTIME_FILE", str(fake))
    for text in ("5.00 1.00\n", "", "x\n", "99999999999.00 0.00\n"):
        fake.write_text(text)
        assert not system.shows_boot_clock()


ROW = Reservation(7, "p", "alice", b"/held\xff", b"held\xff", True, "why", "alice@laptop", 1, 2)


def test_what_was_known_is_read_back_or_not_at_all(leased: Leased) -> None:
    source = Source((b"/held",), 1, (), lease_ms=LENGTH_MS, state=b"1", rows=(ROW,))
    settings = list(leased.sqlite.files[leased.sqlite.store_files :])
    publish.publish(
        leased.slot,
        key=leased.sqlite.key,
        identity=leased.sqlite.identity,
        source=source,
        settings=settings,
        asked_ns=now_ns(),
    )
    file = Path(os.fsdecode(leased.slot)) / os.fsdecode(leased.current.published.name) / "rows"
    contents = file.read_bytes()
    assert known.read(leased.slot, leased.current) == [ROW]
    for number in range(len(contents)):
        file.write_bytes(contents[:number])
        assert known.read(leased.slot, leased.current) is None
        file.write_bytes(contents[:number] + bytes([contents[number] ^ 1]) + contents[number + 1 :])
        assert known.read(leased.slot, leased.current) is None
