"""The union: every pattern that could refuse a holder's change, published where a hook finds it without a process.

The union need only never miss what the full verdict would refuse: expired patterns stay until a writer drops them.
Whatever goes wrong here makes a union that is not fresh, never a wrong one. What is on the disk is said in
:mod:`guard.union.publication`, how many patterns are kept up to date in :mod:`guard.union.contents`.
"""

from __future__ import annotations

import os
import time

from guard.union import slot as slots
from guard.union.contents import made_anew
from guard.union.publication import files_hold, make_current, write_publication
from guard.union.published import (
    BY_PYTHON,
    EXACT,
    FOLDED,
    Current,
    Identity,
    Published,
    load,
    was_made_here,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.stores.freshness import Stamp
    from guard.stores.interface import Source
    from guard.union.contents import Contents
    from guard.union.lease import Lease


def publish(
    slot: bytes,
    *,
    key: bytes | None,
    identity: Identity,
    source: Source | None,
    settings: Iterable[Stamp],
    contents: Contents | None = None,
    asked_ns: int | None = None,
) -> Published:
    """Publishes a union, or that there is nothing to match; ``source`` is None when guard is switched off.

    ``contents`` are what :func:`guard.union.contents.ask` made of the source; else the source has all patterns.
    ``asked_ns``: where the store is a server, the boot's clock before it was asked. Where a union cannot be published,
    answers that Python has to judge.
    """
    try:
        slots.make(slot)
        if source is not None and source.lease_ms is not None:
            from guard.union import leased

            return leased.publish(slot, key, identity, source, list(settings), asked_ns)
        with slots.locked(slot):
            return publish_locked(slot, key, identity, source, list(settings), contents=contents)
    except (OSError, ValueError):  # a read-only or full disk, a name too long: slower, and right
        wanted = contents or made_anew(source, identity, None)
        return Published(BY_PYTHON if wanted.has_patterns else wanted.state, b"-")


def publish_locked(
    slot: bytes,
    key: bytes | None,
    identity: Identity,
    source: Source | None,
    settings: list[Stamp],
    *,
    contents: Contents | None = None,
    lease: Lease | None = None,
) -> Published:
    """As :func:`publish`, while the slot's lock is held. Raises :class:`OSError` and :class:`ValueError`.

    What is published already serves once more if it says just this.
    """
    before = load(slot)
    wanted = contents or made_anew(source, identity, before)
    due = _due(source)
    same = before is not None and _says_the_same(before, key, identity, source, wanted, settings, due)
    if before is not None and same and files_hold(slot, before) and _same_rows(slot, before, source, lease):
        if lease is not None and source is not None:
            state = source.state
            make_current(slot, before._replace(lease=lease, generation=source.generation, store_state=state))
        return before.published
    published = Published(wanted.state, os.urandom(8).hex().encode())
    try:
        current = write_publication(slot, published, key or b"", identity, source, wanted, settings, due, lease)
        if key is not None:
            make_current(slot, current)
    except (OSError, ValueError):
        slots.discard(slot, published.name)  # else each hook would leave one more on a disk that is full
        raise
    if key is not None:
        slots.withdraw(slot, before)
    slots.sweep(slot, keep=published.name)
    return published


def _due(source: Source | None) -> int | None:
    """When the first of the holder's own reservations runs out (Unix ms); None if none does.

    None, too, if it has run out already: a store that can only be read goes on listing it, and the holder was told.
    """
    due = source.mine_until if source and source.lease_ms is None else None  # a server tells by its own clock
    return due if due is not None and due > time.time_ns() // 1_000_000 else None


def _says_the_same(
    before: Current,
    key: bytes | None,
    identity: Identity,
    source: Source | None,
    wanted: Contents,
    settings: list[Stamp],
    due: int | None,
) -> bool:
    """Does the publication already say exactly this? Then it is used once more."""
    if (before.key, before.identity, before.published.state) != (key, identity, wanted.state):
        return False
    if before.due != due or (before.lease is None) != (source is None or source.lease_ms is None):
        return False
    stamps = [*(source.stamps if source else ())]
    published = list(before.files)
    if before.published.state in (EXACT, FOLDED):
        del published[len(stamps)]
    return was_made_here(before) and published == [*stamps, *settings] and before.patterns == wanted.checksum


def _same_rows(slot: bytes, before: Current, source: Source | None, lease: Lease | None) -> bool:
    """Are the reservations behind the patterns the same? They are kept only where the store is a server."""
    if lease is None or source is None:
        return True
    from guard.union import known

    return known.holds(slot, before, source.rows)
