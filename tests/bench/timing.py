"""Processes and calls timed from outside, in turns, so that a busy moment slows all that is compared."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Run = Callable[[], float]
    """Does a thing once and returns how long it took, in ms; what it has to prepare is not counted."""


@dataclass(frozen=True)
class Sample:
    """The times of one thing, in ms."""

    times: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def minimum(self) -> float:
        return min(self.times)


def in_turns(*things: Run, runs: int) -> list[Sample]:
    """Times several things, A B C, B C A, C A B, …, after one turn that is not counted.

    Each comes first as often as the others, because whoever follows a heavy process finds the processor's caches empty.
    """
    times: list[list[float]] = [[] for _ in things]
    for number in range(runs + 1):
        for place in range(len(things)):
            chosen = (number + place) % len(things)
            ms = things[chosen]()
            if number:
                times[chosen].append(ms)
    return [Sample(tuple(taken)) for taken in times]


def process_ms(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | os.PathLike[str],
    stdin: str | os.PathLike[str] = os.devnull,
    expect: int = 0,
) -> float:
    """How long a process takes from its start to its end; raises RuntimeError when it ends with another code."""
    os.chdir(cwd)
    files = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    start = time.perf_counter_ns()
    process = os.posix_spawn(command[0], tuple(command), env, file_actions=files)
    _, status = os.waitpid(process, 0)
    end = time.perf_counter_ns()
    code = os.waitstatus_to_exitcode(status)
    if code != expect:
        raise RuntimeError(f"{' '.join(command)} ended with {code}, not {expect}")
    return (end - start) / 1e6


def call_ms(call: Callable[[], object]) -> float:
    """How long a call takes in this process."""
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6
