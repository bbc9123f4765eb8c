"""What the commands have in common: their options, how they print, what they tell the holder."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from guard.commands import render
from guard.model import EXIT_DONE, EXIT_REFUSED, GuardError
from guard.repo import settings
from guard.words import notice, pattern, safe, to_stderr, until
from guard.work import notices
from guard.work.here import Here, now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.commands.render import Json
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


def tell(here: Here) -> None:
    """Tells the holder, once, what others broke and what expired."""
    rows = notices.unread(here)
    for row in rows:
        to_stderr(notice(row, now=now_ms()))
    try:
        notices.mark_read(here, rows)
    except GuardError as error:
        to_stderr(f"guard: not recorded that you were told: {safe(error.what)}")


def answer_changed(here: Here, deed: str, outcome: Outcome, *, as_json: bool) -> int:
    """Says what was released, renewed or broken, and what was not there; returns the exit code."""
    me = safe(here.me)
    if as_json:
        print_json(render.outcome_json(deed, outcome, me=here.me))
    else:
        for row in outcome.reservations:
            remains = f" {until(row, now=now_ms())}" if deed == "renewed" else ""
            whose = f" of {safe(row.holder)}" if deed == "broken" else ""
            click.echo(f"{deed} #{row.id}{whose} {pattern(row)}{remains}")
    for missing in outcome.not_found:
        holder = "nobody else holds" if deed == "broken" else f"you ({me}) do not hold"
        to_stderr(f"guard: {holder} {safe(missing)} here.")
    if not outcome.reservations and not outcome.not_found:
        to_stderr(f"guard: nothing was {deed}: you ({me}) hold nothing here.")
    if not outcome.reservations or outcome.not_found:
        to_stderr("  next: guard list")
        return EXIT_REFUSED
    return EXIT_DONE


def print_json(answer: Json) -> None:
    """Prints an answer for programs."""
    click.echo(render.as_json(answer))


def print_lines(lines: Sequence[str]) -> None:
    """Prints an answer for people."""
    for line in lines:
        click.echo(line, color=_colours())


def _colours() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


def terminal_width() -> int | None:
    """The terminal's columns; None when the answer goes elsewhere."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns
