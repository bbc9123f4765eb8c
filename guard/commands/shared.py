"""What the commands have in common: their options, how they print, what they tell the holder."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from guard.commands import render
from guard.install.remarks import remarks_in_force
from guard.model import EXIT_DONE, EXIT_REFUSED, GuardError
from guard.repo import settings
from guard.repo.secrets import without_password
from guard.stores.choose import NEVER
from guard.words import notice, pattern, safe, to_stderr, until
from guard.work import notices, pending
from guard.work.here import Here, now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.commands.render import Json
    from guard.model import Reservation
    from guard.stores.interface import Outcome

Command = TypeVar("Command", bound="Callable[..., Any]")

pass_here = click.make_pass_decorator(Here)

as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, one line.")
patterns_argument = click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=lambda *_: [])
ids_option = click.option("--id", "ids", type=int, multiple=True, metavar="N", help="The reservation with this number.")
everything_option = click.option("--all", "everything", is_flag=True, help="Everything you hold in this project.")


def example(*lines: str) -> Callable[[Command], Command]:
    """Adds examples below a command's help."""

    def add(command: Command) -> Command:
        # Indented as the rest is: click takes the margin off.
        examples = ("", "\b", "Examples:", *(f"  {line}" for line in lines))
        command.__doc__ = "\n    ".join([command.__doc__ or "", *examples])
        return command

    return add


def ttl_ms(text: str | None) -> int | None:
    """The length of a lease in ms; None when no option was given."""
    return None if text is None else settings.ttl(text, what="--ttl")


def wait_ms(text: str | None) -> int:
    """How long to wait in ms; 0 when no option was given."""
    return 0 if text is None else settings.duration(text, what="--wait")


class Reply:
    """One command's answer: what goes to stdout at the end, and what is said beside it.

    Data goes to stdout, once and whole; everything else goes to stderr at once, and into the JSON answer too.
    """

    def __init__(self, here: Here, *, as_json: bool) -> None:
        self.here = here
        self.as_json = as_json
        self.warnings: list[str] = []
        self.notices: list[str] = []
        self.next: list[str] = []

    def tell(self) -> None:
        """Tells the holder, once, what others broke and what expired."""
        self.notices += tell(self.here)
        for text in pending.settle(self.here):
            self.notices.append(text)
            to_stderr(f"guard: {text}")

    def warn(self, *texts: str) -> None:
        """Says what is not as it should be, though the answer stands."""
        for text in texts:
            self.warnings.append(text)
            to_stderr(f"guard: {safe(text)}")

    def note(self, text: str) -> None:
        """Puts a remark into the JSON answer; lines for people have it beside what it is about."""
        self.warnings.append(text)

    def warn_unless_in_force(self) -> None:
        """Says when reservations are not enforced here."""
        here = self.here
        self.warn(*remarks_in_force(here.place, here.entries, mode=here.settings.mode.value))

    def suggest(self, command: str, *, note: str = "") -> None:
        """Names a command to type next."""
        first = "  next: " if not self.next else "    or: "
        self.next.append(command)
        to_stderr(first + command + (f"   ({note})" if note else ""))

    def say(self, answer: Callable[[], Json], lines: Callable[[], Sequence[str]]) -> None:
        """Prints the answer, as JSON or as lines; only the one that is asked for is made."""
        if not self.as_json:
            print_lines(lines())
            return
        shown = answer() | {"warnings": self.warnings, "notices": self.notices}
        print_json(shown | ({"next": self.next} if self.next else {}))


def tell(here: Here) -> list[str]:
    """Tells the holder, once, what others broke and what expired; returns what was said."""
    if here.unused and here.making == NEVER:
        return []  # nobody holds anything, so nobody has to be told
    rows = notices.unread(here)
    say_made(here)
    said = [notice(row, now=now_ms()) for row in rows]
    for line in said:
        to_stderr(line)
    try:
        notices.mark_read(here, rows)
    except GuardError as error:
        to_stderr(f"guard: not recorded that you were told: {safe(error.what)}")
    return [line.removeprefix("guard: ") for line in said]


def say_made(here: Here) -> None:
    """Says, once, that a store was made: an empty one where somebody expected their reservations is a mistake."""
    if here.made:
        to_stderr(f"guard: made a new, empty store at {safe(without_password(here.made))}")
        here.made = ""


def answer_changed(reply: Reply, deed: str, outcome: Outcome, *, kept: Sequence[Reservation] = ()) -> int:
    """Says what was released, renewed or broken, and what was not there; returns the exit code.

    ``kept`` are leases that end later, after a push.
    """
    me, here = safe(reply.here.me), reply.here

    def lines() -> list[str]:
        shown = []
        for row in outcome.reservations:
            remains = f" {until(row, now=now_ms())}" if deed == "renewed" else ""
            whose = f" of {safe(row.holder)}" if deed == "broken" else ""
            shown.append(f"{deed} #{row.id}{whose} {pattern(row)}{remains}")
        return [*shown, *(f"kept #{row.id} {pattern(row)} until its changes are pushed" for row in kept)]

    for missing in outcome.not_found:
        holder = "nobody else holds" if deed == "broken" else f"you ({me}) do not hold"
        to_stderr(f"guard: {holder} {safe(missing)} here.")
    if not outcome.reservations and not outcome.not_found and not kept:
        to_stderr(f"guard: nothing was {deed}: you ({me}) hold nothing here.")
    failed = bool(outcome.not_found) or not (outcome.reservations or kept)
    if failed:
        reply.suggest("guard list")
    later = [render.reservation_json(row, me=here.me) for row in kept]
    reply.say(
        lambda: render.outcome_json(deed, outcome, me=here.me) | ({"kept_until_pushed": later} if later else {}), lines
    )
    return EXIT_REFUSED if failed else EXIT_DONE


def print_json(answer: Json) -> None:
    """Prints an answer for programs."""
    click.echo(render.as_json(answer))


def print_lines(lines: Sequence[str]) -> None:
    """Prints an answer for people."""
    if lines:  # in one piece: click flushes after each
        click.echo("\n".join(lines), color=colours())


def colours() -> bool | None:
    """True: always, False: never, None: on a terminal (https://no-color.org, https://bixense.com/clicolors)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return False if os.environ.get("TERM") == "dumb" or os.environ.get("CLICOLOR") == "0" else None


def terminal_width() -> int | None:
    """The terminal's columns; None when the answer goes elsewhere."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns
