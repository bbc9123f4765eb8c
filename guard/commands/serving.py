"""``guard mcp``: the server for coding agents that speak the Model Context Protocol."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from typing import NoReturn

import click

from guard.commands.shared import example
from guard.model import EXIT_DONE, GuardError
from guard.words import quoted, to_stderr


@click.command()
@example(
    "claude mcp add guard -- guard mcp    tells Claude Code of it",
    "guard help agents                    has the lines for other programs",
)
def mcp() -> int:
    """Serve the Model Context Protocol on standard input and output, for a coding agent's program to start.

    Four tools: guard_check, guard_reserve, guard_release and guard_list. The server ends when its standard input does;
    what was reserved through it stays until it is released or expires.
    """
    from guard.mcp import wire

    if os.isatty(0):
        to_stderr(
            "guard: this is for an agent's program to start, and waits for messages. To tell one: guard help agents"
        )
    claimed = wire.claim(_gone)  # from here on, nothing that an import prints can reach the client
    gc.disable()  # imports leave no garbage, and looking for it takes a fifth of the start
    try:
        from guard.mcp.server import serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise GuardError(f"guard mcp needs the package mcp, version 2 ({error})", hint=_install()) from error
    gc.freeze()
    gc.enable()
    if not serve(claimed):
        os._exit(EXIT_DONE)  # else Python would wait for the thread of a call that nobody waits for
    return EXIT_DONE


def _gone() -> NoReturn:
    """Ends the process when nobody reads its answers any more, though its standard input may be open still."""
    from guard.mcp.turns import stop_all

    stop_all()
    os._exit(EXIT_DONE)


_EXTRA = ("mcp", "mcp_types", "anyio", "jsonschema")
"""The packages of the extra that the server imports."""


def _install() -> str:
    """The command that installs the extra beside this very guard."""
    python = quoted(os.fsencode(sys.executable))
    if importlib.util.find_spec("pip") is None:
        return f"uv pip install --python {python} 'git-guard[mcp]'"
    return f"{python} -m pip install 'git-guard[mcp]'"
