"""The queue of those who wait for reservations in a guard store in SQLite. Each function runs in the caller's
transaction.
"""

from __future__ import annotations

import os

from guard.patterns.overlap import overlap
from guard.stores.sqlite_file import as_bytes, as_text
from guard.stores.sqlite_rows import storable
from guard.stores.waiting_process import is_gone, namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.stores.interface import Actor, Terms, Wanted
    from guard.stores.sqlite_open import OpenFile


def join(file: OpenFile, actor: Actor, wanted: Sequence[Wanted], *, exclusive: bool, until: int) -> int:
    """Puts the actor, and this process, at the end of the queue until a time (Unix ms). Returns the ticket."""
    ticket = file.connection.execute(
        "INSERT INTO waiter (project, holder, principal, process, until, namespace) VALUES (?, ?, ?, ?, ?, ?)",
        (actor.project, actor.holder, actor.principal, os.getpid(), until, namespace()),
    ).lastrowid
    file.connection.executemany(
        "INSERT INTO waiter_pattern (ticket, pattern, exclusive) VALUES (?, ?, ?)",
        [(ticket, storable(want.pattern), exclusive) for want in wanted],
    )
    return ticket or 0


def leave(file: OpenFile, ticket: int) -> None:
    """Takes a ticket out of the queue."""
    file.connection.execute("DELETE FROM waiter WHERE ticket = ?", (ticket,))


def ahead_of(file: OpenFile, ticket: int, actor: Actor, wanted: Sequence[Wanted], terms: Terms) -> int:
    """How many holders began to wait earlier, still wait, and want some of the same paths."""
    rows = file.connection.execute(
        "SELECT DISTINCT w.ticket, w.principal, w.process, w.namespace, p.pattern, p.exclusive"
        " FROM waiter AS w JOIN waiter_pattern AS p USING (ticket)"
        " WHERE w.project = ? AND w.ticket < ? AND w.holder <> ? AND w.until > ?",
        (actor.project, ticket, actor.holder, file.now()),
    ).fetchall()
    here = actor.principal.rpartition("@")[2]
    ahead = {
        number
        for number, principal, process, where, pattern, exclusive in rows
        if (exclusive or terms.exclusive)
        and not (as_text(principal).rpartition("@")[2] == here and is_gone(process, where=as_text(where)))
        and any(overlap(want.pattern, as_bytes(pattern), fold=terms.fold) for want in wanted)
    }
    return len(ahead)
