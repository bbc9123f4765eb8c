"""``guard install``, ``uninstall``, ``status``, ``demo`` and ``hook``."""

from __future__ import annotations

import os
from typing import Any

import click

from guard.commands import render
from guard.commands.reply import print_json, print_lines, say_made, terminal_width
from guard.commands.shared import as_json_option, example, pass_here
from guard.events import NAMES, by_name
from guard.model import EXIT_DONE, GuardError
from guard.repo.allowed import allow
from guard.repo.defaults import HOST_NOTE, STORE_NOTE
from guard.repo.known_settings import exposed_passwords
from guard.stores.choose import ANEW, note_store
from guard.words import safe, to_stderr
from guard.work import questions
from guard.work.here import Here, now_ms, why_unreadable

_dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")


@click.command()
@_dry_run
@click.option("--all", "everywhere", is_flag=True, help="Renew every repository that this account has guard in.")
@as_json_option
@pass_here
@example("guard install", "guard install --dry-run", "guard install --all     after guard was upgraded")
def install(here: Here, dry_run: bool, everywhere: bool, as_json: bool) -> int:
    """Put guard's hooks into this repository; hooks that are there are kept, and run."""
    from guard.install.apply import install as put_in
    from guard.work import relatives

    if everywhere:
        return _answer_all(["install", *(["--dry-run"] if dry_run else [])], as_json=as_json)
    if dry_run:
        return _answer_plan(_with_store_note(here, put_in(here.place, dry_run=True)), as_json=as_json)
    here.making = ANEW
    with here.writing() as store:  # makes the store, or says now why it cannot be
        say_made(here)
        adopted = relatives.adopt(here, store)
        report = put_in(here.place)
        note_store(here.place, store)
        if here.settings.store.is_own and store.kind.leased:
            allow(store.address, here.environment)  # from now on the repository names it, and this account wants that
        here = Here(here.environment, here.cwd)  # so that the settings are read which were configured just now
        relatives.remember(here, store, adopted=bool(adopted))
        done = (*([adopted] if adopted else []), *report.done)
        exposed = [f"{fault.what}; repair: {fault.repair}" for fault in exposed_passwords(here.entries)]
        notes = dict.fromkeys((*report.notes, *exposed, *relatives.remarks(here, store, ask=True)))
        report = report._replace(done=done, notes=tuple(notes))
    return _answer_report(here, "installed", report, as_json=as_json)


@click.command()
@_dry_run
@as_json_option
@pass_here
@example("guard uninstall", "guard uninstall --dry-run")
def uninstall(here: Here, dry_run: bool, as_json: bool) -> int:
    """Take guard's hooks out again; what was there before is put back, byte for byte."""
    from guard.install.apply import uninstall as take_out

    if dry_run:
        return _answer_plan(take_out(here.place, dry_run=True), as_json=as_json)
    return _answer_report(here, "uninstalled", take_out(here.place), as_json=as_json)


@click.command()
@click.option("--check", "checking", is_flag=True, help="Exit 1 when guard is not fully in force here.")
@click.option("--line", "as_line", is_flag=True, help="One short line, also kept for prompts (see guard help prompts).")
@click.option("--all", "everywhere", is_flag=True, help="Every repository that this account has guard in.")
@as_json_option
@pass_here
@example("guard status", "guard status --check    for CI and scripts", "guard status --all")
def status(here: Here, checking: bool, as_line: bool, everywhere: bool, as_json: bool) -> int:
    """What is installed, whether it is in force, who you are, what you and others hold."""
    from guard.commands.overview import overview

    if everywhere:
        return _answer_all(["status", *(["--check"] if checking else [])], as_json=as_json)
    if as_line:
        return _print_line(here, as_json=as_json)
    return overview(here, checking=checking, as_json=as_json, width=terminal_width())


