"""What stands in the way of a union: hooks judge rightly and slowly, and guard status says why and what to do."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from guard.stores import freshness
from tests.support.repositories import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.stage import Stage


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _directory(path: Path) -> None:
    _remove(path)
    path.mkdir()
    (path / "something").write_text("x")


def _link(path: Path) -> None:
    _remove(path)
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.write_text("")
    path.symlink_to(elsewhere)


def _link_to_a_directory(path: Path) -> None:
    _remove(path)
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.mkdir()
    path.symlink_to(elsewhere)


def _file(path: Path) -> None:
    _remove(path)
    path.write_text("x")


SCRIPT = os.fsdecode(b"fresh.%b.%b" % (freshness.boot(), freshness.host()))

OBSTACLES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "the lock is a link": ("bob@/lock", _link),
    "the lock is a directory": ("bob@/lock", _directory),
    "the link to what counts is a directory": ("bob@/current", _directory),
    "the repository of git's is a file": ("bob@/repository", _file),
    "the script of the hook is a directory": (f"bob@/{SCRIPT}", _directory),
    "the holder's directory is a file": ("bob@", _file),
    "the holder's directory is a link": ("bob@", _link_to_a_directory),
    "the directory of all is a file": ("", _file),
    "the directory of all is a link": ("", _link_to_a_directory),
}


@pytest.mark.parametrize("case", list(OBSTACLES))
def test_status_says_why_hooks_are_slow_and_its_repair_works(stage: Stage, case: str) -> None:
    name, put = OBSTACLES[case]
    path = stage.slot.parent / name if name else stage.slot.parent
    put(path)

    stage.assert_guarded()
    said = stage.repository.guard("status", who="bob").text
    notes = [line for line in said.splitlines() if "every hook starts Python" in line]
    assert len(notes) == 1, said
    assert str(path) in notes[0], said
    repair = re.search(r"\(repair: (.*)\)", notes[0])
    assert repair is not None, said
    assert run(["sh", "-c", repair[1]], cwd=stage.repository.path).code == 0

    for _ in range(2):
        assert stage.hook("free.txt").code == 0
    assert "every hook starts Python" not in stage.repository.guard("status", who="bob").text
    (stage.repository.path / ".git/guard/python").unlink()
    assert stage.hook("free.txt").code == 0, "no Python is needed any more"


def test_where_nothing_is_in_the_way_status_says_nothing_of_it(stage: Stage) -> None:
    assert "every hook starts Python" not in stage.repository.guard("status", who="bob").text
    shutil.rmtree(stage.slot.parent)
    assert "every hook starts Python" not in stage.repository.guard("status", who="bob").text
