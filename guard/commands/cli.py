"""The command line: words into calls, answers into lines and exit codes."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from guard import __version__
from guard.commands import render
from guard.model import (
    EXIT_DONE,
    EXIT_REFUSED,
    Change,
    Conflict,
    GuardError,
    Reservation,
    UsageError,
    unexpected,
)
from guard.repo import settings
from guard.stores.interface import Chosen, Outcome, Terms
from guard.union import publish as union
from guard.words import conflicts_in_words, notice, pattern, safe, said, to_stderr, until
from guard.work.here import Here, why_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.commands.render import Json

Command = TypeVar("Command", bound="Callable[..., Any]")

here = Here()


class _WithCommand(click.Command):
    """A command whose words after "--" are another command's: none of them is read as an option of ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.meta["guard.command"] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])


class _Commands(click.Group):
    """Commands in the order a newcomer meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try it in a minute, in a directory of its own: guard demo",
)
@click.version_option(__version__, "-V", "--version", prog_name="guard")
def commands() -> None:
    """Reserve the paths you are about to change; commits and pushes by others are refused until you are done."""


def run() -> None:
    """Runs the command line and exits: 0 done, 1 refused or nothing there, 2 wrong usage, 3 no answer."""
    try:
        code = commands.main(prog_name="guard", standalone_mode=False)
    except GuardError as error:
        code = said(error)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        to_stderr("guard: interrupted.")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read us has enough
        code = EXIT_DONE
    except OSError as error:
        code = said(_failed(error))
    except Exception as error:
        code = said(unexpected(error))
    _leave(code or EXIT_DONE)


def _failed(error: OSError) -> GuardError:
    """What the system refused: a file, or where no file is named, writing the answer."""
    if error.filename is None:
        what = f"the answer could not be written: {error.strerror or error}"
        return GuardError(what, hint="guard log   (what was asked for may be done all the same)")
    return GuardError(f"{os.fsdecode(error.filename)}: {error.strerror}", hint="guard status")


def _leave(code: int) -> NoReturn:
    """Ends the process without taking the interpreter down, which takes 5 ms and changes nothing."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)  # Python words what is wrong with them
    os._exit(code)


def _example(*lines: str) -> Callable[[Command], Command]:
    """Adds examples below a command's help."""

    def add(command: Command) -> Command:
        # Indented as the rest is: click takes the margin off.
        examples = ("", "\b", "Examples:", *(f"  {line}" for line in lines))
        command.__doc__ = "\n    ".join([command.__doc__ or "", *examples])
        return command

    return add


_json = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, one line.")
_patterns = click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=lambda *_: [])


def _ttl(text: str | None) -> int:
    return here.settings.ttl_ms() if text is None else settings.ttl(text, what="--ttl")


# Reserving


@commands.command()
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@click.option("--shared", is_flag=True, help="Others may hold the same, shared too; it refuses nobody's commits.")
@click.option("--ttl", metavar="DURATION", help="How long: 45m, 8h, 2d (from 1m to 30d; else guard.ttl, 1h).")
@click.option("--reason", default="", metavar="TEXT", help="Why; others see it.")
@click.option("--wait", metavar="DURATION", help="Wait your turn that long when somebody is in the way.")
@_json
@_example(
    "guard reserve src/auth                      the directory and everything below it",
    "guard reserve 'src/**/*.sql' --ttl 2h --reason 'new schema'",
    "guard reserve docs README.md --wait 10m",
)
def reserve(
    patterns: tuple[str, ...], shared: bool, ttl: str | None, reason: str, wait: str | None, as_json: bool
) -> int:
    """Reserve paths: all of them, or none when somebody else is in the way.

    A PATTERN is a file, a directory, or a glob as in .gitignore, relative to the current directory;
    a leading "/" or ":/" means the repository's top.
    """
    outcome = _reserved(patterns, shared=shared, ttl=ttl, reason=reason, wait=wait)
    if as_json:
        _print_json(render.outcome_json("granted", outcome, me=here.actor.holder))
    else:
        for row in outcome.reservations:
            click.echo(render.granted(row, now=_now()))
    return EXIT_DONE if outcome.reservations else _not_granted(outcome, patterns)


