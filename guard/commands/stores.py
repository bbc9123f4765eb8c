"""``guard store``: where reservations are kept; moved, saved and brought back while others work."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from guard.commands import render
from guard.commands.reply import Reply
from guard.commands.shared import as_json_option, example, pass_here
from guard.model import EXIT_DONE, UsageError
from guard.repo import allowed, settings
from guard.repo.defaults import store_path
from guard.stores.kinds import is_leased
from guard.words import quoted, safe, short_name, to_stderr
from guard.work import shapes
from guard.work.here import PATIENCE_S, Here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Reservation
    from guard.stores.interface import Store


@click.group()
@example("guard store show", "guard store backup ~/guard-backup.db")
def store() -> None:
    """Show, make, save, bring back or move the place where reservations are kept."""


@store.command()
@as_json_option
@pass_here
@example("guard store show")
def show(here: Here, as_json: bool) -> int:
    """Where reservations are kept, which setting says so, and how many there are. Works anywhere.

    Of a server also its time, and how long it takes to ask it something.
    """
    here = here.anywhere()
    reply = Reply(here, as_json=as_json)
    setting, kind = here.settings.store, here.store.kind
    found = here.store.everywhere().reservations
    about = here.store.describe()
    round_trip_ms = _round_trip_ms(here.store) if kind.leased else None
    projects = sorted({row.project for row in found})
    answers = "" if round_trip_ms is None else f"; it answers in {round_trip_ms:g} ms"
    time_line = f"server        its time is {render.iso(here.store.now())}{answers}"
    reply.say(
        lambda: shapes.store_json(
            setting,
            kind,
            about,
            now=here.store.now(),
            round_trip_ms=round_trip_ms,
            rows=found,
            projects=projects,
        ),
        lambda: [
            f"store         {safe(setting.value)}  (from {safe(setting.source)})",
            f"kind          {kind.title}{'' if kind.writable else ', read only'}",
            f"version       written by {about.written_by}, usable since {about.readable_since}{_size(about.size)}",
            f"reservations  {len(found)} active, in {len(projects)} project{'' if len(projects) == 1 else 's'}",
            *([time_line] if kind.leased else []),
        ],
    )
    return EXIT_DONE


def _round_trip_ms(store: Store) -> float:
    """How long one question takes, on a connection that is open: the fastest of three."""
    times = []
    for _ in range(3):
        before = time.perf_counter()
        store.version()
        times.append(time.perf_counter() - before)
    return round(min(times) * 1000, 1)


def _size(size: int | None) -> str:
    if size is None:
        return ""
    return f", {size / 1024:.0f} KiB" if size < 1024 * 1024 else f", {size / 1024 / 1024:.0f} MiB"


@store.command()
@click.argument("address", required=False)
@click.option("--grant", multiple=True, metavar="ROLE", help="A database role that gets the rights that guard needs.")
@as_json_option
@pass_here
@example("guard store init", "guard store init --grant guard_users")
def init(here: Here, address: str | None, grant: tuple[str, ...], as_json: bool) -> int:
    """Make the tables of a PostgreSQL store, or bring older ones up to date; ADDRESS is the store that is set.

    This takes the right to make a schema in that database. Nobody who only reserves and commits needs it.
    """
    from guard.stores import copies

    here = here.anywhere()
    reply = Reply(here, as_json=as_json)
    setting = settings.typed_store(address) if address else here.settings.store
    patience_s = settings.patience_s(here.environment, PATIENCE_S)
    before, now = copies.make(setting.value, secret=setting.secret, roles=grant, patience_s=patience_s)
    if setting.is_own:
        allowed.allow(setting.value, here.environment)
    done = "made the tables in" if not before else "brought up to date" if before < now else "is up to date:"
    reply.say(
        lambda: {"store": setting.value, "before": before, "version": now, "granted": list(grant)},
        lambda: [
            f"{done} {safe(setting.value)}  (version {now})",
            *(f"gave {safe(role)} the rights that guard needs" for role in grant),
        ],
    )
    if address and not is_leased(here.settings.store.value):
        reply.suggest(f"git config --global guard.db {quoted(os.fsencode(setting.value))}", note="uses it")
    return EXIT_DONE


@store.command()
@click.argument("address")
@as_json_option
@pass_here
@example("guard store allow postgresql://guard@db.example.com/guard")
def allow(here: Here, address: str, as_json: bool) -> int:
    """Allow a repository's own configuration to name this PostgreSQL store.

    Hooks connect to a store with your credentials. So an address that is set in a repository alone counts only when you
    have allowed it. What you set for your account (git config --global, GUARD_DB) needs no such permission.
    """
    here = here.anywhere()
    reply = Reply(here, as_json=as_json)
    setting = settings.typed_store(address)
    new = allowed.allow(setting.value, here.environment)
    reply.say(
        lambda: {"allowed": setting.value, "new": new},
        lambda: [f"{'allowed' if new else 'was allowed already:'} {safe(setting.value)}"],
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
        lambda: {"backup": os.path.abspath(file), "store": here.settings.store.value},
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
    from guard.union.renewal import renew

    here = here.anywhere()
    reply = Reply(here, as_json=as_json)
    setting = here.settings.store
    address = setting.value  # the store itself may be damaged, and is not opened here
    patience_s = settings.patience_s(here.environment, PATIENCE_S)
    if is_leased(address):
        kept = os.path.join(os.path.dirname(store_path(here.environment)), "guard.db")
        done = copies.restore_into(here.store, file, kept=kept, patience_s=patience_s)
    else:
        done = copies.restore(address, file, patience_s=patience_s)
    renew(here.store)
    _say_lost(done.lost)
    reply.say(
        lambda: shapes.restored_json(done, address, os.path.abspath(file)),
        lambda: [
            f"restored {safe(address)} from {safe(os.path.abspath(file))}: {done.active} reservations are active",
            *([f"what was there is kept in {safe(done.kept)}"] if done.kept else []),
        ],
    )
    return EXIT_DONE


def _say_lost(rows: Sequence[Reservation]) -> None:
    for row in rows[:20]:
        to_stderr(f"guard: no longer reserved: #{row.id} {safe(row.pattern)} of {short_name(row.holder)}")
    if len(rows) > 20:
        to_stderr(f"guard: … and {len(rows) - 20} more")


@store.command()
@click.argument("to")
@as_json_option
@pass_here
@example("guard store move /srv/team/guard.db")
def move(here: Here, to: str, as_json: bool) -> int:
    """Move everything to a new store at TO; the old place sends everybody on.

    TO is a file that is not there yet, or a postgresql:// address whose tables are empty (guard store init TO).
    """
    from guard.stores import copies

    here = here.anywhere()
    reply = Reply(here, as_json=as_json)
    path = os.path.abspath(os.path.expanduser(to))
    if path.encode("utf-8", "replace") != os.fsencode(path):
        raise UsageError(
            f"the name {path} is not UTF-8, and no setting can name such a store", hint="guard store move --help"
        )
    target = settings.typed_store(to) if "://" in to else settings.Setting(path, settings.TYPED)
    before = here.settings.store
    patience_s = settings.patience_s(here.environment, PATIENCE_S)
    copies.move(here.store, target.value, secret=target.secret, patience_s=patience_s)
    if is_leased(target.value):
        allowed.allow(target.value, here.environment)  # so that the old place may send this account there
    reply.suggest(f"git config --global guard.db {quoted(os.fsencode(target.value))}", note=_why(before.source))
    reply.suggest("guard install", note="in each repository that noted the old place")
    if is_leased(target.value):
        reply.suggest(f"guard store allow {quoted(os.fsencode(target.value))}", note="for every other account")
    reply.say(
        lambda: {"moved": before.value, "to": target.value},
        lambda: [f"moved {safe(before.value)} to {safe(target.value)}"],
    )
    return EXIT_DONE


def _why(source: str) -> str:
    return f"the old place came from {safe(source)}"
