"""Which rows of the tables of cases does a run play, and which does it leave out?

Many runs of the same tests, one for each shell, need not each play every row: the runs share the rows among them. Tests
that have no table are played in each.
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


def left_out(items: Iterable[pytest.Item], *, first: int, step: int) -> list[pytest.Item]:
    """The items of tests with a table that are not in row ``first``, ``first + step``, … of it; rows count from 1.

    Each table with fewer rows than ``step`` keeps one of them.
    """
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        if hasattr(item, "callspec"):
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return [
        item
        for table in tables.values()
        for number, item in enumerate(table)
        if number % min(step, len(table)) != (first - 1) % min(step, len(table))
    ]