def _reserved(typed: tuple[str, ...], *, shared: bool, ttl: str | None, reason: str, wait: str | None) -> Outcome:
    from guard.work.waiting import reserve_in_turn

    wanted = here.wanted(typed)
    terms = Terms(
        exclusive=not shared,
        reason=_reason(reason),
        ttl_ms=_ttl(ttl),
        fold=here.settings.fold,
        shorten=ttl is not None,
    )
    wait_ms = None if wait is None else settings.duration(wait, what="--wait")
    _tell()
    outcome = here.store.reserve(here.actor, wanted, terms)
    if wait_ms and not outcome.reservations:
        outcome = reserve_in_turn(
            here.store,
            here.actor,
            wanted,
            terms,
            wait_ms=wait_ms,
            clock=_now,
            sleep=time.sleep,
            waiting=lambda seen: _say_waiting(seen, wait or ""),
        )
    union.renew(here.store)
    return outcome


def _say_waiting(outcome: Outcome, wait: str) -> None:
    if outcome.conflicts:
        to_stderr(f"guard: waiting, {wait} at most, for:")
        for line in render.in_the_way(outcome, now=_now()):
            to_stderr(line)
    else:
        to_stderr(f"guard: waiting, {wait} at most: {outcome.ahead} came earlier and want some of the same.")


def _not_granted(outcome: Outcome, typed: Sequence[str]) -> int:
    to_stderr("guard: nothing was reserved: others are in the way.")
    for line in render.in_the_way(outcome, now=_now()):
        to_stderr(line)
    if outcome.ahead:
        to_stderr(f"  {outcome.ahead} came earlier and want some of the same.")
    ids = " ".join(dict.fromkeys(str(found.reservation.id) for found in outcome.conflicts))
    again = " ".join(safe(text) if text.isidentifier() else f"'{safe(text)}'" for text in typed[:3])
    to_stderr(f"  next: guard reserve --wait 1h {again}" + (" …" if len(typed) > 3 else ""))
    if ids:
        to_stderr(f"  or, after asking them: guard break {ids} --reason 'why'")
    return EXIT_REFUSED


def _chosen(patterns: tuple[str, ...], ids: tuple[int, ...], everything: bool, verb: str) -> Chosen:
    if not (patterns or ids or everything):
        raise UsageError(f"say what to {verb}: patterns, --id N or --all", hint="guard list --mine")
    return Chosen(ids=ids, patterns=tuple(here.wanted(patterns)), everything=everything)


@commands.command()
@_patterns
@click.option("--id", "ids", type=int, multiple=True, metavar="N", help="The reservation with this number.")
@click.option("--all", "everything", is_flag=True, help="Everything you hold in this project.")
@_json
@_example("guard release src/auth", "guard release --id 7 --id 8", "guard release --all")
def release(patterns: tuple[str, ...], ids: tuple[int, ...], everything: bool, as_json: bool) -> int:
    """End reservations of yours."""
    chosen = _chosen(patterns, ids, everything, "release")
    _tell()
    outcome = here.store.release(here.actor, chosen)
    union.renew(here.store)
    return _answer_changed("released", outcome, as_json=as_json)


@commands.command()
@_patterns
@click.option("--id", "ids", type=int, multiple=True, metavar="N", help="The reservation with this number.")
@click.option("--all", "everything", is_flag=True, help="Everything you hold in this project.")
@click.option("--ttl", metavar="DURATION", help="How long from now: 45m, 8h, 2d (else guard.ttl, 1h).")
@_json
@_example("guard renew src/auth --ttl 2h", "guard renew --all")
def renew(patterns: tuple[str, ...], ids: tuple[int, ...], everything: bool, ttl: str | None, as_json: bool) -> int:
    """Give reservations of yours more time; what has ended is said, not revived."""
    chosen = _chosen(patterns, ids, everything, "renew")
    length = _ttl(ttl)
    _tell()
    outcome = here.store.renew(here.actor, chosen, ttl_ms=length)
    union.renew(here.store)
    return _answer_changed("renewed", outcome, as_json=as_json)


def _answer_changed(deed: str, outcome: Outcome, *, as_json: bool) -> int:
    if as_json:
        _print_json(render.outcome_json(deed, outcome, me=here.actor.holder))
    else:
        for row in outcome.reservations:
            remains = f" {until(row, now=_now())}" if deed == "renewed" else ""
            whose = f" of {safe(row.holder)}" if deed == "broken" else ""
            click.echo(f"{deed} #{row.id}{whose} {pattern(row)}{remains}")
    for missing in outcome.not_found:
        holder = "nobody else holds" if deed == "broken" else f"you ({safe(here.actor.holder)}) do not hold"
        to_stderr(f"guard: {holder} {safe(missing)} here.")
    if not outcome.reservations and not outcome.not_found:
        to_stderr(f"guard: nothing was {deed}: you ({safe(here.actor.holder)}) hold nothing here.")
    if not outcome.reservations or outcome.not_found:
        to_stderr("  next: guard list")
        return EXIT_REFUSED
    return EXIT_DONE


