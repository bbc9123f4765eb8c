"""From where git is asked: in whose environment, and in which directory.

A process that answers one request uses its own. A long-lived one answers each request with
``with asking_from(environment, directory):`` and changes neither its environment nor its directory. What is set holds
for this thread (or task) alone.
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
    """``directory`` is an absolute path; None stands for the process's own directory."""

    environment: Mapping[bytes, bytes]
    directory: bytes | None = None


_current: ContextVar[Standpoint | None] = ContextVar("standpoint", default=None)
_ahead_ms: ContextVar[int] = ContextVar("ahead_ms", default=0)


def environment() -> Mapping[bytes, bytes]:
    """The environment of whoever asks."""
    standpoint = _current.get()
    return os.environb if standpoint is None else standpoint.environment


def directory() -> bytes | None:
    """Where whoever asks stands; None for the process's own directory."""
    standpoint = _current.get()
    return None if standpoint is None else standpoint.directory


def now_ms() -> int:
    """The time by the clock that decides here, in Unix ms: this machine's, or that of the server which was asked."""
    return time.time_ns() // 1_000_000 + _ahead_ms.get()


def follow_clock(ahead_ms: int) -> None:
    """From now on :func:`now_ms` tells a server's time, which is so many ms ahead of this machine's."""
    _ahead_ms.set(ahead_ms)


def absolute(path: bytes) -> bytes:
    """A path that is given relative to where whoever asks stands, as an absolute one; b"" is that place itself."""
    return os.path.abspath(os.path.join(directory() or os.getcwdb(), path))


class asking_from:
    """``with asking_from(environment, directory):`` every question to git in the block is asked from there."""

    def __init__(self, environment: Mapping[bytes, bytes], directory: bytes | None) -> None:
        self._standpoint = Standpoint(environment, directory)
        self._token: Token[Standpoint | None] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self._standpoint)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._token is not None:
            _current.reset(self._token)
