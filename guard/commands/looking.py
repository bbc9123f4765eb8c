"""``guard list``, ``check``, ``log`` and ``whoami``: answers that change nothing."""

from __future__ import annotations

import os

import click

from guard.commands import daily, render
from guard.commands.reply import Reply, terminal_width
from guard.commands.shared import as_json_option, example, pass_here
from guard.model import EXIT_DONE
from guard.repo import settings
from guard.words import safe, to_stderr
from guard.work import questions
from guard.work.here import Here, now_ms


@click.command(name="list")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--mine", is_flag=True, help="Only yours.")
@click.option("--theirs", is_flag=True, help="Only others'.")
@click.option("--ended", is_flag=True, help="What was released, expired or broken.")
@click.option("--soon", metavar="DURATION", help="Only what ends within that time; yours, unless --theirs is given.")
@click.option("--all-projects", is_flag=True, help="Every project in this store; works anywhere.")
@click.option("--watch", is_flag=True, help="Show it again whenever it changes, until you interrupt.")
@as_json_option
@pass_here
@example(
    "guard list",
    "guard list src/auth/login.py         who holds this file?",
    "guard list --soon 10m                what of mine ends soon?",
    "guard list --all-projects --json",
)
def list_(
    here: Here,
    paths: tuple[str, ...],
    mine: bool,
    theirs: bool,
    ended: bool,
    soon: str | None,
    all_projects: bool,
    watch: bool,
    as_json: bool,
) -> int:
    """Who holds what, until when, and why; with PATHs, who holds those."""
    return daily.list_(
        here,
        paths=paths,
        mine=mine,
        theirs=theirs,
        ended=ended,
        soon=soon,
        all_projects=all_projects,
        watch=watch,
        as_json=as_json,
    )


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--staged", is_flag=True, help="What is staged for the next commit (the default without PATHs).")
@click.option("--changed", is_flag=True, help="What is changed in the work tree, staged or not.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Paths from standard input, one a line, as git prints them.")
@click.option("-z", "nul", is_flag=True, help="With --stdin: each path ends with a NUL.")
@click.option("--from", "old", metavar="A", help="With --to: what differs between two commits.")
@click.option("--to", "new", metavar="B")
@as_json_option
@pass_here
@example(
    "guard check                          would this commit be refused?",
    "guard check src/auth/login.py docs   mine, shared, free, or held by whom?",
    "git diff --name-only -z | guard check --stdin -z",
    "guard check --from main --to HEAD --json",
)
def check(
    here: Here,
    paths: tuple[str, ...],
    staged: bool,
    changed: bool,
    from_stdin: bool,
    nul: bool,
    old: str | None,
    new: str | None,
    as_json: bool,
) -> int:
    """Would a change of these paths be refused? Only prints the answer.

    A directory stands for everything below it. Exits with 1 when the change would be refused, with 0 when not.
    """
    return daily.check(
        here,
        paths=paths,
        staged=staged,
        changed=changed,
        from_stdin=from_stdin,
        nul=nul,
        old=old,
        new=new,
        as_json=as_json,
    )


@click.command()
@click.option("-n", "limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many.")
@click.option("--path", "paths", multiple=True, metavar="PATH", help="Only what concerned this path or pattern.")
@click.option("--holder", "holders", multiple=True, metavar="NAME", help="Only what this holder did or underwent.")
@click.option("--event", "events", multiple=True, metavar="WORD", help="Only these: reserved, broken, refused, ….")
@click.option("--since", metavar="DURATION", help="Only what happened within that time: 2h, 3d.")
@as_json_option
@pass_here
@example(
    "guard log",
    "guard log --path src/auth --since 2d      who touched it?",
    "guard log --holder alice --event broken --json",
)
def log(
    here: Here,
    limit: int,
    paths: tuple[str, ...],
    holders: tuple[str, ...],
    events: tuple[str, ...],
    since: str | None,
    as_json: bool,
) -> int:
    """What happened: reserved, renewed, released, expired, broken, refused, warned, bypassed; by whom and why."""
    reply = Reply(here, as_json=as_json)
    since_ms = None if since is None else settings.duration(since, what="--since")
    reply.tell()
    found = questions.log(
        here,
        limit=limit,
        only=questions.LogFilter(tuple(map(os.fsencode, paths)), holders, events, since_ms),
    )
    if not found.entries:
        like = " like that" if paths or holders or events or since else ""
        to_stderr(f"guard: nothing{like} has happened yet in {safe(here.project)}.")
    reply.say(
        lambda: render.log_json(found.entries, project=here.project, generation=found.generation),
        lambda: render.log_lines(found.entries, now=now_ms(), width=terminal_width()),
    )
    return EXIT_DONE


@click.command()
@as_json_option
@pass_here
@example("guard whoami", "GUARD_AGENT=carol guard whoami")
def whoami(here: Here, as_json: bool) -> int:
    """Who guard takes you for, and where that name comes from."""
    reply = Reply(here, as_json=as_json)
    reply.tell()
    source = here.settings.holder.source
    reply.say(
        lambda: {
            "generation": questions.generation(here),
            "holder": here.me,
            "source": source,
            "principal": here.actor.principal,
            "project": here.project,
        },
        lambda: [f"{safe(here.me)}  (from {safe(source)})"],
    )
    return EXIT_DONE
