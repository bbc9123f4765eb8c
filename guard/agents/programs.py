"""The table of coding agents ("programs"): one record for each, with everything in which they differ.

A new program, or a new version that behaves differently, is a row here and its recorded payloads in the tests. What
the rows say was seen with the real programs; the row for Cursor is written from its documentation
(https://cursor.com/docs/agent/hooks) and has not been run.

Every hook of a coding agent loads this module: it imports nothing heavy.
"""

from __future__ import annotations

from guard.record import Record

BEFORE, AFTER, START, END = "before", "after", "start", "end"
"""Before a tool runs; after a shell command; a session begins; a session ends."""

OBJECT, OBJECT_AT_ZERO, STDERR, CURSOR = "object", "object at zero", "stderr", "cursor"
"""How a refusal is answered: exit 2 with one JSON object; the same object with exit 0; exit 2 and the reason on stderr
alone; Cursor's own object."""


class Event(Record):
    """An event of a program: its name there, what it is to guard, and the tools it is registered for ("": all).

    ``context`` is the way in which text reaches the model after this event: "specific" (hookSpecificOutput), "top"
    (additionalContext in the object itself), "text" (plain text), "cursor", or "" where none is known.
    """

    name: str
    kind: str
    matcher: str = ""
    context: str = ""


class Program(Record):
    """A coding agent.

    ``edits`` names the tools that write files and where their paths stand: a key of the tool's input, or "patch".
    ``shells`` are the tools that run shell commands. ``variable`` is the environment variable in which the program's
    own shell knows its session, b"" where it knows none; then the holder is ``name`` + "-" + the session's id.
    ``rewrites`` names the member in which a changed input of a tool is given back, "" where that is not needed.
    ``git_hooks`` is False where the program's shell switches git's hooks off.
    """

    name: str
    title: str
    events: tuple[Event, ...]
    edits: dict[str, tuple[str, ...]]
    shells: tuple[str, ...]
    variable: bytes
    refusal: str = OBJECT
    rewrites: str = ""
    git_hooks: bool = True
    tested: str = ""

    def event(self, name: str) -> Event | None:
        """The event of that name; None if guard is not registered for one of that name."""
        return next((event for event in self.events if event.name == name), None)


CLAUDE = Program(
    name="claude",
    title="Claude Code",
    events=(
        Event("PreToolUse", BEFORE, "Write|Edit|MultiEdit|NotebookEdit|Bash"),
        Event("PostToolUse", AFTER, "Bash", "specific"),
        Event("PostToolUseFailure", AFTER, "Bash", "specific"),
        Event("SessionStart", START, "", "specific"),
        Event("SessionEnd", END),
    ),
    edits={
        "Write": ("file_path",),
        "Edit": ("file_path",),
        "MultiEdit": ("file_path",),
        "NotebookEdit": ("notebook_path", "file_path"),
    },
    shells=("Bash",),
    variable=b"CLAUDE_CODE_SESSION_ID",
    tested="2.1.332 and 2.1.197",
)

CODEX = Program(
    name="codex",
    title="Codex CLI",
    events=(
        Event("PreToolUse", BEFORE, "apply_patch|Bash"),
        Event("PostToolUse", AFTER, "Bash", "specific"),
        Event("SessionStart", START, "", "text"),
        Event("SessionEnd", END),
    ),
    edits={"apply_patch": ("patch",)},
    shells=("Bash",),
    variable=b"CODEX_SESSION_ID",
    tested="0.169.0",
)

COPILOT = Program(
    name="copilot",
    title="Copilot CLI",
    events=(
        Event("preToolUse", BEFORE),
        Event("postToolUse", AFTER, "", "top"),
        Event("sessionStart", START, "", "top"),
        Event("sessionEnd", END),
    ),
    edits={
        "create": ("path",),
        "edit": ("path",),
        "apply_patch": ("patch",),
        "Write": ("path", "file_path"),
        "Edit": ("path", "file_path"),
    },
    shells=("bash", "Bash"),
    variable=b"COPILOT_AGENT_SESSION_ID",
    rewrites="modifiedArgs",
    tested="1.0.102",
)

COPILOT_IN_CLAUDES_FILES = COPILOT._replace(
    events=(
        Event("PreToolUse", BEFORE),
        Event("PostToolUse", AFTER, "", "top"),
        Event("SessionStart", START, "", "top"),
        Event("SessionEnd", END),
    ),
    refusal=OBJECT_AT_ZERO,
)
"""Copilot CLI reads the Claude files of a project; there a reason is lost unless the exit status is 0."""

GEMINI = Program(
    name="gemini",
    title="Gemini CLI",
    events=(
        Event("BeforeTool", BEFORE, "write_file|replace|run_shell_command"),
        Event("AfterTool", AFTER, "run_shell_command", "specific"),
        Event("SessionStart", START, "", "specific"),
        Event("SessionEnd", END),
    ),
    edits={"write_file": ("file_path",), "replace": ("file_path",)},
    shells=("run_shell_command",),
    variable=b"",
    rewrites="tool_input",
    git_hooks=False,
    tested="0.61.0",
)

OPENCODE = Program(
    name="opencode",
    title="opencode",
    events=(
        Event("tool.execute.before", BEFORE),
        Event("tool.execute.after", AFTER, "", "text"),
        Event("session.created", START),
        Event("session.deleted", END),
    ),
    edits={
        "write": ("filePath",),
        "edit": ("filePath",),
        "multiedit": ("filePath",),
        "apply_patch": ("patch",),
        "patch": ("patch",),
    },
    shells=("bash",),
    variable=b"",
    refusal=STDERR,
    tested="1.18.33",
)

CURSOR_AGENT = Program(
    name="cursor",
    title="Cursor",
    events=(
        Event("preToolUse", BEFORE, "Write|Delete|Shell"),
        Event("postToolUse", AFTER, "Shell", "cursor"),
        Event("sessionStart", START, "", "cursor"),
        Event("sessionEnd", END),
    ),
    edits={"Write": ("file_path", "path"), "Delete": ("file_path", "path")},
    shells=("Shell",),
    variable=b"",
    refusal=CURSOR,
    rewrites="updated_input",
)

PROGRAMS = {each.name: each for each in (CLAUDE, CODEX, COPILOT, GEMINI, OPENCODE, CURSOR_AGENT)}
