"""An upgrade leaves the hooks of the older guard in place until somebody renews them: they must go on judging."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.older_guard import old_guard
from tests.support.repositories import PACKAGE, Repository, run

PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from guard.__main__ import main; main()"


@pytest.fixture
def upgraded(tmp_path: Path) -> Repository:
    """A repository whose hooks the first version installed, and whose Python now finds this version."""
    made = Repository.make(tmp_path / "repository")
    old = str(old_guard(tmp_path))
    done = run([sys.executable, "-c", PROGRAM, old, "install"], cwd=made.path, env={"GUARD_AGENT": "alice"})
    assert done.code == 0, done.text
    note = made.path / ".git/guard/python"
    note.write_text(note.read_text().replace(old, str(PACKAGE)))
    made.guard("reserve", "src", who="alice")
    return made


def test_they_refuse_and_let_pass_and_name_the_renewal(upgraded: Repository) -> None:
    refused = upgraded.commit("src/b.py", who="bob", expect=1)
    assert "alice holds /src" in refused.text
    assert "guard install --all" in refused.text
    upgraded.git("reset", "-q", "--hard")
    passed = upgraded.commit("a.txt", who="bob")
    assert "hooks are of an older guard" in passed.text


def test_pushes_too(upgraded: Repository, tmp_path: Path) -> None:
    upgraded.git("init", "-q", "--bare", str(tmp_path / "bare.git"))
    upgraded.git("remote", "add", "team", str(tmp_path / "bare.git"))
    upgraded.write("src/b.py", "changed\n")
    upgraded.git("commit", "-qanm", "past the hook", who="bob")
    assert "alice holds /src" in upgraded.git("push", "-q", "team", "HEAD", who="bob", expect=1).text
    upgraded.git("push", "-q", "team", "HEAD", who="alice")


def test_installing_renews_them(upgraded: Repository) -> None:
    assert "older guard" in upgraded.guard("status").text
    upgraded.guard("install")
    upgraded.commit("a.txt", who="bob")
    passed = upgraded.commit("a.txt", "again\n", who="bob")
    assert passed.err == b""
