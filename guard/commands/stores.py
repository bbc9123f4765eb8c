"""``guard store``: where reservations are kept; moved, saved and brought back while others work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from guard.commands.reply import Reply
from guard.commands.shared import as_json_option, example, pass_here
from guard.model import EXIT_DONE
from guard.repo import settings
from guard.words import quoted, safe, to_stderr
from guard.work.here import PATIENCE_S, Here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Reservation


@click.group()
@example("guard store show", "guard store backup ~/guard-backup.db")
def store() -> None:
    """Show, save, bring back or move the place where reservations are kept."""


@store.command()
@as_json_option
@pass_here
@example("guard store show")
def show(here: Here, as_json: bool) -> int:
    """Where reservations are kept, which setting says so, and how many there are. Works anywhere."""
    here = here.anywhere()
    reply = Reply(here, as_json=as_json)
    setting, kind = here.settings.store, here.store.kind
    found = here.store.everywhere().reservations
    projects = sorted({row.project for row in found})
    reply.say(
        lambda: {
            "generation": None,  # one number for each project: guard list --json
            "store": setting.value,
            "source": setting.source,
            "kind": kind.name,
            "writable": kind.writable,
            "reservations": len(found),
            "projects": projects,
        },
        lambda: [
            f"store         {safe(setting.value)}  (from {safe(setting.source)})",
            f"kind          {kind.title}{'' if kind.writable else ', read only'}",
            f"reservations  {len(found)} active, in {len(projects)} project{'' if len(projects) == 1 else 's'}",
        ],
    )
    return EXIT_DONE


@store.command()
@click.argument("file")
@as_json_option
@pass_here
@example("guard store backup ~/guard-backup.db")
def backup(here: Here, file: str, as_json: bool) -> int:
    """Write a copy of the store, as of one instant, to a new FILE; others go on working."""
    from guard.stores import copies

    here = here.anywhere()
    reply = Reply(here, as_json=as_json)
    copies.backup(here.store, file)
    reply.say(
        lambda: {"generation": None, "backup": os.path.abspath(file), "store": here.settings.store.value},
        lambda: [f"saved {safe(here.settings.store.value)} in {safe(os.path.abspath(file))}"],
    )
    reply.suggest(f"guard store restore {quoted(os.fsencode(os.path.abspath(file)))}", note="brings it back")
    return EXIT_DONE


@store.command()
@click.argument("file")
@as_json_option
@pass_here
@example("guard store restore ~/guard-backup.db")
def restore(here: Here, file: str, as_json: bool) -> int:
    """Put what a backup holds in the place of what the store holds. What was there is kept in a file beside it."""
    from guard.stores import copies
    from guard.union import publish as union

    here = here.anywhere()
    reply = Reply(here, as_json=as_json)
    address = here.settings.store.value  # the store itself may be damaged, and is not opened here
    patience_s = settings.patience_s(here.environment, PATIENCE_S)
    done = copies.restore(address, file, patience_s=patience_s)
    union.renew(here.store)
    _say_lost(done.lost)
    reply.say(
        lambda: {
            "generation": None,
            "restored": address,
            "from": os.path.abspath(file),
            "kept": done.kept or None,
            "active": done.active,
            "lost": [row.id for row in done.lost],
        },
        lambda: [
            f"restored {safe(address)} from {safe(os.path.abspath(file))}: {done.active} reservations are active",
            *([f"what was there is kept in {safe(done.kept)}"] if done.kept else []),
        ],
    )
    return EXIT_DONE


def _say_lost(rows: Sequence[Reservation]) -> None:
    for row in rows[:20]:
        to_stderr(f"guard: no longer reserved: #{row.id} {safe(row.pattern)} of {safe(row.holder)}")
    if len(rows) > 20:
        to_stderr(f"guard: … and {len(rows) - 20} more")


@store.command()
@click.argument("to")
@as_json_option
@pass_here
@example("guard store move /srv/team/guard.db")
def move(here: Here, to: str, as_json: bool) -> int:
    """Move everything to a new store at TO (a file that is not there yet); the old place sends everybody on."""
    from guard.stores import copies

    here = here.anywhere()
    reply = Reply(here, as_json=as_json)
    target = to if "://" in to else os.path.abspath(os.path.expanduser(to))
    before = here.settings.store
    copies.move(here.store, target, patience_s=settings.patience_s(here.environment, PATIENCE_S))
    reply.suggest(f"git config --global guard.db {quoted(os.fsencode(target))}", note=_why(before.source))
    reply.suggest("guard install", note="in each repository that noted the old place")
    reply.say(
        lambda: {"generation": None, "moved": before.value, "to": target},
        lambda: [f"moved {safe(before.value)} to {safe(target)}"],
    )
    return EXIT_DONE


def _why(source: str) -> str:
    return f"the old place came from {safe(source)}"
