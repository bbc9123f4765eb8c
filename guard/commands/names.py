"""The names of guard's commands, and where each stands. Needs nothing of click."""

from __future__ import annotations

COMMANDS = {
    "reserve": "guard.commands.reserving:reserve",
    "release": "guard.commands.reserving:release",
    "renew": "guard.commands.reserving:renew",
    "hold": "guard.commands.reserving:hold",
    "list": "guard.commands.looking:list_",
    "check": "guard.commands.looking:check",
    "break": "guard.commands.reserving:break_",
    "take": "guard.commands.reserving:take",
    "log": "guard.commands.looking:log",
    "whoami": "guard.commands.looking:whoami",
    "install": "guard.commands.installing:install",
    "uninstall": "guard.commands.installing:uninstall",
    "status": "guard.commands.installing:status",
    "map": "guard.commands.mapping:map_",
    "store": "guard.commands.stores:store",
    "agent": "guard.commands.agents:agent",
    "mcp": "guard.commands.serving:mcp",
    "completion": "guard.commands.completing:completion",
    "demo": "guard.commands.installing:demo",
    "help": "guard.commands.helping:help_",
    "hook": "guard.commands.installing:hook",
}
"""Every command, in the order in which a newcomer meets them, with the module and the name where it stands.

A module is imported when one of its commands is asked for: what a command does not need costs it nothing.
"""

HIDDEN = {"complete-words": "guard.commands.completing:complete_words"}
"""Commands that only shells' functions call: no list shows them."""
