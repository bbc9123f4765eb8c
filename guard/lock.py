"""A lock on a file or a directory. Waiting for it ends after some time, because its holder may have been stopped.

The hook's refresh loads this module, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import time

from guard.system import try_lock

LOOK_S = 0.01
"""How many seconds pass between two attempts."""


class Locked:
    """Holds flock(2)'s exclusive lock in a ``with`` block.

    Entering raises :class:`TimeoutError`, an OSError, when another process has the lock for more than ``patience_s``
    seconds. ``flags`` are those of open(2) beside O_CLOEXEC and O_NOFOLLOW.
    """

    def __init__(self, path: bytes | str, *, flags: int, patience_s: float) -> None:
        self._path = path
        self._flags = flags
        self._patience_s = patience_s
        self._file = -1

    def __enter__(self) -> None:
        self._file = os.open(self._path, self._flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        until = time.monotonic() + self._patience_s
        try:
            while not try_lock(self._file):
                if time.monotonic() > until:
                    raise TimeoutError(f"{os.fsdecode(self._path)} has been locked for {self._patience_s:g} s")
                time.sleep(LOOK_S)
        except BaseException:
            os.close(self._file)
            raise

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
