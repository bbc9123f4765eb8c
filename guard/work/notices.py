"""What a holder has to be told: which of their reservations others broke, and which expired."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Reservation
    from guard.work.here import Here


def unread(here: Here) -> tuple[Reservation, ...]:
    """The holder's reservations that ended without them, and of which they were not told."""
    return here.store.notices(here.project, here.me)


def mark_read(here: Here, notices: Sequence[Reservation]) -> None:
    """Remembers that they were told. Raises :class:`guard.model.GuardError` when the store cannot be written."""
    if notices:
        with here.writing() as store:
            store.told(notices)
