"""``guard reserve``, ``release``, ``renew``, ``hold`` and ``break``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from guard.commands import render
from guard.commands.shared import (
    answer_changed,
    as_json_option,
    everything_option,
    example,
    ids_option,
    pass_here,
    patterns_argument,
    print_json,
    tell,
    ttl_ms,
    wait_ms,
)
from guard.model import EXIT_DONE, EXIT_REFUSED, Reservation, UsageError
from guard.words import pattern, quoted, safe, to_stderr
from guard.work import arguments, leases
from guard.work.here import Here, now_ms
from guard.work.leases import Choice, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.stores.interface import Outcome
    from guard.work.leases import Reserved


class _WithCommand(click.Command):
    """A command whose words after "--" are another command's: none of them is read as an option of ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.meta["guard.command"] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])


@click.command()
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@click.option("--shared", is_flag=True, help="Others may hold the same, shared too; it refuses nobody's commits.")
@click.option("--ttl", metavar="DURATION", help="How long: 45m, 8h, 2d (from 1m to 30d; else guard.ttl, 1h).")
@click.option("--reason", default="", metavar="TEXT", help="Why; others see it.")
@click.option("--wait", metavar="DURATION", help="Wait your turn that long when somebody is in the way.")
@as_json_option
@pass_here
@example(
    "guard reserve src/auth                      the directory and everything below it",
    "guard reserve 'src/**/*.sql' --ttl 2h --reason 'new schema'",
    "guard reserve docs README.md --wait 10m",
)
def reserve(
    here: Here,
    patterns: tuple[str, ...],
    shared: bool,
    ttl: str | None,
    reason: str,
    wait: str | None,
    as_json: bool,
) -> int:
    """Reserve paths: all of them, or none when somebody else is in the way.

    A PATTERN is a file, a directory, or a glob as in .gitignore, relative to the current directory;
    a leading "/" or ":/" means the repository's top.
    """
    wish = Wish(exclusive=not shared, reason=reason, ttl_ms=ttl_ms(ttl), wait_ms=wait_ms(wait))
    reserved = _reserved(here, patterns, wish, wait=wait or "")
    outcome = reserved.outcome
    if as_json:
        print_json(render.outcome_json("granted", outcome, me=here.me))
    else:
        for row in outcome.reservations:
            note = "   (matches no file yet)" if row.pattern in reserved.unmatched else ""
            click.echo(render.granted(row, now=now_ms()) + note)
    return EXIT_DONE if outcome.reservations else _not_granted(outcome, patterns)


def _reserved(here: Here, typed: Sequence[str], wish: Wish, *, wait: str) -> Reserved:
    words = list(map(os.fsencode, typed))
    arguments.wanted(here, words)  # what cannot be reserved is said before anything else
    leases.checked_reason(wish.reason)
    tell(here)
    return leases.reserve(here, words, wish, waiting=lambda seen: _say_waiting(seen, wait))


def _say_waiting(outcome: Outcome, wait: str) -> None:
    if outcome.conflicts:
        to_stderr(f"guard: waiting, {wait} at most, for:")
        for line in render.in_the_way(outcome, now=now_ms()):
            to_stderr(line)
    else:
        to_stderr(f"guard: waiting, {wait} at most: {outcome.ahead} came earlier and want some of the same.")


def _not_granted(outcome: Outcome, typed: Sequence[str]) -> int:
    to_stderr("guard: nothing was reserved: others are in the way.")
    for line in render.in_the_way(outcome, now=now_ms()):
        to_stderr(line)
    if outcome.ahead:
        to_stderr(f"  {outcome.ahead} came earlier and want some of the same.")
    ids = " ".join(dict.fromkeys(str(found.reservation.id) for found in outcome.conflicts))
    again = " ".join(safe(text) if text.isidentifier() else f"'{safe(text)}'" for text in typed[:3])
    to_stderr(f"  next: guard reserve --wait 1h {again}" + (" …" if len(typed) > 3 else ""))
    if ids:
        to_stderr(f"  or, after asking them: guard break {ids} --reason 'why'")
    return EXIT_REFUSED


