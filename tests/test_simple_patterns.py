"""Patterns that are told fast to lie in the grammar, and divided fast, are told and divided as all others are."""

from __future__ import annotations

import random

import pytest

from guard.patterns import grammar
from guard.union import patterns

LETTERS = b"/aB.-**/+"


@pytest.mark.parametrize("seed", range(4))
def test_a_simple_pattern_is_what_the_whole_grammar_says_it_is(seed: int) -> None:
    drawn = random.Random(seed)
    simple = 0
    for _ in range(8_000):
        text = b"/" * (drawn.random() < 0.8) + bytes(drawn.choice(LETTERS) for _ in range(drawn.randint(0, 9)))
        if not grammar.is_simple(text):
            continue
        simple += 1
        grammar._check(text)
        start = grammar.prefix(text)
        assert patterns._divided(text) == (start, patterns._behind(text, start)), text
    assert simple > 500


OTHERS = [
    *(b"", b"/", b"a", b"a/b", b"/a/", b"/a//b", b"/./a", b"/a/..", b"/a**", b"/**/**", b"/a/***", b"/a*b*", b"!/a"),
    *(b"/a b", b"/a\\b", b"/[a]", b"/a?", b"/caf\xc3\xa9", b"/" + b"a" * grammar.LIMIT),
]


@pytest.mark.parametrize("text", OTHERS)
def test_anything_else_goes_the_whole_way(text: bytes) -> None:
    assert not grammar.is_simple(text)
