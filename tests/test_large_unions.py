"""Unions of many patterns: one .gitignore for each literal directory, changed in place. Counted, not timed."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from guard.patterns.grammar import prefix
from guard.stores.interface import Source
from guard.union import publish as union
from guard.union.publish import Identity, Published
from tests.bench.scene import MODULES, Scene, crowded_patterns, module, others_patterns
from tests.support.git_check_ignore import Maker

IDENTITY = Identity(b"bob", b"project", b"/store.db", False, False)
CLEAR = ["git", "git"]


class Slot:
    """A place to publish in, without a store."""

    def __init__(self, place: Path) -> None:
        (place / ".git").mkdir(parents=True)
        self.path = place / ".git/guard/unions/bob@"

    def publish(self, patterns: set[bytes]) -> Published:
        source = Source(tuple(sorted(patterns)), 1, ())
        return union.publish(os.fsencode(self.path), key=(), identity=IDENTITY, source=source, settings=[])

    def covered(self, published: Published, paths: list[bytes]) -> set[bytes]:
        """What git matches in a publication, asked as the hook asks."""
        env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        asked = subprocess.run(
            ("git", "check-ignore", "--no-index", "--stdin", "-z"),
            env={
                **env,
                "GIT_DIR": os.fsdecode(os.path.join(os.fsencode(self.path), published.state)),
                "GIT_WORK_TREE": os.fsdecode(os.path.join(os.fsencode(self.path), published.tree)),
            },
            cwd=self.path,
            input=b"".join(b"./" + path + b"\0" for path in paths),
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert asked.returncode in (0, 1), asked.stderr
        return {path.removeprefix(b"./") for path in asked.stdout.split(b"\0") if path}

    @property
    def trie(self) -> Path:
        return self.path / "trie"


def contents(tree: Path) -> dict[bytes, bytes]:
    """Every file below a directory."""
    return {os.fsencode(file.relative_to(tree)): file.read_bytes() for file in tree.rglob("*") if not file.is_dir()} | {
        os.fsencode(directory.relative_to(tree)): b"" for directory in tree.rglob("*") if directory.is_dir()
    }


@pytest.fixture
def large(tmp_path: Path) -> Scene:
    """10,000 reservations of somebody else, and fifty staged files that none of them covers."""
    scene = Scene.make(tmp_path / "scene", patterns=others_patterns(10_000))
    scene.settle()
    assert scene.started() == CLEAR
    return scene


def trie_of(scene: Scene) -> Path:
    (found,) = (scene.repo / ".git/guard/unions").glob("*/trie")
    return found


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not on this machine")
def test_a_commit_reads_only_the_ignore_files_on_its_paths_way(large: Scene, tmp_path: Path) -> None:
    assert len(list(trie_of(large).rglob(".gitignore"))) == 10_000
    log = tmp_path / "strace"
    traced = subprocess.run(
        ("strace", "-f", "-o", log, "-e", "trace=openat,open", str(large.hooks / "pre-commit")),
        cwd=large.repo,
        env=large.hook_env(),
        check=False,
        capture_output=True,
        timeout=120,
    )
    if traced.returncode and not log.exists():
        pytest.skip("strace may not trace here")
    opened = re.findall(r'"([^"]*)\.gitignore"', log.read_text())
    on_the_way = 2 + 2 * MODULES  # the top, src, and of each module itself and the directory of its files
    assert traced.returncode == 0
    assert 0 < len(opened) <= on_the_way, "a directory is looked into once"


def test_a_changed_reservation_rewrites_only_the_file_of_its_directory(large: Scene) -> None:
    def stamps() -> dict[Path, tuple[int, int]]:
        files = trie_of(large).rglob(".gitignore")
        return {file: (status.st_ino, status.st_mtime_ns) for file in files if (status := file.stat())}

    before = stamps()
    large.reserve([f"/{module(3)}/*.sql", "/elsewhere/new.txt"])
    assert large.started()[0] == "python"
    after = stamps()
    assert large.started() == CLEAR
    changed = {file for file in after if after[file] != before.get(file)}
    assert changed == {trie_of(large) / module(3) / ".gitignore", trie_of(large) / "elsewhere/.gitignore"}
    assert before.keys() <= after.keys()


def test_a_change_that_is_no_change_of_patterns_rewrites_none(large: Scene) -> None:
    trie = trie_of(large)
    names = [(file, file.stat().st_mtime_ns) for file in (trie, *trie.rglob(".gitignore"), trie.parent / "current")]
    large.add_ended(3)
    assert large.started()[0] == "python"
    assert large.started() == CLEAR
    assert [(file, file.stat().st_mtime_ns) for file, _ in names] == names


def test_what_many_hold_is_refused_as_what_few_hold(large: Scene) -> None:
    large.reserve([f"/{module(3)}/part/file3.txt"])
    assert large.started()[:3] == ["python", *CLEAR]
    large.hook_ms(expect=1)


@pytest.mark.parametrize("seed", range(4))
def test_after_many_changes_the_trie_is_as_one_built_anew(tmp_path: Path, seed: int) -> None:
    maker, chance = Maker(seed), random.Random(seed)
    several = Slot(tmp_path / "several")
    held = {maker.pattern() for _ in range(union.ONE_FILE_MAX + 200)} | {b"!no", b"# no", b"a\nb", b"a\nc", b""}
    for turn in range(25):
        held -= set(chance.sample(sorted(held), chance.choice((0, 1, 5, 100))))
        while len(held) <= union.ONE_FILE_MAX:
            held |= {maker.pattern() for _ in range(60)}
        held |= {maker.pattern() for _ in range(chance.choice((0, 1, 5)))}
        assert several.publish(held).tree == b"trie"
        if turn % 8 == 0:
            anew = Slot(tmp_path / f"anew{turn}")
            anew.publish(held)
            assert contents(several.trie) == contents(anew.trie)


@pytest.mark.parametrize("harm", ["listing gone", "file gone", "line gone", "trie gone"])
def test_a_trie_that_is_not_what_it_should_be_is_made_anew(tmp_path: Path, harm: str) -> None:
    slot, sound = Slot(tmp_path / "slot"), Slot(tmp_path / "sound")
    held = {pattern.encode() for pattern in crowded_patterns(union.ONE_FILE_MAX * 4)}
    slot.publish(held)
    file = slot.trie / module(0) / "part/.gitignore"
    if harm == "listing gone":
        (slot.path / "trie.patterns").unlink()
        file.write_text("/what a killed publisher left\n")
    elif harm == "file gone":
        file.unlink()
    elif harm == "line gone":
        file.write_bytes(b"\n".join(file.read_bytes().split(b"\n")[1:]))
    else:
        shutil.rmtree(slot.trie)
    held = {pattern for pattern in held if not pattern.startswith(f"/{module(0)}/".encode())}
    assert len(held) > union.ONE_FILE_MAX
    slot.publish(held)
    sound.publish(held)
    assert contents(slot.trie) == contents(sound.trie)


@pytest.mark.parametrize("seed", range(6))
def test_git_answers_the_same_from_one_file_and_from_the_trie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    maker = Maker(seed)
    held = {pattern for pattern in maker.accepted(600) if prefix(pattern)}  # else a few would cover everything
    held |= {b"**/\xc3\xa9*", b"**/ab/", b"**/[Z-a]z/**"}
    patterns = sorted(held)
    paths = [maker.near(maker.random.choice(patterns)) for _ in range(1500)] + [maker.path() for _ in range(500)]
    one, many = Slot(tmp_path / "one"), Slot(tmp_path / "many")
    monkeypatch.setattr(union, "ONE_FILE_MAX", 10_000)
    from_one = one.covered(one.publish(held), paths)
    monkeypatch.setattr(union, "ONE_FILE_MAX", 0)
    from_many = many.covered(many.publish(held), paths)
    assert (many.trie / ".gitignore").exists()
    assert 0 < len(from_one) < len(set(paths))
    # Where the trie has a directory of the changed path's own name, git takes the path for one: stricter, never laxer.
    own = {path for path in from_many if os.path.isdir(os.path.join(os.fsencode(many.trie), path))}
    assert from_one <= from_many
    assert from_many - from_one <= own
