"""Runs that share the rows of a table play each row once, and what has no table each time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.rows import left_out


def item(name: str) -> Any:
    return SimpleNamespace(nodeid=name, callspec=None) if "[" in name else SimpleNamespace(nodeid=name)


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
