"""Who calls a tool? The session that the coding agent's program names, and never an argument of the call.

The holder must be the one that ``guard reserve`` sees in the agent's shell, so it is found as in every command. Two
things differ. Codex tells its MCP servers nothing in their environment; it gives the session in each call's ``_meta``.
And when nothing names the holder, a command would take the account's address, which all agents of one account share; a
server makes a name for its own process instead.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from guard.repo.settings import SESSION_VARIABLES, Setting
from guard.words import pasted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.repo.settings import Settings

CODEX = "x-codex-turn-metadata"
"""The member of ``_meta`` in which Codex CLI tells session and thread with every call."""
_SHARED = ("git config user.email", "the account and host")
"""Where a name comes from that all agents of an account share."""
MADE = "this MCP server, which made it for itself"
NAME_BYTES = 6


def made_name() -> str:
    """A name for this process. It looks like a session's name, so that ``guard take`` takes it for one."""
    while True:
        name = os.urandom(NAME_BYTES).hex()
        if any(map(str.isdigit, name)):
            return f"mcp-{name}"


def environment_of_call(environment: Mapping[bytes, bytes], meta: Mapping[str, Any] | None) -> Mapping[bytes, bytes]:
    """The environment with the session in it that a call's ``_meta`` tells.

    A call with Codex's metadata comes from Codex, whichever program's variables were inherited.
    """
    told = (meta or {}).get(CODEX)
    session = told.get("session_id") if isinstance(told, dict) else None
    if not isinstance(session, str) or not session:
        return environment
    seen = dict(environment)
    for name in SESSION_VARIABLES:
        seen.pop(name, None)
    thread = told.get("thread_id") if isinstance(told, dict) else None
    seen[b"CODEX_SESSION_ID"] = _line(session)
    seen[b"CODEX_THREAD_ID"] = _line(thread if isinstance(thread, str) and thread else session)
    return seen


def with_own_name(settings: Settings, made: str) -> Settings:
    """The settings, in which the name that was made stands for one that all agents of the account would share."""
    if not settings.holder.source.startswith(_SHARED):
        return settings
    return settings._replace(holder=Setting(made, MADE))


def is_made(settings: Settings) -> bool:
    """Was the holder's name made for this process?"""
    return settings.holder.source == MADE


def note(holder: str) -> str:
    """The note for an agent with such a name: how to use the same name in its shell."""
    return (
        f"you are {holder} here, a name that was made for this server alone. git's hooks in your shell do not know it,"
        f" and would refuse your own commits of what you reserve here. So type this in your shell before you commit:"
        f" export GUARD_AGENT={pasted(holder.encode())}   (or set GUARD_AGENT before the program starts)"
    )


def _line(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape").replace(b"\n", b" ").replace(b"\0", b" ")[:255]
