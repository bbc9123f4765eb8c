"""What can stand where the cursor is, for words that only guard knows: told without click, whose import takes longer.

Files are completed by the shell itself. The names of options, and whatever is not told here, are asked of click
(:mod:`guard.commands.completing`).
"""

from __future__ import annotations

import os
import sys

from guard.commands.names import COMMANDS
from guard.model import EXIT_DONE, GuardError
from guard.stores.completions import HOLDERS, IDS, PATTERNS, Begun
from guard.work.here import here_of_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from guard.work.here import Here

FILES = "files"
"""A line by which the shell is asked to complete files as well."""

MINE, THEIRS, EVERYBODYS = (True,), (False,), (True, False)
ARGUMENTS = {
    "release": (PATTERNS, MINE),
    "renew": (PATTERNS, MINE),
    "break": (IDS, THEIRS),
    "take": (HOLDERS, THEIRS),
}
"""Commands whose arguments are words of the store's, and whose words these are."""
VALUES = {
    ("release", "--id"): (IDS, MINE),
    ("renew", "--id"): (IDS, MINE),
    ("break", "--holder"): (HOLDERS, THEIRS),
    ("log", "--holder"): (HOLDERS, EVERYBODYS),
}
"""Options whose values are."""
FILE_ARGUMENTS = ("reserve", "check", "hold", "list")
"""Commands whose arguments are files, and nothing that only guard knows."""


def understood(words: Sequence[str]) -> Callable[[], int] | None:
    """What prints the words that can stand in place of the last one; None where click has to be asked."""
    *before, current = words or ("",)
    directories: list[str] = []
    while before[:1] == ["-C"] and len(before) > 1:
        directories, before = [*directories, before[1]], before[2:]
    if current.startswith("-"):
        return None
    if before == ["-C"]:
        return lambda: print_words([FILES], current)
    if not before:
        return lambda: print_words([*COMMANDS], current)
    if (before[0], before[-1]) in VALUES:
        asked = VALUES[before[0], before[-1]]
    elif before[-1].startswith("-"):
        return None
    elif before[0] in FILE_ARGUMENTS:
        return lambda: print_words([FILES], current)
    elif before[0] in ARGUMENTS:
        asked = ARGUMENTS[before[0]]
    else:
        return None
    return lambda: _answer(directories, *asked, current)


def _answer(directories: Iterable[str], words: str, whose: Iterable[bool], current: str) -> int:
    try:
        for directory in filter(None, directories):
            os.chdir(directory)
    except OSError:
        return EXIT_DONE  # the command itself says why
    return print_words(of_store(here_of_process(), words, whose, current), current)


def of_store(here: Here, words: str, whose: Iterable[bool], start: str) -> list[str]:
    """Words of the store's that begin like this; none where it cannot be asked: the command itself says why.

    A pattern may be typed with the ":" before it that means the top.
    """
    colon = ":" if words == PATTERNS and start.startswith(":/") else ""
    start = start.removeprefix(colon)
    try:
        store, project, me = here.store, here.project, here.me
        found = [word for mine in whose for word in store.completions(Begun(project, me, words, mine, start))]
        return [colon + word for word in found if word != FILES]  # that word would ask the shell for files
    except (GuardError, UnicodeError):  # no store can hold what is no text
        return []


def print_words(words: Iterable[str], current: str) -> int:
    """Prints those that begin like the word at the cursor, one a line.

    A word with control characters, or with bytes that are not UTF-8, is left out: a terminal must not get it, and what
    it would get instead is another word.
    """
    found = dict.fromkeys(word for word in words if word == FILES or word.startswith(current))
    sys.stdout.write("".join(word + "\n" for word in found if word.isprintable()))
    return EXIT_DONE
