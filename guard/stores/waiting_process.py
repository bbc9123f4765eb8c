"""Is the process of somebody who waits still there?

A process id means something in one namespace only: a container has its own, in which the same numbers belong to other
processes (pid_namespaces(7)). So the namespace is recorded beside the id, and nobody asks after a process of another.

Loaded by the hook's refresh: imports nothing heavy.
"""

from __future__ import annotations

import os

from guard.system import has_ended

_NAMESPACE = "/proc/self/ns/pid"


def namespace() -> str:
    """The name of the namespace of this process's id, such as "pid:[4026531836]"; "" if the system has none."""
    try:
        return os.readlink(_NAMESPACE)
    except OSError:
        return ""


def is_gone(process: object, *, where: str) -> bool:
    """Is it certain that this process of this host has ended? ``where`` is the namespace in which it had that id."""
    if not isinstance(process, int) or process <= 0:
        return True
    return where == namespace() and has_ended(process)
