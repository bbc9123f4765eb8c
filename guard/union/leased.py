"""Publishes the answer of a server, which may be used until a deadline (:mod:`guard.union.lease` has the rules)."""

from __future__ import annotations

import os

from guard.stores import freshness
from guard.union import lease as leases
from guard.union import slot as slots
from guard.union.lease import Lease
from guard.union.publication import files_hold, make_current
from guard.union.publish import publish_locked
from guard.union.published import BY_PYTHON, Current, Identity, Published, lease_holds, load, was_made_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.stores.freshness import Stamp
    from guard.stores.interface import Source


def publish(
    slot: bytes,
    key: bytes | None,
    identity: Identity,
    source: Source,
    settings: list[Stamp],
    asked_ns: int | None,
) -> Published:
    """As :func:`guard.union.publish.publish`, for the answer to a question that was asked after ``asked_ns``.

    Answers that Python has to judge where no clock tells when the lease ends, where it has ended meanwhile, and where
    a later answer to something else is published. Raises :class:`OSError` and :class:`ValueError`.
    """
    lease = lease_of(source, asked_ns)
    if lease is None:
        return Published(BY_PYTHON, b"-")
    with slots.locked(slot):
        published = publish_locked_for(slot, key, identity, source, settings, lease)
    return _unless_late(slot, published)


def lease_of(source: Source, asked_ns: int | None) -> Lease | None:
    """The lease on an answer; None if no clock can measure it."""
    boot = freshness.boot()
    if source.lease_ms is None or asked_ns is None or not boot:
        return None
    return Lease(boot, asked_ns, source.lease_ms)


def publish_locked_for(
    slot: bytes, key: bytes | None, identity: Identity, source: Source, settings: list[Stamp], lease: Lease
) -> Published:
    """Publishes an answer while the slot's lock is held, unless what is published was asked for later."""
    before = load(slot)
    if not _may_replace(slot, lease, before):
        newer = before is not None and (before.key, before.identity) == (key, identity)
        return before.published if before is not None and newer else Published(BY_PYTHON, b"-")
    source = source._replace(stamps=())  # no file tells what a server knows
    return publish_locked(slot, key, identity, source, settings, lease=lease)


def prolong(slot: bytes, current: Current, asked_ns: int) -> Published:
    """Gives what is published a new deadline: the server said, after ``asked_ns``, that nothing has changed.

    Where somebody has published another union meanwhile, answers that Python has to judge.
    """
    lease = current.lease and current.lease._replace(boot=freshness.boot(), asked_ns=asked_ns)
    try:
        with slots.locked(slot):
            before = load(slot)
            if before is None or lease is None or before.published != current.published or not files_hold(slot, before):
                return Published(BY_PYTHON, b"-")
            if _may_replace(slot, lease, before) and was_made_here(before):
                make_current(slot, before._replace(lease=lease))
        return _unless_late(slot, before.published)
    except (OSError, ValueError):
        return Published(BY_PYTHON, b"-")


def _unless_late(slot: bytes, published: Published) -> Published:
    """What was published; or, if this process was stopped until the lease had run out, that Python asks once more."""
    current = load(slot)
    fine = current is not None and current.published == published and lease_holds(current)
    return published if fine else Published(BY_PYTHON, b"-")


def end(slot: bytes, asked_ns: int | None) -> None:
    """Ends the lease on what is published, and on every answer to an earlier question that is not published yet.

    Raises :class:`OSError`. If the lock's owner was stopped, goes on without the lock: should that process go on later,
    what it publishes is used until its own deadline.
    """
    try:
        with slots.locked(slot):
            _write_asked(slot, asked_ns or 0)
    except TimeoutError:
        _write_asked(slot, asked_ns or 0)


def _write_asked(slot: bytes, asked_ns: int) -> None:
    temporary = os.path.join(slot, b"asked." + os.urandom(8).hex().encode())
    slots.write(temporary, b"%b\n%d\n" % (freshness.boot(), asked_ns))
    os.replace(temporary, os.path.join(slot, b"asked"))
    try:
        os.unlink(os.path.join(slot, b"current"))
    except FileNotFoundError:
        pass  # nothing was published


def _may_replace(slot: bytes, lease: Lease, before: Current | None) -> bool:
    """Was this answer asked for after the one that is published, and after the last writer that could not renew it?"""
    try:
        with open(os.path.join(slot, b"asked"), "rb") as file:
            boot, asked, _ = file.read().split(b"\n")
        if not leases.replaces(lease, leases.Lease(boot, int(asked), 0)):
            return False
    except FileNotFoundError:
        pass  # every writer has renewed it
    return before is None or before.lease is None or leases.replaces(lease, before.lease)
