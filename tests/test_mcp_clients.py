"""``guard mcp`` and clients that leave, cancel, send garbage, or come in crowds; what reaches them is the protocol."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.mcp import identity, turns
from tests.support import rows
from tests.support.databases import connected
from tests.support.mcp_client import CLAUDE, PATIENCE_S, Json, Raw
from tests.support.repositories import PACKAGE, Repository


def started(cwd: Path, env: dict[str, str] | None = None) -> Raw:
    client = Raw(cwd, env if env is not None else CLAUDE)
    client.shake_hands()
    return client


def waiters(home: Path) -> int:
    with connected(home / ".local/share/guard/guard.db") as store:
        (count,) = store.execute("SELECT count(*) FROM waiter").fetchone()
    assert isinstance(count, int)
    return count


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def wait_for_src(client: Raw, *, seconds: int = 50) -> int:
    """Begins to wait for what alice holds; returns the request's number once the server says that it waits."""
    call = {"name": "guard_reserve", "arguments": {"patterns": ["src"], "wait_seconds": seconds}}
    number = client.begin("tools/call", {**call, "_meta": {"progressToken": "token"}})
    said = client.line()
    assert said["method"] == "notifications/progress", said
    assert said["params"]["progressToken"] == "token" and "alice holds /src" in said["params"]["message"]
    return number


def test_a_call_waits_for_its_turn_tells_of_it_and_others_go_ahead_meanwhile(repository: Repository) -> None:
    repository.guard("reserve", "src/auth", "--reason", "new login", who="alice")
    with started(repository.path) as client:
        number = wait_for_src(client)
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "clear"
        repository.guard("release", "src/auth", who="alice")
        content = client.answer_to(number)["result"]["structuredContent"]
    assert [row["pattern"] for row in content["granted"]] == ["/src"]


def test_a_wait_in_vain_is_no_error(repository: Repository) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    with started(repository.path) as client:
        call = {"name": "guard_reserve", "arguments": {"patterns": ["src"], "wait_seconds": 1}}
        answer = client.ask("tools/call", call)["result"]
        assert not answer["isError"] and answer["structuredContent"]["granted"] == []
        assert "after 1 s" in answer["structuredContent"]["message"]
        assert all("progress" not in json.loads(line).get("method", "") for line in client.lines)  # no token, no word


def test_a_cancelled_call_gives_its_place_up_and_gets_nothing(repository: Repository, hermetic: Path) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    with started(repository.path) as client:
        number = wait_for_src(client)
        until(lambda: waiters(hermetic) == 1)
        client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})
        until(lambda: waiters(hermetic) == 0)
        repository.guard("release", "src/auth", who="alice")
        listed = client.tool("guard_list", {})
    assert listed["reservations"] == []


@pytest.mark.parametrize("way", ["closes its end", "is killed", "stops reading"])
def test_when_the_client_disappears_the_server_ends_and_leases_stay(
    repository: Repository, hermetic: Path, way: str
) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    client = started(repository.path)
    with client:
        kept = client.tool("guard_reserve", {"patterns": ["a.txt"], "ttl": "20m"})["granted"][0]["id"]
        wait_for_src(client)
        until(lambda: waiters(hermetic) == 1)
        assert client.process.stdin and client.process.stdout
        if way == "stops reading":
            client.process.stdout.close()
            client.begin("tools/list")
        else:
            client.process.stdin.close()
            if way == "is killed":
                client.process.stdout.close()
        assert client.ends() == 0
    rows = repository.guard("list", "--json", who="carol").json()["reservations"]
    assert kept in [row["id"] for row in rows]
    # Its place in the queue was given up: whoever waits next does not stand behind somebody who has gone.
    repository.guard("release", "src/auth", who="alice")
    repository.guard("reserve", "src", "--wait", "5m", who="carol")
    assert waiters(hermetic) == 0


def test_a_signal_ends_it(repository: Repository) -> None:
    with started(repository.path) as client:
        client.process.send_signal(signal.SIGTERM)
        assert client.ends() == -signal.SIGTERM


