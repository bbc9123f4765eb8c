"""How a command answers: with its data on stdout, in one piece, and with everything else on stderr.

This module does not need click.
"""

from __future__ import annotations

import os
import sys

from guard.commands import render
from guard.install.remarks import remarks_in_force
from guard.model import GuardError
from guard.repo.diverted import diversions
from guard.repo.secrets import without_password
from guard.stores.choose import NEVER
from guard.words import notices_in_words, safe, to_stderr
from guard.work import notices as notices_
from guard.work import pending
from guard.work.here import now_ms
from guard.work.shapes import envelope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.work.here import Here
    from guard.work.shapes import Json

_COLOURS = {"red": "\x1b[31m", "green": "\x1b[32m"}
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Reply:
    """The answer of one command.

    The data goes to stdout, in one piece, at the end. Everything else goes to stderr at once, and into the JSON answer.
    """

    def __init__(self, here: Here, *, as_json: bool) -> None:
        self.here = here
        self.as_json = as_json
        self.warnings: list[str] = []
        self.notices: list[str] = []
        self.next: list[str] = []

    def tell(self) -> None:
        """Prints, once, which reservations of the holder others broke, and which expired."""
        self.notices += tell(self.here)
        for text in pending.settle(self.here):
            self.notices.append(text)
            to_stderr(f"guard: {text}")

    def warn(self, *texts: str) -> None:
        """Prints warnings: things that are not as they should be, although the answer is right."""
        for text in texts:
            self.warnings.append(text)
            to_stderr(f"guard: {safe(text)}")

    def note(self, *texts: str) -> None:
        """Puts remarks into the JSON answer only, because the lines for people have them already."""
        self.warnings += texts

    def warn_unless_in_force(self) -> None:
        """Warns when hooks do not enforce reservations here, and when the project or store is not this repository's."""
        here = self.here
        self.warn(*remarks_in_force(here.place, here.entries, mode=here.settings.mode.value))
        found = diversions(here.settings, here.environment, here.entries, here.place)
        self.warn(*(each.sentence() for each in found))

    def suggest(self, command: str, *, note: str = "") -> None:
        """Prints a command to type next, and a note about it."""
        first = "  next: " if not self.next else "    or: "
        self.next.append(command)
        to_stderr(first + command + (f"   ({note})" if note else ""))

    def say(self, answer: Callable[[], Json], lines: Callable[[], Sequence[str]]) -> None:
        """Prints the answer, as JSON or as lines. Only the function for the form that is wanted is called."""
        if not self.as_json:
            print_lines(lines())
            return
        print_json(answer(), warnings=self.warnings, notices=self.notices, next_=self.next)


def tell(here: Here) -> list[str]:
    """Prints, once, which reservations of the holder others broke, and which expired; returns these messages."""
    if here.unused and here.making == NEVER:
        return []  # there is no store yet, so nobody has lost anything
    rows = notices_.unread(here)
    say_made(here)
    said = notices_in_words(rows, now=now_ms())
    for line in said:
        to_stderr(line)
    try:
        notices_.mark_read(here, rows)
    except GuardError as error:
        to_stderr(f"guard: this notice will come again, because the store cannot be written: {safe(error.what)}")
    return [line.removeprefix("guard: ") for line in said]


def say_made(here: Here) -> None:
    """Prints, once, that a store was made, for somebody who expected their reservations there."""
    if here.made:
        to_stderr(f"guard: made a new, empty store at {safe(without_password(here.made))}")
        to_stderr("  Other accounts of this machine do not see what is reserved there. To share one: guard help teams")
        here.made = ""


def print_json(
    answer: Json, *, warnings: Sequence[str] = (), notices: Sequence[str] = (), next_: Sequence[str] = ()
) -> None:
    """Prints an answer for programs, with the members that every answer has (``guard help json``)."""
    _print(render.as_json(envelope(answer, warnings=warnings, notices=notices, next_=next_)))


def print_lines(lines: Sequence[str]) -> None:
    """Prints an answer for people."""
    if lines:
        _print("\n".join(lines))


def _print(text: str) -> None:
    """Writes without delay, because ``guard list --watch`` goes on afterwards."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def style(text: str, *, bold: bool = False, dim: bool = False, fg: str | None = None) -> str:
    """The text with the terminal's codes for bold, dim, red or green (ECMA-48, SGR), if colours are wanted."""
    wanted = colours()
    if not (sys.stdout.isatty() if wanted is None else wanted):
        return text
    signs = _COLOURS.get(fg or "", "") + (_BOLD if bold else "") + (_DIM if dim else "")
    return f"{signs}{text}{_PLAIN}"


def colours() -> bool | None:
    """Whether colours are wanted; None means on a terminal (https://no-color.org, https://bixense.com/clicolors)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return False if os.environ.get("TERM") == "dumb" or os.environ.get("CLICOLOR") == "0" else None


def terminal_width() -> int | None:
    """The width of the terminal in columns; None when stdout is no terminal."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns
