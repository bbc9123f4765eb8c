"""``.guardconfig``: what a repository may set for everybody who clones it, and what it may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.repositories import Repository, age


def share(repository: Repository, text: str) -> None:
    repository.write(".guardconfig", text)
    age(repository.path / ".guardconfig")


def test_project_ttl_and_mode_count(repository: Repository) -> None:
    repository.git("config", "--unset", "guard.project")
    share(repository, "[guard]\n\tproject = the shop\n\tttl = 5m\n\tmode = warn\n")
    answer = repository.guard("reserve", "src", "--json", who="alice").json()
    assert 290 <= answer["granted"][0]["expires_in_s"] <= 300
    assert repository.guard("list", "--json").json()["project"] == "the shop"
    status = repository.guard("status", who="bob").out.decode()
    assert "mode     warn  (from the file .guardconfig)" in status
    assert "project  the shop  (from the file .guardconfig)" in status
    assert "mode warn" in repository.commit("src/b.py", who="bob").text


def test_everything_of_the_readers_own_wins(repository: Repository) -> None:
    share(repository, "[guard]\n\tmode = off\n\tttl = 5m\n")
    repository.guard("reserve", "src", who="alice", env={"GUARD_TTL": "2h"})
    repository.git("config", "guard.mode", "block")
    repository.commit("src/b.py", who="bob", expect=1)
    assert repository.guard("list", "--json").json()["reservations"][0]["expires_in_s"] > 3600


def test_a_change_of_the_file_counts_for_the_next_hook(repository: Repository) -> None:
    repository.guard("reserve", "src", who="alice")
    repository.commit("a.txt", "published\n", who="bob")
    repository.write("src/b.py", "mine\n")
    repository.git("add", "src/b.py")
    repository.git("commit", "-q", "-m", "x", who="bob", expect=1)
    share(repository, "[guard]\n\tmode = warn\n")
    repository.git("commit", "-q", "-m", "x", who="bob")
    os.unlink(repository.path / ".guardconfig")
    repository.write("src/b.py", "again\n")
    repository.git("add", "src/b.py")
    repository.git("commit", "-q", "-m", "x", who="bob", expect=1)


@pytest.mark.parametrize(
    "key", ["db = /tmp/elsewhere.db", "agent = mallory", "onError = allow", "only = docs", "autoReserve = 1h"]
)
def test_nothing_else_counts_and_status_says_so(repository: Repository, key: str) -> None:
    before = repository.guard("whoami", "--json").json(), repository.guard("store", "show", "--json").json()["store"]
    share(repository, f"[guard]\n\t{key}\n[core]\n\thooksPath = /tmp/hooks\n[alias]\n\tx = !touch ran\n")
    after = repository.guard("whoami", "--json").json(), repository.guard("store", "show", "--json").json()["store"]
    assert before == after
    repository.commit("src/b.py", who="bob")
    name = key.partition(" ")[0].lower()
    assert f".guardconfig sets guard.{name}, which does not count" in repository.guard("status").text


def test_it_includes_no_other_file(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("[guard]\n\tmode = off\n")
    share(repository, f"[include]\n\tpath = {tmp_path / 'other'}\n")
    repository.guard("reserve", "src", who="alice")
    repository.commit("src/b.py", who="bob", expect=1)


@pytest.mark.parametrize("text", ["[guard\n", "[guard]\n\tmode\n", "mode = off\n", "x" * 70_000, "\0\1\2"], ids=repr)
def test_a_file_that_cannot_be_read_changes_nothing(repository: Repository, text: str) -> None:
    share(repository, text)
    repository.guard("reserve", "src", who="alice")
    repository.commit("a.txt", who="bob")
    repository.commit("src/b.py", who="bob", expect=1)
    assert ".guardconfig" in repository.guard("status").text


def test_it_never_switches_guard_off(repository: Repository) -> None:
    """Whoever can push can change the file; nobody else would notice."""
    share(repository, "[guard]\n\tmode = off\n")
    repository.guard("reserve", "src", who="alice")
    assert "is reserved by alice" in repository.commit("src/b.py", who="bob", expect=1).text
    status = repository.guard("status").text
    assert "guard.mode=off" in status and "off  (from" not in status


def test_a_link_is_not_followed(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("[guard]\n\tmode = off\n")
    os.symlink(tmp_path / "other", repository.path / ".guardconfig")
    repository.guard("reserve", "src", who="alice")
    repository.commit("src/b.py", who="bob", expect=1)
    assert ".guardconfig counts for nothing" in repository.guard("status").text


def test_a_value_that_guard_cannot_use_is_reported(repository: Repository) -> None:
    share(repository, "[guard]\n\tmode = blok\n\tttl = 100d\n")
    status = repository.guard("status").text
    assert ".guardconfig: guard.mode 'blok' (tracked) is unknown" in status
    assert ".guardconfig: guard.ttl '100d' (tracked) is out of bounds" in status


def test_a_template_gives_hooks_to_every_future_clone(tmp_path: Path, hermetic: Path) -> None:
    """What `guard help hooks` says about init.templateDir (git-init(1), TEMPLATE DIRECTORY)."""
    source = Repository.make(tmp_path / "source")
    source.install()
    template = hermetic / ".git-template" / "hooks"
    template.mkdir(parents=True)
    for name in ("pre-commit", "pre-merge-commit", "pre-push"):
        (template / name).write_bytes((source.git_dir / "hooks" / name).read_bytes())
        (template / name).chmod(0o755)
    source.git("config", "--global", "init.templateDir", str(template.parent))
    source.git("clone", "-q", str(source.path), str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    refused = clone.commit("a.txt", who="bob", expect=1).text
    assert "repair: guard install" in refused
    clone.guard("install")
    clone.git("commit", "-q", "-m", "now", who="bob")
    clone.guard("reserve", "src", who="alice")
    clone.commit("src/b.py", who="bob", expect=1)
    clone.guard("status", "--check")


def test_an_install_leaves_the_project_to_the_file(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    share(repository, "[guard]\n\tproject = the shop\n")
    repository.install()
    repository.git("config", "guard.project", expect=1)
    share(repository, "[guard]\n\tproject = the other shop\n")
    assert repository.guard("list", "--json").json()["project"] == "the other shop"
