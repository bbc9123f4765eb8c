"""What ``guard mcp`` keeps between calls never changes an answer: whatever changes, the next call sees it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guard.mcp import unchanged
from guard.mcp.kept import KeptStore
from guard.mcp.standing import Standing
from guard.mcp.unchanged import Views
from guard.model import GuardError
from guard.stores.interface import Actor, Terms, Wanted
from guard.work import questions
from tests.support.databases import connected
from tests.support.foreign_hooks import hook
from tests.support.mcp_client import CLAUDE, PATIENCE_S, Raw
from tests.support.repositories import Repository

Change = Callable[[Repository, Path], None]
Environment = dict[bytes, bytes]
LINE = 'g=$(git rev-parse --git-common-dir)/guard/hook || exit; [ ! -f "$g" ] || sh "$g" EVENT "$@" || exit\n'
GRAIN_NS = 50_000_000
"""Longer than a tick of the kernel's clock, which file systems take their times from; the real one also suits FAT."""


@pytest.fixture(autouse=True)
def short_grain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "GRAIN_NS", GRAIN_NS)


class Server:
    """What stays from call to call, as :mod:`guard.mcp.server` holds it."""

    def __init__(self, cwd: Path, environment: Environment | None = None) -> None:
        self.cwd = os.fsencode(cwd)
        self.environment = environment or {}
        self.views, self.kept = Views(), KeptStore()

    def standing(self) -> Standing:
        return Standing({**os.environb, **self.environment}, self.cwd, made="mcp-0", kept=self.kept, views=self.views)

    def warm(self) -> None:
        """Calls until what can be kept is kept."""
        until = time.monotonic() + PATIENCE_S
        while self.standing()._reading.view is None:
            assert time.monotonic() < until, "it is never kept"
            seen(self.standing())
            time.sleep(GRAIN_NS / 1e9)


def seen(standing: Standing) -> Any:
    """All that a call takes from its view; an error counts as an answer."""
    try:
        entries = [(each.scope, each.origin, each.key, each.value) for each in standing.entries]
        return standing.place, entries, standing.settings, standing.remarks
    except GuardError as error:
        return error.what


def git(*words: str) -> Change:
    def change(repository: Repository, home: Path) -> None:
        repository.git(*words)

    return change


def config(*words: str) -> Change:
    return git("config", *words)


