"""Records behave as the named tuples that they stand for."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from guard.record import Record


class Point(Record):
    """A point."""

    x: int
    y: int = 2
    name: str = ""

    @property
    def sum(self) -> int:
        return self.x + self.y


def test_values_in_order_by_name_and_by_default() -> None:
    assert Point(1, 3, "a") == Point(x=1, y=3, name="a") == Point(1, name="a", y=3) == (1, 3, "a")
    assert Point(1) == (1, 2, "")
    assert Point(1).sum == 3
    assert (Point(5).x, Point(5).y, Point(5, name="n").name) == (5, 2, "n")


def test_what_named_tuples_do() -> None:
    point = Point(1, 3, "a")
    assert point._replace(y=4) == (1, 4, "a")
    assert type(point._replace(y=4)) is Point
    assert point._asdict() == {"x": 1, "y": 3, "name": "a"}
    assert Point._make([7, 8, "b"]) == (7, 8, "b")
    assert Point._fields == ("x", "y", "name")
    assert repr(point) == "Point(x=1, y=3, name='a')"
    assert hash(point) == hash((1, 3, "a"))
    x, *rest = point
    assert (x, rest) == (1, [3, "a"])
    assert Point.__doc__ == "A point."
    match point:
        case Point(1, y, name="a"):
            assert y == 3
        case _:
            pytest.fail("it matches by position and by name")


def test_copies_are_records() -> None:
    point = Point(1, 3, "a")
    for made in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert made == point and type(made) is Point


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, "", 4), {}), ((1,), {"x": 1}), ((1,), {"z": 1})])
def test_what_does_not_fit_is_an_error(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    make: Any = Point
    with pytest.raises(TypeError):
        make(*values, **named)
    with pytest.raises(ValueError, match="no field"):
        made: Any = Point(1)
        made._replace(z=1)


def test_a_record_takes_no_attribute_and_no_change() -> None:
    point: Any = Point(1)
    with pytest.raises(AttributeError):
        point.x = 2
    with pytest.raises(AttributeError):
        point.other = 2
