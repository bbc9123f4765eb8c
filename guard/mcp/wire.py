"""Standard input and output belong to the protocol alone.

Before anything else is imported, both move to other descriptors. What a library or a child prints to descriptor 1 goes
to standard error from then on, and who reads descriptor 0 finds nothing.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from guard.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable


class Wire(Record):
    """The two ends of the protocol, as descriptors.

    ``gone`` is called, and does not come back, when nobody reads the answers any more.
    """

    received: int
    sent: int
    gone: Callable[[], NoReturn]


def claim(gone: Callable[[], NoReturn]) -> Wire:
    """Moves the protocol away from descriptors 0 and 1, for this process and for those that it starts."""
    received, sent = _duplicate(0), _duplicate(1)
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return Wire(received, sent, gone)


def _duplicate(file: int) -> int:
    """A copy of a descriptor, above the standard ones, that no child inherits."""
    import fcntl

    return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 3)
