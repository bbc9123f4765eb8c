"""The time limits of a coding agent's hook, in seconds."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEADLINE_S = 2.0
"""After this time the kernel ends the process, and guard.onError decides. Every program would let the edit pass."""
LONGEST_S = 8.0
"""The longest deadline that GUARD_PATIENCE can set. After 10 s the programs end the hook and let the edit pass."""
WAITED_AT_END_S = 0.6
"""How long a hook waits for the releases at the end of a session. Codex ends that hook after 1.0 s."""
AT_END_S = 60.0
"""How long these releases may take in all. They go on after the hook has ended."""


def deadline_s(environment: Mapping[bytes, bytes]) -> float:
    """The deadline of a hook in seconds: :data:`DEADLINE_S`, or more if GUARD_PATIENCE says so."""
    if b"GUARD_PATIENCE" not in environment:
        return DEADLINE_S
    from guard.repo.settings import patience_s

    return min(max(patience_s(environment, DEADLINE_S), DEADLINE_S), LONGEST_S)
