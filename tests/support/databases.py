"""SQLite files that tests look into, or change as another program would."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def connected(path: Path | str, *, uri: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are committed at the end, and which is then closed.

    ``with sqlite3.connect(…)`` alone commits but does not close; since Python 3.13 that is a ResourceWarning.
    """
    connection = sqlite3.connect(path, uri=uri)
    try:
        with connection:
            yield connection
    finally:
        connection.close()
