"""Runs ``guard list``, ``check`` and ``reserve`` without click when they have no options but --json; and completion.

click reads all other command lines, and would read these in the same way. Its import takes longer than such an answer.
"""

from __future__ import annotations

from guard.work.here import here_of_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NAMES = ("list", "check", "reserve")
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
    named = [word for word in words[1:] if word != "--json"]
    if any(word.startswith("-") for word in named):
        return None
    return lambda: _answer(words[0], named, as_json=len(named) + 1 < len(words))


def _answer(command: str, named: Sequence[str], *, as_json: bool) -> int:
    here = here_of_process()
    if command == "reserve":
        from guard.commands import granting

        return granting.reserve(here, patterns=named, as_json=as_json)
    from guard.commands import daily

    ask = daily.list_ if command == "list" else daily.check
    return ask(here, paths=named, as_json=as_json)
