"""The plain commands, which go past click: they answer as click's would, and load nothing that they do not need."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from guard.commands.plain import COMPLETING, understood
from tests.support.repositories import PACKAGE, run

if TYPE_CHECKING:
    from tests.support.repositories import Repository
    from tests.support.stage import Stage

PLAIN = [
    ["list"],
    ["list", "--json"],
    ["list", "held"],
    ["check"],
    ["check", "--json"],
    ["check", "held/x.txt"],
    ["check", "held/x.txt", "free.txt", "--json"],
    ["check", "no/such/{a,b}.txt"],
    ["check", "../outside"],
    ["check", "../outside", "--json"],
    ["reserve", "held/x.txt"],
    ["reserve"],
    ["reserve", "--json", "held"],
    ["reserve", ""],
    ["list", "--mine"],
    ["list", "--theirs", "held", "--json"],
    *(
        ["complete-words", "--", *words]
        for words in (
            ["re"],
            [""],
            ["release", ""],
            ["release", "/s"],
            ["release", "\udcff"],
            ["renew", "--id", ""],
            ["break", ""],
            ["break", "1"],
            ["break", "--holder", "a"],
            ["take", ""],
            ["log", "--holder", ""],
            ["check", "he"],
            ["-C", "held", "release", ""],
        )
    ),
]
NOT_PLAIN = [
    [],
    ["status"],
    ["--help"],
    ["-C", ".", "list"],
    ["list", "--ended"],
    ["list", "--mine", "--soon", "1h"],
    ["check", "--mine"],
    ["complete-words", "--", "release", "--"],
    ["complete-words", "--", "release", "--reason", ""],
    ["complete-words", "--", "store", ""],
    ["list", "--", "held"],
    ["list", "-h"],
    ["check", "-"],
    ["check", "--js"],
    ["reserve", "--ttl", "1h", "held"],
    ["reserve", "held", "--json=1"],
]
HEAVY = {"argparse", "click", "contextlib", "inspect", "json", "platformdirs", "subprocess", "typing", "uuid"}
"""What each takes more than a millisecond to load, and answers for people do not need."""


def said(repository: Repository, words: list[str]) -> tuple[int, str, str]:
    """The exit code and both outputs, without the numbers and lengths of time that differ between two runs."""
    done = repository.guard(*words, who="bob", expect=None)
    return done.code, _timeless(done.out), _timeless(done.err)


def _timeless(text: bytes) -> str:
    return re.sub(r"\d+", "N", re.sub(r"(\d+ (d|h|min|s)\b ?)+", "TIME ", re.sub(r" +", " ", text.decode())))


@pytest.mark.parametrize("words", PLAIN, ids=" ".join)
def test_a_plain_command_answers_as_through_click(stage: Stage, words: list[str]) -> None:
    assert understood(words, {}) is not None
    stage.stage("held/x.txt")
    said(stage.repository, ["list"])  # what is told once has been told
    assert said(stage.repository, words) == said(stage.repository, ["-C", ".", *words])


@pytest.mark.parametrize("words", NOT_PLAIN, ids=" ".join)
def test_click_reads_every_other_command_line(words: list[str]) -> None:
    assert understood(words, {}) is None


def test_click_completes_words() -> None:
    assert understood(["list"], {COMPLETING: "bash_complete"}) is None


def loaded(stage: Stage, program: str, *words: str) -> set[str]:
    """The modules that a Python loads which runs a program with these words."""
    command = (sys.executable, "-X", "importtime", "-c", program, *words)
    env = {"PYTHONPATH": str(PACKAGE), "GUARD_AGENT": "bob"}
    done = run(command, cwd=stage.repository.path, env=env)
    assert done.code == 0, done.text
    lines = done.err.decode().splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


LIGHT = [
    *(["list"], ["list", "--mine"], ["check"], ["check", "free.txt"], ["reserve", "free.txt"]),
    *(["complete-words", "--", "release", ""], ["complete-words", "--", "break", "--holder", ""]),
]


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_a_plain_command_loads_nothing_heavy(stage: Stage, words: list[str]) -> None:
    modules = loaded(stage, "from guard.__main__ import main; main()", *words) - loaded(stage, "pass")
    assert "_sqlite3" in modules
    assert HEAVY & {name.partition(".")[0] for name in modules} == set()