GARBAGE = [
    b"\n",
    b"not JSON\n",
    b"\xff\xfe\x00\n",
    b"{}\n",
    b"[]\n",
    b"null\n",
    b'{"jsonrpc":"2.0"}\n',
    b'{"jsonrpc":"1.0","id":1,"method":"ping"}\n',
    b'{"jsonrpc":"2.0","id":{},"method":"ping"}\n',
    b'{"jsonrpc":"2.0","id":7,"result":{}}\n',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}\n',
    b'{"jsonrpc":"2.0","method":"no/such/notification"}\n',
    b'{"jsonrpc":"2.0","id":"text","method":"no/such/method"}\n',
    b'{"jsonrpc":"2.0","id":"args","method":"tools/call","params":{"name":"guard_check","arguments":[]}}\n',
    b'{"jsonrpc":"2.0","id":"none","method":"tools/call"}\n',
    b"[" * 100_000 + b"\n",
]


def test_garbage_and_ten_megabytes_change_nothing(repository: Repository) -> None:
    with started(repository.path) as client:
        for line in GARBAGE:
            client.write(line)
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "clear"
        large: list[Json] = [{"paths": ["x" * 10_000_000]}, {"paths": ["ab"] * 3_000_000}, {"cwd": "y" * 10_000_000}]
        for arguments in large:
            answer = client.ask("tools/call", {"name": "guard_check", "arguments": arguments})["result"]
            assert answer["isError"] and len(json.dumps(answer)) < 10_000
        client.write(b" " * 10_000_000 + b"\n")
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "clear"
        strange = client.ask("tools/call", {"name": "guard_check", "arguments": {"paths": ["tab\tand\u202eletters"]}})
        assert "\u202e" not in strange["result"]["structuredContent"]["message"]


def test_nothing_but_the_protocol_reaches_the_client(repository: Repository, tmp_path: Path) -> None:
    """A library that prints, to Python's stdout and to the descriptor, when it is imported and when it is used."""
    noisy = tmp_path / "noisy"
    noisy.mkdir()
    (noisy / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'import' and arguments[0] in ('anyio', 'mcp_types', 'pygit2') or event == 'sqlite3.connect':\n"
        "        os.write(1, b'NOISE of a library\\n'); print('NOISE of Python', flush=True); os.system('echo NOISE')\n"
        "sys.addaudithook(hook)\n"
    )
    repository.guard("reserve", "a.txt", who="alice")
    with started(repository.path, {**CLAUDE, "PYTHONPATH": f"{noisy}:{PACKAGE}"}) as client:
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "reserved"
        client.tool("guard_reserve", {"patterns": ["src"]})
        assert client.process.stdin and client.process.stdout and client.process.stderr
        client.process.stdin.close()
        rest = client.process.stdout.read()
        assert client.ends() == 0
        said = client.process.stderr.read()
    assert rest == b"" and all(json.loads(line)["jsonrpc"] == "2.0" for line in client.lines)
    assert b"NOISE of a library" in said and b"NOISE of Python" in said


def test_the_union_of_a_checkout_is_kept_fresh(repository: Repository, hermetic: Path) -> None:
    """After another program wrote to the store, a call brings the union up to date: the next hook starts no Python."""
    from guard.union import fast

    me = {"GUARD_AGENT": "bob"}
    repository.guard("reserve", "src/auth", who="alice")
    repository.commit("a.txt", "1\n", who="bob")
    repository.commit("a.txt", "2\n", who="bob")
    environment = {**os.environb, b"GUARD_AGENT": b"bob"}
    from guard.repo.place import discover
    from guard.repo.standpoint import asking_from

    with asking_from(environment, os.fsencode(repository.path)):
        place = discover()
    with started(repository.path, me) as client:
        client.tool("guard_list", {})
        until(lambda: fast.verdict(place, environment, [b"a.txt"]) == fast.CLEAR)
        with connected(hermetic / ".local/share/guard/guard.db") as store:  # it knows nothing of unions
            store.execute("UPDATE reservation SET pattern = ?, typed = ? WHERE holder = 'alice'", (b"/a.txt", b"a.txt"))
            store.execute("UPDATE project SET generation = generation + 1")
        assert fast.verdict(place, environment, [b"a.txt"]) != fast.CLEAR
        until(lambda: fast.verdict(place, environment, [b"a.txt"]) == fast.TOUCHED)  # no call: the server looks itself


