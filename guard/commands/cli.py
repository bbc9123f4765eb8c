"""Finds the command for a command line, runs it, and turns click's errors into guard's."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from guard import __version__
from guard.commands.ending import end_with
from guard.commands.names import COMMANDS, HIDDEN
from guard.model import GuardError, UsageError
from guard.work.here import here_of_process

if TYPE_CHECKING:
    from collections.abc import Sequence


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
        """Writes every command with the whole first sentence of its help, wrapped instead of cut."""
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
    context.obj = here_of_process()


def run() -> NoReturn:
    """Runs the command line and ends the process, as :func:`guard.commands.ending.end_with` does."""
    end_with(_run)


def _run() -> int | None:
    try:
        code = commands.main(prog_name="guard", standalone_mode=False)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        raise _misused(error) from error
    assert code is None or isinstance(code, int)
    return code


def _misused(error: click.ClickException) -> GuardError:
    """click's error about words that it does not understand, as guard's error with a command to type next."""
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
