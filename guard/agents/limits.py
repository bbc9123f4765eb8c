"""How long a coding agent's hook may take."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEADLINE_S = 2.0
"""After this time the kernel ends the process, and the stub decides by guard.onError: every program would allow."""
LONGEST_S = 8.0
"""GUARD_PATIENCE may put the deadline off until then: at 10 s the programs themselves end the hook, and allow."""
WAITED_AT_END_S = 0.6
"""How long a hook waits for what is released when a session ends: Codex ends the hook after 1.0 s."""
AT_END_S = 60.0
"""How long that may take in all; it goes on when the hook has ended."""


def deadline_s(environment: Mapping[bytes, bytes]) -> float:
    """After how many seconds a hook gives up: :data:`DEADLINE_S`, more where GUARD_PATIENCE says so."""
    if b"GUARD_PATIENCE" not in environment:
        return DEADLINE_S
    from guard.repo.settings import patience_s

    return min(max(patience_s(environment, DEADLINE_S), DEADLINE_S), LONGEST_S)
