"""A PostgreSQL store on this machine: commands, the store alone, and many clients at once.

``python -m tests.benchmark --only server`` prints these rows. It starts a server of its own.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from guard.patterns.grammar import prefix
from guard.patterns.overlap import overlap
from guard.stores.interface import Actor, Opening, Terms, Wanted
from guard.stores.postgres.store import PostgresStore
from tests.bench.rows import Row, guard_ms
from tests.bench.scene import CHECKOUT, OTHER, Scene, crowded_patterns, others_patterns
from tests.bench.timing import Sample, call_ms, in_turns
from tests.support import postgres

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.bench.rows import Bench
    from tests.bench.timing import Run
    from tests.support.postgres import Server

CLIENTS = 32
SECONDS = 5
AT_LEAST = 200
TERMS = Terms(exclusive=True, reason="", ttl_ms=3_600_000, fold=False, shorten=False)

_CLIENT = """
import sys, time
from guard.stores.interface import Actor, Chosen, Opening, Terms, Wanted
from guard.stores.postgres.store import PostgresStore
address, number, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
store = PostgresStore(address, Opening(patience_s=60, trusted=True))
actor, terms, done = Actor("race", "h%d" % number, "x@y"), Terms(True, "", 3_600_000, False, False), 0
store.active("race")
print("ready", flush=True)
sys.stdin.readline()
until = time.monotonic() + seconds
while time.monotonic() < until:
    pattern = b"/src/module%d/**" % ((number + done) % 20)
    if store.reserve(actor, [Wanted(pattern, pattern)], terms).reservations and done % 3 == 2:
        store.release(actor, Chosen(everything=True))
    done += 1
print(done, flush=True)
"""


@dataclass(frozen=True)
class ServerScene(Scene):
    """A scene whose store is a database on a server."""

    server: ClassVar[Server]
    database: ClassVar[str]

    def env(self, holder: str = "bob") -> dict[str, str]:
        return {**super().env(holder), "GUARD_DB": self.server.address(self.database)}

    def reserve(self, patterns: Iterable[str], *, holder: str = OTHER) -> None:
        fill(self.server, self.database, self.git("config", "guard.project") or self.project(), patterns, holder)


def fill(server: Server, database: str, project: str, patterns: Iterable[str], holder: str) -> None:
    """Reserves for somebody else, in one statement."""
    named = [pattern.encode() for pattern in patterns]
    server.sql(
        database,
        "INSERT INTO reservation (project, holder, pattern, typed, prefix, prefix_checked, created_at, expires_at)"
        " SELECT %s, %s, w.pattern, w.pattern, w.prefix, true, guard.clock(), guard.clock() + 86400000"
        " FROM unnest(%s::bytea[], %s::bytea[]) AS w (pattern, prefix)",
        *(project, holder, named, [prefix(pattern).lower() for pattern in named]),
    )


def rows(bench: Bench) -> Iterator[Row]:
    if reason := postgres.why_not():
        raise RuntimeError(reason)
    ServerScene.server = postgres.Server(settings=("fsync=on", "synchronous_commit=on")).make().start()
    try:
        yield from _commands(bench, ServerScene.server)
        yield from _among(bench, ServerScene.server)
        yield _race(ServerScene.server)
    finally:
        ServerScene.server.remove()


def _commands(bench: Bench, server: Server) -> Iterator[Row]:
    ServerScene.database = server.guard_database()
    scene = ServerScene.make(bench.place / "server", patterns=others_patterns(100))
    made = iter(range(1_000_000))
    listing, reserving, checking, py0 = in_turns(
        lambda: guard_ms(scene, "list"),
        lambda: guard_ms(scene, "reserve", f"docs/page{next(made)}.md"),
        lambda: guard_ms(scene, "check"),
        bench.py0(),
        runs=bench.runs,
    )
    yield Row("`guard list`, 100 reservations on a server", listing, 45.0, "py0", py0)
    yield Row("`guard reserve`, among 100 on a server", reserving, 45.0, "py0", py0)
    yield Row("`guard check` of 50 staged paths, 100 reservations on a server", checking, 45.0, "py0", py0)


def _among(bench: Bench, server: Server) -> Iterator[Row]:
    """The store alone, on an open connection."""
    many, few = in_turns(_reserving(server, 10_000), _reserving(server, 100), runs=bench.runs)
    yield Row("a store on a server: reserve among 10,000 active reservations", many, None, "the same among 100", few)


def _reserving(server: Server, count: int) -> Run:
    database = server.guard_database()
    fill(server, database, "project", crowded_patterns(count), OTHER)
    server.sql(database, "ANALYZE guard.reservation")
    store = PostgresStore(server.address(database), Opening(patience_s=30, trusted=True))
    names = iter(range(1_000_000))

    def reserve() -> None:
        name = b"/src/module7/part/page%d.md" % next(names)
        if not store.reserve(Actor("project", "bob", "x@y"), [Wanted(name, name)], TERMS).reservations:
            raise RuntimeError("it was not granted")

    return lambda: call_ms(reserve)


def _race(server: Server) -> Row:
    """32 clients race for 20 patterns for some seconds; raises when two of them ever held the same."""
    database = server.guard_database()
    command = [sys.executable, "-c", _CLIENT, server.address(database)]
    clients = [
        subprocess.Popen(
            [*command, str(number), str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
        )
        for number in range(CLIENTS)
    ]
    for client in clients:
        assert client.stdout is not None
        if client.stdout.readline() != "ready\n":
            raise RuntimeError("a client did not start")
    before = time.perf_counter()
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("go\n")
        client.stdin.flush()
    done = sum(int(client.communicate()[0]) for client in clients)
    per_second = done / (time.perf_counter() - before)
    with contextlib.closing(PostgresStore(server.address(database), Opening(patience_s=30, trusted=True))) as store:
        replay(store, "race")
    case = f"{CLIENTS} clients race for 20 patterns on a server: {per_second:.0f} reserves a second, no double grant"
    return Row(case, Sample((1000 / per_second,)), 1000 / AT_LEAST)


def replay(store: PostgresStore, project: str) -> None:
    """Raises when the log shows that somebody was granted what another one held."""
    held: dict[int, tuple[str, bytes]] = {}
    for entry in store.log(project, limit=1_000_000):
        if entry.reservation is None or entry.pattern is None:
            continue
        if entry.event == "reserved":
            for holder, pattern in held.values():
                if holder != entry.holder and overlap(pattern, entry.pattern):
                    raise RuntimeError(f"{entry.holder} was granted what {holder} held, at {entry.generation}")
            held[entry.reservation] = (entry.holder, entry.pattern)
        elif entry.event in ("released", "expired", "broken"):
            held.pop(entry.reservation)
