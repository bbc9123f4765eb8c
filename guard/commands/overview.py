"""``guard status``: one screen that says whether guard is in force, who you are, and who holds what."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from guard.agents.install import status as agent_status
from guard.commands import render
from guard.commands.agents import lines_of_status, site_of
from guard.install.apply import status as installed
from guard.model import EXIT_DONE, EXIT_REFUSED, EXIT_UNKNOWN, GuardError
from guard.repo.diverted import diversions
from guard.repo.secrets import without_password
from guard.repo.settings import softened
from guard.words import length, pattern, safe
from guard.work import relatives
from guard.work.here import why_unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.install.apply import Status
    from guard.model import Reservation
    from guard.repo.settings import Setting
    from guard.work.here import Here

SHOWN = 5


def overview(here: Here, *, checking: bool, as_json: bool, width: int | None) -> int:
    """Prints the overview and returns the exit code: 0.

    With ``checking``: 1 when guard is not in force, when nothing in the store concerns this checkout, or when store or
    project are not those of this repository; 3 when the store is unreadable.
    """
    state = installed(here.place)
    me = here.settings.holder.value
    trouble, nothing, rows, generation = "", "", [], None
    mode, remarks = here.settings.mode, []
    coding_agents = agent_status(site_of(here))
    try:
        me = here.actor.holder
        if here.unused:
            remarks = ["nothing is there yet: guard install makes the store, and so does the first guard reserve"]
        else:
            snapshot = here.store.active(here.project)
            rows, generation = list(snapshot.reservations), snapshot.generation
            mode = softened(mode, here.environment, by=here.store.kind.mode_variable)
            remarks = [*here.store.remarks(here.project), *relatives.remarks(here, here.store, ask=True)]
            nothing = here.store.why_nothing_counts(here.project)
    except GuardError as error:
        trouble = why_unreadable(error)
    diverted = diversions(here.settings, here.environment, here.entries, here.place)
    remarks = [*remarks, *(each.sentence() for each in diverted)]
    if as_json:
        click.echo(
            render.as_json(
                {
                    "generation": generation,
                    "in_force": state.in_force and not (trouble or nothing or diverted),
                    "project": here.settings.project.value,
                    "holder": me,
                    "store": without_password(here.settings.store.value),
                    "store_error": trouble or None,
                    "remarks": remarks,
                    "agents": [each.as_json() for each in coding_agents],
                    **state.as_json(),
                    "reservations": [render.reservation_json(row, me=me) for row in rows],
                }
            )
        )
    else:
        agents = lines_of_status(coding_agents)
        for line in [*_force(state), *_who(here, me, mode), *_store(here, trouble, remarks), *agents]:
            click.echo(render.cut(line, width))
        if not trouble:
            for line in _held(rows, me):
                click.echo(render.cut(line, width))
    if not checking:
        return EXIT_DONE
    return EXIT_UNKNOWN if trouble else EXIT_DONE if state.in_force and not (nothing or diverted) else EXIT_REFUSED


def _force(state: Status) -> list[str]:
    if state.in_force:
        lines = [click.style("in force", fg="green", bold=True) + ": " + ", ".join(state.events_in_force())]
    else:
        lines = [click.style("NOT IN FORCE", fg="red", bold=True)]
    for problem in state.problems:
        lines.append(f"  {safe(problem.what)}")
        if problem.repair:
            lines.append(f"    repair: {safe(problem.repair)}")
    return [*lines, *(f"  {safe(note)}" for note in state.notes)]


def _who(here: Here, me: str, mode: Setting) -> list[str]:
    settings = here.settings
    return [
        f"you      {safe(me)}  (from {safe(settings.holder.source)})",
        f"project  {safe(settings.project.value)}  (from {safe(settings.project.source)})",
        f"mode     {safe(mode.value)}  (from {safe(mode.source)})",
    ]


def _store(here: Here, trouble: str, remarks: Sequence[str]) -> list[str]:
    setting = here.settings.store
    line = f"store    {safe(without_password(setting.value))}  (from {safe(setting.source)})"
    unreadable = [click.style("  UNREADABLE: ", fg="red", bold=True) + safe(trouble)] if trouble else []
    return [line, *unreadable, *(f"  {safe(remark)}" for remark in remarks)]


def _held(rows: list[Reservation], me: str) -> list[str]:
    now = time.time_ns() // 1_000_000
    mine = [row for row in rows if row.holder == me]
    theirs = [row for row in rows if row.holder != me]
    return [*_part("you hold", mine, now=now), *_part("others hold", theirs, now=now)]


def _part(title: str, rows: list[Reservation], *, now: int) -> list[str]:
    if not rows:
        return [f"{title} nothing"]
    lines = [f"{title} {len(rows)}:"]
    for row in sorted(rows, key=lambda row: row.expires_at or 0)[:SHOWN]:
        remains = "no expiry" if row.expires_at is None else f"in {length(row.expires_at - now)}"
        kind = "" if row.exclusive else " shared"
        lines.append(f"  #{row.id} {pattern(row)}{kind}  {safe(row.holder)}  {remains}  {safe(row.reason)}".rstrip())
    return [*lines, "  … guard list shows all"] if len(rows) > SHOWN else lines
