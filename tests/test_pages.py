"""What README and the pages tell people to type, typed: their blocks are run, and commands and options looked up.

A block with ``sh`` beside its fence is run here, in a new repository with guard in it. ``text`` marks what cannot
be run here (it needs a network, other accounts or another machine), ``console`` a command with what it prints.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest

from guard.commands.cli import commands
from guard.commands.helping import page_text, pages
from guard.commands.names import COMMANDS
from tests.support.messages import explained
from tests.support.repositories import GUARD, PACKAGE, Repository, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LANGUAGES = {"sh", "text", "console", "yaml", "json", "sql", "toml", "ini", "lua", "zsh", "fish"}
TEXTS = {"README": (PACKAGE / "README.md").read_text(encoding="utf-8")} | {topic: page_text(topic) for topic in pages()}
BLOCKS = [
    (topic, language, block)
    for topic, text in TEXTS.items()
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
]
RUN = [(topic, block) for topic, language, block in BLOCKS if language == "sh"]

OTHERS = {
    "--no-verify": "git commit, git push",
    "--bare": "Claude Code",
    "--safe-mode": "Claude Code",
    "--skip-trust": "Gemini CLI",
    "--long": "this project's tests",
}
"""Options of other programs that stand alone on a page, and whose they are."""


@pytest.mark.parametrize(("topic", "language", "block"), BLOCKS)
def test_every_fence_says_what_is_in_it(topic: str, language: str, block: str) -> None:
    assert language in LANGUAGES, f"{topic}: sh if it can be run, text if it cannot:\n{block}"


def test_the_pages_have_blocks_to_run() -> None:
    assert {"README", "hooks", "store"} <= {topic for topic, _ in RUN}


@pytest.mark.parametrize(("topic", "block"), RUN, ids=[f"{topic}-{at}" for at, (topic, _) in enumerate(RUN)])
def test_a_block_of_sh_can_be_pasted(repository: Repository, hermetic: Path, topic: str, block: str) -> None:
    programs = hermetic / "programs"
    programs.mkdir()
    (programs / "guard").write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(PACKAGE))} exec {shlex.join(GUARD)} "$@"\n'
    )
    (programs / "guard").chmod(0o755)
    path = f"{programs}:{run(('sh', '-c', 'echo $PATH'), cwd=hermetic).out.decode().strip()}"
    done = run(("sh", "-e"), cwd=repository.path, stdin=block.encode(), env={"PATH": path, "GUARD_AGENT": "bob"})
    assert done.code == 0, f"{topic}:\n{block}\n{done.text}"
    assert "Traceback" not in done.text


# Commands and options


def _typed(text: str) -> Iterator[list[str]]:
    """The words of every command of guard's that stands on a page, in a line of a block or between backquotes."""
    blocks = re.findall(r"^```(?:sh|text|console|)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    without_blocks = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    messages = set(explained())
    for typed in [*lines, *(each for each in re.findall(r"`([^`]+)`", without_blocks) if each not in messages)]:
        found = re.match(r"(?:GUARD_\w+=\S+ )?(?:git )?guard (.*)", typed, re.DOTALL)
        if found:
            yield re.sub(r"\s#.*|\s{3,}\(.*", "", found[1]).split()


def _unknown(words: list[str]) -> Iterator[str]:
    """What of a command's words neither the command line nor the command knows."""
    at: click.Command = commands
    context = click.Context(commands, info_name="guard")
    taken = 0
    for word in words:
        if not isinstance(at, click.Group) or not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        found = at.get_command(context, word)
        if found is None:
            yield word
            return
        at, context, taken = found, click.Context(found, info_name=word, parent=context), taken + 1
    known = {name for each in at.get_params(context) for name in (*each.opts, *each.secondary_opts)}
    for word in words[taken:]:
        if word == "--":
            return
        if re.fullmatch(r"--?[a-z][a-z-]*", word) and word not in known:
            yield word


@pytest.mark.parametrize("topic", TEXTS)
def test_every_command_and_option_that_a_page_shows_is_there(topic: str) -> None:
    unknown = {" ".join(["guard", *words]): found for words in _typed(TEXTS[topic]) if (found := list(_unknown(words)))}
    assert not unknown


@pytest.mark.parametrize("topic", TEXTS)
def test_every_option_that_stands_alone_on_a_page_is_there(topic: str) -> None:
    named = set(re.findall(r"`(--[a-z][a-z-]*)", TEXTS[topic]))
    assert named <= _options() | set(OTHERS)


def test_every_command_has_a_place_on_a_page() -> None:
    shown = {tuple(words[:2]) for text in TEXTS.values() for words in _typed(text)}
    missing = {name for name in COMMANDS if not any(words[:1] == (name,) for words in shown)}
    missing |= {" ".join(names) for names in _parts() if names not in shown}
    assert not missing


def _parts() -> set[tuple[str, str]]:
    """The commands below commands, such as ``store backup``, without those that are hidden."""
    context = click.Context(commands, info_name="guard")
    groups = {name: each for name in COMMANDS if isinstance(each := commands.get_command(context, name), click.Group)}
    return {(name, part) for name, group in groups.items() for part, each in group.commands.items() if not each.hidden}


def _options() -> set[str]:
    """Every option of every command."""
    context = click.Context(commands, info_name="guard")
    found = {name for each in commands.get_params(context) for name in each.opts}
    for name in COMMANDS:
        command = commands.get_command(context, name)
        assert command is not None
        each = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
        found |= {option for one in each for parameter in one.params for option in parameter.opts}
    return found
