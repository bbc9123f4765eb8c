"""Runs that share the rows of a table play each row once, and what has no table each time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rows import ALL, MAIN, MANY, ONE_IN, REST, deselected, left_out


class Item:
    """What rows.py asks of a test."""

    def __init__(self, name: str) -> None:
        self.nodeid = name
        if "[" in name:
            self.callspec = None

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.nodeid else None


def item(name: str) -> Any:
    return Item(name)


@pytest.mark.parametrize("count", [1, 2, 6, 7, 8, 20])
@pytest.mark.parametrize("step", [1, 2, 7])
def test_together_all_rows_are_played(count: int, step: int) -> None:
    items = [item("test_plain"), *(item(f"test_table[{number}]") for number in range(count))]
    played: list[str] = []
    for first in range(1, step + 1):
        out = left_out(items, first=first, step=step)
        kept = [each.nodeid for each in items if each not in out]
        assert "test_plain" in kept
        assert len(kept) > 1
        played += kept
    assert set(played) == {each.nodeid for each in items}
    if count >= step:
        assert len(played) == count + step


@pytest.mark.parametrize("count", [1, MANY, MANY + 1, 40])
def test_the_whole_suite_and_the_rest_play_each_row_once(count: int) -> None:
    items = [item("test_plain"), *(item(f"test_table[{number}]") for number in range(count))]
    main, rest = deselected(items, REST), deselected(items, MAIN)
    assert sorted(each.nodeid for each in main + rest) == sorted(each.nodeid for each in items)
    assert items[0] in main
    assert len(rest) == (0 if count <= MANY else count - -(-count // ONE_IN))
    assert deselected(items, ALL) == []


def test_of_rows_that_are_long_none_takes_the_place_of_another() -> None:
    items = [item(f"test_table[{'long' if number % 3 == 0 else 'short'} {number}]") for number in range(12)]
    short = [each for each in items if "short" in each.nodeid]
    assert len(short) == MANY
    assert deselected(items, MAIN) == []