@commands.command(cls=_WithCommand, options_metavar="[OPTIONS]")
@click.option("--shared", is_flag=True, help="Others may hold the same, shared too.")
@click.option("--ttl", default="5m", show_default=True, metavar="DURATION", help="The lease, renewed meanwhile.")
@click.option("--reason", default="", metavar="TEXT", help="Why; others see it (else the command).")
@click.option("--wait", metavar="DURATION", help="Wait your turn that long when somebody is in the way.")
@click.argument("patterns", nargs=-1, metavar="PATTERN... -- COMMAND...")
@click.pass_context
@_example("guard hold src/auth -- make test", "guard hold --wait 5m 'db/**' -- ./migrate --all")
def hold(
    context: click.Context, patterns: tuple[str, ...], shared: bool, ttl: str, reason: str, wait: str | None
) -> int:
    """Reserve while a command runs, renew meanwhile, release when it ends; exits as the command did.

    Signals are passed on to the command. Should guard itself be killed, the lease runs out after --ttl.
    """
    from guard.work.hold import hold as held

    command: tuple[str, ...] = context.meta["guard.command"]
    if not patterns or not command:
        raise UsageError("say what to hold, then --, then the command", hint="guard hold src/auth -- make test")
    why = reason or " ".join(command)[:200]
    outcome = _reserved(patterns, shared=shared, ttl=ttl, reason=why, wait=wait)
    if not outcome.reservations:
        return _not_granted(outcome, patterns)
    try:
        return held(here.store, here.actor, outcome.reservations, command, ttl_ms=_ttl(ttl), lost=_say_lost)
    finally:
        union.renew(here.store)


def _say_lost(rows: Sequence[Reservation]) -> None:
    _tell()
    for row in rows:
        to_stderr(f"guard: #{row.id} {pattern(row)} is no longer yours; the command goes on without it.")


# Looking


@commands.command(name="list")
@click.option("--mine", is_flag=True, help="Only yours.")
@click.option("--theirs", is_flag=True, help="Only others'.")
@click.option("--ended", is_flag=True, help="What was released, expired or broken.")
@click.option("--all-projects", is_flag=True, help="Every project in this store.")
@_json
@_example("guard list", "guard list --theirs --json")
def list_(mine: bool, theirs: bool, ended: bool, all_projects: bool, as_json: bool) -> int:
    """Who holds what, until when, and why."""
    if ended and all_projects:
        raise UsageError("--ended and --all-projects do not go together", hint="guard list --ended")
    me, project = here.actor.holder, here.project
    _tell()
    found = (
        here.store.everywhere() if all_projects else here.store.ended(project) if ended else here.store.active(project)
    )
    rows = [row for row in found.reservations if mine == theirs or (row.holder == me) == mine]
    if as_json:
        _print_json(
            render.list_json(rows, project=project, me=me, generation=found.generation, all_projects=all_projects)
        )
    elif not rows:
        to_stderr(f"guard: nothing {'has ended' if ended else 'is reserved'} in {safe(project)}.")
    elif ended:
        _print_lines(render.ended_listing(rows, now=_now(), width=_width()))
    else:
        for name in sorted({row.project for row in rows}, key=lambda name: (name != project, name)):
            if all_projects:
                click.echo(f"{safe(name)}:")
            some = [row for row in rows if row.project == name]
            _print_lines(render.listing(some, me=me, now=_now(), width=_width(), style=click.style))
    return EXIT_DONE


