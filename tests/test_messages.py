"""Every message that ends with exit code 3 is explained in ``guard help troubleshooting``, and nothing else is."""

from __future__ import annotations

import re

import pytest

from tests.support import messages
from tests.support.messages import OPEN

FROM_SOURCE = {text: place for text, place in messages.of_python().items() if re.search(r"[a-z]", text)}
"""A message without any word here is made by another function, where it is found with its words."""
FROM_SH = {text: f"hooks/{name}" for name in ("guard", "agent") for text in messages.of_sh(name)}
ALL = FROM_SOURCE | FROM_SH


EXPLAINED = messages.explained()


def _explains(explained: str, message: str) -> bool:
    """Does a message of the page stand for one of the source, or for the beginning of one?"""
    literal = ".*".join(re.escape(part) for part in explained.split(OPEN))
    return re.match(literal, message, re.DOTALL) is not None


def test_many_messages_are_found() -> None:
    assert len(FROM_SOURCE) > 60 and len(FROM_SH) > 8
    assert f"the store {OPEN} cannot be written: the disk is full ({OPEN})" in ALL  # its words come from a table


@pytest.mark.parametrize("message", sorted(ALL), ids=lambda text: re.sub(r"\W+", " ", text).strip())
def test_a_message_that_ends_with_3_is_explained(message: str) -> None:
    assert any(_explains(each, message) for each in EXPLAINED), f"{ALL[message]} says: {message}"


@pytest.mark.parametrize("explained", EXPLAINED)
def test_an_explained_message_is_one_of_guards(explained: str) -> None:
    assert len(re.sub(r"\W", "", explained)) >= 8, "too little of it is written down to find it by"
    assert any(_explains(explained, message) for message in ALL)


@pytest.mark.parametrize("row", messages.rows(), ids=lambda row: row[0])
def test_every_row_says_what_it_means_and_what_to_do(row: tuple[str, str, str]) -> None:
    assert all(len(cell.strip()) > 5 for cell in row)


@pytest.mark.parametrize("explained", EXPLAINED)
def test_a_message_is_explained_once(explained: str) -> None:
    assert EXPLAINED.count(explained) == 1
