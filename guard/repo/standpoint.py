"""The standpoint of a request: the environment and the directory in which git is asked.

A process that answers one request uses its own environment and directory. A process that answers many uses ``with
asking_from(environment, directory):`` for each of them, and never changes its own. A standpoint holds only for the
thread or task that sets it.
"""

from __future__ import annotations

import os
import time
from contextvars import ContextVar

from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token


class Standpoint(Record):
    """An environment and an absolute path; None for ``directory`` stands for the process's own directory."""

    environment: Mapping[bytes, bytes]
    directory: bytes | None = None


_current: ContextVar[Standpoint | None] = ContextVar("standpoint", default=None)
_ahead_ms: ContextVar[int] = ContextVar("ahead_ms", default=0)


def environment() -> Mapping[bytes, bytes]:
    """The environment of this request."""
    standpoint = _current.get()
    return os.environb if standpoint is None else standpoint.environment


def directory() -> bytes | None:
    """The directory of this request; None for the process's own directory."""
    standpoint = _current.get()
    return None if standpoint is None else standpoint.directory


def now_ms() -> int:
    """The time in Unix ms, by the clock of this machine, or of the server after :func:`follow_clock`."""
    return time.time_ns() // 1_000_000 + _ahead_ms.get()


def follow_clock(ahead_ms: int) -> None:
    """From now on :func:`now_ms` returns a server's time, which is ``ahead_ms`` ahead of this machine's."""
    _ahead_ms.set(ahead_ms)


def absolute(path: bytes) -> bytes:
    """The absolute path for one that is relative to the directory of this request; b"" stands for that directory."""
    return os.path.abspath(os.path.join(directory() or os.getcwdb(), path))


class asking_from:
    """``with asking_from(environment, directory):`` gives all questions in the block this standpoint."""

    def __init__(self, environment: Mapping[bytes, bytes], directory: bytes | None) -> None:
        self._standpoint = Standpoint(environment, directory)
        self._token: Token[Standpoint | None] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self._standpoint)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._token is not None:
            _current.reset(self._token)
