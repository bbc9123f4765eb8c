"""Runs ``guard list``, ``check`` and ``reserve`` without click when they have no options but --json; and completion.

click reads all other command lines, and would read these in the same way. Its import takes longer than such an answer.
"""

from __future__ import annotations

from guard.work.here import here_of_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NAMES = ("list", "check", "reserve")
FLAGS = {"list": ("--mine", "--theirs")}
"""Options without a value that are understood here, besides ``--json``."""
COMPLETING = "_GUARD_COMPLETE"
"""click completes words instead of running a command where this variable is set."""


def understood(words: Sequence[str], environment: Mapping[str, str]) -> Callable[[], int] | None:
    """A function that runs the command line and returns the exit code; None if click has to read it.

    ``words`` are the words after the program's name.
    """
    if words[:2] == ["complete-words", "--"]:
        from guard.commands import cursor

        return cursor.understood(words[2:])
    if not words or words[0] not in NAMES or environment.get(COMPLETING):
        return None
    flags = [word for word in words[1:] if word in ("--json", *FLAGS.get(words[0], ()))]
    named = [word for word in words[1:] if word not in flags]
    if any(word.startswith("-") for word in named):
        return None
    return lambda: _answer(words[0], named, flags)


def _answer(command: str, named: Sequence[str], flags: Sequence[str]) -> int:
    here, as_json = here_of_process(), "--json" in flags
    if command == "reserve":
        from guard.commands import granting

        return granting.reserve(here, patterns=named, as_json=as_json)
    from guard.commands import daily

    if command == "check":
        return daily.check(here, paths=named, as_json=as_json)
    return daily.list_(here, paths=named, mine="--mine" in flags, theirs="--theirs" in flags, as_json=as_json)
