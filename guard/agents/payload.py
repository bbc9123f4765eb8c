"""Reads what a coding agent writes to its hook's standard input, into one record for all programs.

Only the C half of :mod:`json` is used, because the import of the whole module takes as long as a start of Python.
"""

from __future__ import annotations

import os

from guard.agents import patch
from guard.model import GuardError
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from guard.agents.programs import Program

MAX_BYTES = 64 * 1024 * 1024
"""The longest payload that is read, in bytes. No program sends a longer one."""


class Call(Record):
    """What a program is about to do, or has done.

    ``session`` is the id of the session; for a subagent, that of its parent. ``cwd`` is the directory that relative
    paths start from. ``paths`` are those that a tool is about to write, as the program gave them. ``command`` is a
    shell command, "" for other tools. ``arguments`` is the tool's whole input. ``own`` is the caller's own id, which
    differs from ``session`` for a subagent. ``source`` says why a session has begun; ``started`` is the path of its
    transcript.
    """

    session: str
    cwd: bytes
    tool: str
    paths: tuple[bytes, ...]
    command: str
    arguments: dict[str, Any]
    own: str = ""
    source: str = ""
    started: str = ""

    @property
    def subagent(self) -> bool:
        """Does a subagent make the call?"""
        return self.own not in ("", self.session)


class UnknownPayload(GuardError):
    """guard cannot read the program's message."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the message of the coding agent cannot be read: {why}", hint="guard agent status")


def read(data: bytes, program: Program) -> Call:
    """The call that a payload describes. Raises :class:`UnknownPayload`."""
    told = _parsed(data)
    arguments = _first(told, "tool_input", "toolArgs")
    if isinstance(arguments, str):  # Copilot gives the text of the patch; older versions gave the input as JSON
        text = arguments
        arguments = _parsed(text.encode("utf-8", "surrogatepass")) if text.startswith("{") else {"patch": text}
    if not isinstance(arguments, dict):
        arguments = {}
    own = _text(told, "session_id", "sessionId", "conversation_id")
    parent = _text(told, "parent_agent_id", "parentAgentId", "parent_session_id")
    tool = _text(told, "tool_name", "toolName")
    command = _command(arguments, tool) if tool in program.shells else ""
    cwd = _text(told, "cwd") or _workspace(told)
    return Call(
        session=parent or own,
        cwd=as_path(cwd),
        tool=tool,
        paths=tuple(dict.fromkeys(map(as_path, _spellings(_written(tool, arguments, program, command))))),
        command=command,
        arguments=arguments,
        own=_text(told, "agent_id", "agentId") or own,
        source=_text(told, "source"),
        started=_text(told, "transcript_path"),
    )


def _command(arguments: dict[str, Any], tool: str) -> str:
    """The shell command as one text; a list of words is quoted for a shell. Raises :class:`UnknownPayload`."""
    command = arguments.get("command")
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        import shlex

        return shlex.join(command)
    if not isinstance(command, str):
        raise UnknownPayload(f"the tool {tool[:60]!a} names no command in a place that guard knows")
    return command


def as_path(text: str) -> bytes:
    """The bytes of a path as the program will give it to the system.

    A byte that was not UTF-8 in the payload is kept. Half of a surrogate pair becomes U+FFFD, as in JavaScript and
    Rust.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b"".join(_encoded(letter) for letter in text)


def _spellings(paths: list[str]) -> list[str]:
    """The paths, and the forms that a program may give them before it opens the file.

    These are: without white space at the ends, with the home directory for "~", and in Unicode's form NFC. All of them
    are judged, because one path too many is better than one too few.
    """
    found = []
    for path in paths:
        stripped = path.strip()
        found += [path, stripped] if stripped else [path]
        if stripped.startswith("~"):
            found.append(os.path.expanduser(stripped))
    if all(path.isascii() for path in found):
        return found
    from unicodedata import normalize

    return found + [normalize("NFC", path) for path in found]


def _encoded(letter: str) -> bytes:
    code = ord(letter)
    if 0xD800 <= code <= 0xDFFF and not 0xDC80 <= code <= 0xDCFF:
        return b"\xef\xbf\xbd"
    return letter.encode("utf-8", "surrogateescape")


def _written(tool: str, arguments: dict[str, Any], program: Program, command: str) -> list[str]:
    keys = program.edits.get(tool)
    if keys is None:
        return patch.in_command(command) if command else []
    if "patch" in keys:
        texts = [value for value in arguments.values() if isinstance(value, str)]
        found = [path for text in texts for path in patch.paths(text)]
    else:
        edits = arguments.get("edits")
        inputs = [arguments, *(edits if isinstance(edits, list) else [])]
        found = [each[key] for each in inputs if isinstance(each, dict) for key in keys if each.get(key) is not None]
    if not found or not all(isinstance(path, str) for path in found):
        raise UnknownPayload(f"the tool {tool[:60]!a} of {program.title} names no path in a place that guard knows")
    if any("\0" in path for path in found):
        raise UnknownPayload(f"the tool {tool[:60]!a} names a path with a NUL byte in it, which no file can have")
    return found


def _parsed(data: bytes) -> dict[str, Any]:
    from _json import make_scanner

    try:
        text = data.decode("utf-8", "surrogateescape").lstrip("\ufeff \t\r\n")
        scan: Any = make_scanner  # typeshed names a class, but any object with these members will do
        value, end = scan(_Reading)(text, 0)
    except StopIteration:
        raise UnknownPayload("it is empty" if not data.strip() else "it is not JSON") from None
    except RecursionError:
        raise UnknownPayload("its values are nested too deeply") from None
    except ValueError:
        raise UnknownPayload("it is not JSON") from None
    if not isinstance(value, dict) or text[end:].strip():
        raise UnknownPayload("it is not one JSON object")
    return value


class _Reading:
    """The settings of the C scanner: the members that it looks up on its context (CPython, Modules/_json.c)."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner's own


def _first(told: dict[str, Any], *keys: str) -> Any:
    return next((told[key] for key in keys if key in told), None)


def _text(told: dict[str, Any], *keys: str) -> str:
    value = _first(told, *keys)
    return value if isinstance(value, str) else ""


def _workspace(told: dict[str, Any]) -> str:
    roots = told.get("workspace_roots")
    return roots[0] if isinstance(roots, list) and roots and isinstance(roots[0], str) else ""
