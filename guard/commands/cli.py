"""The command line's edge: finds the command, words what goes wrong, and turns the end into an exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from guard import __version__
from guard.commands import render
from guard.model import EXIT_DONE, EXIT_REFUSED, EXIT_UNKNOWN, GuardError, UsageError, unexpected
from guard.words import said, to_stderr
from guard.work.here import Here

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class _Commands(click.Group):
    """The commands of :data:`COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        where = COMMANDS.get(cmd_name) or HIDDEN.get(cmd_name)
        if where is None:
            return None
        module, _, name = where.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and args[0] not in HIDDEN:
            near = _nearest(args[0], list(COMMANDS))
            raise UsageError(f"No such command {args[0]!a}", hint=f"guard {near} --help" if near else "guard --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every command with the whole first sentence of its help, wrapped and not cut."""
        rows = [(name, _first_sentence(self.get_command(ctx, name))) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _first_sentence(command: click.Command | None) -> str:
    return " ".join(((command.help if command else "") or "").split("\n\n")[0].split())


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try it in a minute, in a directory of its own: guard demo",
)
@click.option("-C", "directories", multiple=True, metavar="DIR", help="As if started in DIR; as git's own -C.")
@click.version_option(__version__, "-V", "--version", prog_name="guard")
@click.pass_context
def commands(context: click.Context, directories: tuple[str, ...]) -> None:
    """Reserve the paths you are about to change; commits and pushes by others are refused until you are done."""
    for directory in filter(None, directories):
        try:
            os.chdir(directory)
        except OSError as error:
            raise UsageError(f"cannot go to {directory!a}: {error.strerror}", hint="guard -C DIR status") from error
    context.obj = Here(os.environb, _working_directory())


def _working_directory() -> bytes:
    try:
        return os.getcwdb()
    except FileNotFoundError:
        return b""  # it was deleted; what needs it says so


def run() -> None:
    """Runs the command line and exits: 0 done, 1 refused or nothing there, 2 wrong usage, 3 no answer."""
    _write_in_any_encoding()
    try:
        code = commands.main(prog_name="guard", standalone_mode=False)
    except GuardError as error:
        code = _say(error)
    except click.ClickException as error:
        code = _say(_misused(error))
    except (click.Abort, KeyboardInterrupt):
        to_stderr("guard: interrupted.")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read us has enough
        code = EXIT_DONE
    except OSError as error:
        code = said(_failed(error))
    except Exception as error:
        code = _say(unexpected(error))
    _leave(code or EXIT_DONE)


def _write_in_any_encoding() -> None:
    """What the terminal's encoding lacks is escaped instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(error: GuardError) -> int:
    """Says an error: as JSON on stdout when that is asked for, else to people; returns its exit code."""
    words = sys.argv[1:]
    if "--json" not in words[: words.index("--") if "--" in words else len(words)]:
        return said(error)
    shown = {"what": error.what, "next": error.hint or None, "code": error.code}
    click.echo(render.as_json({"error": shown}))
    return error.code


def _misused(error: click.ClickException) -> GuardError:
    """What click says about words it does not understand, with a command to type next."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "guard"
    hint = f"{path} --help"
    what = error.format_message().rstrip(".")
    if isinstance(error, click.NoSuchOption) and context is not None:
        what = f"{path} has no option {error.option_name}"
        near = _nearest(error.option_name, [name for each in context.command.params for name in each.opts])
        hint = f"{path} {near}" if near else hint
    return UsageError(what, hint=hint)


def _nearest(word: str, words: Sequence[str]) -> str:
    """The most similar one of some words; "" when none is similar."""
    import difflib

    return next(iter(difflib.get_close_matches(word, words, n=1)), "")


def _failed(error: OSError) -> GuardError:
    """What the system refused: a file, or where no file is named, writing the answer."""
    if error.filename is None:
        what = f"the answer could not be written: {error.strerror or error}"
        return GuardError(what, hint="guard log   (what was asked for may be done all the same)")
    return GuardError(f"{os.fsdecode(error.filename)}: {error.strerror}", hint="guard status")


def _leave(code: int) -> NoReturn:
    """Ends the process without taking the interpreter down, which takes 5 ms and changes nothing.

    An answer that cannot be written ends with 3. The system may report that at a write, when Python's buffer is
    flushed, or only at close(2); a reader that has gone away (EPIPE) had enough, and is no failure.
    """
    try:
        sys.stdout.flush()
        os.close(1)
    except BrokenPipeError:
        pass
    except (OSError, ValueError) as error:
        if code in (EXIT_DONE, EXIT_REFUSED):  # otherwise the first failure has been told, and this one follows from it
            failure = error if isinstance(error, OSError) else OSError(errno.EBADF, os.strerror(errno.EBADF))
            code = said(_failed(failure))
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        code = EXIT_UNKNOWN  # there is nobody left to tell
    os._exit(code)