@commands.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--staged", is_flag=True, help="What is staged for the next commit (the default without PATHs).")
@click.option("--stdin", "from_stdin", is_flag=True, help="Paths from standard input, one a line.")
@click.option("-z", "nul", is_flag=True, help="With --stdin: each path ends with a NUL.")
@click.option("--from", "old", metavar="A", help="With --to: what differs between two commits.")
@click.option("--to", "new", metavar="B")
@_json
@_example(
    "guard check                                 would this commit be refused?",
    "guard check src/auth/login.py docs",
    "git diff --name-only -z | guard check --stdin -z",
    "guard check --from main --to HEAD --json",
)
def check(
    paths: tuple[str, ...],
    staged: bool,
    from_stdin: bool,
    nul: bool,
    old: str | None,
    new: str | None,
    as_json: bool,
) -> int:
    """Would changing these paths be refused? Says so, and changes nothing.

    A directory stands for everything below it.
    """
    ways = [bool(paths), staged, from_stdin, old is not None or new is not None]
    if sum(ways) > 1:
        raise UsageError("PATHs, --staged, --stdin and --from/--to do not go together", hint="guard check --help")
    if nul and not from_stdin:
        raise UsageError("-z goes with --stdin", hint="guard check --help")
    _tell()
    if from_stdin:
        data = sys.stdin.buffer.read()
        names = [name for name in data.split(b"\0" if nul else b"\n") if name]
        found, generation = _check_paths(names)
    elif paths:
        found, generation = _check_paths([os.fsencode(path) for path in paths])
    else:
        found, generation = _check_changes(_changes(old, new))
    if as_json:
        _print_json(render.check_json(found, generation=generation, me=here.actor.holder))
    elif found:
        _print_lines(conflicts_in_words(found, now=_now()))
    else:
        click.echo("clear")
    return EXIT_REFUSED if found else EXIT_DONE


def _changes(old: str | None, new: str | None) -> list[Change]:
    from guard.repo import changes

    if old is None and new is None:
        return changes.of_commit(here.place)
    if old is None or new is None:
        raise UsageError("--from and --to go together", hint="guard check --from main --to HEAD")
    for name in (old, new):
        if name.startswith("-"):
            raise UsageError(f"{name!a} names no commit", hint="guard check --from main --to HEAD")
    return changes.between(old, new)


def _check_changes(changes: list[Change]) -> tuple[list[Conflict], int]:
    from guard.judge import verdict

    answer = verdict(here.store, changes, project=here.project, me=here.actor.holder, fold=here.settings.fold)
    return list(answer.conflicts), answer.generation


def _check_paths(names: list[bytes]) -> tuple[list[Conflict], int]:
    from guard.judge import below, verdict

    top = here.place.top
    paths = [here.path(name) for name in names]
    directories = [path for path in paths if not path or (top and os.path.isdir(os.path.join(top, path)))]
    me, fold = here.actor.holder, here.settings.fold
    answer = verdict(here.store, [Change(path) for path in paths if path], project=here.project, me=me, fold=fold)
    found = list(answer.conflicts)
    generation = answer.generation
    if directories:
        snapshot = here.store.active(here.project)
        seen = {(conflict.path, conflict.reservation.id) for conflict in found}
        found += [
            conflict
            for conflict in below(directories, snapshot.reservations, me=me, fold=fold)
            if (conflict.path, conflict.reservation.id) not in seen
        ]
        generation = snapshot.generation
    return found, generation


@commands.command(name="break")
@click.argument("ids", nargs=-1, type=int, required=True, metavar="ID...")
@click.option("--reason", default="", metavar="TEXT", help="Why; they and the log get to know.")
@_json
@_example("guard break 7 --reason 'alice is on holiday, hotfix for the release'")
def break_(ids: tuple[int, ...], reason: str, as_json: bool) -> int:
    """End somebody else's reservation. It is recorded, and they are told by their next guard command."""
    _tell()
    mine = {row.id for row in here.store.active(here.project).reservations if row.holder == here.actor.holder}
    for number in ids:
        if number in mine:
            raise GuardError(
                f"#{number} is yours; nothing was broken", hint=f"guard release --id {number}", code=EXIT_REFUSED
            )
    outcome = here.store.break_(here.actor, ids, reason=_reason(reason))
    union.renew(here.store)
    return _answer_changed("broken", outcome, as_json=as_json)


@commands.command()
@click.option("-n", "limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many.")
@_json
@_example("guard log", "guard log -n 500 --json")
def log(limit: int, as_json: bool) -> int:
    """What happened: reserved, renewed, released, expired, broken, refused, warned, bypassed; by whom and why."""
    _tell()
    generation = here.store.active(here.project).generation
    entries = here.store.log(here.project, limit=limit)
    if as_json:
        _print_json(render.log_json(entries, project=here.project, generation=generation))
    elif entries:
        _print_lines(render.log_lines(entries, now=_now(), width=_width()))
    else:
        to_stderr(f"guard: nothing has happened yet in {safe(here.project)}.")
    return EXIT_DONE


