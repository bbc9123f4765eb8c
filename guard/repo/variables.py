"""The environment variables that decide settings. This module imports nothing, for callers that only compare them."""

from __future__ import annotations

SESSION_VARIABLES = (
    b"CODEX_SESSION_ID",  # the same in a whole session; a subagent of Codex has its own CODEX_THREAD_ID
    b"CODEX_THREAD_ID",
    b"CLAUDE_CODE_SESSION_ID",
    b"COPILOT_AGENT_SESSION_ID",
)
"""Coding agents' programs set these for the commands that they start. They name the holder when nothing else does."""

KEY_VARIABLES = (
    b"GUARD_AGENT",
    b"AGENT_NAME",
    *SESSION_VARIABLES,
    b"GUARD_DB",
    b"GUARD_PROJECT",
    b"GUARD_MODE",
    b"GUARD_ONLY",
    b"AGENT_MAIL_BYPASS",
    b"AGENT_MAIL_GUARD_MODE",
    b"HOME",
    b"XDG_CONFIG_HOME",
    b"XDG_DATA_HOME",
    b"GIT_CONFIG_PARAMETERS",
    b"GIT_CONFIG_GLOBAL",
    b"GIT_CONFIG_SYSTEM",
    b"GIT_CONFIG_NOSYSTEM",
)
"""Every variable that can change a setting, in the order in which the hook compares them."""
