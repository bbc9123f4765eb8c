"""Where the store is kept when nobody says otherwise, and the note from which a hook knows it.

platformdirs names the place; its import takes twice as long as a Python start, so ``guard install`` notes the answer
together with the directories it depends on.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NOTE = b"default-store"
_DEPENDS_ON = (b"HOME", b"XDG_DATA_HOME")


def store_path() -> str:
    """The default path of the store: one file in the platform's directory for the account's data."""
    from platformdirs import user_data_dir

    return os.path.join(user_data_dir("guard", appauthor=False), "guard.db")


def note(environment: Mapping[bytes, bytes]) -> bytes:
    """What to write into the note: the default path, then the variables it was computed from."""
    lines = [os.fsencode(store_path()), *(environment.get(variable, b"") for variable in _DEPENDS_ON)]
    return b"".join(line + b"\n" for line in lines)


def noted_store(own_dir: bytes, environment: Mapping[bytes, bytes]) -> str:
    """The default path as noted in a repository; "" when there is no note, or it was made for other directories."""
    try:
        with open(os.path.join(own_dir, NOTE), "rb") as file:
            path, *depends = file.read().split(b"\n")[:-1]
    except (OSError, ValueError):
        return ""
    if not path or depends != [environment.get(variable, b"") for variable in _DEPENDS_ON]:
        return ""
    return os.fsdecode(path)
