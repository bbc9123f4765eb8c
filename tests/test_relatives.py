"""The net below all names: clones with the same history that are two projects are named, or become one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.repositories import Repository

SAID = "another project in this store has the same history"


def clone(source: Path | str, to: Path) -> Repository:
    Repository(to.parent).git("clone", "-q", str(source), str(to))
    return Repository(to)


def project(repository: Repository) -> str:
    return repository.git("config", "guard.project").out.decode().strip()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Repository, Repository]:
    """Two clones that have no remote in common, so that only their history says that they are one."""
    shop = Repository.make(tmp_path / "shop")
    copy = clone(shop.path, tmp_path / "copy")
    copy.git("remote", "remove", "origin")
    return shop, copy


def test_install_status_and_reserve_name_the_other_project(pair: tuple[Repository, Repository]) -> None:
    shop, copy = pair
    shop.install()
    for number in range(3):
        shop.guard("reserve", f"f{number}", who="alice")
    installed = copy.guard("install").text
    assert f"{SAID}: {shop.path}/.git has 3 reservations" in installed
    assert f"{SAID}: {shop.path}/.git has 3 reservations" in copy.guard("status").text
    reserved = copy.guard("reserve", "a.txt", "--json", who="bob")
    assert SAID in reserved.text
    assert any(SAID in warning for warning in reserved.json()["warnings"])
    copy.guard("release", "--all", who="bob")
    command = re.search(r"git (config guard\.project .*)", installed)
    assert command
    copy.git(*command[1].split())
    assert project(copy) == project(shop)
    assert "alice holds" in copy.commit("f1", who="bob", expect=1).text
    assert SAID not in copy.guard("reserve", "src", who="bob").text


def test_reserve_says_nothing_while_nothing_is_reserved_there(pair: tuple[Repository, Repository]) -> None:
    shop, copy = pair
    shop.install()
    assert "has no reservations" in copy.guard("install").text
    assert SAID not in copy.guard("reserve", "a.txt", who="bob").text
    assert f"{copy.path}/.git has 1 reservation." in shop.guard("reserve", "src", who="alice").text


def test_status_learns_what_was_not_there_at_install(tmp_path: Path) -> None:
    empty = Repository(tmp_path / "empty")
    empty.path.mkdir()
    empty.git("init", "-q")
    empty.guard("install")
    other = Repository.make(tmp_path / "other")
    other.install()
    other.guard("reserve", "src", who="alice")
    empty.git("fetch", "-q", str(other.path), "HEAD:main", "-u")
    empty.git("reset", "-q", "--hard")
    assert f"{other.path}/.git has 1 reservation" in empty.guard("status").text


def test_histories_without_a_common_root_are_strangers(tmp_path: Path) -> None:
    one = Repository.make(tmp_path / "one", files={"a": "1"})
    other = Repository.make(tmp_path / "other", files={"b": "2"})
    one.install()
    one.guard("reserve", "a", who="alice")
    assert SAID not in other.guard("install").text
    assert SAID not in other.guard("status").text


def test_one_common_root_of_several_is_enough(tmp_path: Path) -> None:
    one = Repository.make(tmp_path / "one", files={"a": "1"})
    other = Repository.make(tmp_path / "other", files={"b": "2"})
    one.install()
    other.git("pull", "-q", "--no-rebase", "--no-edit", "--allow-unrelated-histories", str(one.path), "main")
    assert SAID in other.guard("install").text


def test_a_shallow_clone_has_no_roots_of_its_own(tmp_path: Path) -> None:
    """Its boundary looks like the first commit, and is another one in every clone."""
    shop = Repository.make(tmp_path / "shop")
    shop.commit("a.txt", "2\n")
    shop.install()
    for name in ("one", "two"):
        Repository(tmp_path).git("clone", "-q", "--depth=1", f"file://{shop.path}", name)
        made = Repository(tmp_path / name)
        made.git("remote", "remove", "origin")
        assert SAID not in made.guard("install").text


def test_a_grafted_or_replaced_history_shows_its_real_roots(pair: tuple[Repository, Repository]) -> None:
    shop, copy = pair
    copy.commit("a.txt", "2\n")
    copy.git("replace", "--graft", "HEAD")
    shop.install()
    assert SAID in copy.guard("install").text


# A remote that came after install


def test_clones_of_a_remote_that_was_added_after_install(tmp_path: Path) -> None:
    """The first one was named after its directory; it is still there, and its remote is that of the clone."""
    first = Repository.make(tmp_path / "first")
    first.install()
    Repository(tmp_path).git("init", "-q", "--bare", "shop.git")
    first.git("remote", "add", "origin", "../shop.git")
    first.git("push", "-q", "-u", "origin", "main")
    first.guard("reserve", "src/auth", who="alice")
    second = clone(tmp_path / "shop.git", tmp_path / "second")
    assert f"The project is {first.path}/.git, as in that repository" in second.guard("install").text
    assert project(second) == project(first) == f"{first.path}/.git"
    assert "alice holds" in second.commit("src/auth/login.py", who="bob", expect=1).text
    second.git("commit", "-qnm", "past the hook", who="bob")
    assert "alice holds" in second.git("push", "-q", who="bob", expect=1).text
    assert "now gives" not in second.guard("status").text
    second.guard("uninstall")
    assert second.git("config", "guard.project", expect=1)


def test_a_fork_is_not_taken_for_its_origin(tmp_path: Path) -> None:
    first = Repository.make(tmp_path / "first")
    first.install()
    first.git("remote", "add", "origin", "git@github.com:acme/shop.git")
    fork = clone(first.path, tmp_path / "fork")
    fork.git("remote", "set-url", "origin", "git@github.com:bob/shop.git")
    assert SAID in fork.guard("install").text
    assert project(fork) == "github.com/bob/shop"


@pytest.mark.parametrize(
    ("before", "after", "now"),
    [
        ("", "git@github.com:acme/shop.git", "github.com/acme/shop"),
        ("git@github.com:acme/shop.git", "git@github.com:acme/store.git", "github.com/acme/store"),
        ("git@github.com:acme/shop.git", "https://www.github.com/Acme/shop", ""),
        ("git@github.com:acme/shop.git", "https://bob:secret@github.com/acme/shop", ""),
    ],
)
def test_a_remote_that_gives_another_project_now_is_said(tmp_path: Path, before: str, after: str, now: str) -> None:
    made = Repository.make(tmp_path / "repository")
    if before:
        made.git("remote", "add", "origin", before)
    made.install()
    name = project(made)
    assert "now gives" not in made.guard("status").text
    made.git("config", "remote.origin.url", after)
    for command in ("status",), ("reserve", "a.txt"):
        said = made.guard(*command).text
        assert (f"the remote origin now gives {now}" in said) == bool(now), said
        assert "secret" not in said
    assert project(made) == name
    if now:
        made.git("config", "guard.project", now)
        assert "now gives" not in made.guard("status").text


def test_a_name_that_somebody_chose_is_theirs(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "repository")
    made.git("config", "guard.project", "team")
    made.install()
    made.git("remote", "add", "origin", "git@github.com:acme/shop.git")
    assert "now gives" not in made.guard("status").text


def test_what_is_remembered_has_no_password(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "repository")
    made.git("remote", "add", "origin", "https://bob:secret@github.com/acme/shop")
    made.install()
    for file in (made.path / ".git/guard").rglob("*"):
        assert not file.is_file() or b"secret" not in file.read_bytes()


def test_a_remote_here_whose_reservations_are_in_another_store_is_named(tmp_path: Path) -> None:
    """As for a colleague's account: her clone of mine has a store of her own."""
    mine = Repository.make(tmp_path / "mine")
    mine.install()
    store = mine.guard("status", "--json").json()["store"]
    mine.git("clone", "-q", str(mine.path), str(tmp_path / "hers"))
    hers = Repository(tmp_path / "hers")
    home = {"HOME": str(tmp_path / "her-home")}
    installed = hers.guard("install", env=home).text
    assert "Other accounts of this machine do not see what is reserved there" in installed
    for command in ("install", "status"):
        assert f"reservations are in another store: {store}" in hers.guard(command, env=home).text
    said = hers.guard("reserve", "a.txt", "--json", who="carol", env=home).json()["warnings"]
    assert any(f"git config guard.db {store}, then: guard install" in warning for warning in said)
    hers.git("config", "guard.db", store)
    assert "another store" not in hers.guard("install", env=home).text
    mine.guard("reserve", "src/auth", who="alice")
    hers.write("src/auth/login.py", "changed\n")
    assert (
        "alice holds"
        in hers.git("-c", "user.name=c", "-c", "user.email=c@x", "commit", "-qam", "m", env=home, expect=1).text
    )
