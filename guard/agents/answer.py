"""The exact bytes of the answers to each program.

Every program lets an edit pass when its hook times out, and most do when it fails. So one wrong byte would let an edit
pass without a message. That is why the answers are a table here, with a test for each cell. Nothing may be printed
before the object. Codex lets an edit pass when the object has a member that it does not know.
"""

from __future__ import annotations

from guard.agents.programs import CURSOR, OBJECT_AT_ZERO, STDERR
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from guard.agents.programs import Event, Program

BLOCK = 2
"""The exit status with which a command hook refuses."""


class Answer(Record):
    """What a hook writes to its two outputs, and its exit status."""

    out: bytes = b""
    err: bytes = b""
    code: int = 0


SILENCE = Answer()


def refusal(program: Program, event: Event, reason: str) -> Answer:
    """The answer that keeps the tool from running and gives the reason to the model."""
    words = as_json(reason)
    err = (reason + "\n").encode("utf-8", "backslashreplace")
    if program.refusal == STDERR:
        return Answer(err=err, code=BLOCK)
    if program.refusal == CURSOR:
        return Answer(b'{"permission":"deny","user_message":%b,"agent_message":%b}\n' % (words, words), err, BLOCK)
    out = (
        b'{"decision":"block","reason":%b,"permissionDecision":"deny","permissionDecisionReason":%b,'
        b'"hookSpecificOutput":{"hookEventName":%b,"permissionDecision":"deny","permissionDecisionReason":%b}}\n'
    ) % (words, words, as_json(event.name), words)
    if program.refusal == OBJECT_AT_ZERO:
        return Answer(out)
    return Answer(out, err, BLOCK)


def context(event: Event, text: str) -> Answer:
    """The answer that gives a text to the model, beside a tool's result or when a session begins; exit status 0."""
    if not text:
        return SILENCE
    words = as_json(text)
    if event.context == "text":
        return Answer((text + "\n").encode("utf-8", "backslashreplace"))
    if event.context == "top":
        return Answer(b'{"additionalContext":%b}\n' % words)
    if event.context == "cursor":
        return Answer(b'{"additional_context":%b}\n' % words)
    if event.context == "specific":
        name = as_json(event.name)
        return Answer(b'{"hookSpecificOutput":{"hookEventName":%b,"additionalContext":%b}}\n' % (name, words))
    return Answer(err=(text + "\n").encode("utf-8", "backslashreplace"))


def rewritten(program: Program, event: Event, arguments: dict[str, Any]) -> Answer:
    """The answer that gives the tool another input. It decides nothing, so the program asks its user as usual."""
    changed = as_json(arguments)
    if program.rewrites == "tool_input":
        name = as_json(event.name)
        return Answer(b'{"hookSpecificOutput":{"hookEventName":%b,"tool_input":%b}}\n' % (name, changed))
    return Answer(b"{%b:%b}\n" % (as_json(program.rewrites), changed))


def as_json(value: Any) -> bytes:
    """A value as ASCII JSON, without the import of :mod:`json`. Bytes that are not UTF-8 become U+FFFD."""
    from _json import encode_basestring_ascii

    if isinstance(value, str):
        if not value.isascii():
            value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return encode_basestring_ascii(value).encode("ascii")
    if isinstance(value, dict):
        return b"{%b}" % b",".join(b"%b:%b" % (as_json(key), as_json(each)) for key, each in value.items())
    if isinstance(value, list):
        return b"[%b]" % b",".join(map(as_json, value))
    if value is None:
        return b"null"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return repr(value).encode("ascii")
