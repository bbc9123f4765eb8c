"""``guard reserve``, ``release``, ``renew``, ``hold``, ``break`` and ``take``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from guard.commands import granting, render
from guard.commands.granting import reserve_and_tell, same_request, say_not_granted, ttl_ms, wait_ms
from guard.commands.reply import Reply, tell
from guard.commands.shared import (
    answer_changed,
    as_json_option,
    everything_option,
    example,
    ids_option,
    pass_here,
    patterns_argument,
)
from guard.model import EXIT_DONE, EXIT_REFUSED, Reservation, UsageError
from guard.words import pasted_pattern, pattern, quoted, to_stderr
from guard.work import leases
from guard.work.here import Here, now_ms
from guard.work.leases import Choice, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence


class _WithCommand(click.Command):
    """A command whose words after "--" are another command. None of these words is read as an option of guard."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.meta["guard.command"] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])


@click.command()
@click.argument("patterns", nargs=-1, metavar="PATTERN...")
@click.option("--changed", is_flag=True, help="What you have changed: staged, not staged, and new files.")
@click.option("--staged", is_flag=True, help="What you have staged.")
@click.option("--shared", is_flag=True, help="Others may hold the same, shared too; it refuses nobody's commits.")
@click.option("--ttl", metavar="DURATION", help="How long: 45m, 8h, 2d (from 1m to 30d; else guard.ttl, 1h).")
@click.option("--reason", default="", metavar="TEXT", help="Why; others see it.")
@click.option("--wait", metavar="DURATION", help="Wait your turn that long when somebody is in the way.")
@click.option("--settle", is_flag=True, help="Return only when it is in force on every machine (guard help teams).")
@as_json_option
@pass_here
@example(
    "guard reserve src/auth               the directory and everything below it",
    "guard reserve 'src/**/*.sql' --ttl 2h --reason 'new schema'",
    "guard reserve docs README.md --wait 10m",
    "guard reserve --changed",
)
def reserve(
    here: Here,
    patterns: tuple[str, ...],
    changed: bool,
    staged: bool,
    shared: bool,
    ttl: str | None,
    reason: str,
    wait: str | None,
    settle: bool,
    as_json: bool,
) -> int:
    """Reserve paths: all of them, or none when somebody else is in the way.

    A PATTERN is a file, a directory, or a glob as in .gitignore, relative to the current directory;
    a leading "/" or ":/" means the repository's top.
    """
    return granting.reserve(
        here,
        patterns=patterns,
        changed=changed,
        staged=staged,
        shared=shared,
        ttl=ttl,
        reason=reason,
        wait=wait,
        settle=settle,
        as_json=as_json,
    )


@click.command()
@patterns_argument
@ids_option
@everything_option
@click.option("--after-push", is_flag=True, help="Keep what is not pushed yet until a push of it has succeeded.")
@as_json_option
@pass_here
@example(
    "guard release src/auth",
    "guard release --id 7 --id 8",
    "guard release --all",
    "guard release src/auth --after-push",
)
def release(
    here: Here, patterns: tuple[str, ...], ids: tuple[int, ...], everything: bool, after_push: bool, as_json: bool
) -> int:
    """End reservations of yours; PATTERNs are the words that you reserved with, whatever exists now.

    With --after-push, what you have not pushed yet stays reserved until a push of it has succeeded: the next guard
    command in this clone then ends it. It expires after a day at the latest.
    """
    choice = _choice(patterns, ids, everything, "release")
    reply = Reply(here, as_json=as_json)
    reply.tell()
    released = leases.release_watching(here, choice, after_push=after_push)
    reply.warn(*filter(None, [released.warning]))
    if released.outcome.reservations and released.left.words() and not released.kept:
        to_stderr(f"guard: below it you have {released.left.words()}: others may now change the same.")
        again = " ".join(pasted_pattern(_from_top(row.pattern)) for row in released.outcome.reservations)
        reply.suggest(f"guard reserve {again}", note="to keep it until then; another time: guard release --after-push")
    return answer_changed(reply, "released", released.outcome, kept=released.kept)


def _from_top(pattern: bytes) -> bytes:
    """A stored pattern as it can be typed in any directory."""
    return (b":" if pattern.startswith(b"/") else b":/") + pattern


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
    """Give reservations of yours more time. Those that have ended stay ended, and are named."""
    choice = _choice(patterns, ids, everything, "renew")
    length = ttl_ms(ttl)
    reply = Reply(here, as_json=as_json)
    reply.tell()
    return answer_changed(reply, "renewed", leases.renew(here, choice, ttl_ms=length))


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
    reply = Reply(here, as_json=False)
    outcome = reserve_and_tell(reply, patterns, wish, wait=wait or "").outcome
    if not outcome.reservations:
        say_not_granted(reply, outcome, same_request(patterns, shared=shared, ttl=None, reason=reason), waited=wait)
        return EXIT_REFUSED
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
@click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
@click.option("--holder", "holders", multiple=True, metavar="NAME", help="Everything that this holder has.")
@click.option("--reason", default="", metavar="TEXT", help="Why; its holder and the log are told.")
@as_json_option
@pass_here
@example(
    "guard break 7 --reason 'alice is on holiday, hotfix for the release'",
    "guard break --holder claude-7f3a --reason 'that session has crashed'",
)
def break_(here: Here, ids: tuple[int, ...], holders: tuple[str, ...], reason: str, as_json: bool) -> int:
    """End somebody else's reservation. It is recorded, and they are told who, when and why by their next command."""
    if not ids and not holders:
        raise UsageError("say what to break: IDs, or --holder NAME", hint="guard list --theirs")
    reply = Reply(here, as_json=as_json)
    reply.tell()
    return answer_changed(reply, "broken", leases.break_(here, ids, holders=holders, reason=reason))


@click.command()
@click.argument("holders", nargs=-1, metavar="[SESSION]...")
@as_json_option
@pass_here
@example("guard take", "guard take claude-7f3a")
def take(here: Here, holders: tuple[str, ...], as_json: bool) -> int:
    """Take over what earlier, dead sessions of your own account on this machine still hold.

    A session is dead when no process works under its name and it did nothing with guard for ten minutes. Its
    reservations are ended, which is recorded, and made again for you.
    """
    from guard.work.sessions import take as take_over

    reply = Reply(here, as_json=as_json)
    reply.tell()
    taken = take_over(here, holders)
    for line in render.in_the_way(taken.granted, now=now_ms()):
        to_stderr(f"guard: somebody else was faster: {line.strip()}")
    rows = taken.granted.reservations
    reply.say(
        lambda: {
            "generation": taken.granted.generation,
            "broken": [render.reservation_json(row, me=here.me) for row in taken.ended.reservations],
            "granted": [render.reservation_json(row, me=here.me) for row in rows],
        },
        lambda: [render.granted(row, now=now_ms()) for row in rows],
    )
    return EXIT_REFUSED if taken.granted.conflicts else EXIT_DONE
