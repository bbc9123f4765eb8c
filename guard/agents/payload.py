"""What a coding agent tells its hooks on standard input, as one record for all programs.

The JSON is read with the C half of :mod:`json` alone: importing the whole of it takes as long as starting Python.
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
"""A payload that is longer is not read; no program sends one."""


class Call(Record):
    """What a program is about to do, or has done.

    ``session`` is the id of the session, the parent's for a subagent; ``cwd`` the directory that relative paths start
    from. ``paths`` are those a tool is about to write, as given. ``command`` is a shell command, "" for other tools;
    ``arguments`` the tool's whole input; ``subagent`` tells whether a subagent makes the call, whose own id is ``own``.
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
        return self.own not in ("", self.session)


class UnknownPayload(GuardError):
    """The program's message is not one that guard can read."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the message of the coding agent cannot be read: {why}", hint="guard agent status")


def read(data: bytes, program: Program) -> Call:
    """The call that a payload describes. Raises :class:`UnknownPayload`."""
    told = _parsed(data)
    arguments = _first(told, "tool_input", "toolArgs")
    if isinstance(arguments, str):  # Copilot gives the patch itself; older versions gave the input as JSON
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
    """The shell command, as a shell would read it; a list of words is quoted. Raises :class:`UnknownPayload`."""
    command = arguments.get("command")
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        import shlex

        return shlex.join(command)
    if not isinstance(command, str):
        raise UnknownPayload(f"the tool {tool[:60]!a} names no command in a place that guard knows")
    return command


def as_path(text: str) -> bytes:
    """A path as the program will hand it to the system.

    A byte that was no UTF-8 in the payload comes back as it was. Half of a surrogate pair becomes U+FFFD, which is
    what JavaScript and Rust write for one.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b"".join(_encoded(letter) for letter in text)


def _spellings(paths: list[str]) -> list[str]:
    """The paths, and what a program may make of them before it opens the file: without blanks at the ends, with the
    home directory for "~", and composed (Unicode's form NFC). Each is judged: one too many rather than one too few."""
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
        scan: Any = make_scanner  # it wants a context with these members, not the class that typeshed names
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
    """How the C scanner reads: the members it looks up on its context (CPython, Modules/_json.c)."""

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
