"""Which of several coding agents' programs is the innermost? Asked only where more than one has set its variable."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROCESSES_MAX = 64
"""How many processes above this one are looked at."""


def innermost(names: Sequence[bytes], environment: Mapping[bytes, bytes], *, process: int | None = None) -> bytes:
    """The variable that was set last on the way from the first program to this process; in doubt the first name.

    A program sets its variable for what it starts, not for itself, and what it starts inherits those of the programs
    around it. So, going up from ``process`` (this one's parent), the first process that lacks a variable is the
    program that sets it. Linux tells of a process's environment in /proc/PID/environ (proc(5)); elsewhere, and where
    it may not be read, the order of ``names`` decides.
    """
    parent = os.getppid() if process is None else process
    for _ in range(PROCESSES_MAX):
        there = _environment_of(parent)
        if there is None:
            break
        missing = [name for name in names if (name, environment[name]) not in there]
        if missing:
            return missing[0]
        parent = _parent_of(parent)
    return names[0]


def _environment_of(process: int) -> set[tuple[bytes, bytes]] | None:
    try:
        with open(f"/proc/{process}/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return None
    pairs = (entry.partition(b"=") for entry in entries if entry)
    return {(name, value) for name, _, value in pairs}


def _parent_of(process: int) -> int:
    """The number of a process's parent: the fourth field of /proc/PID/stat (proc(5)); 0 if it cannot be read."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