@commands.command()
@_json
@_example("guard whoami", "GUARD_AGENT=carol guard whoami")
def whoami(as_json: bool) -> int:
    """Who guard takes you for, and where that name comes from."""
    _tell()
    holder = here.settings.holder
    if as_json:
        generation = here.store.active(here.project).generation
        _print_json(
            {
                "generation": generation,
                "holder": here.actor.holder,
                "source": holder.source,
                "principal": here.actor.principal,
                "project": here.project,
            }
        )
    else:
        click.echo(f"{safe(here.actor.holder)}  (from {safe(holder.source)})")
    return EXIT_DONE


# In force


@commands.command()
@_json
@_example("guard install")
def install(as_json: bool) -> int:
    """Put guard's hooks into this repository; hooks that are there are kept, and run."""
    from guard.install.apply import install as installed

    store = here.store  # makes it, or says now why it cannot be
    report = installed(here.place)
    union.renew(store)
    return _answer_report("installed", report, as_json=as_json)


@commands.command()
@_json
@_example("guard uninstall")
def uninstall(as_json: bool) -> int:
    """Take guard's hooks out again; what was there before is put back, byte for byte."""
    from guard.install.apply import uninstall as uninstalled

    return _answer_report("uninstalled", uninstalled(here.place), as_json=as_json)


@commands.command()
@click.option("--check", "checking", is_flag=True, help="Exit 1 when guard is not fully in force here.")
@_json
@_example("guard status", "guard status --check    for CI and scripts")
def status(checking: bool, as_json: bool) -> int:
    """What is installed, whether it is in force, who you are, what you and others hold."""
    from guard.commands.overview import overview

    return overview(here, checking=checking, as_json=as_json, width=_width())


@commands.command()
@click.option("--keep", is_flag=True, help="Leave the demo's directory for you to look around in.")
@_example("guard demo")
def demo(keep: bool) -> int:
    """See it at work: two holders, a reservation, a real commit refused, then allowed. Touches nothing of yours."""
    from guard.commands.demo import demo as shown

    return shown(keep=keep)


@commands.command(context_settings={"ignore_unknown_options": True})
@click.argument("event", metavar="EVENT", type=click.Choice(["pre-commit", "pre-merge-commit", "pre-push"]))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@_example("guard hook pre-commit", 'guard hook pre-push "$@"      in a hook of your own')
def hook(event: str, arguments: tuple[str, ...]) -> int:
    """Judge as the installed hooks do: for hook managers and hooks of your own.

    EVENT is pre-commit, pre-merge-commit or pre-push; the ARGUMENTS and standard input are those git gave the hook.
    """
    from guard.hook import by_hand

    return by_hand(event, arguments)


# Shared


def _answer_report(deed: str, report: Any, *, as_json: bool) -> int:
    if as_json:
        _print_json({"generation": _generation(), deed: report.code == EXIT_DONE, **report.as_json()})
    else:
        _print_lines([safe(line) for line in report.done])
    for line in report.notes:
        to_stderr(f"guard: {line}")
    return int(report.code)


def _generation() -> int | None:
    """The project's generation; None, after saying why, when the store cannot be read."""
    try:
        return here.store.active(here.project).generation
    except GuardError as error:
        to_stderr(f"guard: {safe(why_unreadable(error))}")
        return None


def _tell() -> None:
    """Tells the holder, once, what others broke and what expired."""
    notices = here.store.notices(here.project, here.actor.holder)
    for row in notices:
        to_stderr(notice(row, now=_now()))
    if notices:
        try:
            here.store.told(notices)
        except GuardError as error:
            to_stderr(f"guard: not recorded that you were told: {safe(error.what)}")
        else:
            union.renew(here.store)


def _reason(text: str) -> str:
    if len(text) > 2000:
        raise UsageError("the reason is longer than 2,000 characters", hint="say it shorter")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError("the reason is not UTF-8", hint="say it in UTF-8") from None
    if "\0" in text:
        raise UsageError("the reason has a NUL character", hint="leave it out")
    return text


def _print_json(answer: Json) -> None:
    click.echo(render.as_json(answer))


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line, color=_colours())


def _colours() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


def _width() -> int | None:
    """The terminal's columns; None when the answer goes elsewhere."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def _now() -> int:
    return time.time_ns() // 1_000_000
