"""Backup, restore and move of a store, whatever its kind, while others go on working."""

from __future__ import annotations

import os
import time

from guard.model import EXIT_REFUSED, GuardError
from guard.record import Record
from guard.stores.choose import open_store
from guard.stores.interface import Damaged, Opening
from guard.stores.kinds import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.model import Reservation
    from guard.stores.interface import Contents, Store


class Restored(Record):
    """What a restore did.

    ``kept``: the file in which what was there before is kept; "" when nothing was there. ``active``: how many
    reservations are active now. ``lost``: those that were active before and no longer are.
    """

    kept: str
    active: int
    lost: tuple[Reservation, ...]


def backup(store: Store, to: str) -> None:
    """Writes a copy of the store, as of one instant, to a new file. Raises :class:`GuardError`."""
    store.backup(os.path.abspath(to))


def _contents_of(source: str, patience_s: float) -> Contents:
    """The contents of a backup. Raises :class:`GuardError`."""
    copy = open_store(_guard_store(os.path.abspath(source)), patience_s=patience_s)
    try:
        return copy.contents()
    finally:
        copy.close()


def restore(address: str, source: str, *, patience_s: float) -> Restored:
    """Replaces the contents of a store by those of a backup, a file that :func:`backup` wrote.

    What was there is kept in a file beside the store. Of a sound store, that is a copy, and the store's own file stays,
    so that nobody who has it open goes on writing to another one. A damaged file itself gets another name. Raises
    :class:`GuardError`.
    """
    contents = _contents_of(source, patience_s)
    kept = f"{address}.before-restore-{time.strftime('%Y%m%d-%H%M%S')}"
    store, before = _opened_or_moved_aside(address, kept, patience_s)
    try:
        store.take_in(contents)
        now = store.everywhere().reservations
    finally:
        store.close()
    there = {row.id for row in now}
    lost = tuple(row for row in before if row.id not in there)
    return Restored(kept if os.path.lexists(kept) else "", len(now), lost)


def restore_into(store: Store, source: str, *, kept: str, patience_s: float) -> Restored:
    """As :func:`restore`, for a store on a server. What was there is saved in a file beside ``kept``."""
    contents = _contents_of(source, patience_s)
    kept = f"{kept}.before-restore-{time.strftime('%Y%m%d-%H%M%S')}"
    os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
    store.backup(kept)
    before = store.everywhere().reservations
    store.take_in(contents)
    now = store.everywhere().reservations
    there = {row.id for row in now}
    return Restored(kept, len(now), tuple(row for row in before if row.id not in there))


def make(address: str, *, secret: str, roles: tuple[str, ...], patience_s: float) -> tuple[int, int]:
    """Makes or upgrades the tables of a store, see :attr:`guard.stores.interface.Kind.make`. Raises
    :class:`GuardError`.
    """
    kind = kind_of(address)
    if kind.make is None:
        raise GuardError(
            f"{address} needs no tables made: a store in a file is made when something is first reserved in it",
            hint="guard store init postgresql://USER@HOST/DATABASE",
            code=EXIT_REFUSED,
        )
    return kind.make(address, Opening(patience_s=patience_s, secret=secret, trusted=True), roles)


def move(store: Store, to: str, *, patience_s: float, secret: str = "") -> None:
    """Moves everything to a new store at an address, and leaves a mark at the old one.

    Nobody can write to the old store meanwhile. Whoever opens it afterwards gets the new address. ``to`` is the path of
    a file that does not exist, or the address of a server whose tables for guard are empty. Raises :class:`GuardError`
    when something is there already; then nothing has changed.
    """
    is_file = os.path.isabs(to)
    if is_file and os.path.lexists(to):
        raise GuardError(f"{to} exists; nothing was moved", hint="name a file that does not exist yet")
    made = open_store(to, patience_s=patience_s, create=True, secret=secret, trusted=True)
    moved = False
    try:
        if not is_file:
            _refuse_unless_empty(made)
        store.move_out(made.address, lambda contents: made.take_in(contents, formerly=store.address))
        moved = True
    finally:
        made.close()
        if not moved and is_file:
            os.unlink(to)


def _refuse_unless_empty(store: Store) -> None:
    about = store.describe()
    if about.active or about.ended or about.log:
        raise GuardError(
            f"{store.address} holds {about.active} active reservations and {about.log} log entries; nothing was moved",
            hint="name a database whose tables are empty (guard store init ADDRESS makes them)",
        )


def _guard_store(source: str) -> str:
    if kind_of(source).name != "sqlite" or not os.path.lexists(source):
        raise GuardError(
            f"{source} is no backup of a guard store" if os.path.lexists(source) else f"{source} does not exist",
            hint="guard store backup FILE writes one",
        )
    return source


def _opened_or_moved_aside(address: str, kept: str, patience_s: float) -> tuple[Store, tuple[Reservation, ...]]:
    """The store at an address, and its active reservations. A new store if there is none, or if it is damaged."""
    if not os.path.lexists(address) and os.path.isabs(address):
        return open_store(address, patience_s=patience_s, create=True), ()
    try:
        store = open_store(address, patience_s=patience_s)
        store.backup(kept)
        return store, store.everywhere().reservations
    except Damaged:
        for suffix in ("-journal", "-wal", "-shm", ""):  # a journal left behind would be played back into the new file
            if os.path.lexists(address + suffix):
                os.rename(address + suffix, kept + suffix)
    return open_store(address, patience_s=patience_s, create=True), ()