def write(name: str, text: str) -> Change:
    def change(repository: Repository, home: Path) -> None:
        file = Path(name.format(home=home, top=repository.path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(home=home))

    return change


def remove(name: str) -> Change:
    def change(repository: Repository, home: Path) -> None:
        file = repository.path / name
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink()

    return change


def own_worktree_settings(repository: Repository, home: Path) -> None:
    repository.git("config", "extensions.worktreeConfig", "true")
    repository.git("config", "--worktree", "guard.agent", "dave")


def in_place(repository: Repository, home: Path) -> None:
    """The same size, the same name, and the old time put back: only the change of status tells."""
    file = repository.path / ".git/config"
    status = file.stat()
    text = file.read_bytes()
    assert b"agent = bob" in text
    with file.open("r+b") as writer:
        writer.write(text.replace(b"agent = bob", b"agent = eve"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def swap_top(repository: Repository, home: Path) -> None:
    other = Repository.make(repository.path.parent / "swapped")
    os.rename(repository.path, repository.path.parent / "away")
    os.rename(other.path, repository.path)


def hook_of(change: Callable[[Path], None]) -> Change:
    return lambda repository, home: change(repository.path / ".git/hooks/pre-commit")


def precede(hook: Path) -> None:
    hook.write_bytes(b"#!/bin/sh\n" + hook.read_bytes())


CHANGES: dict[str, Change] = {
    "another holder": config("guard.agent", "carol"),
    "another holder, as fast as can be": in_place,
    "another project": config("guard.project", "other"),
    "another mode": config("guard.mode", "warn"),
    "a fence": config("guard.only", "src"),
    "case does not count": config("core.ignoreCase", "true"),
    "for the whole account": config("--global", "guard.ttl", "2h"),
    "a file that was not there": write("{home}/.config/git/config", "[guard]\n\tttl = 3h\n"),
    "for everybody who clones it": write("{top}/.guardconfig", "[guard]\n\tttl = 4h\n"),
    "a remote": config("remote.origin.url", "https://example.com/x/y.git"),
    "a worktree's own settings": own_worktree_settings,
    "an included file": config("include.path", "/nowhere/at/all"),
    "other hooks": config("core.hooksPath", "elsewhere"),
    "a hook is gone": remove(".git/hooks/pre-commit"),
    "a hook does not run": hook_of(lambda hook: hook.chmod(0o644)),
    "a hook is another": hook_of(precede),
    "a note is another": write("{top}/.git/guard/store", "{home}/other.db\nsqlite\n"),
    "the repository is deleted": remove(".git"),
    "a repository between": git("init", "-q", "src"),
    "a bare repository between": git("init", "-q", "--bare", "src"),
    "the work tree is another": swap_top,
    "the work tree lies elsewhere": config("core.worktree", "../src"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_seen_by_the_next_call(repository: Repository, hermetic: Path, change: Change) -> None:
    repository.git("config", "guard.agent", "bob")
    server = Server(repository.path / "src/auth")
    server.warm()
    before = seen(server.standing())
    assert before == seen(Server(repository.path / "src/auth").standing())
    change(repository, hermetic)
    found, anew = seen(server.standing()), seen(Server(repository.path / "src/auth").standing())
    assert found == anew != before


def neighbour_without_a_name(repository: Repository, tmp_path: Path) -> tuple[Path, Environment]:
    """A remote on this machine has its own project, which its own settings tell."""
    clone = tmp_path / "clone"
    repository.git("clone", "-q", str(repository.path), str(clone))
    Repository(clone).install()
    Repository(clone).git("config", "--unset", "guard.project")
    (clone / ".git/guard/project").unlink()
    return clone, {}


def neighbour_with_a_name(repository: Repository, tmp_path: Path) -> tuple[Path, Environment]:
    repository.git("config", "guard.project", "first")
    return neighbour_without_a_name(repository, tmp_path)


def variable_that_says_the_neighbours_name(repository: Repository, tmp_path: Path) -> tuple[Path, Environment]:
    return neighbour_with_a_name(repository, tmp_path)[0], {b"GUARD_PROJECT": b"first"}


def line_in_another_programs_hook(repository: Repository, tmp_path: Path) -> tuple[Path, Environment]:
    """As husky has it: git finds husky's hooks, and these run files that their owner may edit."""
    hooks = repository.path / ".husky"
    for event in ("pre-commit", "pre-merge-commit", "pre-push"):
        hook(hooks / "_" / event, '#!/usr/bin/env sh\n. "$(dirname "$0")/h"\n')
        hook(hooks / event, LINE.replace("EVENT", event), mode=0o644)
    hook(hooks / "_/h", 'sh -e "$(dirname "$(dirname "$0")")/${0##*/}" "$@"\n', mode=0o644)
    repository.guard("uninstall")
    repository.git("config", "core.hooksPath", ".husky/_")
    repository.install()
    return repository.path, {}


def link_to_the_usual_store(repository: Repository, tmp_path: Path) -> tuple[Path, Environment]:
    link = tmp_path / "link.db"
    link.symlink_to(repository.guard("store", "show", "--json").json()["store"])
    return repository.path, {b"GUARD_DB": os.fsencode(link)}


def lead_elsewhere(repository: Repository, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    repository.guard("store", "backup", str(other))
    (tmp_path / "link.db").unlink()
    (tmp_path / "link.db").symlink_to(other)


Stand = Callable[[Repository, Path], tuple[Path, Environment]]
DECIDED_ELSEWHERE: dict[Stand, Change] = {
    neighbour_without_a_name: config("guard.project", "renamed"),
    neighbour_with_a_name: config("guard.project", "renamed"),
    variable_that_says_the_neighbours_name: config("guard.project", "renamed"),
    line_in_another_programs_hook: write("{top}/.husky/pre-commit", "npm test\n"),
    link_to_the_usual_store: lead_elsewhere,
}
"""Where something stands in a file that a view does not watch, and a change of that file."""


@pytest.mark.parametrize("stand", DECIDED_ELSEWHERE, ids=lambda stand: stand.__name__)
def test_what_is_decided_elsewhere_is_not_kept(repository: Repository, tmp_path: Path, stand: Stand) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    cwd, environment = stand(repository, tmp_path)
    server = Server(cwd, environment)
    for _ in range(4):
        time.sleep(GRAIN_NS / 1e9)
        assert server.standing()._reading.view is None
        before = seen(server.standing())
    assert before[-1] == (), "all is as usual"
    DECIDED_ELSEWHERE[stand](repository, tmp_path)
    found = seen(server.standing())
    assert found == seen(Server(cwd, environment).standing()) != before


def test_a_variable_is_seen(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(repository.path)
    server.warm()
    monkeypatch.setenv("GUARD_AGENT", "zoe")
    assert server.standing().me == "zoe"
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert "git repository" in seen(server.standing())


# The store


@pytest.fixture
def warm(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Repository, Server]]:
    repository.guard("reserve", "a.txt", who="alice")
    server = Server(repository.path)
    server.warm()
    yield repository, server
    monkeypatch.setattr("guard.mcp.kept.IDLE_S", -1.0)
    server.kept.close_idle()


def state(server: Server) -> str:
    """What a call says of a.txt, and keeps the store for the next one."""
    standing = server.standing()
    try:
        answer = questions.check_paths(standing, [b"a.txt"]).asked[0].state("bob")
    except GuardError as error:
        standing.close()
        return error.what
    standing.close(keep=True)
    return answer


def store_of(home: Path) -> Path:
    return home / ".local/share/guard/guard.db"


def test_the_connection_is_kept_and_sees_every_write(warm: tuple[Repository, Server], hermetic: Path) -> None:
    repository, server = warm
    assert [state(server) for _ in range(3)] == ["held"] * 3
    one, two = server.standing(), server.standing()
    kept = one.store
    one.close(keep=True)
    assert two.store is kept
    two.close(keep=True)
    for _ in range(5):
        repository.guard("release", "a.txt", who="alice")
        assert state(server) == "free"
        with connected(store_of(hermetic)) as store:  # another program
            store.execute("UPDATE reservation SET ended_at = NULL, \"end\" = NULL WHERE holder = 'alice'")
        assert state(server) == "held"


def replaced(store: Path, backup: Path) -> None:
    os.replace(backup, store)


def copied(store: Path, backup: Path) -> None:
    with store.open("r+b") as file:
        file.write(backup.read_bytes())
        file.truncate()


@pytest.mark.parametrize("put", [replaced, copied])
def test_a_backup_is_seen_though_its_counter_comes_to_the_same_number(
    warm: tuple[Repository, Server], hermetic: Path, tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    """SQLite alone would go on with the pages it keeps: the counter in the header is the one that it saw."""
    _, server = warm
    store, backup = store_of(hermetic), tmp_path / "backup.db"
    assert state(server) == "held"
    shutil.copy(store, backup)
    with connected(store) as one, connected(backup) as other:
        one.execute("UPDATE project SET generation = generation + 1")
        other.execute("UPDATE reservation SET ended_at = created_at, \"end\" = 'released' WHERE holder = 'alice'")
    assert store.read_bytes()[24:40] == backup.read_bytes()[24:40]
    assert state(server) == "held"
    put(store, backup)
    assert state(server) == "free"


def directory(store: Path) -> None:
    store.unlink()
    store.mkdir()


def overwrite(text: bytes) -> Callable[[Path], None]:
    def damage(store: Path) -> None:
        store.write_bytes(text)

    return damage


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "gone": (Path.unlink, "does not exist"),
    "empty": (overwrite(b""), "is empty"),
    "no SQLite": (overwrite(b"this is not SQLite" * 300), "is not a SQLite database"),
    "a directory": (directory, "is a directory"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE)
def test_a_store_that_is_damaged_is_an_error_at_once(
    warm: tuple[Repository, Server], hermetic: Path, damage: Callable[[Path], None], words: str
) -> None:
    _, server = warm
    assert state(server) == "held"
    damage(store_of(hermetic))
    assert words in state(server)
    assert words in state(server)


def test_a_store_that_was_moved_is_followed(warm: tuple[Repository, Server], hermetic: Path, tmp_path: Path) -> None:
    repository, server = warm
    assert state(server) == "held"
    repository.guard("store", "move", str(tmp_path / "new.db"), who="carol")
    assert state(server) == "held"
    repository.guard("release", "a.txt", who="alice")
    assert state(server) == "free"


def test_a_log_that_appears_is_seen(warm: tuple[Repository, Server], hermetic: Path) -> None:
    """Somebody switches the file to a write-ahead log: then commits do not touch it."""
    _, server = warm
    assert state(server) == "held"
    beside = sqlite3.connect(store_of(hermetic), isolation_level=None)
    try:
        beside.execute("PRAGMA journal_mode = WAL")
        assert state(server) == "held"
        beside.execute("UPDATE reservation SET ended_at = created_at, \"end\" = 'released' WHERE holder = 'alice'")
        assert state(server) == "free"
    finally:
        beside.close()


def test_what_nobody_uses_is_closed(warm: tuple[Repository, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    _, server = warm
    state(server)
    server.kept.close_idle()
    assert server.kept._store is not None
    monkeypatch.setattr("guard.mcp.kept.IDLE_S", -1.0)
    server.kept.close_idle()
    assert server.kept._store is None
    assert state(server) == "held"


def test_a_call_that_writes_while_one_waits_keeps_both_whole(warm: tuple[Repository, Server]) -> None:
    """Of two stores that are given back, one is kept; closing the other drops no lock of a transaction."""
    _, server = warm
    one, two = server.standing(), server.standing()
    first, second = one.store, two.store
    assert first is not second
    terms = Terms(exclusive=True, reason="", ttl_ms=3_600_000, fold=False, shorten=False)
    for standing, name in ((one, b"/x"), (two, b"/y")):
        granted = standing.store.reserve(Actor(standing.project, "bob", "bob@x"), [Wanted(name, name)], terms)
        assert granted.reservations
    one.close(keep=True)
    two.close(keep=True)
    assert state(server) == "held"


def test_a_server_that_keeps_answers_as_one_that_began_now(repository: Repository) -> None:
    """Through the protocol: calls one after another while others reserve, release, and take the hooks out."""
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        for _ in range(3):
            assert client.tool("guard_check", {"paths": ["a.txt"]})["paths"][0]["state"] == "free"
        repository.guard("reserve", "a.txt", who="alice")
        assert client.tool("guard_check", {"paths": ["a.txt"]})["paths"][0]["state"] == "held"
        repository.guard("uninstall")
        answer = client.tool("guard_check", {"paths": ["a.txt"]})
        assert any("not in force" in warning for warning in answer["warnings"])
