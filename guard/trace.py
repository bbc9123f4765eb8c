"""GUARD_TRACE shows step by step how a verdict was reached.

``GUARD_TRACE=1`` writes to stderr. Any other value is the path of a file, and lines are added to it. ``0`` and an empty
value switch tracing off. Nothing is written to stdout, because hooks answer there. This module is imported only when
the variable is set.
"""

from __future__ import annotations

import os

from guard.words import safe, to_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = b"GUARD_TRACE"
_PREFIX = "guard: trace: "


def note(environment: Mapping[bytes, bytes], text: str) -> None:
    """Writes each line of a text. Prints on stderr when the file cannot be written; that changes no verdict."""
    lines = [_PREFIX + safe(line) for line in text.split("\n")]
    name = environment.get(VARIABLE, b"")
    if name == b"1":
        to_stderr("\n".join(lines))
        return
    try:
        file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        to_stderr(f"guard: the trace cannot be written to {safe(name)}: {error.strerror}")
        return
    try:
        os.write(file, "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
    finally:
        os.close(file)
