"""The record of a PostgreSQL database as a kind of store, and how it is opened. It imports nothing beyond the
interface.
"""

from __future__ import annotations

from guard.model import GuardError
from guard.repo.known_settings import POSTGRES_SCHEMES
from guard.stores.interface import Kind, Opening, Store
from guard.words import quoted


def _recognises(address: str) -> bool:
    return address.startswith(POSTGRES_SCHEMES)


def _open(address: str, opening: Opening) -> Store:
    """The store; it connects when it is first asked. Raises :class:`GuardError` for an address that is not allowed."""
    from guard.repo import allowed, standpoint

    if not opening.trusted and not allowed.is_allowed(address, standpoint.environment()):
        from guard.repo.secrets import bare_of_password

        shown = bare_of_password(address)
        raise GuardError(
            f"the store {shown} is named by the repository alone, and guard does not connect to it unless you allow it",
            hint=f"if you know that server: guard store allow {quoted(shown.encode())}",
        )
    from guard.stores.postgres.store import PostgresStore

    return PostgresStore(address, opening)


def _make(address: str, opening: Opening, roles: tuple[str, ...]) -> tuple[int, int]:
    from guard.stores.postgres.connection import Connection
    from guard.stores.postgres.versions import init

    connection = Connection(opening.secret or address, patience_s=opening.patience_s)
    try:
        return init(connection, grant=roles)
    finally:
        connection.close()


POSTGRES = Kind(name="postgresql", title="PostgreSQL", recognises=_recognises, open=_open, leased=True, make=_make)
