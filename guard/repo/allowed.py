"""Which PostgreSQL stores may a repository's own configuration name?

A hook connects to a store with this account's credentials, and somebody else may have written a repository's
configuration. So an address that only a repository names counts when this account has allowed it once:
``guard store allow ADDRESS``.
"""

from __future__ import annotations

import os

from guard.model import EXIT_REFUSED, GuardError
from guard.repo.defaults import store_path
from guard.repo.secrets import bare_of_password
from guard.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "allowed-stores"


def path_of(environment: Mapping[bytes, bytes]) -> str:
    """The path of the file that lists the allowed addresses, one in each line; it is in the account's own directory."""
    return os.path.join(os.path.dirname(store_path(environment)), _NAME)


def is_allowed(address: str, environment: Mapping[bytes, bytes]) -> bool:
    """Has this account allowed this address? A password in it makes no difference."""
    return bare_of_password(address) in _read(path_of(environment))


def allow(address: str, environment: Mapping[bytes, bytes]) -> bool:
    """Allows an address; False when it was allowed before. Raises :class:`GuardError` when that cannot be noted."""
    path = path_of(environment)
    known = _read(path)
    wanted = bare_of_password(address)
    if wanted in known:
        return False
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(file, "wb") as writer:
            writer.write(b"".join(os.fsencode(line) + b"\n" for line in [*known, wanted]))
        os.replace(temporary, path)
    except OSError as error:
        raise GuardError(
            f"the allowed address cannot be noted in {path}: {error.strerror}",
            hint=f"ls -ld {quoted(os.fsencode(os.path.dirname(path)))}",
            code=EXIT_REFUSED,
        ) from error
    return True


def _read(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            return [os.fsdecode(line) for line in file.read().split(b"\n") if line]
    except OSError:
        return []  # without a file that can be read, nothing is allowed
