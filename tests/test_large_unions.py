"""What is published for many patterns, and Python's matcher, compared with git check-ignore on the same patterns."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from guard.patterns.grammar import prefix
from guard.repo.place import Place
from guard.stores.interface import Source
from guard.union import fast, publish, published
from guard.union.contents import ONE_FILE_MAX
from guard.union.patterns import Matcher, Stored, amended_bytes, table_of, to_bytes
from guard.union.published import Identity, key_of
from tests.support.git_check_ignore import Git, Maker

ENVIRONMENT = {b"GUARD_AGENT": b"bob", b"USER": b""}


class Slot:
    """A place to publish in, without a store."""

    def __init__(self, place: Path) -> None:
        git_dir = place / ".git"
        git_dir.mkdir(parents=True)
        self.place = Place(git_dir=os.fsencode(git_dir), common_dir=os.fsencode(git_dir), top=os.fsencode(place))
        self.slot = os.path.join(self.place.unions_dir, b"bob@")

    def publish(self, patterns: set[bytes], *, fold: bool = False) -> published.Published:
        identity = Identity(b"bob", b"project", b"/store.db", fold, False)
        source = Source(tuple(sorted(patterns)), 1, ())
        key = key_of(ENVIRONMENT)
        return publish.publish(self.slot, key=key, identity=identity, source=source, settings=[])

    def verdict(self, *paths: bytes) -> str:
        return fast.verdict(self.place, ENVIRONMENT, paths)

    def file(self, name: bytes) -> Path:
        current = published.load(self.slot)
        assert current is not None
        return Path(os.fsdecode(os.path.join(self.slot, current.published.name, name)))


@pytest.mark.parametrize("fold", [False, True], ids=["exact", "folded"])
@pytest.mark.parametrize("seed", range(6))
def test_python_matches_as_git_does(tmp_path: Path, seed: int, fold: bool) -> None:
    maker = Maker(seed)
    patterns = {pattern for pattern in maker.accepted(400) if prefix(pattern)}  # else a few would cover everything
    patterns |= {b"**/\xc3\xa9*", b"**/ab/", b"**/[Z-a]z/**"}
    drawn = sorted(patterns)
    paths = [maker.near(maker.random.choice(drawn)) for _ in range(1500)] + [maker.path() for _ in range(500)]
    by_git = Git(tmp_path / "git").covered({b"": drawn}, paths, fold=fold)
    table = Stored(to_bytes(table_of(drawn, fold=fold), fold=fold))
    matcher = Matcher(table, fold=table.fold)
    by_python = {path for path in paths if matcher.covers(path)}
    assert 0 < len(by_git) < len(set(paths))
    assert by_python == by_git


@pytest.mark.parametrize("count", [1, ONE_FILE_MAX, ONE_FILE_MAX + 1])
def test_the_verdict_in_python(tmp_path: Path, count: int) -> None:
    slot = Slot(tmp_path)
    slot.publish({b"/held/file%d" % number for number in range(count)})
    assert slot.verdict(b"free", b"held/other") == fast.CLEAR
    assert slot.verdict(b"free", b"held/file0/below") == fast.TOUCHED
    assert fast.verdict(slot.place, {**ENVIRONMENT, b"GUARD_AGENT": b"carol"}, [b"free"]) == fast.UNKNOWN
    assert fast.verdict(slot.place, {**ENVIRONMENT, b"GUARD_MODE": b"off"}, [b"free"]) == fast.UNKNOWN


def read_whole(contents: bytes, base: bytes = b"") -> dict[bytes, tuple[bytes, ...]]:
    return Stored(contents, lambda: base).table()


def test_a_table_of_patterns_that_is_cut_short_or_damaged_is_noticed() -> None:
    lines = [b"/a", b"/b/*.c", b"**/d", *(b"/e%d/f" % number for number in range(200))]
    whole = to_bytes(table_of(lines, fold=False), fold=False)
    amendment = amended_bytes(Stored(whole).base, {(b"a", b""): False, (b"g", b""): True}, fold=False)
    assert read_whole(whole) == table_of(lines, fold=False)
    assert read_whole(amendment, whole) == table_of([*lines[1:], b"/g"], fold=False)
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="patterns"):
            read_whole(whole[:length])
    for at in range(len(whole)):
        with pytest.raises(ValueError, match=r"patterns|int"):
            read_whole(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for at in range(len(amendment)):
        with pytest.raises(ValueError, match=r"patterns|int"):
            read_whole(amendment[:at], whole)
        with pytest.raises(ValueError, match=r"patterns|int"):
            read_whole(amendment[:at] + bytes([amendment[at] ^ 1]) + amendment[at + 1 :], whole)
    other = to_bytes(table_of(lines[:-1], fold=False), fold=False)
    with pytest.raises(ValueError, match=r"patterns|amendment"):
        read_whole(amendment, other)


@pytest.mark.parametrize("count", [3, ONE_FILE_MAX + 1])
@pytest.mark.parametrize("name", [b"patterns", b"whole", b"slot"])
def test_what_is_missing_or_damaged_proves_nothing(tmp_path: Path, name: bytes, count: int) -> None:
    slot = Slot(tmp_path)
    slot.publish({b"/held/file%d" % number for number in range(count)})
    file = slot.file(name)
    if name == b"patterns":
        file.write_bytes(file.read_bytes()[:-30])
        assert slot.verdict(b"free") == fast.UNKNOWN
    file.unlink()
    assert slot.verdict(b"free") == fast.UNKNOWN
    slot.publish({b"/held/file%d" % number for number in range(count)})
    assert slot.verdict(b"free") == fast.CLEAR, "what was damaged is made anew"


def test_a_publication_is_never_written_again(tmp_path: Path) -> None:
    """Whoever reads one while another is made reads the old one to its end, or finds it withdrawn."""
    slot = Slot(tmp_path)
    held = {b"/held/file%d" % number for number in range(ONE_FILE_MAX + 1)}
    slot.publish(held)
    with open(slot.file(b"patterns"), "rb") as reader:
        before = reader.read()
        slot.publish(held | {b"/more"})
        reader.seek(0)
        assert reader.read() == before
    assert slot.verdict(b"more") == fast.TOUCHED
    slot.publish(held)
    assert slot.verdict(b"more") == fast.CLEAR


def test_a_withdrawn_publication_is_not_believed(tmp_path: Path) -> None:
    slot = Slot(tmp_path)
    slot.publish({b"/held"})
    assert slot.verdict(b"free") == fast.CLEAR
    subprocess.run(["rm", "-r", slot.file(b"whole").parent], check=True)
    assert slot.verdict(b"free") == fast.UNKNOWN
