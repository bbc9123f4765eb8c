"""The rows of a store on a server: within the lease, and after its deadline."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.postgres.store import PostgresStore
from tests.bench.rows import CLEAR, QUIET, Bench, Row, expect_started
from tests.bench.scene import OTHER, Scene, guard_command, others_patterns
from tests.bench.timing import Sample, call_ms, in_turns
from tests.support import postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SHORTEST_S = 1
"""The shortest lease that a project can have."""


def leased(bench: Bench) -> Iterator[Row]:
    """Hooks whose reservations are in a PostgreSQL server on this machine, beside hooks whose are in a file."""
    if reason := postgres.why_not():
        yield Row(f"hooks with a PostgreSQL store: not measured, for {reason}", Sample((0.0,)), None, extra=True)
        return
    server = postgres.shared_server()
    for case, patterns, started in (("quiet", [], QUIET), ("clear, 100 reservations", others_patterns(100), CLEAR)):
        file = bench.scene(f"file-{len(patterns)}", patterns=patterns)
        far, address = _scene(bench, server, f"server-{len(patterns)}", patterns)
        _set_lease(server, address, far, 3600)
        for scene in (file, far):
            scene.settle()
            expect_started(scene.started(), started, f"{case}, within the lease")
        one, other = in_turns(file.hook_ms, far.hook_ms, runs=bench.runs)
        slower = Sample(tuple(b - a for a, b in zip(one.times, other.times, strict=True)))
        yield Row(f"pre-commit within the lease, {case}: ms more than with SQLite", slower, 0.3)
    _set_lease(server, address, far, SHORTEST_S)
    shutil.rmtree(far.repo / ".git/guard/unions")  # what is published there has the old, long lease
    far.settle()
    time.sleep(SHORTEST_S)
    expect_started(far.started(), ["python", "git", *CLEAR], "after the deadline")
    question = _question(server, address, far)
    late, asked, py0 = in_turns(lambda: _late_ms(far), lambda: call_ms(question), bench.py0(), runs=bench.runs)
    yield Row("pre-commit after the deadline, nothing has changed, a server on this machine", late, 30.0, "py0", py0)
    yield Row("the question alone, on an open connection", asked, None, "py0", py0, extra=True)


def _scene(bench: Bench, server: postgres.Server, name: str, patterns: Iterable[str]) -> tuple[Scene, str]:
    database = server.guard_database()
    scene = Scene.make(bench.place / name, guarded=False)
    scene.git("config", "--global", "guard.db", server.address(database))
    scene.run(*guard_command(), "install")
    scene.age_settings()
    store = PostgresStore(server.address(database), postgres.OPENING)
    terms = Terms(exclusive=True, reason="", ttl_ms=3_600_000, fold=False, shorten=False)
    wanted = [Wanted(each.encode(), each.encode()) for each in patterns]
    if wanted:
        store.reserve(Actor(scene.project(), OTHER, "bench@here"), wanted, terms)
    store.close()
    return scene, database


def _set_lease(server: postgres.Server, database: str, scene: Scene, seconds: int) -> None:
    server.sql(
        database,
        "INSERT INTO project (name, lease_ms) VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET lease_ms = excluded.lease_ms",
        scene.project(),
        seconds * 1000,
    )


def _question(server: postgres.Server, database: str, scene: Scene) -> Callable[[], object]:
    store = PostgresStore(server.address(database), postgres.OPENING)
    state = store.union_source(scene.project(), "bob").state
    return lambda: store.union_source(scene.project(), "bob", known=state)


def _late_ms(scene: Scene) -> float:
    time.sleep(SHORTEST_S)
    return scene.hook_ms()
