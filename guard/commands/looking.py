"""``guard list``, ``check``, ``log`` and ``whoami``: answers that change nothing."""

from __future__ import annotations

import os
import sys

import click

from guard.commands import render
from guard.commands.shared import as_json_option, example, pass_here, print_json, print_lines, tell, terminal_width
from guard.model import EXIT_DONE, EXIT_REFUSED, UsageError, Verdict
from guard.words import conflicts_in_words, safe, to_stderr
from guard.work import questions
from guard.work.here import Here, now_ms


@click.command(name="list")
@click.option("--mine", is_flag=True, help="Only yours.")
@click.option("--theirs", is_flag=True, help="Only others'.")
@click.option("--ended", is_flag=True, help="What was released, expired or broken.")
@click.option("--all-projects", is_flag=True, help="Every project in this store.")
@as_json_option
@pass_here
@example("guard list", "guard list --theirs --json")
def list_(here: Here, mine: bool, theirs: bool, ended: bool, all_projects: bool, as_json: bool) -> int:
    """Who holds what, until when, and why."""
    if ended and all_projects:
        raise UsageError("--ended and --all-projects do not go together", hint="guard list --ended")
    me, project, width = here.me, here.project, terminal_width()
    tell(here)
    found = questions.held(here, ended=ended, all_projects=all_projects)
    rows = [row for row in found.reservations if mine == theirs or (row.holder == me) == mine]
    if as_json:
        generation = found.generation
        print_json(render.list_json(rows, project=project, me=me, generation=generation, all_projects=all_projects))
    elif not rows:
        to_stderr(f"guard: nothing {'has ended' if ended else 'is reserved'} in {safe(project)}.")
    elif ended:
        print_lines(render.ended_listing(rows, now=now_ms(), width=width))
    else:
        for name in sorted({row.project for row in rows}, key=lambda name: (name != project, name)):
            if all_projects:
                click.echo(f"{safe(name)}:")
            some = [row for row in rows if row.project == name]
            print_lines(render.listing(some, me=me, now=now_ms(), width=width, style=click.style))
    return EXIT_DONE


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--staged", is_flag=True, help="What is staged for the next commit (the default without PATHs).")
@click.option("--stdin", "from_stdin", is_flag=True, help="Paths from standard input, one a line.")
@click.option("-z", "nul", is_flag=True, help="With --stdin: each path ends with a NUL.")
@click.option("--from", "old", metavar="A", help="With --to: what differs between two commits.")
@click.option("--to", "new", metavar="B")
@as_json_option
@pass_here
@example(
    "guard check                                 would this commit be refused?",
    "guard check src/auth/login.py docs",
    "git diff --name-only -z | guard check --stdin -z",
    "guard check --from main --to HEAD --json",
)
def check(
    here: Here,
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
    tell(here)
    if from_stdin:
        data = sys.stdin.buffer.read()
        names = [name for name in data.split(b"\0" if nul else b"\n") if name]
        answer = questions.check_paths(here, names)
    elif paths:
        answer = questions.check_paths(here, list(map(os.fsencode, paths)))
    else:
        answer = _check_commits(here, old, new)
    if as_json:
        print_json(render.check_json(answer.conflicts, generation=answer.generation, me=here.me))
    elif answer.clear:
        click.echo("clear")
    else:
        print_lines(conflicts_in_words(answer.conflicts, now=now_ms()))
    return EXIT_DONE if answer.clear else EXIT_REFUSED


def _check_commits(here: Here, old: str | None, new: str | None) -> Verdict:
    """The verdict on what is staged, or on what differs between two commits."""
    if old is None and new is None:
        return questions.check_changes(here, questions.staged(here))
    if old is None or new is None:
        raise UsageError("--from and --to go together", hint="guard check --from main --to HEAD")
    return questions.check_changes(here, questions.between(old, new))


@click.command()
@click.option("-n", "limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many.")
@as_json_option
@pass_here
@example("guard log", "guard log -n 500 --json")
def log(here: Here, limit: int, as_json: bool) -> int:
    """What happened: reserved, renewed, released, expired, broken, refused, warned, bypassed; by whom and why."""
    tell(here)
    found = questions.log(here, limit=limit)
    if as_json:
        print_json(render.log_json(found.entries, project=here.project, generation=found.generation))
    elif found.entries:
        print_lines(render.log_lines(found.entries, now=now_ms(), width=terminal_width()))
    else:
        to_stderr(f"guard: nothing has happened yet in {safe(here.project)}.")
    return EXIT_DONE


@click.command()
@as_json_option
@pass_here
@example("guard whoami", "GUARD_AGENT=carol guard whoami")
def whoami(here: Here, as_json: bool) -> int:
    """Who guard takes you for, and where that name comes from."""
    tell(here)
    source = here.settings.holder.source
    if as_json:
        print_json(
            {
                "generation": questions.generation(here),
                "holder": here.me,
                "source": source,
                "principal": here.actor.principal,
                "project": here.project,
            }
        )
    else:
        click.echo(f"{safe(here.me)}  (from {safe(source)})")
    return EXIT_DONE
