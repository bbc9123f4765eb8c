"""The benchmark runs, and prints its table. What it measures fails no test: times are for people to read."""

from __future__ import annotations

import sys

import pytest

from tests.bench.rows import ROWS
from tests.support.repositories import PACKAGE, run


@pytest.mark.parametrize("names", [("quiet", "clear", "stale"), ("refusal", "push", "in-python")], ids=" ".join)
def test_a_quick_run_prints_the_table(names: tuple[str, ...]) -> None:
    only = [word for name in names for word in ("--only", name)]
    done = run((sys.executable, "-m", "tests.benchmark", "--quick", *only), cwd=PACKAGE)
    assert done.code == 0, done.text
    lines = done.out.decode().splitlines()
    assert "Python 3." in lines[1]
    assert "git version" in lines[1]
    table = [line.split("|")[1:-1] for line in lines if line.startswith("|")]
    assert [cell.strip() for cell in table[0]][:3] == ["case", "median ms", "minimum ms"]
    assert len(table) >= 2 + len(names)
    assert {len(row) for row in table} == {7}
    assert all(float(row[1]) >= float(row[2]) > 0 for row in table[2:])


def test_every_row_can_be_asked_for() -> None:
    done = run((sys.executable, "-m", "tests.benchmark", "--help"), cwd=PACKAGE)
    assert all(name in done.text for name in ROWS)
