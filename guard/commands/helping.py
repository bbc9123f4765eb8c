"""``guard help``: lists the pages of the manual, and shows one."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib.resources import files
from typing import TYPE_CHECKING

import click

from guard.commands.shared import example
from guard.model import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def pages() -> dict[str, str]:
    """Every page: its topic, and the first sentence below its title."""
    found = {}
    for page in sorted(_directory().iterdir(), key=lambda page: page.name):
        if page.name.endswith(".md"):
            found[page.name.removesuffix(".md")] = _first_sentence(page.read_text(encoding="utf-8"))
    return found


def page_text(topic: str) -> str:
    """The page of a topic, in Markdown. Raises :class:`guard.model.UsageError` when there is no such page."""
    known = pages()
    if topic not in known:
        near = get_close_matches(topic, known, n=1)
        raise UsageError(f"there is no page {topic!a}", hint=f"guard help {near[0]}" if near else "guard help")
    return _directory().joinpath(f"{topic}.md").read_text(encoding="utf-8")


def _directory() -> Traversable:
    return files("guard").joinpath("help")


def _first_sentence(text: str) -> str:
    paragraph = text.split("\n\n")[1].replace("\n", " ").strip() if "\n\n" in text else text
    return paragraph.split(". ")[0].rstrip(".:") + "."


@click.command(name="help")
@click.argument("topic", required=False, shell_complete=lambda *_: list(pages()))
@click.pass_context
@example("guard help", "guard help settings")
def help_(context: click.Context, topic: str | None) -> int:
    """Show a page of the manual, or the list of pages.

    A command's name shows the help of that command.
    """
    if topic is None:
        width = max(map(len, pages()))
        for name, sentence in pages().items():
            click.echo(f"  guard help {name:<{width}}  {sentence}")
        click.echo("\nOf a command: guard COMMAND --help")
        return EXIT_DONE
    group = context.parent.command if context.parent else None
    if topic not in pages() and isinstance(group, click.Group) and topic in group.list_commands(context):
        command = group.get_command(context, topic)
        assert command is not None
        click.echo(command.get_help(click.Context(command, info_name=topic, parent=context.parent)))
        return EXIT_DONE
    text = page_text(topic)
    if sys.stdout.isatty():
        click.echo_via_pager(text)
    else:
        click.echo(text, nl=False)
    return EXIT_DONE
