"""The table of the kinds of store, and which of them is at an address.

The hook's refresh loads this module. The record of a kind imports its store only when the store is opened.
"""

from __future__ import annotations

from guard.stores.agent_mail.kind import AGENT_MAIL
from guard.stores.postgres.kind import POSTGRES
from guard.stores.sqlite_kind import SQLITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.stores.interface import Kind

KINDS: tuple[Kind, ...] = (POSTGRES, AGENT_MAIL, SQLITE)
"""The kinds in the order in which they are asked. The last one takes every address that no other
kind has recognised.
"""


def is_leased(address: str) -> bool:
    """Is the store at this address on a server, so that no file shows whether it has changed? Looks at no file."""
    return any(kind.leased and kind.recognises(address) for kind in KINDS)


def kind_of(address: str) -> Kind:
    """The kind of the store at an address; if nothing is there, the kind that would be made."""
    return next(kind for kind in KINDS if kind.recognises(address))