@click.command()
@patterns_argument
@ids_option
@everything_option
@as_json_option
@pass_here
@example("guard release src/auth", "guard release --id 7 --id 8", "guard release --all")
def release(here: Here, patterns: tuple[str, ...], ids: tuple[int, ...], everything: bool, as_json: bool) -> int:
    """End reservations of yours."""
    choice = _choice(patterns, ids, everything, "release")
    tell(here)
    return answer_changed(here, "released", leases.release(here, choice), as_json=as_json)


@click.command()
@patterns_argument
@ids_option
@everything_option
@click.option("--ttl", metavar="DURATION", help="How long from now: 45m, 8h, 2d (else guard.ttl, 1h).")
@as_json_option
@pass_here
@example("guard renew src/auth --ttl 2h", "guard renew --all")
def renew(
    here: Here, patterns: tuple[str, ...], ids: tuple[int, ...], everything: bool, ttl: str | None, as_json: bool
) -> int:
    """Give reservations of yours more time; what has ended is said, not revived."""
    choice = _choice(patterns, ids, everything, "renew")
    length = ttl_ms(ttl)
    tell(here)
    return answer_changed(here, "renewed", leases.renew(here, choice, ttl_ms=length), as_json=as_json)


def _choice(patterns: Sequence[str], ids: Sequence[int], everything: bool, verb: str) -> Choice:
    if not (patterns or ids or everything):
        raise UsageError(f"say what to {verb}: patterns, --id N or --all", hint="guard list --mine")
    if everything and (patterns or ids):
        raise UsageError(
            f"--all stands alone: it would {verb} everything that you hold, not only {' '.join(patterns) or 'that'}",
            hint=f"guard {verb} {' '.join(quoted(os.fsencode(each)) for each in patterns) or '--all'}",
        )
    return Choice(tuple(map(os.fsencode, patterns)), tuple(ids), everything)


@click.command(cls=_WithCommand, options_metavar="[OPTIONS]")
@click.option("--shared", is_flag=True, help="Others may hold the same, shared too.")
@click.option("--ttl", default="5m", show_default=True, metavar="DURATION", help="The lease, renewed meanwhile.")
@click.option("--reason", default="", metavar="TEXT", help="Why; others see it (else the command).")
@click.option("--wait", metavar="DURATION", help="Wait your turn that long when somebody is in the way.")
@click.argument("patterns", nargs=-1, metavar="PATTERN... -- COMMAND...")
@click.pass_context
@example("guard hold src/auth -- make test", "guard hold --wait 5m 'db/**' -- ./migrate --all")
def hold(
    context: click.Context, patterns: tuple[str, ...], shared: bool, ttl: str, reason: str, wait: str | None
) -> int:
    """Reserve while a command runs, renew meanwhile, release when it ends; exits as the command did.

    Signals are passed on to the command. Should guard itself be killed, the lease runs out after --ttl.
    """
    from guard.work.hold import hold as run_holding

    here: Here = context.obj
    command: tuple[str, ...] = context.meta["guard.command"]
    if not patterns or not command:
        raise UsageError("say what to hold, then --, then the command", hint="guard hold src/auth -- make test")
    why = reason or " ".join(command)[:200]
    length = ttl_ms(ttl)
    wish = Wish(exclusive=not shared, reason=why, ttl_ms=length, wait_ms=wait_ms(wait))
    outcome = _reserved(here, patterns, wish, wait=wait or "").outcome
    if not outcome.reservations:
        return _not_granted(outcome, patterns)
    assert length is not None
    with here.writing() as store:
        return run_holding(
            store,
            here.actor,
            outcome.reservations,
            command,
            ttl_ms=length,
            lost=lambda rows: _say_lost(here, rows),
        )


def _say_lost(here: Here, rows: Sequence[Reservation]) -> None:
    tell(here)
    for row in rows:
        to_stderr(f"guard: #{row.id} {pattern(row)} is no longer yours; the command goes on without it.")


@click.command(name="break")
@click.argument("ids", nargs=-1, type=int, required=True, metavar="ID...")
@click.option("--reason", default="", metavar="TEXT", help="Why; they and the log get to know.")
@as_json_option
@pass_here
@example("guard break 7 --reason 'alice is on holiday, hotfix for the release'")
def break_(here: Here, ids: tuple[int, ...], reason: str, as_json: bool) -> int:
    """End somebody else's reservation. It is recorded, and they are told by their next guard command."""
    tell(here)
    return answer_changed(here, "broken", leases.break_(here, ids, reason=reason), as_json=as_json)
