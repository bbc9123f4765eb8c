"""GUARD_TRACE: how a verdict was reached, step by step, for somebody who has to explain one.

``GUARD_TRACE=1`` writes to stderr, any other value is a file to which lines are added; ``0`` and nothing switch it off.
stdout is never touched, for hooks answer there. Imported only when the variable is set, so that it costs nothing.
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
    """Writes each line of a text. A file that cannot be written is said on stderr, and changes no verdict."""
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
