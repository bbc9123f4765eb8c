"""The line for prompts and agents' status lines: ``3 mine · 5 theirs · next 12 min``.

A prompt cannot wait for Python. So ``guard status --line`` writes the line to a file in the worktree's git directory.
From then on, every command that changes reservations updates that file, and a small program in sh (``hooks/line``)
shows it.
"""

from __future__ import annotations

import os

from guard.model import GuardError
from guard.record import Record
from guard.words import clock, length, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.model import Reservation
    from guard.stores.interface import Store

NAME = b"line"


class Line(Record):
    """The contents of the line: how many reservations are the holder's and others', and when the holder's next one
    ends.

    ``next_at`` is in Unix ms, None when none of the holder's ends.
    """

    mine: int
    theirs: int
    next_at: int | None

    def text(self, *, now: int) -> str:
        """The line in words; "" when nothing is reserved. ``now`` is in Unix ms."""
        parts = [f"{self.mine} mine"] if self.mine else []
        parts += [f"{self.theirs} theirs"] if self.theirs else []
        if self.next_at is not None and self.next_at > now:
            parts.append(f"next {length(self.next_at - now)}")
        return " · ".join(parts)


def line_of(rows: Iterable[Reservation], *, me: str) -> Line:
    """The line for a holder."""
    rows = list(rows)
    mine = [row for row in rows if row.holder == me]
    ends = [row.expires_at for row in mine if row.expires_at is not None]
    return Line(len(mine), len(rows) - len(mine), min(ends, default=None))


def write(git_dir: bytes, line: Line, *, project: str, me: str, now: int) -> None:
    """Writes the line of a worktree as hooks/line reads it: the counts, the end in Unix s and as clock time, the
    project, the holder.

    ``now`` is in Unix ms.
    """
    at = line.next_at
    lines = [
        line._replace(next_at=None).text(now=now),
        "" if at is None else str(at // 1000),
        "" if at is None else clock(at, now=now),
        safe(project),
        safe(me),
    ]
    directory = os.path.join(git_dir, b"guard")
    os.makedirs(directory, exist_ok=True)
    place = os.path.join(directory, NAME)
    temporary = b"%b.%d" % (place, os.getpid())
    with open(temporary, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(temporary, place)


def renew(store: Store, *, also: bytes, now: int) -> None:
    """Updates the line in each worktree that has one and whose union is of this store, and in that of ``also``, a git
    directory.

    ``now`` is in Unix ms. A line that cannot be written stays as it was, because people only look at it.
    """
    try:
        places = {os.path.dirname(os.path.dirname(os.path.dirname(slot))) for slot in store.publications()}
    except GuardError:
        return
    places.add(also)
    rows: dict[str, tuple[Reservation, ...]] = {}
    for git_dir in places:
        try:
            with open(os.path.join(git_dir, b"guard", NAME), encoding="utf-8") as file:
                *_, project, me = file.read().splitlines()
            if project not in rows:
                rows[project] = store.active(project).reservations
            write(git_dir, line_of(rows[project], me=me), project=project, me=me, now=now)
        except (OSError, ValueError, GuardError):
            continue
