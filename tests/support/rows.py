"""Which rows of the tables of cases does a run play, and which does it leave out?

Many runs of the same tests, one for each shell, need not each play every row: the runs share the rows among them. Tests
that have no table are played in each.

The whole suite plays, of each table with many rows, every third: with all of them it takes half as long again. Whoever
names files or tests gets every row of theirs, and CI plays the rest in a run of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def some(cases: Iterable[Any], always: Collection[Any]) -> list[Any]:
    """All cases of a table with one column; those that are not among ``always`` are played by ``--long`` alone."""
    cases = list(cases)
    assert set(always) <= set(cases), "each case that is always played is in the table"
    return [case if case in always else pytest.param(case, marks=pytest.mark.long) for case in cases]


MANY = 8
"""A table with more rows than this has many."""
ONE_IN = 3
"""Of so many rows of a table with many, the whole suite plays one."""
ALL, MAIN, REST = "all", "main", "rest"
"""What ``--rows`` accepts beside K/N: all rows, those of the whole suite, and those that it leaves out."""


def deselected(items: list[pytest.Item], which: str) -> list[pytest.Item]:
    """What a run with ``--rows=which`` leaves out. Raises :class:`ValueError` where that is none of its words."""
    if which == ALL:
        return []
    if which in (MAIN, REST):
        short = [item for item in items if item.get_closest_marker("long") is None]
        many = [item for table in tables_of(short) if len(table) > MANY for item in table]
        rest = set(left_out(many, first=1, step=ONE_IN))
        return [item for item in items if (item in rest) == (which == MAIN)]
    first, _, step = which.partition("/")
    return left_out(items, first=int(first), step=int(step))


def tables_of(items: Iterable[pytest.Item]) -> list[list[pytest.Item]]:
    """The tests that have a table, a list for each table."""
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        if hasattr(item, "callspec"):
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return list(tables.values())


def left_out(items: Iterable[pytest.Item], *, first: int, step: int) -> list[pytest.Item]:
    """The items of tests with a table that are not in row ``first``, ``first + step``, … of it; rows count from 1.

    Each table with fewer rows than ``step`` keeps one of them.
    """
    return [
        item
        for table in tables_of(items)
        for number, item in enumerate(table)
        if number % min(step, len(table)) != (first - 1) % min(step, len(table))
    ]
