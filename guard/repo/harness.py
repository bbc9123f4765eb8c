"""Which of several coding agents' programs started this process? Asked only when more than one has set its variable."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROCESSES_MAX = 64
"""How many parent processes are looked at."""


def innermost(names: Sequence[bytes], environment: Mapping[bytes, bytes], *, process: int | None = None) -> bytes:
    """The variable of the innermost program, that is, the one that was set last; in doubt the first of ``names``.

    A program sets its variable for the processes that it starts, but not for itself, and they inherit the variables of
    the programs around it. So the first process that lacks a variable, going from ``process`` (by default the parent of
    this one) to its parents, is the program that sets this variable. Linux shows a process's environment in
    /proc/PID/environ (proc(5)). On other systems, and where that file may not be read, the order of ``names`` decides.
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
