"""Which reservations of a holder others have broken, and which have expired, so that the holder can be told."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Reservation
    from guard.work.here import Here


def unread(here: Here) -> tuple[Reservation, ...]:
    """The holder's reservations that others broke or that expired, and that the holder was not told of."""
    return here.store.notices(here.project, here.me)


def mark_read(here: Here, notices: Sequence[Reservation]) -> None:
    """Notes that the holder was told. Raises :class:`guard.model.GuardError` when the store cannot be written."""
    if notices:
        with here.writing() as store:
            store.told(notices)
