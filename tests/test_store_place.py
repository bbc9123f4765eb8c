"""One repository has one store: where install noted it. Nothing is made in its place in silence."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from guard.repo.defaults import Note, read_note, store_path, write_note
from tests.support.agent_mail import Mail
from tests.support.repositories import Repository


def store_of(repository: Repository, **env: str) -> Path:
    return Path(repository.guard("status", "--json", env=env).json()["store"])


def stores_below(path: Path) -> list[str]:
    return sorted(str(each.relative_to(path)) for each in path.rglob("*.db"))


ELSEWHERE = [
    {"XDG_DATA_HOME": "{tmp}/snap/code/176/.local/share"},
    {"HOME": "{tmp}/other-home"},
    {"HOME": "{tmp}/other-home", "XDG_DATA_HOME": "{tmp}/elsewhere"},
    {"HOME": ""},
    {"XDG_DATA_HOME": "relative"},
    {"XDG_DATA_HOME": "{tmp}/reservation\x1b"},
]


@pytest.mark.parametrize("changed", ELSEWHERE, ids=str)
def test_another_home_or_data_directory_finds_the_same_store(
    repository: Repository, tmp_path: Path, changed: dict[str, str]
) -> None:
    env = {name: value.format(tmp=tmp_path) for name, value in changed.items()}
    repository.git("config", "user.name", "Nobody")
    repository.git("config", "user.email", "nobody@example.com")
    repository.guard("reserve", "src/auth", who="alice")
    before = stores_below(tmp_path)
    repository.write("src/auth/login.py", "changed\n")
    done = repository.git("commit", "-qam", "m", who="bob", env=env, expect=1)
    assert "alice holds" in done.text
    assert "alice" in repository.guard("list", env=env).text
    repository.guard("reserve", "a.txt", who="bob", env=env)
    assert "made a new" not in repository.guard("install", env=env, expect=None).text
    assert stores_below(tmp_path) == before


READING = [
    ("list",),
    ("list", "--all-projects"),
    ("check",),
    ("check", "a.txt"),
    ("status",),
    ("whoami",),
    ("log",),
    ("release", "--all"),
    ("renew", "--all"),
    ("break", "1"),
    ("hook", "pre-commit"),
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("way", ["environment", "local", "global"])
def test_a_misspelt_place_is_an_error_and_nothing_is_made_there(
    repository: Repository, tmp_path: Path, command: tuple[str, ...], way: str
) -> None:
    typo = tmp_path / "guard.bd"
    env = {"GUARD_DB": str(typo)} if way == "environment" else {}
    if way != "environment":
        repository.git("config", f"--{way}", "guard.db", str(typo))
    done = repository.guard(*command, env=env, expect=None)
    assert done.code == (0 if command[0] == "status" else 3), done.text
    assert f"{typo} (from" in done.text, done.text
    assert "does not exist" in done.text
    assert "home/.local/share/guard/guard.db" in done.text  # the place that install noted
    assert not typo.exists()
    committed = repository.commit("a.txt", who="bob", expect=None)
    assert committed.code == (1 if way != "environment" else 0), committed.text
    assert not typo.exists()


def test_a_store_that_is_gone_is_an_error_everywhere_until_install_makes_a_new_one(repository: Repository) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    repository.commit("a.txt", "1\n", who="bob")
    store = store_of(repository)
    store.unlink()
    for who in ("bob", "carol"):  # with a published union, and without
        said = repository.commit("a.txt", f"{who}\n", who=who, expect=1).text
        assert f"the store {store}" in said
        assert "does not exist" in said
        assert "repair: guard install" in said
    for command in (("list",), ("check", "a.txt"), ("reserve", "a.txt"), ("hold", "a.txt", "--", "true")):
        assert "does not exist" in repository.guard(*command, expect=3).text
    assert repository.guard("status", "--check", expect=3)
    assert not store.exists()
    assert f"made a new, empty store at {store}" in repository.guard("install").text
    assert store.exists()
    repository.guard("reserve", "a.txt", who="alice")


def test_the_first_reservation_makes_a_store_and_says_so(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "fresh")
    assert "does not exist" in made.guard("list", expect=3).text
    first = made.guard("reserve", "a.txt", "--json")
    assert b"made a new, empty store at " in first.err
    assert first.json()["granted"]
    assert "made a new" not in made.guard("reserve", "src").text


def test_a_store_in_a_directory_that_is_not_there_is_not_made(repository: Repository, tmp_path: Path) -> None:
    """A disk that is not mounted looks like that, and so does a slip in the name of a directory."""
    env = {"GUARD_DB": str(tmp_path / "mnt/guard.db")}
    for command in ("reserve", "a.txt"), ("install",):
        done = repository.guard(*command, env=env, expect=3)
        assert f"there is no directory {tmp_path / 'mnt'}" in done.text
    (tmp_path / "mnt").mkdir()
    assert "made a new, empty store" in repository.guard("install", env=env).text
    assert store_of(repository) == tmp_path / "mnt/guard.db"  # noted, and found without the variable


def test_a_store_that_cannot_be_seen_from_here_is_not_replaced(repository: Repository, tmp_path: Path) -> None:
    """As in a container that has the repository but not the home directory."""
    store = store_of(repository)
    repository.guard("reserve", "src/auth", who="alice")
    shutil.move(store.parent, tmp_path / "kept")
    env = {"HOME": str(tmp_path / "container")}
    (tmp_path / "container").mkdir()
    own = tmp_path / "container/.local/share/guard/guard.db"
    shutil.copy(tmp_path / "home/.gitconfig", tmp_path / "container/.gitconfig")
    for command in ("list",), ("reserve", "a.txt"), ("install",), ("hook", "pre-commit"):
        done = repository.guard(*command, env=env, expect=3)
        assert str(store) in done.text, done.text
        assert str(own) in done.text
    repository.write("a.txt", "changed\n")
    committed = repository.git("commit", "-qam", "m", who="bob", env=env, expect=1)
    assert str(store) in committed.text
    assert str(own) in committed.text
    assert not own.exists()
    assert not store.exists()
    own.parent.mkdir(parents=True)
    repair = f"git config guard.db {own}"
    assert repair in committed.text
    repository.git(*repair.split()[1:])
    repository.guard("install", env=env)
    repository.git("commit", "-qam", "m", who="bob", env=env)


def test_a_store_that_cannot_be_reached_is_an_error_that_names_both_places(
    repository: Repository, tmp_path: Path
) -> None:
    """As for another account, to which the directory is closed; what root meets here is a file in the way."""
    store = store_of(repository)
    shutil.rmtree(store.parent)
    store.parent.write_text("in the way")
    env = {"HOME": str(tmp_path / "bob")}
    (tmp_path / "bob").mkdir()
    done = repository.guard("list", env=env, expect=3)
    assert "Not a directory" in done.text or "does not exist" in done.text
    assert str(store) in done.text
    assert str(tmp_path / "bob/.local/share/guard/guard.db") in done.text
    assert not (tmp_path / "bob/.local").exists()


# MCP Agent Mail's database


def mail_at(path: Path, repository: Repository) -> Mail:
    mail = Mail.make(path)
    mail.project(repository.path)
    mail.reserve("src/**")
    mail.settle()
    return mail


@pytest.mark.parametrize("way", ["environment", "local", "global"])
@pytest.mark.parametrize("gone", ["removed", "moved", "emptied", "replaced"])
def test_a_place_that_was_agent_mails_is_never_taken_for_ours(tmp_path: Path, way: str, gone: str) -> None:
    repository = Repository.make(tmp_path / "repository")
    path = tmp_path / "storage.sqlite3"
    mail_at(path, repository)
    env = {"GUARD_DB": str(path)} if way == "environment" else {}
    if way != "environment":
        repository.git("config", f"--{way}", "guard.db", str(path))
    repository.guard("install", env=env, expect=None)
    repository.write("src/b.py", "changed\n")
    repository.git("add", "-A")
    assert "BlueLake" in repository.git("commit", "-qm", "m", who="bob", env=env, expect=1).text
    for file in tmp_path.glob("storage.sqlite3*"):
        file.unlink()
    if gone == "emptied":
        path.touch()
    elif gone == "replaced":
        repository.guard("list", "--all-projects", env={"GUARD_DB": str(tmp_path / "x.db")}, expect=3)
        other = Repository.make(tmp_path / "other")
        other.guard("reserve", "a.txt", env={"GUARD_DB": str(path)})
    before = path.read_bytes() if path.exists() else None
    for _ in range(2):
        done = repository.git("commit", "-qm", "m", who="bob", env=env, expect=1)
        assert "Agent Mail" in done.text, done.text
    for command in ("list",), ("reserve", "a.txt"), ("install",):
        assert "Agent Mail" in repository.guard(*command, env=env, expect=3).text
    assert (path.read_bytes() if path.exists() else None) == before


def test_agent_mails_database_that_is_not_there_yet_is_said_to_be_missing(tmp_path: Path) -> None:
    """Its server will make it; what guard would make there would stand in its way."""
    repository = Repository.make(tmp_path / "repository")
    path = tmp_path / "storage.sqlite3"
    repository.git("config", "guard.db", str(path))
    assert f"made a new, empty store at {path}" in repository.guard("install").text


# The note


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"/a/guard.db\nsqlite\n", Note("/a/guard.db", "sqlite")),
        (b"/a b/gu\xc3\xa4rd.db\nagent-mail\n", Note("/a b/guärd.db", "agent-mail")),
        (b"/a/guard.db\n", None),
        (b"/a/guard.db", None),
        (b"", None),
        (b"\nsqlite\n", None),
    ],
)
def test_a_torn_note_is_none(tmp_path: Path, written: bytes, read: Note | None) -> None:
    (tmp_path / "store").write_bytes(written)
    assert read_note(os.fsencode(tmp_path)) == read


def test_a_note_of_an_earlier_version_counts(tmp_path: Path) -> None:
    (tmp_path / "default-store").write_bytes(b"/home/me/.local/share/guard/guard.db\n/home/me\n\n")
    assert read_note(os.fsencode(tmp_path)) == Note("/home/me/.local/share/guard/guard.db", "")


def test_a_note_has_no_password(tmp_path: Path) -> None:
    assert write_note(os.fsencode(tmp_path), Note("postgresql://bob:hunter2@db/guard?password=hunter2", "postgresql"))
    assert b"hunter2" not in (tmp_path / "store").read_bytes()
    assert not write_note(os.fsencode(tmp_path), Note("postgresql://bob:hunter2@db/guard", "postgresql"))
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("store")] == ["store"]


@pytest.mark.parametrize(
    "environment",
    [{"HOME": "/home/x"}, {"HOME": "/home/x", "XDG_DATA_HOME": "/data"}, {"HOME": "/home/x", "XDG_DATA_HOME": " "}, {}],
    ids=str,
)
def test_the_accounts_own_place_is_the_one_that_platformdirs_names(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from platformdirs import user_data_dir

    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    expected = os.path.join(user_data_dir("guard", appauthor=False), "guard.db")
    assert store_path({name.encode(): value.encode() for name, value in environment.items()}) == expected
