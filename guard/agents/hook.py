"""Answers a call of a coding agent's hook, in the form that the program reads. :mod:`guard.agents.start` calls it."""

from __future__ import annotations

import os

from guard.agents import answer, payload, programs
from guard.agents.identity import as_agent
from guard.agents.locate import environment_for
from guard.agents.notes import note_of
from guard.model import GuardError, place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.agents.answer import Answer
    from guard.agents.payload import Call
    from guard.agents.programs import Event, Program


def respond(stub_dir: bytes, name: str, event_name: str, data: bytes, environment: Mapping[bytes, bytes]) -> Answer:
    """The answer to one call of a hook. Never raises: when there is no verdict, guard.onError decides the answer."""
    program = programs.PROGRAMS.get(name)
    if program is None:
        return answer.Answer(err=f"guard: {name[:60]!a} is no coding agent that guard knows\n".encode())
    event = program.event(event_name)
    call = None
    try:
        if name == "claude" and environment.get(b"COPILOT_CLI"):
            program, event = _claude_or_copilot(data, event_name)
        if event is None:
            return answer.Answer(err=f"guard: {event_name[:60]!a} is no event that guard answers\n".encode())
        call = payload.read(data, program)
        agent = as_agent(environment_for(environment), program, call)
        return _ANSWERS[event.kind](stub_dir, program, event, call, agent)
    except GuardError as error:
        return _undecided(error, program, event, call, environment)
    except OSError as error:
        where = f"{os.fsdecode(error.filename)!a}: " if isinstance(error.filename, str | bytes) else ""
        return _undecided(GuardError(f"{where}{error.strerror}"), program, event, call, environment)
    except Exception as error:
        return _undecided(_fault(error), program, event, call, environment)


def _fault(error: Exception) -> GuardError:
    """A mistake of guard's own, as an error whose text a model can report: it names the place in guard's source."""
    place = place_of(error)
    where = f" at {place}" if place else ""
    return GuardError(f"guard made a mistake{where}", hint="guard status; and please report it")


def _claude_or_copilot(data: bytes, event_name: str) -> tuple[Program, Event | None]:
    """Which of the two programs calls, and the event. Copilot reads Claude's files, too, and may start Claude.

    Only Claude's payload names a transcript.
    """
    call = payload.read(data, programs.CLAUDE._replace(edits={}))
    program = programs.CLAUDE if call.started else programs.COPILOT_IN_CLAUDES_FILES
    return program, program.event(event_name)


def _before(stub_dir: bytes, program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    if not call.tool:
        raise payload.UnknownPayload("it does not name the tool")
    refused, warning = "", ""
    if call.paths:
        from guard.agents.edit import refusal_of_edit

        refused, warning = refusal_of_edit(call.paths, call.cwd, environment, note_of(stub_dir, program, call))
    if call.command and not refused:
        from guard.agents.command import BEFORE, refusal_of_command, remember

        refused, more = refusal_of_command(call.command, call.cwd, environment, git_hooks=program.git_hooks)
        warning = warning or more
        if not refused:
            remember(note_of(stub_dir, program, call) + BEFORE, call.cwd, environment)
    if refused:
        return answer.refusal(program, event, refused)
    said = _bridge(program, event, call, environment)
    return said._replace(err=(warning + "\n").encode("utf-8", "backslashreplace")) if warning else said


def _bridge(program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    """The answer that tells the shell who the agent is, if the program does not: an export before the command."""
    if not call.command or not program.rewrites:
        return answer.SILENCE
    if not program.variable:
        name, value = "GUARD_AGENT", environment.get(b"GUARD_AGENT", b"")
    elif call.subagent:
        name, value = program.variable.decode(), environment.get(program.variable, b"")
    else:
        return answer.SILENCE
    text = value.decode("utf-8", "surrogateescape")
    if not text or not text.replace("-", "").replace("_", "").replace(".", "").isalnum():
        return answer.SILENCE  # a shell might read this value as something else than one word
    return answer.rewritten(program, event, {**call.arguments, "command": f"export {name}={text}; {call.command}"})


def _after(stub_dir: bytes, program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    if not call.command:
        return answer.SILENCE
    from guard.agents.command import BEFORE, told_after

    return answer.context(event, told_after(note_of(stub_dir, program, call) + BEFORE, call.cwd, environment))


def _start(stub_dir: bytes, program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    from guard.agents.session import at_start

    return answer.context(event, at_start(call.cwd, environment))


def _end(stub_dir: bytes, program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    from guard.agents.session import at_end

    at_end(note_of(stub_dir, program, call), environment)
    return answer.SILENCE


_ANSWERS = {programs.BEFORE: _before, programs.AFTER: _after, programs.START: _start, programs.END: _end}


def _undecided(
    error: GuardError, program: Program, event: Event | None, call: Call | None, environment: Mapping[bytes, bytes]
) -> Answer:
    """The answer when there is no verdict: a refusal, or a message if the settings let the edit pass."""
    from guard.agents.words import not_judged

    if event is None or event.kind != programs.BEFORE:
        return answer.Answer(err=f"guard: {error.what}\n".encode("utf-8", "backslashreplace"))
    passes = _lets_pass(environment)
    if passes:
        return answer.Answer(
            err=f"guard: NOT JUDGED, and let through: {passes}. {error.what}\n".encode("utf-8", "replace")
        )
    what = "what this command does" if call is not None and call.command else "this file"
    return answer.refusal(program, event, not_judged(error, what=what))


def _lets_pass(environment: Mapping[bytes, bytes]) -> str:
    """What lets an edit pass that could not be judged, in words; "" if nothing does."""
    from guard.repo.git import config
    from guard.repo.settings import judging, passing_text, skip_variable

    variable = skip_variable(environment)
    if variable:
        return f"{variable} is set"
    try:
        entries = config()
    except GuardError:
        entries = []
    return passing_text(*judging(environment, entries))
