"""``guard agent``: puts guard into the hooks of coding agents, takes it out, and says whether it is in force."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from guard.agents import install as agents
from guard.agents.files import PROJECT, SHARED, USER
from guard.agents.programs import CODEX, PROGRAMS
from guard.commands.reply import print_json
from guard.commands.shared import as_json_option, example
from guard.model import EXIT_DONE, EXIT_REFUSED, GuardError
from guard.words import to_stderr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.agents.install import Plan, Site, State
    from guard.work.here import Here

_names = click.argument("programs", nargs=-1, metavar="[PROGRAM]...", shell_complete=lambda *_: list(PROGRAMS))


@click.group()
@example("guard agent install claude", "guard agent status --check")
def agent() -> None:
    """Have coding agents ask guard before they edit: Claude Code, Codex, Copilot, Gemini, opencode, Cursor."""


def site_of(here: Here) -> Site:
    """Where guard is put into coding agents' settings: this account, and this repository if there is one."""
    try:
        place = here.place
        top, common = os.fsdecode(place.top or b""), os.fsdecode(place.common_dir)
    except GuardError:
        top = common = ""
    environment = {os.fsdecode(name): os.fsdecode(value) for name, value in here.environment.items()}
    return agents.Site(environment, top, common)


@agent.command()
@_names
@click.option("--user", "scope", flag_value=USER, default=USER, help="For you, in every repository (the default).")
@click.option("--project", "scope", flag_value=PROJECT, help="For you, in this work tree.")
@click.option("--shared", "scope", flag_value=SHARED, help="For everybody, in a file of this repository to commit.")
@click.option("--trust", is_flag=True, help="Have Codex trust guard's hooks, as its own dialogue would.")
@click.option("--dry-run", is_flag=True, help="Show what would be changed.")
@click.pass_obj
def install(here: Here, programs: tuple[str, ...], scope: str, trust: bool, dry_run: bool) -> int:
    """Put guard into the settings of coding agents; without a name, into those of all that this machine has.

    PROGRAM is claude, codex, copilot, gemini, opencode or cursor.
    """
    site = site_of(here)
    chosen = agents.chosen(programs, site)
    plan = agents.plan_install(chosen, scope, site)
    if not dry_run:
        agents.apply(plan, stub=site.stub(scope))
    _show(plan, "guard was put into", "guard is already in", dry_run=dry_run)
    if trust and not dry_run and CODEX in chosen and not plan.refused:
        from guard.agents import codex

        count = codex.trust(site.environment, site.top or os.getcwd())
        click.echo(f"Codex now trusts {count} of guard's hooks" if count else "Codex trusts guard's hooks already")
    return EXIT_REFUSED if plan.refused else EXIT_DONE


@agent.command()
@_names
@click.option("--user", "scope", flag_value=USER, help="Only from your own settings.")
@click.option("--project", "scope", flag_value=PROJECT, help="Only from this work tree's own settings.")
@click.option("--shared", "scope", flag_value=SHARED, help="Only from the settings that this repository shares.")
@click.option("--dry-run", is_flag=True, help="Show what would be changed.")
@click.pass_obj
def uninstall(here: Here, programs: tuple[str, ...], scope: str | None, dry_run: bool) -> int:
    """Take guard out of the settings of coding agents: its own entries and nothing else."""
    site = site_of(here)
    scopes = [scope] if scope else [USER, PROJECT, SHARED] if site.top else [USER]
    chosen = agents.chosen(programs or tuple(PROGRAMS), site)
    plan = agents.plan_uninstall(chosen, scopes, site)
    if not dry_run:
        agents.apply(plan)
        if not programs and not plan.refused:
            for each in scopes:
                agents.remove_stub(site.stub(each))
    _show(plan._replace(unchanged=()), "guard was taken out of", "", dry_run=dry_run)
    if not plan.changes and not plan.refused:
        to_stderr("guard: no settings of these coding agents name guard.")
        return EXIT_REFUSED
    return EXIT_REFUSED if plan.refused else EXIT_DONE


def _show(plan: Plan, done: str, already: str, *, dry_run: bool) -> None:
    if dry_run:
        for change in plan.changes:
            for line in _difference(change.path, change.before, change.after):
                click.echo(line)
    else:
        for change in plan.changes:
            click.echo(f"{done} {change.path}")
    for path in plan.unchanged:
        click.echo(f"{already} {path}")
    for note in plan.notes:
        click.echo(f"  {note}")
    for refused in plan.refused:
        to_stderr(f"guard: {refused}")


def _difference(path: str, before: str | None, after: str | None) -> Sequence[str]:
    from difflib import unified_diff

    old, new = (before or "").splitlines(), (after or "").splitlines()
    return list(unified_diff(old, new, path, path if after is not None else os.devnull, lineterm=""))


@agent.command()
@click.option("--check", is_flag=True, help="Exit 1 if a coding agent that is used here is not guarded.")
@as_json_option
@click.pass_obj
def status(here: Here, check: bool, as_json: bool) -> int:
    """Which coding agents ask guard before they edit?"""
    found = agents.status(site_of(here), ask_programs=True)
    if as_json:
        print_json(
            {"agents": [state.as_json() for state in found]},
            warnings=[f"{each.program.title}: {each.problem or 'not guarded'}" for each in found if not _is_fine(each)],
            next_=[state.repair for state in found if state.repair],
        )
    else:
        for line in lines_of_status(found):
            click.echo(line)
        if not found:
            to_stderr("guard: no coding agent was found on this machine.")
    return agents.exit_code(found) if check else EXIT_DONE


def _is_fine(state: State) -> bool:
    return state.installed and not state.problem


def lines_of_status(found: Sequence[State]) -> list[str]:
    """The lines about each program, for ``guard agent status`` and ``guard status``."""
    lines = []
    for state in found:
        word = "guarded" if _is_fine(state) else "NOT GUARDED"
        lines.append(f"{state.program.title}: {word} ({state.path})")
        lines += [f"  {state.problem}"] if state.problem else []
        lines += [f"  next: {state.repair}"] if state.repair else []
    return lines


@agent.command()
def instructions() -> int:
    """Print lines for an AGENTS.md or CLAUDE.md, for agents whose program has no hooks."""
    click.echo(INSTRUCTIONS, nl=False)
    return EXIT_DONE


INSTRUCTIONS = """\
## Reserved files

Several people and agents change this repository at once. `guard` keeps track of who changes what.

- Before you change files, reserve them: `guard reserve PATH... --reason 'what you do'`. If somebody else holds one, do
  other work first, or wait: `guard reserve --wait 5m PATH...`
- Never write to a file that somebody else has reserved, not even through the shell. `guard list` shows who holds what.
- Never run `git stash`, `git reset --hard`, `git checkout -- PATH`, `git restore PATH` or `git clean` in a checkout
  that you share: they throw away what others have not committed yet.
- When your change is committed and pushed, give the files back: `guard release --all`
- If guard refuses a commit, leave the named files out. Do not use `--no-verify` or `GUARD_SKIP`.
"""


@agent.command(hidden=True)
@click.argument("program")
@click.argument("event")
@click.pass_obj
def hook(here: Here, program: str, event: str) -> int:
    """Answer a call of a coding agent's hook; the payload comes on standard input."""
    from guard.agents.hook import respond

    stub_dir = os.fsencode(agents.account_directory())
    said: Any = respond(stub_dir, program, event, sys.stdin.buffer.read(), dict(here.environment))
    sys.stderr.buffer.write(said.err)
    sys.stdout.buffer.write(said.out)
    return int(said.code)
