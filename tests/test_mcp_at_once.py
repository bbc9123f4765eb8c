"""Questions that ``guard mcp`` answers in the event loop's own thread: at once or not there, and as a thread does."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types of its own

from guard.mcp import unchanged
from guard.mcp.answers import check
from guard.mcp.schema import is_plainly_right
from guard.mcp.server import _NO_TURN, PATHS_AT_ONCE, _Service
from guard.mcp.standing import AtOnce, Standing
from guard.mcp.tools import TOOLS
from guard.mcp.turns import IfFree, Turn
from guard.repo.place import discover
from guard.repo.standpoint import asking_from
from guard.stores.interface import Actor, Chosen, Terms, Wanted, WouldWait
from guard.stores.sqlite import SqliteStore
from guard.stores.sqlite_open import ROWS_AT_ONCE
from guard.union import fast
from tests.support.databases import connected
from tests.support.mcp_client import CLAUDE, PATIENCE_S, Json, Raw
from tests.support.repositories import Repository

GRAIN_NS = 50_000_000
HOUR_MS = 3_600_000
S = TypeVar("S", bound=Standing)
PROJECT_OF = "SELECT name FROM project"


@pytest.fixture(autouse=True)
def short_grain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "GRAIN_NS", GRAIN_NS)


class Server:
    """The server's part behind the protocol, warm: it has kept what it can keep."""

    def __init__(self, repository: Repository, home: Path) -> None:
        self.repository, self.database = repository, home / ".local/share/guard/guard.db"
        self.service = _Service()
        self.after: Callable[[], object] = lambda: None
        """What a test has begun and ends later."""
        self.warm()

    def warm(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while self.at_once() is None:
            assert time.monotonic() < until, "it never answers at once"
            self.in_a_thread()
            time.sleep(GRAIN_NS / 1e9)

    def at_once(self, **arguments: Any) -> Json | None:
        answer = self.service._answer_at_once("guard_check", arguments or {"paths": ["a.txt"]}, None)
        return None if answer is None else answer.content

    def in_a_thread(self, **arguments: Any) -> Json:
        turn = Turn(lambda seconds, words: None)
        return self.service._answer("guard_check", arguments or {"paths": ["a.txt"]}, None, turn).content

    def standing(self, kind: type[S]) -> S:
        service, cwd = self.service, os.fsencode(self.repository.path)
        return kind(service._environment, cwd, made=service._made, kept=service._kept, views=service._views)


@pytest.fixture
def server(repository: Repository, hermetic: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.chdir(repository.path)
    monkeypatch.setenv("GUARD_AGENT", "bob")
    monkeypatch.setenv("GUARD_PATIENCE", "1h")  # who waits for a lock gets an answer only after it has gone
    repository.guard("reserve", "src/auth", "--reason", "new login", who="alice")
    repository.guard("reserve", "docs/*.md", who="bob")
    made = Server(repository, hermetic)
    yield made
    monkeypatch.setattr("guard.mcp.kept.IDLE_S", -1.0)
    made.service._kept.close_idle()


NAMES = st.sampled_from(
    ["a.txt", "src", "src/auth", "src/auth/login.py", "src/new.py", "docs", "docs/x.md", "src/*", "./a.txt", "b c", "é"]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(paths=st.lists(NAMES, min_size=1, max_size=6))
def test_the_answer_at_once_is_that_of_a_thread(server: Server, paths: list[str]) -> None:
    found = server.at_once(paths=paths)
    if "src/*" in paths:
        assert found is None  # git has to be asked whether there is a file of that name
    else:
        assert found == server.in_a_thread(paths=paths)


def test_nothing_is_left_behind(server: Server) -> None:
    """Neither a lock, nor a connection that waits for nobody: the next writer waits as long as it was told to."""
    assert server.at_once() is not None
    store = server.service._kept._store
    assert isinstance(store, SqliteStore)
    assert not store.file.connection.in_transaction
    (patience_ms,) = store.file.connection.execute("PRAGMA busy_timeout").fetchone()
    assert patience_ms == HOUR_MS
    server.repository.guard("reserve", "b.txt", who="carol")


def locked(server: Server) -> None:
    """Another program begins to write, and is not done when the question comes."""
    done = threading.Event()
    ready = threading.Event()

    def write() -> None:
        with connected(server.database) as store:
            store.execute("BEGIN EXCLUSIVE")
            ready.set()
            done.wait(PATIENCE_S)
            store.rollback()

    thread = threading.Thread(target=write)
    thread.start()
    ready.wait(PATIENCE_S)

    def end() -> None:
        done.set()
        thread.join()

    server.after = end


def busy(server: Server) -> None:
    """Another call works."""
    turn = IfFree()
    assert turn.__enter__()
    server.after = lambda: turn.__exit__(None, None, None)


def expired(server: Server) -> None:
    """A reservation that the question meets has run out, which has to be written down."""
    with connected(server.database) as store:
        store.execute("UPDATE reservation SET expires_at = 1 WHERE holder = 'alice'")
    keep(server)


def told(server: Server) -> None:
    """The holder has to be told something, once."""
    (row,) = server.repository.guard("list", "--theirs", "--json", who="alice").json()["reservations"]
    server.repository.guard("break", str(row["id"]), "--reason", "hotfix", who="alice")
    keep(server)


def settings_changed(server: Server) -> None:
    server.repository.git("config", "guard.ttl", "2h")


def written(server: Server) -> None:
    """The store is opened anew after each write."""
    server.repository.guard("reserve", "b.txt", who="carol")


def after_push(server: Server) -> None:
    directory = server.repository.git_dir / "guard/after-push"
    directory.mkdir()
    (directory / "7").write_text("{}")


def modules(server: Server) -> None:
    """git has to be asked which submodules there are."""
    server.repository.write(".gitmodules", "")


def union_not_looked_after(server: Server) -> None:
    """The store is open as it is now, and nobody has made the union anew since the last write."""
    with connected(server.database) as store:
        store.execute("UPDATE project SET generation = generation + 1")
    standing = server.standing(Standing)
    assert standing.store
    standing.close(keep=True)


def keep(server: Server) -> None:
    """Has the store as it is now opened and kept, so that only what was changed in it can stand in the way."""
    standing = server.standing(Standing)
    assert standing.store
    standing.keep_union_fresh()
    standing.close(keep=True)


WAITS: dict[str, Callable[[Server], None]] = {
    each.__name__: each
    for each in (locked, busy, expired, told, settings_changed, written, after_push, modules, union_not_looked_after)
}


@pytest.mark.parametrize("change", WAITS.values(), ids=WAITS)
def test_what_could_take_long_is_not_done_in_the_loops_thread(server: Server, change: Callable[[Server], None]) -> None:
    change(server)
    before = server.database.read_bytes()
    try:
        assert server.at_once(paths=["src/auth/login.py"]) is None
        assert server.database.read_bytes() == before
    finally:
        server.after()
    content = server.in_a_thread(paths=["src/auth/login.py"])
    assert content["paths"][0]["state"] == ("free" if change is expired else "held")
    assert bool(content["notices"]) == (change is told)


def test_each_asker_has_a_union_of_its_own(server: Server) -> None:
    """What was looked after for one holder says nothing of another's union."""
    meta = {"x-codex-turn-metadata": {"session_id": "one"}}
    paths = {"paths": ["a.txt"]}
    assert server.at_once() is not None
    assert server.service._answer_at_once("guard_check", paths, meta) is None
    until = time.monotonic() + PATIENCE_S
    while (found := server.service._answer_at_once("guard_check", paths, meta)) is None:
        assert time.monotonic() < until
        server.service._answer("guard_check", paths, meta, Turn(lambda seconds, words: None))
        time.sleep(GRAIN_NS / 1e9)
    assert found.content["verdict"] == "clear"
    assert server.at_once() is not None


def test_a_union_that_others_made_old_is_made_anew_by_the_next_call(server: Server) -> None:
    for number in range(2):
        server.repository.commit("b.txt", f"{number}\n", who="bob")
    server.warm()
    with asking_from({**os.environb}, os.fsencode(server.repository.path)):
        place = discover()
    assert fast.verdict(place, os.environb, [b"a.txt"]) == fast.CLEAR
    with connected(server.database) as store:
        store.execute("UPDATE reservation SET pattern = ?, typed = ? WHERE holder = 'alice'", (b"/a.txt", b"a.txt"))
        store.execute("UPDATE project SET generation = generation + 1")
    assert server.at_once() is None
    server.in_a_thread()
    assert fast.verdict(place, os.environb, [b"a.txt"]) == fast.TOUCHED
    assert server.at_once() is not None


NOT_SHORT: list[Json] = [
    {"paths": ["a.txt"] * (PATHS_AT_ONCE + 1)},
    {"paths": []},
    {"paths": [""]},
    {"paths": ["a.txt"], "changed": 1},
    {"paths": "a.txt"},
    {"changed": True},
    {"strange": 1, "paths": ["a.txt"]},
    {"paths": ["../outside"]},
    {"paths": ["a.txt"], "cwd": "/"},
]


@pytest.mark.parametrize("arguments", NOT_SHORT, ids=range(len(NOT_SHORT)))
def test_other_questions_and_wrong_ones_go_to_a_thread(server: Server, arguments: Json) -> None:
    assert server.at_once(**arguments) is None


def test_many_reservations_go_to_a_thread(server: Server) -> None:
    with connected(server.database) as store:
        (project,) = store.execute(PROJECT_OF).fetchone()
        rows = [(project, f"/src/f{number}", f"src/f{number}") for number in range(ROWS_AT_ONCE + 1)]
        store.executemany(
            "INSERT INTO reservation (project, holder, pattern, typed, prefix, prefix_checked, exclusive, reason,"
            " principal, created_at, expires_at) VALUES (?1, 'alice', ?2, ?3, CAST(?3 AS BLOB), 1, 1, '', 'x', 1,"
            f" {int(time.time() * 1000) + HOUR_MS})",
            rows,
        )
    keep(server)
    assert server.at_once(paths=["a.txt"]) is not None
    assert server.at_once(paths=["src"]) is None
    assert len(server.in_a_thread(paths=["src"])["paths"][0]["reservation_ids"]) > ROWS_AT_ONCE


def test_the_lock_is_held_until_the_last_answer_is_read(server: Server) -> None:
    """Whatever closes the store's file meanwhile drops every lock that the process has on it (fcntl(2))."""
    writer = (
        "import sqlite3, sys\n"
        "store = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
        "store.execute('BEGIN EXCLUSIVE')\n"
    )

    def can_write() -> bool:
        command = [sys.executable, "-c", writer, str(server.database)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    here = server.standing(AtOnce)
    with here.answering():
        answer = check(here, {"paths": ["src/auth/login.py", "a.txt", "docs"]}, _NO_TURN)
        assert answer.content["verdict"] == "reserved"
        assert not can_write()
    assert can_write()


def test_a_store_that_answers_at_once_writes_nothing(server: Server) -> None:
    actor = Actor("p", "bob", "bob@x")
    terms = Terms(exclusive=True, reason="", ttl_ms=HOUR_MS, fold=False, shorten=False)
    store = server.standing(AtOnce).store
    before = server.database.read_bytes()
    writes: list[Callable[[], object]] = [
        lambda: store.reserve(actor, [Wanted(b"/x", b"x")], terms),
        lambda: store.release(actor, Chosen(everything=True)),
        lambda: store.told(()),
        lambda: store.leave(1),
    ]
    for write in writes:
        asked = store.at_once()
        assert asked is not None
        with pytest.raises(WouldWait), asked:
            write()
    assert server.database.read_bytes() == before


def test_a_damaged_store_is_an_error_and_no_answer(server: Server) -> None:
    with server.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 65_536)
    assert server.at_once() is None
    assert server.in_a_thread()["error"]["code"] == 3


def test_a_patience_of_a_month_is_not_none(server: Server) -> None:
    """SQLite counts ms in 32 bits: a larger number would mean that it does not wait at all."""
    store = SqliteStore(str(server.database), patience_s=30 * 86_400.0)
    try:
        for _ in range(2):
            (patience_ms,) = store.file.connection.execute("PRAGMA busy_timeout").fetchone()
            assert patience_ms > 20 * 86_400_000
            with store.at_once():
                assert store.generation("p") == 0
    finally:
        store.close()


def test_a_locked_store_stops_neither_a_ping_nor_a_cancellation(repository: Repository, hermetic: Path) -> None:
    with Raw(repository.path, {**CLAUDE, "GUARD_PATIENCE": "1h"}) as client:
        client.shake_hands()
        repository.guard("reserve", "a.txt", who="alice")
        for _ in range(3):
            client.tool("guard_check", {"paths": ["a.txt"]})
        store = sqlite3.connect(hermetic / ".local/share/guard/guard.db", isolation_level=None)
        try:
            store.execute("BEGIN EXCLUSIVE")
            asked = [
                client.begin("tools/call", {"name": "guard_check", "arguments": {"paths": ["a.txt"]}}) for _ in range(3)
            ]
            assert client.ask("ping")["result"] == {}
            client.send(
                {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": asked[0]}},
            )
            assert client.ask("ping")["result"] == {}
            store.rollback()
        finally:
            store.close()
        answered = {client.line()["id"] for _ in range(2)}
    assert answered == set(asked[1:])


# The arguments


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 60) | st.floats() | st.text(max_size=3) | st.just("x" * 5000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("name", TOOLS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_is_plainly_right_is_right_to_the_validator(name: str, data: st.DataObject) -> None:
    takes = TOOLS[name].takes
    names = st.sampled_from([*takes["properties"], "strange"])
    value = data.draw(st.dictionaries(names, VALUES, max_size=4) | VALUES)
    if is_plainly_right(takes, value):
        assert Draft202012Validator(takes).is_valid(value)


RIGHT: list[tuple[str, Json]] = [
    ("guard_check", {}),
    ("guard_check", {"paths": ["a.txt", "é"], "cwd": "/tmp"}),
    ("guard_check", {"changed": True}),
    ("guard_reserve", {"patterns": ["src"], "ttl": "8h", "reason": "", "wait_seconds": 50, "shared": False}),
    ("guard_release", {"ids": [1, 2], "after_push": True}),
    ("guard_list", {"limit": 100_000, "mine": True}),
]


@pytest.mark.parametrize(("name", "arguments"), RIGHT)
def test_what_agents_send_is_plainly_right(name: str, arguments: Json) -> None:
    assert is_plainly_right(TOOLS[name].takes, arguments)


def test_a_schema_with_another_word_is_left_to_the_validator() -> None:
    assert is_plainly_right({"type": "string"}, "x")
    assert not is_plainly_right({"type": "string", "pattern": "y"}, "x")
    assert not is_plainly_right({"enum": ["x"]}, "x")
    assert not is_plainly_right({"type": ["string", "null"]}, "x")
