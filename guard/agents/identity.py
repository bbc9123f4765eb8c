"""Who is the agent? A hook must see the same holder as ``guard reserve`` in the agent's shell.

The holder is the session together with its subagents. Some programs set a variable with the session in their shells,
and the hook sets the same one for itself. For the other programs guard exports GUARD_AGENT into the shell
(:func:`guard.agents.hook.respond`, and opencode's plugin), and the hook sets that for itself. GUARD_AGENT and
AGENT_NAME win over all of these when the user has set them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.agents.payload import Call
    from guard.agents.programs import Program

NAMED = (b"GUARD_AGENT", b"AGENT_NAME")
"""Variables in which a user names the holder."""


def as_agent(environment: Mapping[bytes, bytes], program: Program, call: Call) -> dict[bytes, bytes]:
    """The environment with the variables that make the session the holder, as in the program's own shell."""
    changed = dict(environment)
    if not call.session:
        return changed
    if program.variable:
        changed[program.variable] = _line(call.session)
        if program.variable == b"CODEX_SESSION_ID":
            changed[b"CODEX_THREAD_ID"] = _line(call.own or call.session)
    elif not is_named(environment):
        changed[b"GUARD_AGENT"] = exported_name(program, call)
    return changed


def is_named(environment: Mapping[bytes, bytes]) -> bool:
    """Has the user named the holder?"""
    return any(environment.get(name) for name in NAMED)


def exported_name(program: Program, call: Call) -> bytes:
    """The value of GUARD_AGENT for a program whose shell knows no session."""
    return _line(f"{program.name}-{call.session}")


def _line(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape").replace(b"\n", b" ").replace(b"\0", b" ")[:255]
