"""What grows with the number of reservations: ``python -m tests.benchmark --only growth`` prints the curves."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from tests.bench.rows import Row, guard_ms, stale_ms
from tests.bench.scene import OTHER, others_patterns
from tests.bench.timing import in_turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.rows import Bench
    from tests.bench.scene import Scene
    from tests.bench.timing import Run

SIZES = (100, 1_000, 10_000, 20_000, 50_000)
MORE = 500
LIST_AT_MOST_MS = 900.0
STALE_AT_MOST = {100: 4.0}
STALE_AMONG_MANY_AT_MOST = 8.0
"""A refresh, and a Python that matches: neither depends on how many there are."""
TAB_AT_MOST_MS = 100.0
TERMS = Terms(exclusive=True, reason="", ttl_ms=3_600_000, fold=False, shorten=False)


def rows(bench: Bench) -> Iterator[Row]:
    """For each size: 500 more for the holder who has that many, ``guard list``, completion, and a stale union."""
    scenes = {size: bench.scene(f"growth{size}", patterns=others_patterns(size)) for size in SIZES}
    for size in SIZES[1:]:
        many, few = in_turns(_more(scenes[size]), _more(scenes[SIZES[0]]), runs=bench.runs)
        case = f"{MORE} patterns more for a holder who has {size:,}"
        yield Row(case, many, 2.0 if size <= 20_000 else None, f"one who has {SIZES[0]}", few)
    for size, scene in scenes.items():
        scene.settle()
        listing, mine, asked, tab, stale, py0 = in_turns(
            lambda scene=scene: guard_ms(scene, "list"),  # type: ignore[misc]
            lambda scene=scene: guard_ms(scene, "list", "--mine"),  # type: ignore[misc]
            lambda scene=scene: guard_ms(scene, "list", "src/module7/part"),  # type: ignore[misc]
            lambda scene=scene: guard_ms(scene, "complete-words", "--", "release", ""),  # type: ignore[misc]
            lambda scene=scene: stale_ms(scene),  # type: ignore[misc]
            bench.py0(),
            runs=bench.runs,
        )
        yield Row(f"Tab after `guard release` among {size:,}", tab, TAB_AT_MOST_MS)
        yield Row(f"`guard list` of {size:,}", listing, LIST_AT_MOST_MS if size == SIZES[-1] else None)
        yield Row(f"`guard list --mine` among {size:,}", mine, None, "py0", py0, extra=True)
        yield Row(f"`guard list PATH` among {size:,}", asked, None, "py0", py0, extra=True)
        at_most = STALE_AT_MOST.get(size, STALE_AMONG_MANY_AT_MOST)
        yield Row(f"pre-commit after one change among {size:,} reservations", stale, at_most, "py0", py0)


def _more(scene: Scene) -> Run:
    """Reserves 500 patterns in one call of the store; taking them away again is not counted."""
    actor = Actor(scene.project(), OTHER, "bench@here")
    wanted = [Wanted(b"/more/dir%d/file%d" % (number // 50, number), b"") for number in range(MORE)]

    def run() -> float:
        with contextlib.closing(SqliteStore(str(scene.store), patience_s=30)) as store:
            start = time.perf_counter_ns()
            outcome = store.reserve(actor, wanted, TERMS)
            taken = time.perf_counter_ns() - start
        if len(outcome.reservations) != MORE:
            raise RuntimeError("the patterns were not granted")
        with contextlib.closing(sqlite3.connect(scene.store)) as connection, connection:
            connection.execute("DELETE FROM reservation WHERE pattern LIKE '/more/%'")
        return taken / 1e6

    return run
