"""What the stub starts when a coding agent calls a hook: reads the payload, answers in the program's own words.

``main`` ends the process with 10 more than the exit status that the program is to see, so that the stub can tell an
answer from a Python that died. It is started as ``python -I -S``.
"""

from __future__ import annotations

import os

from guard.agents import answer, payload, programs
from guard.agents.identity import as_agent
from guard.agents.locate import environment_for
from guard.model import GuardError, unexpected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.agents.answer import Answer
    from guard.agents.payload import Call
    from guard.agents.programs import Event, Program

DEADLINE_S = 2.0
"""After this time the kernel ends the process, and the stub decides by guard.onError: every program would allow."""
DEADLINE_AT_END_S = 0.8
"""The same when a session ends: Codex ends the hook after 1.0 s."""

ANSWERED = 10
"""Added to the exit status of an answer."""


def main(words: Sequence[str]) -> None:
    """``main([DIRECTORY OF THE STUB, PROGRAM, EVENT])``: reads standard input, answers, ends the process."""
    from guard.words import open_closed_files

    open_closed_files()
    stub_dir, name, event_name = words
    _set_deadline(DEADLINE_AT_END_S if event_name.lower().endswith("sessionend") else DEADLINE_S)
    said = respond(os.fsencode(stub_dir), name, event_name, _stdin(), dict(os.environb))
    _write(2, said.err)
    _write(1, said.out)
    os._exit(ANSWERED + said.code)


def respond(stub_dir: bytes, name: str, event_name: str, data: bytes, environment: Mapping[bytes, bytes]) -> Answer:
    """The answer to one call of a hook. Never raises: what cannot be decided is answered as guard.onError says."""
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
    except Exception as error:
        return _undecided(unexpected(error), program, event, call, environment)


def _claude_or_copilot(data: bytes, event_name: str) -> tuple[Program, Event | None]:
    """Copilot reads Claude's files too, and a Claude may be started by Copilot; only Claude names a transcript."""
    call = payload.read(data, programs.CLAUDE._replace(edits={}))
    program = programs.CLAUDE if call.started else programs.COPILOT_IN_CLAUDES_FILES
    return program, program.event(event_name)


def _before(stub_dir: bytes, program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    if not call.tool:
        raise payload.UnknownPayload("it does not name the tool")
    refused, warning = "", ""
    if call.paths:
        from guard.agents.edit import refusal_of_edit

        refused, warning = refusal_of_edit(call.paths, call.cwd, environment, _note(stub_dir, program, call))
    if call.command and not refused:
        from guard.agents.command import refusal_of_command, remember

        refused, more = refusal_of_command(call.command, call.cwd, environment, git_hooks=program.git_hooks)
        warning = warning or more
        if not refused:
            remember(_note(stub_dir, program, call) + b".before", call.cwd, environment)
    if refused:
        return answer.refusal(program, event, refused)
    said = _bridge(program, event, call, environment)
    return said._replace(err=(warning + "\n").encode("utf-8", "backslashreplace")) if warning else said


def _bridge(program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    """Tells the shell who the agent is, where the program does not: the command begins with an export."""
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
        return answer.SILENCE  # nothing that a shell could read in another way is put into a command
    return answer.rewritten(program, event, {**call.arguments, "command": f"export {name}={text}; {call.command}"})


def _after(stub_dir: bytes, program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    if not call.command:
        return answer.SILENCE
    from guard.agents.command import told_after

    return answer.context(event, told_after(_note(stub_dir, program, call) + b".before", call.cwd, environment))


def _start(stub_dir: bytes, program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    from guard.agents.session import at_start

    return answer.context(event, at_start(call.cwd, environment))


def _end(stub_dir: bytes, program: Program, event: Event, call: Call, environment: dict[bytes, bytes]) -> Answer:
    from guard.agents.session import at_end

    at_end(_note(stub_dir, program, call), environment)
    return answer.SILENCE


_ANSWERS = {programs.BEFORE: _before, programs.AFTER: _after, programs.START: _start, programs.END: _end}


def _note(stub_dir: bytes, program: Program, call: Call) -> bytes:
    from guard.agents.notes import file_of

    return file_of(stub_dir, b"%b-%b" % (program.name.encode(), call.session.encode("utf-8", "surrogateescape")))


def _undecided(
    error: GuardError, program: Program, event: Event | None, call: Call | None, environment: Mapping[bytes, bytes]
) -> Answer:
    """No verdict: refused unless the settings let it pass, and said in either case."""
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
    from guard.repo.settings import judging, skipped

    variable = skipped(environment)
    if variable:
        return f"{variable} is set"
    try:
        entries = config()
    except GuardError:
        entries = []
    mode, on_error = judging(environment, entries)
    if mode.value in ("warn", "off"):
        return f"the mode is {mode.value} ({mode.source})"
    return f"guard.onError is allow ({on_error.source})" if on_error.value == "allow" else ""


def _set_deadline(seconds: float) -> None:
    """Has the kernel end this process after that time, whatever it waits for: the default action of SIGALRM."""
    from _signal import setitimer  # type: ignore[import-not-found]  # the C half: signal itself imports enum, 3 ms

    setitimer(0, seconds)


def _stdin() -> bytes:
    with open(0, "rb", closefd=False) as stdin:
        return stdin.read(payload.MAX_BYTES)


def _write(number: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(number, data) :]
    except OSError:
        return  # the program has closed its end; the exit status still tells it
