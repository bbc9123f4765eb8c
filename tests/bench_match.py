"""How fast the union answers: the two rows of the benchmark that run in Python alone.

``python -m tests.bench_match`` prints them.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
import warnings
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

from guard.match import Union

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 30


def rows() -> list[tuple[str, float, float, str]]:
    """Of each case: its name, its median in ms, the most it may take in ms, and what that bound comes from."""
    return [*_fifty_on_a_hundred(), _thousand_on_ten_thousand()]


def _fifty_on_a_hundred() -> list[tuple[str, float, float, str]]:
    patterns = [b"/src/module%d/**/*.py" % number for number in range(100)]
    paths = [b"src/module%d/sub/file%d.py" % (2 * number, number) for number in range(50)]
    union = Union(patterns)

    def together() -> int:
        return len(union.touched(paths))

    def each_by_itself() -> int:
        re.purge()  # a pattern compiled by an earlier run is no compiling
        texts = [path.decode() for path in paths]
        return sum(sum(map(GitIgnoreSpec.from_lines([line.decode()]).match_file, texts)) for line in patterns)

    assert together() == each_by_itself() == len(paths)
    fast, slow = _medians(together, each_by_itself)
    case = "50 paths x 100 patterns, union built once"
    return [
        (case, fast, 0.05, "what a Rust globset was estimated at"),
        (case, fast, slow / 500, f"1/500 of compiling and matching each pattern, {slow:.1f} ms"),
    ]


def _thousand_on_ten_thousand() -> tuple[str, float, float, str]:
    union = Union(b"/src/module%d/**/*.py" % number for number in range(10_000))
    paths = [b"src/module%d/sub/file%d.py" % (7 * number, number) for number in range(1_000)]
    (median,) = _medians(lambda: len(union.touched(paths)))
    return "1,000 paths x 10,000 patterns, union built once", median, 50.0, "the contract"


def _medians(*cases: Callable[[], object]) -> list[float]:
    """The median time of each case in ms; they take turns, so that a busy machine slows all of them."""
    times: list[list[float]] = [[] for _ in cases]
    for _ in range(RUNS):
        for case, taken in zip(cases, times, strict=True):
            start = time.perf_counter()
            case()
            taken.append((time.perf_counter() - start) * 1000)
    return [statistics.median(taken) for taken in times]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name, median, bound, source in rows():
        sys.stdout.write(f"{name:48} {median:9.4f} ms  at most {bound:9.4f}  ({source})\n")
