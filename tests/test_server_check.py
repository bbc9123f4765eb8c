"""The required status check of ``guard help server``: its commands are taken from the page, and run as they stand."""

from __future__ import annotations

import re
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.support.repositories import PACKAGE, Done, run
from tests.support.server import Server

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (PACKAGE / "guard/help/server.md").read_text()


def script() -> str:
    """The last step of the workflow."""
    found = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return textwrap.dedent(found[1].partition("        run: |\n")[2])


@pytest.fixture
def pulled(pushed_to: Path, hermetic: Path) -> Server:
    """A fork has sent a request to merge three commits; meanwhile the base has gone on, in what alice holds."""
    server = Server.of(pushed_to, hermetic / ".local/share/guard/guard.db")
    server.bare.git("config", "uploadpack.allowAnySHA1InWant", "true")
    server.clone.git("config", "core.hooksPath", "/dev/null")
    return server


def checked(server: Server, tmp_path: Path, **env: str) -> Done:
    server.bare.git("config", "guard.mode", "off")  # this repository stands for one on which no hook runs
    server.clone.git("push", "-q", "origin", "main", "fork:refs/pull/7/head")
    bin_ = tmp_path / "bin"
    bin_.mkdir(exist_ok=True)
    (bin_ / "guard").write_text(f'#!/bin/sh\nPYTHONPATH={PACKAGE} exec {sys.executable} -m guard "$@"\n')
    (bin_ / "guard").chmod(0o755)
    given = {
        "GUARD_DB": str(server.store),
        "GUARD_PROJECT": server.project,
        "GUARD_AGENT": "bob",
        "BASE": server.clone.head(),
        "HEAD_SHA": server.clone.git("rev-parse", "fork").out.decode().strip(),
        "NUMBER": "7",
        "URL": str(server.bare.path),
        "TOKEN": "secret",
        "TMPDIR": str(tmp_path),
        "PATH": f"{bin_}:/usr/local/bin:/usr/bin:/bin",
    }
    return run(["sh", "-eu", "-c", script()], cwd=tmp_path, env={**given, **env})


def test_what_the_fork_changes_is_judged_and_not_what_the_base_does(pulled: Server, tmp_path: Path) -> None:
    pulled.play("git checkout -qb fork; make free.txt y.txt; git checkout -q main; make held/x.txt")
    done = checked(pulled, tmp_path)
    assert done.code == 0, done.text
    pulled.play("git checkout -q fork; make held/x.txt; git checkout -q main")
    done = checked(pulled, tmp_path)
    assert done.code == 1 and "held/x.txt" in done.text, done.text
    done = checked(pulled, tmp_path, GUARD_AGENT="alice")
    assert done.code == 0, done.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"GUARD_DB": ""},
        {"GUARD_DB": "/does/not/exist.db"},
        {"HEAD_SHA": "1" * 40},
        {"BASE": "1" * 40},
        {"NUMBER": "8"},
        {"PATH": "/usr/bin:/bin"},
    ],
    ids=["no_store", "a_store_that_is_not_there", "no_head", "no_base", "no_request", "no_guard"],
)
def test_it_fails_closed(pulled: Server, tmp_path: Path, wrong: dict[str, str]) -> None:
    pulled.play("git checkout -qb fork; make free.txt; git checkout -q main")
    assert checked(pulled, tmp_path, **wrong).code != 0
