"""Opening the store at an address, whatever its kind."""

from __future__ import annotations

from guard.model import GuardError
from guard.stores.interface import RETENTION_MS, Opening
from guard.stores.kinds import KINDS, kind_of

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
    if "://" in address and not any(kind.recognises(address) for kind in KINDS[:-1]):
        scheme = address.partition("://")[0]
        raise GuardError(
            f"guard has no kind of store for an address that begins with {scheme[:20]}://",
            hint="guard help teams",
        )
    opening = Opening(patience_s=patience_s, create=create, retention_ms=retention_ms, place=place)
    return kind_of(address).open(address, opening)
