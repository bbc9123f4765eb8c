"""``guard status``: one screen that says whether guard is in force, who you are, and who holds what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.agents.install import status as agent_status
from guard.commands import render
from guard.commands.agents import lines_of_status, site_of
from guard.commands.reply import Reply, style
from guard.install.apply import status as installed
from guard.install.remarks import remarks_in_force
from guard.model import EXIT_DONE, EXIT_REFUSED, EXIT_UNKNOWN, GuardError
from guard.record import Record
from guard.repo.diverted import diversions
from guard.repo.secrets import without_password
from guard.repo.settings import softened_mode
from guard.words import length, pattern, safe, short_name
from guard.work import relatives
from guard.work.here import now_ms, why_unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.agents.install import State
    from guard.install.apply import Status
    from guard.model import Reservation
    from guard.repo.settings import Setting
    from guard.work.here import Here
    from guard.work.shapes import Json

SHOWN = 5


def overview(here: Here, *, checking: bool, as_json: bool, width: int | None) -> int:
    """Prints the overview and returns the exit code, which is 0 without ``checking``.

    With ``checking`` it is 3 when the store cannot be read. It is 1 in four cases: guard is not in force here; it is
    not in force in a coding agent that it was put into; nothing in the store concerns this checkout; or the store or
    the project is not that of this repository. ``width`` is that of the terminal in columns, None for another output.
    """
    reply = Reply(here, as_json=as_json)
    state = installed(here.place)
    seen = _look(reply)
    diverted = diversions(here.settings, here.environment, here.entries, here.place)
    seen = seen._replace(remarks=(*seen.remarks, *(each.sentence() for each in diverted)), diverted=bool(diverted))
    agents = agent_status(site_of(here))
    reply.note(*remarks_in_force(here.place, here.entries, mode=seen.mode.value), *seen.remarks)
    reply.say(lambda: _json(here, state, seen, agents), lambda: _lines(here, state, seen, agents, width=width))
    if not checking:
        return EXIT_DONE
    if seen.trouble:
        return EXIT_UNKNOWN
    out_of_force = any(each.problem for each in agents)
    return EXIT_DONE if state.in_force and not (seen.nothing or seen.diverted or out_of_force) else EXIT_REFUSED


class _Seen(Record):
    """What was read from the store.

    ``trouble`` says why it cannot be read, ``nothing`` why nothing in it concerns this checkout; both are "" when all
    is well. ``diverted`` tells that the store or the project is not that of this repository.
    """

    me: str
    mode: Setting
    rows: tuple[Reservation, ...] = ()
    generation: int | None = None
    remarks: tuple[str, ...] = ()
    trouble: str = ""
    nothing: str = ""
    diverted: bool = False


def _look(reply: Reply) -> _Seen:
    """Reads the store, and tells the holder what has happened. An error becomes a part of the overview."""
    here = reply.here
    seen = _Seen(here.settings.holder.value, here.settings.mode)
    try:
        seen = seen._replace(me=here.me)
        if here.unused:
            unmade = "the store does not exist yet: guard install makes it, and so does the first guard reserve"
            return seen._replace(remarks=(unmade,))
        reply.tell()
        snapshot = here.store.active(here.project)
        return seen._replace(
            rows=snapshot.reservations,
            generation=snapshot.generation,
            mode=softened_mode(seen.mode, here.environment, by=here.store.kind.mode_variable),
            remarks=(*here.store.remarks(here.project), *relatives.remarks(here, here.store, ask=True)),
            nothing=here.store.why_nothing_counts(here.project),
        )
    except GuardError as error:
        return seen._replace(trouble=why_unreadable(error))


def _json(here: Here, state: Status, seen: _Seen, agents: Sequence[State]) -> Json:
    return {
        "generation": seen.generation,
        "in_force": state.in_force and not (seen.trouble or seen.nothing or seen.diverted),
        "project": here.settings.project.value,
        "holder": seen.me,
        "store": without_password(here.settings.store.value),
        "store_error": seen.trouble or None,
        "remarks": list(seen.remarks),
        "agents": [each.as_json() for each in agents],
        **state.as_json(),
        "reservations": [render.reservation_json(row, me=seen.me) for row in seen.rows],
    }


def _lines(here: Here, state: Status, seen: _Seen, agents: Sequence[State], *, width: int | None) -> list[str]:
    lines = [*_force(state), *_who(here, seen.me, seen.mode), *_store(here, seen.trouble, seen.remarks)]
    lines += lines_of_status(agents)
    lines += [] if seen.trouble else _held(seen.rows, seen.me)
    return [render.cut(line, width) for line in lines]


def _force(state: Status) -> list[str]:
    if state.in_force:
        lines = [style("in force", fg="green", bold=True) + ": " + ", ".join(state.events_in_force())]
    else:
        lines = [style("NOT IN FORCE", fg="red", bold=True)]
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
    unreadable = [style("  UNREADABLE: ", fg="red", bold=True) + safe(trouble)] if trouble else []
    return [line, *unreadable, *(f"  {safe(remark)}" for remark in remarks)]


def _held(rows: Sequence[Reservation], me: str) -> list[str]:
    now = now_ms()
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
        lines.append(
            f"  #{row.id} {pattern(row)}{kind}  {short_name(row.holder)}  {remains}  {safe(row.reason)}".rstrip()
        )
    return [*lines, "  … guard list shows all"] if len(rows) > SHOWN else lines
