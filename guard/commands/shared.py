"""What several commands share: options, examples in the help, and the answer about changed reservations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from guard.commands import render
from guard.model import EXIT_DONE, EXIT_REFUSED
from guard.words import pattern, safe, short_name, to_stderr, until
from guard.work.here import Here, now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.commands.reply import Reply
    from guard.model import Reservation
    from guard.stores.interface import Outcome

Command = TypeVar("Command", bound="Callable[..., Any]")

WORDS_SHOWN = 20
"""How many words that name no reservation are listed; one more line counts the others."""

pass_here = click.make_pass_decorator(Here)

as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, one line.")
patterns_argument = click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=lambda *_: [])
ids_option = click.option("--id", "ids", type=int, multiple=True, metavar="N", help="The reservation with this number.")
everything_option = click.option("--all", "everything", is_flag=True, help="Everything you hold in this project.")


def example(*lines: str) -> Callable[[Command], Command]:
    """Adds examples below a command's help."""

    def add(command: Command) -> Command:
        # Indented like the rest of the docstring, because click removes the margin.
        examples = ("", "\b", "Examples:", *(f"  {line}" for line in lines))
        command.__doc__ = "\n    ".join([command.__doc__ or "", *examples])
        return command

    return add


def answer_changed(reply: Reply, deed: str, outcome: Outcome, *, kept: Sequence[Reservation] = ()) -> int:
    """Prints what was released, renewed or broken (``deed``), and which words name nothing. Returns the exit code.

    ``kept`` are reservations that will end after a push.
    """
    me, here = short_name(reply.here.me), reply.here

    def lines() -> list[str]:
        shown = []
        for row in outcome.reservations:
            remains = f" {until(row, now=now_ms())}" if deed == "renewed" else ""
            whose = f" of {short_name(row.holder)}" if deed == "broken" else ""
            shown.append(f"{deed} #{row.id}{whose} {pattern(row)}{remains}")
        return [*shown, *(f"kept #{row.id} {pattern(row)} until its changes are pushed" for row in kept)]

    for missing in outcome.not_found[:WORDS_SHOWN]:
        holder = "nobody else holds" if deed == "broken" else f"you ({me}) do not hold"
        to_stderr(f"guard: {holder} {safe(missing)} here.")
    if len(outcome.not_found) > WORDS_SHOWN:
        to_stderr(f"guard: … nor {len(outcome.not_found) - WORDS_SHOWN} more of the words that you typed.")
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
