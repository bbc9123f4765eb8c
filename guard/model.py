"""The things that guard works with: reservations, changes, conflicts, verdicts, and its one exception.

Every stage of a hook loads this module, so it imports nothing heavy. Times are integers: milliseconds since 1970 in UTC
(Unix ms). Patterns and paths are bytes, as git's are.
"""

from __future__ import annotations

from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = 1
"""The version that every JSON answer has as its member ``"schema"``."""

EXIT_DONE = 0
"""Done, or the verdict is clear."""
EXIT_REFUSED = 1
"""A conflict; a refusal; or there is nothing to do it on."""
EXIT_USAGE = 2
"""The command was called in a wrong way."""
EXIT_UNKNOWN = 3
"""No answer could be reached: for instance, the store cannot be read, or git failed."""

MINUTE_MS = 60_000
TTL_MIN_MS = MINUTE_MS
TTL_MAX_MS = 30 * 24 * 60 * MINUTE_MS
"""The shortest and the longest lease, in ms."""


class GuardError(Exception):
    """Something kept guard from doing what was asked. Only the outermost functions catch and print it.

    ``what`` says what happened, and to which file. ``hint`` is the next command to type, "" when there is none.
    ``code`` is the exit code, one of the ``EXIT_`` constants.
    """

    def __init__(self, what: str, *, hint: str = "", code: int = EXIT_UNKNOWN) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.code = code


class UsageError(GuardError):
    """The caller asked for something that is not possible: exit code 2."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what, hint=hint, code=EXIT_USAGE)


def unexpected(error: Exception) -> GuardError:
    """An exception that guard did not foresee, as an error that says where in guard's source it happened."""
    place = place_of(error)
    where = f" ({place})" if place else ""
    return GuardError(f"unexpected {type(error).__name__}: {error}{where}", hint="guard status; and please report it")


def place_of(error: Exception) -> str:
    """Where an exception was raised, as "FILE:LINE"; "" if it was not raised yet."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""


class Reservation(Record):
    """A lease on a pattern, held by a holder in a project until it expires. Times are in Unix ms.

    ``pattern`` is what is matched, ``typed`` what its holder wrote. ``exclusive`` is False for a shared reservation.
    ``principal`` is the account and host that made it, "user@host". ``expires_at`` is None when the store's row has no
    readable time; such a row counts as active. ``fault`` says what could not be read in the row, "" when all could be.

    One that has ended has ``ended_at``, ``ended_by`` (a holder), and ``end``: "released", "expired" or "broken".
    ``end_reason`` is the reason that was given by whoever broke it.
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
    """A pattern that somebody wants to reserve, and somebody else's reservation that could cover the same path."""

    pattern: bytes
    reservation: Reservation


class Conflict(Record):
    """A changed path that somebody else holds. ``commit``, ``at`` and ``discarded`` are as in :class:`Change`."""

    path: bytes
    commit: str | None
    reservation: Reservation
    at: int | None = None
    discarded: bool = False


class Verdict(Record):
    """The answer for a set of changes. ``generation`` is the number of the project's state by which it was judged."""

    conflicts: tuple[Conflict, ...]
    generation: int

    @property
    def clear(self) -> bool:
        """Are there no conflicts?"""
        return not self.conflicts


class Change(Record):
    """A changed path.

    ``commit`` is the hex oid of the pushed commit that changed it, None for a change in the index. ``at`` is when that
    commit was made (Unix ms). ``discarded`` tells that a forced push takes this commit away from the remote.
    ``submodule`` tells that the path is the pointer of a submodule, before the change or after it.
    """

    path: bytes
    commit: str | None = None
    at: int | None = None
    discarded: bool = False
    submodule: bool = False

    @property
    def judged_paths(self) -> tuple[bytes, ...]:
        """The paths to compare with patterns; the change is held when a pattern covers one of them.

        For a submodule at ``dir`` they are ``dir`` and ``dir/.git``, so that the pattern ``dir/**`` covers it. No index
        has a path named ``.git``, so the second one stands for nothing else.
        """
        return (self.path, self.path + b"/.git") if self.submodule else (self.path,)


def reservations_in(conflicts: Iterable[Conflict]) -> list[Reservation]:
    """The reservations that the conflicts name, each once, in the order in which they come."""
    return list({conflict.reservation.id: conflict.reservation for conflict in conflicts}.values())
