"""Standard input and output belong to the protocol alone.

Before anything else is imported, both move to other descriptors. What a library or a child prints to descriptor 1 goes
to standard error from then on, and who reads descriptor 0 finds nothing.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from guard.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable


class Wire(Record):
    """The two ends of the protocol, as text in UTF-8."""

    received: io.TextIOWrapper
    sent: io.TextIOWrapper


class _Sent(io.FileIO):
    """Where answers go. ``gone`` is called, and does not come back, when nobody reads them any more."""

    def __init__(self, file: int, gone: Callable[[], object]) -> None:
        super().__init__(file, "wb")
        self._gone = gone

    def write(self, data: object, /) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]  # any buffer, as FileIO's own
        except OSError:  # the reader has left, or its disk is full: then no answer arrives any more
            self._gone()
            raise


def claim(gone: Callable[[], object]) -> Wire:
    """Moves the protocol away from descriptors 0 and 1, for this process and for those that it starts."""
    received, sent = _duplicate(0), _duplicate(1)
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    reader = io.BufferedReader(io.FileIO(received, "rb"))
    writer = io.BufferedWriter(_Sent(sent, gone))
    return Wire(
        io.TextIOWrapper(reader, encoding="utf-8", errors="replace", newline="\n"),
        io.TextIOWrapper(writer, encoding="utf-8", newline="\n"),
    )


def _duplicate(file: int) -> int:
    """A copy of a descriptor, above the standard ones, that no child inherits."""
    import fcntl

    return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 3)
