"""The exact bytes in which each program is answered: a wrong one lets an edit pass in silence."""

from __future__ import annotations

import json

import pytest

from guard.agents import answer, programs
from guard.agents.answer import Answer
from guard.agents.programs import AFTER, BEFORE, START, Event, Program

R = 'held by "alice"\nuntil 14:05'
WORDS = rb'"held by \"alice\"\nuntil 14:05"'
ERR = b'held by "alice"\nuntil 14:05\n'


def deny(event: bytes) -> bytes:
    return (
        b'{"decision":"block","reason":%b,"permissionDecision":"deny","permissionDecisionReason":%b,'
        b'"hookSpecificOutput":{"hookEventName":"%b","permissionDecision":"deny","permissionDecisionReason":%b}}\n'
        % (WORDS, WORDS, event, WORDS)
    )


def specific(event: bytes) -> bytes:
    return b'{"hookSpecificOutput":{"hookEventName":"%b","additionalContext":%b}}\n' % (event, WORDS)


TOP = b'{"additionalContext":%b}\n' % WORDS
ALL = {**programs.PROGRAMS, "copilot in Claude's files": programs.COPILOT_IN_CLAUDES_FILES}
REFUSALS = {
    "claude": Answer(deny(b"PreToolUse"), ERR, 2),
    "codex": Answer(deny(b"PreToolUse"), ERR, 2),
    "copilot": Answer(deny(b"preToolUse"), ERR, 2),
    "copilot in Claude's files": Answer(deny(b"PreToolUse"), b"", 0),
    "gemini": Answer(deny(b"BeforeTool"), ERR, 2),
    "opencode": Answer(b"", ERR, 2),
    "cursor": Answer(b'{"permission":"deny","user_message":%b,"agent_message":%b}\n' % (WORDS, WORDS), ERR, 2),
}
CONTEXTS = {
    ("claude", AFTER): Answer(specific(b"PostToolUse")),
    ("claude", START): Answer(specific(b"SessionStart")),
    ("codex", AFTER): Answer(specific(b"PostToolUse")),
    ("codex", START): Answer(ERR),
    ("copilot", AFTER): Answer(TOP),
    ("copilot", START): Answer(TOP),
    ("copilot in Claude's files", AFTER): Answer(TOP),
    ("copilot in Claude's files", START): Answer(TOP),
    ("gemini", AFTER): Answer(specific(b"AfterTool")),
    ("gemini", START): Answer(specific(b"SessionStart")),
    ("opencode", AFTER): Answer(ERR),
    ("opencode", START): Answer(b"", ERR),
    ("cursor", AFTER): Answer(b'{"additional_context":%b}\n' % WORDS),
    ("cursor", START): Answer(b'{"additional_context":%b}\n' % WORDS),
}


def event_of(program: Program, kind: str) -> Event:
    return next(event for event in program.events if event.kind == kind)


def test_every_program_and_event_has_its_cell() -> None:
    assert set(REFUSALS) == set(ALL)
    assert set(CONTEXTS) == {(name, kind) for name in ALL for kind in (AFTER, START)}


@pytest.mark.parametrize("name", list(ALL))
def test_a_refusal(name: str) -> None:
    program = ALL[name]
    assert answer.refusal(program, event_of(program, BEFORE), R) == REFUSALS[name]


@pytest.mark.parametrize(("name", "kind"), list(CONTEXTS))
def test_a_context(name: str, kind: str) -> None:
    assert answer.context(event_of(ALL[name], kind), R) == CONTEXTS[name, kind]


@pytest.mark.parametrize("name", list(ALL))
def test_nothing_to_say_is_no_byte(name: str) -> None:
    for event in ALL[name].events:
        assert answer.context(event, "") == Answer(b"", b"", 0)


@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("gemini", b'{"hookSpecificOutput":{"hookEventName":"BeforeTool","tool_input":{"command":"a","n":1}}}\n'),
        ("copilot", b'{"modifiedArgs":{"command":"a","n":1}}\n'),
        ("cursor", b'{"updated_input":{"command":"a","n":1}}\n'),
    ],
)
def test_a_changed_input_decides_nothing(name: str, out: bytes) -> None:
    program = ALL[name]
    assert answer.rewritten(program, event_of(program, BEFORE), {"command": "a", "n": 1}) == Answer(out)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "plain",
        'quote " backslash \\ newline \n nul \0',
        "gr\u00fc\u00df \U0001f600",
        [],
        {},
        [1, 2.5, True, False, None, "x", {"a": []}],
        {"a": {"b": "c"}, "": ""},
    ],
)
def test_the_writer_writes_json(value: object) -> None:
    written = answer.as_json(value)
    assert json.loads(written) == value
    assert written.isascii()


def test_what_is_not_utf8_is_no_reason_to_fail() -> None:
    assert json.loads(answer.as_json("caf\udce9")) == "caf\ufffd"
