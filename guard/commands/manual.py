"""The man page git-guard(1), made from what ``--help`` says, the table of settings and the list of pages.

``python -m guard.commands.manual`` writes it to guard/help/git-guard.1, and a test checks that it is up to date. The
wheel carries it, so that ``git guard --help`` and ``git help guard`` show it. The language is that of man(7).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from guard.commands.cli import commands
from guard.commands.helping import pages
from guard.commands.names import COMMANDS
from guard.repo.known_settings import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).parent.parent / "help" / "git-guard.1"

_EXIT_CODES = (
    ("0", "Done, or clear."),
    ("1", "A conflict, refused, or nothing was there to do it on."),
    ("2", "Wrong usage; also a revision that names no commit."),
    ("3", "No answer could be reached, or it could not be written."),
)


def manual() -> str:
    """The whole man page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield '.TH GIT-GUARD 1 "" "guard" "git-guard manual"'
    yield from (
        ".SH NAME",
        r"git\-guard \- keep people and coding agents from changing what somebody else has reserved",
    )
    yield from (".SH SYNOPSIS", r"\fBguard\fP \fICOMMAND\fP [\fIOPTIONS\fP] ...", ".br")
    yield r"\fBgit guard\fP \fICOMMAND\fP [\fIOPTIONS\fP] ..."
    yield from (".SH DESCRIPTION", _escaped(commands.help or ""))
    context = click.Context(commands, info_name="guard")
    yield ".SH COMMANDS"
    for name in COMMANDS:
        command = commands.get_command(context, name)
        assert command is not None
        yield from _command(name, command, context)
    yield ".SH EXIT STATUS"
    for code, meaning in _EXIT_CODES:
        yield from (".TP", rf"\fB{code}\fP", _escaped(meaning))
    yield from _settings()
    yield from (".SH PAGES", "The manual has more pages. Show one with", r"\fBguard help\fP \fITOPIC\fP:")
    for topic, sentence in pages().items():
        yield from (".TP", rf"\fB{_escaped(topic)}\fP", _escaped(sentence))
    yield from (".SH SEE ALSO", r"\fBgithooks\fP(5), \fBgitignore\fP(5), \fBgit\-config\fP(1)")


def _command(name: str, command: click.Command, above: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=above)
    words = " ".join(word for word in command.collect_usage_pieces(context) if word != "[OPTIONS]")
    yield from (".SS " + _escaped(f"guard {name} {words}".rstrip()), *_paragraphs(command.help or ""))
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            each = command.get_command(context, part)
            assert each is not None
            yield from (
                ".TP",
                rf"\fBguard {_escaped(name)} {_escaped(part)}\fP",
                _escaped(each.get_short_help_str(200)),
            )
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record and "--help" not in record[0]:
            yield from (".TP", rf"\fB{_escaped(record[0])}\fP", _escaped(record[1]))


def _paragraphs(text: str) -> Iterator[str]:
    """A help text: paragraphs that are filled, and after a ``\\b`` one that is kept as it stands."""
    for paragraph in re.split(r"\n[ \t]*\n", text.strip()):
        if "\b" in paragraph:
            lines = [line.strip() for line in paragraph.replace("\b", "").strip().splitlines()]
            yield from (".PP", ".nf", *map(_escaped, lines), ".fi")
        else:
            yield from (".PP", _escaped(" ".join(paragraph.split())))


def _settings() -> Iterator[str]:
    yield ".SH SETTINGS"
    yield "An option wins over the environment, the environment over git's configuration, that over the default."
    for known in TABLE:
        names = ", ".join([*([known.key] if known.key else []), *known.variables])
        yield from (".TP", rf"\fB{_escaped(names)}\fP", _escaped(f"{known.sentence} Default: {known.default}."))


def _escaped(text: str) -> str:
    """Text for man(7): backslashes and hyphens are escaped, and a leading dot or quote starts no request."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    text = re.sub(r"[^\x00-\x7f]", lambda sign: rf"\[u{ord(sign[0]):04X}]", text)
    return rf"\&{text}" if text[:1] in (".", "'") else text


if __name__ == "__main__":
    FILE.write_text(manual(), encoding="utf-8")
