"""What the stub starts when a coding agent calls a hook. It reads the payload and writes the answer.

``main`` ends the process with 10 more than the exit status for the program, so that the stub can tell an answer from a
Python that died. The stub starts it as ``python -I -S``. Most calls are edits of files that nobody else holds. They are
answered here, and no other module is loaded for them.
"""

from __future__ import annotations

import os

from guard.agents import limits, payload, programs, quick
from guard.agents.identity import as_agent
from guard.agents.locate import environment_for
from guard.agents.notes import note_of
from guard.model import GuardError
from guard.system import open_closed_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENDS = frozenset(
    event.name for program in programs.PROGRAMS.values() for event in program.events if event.kind == programs.END
)
"""The events at which a session ends."""

BLOCK = 2
"""The exit status with which a command hook refuses."""
ANSWERED = 10
"""Added to the exit status of an answer."""


def main(words: Sequence[str]) -> None:
    """Reads standard input, answers, and ends the process. ``words``: the stub's directory, the program, the event."""
    open_closed_files()
    stub_dir, name, event_name = os.fsencode(words[0]), words[1], words[2]
    environment = dict(os.environb)
    _set_deadline(limits.deadline_s(environment))
    data = _stdin()
    if is_free(stub_dir, name, event_name, data, environment):
        os._exit(ANSWERED)
    from guard.agents.hook import respond

    if event_name in ENDS:
        _go_on_in_background()
    said = respond(stub_dir, name, event_name, data, environment)
    _write(2, said.err)
    # When the program has closed the output, the exit status must still refuse.
    code = said.code if _write(1, said.out) else said.code or BLOCK
    os._exit(ANSWERED + code)


def is_free(stub_dir: bytes, name: str, event_name: str, data: bytes, environment: Mapping[bytes, bytes]) -> bool:
    """Is it proven that this call before a tool needs no refusal, no reservation and no answer?

    Never raises. When it is not proven, :func:`guard.agents.hook.respond` decides.
    """
    program = programs.PROGRAMS.get(name)
    event = program.event(event_name) if program is not None else None
    if program is None or event is None or event.kind != programs.BEFORE:
        return False
    if name == "claude" and environment.get(b"COPILOT_CLI"):
        return False  # respond() finds out which of the two programs calls
    try:
        call = payload.read(data, program)
        if not call.tool or call.command:
            return False
        agent = as_agent(environment_for(environment), program, call)
        return quick.are_done(call.paths, call.cwd, agent, note_of(stub_dir, program, call))
    except (GuardError, OSError, ValueError):
        return False


def _go_on_in_background() -> None:
    """Goes on in a child process, because a program that ends also ends its hook early.

    The parent waits for a moment, prints what the child has written, and ends.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        _write(2, _read_for(reader, limits.WAITED_AT_END_S))
        os._exit(ANSWERED)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.dup2(writer, 2)
    os.close(writer)
    _set_deadline(limits.AT_END_S)


def _read_for(file: int, seconds: float) -> bytes:
    """The bytes that come from a pipe until it is closed, or until these seconds are over."""
    import time
    from select import poll

    until = time.monotonic() + seconds
    waiting = poll()
    waiting.register(file)
    parts: list[bytes] = []
    while waiting.poll(max(until - time.monotonic(), 0) * 1000):
        part = os.read(file, 65_536)
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def _set_deadline(seconds: float) -> None:
    """Makes the kernel end this process after that time, even while it waits: the default action of SIGALRM."""
    import _signal  # type: ignore[import-not-found]  # the C half: signal imports enum, which takes 3 ms

    # This process inherits signals that the program ignores or has blocked (signal(7)).
    _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGALRM])
    _signal.setitimer(_signal.ITIMER_REAL, seconds)


def _stdin() -> bytes:
    with open(0, "rb", closefd=False) as stdin:
        return stdin.read(payload.MAX_BYTES)


def _write(number: int, data: bytes) -> bool:
    """Writes all bytes; returns False if the program has closed its end."""
    try:
        while data:
            data = data[os.write(number, data) :]
    except OSError:
        return False
    return True
