"""A model of the store that does one operation after another; a recorded history is compared with it.

Every answer carries the generation that it was given from. The history is linearizable if two things hold: replayed in
the order of generations, every answer is the one that the model gives; and an operation that ended before another one
began does not have a later generation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

DIRECTORIES = ("d0", "d1", "d2", "d3")
NAMES = ("a.py", "b.py", "c.sql")
PATHS = tuple(f"{directory}/{name}" for directory in DIRECTORIES for name in NAMES)
COVERS: dict[str, frozenset[str]] = {
    **{f"/{path}": frozenset([path]) for path in PATHS},
    **{f"/{each}": frozenset(path for path in PATHS if path.startswith(each)) for each in DIRECTORIES},
    **{f"/{each}/*.py": frozenset((f"{each}/a.py", f"{each}/b.py")) for each in DIRECTORIES},
    "/d?/c.sql": frozenset(f"{each}/c.sql" for each in DIRECTORIES),
    "/d[01]/a*": frozenset(("d0/a.py", "d1/a.py")),
}
"""Every pattern that is used, with all the paths it can match, written down rather than computed as guard does."""


class Held(NamedTuple):
    holder: str
    pattern: str
    exclusive: bool


class Done(NamedTuple):
    """One operation and its answer; began and ended on the machine's monotonic clock, in ns.

    ``what``: reserve, release, renew, break, check, list. ``asked`` are patterns, ids or a path. ``answer`` lists the
    ids granted, ended, renewed or seen; ``conflicts`` the ids in the way of a reserve.
    """

    who: str
    what: str
    asked: list[Any]
    exclusive: bool
    answer: list[int]
    conflicts: list[int]
    generation: int
    began: int
    ended: int


def meet(one: str, two: str) -> bool:
    return bool(COVERS[one] & COVERS[two])


def clash(one: Held, two: Held) -> bool:
    """May these two not be active together?"""
    return one.holder != two.holder and (one.exclusive or two.exclusive) and meet(one.pattern, two.pattern)


def faults(history: list[Done]) -> list[str]:
    """What in a history no sequential store could have answered; empty when it is linearizable."""
    return out_of_time(history) + out_of_order(history)


def out_of_time(history: list[Done]) -> list[str]:
    """Operations that were given from an older state than one that had ended before they began."""
    found = []
    earliest_end = None
    waiting: list[Done] = []
    for done in sorted(history, key=lambda each: each.generation, reverse=True):
        if waiting and waiting[0].generation != done.generation:
            earliest_end = min([each.ended for each in waiting] + ([earliest_end] if earliest_end else []))
            waiting = []
        waiting.append(done)
        if earliest_end is not None and earliest_end < done.began:
            found.append(f"{done} is older than something that had ended before it began")
    return found


def out_of_order(history: list[Done]) -> list[str]:
    """Answers that differ from the model's, in the order of generation."""
    active: dict[int, Held] = {}
    found = []
    # What changes something has a generation of its own, and what was only read there comes after.
    for done in sorted(history, key=lambda each: (each.generation, not changes(each))):
        expected = answer(active, done)
        if (sorted(done.answer), sorted(done.conflicts)) != expected:
            found.append(f"{done}: the model answers {expected}")
        act(active, done)
    return found


def changes(done: Done) -> bool:
    return done.what in ("reserve", "release", "renew", "break") and bool(done.answer)


def answer(active: dict[int, Held], done: Done) -> tuple[list[int], list[int]]:
    """What the model answers; the ids of new reservations are for the store to choose."""
    if done.what == "reserve":
        wanted = [Held(done.who, pattern, done.exclusive) for pattern in done.asked]
        way = sorted(number for number, held in active.items() if any(clash(held, want) for want in wanted))
        mine = {held.pattern: number for number, held in active.items() if held.holder == done.who}
        granted = [mine.get(pattern, number) for pattern, number in zip(done.asked, done.answer, strict=False)]
        return ([], way) if way else (sorted(granted), [])
    if done.what in ("release", "renew"):
        return sorted(n for n in done.asked if n in active and active[n].holder == done.who), []
    if done.what == "break":
        return sorted(n for n in done.asked if n in active and active[n].holder != done.who), []
    if done.what == "check":
        return sorted(
            number
            for number, held in active.items()
            if held.exclusive and held.holder != done.who and done.asked[0] in COVERS[held.pattern]
        ), []
    return sorted(active), []


def act(active: dict[int, Held], done: Done) -> None:
    """Does what was answered, right or wrong."""
    if done.what == "reserve":
        active.update({n: Held(done.who, p, done.exclusive) for p, n in zip(done.asked, done.answer, strict=False)})
    elif done.what in ("release", "break"):
        for number in done.answer:
            active.pop(number, None)