@pytest.mark.parametrize("servers", rows.some([6, 20], {6}))
def test_servers_at_once_beside_commits_and_a_foreign_writer(
    repository: Repository, hermetic: Path, servers: int
) -> None:
    """Each server reserves and releases one of a few paths; what two hold at once, or a commit of it, is a fault."""
    repository.guard("reserve", "held", who="alice")
    clients = [Raw(repository.path, {"GUARD_AGENT": f"agent{number}"}) for number in range(servers)]
    over, faults, granted = threading.Event(), [], []
    holders: dict[str, str] = {}
    lock = threading.Lock()

    def work(number: int, client: Raw) -> None:
        me = f"agent{number}"
        try:
            client.shake_hands()
            for turn in range(6):
                name = f"path{(number + turn) % 4}"
                content = client.tool("guard_reserve", {"patterns": [name], "wait_seconds": 2 * (turn % 2)})
                assert "error" not in content, content
                if content["granted"]:
                    with lock:
                        if name in holders:
                            faults.append(f"{me} and {holders[name]} hold {name}")
                        holders[name] = me
                        granted.append(me)
                    assert client.tool("guard_check", {"paths": [name, "held"]})["paths"][0]["state"] == "mine"
                    with lock:
                        del holders[name]
                    assert client.tool("guard_release", {"patterns": [name]})["released"]
        except BaseException as error:
            faults.append(f"{me}: {error!r}")

    def commit() -> None:
        while not over.is_set():
            for name, expected in (("held", 1), ("free.txt", 0)):
                repository.write(name, f"{time.time_ns()}\n")
                repository.git("add", name)
                done = repository.git("commit", "-qm", "x", who="carol", expect=None)
                if done.code != expected:
                    faults.append(f"a commit of {name}: {done.code}: {done.text}")
                repository.git("reset", "-q", "--hard")

    def write() -> None:
        while not over.is_set():
            try:
                with connected(hermetic / ".local/share/guard/guard.db") as store:
                    store.execute("UPDATE project SET generation = generation + 1")
            except sqlite3.OperationalError as busy:
                if "locked" not in str(busy):
                    faults.append(repr(busy))
            time.sleep(0.05)

    beside = [threading.Thread(target=each) for each in (commit, write)]
    workers = [threading.Thread(target=work, args=pair) for pair in enumerate(clients)]
    try:
        for thread in (*beside, *workers):
            thread.start()
        for thread in workers:
            thread.join()
    finally:
        over.set()
        for thread in beside:
            thread.join()
        for client in clients:
            client.__exit__()
    assert faults == []
    assert len(granted) > servers
    rows = repository.guard("list", "--json", who="carol").json()["reservations"]
    assert [row["holder"] for row in rows] == ["alice"]


# Pure parts


def test_a_made_name_looks_like_a_session() -> None:
    from guard.work.sessions import is_session

    names = {identity.made_name() for _ in range(50)}
    assert len(names) == 50 and all(map(is_session, names))


def test_a_turn_that_was_told_to_stop_begins_nothing() -> None:
    turn = turns.Turn(lambda seconds, words: None)
    turn.stop()
    with pytest.raises(turns.Stopped), turn:
        raise AssertionError("it began")
    other = turns.Turn(lambda seconds, words: None)
    with other:  # the lock was given back
        assert not other.has_ended_within(0)
    assert other.has_ended_within(0)


def test_a_turn_reports_at_once_and_then_now_and_again() -> None:
    said: list[str] = []
    turn = turns.Turn(lambda seconds, words: said.append(words))
    with turn:
        turn.wait_for("one")
        turn.sleep(0)
        turn.sleep(0)
        turn.wait_for("two")
        turn.sleep(0)
    assert said == ["one", "two"]
