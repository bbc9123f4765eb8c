"""What guard talks about: reservations, conflicts, verdicts, and the one exception.

A leaf: it imports nothing heavy, for every hook stage loads it. Times are integers, Unix milliseconds in UTC;
patterns and paths are bytes, as git's are.
"""

from __future__ import annotations

from guard.record import Record

SCHEMA = 1
"""The version every JSON answer carries as ``"schema"``."""

EXIT_DONE = 0
"""Done, or the verdict is clear."""
EXIT_REFUSED = 1
"""A conflict, a refusal, or nothing there to do what was asked on."""
EXIT_USAGE = 2
"""The command was called wrongly."""
EXIT_UNKNOWN = 3
"""No answer could be reached: the store is unreadable, or git failed."""

MINUTE_MS = 60_000
TTL_MIN_MS = MINUTE_MS
TTL_MAX_MS = 30 * 24 * 60 * MINUTE_MS


class GuardError(Exception):
    """Something stopped guard from doing what it was asked; only the edge words and prints it.

    ``what`` says what happened and to which file, ``hint`` the next command to type (may be empty),
    ``code`` is one of the ``EXIT_`` constants.
    """

    def __init__(self, what: str, *, hint: str = "", code: int = EXIT_UNKNOWN) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.code = code


class UsageError(GuardError):
    """The caller asked for something that cannot be asked: exit code 2."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what, hint=hint, code=EXIT_USAGE)


def unexpected(error: Exception) -> GuardError:
    """A mistake of guard's own, as an error that says where it happened."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" ({place.tb_frame.f_code.co_filename}:{place.tb_lineno})" if place else ""
    return GuardError(f"unexpected {type(error).__name__}: {error}{where}", hint="guard status; and please report it")


class Reservation(Record):
    """A lease on a pattern, held by a holder in a project until it expires.

    ``pattern`` is what is matched, ``typed`` what its holder wrote. ``expires_at`` is None when the store's
    row has no readable time: such a row counts as active. ``end`` is "released", "expired" or "broken" for
    one that has ended, at ``ended_at``, by ``ended_by``. ``fault`` says what could not be read in the row.
    ``end_reason`` is what somebody who broke it gave as the reason.
    """

    id: int
    project: str
    holder: str
    pattern: bytes
    typed: bytes
    exclusive: bool
    reason: str
    principal: str
    created_at: int
    expires_at: int | None
    ended_at: int | None = None
    ended_by: str | None = None
    end: str | None = None
    fault: str = ""
    end_reason: str = ""


class Overlap(Record):
    """A pattern asked for, and the reservation of somebody else that it could share a path with."""

    pattern: bytes
    reservation: Reservation


class Conflict(Record):
    """A changed path that somebody else holds. The other members are those of the :class:`Change`."""

    path: bytes
    commit: str | None
    reservation: Reservation
    at: int | None = None
    discarded: bool = False


class Verdict(Record):
    """The answer for a set of changes: clear when there are no conflicts; ``generation`` of the state judged."""

    conflicts: tuple[Conflict, ...]
    generation: int

    @property
    def clear(self) -> bool:
        return not self.conflicts


class Change(Record):
    """A changed path.

    ``commit`` is the hex oid of the pushed commit that changed it, None for the index; ``at`` is when that commit
    was made (Unix ms). ``discarded``: a forced push takes this commit away from the remote. ``submodule``: the path is
    the pointer of a submodule, before or after the change.
    """

    path: bytes
    commit: str | None = None
    at: int | None = None
    discarded: bool = False
    submodule: bool = False

    @property
    def judged_paths(self) -> tuple[bytes, ...]:
        """The paths of which one must be reserved: for a submodule its place, and one below it.

        So that ``dir/**`` covers a submodule at ``dir``, whenever it came there. No index holds a path named ``.git``.
        """
        return (self.path, self.path + b"/.git") if self.submodule else (self.path,)
