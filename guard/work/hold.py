"""Holds reservations while a command runs: renews them meanwhile, and releases them however the command ends."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

from guard.model import UsageError
from guard.stores.interface import Chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from guard.model import Reservation
    from guard.stores.interface import Actor, Store

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
RENEWALS_PER_TTL = 3


def hold(
    store: Store,
    actor: Actor,
    held: Sequence[Reservation],
    command: Sequence[str],
    *,
    ttl_ms: int,
    lost: Callable[[Sequence[Reservation]], None],
) -> int:
    """Runs a command, renews the reservations three times in each lease, and releases them at the end.

    Signals are passed on to the command. ``ttl_ms`` is the length of the lease in ms. ``lost`` is called once with
    reservations that somebody broke meanwhile. Returns the command's exit code, or 128 and the signal's number when a
    signal ended it. Raises :class:`UsageError` when the command cannot be started; everything is released then, too.
    """
    chosen = Chosen(ids=tuple(row.id for row in held))
    try:
        with _Command(command) as running:
            while not running.ended_within(ttl_ms / 1000 / RENEWALS_PER_TTL):
                still = {row.id for row in store.renew(actor, chosen, ttl_ms=ttl_ms).reservations}
                gone = [row for row in held if row.id in chosen.ids and row.id not in still]
                if gone:
                    chosen = Chosen(ids=tuple(sorted(still)))
                    lost(gone)
            return running.exit_code
    finally:
        released = {row.id for row in store.release(actor, chosen).reservations}
        gone = [row for row in held if row.id in chosen.ids and row.id not in released]
        if gone:
            lost(gone)


class _Command:
    """A child process that gets all signals which this process gets."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.exit_code = 0

    def __enter__(self) -> _Command:
        # The handlers stand before the child does: a signal in between must still let us release.
        self._before = {number: signal.signal(number, self._pass_on) for number in PASSED_ON}
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        try:
            self._child = subprocess.Popen(self._command)
        except OSError as error:
            self._restore()
            raise UsageError(
                f"{self._command[0]!a} cannot be started: {error.strerror}", hint="guard hold PATTERN… -- COMMAND…"
            ) from error
        for number in self._early:
            self._child.send_signal(number)
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.wait()  # renewing failed: the command goes on, and what is held is released at its end
        self._restore()

    def ended_within(self, seconds: float) -> bool:
        assert self._child is not None
        try:
            status = self._child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        self.exit_code = status if status >= 0 else 128 - status
        return True

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if self._child is None:
            self._early.append(number)
        elif not (number in (signal.SIGINT, signal.SIGQUIT) and _from_our_terminal()):
            self._child.send_signal(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _from_our_terminal() -> bool:
    """Is this process group in the terminal's foreground, so that Ctrl-C reaches the command directly?"""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
