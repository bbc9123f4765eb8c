"""One call at a time: the store's locks belong to the whole process, and a call can be told to stop.

SQLite locks its file for a process (fcntl(2)), and closing any descriptor of that file drops every lock that the
process has on it. So no call may open the store while another one is inside a transaction. A call that waits for its
turn to reserve is in no transaction, and lets others go ahead while it sleeps.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from guard.model import EXIT_REFUSED, GuardError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

REPORT_S = 5.0
"""How often a call that waits says so, in seconds."""

FAREWELL_S = 5.0
"""How long the end of the process waits for calls that are being stopped, in seconds."""

_one_at_a_time = threading.Lock()
_open: set[Turn] = set()


class Stopped(GuardError):
    """Nobody waits for the answer any more: the call was cancelled, or the client has gone."""

    def __init__(self) -> None:
        super().__init__("the call was cancelled", code=EXIT_REFUSED)


class Turn:
    """A call's turn: ``with turn:`` nobody else of this process works. ``report`` is told seconds and words."""

    def __init__(self, report: Callable[[float, str], None]) -> None:
        self._report = report
        self._stopped = threading.Event()
        self._ended = threading.Event()
        self._began = time.monotonic()
        self._reported = 0.0
        self.waits_for = ""
        """What it waits for, in words."""

    def __enter__(self) -> None:
        _open.add(self)
        _one_at_a_time.acquire()
        if self.stopped:
            self.__exit__(None, None, None)
            raise Stopped

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _one_at_a_time.release()
        self.end()

    @property
    def stopped(self) -> bool:
        """Was the call told to stop?"""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Tells the call to stop at the next chance; called from another thread."""
        self._stopped.set()

    def end(self) -> None:
        """Notes that nothing of it is left to do."""
        _open.discard(self)
        self._ended.set()

    def has_ended_within(self, seconds: float) -> bool:
        """Waits for its end; called from another thread."""
        return self._ended.wait(seconds)

    def wait_for(self, words: str) -> None:
        """Notes what the call waits for, to be reported at once."""
        self.waits_for = words
        self._reported = 0.0

    def sleep(self, seconds: float) -> None:
        """Sleeps while others of this process work. Raises :class:`Stopped` when nobody waits for the answer."""
        _one_at_a_time.release()
        try:
            now = time.monotonic()
            if not self.stopped and (not self._reported or now >= self._reported + REPORT_S):
                self._reported = now
                self._report(now - self._began, self.waits_for)
            self._stopped.wait(seconds)
        finally:
            _one_at_a_time.acquire()
        if self.stopped:
            raise Stopped


class IfFree:
    """``with`` it, nobody else of this process works, if nobody did before: then it is True, else False.

    For what ends without waiting for anything.
    """

    def __enter__(self) -> bool:
        self._is_mine = _one_at_a_time.acquire(blocking=False)
        return self._is_mine

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_mine:
            _one_at_a_time.release()


def stop_all() -> bool:
    """Stops every call, and waits until they have given up what they had, FAREWELL_S at most.

    Returns whether they all have: a call that asks a server which gives no answer has not.
    """
    until = time.monotonic() + FAREWELL_S
    for turn in [*_open]:
        turn.stop()
    return all(turn.has_ended_within(max(0.0, until - time.monotonic())) for turn in [*_open])