def _print_line(here: Here, *, as_json: bool) -> int:
    """Prints the line for prompts, and keeps it where ``hooks/line`` finds it."""
    from guard.install.hookfile import line_program
    from guard.work.line import line_of, write

    snapshot = here.store.active(here.project)
    line, now = line_of(snapshot.reservations, me=here.me), now_ms()
    write(here.place.git_dir, line, project=here.project, me=here.me, now=now)
    if as_json:
        shown = {"generation": snapshot.generation, "mine": line.mine, "theirs": line.theirs}
        ends = {"next_at": render.iso(line.next_at), "line": line.text(now=now), "program": line_program()}
        print_json(shown | ends)
    else:
        print_lines([line.text(now=now)])
    return EXIT_DONE


@click.command()
@click.option("--keep", is_flag=True, help="Leave the demo's directory for you to look around in.")
@pass_here
@example("guard demo")
def demo(here: Here, keep: bool) -> int:
    """See guard at work: two holders, a reservation, a real commit refused, then allowed. Touches nothing of yours."""
    from guard.commands.demo import demo as play

    return play(here.environment, keep=keep)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("event", metavar="EVENT", type=click.Choice(NAMES))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@example("guard hook pre-commit", 'guard hook pre-push "$@"      in a hook of your own')
def hook(event: str, arguments: tuple[str, ...]) -> int:
    """Judge as the installed hooks do: for hook managers and hooks of your own.

    EVENT is pre-commit, pre-merge-commit or pre-push; in a repository that others push to, it is pre-receive. The
    ARGUMENTS and standard input are those that git gave to the hook.
    """
    if by_name(event).receives:
        from guard.receive import by_hand

        return by_hand()
    from guard.install import through_line

    return through_line.by_hand(event, arguments)


def _with_store_note(here: Here, report: Any) -> Any:
    """Adds the notes of the store's place and the host's name to the plan.

    An install writes these two after it has opened the store, and a dry run opens none.
    """
    own = here.place.own_dir
    notes = ((STORE_NOTE, f"where the store is: {here.settings.store.value}"), (HOST_NOTE, "this host's name"))
    steps = [
        f"write {safe(os.path.join(own, name))} ({what})"
        for name, what in notes
        if not os.path.exists(os.path.join(own, name))
    ]
    return report._replace(plan=(*report.plan, *steps))


def _answer_plan(report: Any, *, as_json: bool) -> int:
    """Prints the steps of a plan that was not carried out. Returns the exit code that carrying it out would give."""
    if as_json:
        print_json(report.as_json(), warnings=report.notes)
    else:
        print_lines([f"would {step}" for step in report.plan] or ["nothing would change"])
    for line in report.notes:
        to_stderr(f"guard: {line}")
    return int(report.code)


def _answer_all(words: list[str], *, as_json: bool) -> int:
    """Runs a command in every repository of the account and prints the outcomes. Returns the highest exit code."""
    from guard.install.everywhere import run_in_all

    outcomes = run_in_all(*words)
    if as_json:
        print_json({"repositories": [outcome.as_json() for outcome in outcomes]})
    elif not outcomes:
        to_stderr("guard: this account has guard in no repository that is on its list. Put it into one: guard install")
    else:
        for outcome in outcomes:
            print_lines([safe(outcome.directory), *(f"  {line}" for line in outcome.lines)])
    return max((outcome.code for outcome in outcomes), default=EXIT_DONE)


def _answer_report(here: Here, deed: str, report: Any, *, as_json: bool) -> int:
    if as_json:
        shown = {"generation": _generation(here), deed: report.code == EXIT_DONE, **report.as_json()}
        print_json(shown, warnings=report.notes)
    else:
        print_lines([safe(line) for line in report.done])
    for line in report.notes:
        to_stderr(f"guard: {line}")
    return int(report.code)


def _generation(here: Here) -> int | None:
    """The project's generation; None, after saying why, when the store cannot be read."""
    try:
        return questions.generation(here)
    except GuardError as error:
        to_stderr(f"guard: {safe(why_unreadable(error))}")
        return None
