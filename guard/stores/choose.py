"""Opening the store at an address, whatever its kind."""

from __future__ import annotations

from guard.stores.interface import RETENTION_MS, Opening
from guard.stores.kinds import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.repo.place import Place
    from guard.stores.interface import Store


def open_store(
    address: str,
    *,
    patience_s: float,
    create: bool = True,
    retention_ms: int = RETENTION_MS,
    place: Place | None = None,
) -> Store:
    """The store at an address, of the kind that is there. The arguments are those of :class:`Opening`.

    Nothing of this process may be open on a store's file yet. Raises :class:`guard.model.GuardError`.
    """
    opening = Opening(patience_s=patience_s, create=create, retention_ms=retention_ms, place=place)
    return kind_of(address).open(address, opening)
