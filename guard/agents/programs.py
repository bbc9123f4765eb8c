"""The table of coding agents ("programs"): one record for each program, with how its hooks differ from the others.

A new program, or a new version that behaves differently, is a row here and its recorded payloads in the tests. The rows
were written from what the real programs did; only the row for Cursor is written from its documentation
(https://cursor.com/docs/agent/hooks) and was never run.

Every hook of a coding agent loads this module, so it imports nothing heavy.
"""

from __future__ import annotations

from guard.record import Record

BEFORE, AFTER, START, END = "before", "after", "start", "end"
"""The kinds of events: before a tool runs, after a shell command, a session begins, a session ends."""

OBJECT, OBJECT_AT_ZERO, STDERR, CURSOR = "object", "object at zero", "stderr", "cursor"
"""The forms of a refusal: a JSON object and exit status 2; the same object and exit status 0; only the reason on stderr
and exit status 2; Cursor's own object."""


class Event(Record):
    """An event of a program. ``name`` is the program's name for it, ``kind`` guard's.

    ``matcher`` names the tools that the hook is registered for, "" for all. ``context`` says how a text reaches the
    model after this event: "specific" (hookSpecificOutput), "top" (additionalContext in the object itself), "text"
    (plain text), "cursor", or "" if no way is known.
    """

    name: str
    kind: str
    matcher: str = ""
    context: str = ""


class Files(Record):
    """The files in which a program is told of guard's hooks.

    ``directory`` is where the program keeps an account's settings, relative to the home directory; one that begins with
    ``.config/`` moves with $XDG_CONFIG_HOME. ``variable`` is the environment variable that names another directory, ""
    if there is none. ``user`` is the file in that directory. ``project`` and ``shared`` are files in a work tree, for
    this account and for everybody who clones; ``shared`` is "" when it is the same file. ``whole`` tells that the file
    is guard's alone, because the program reads every file of a directory. ``versioned`` tells that the file must have
    the member "version": 1. ``command`` starts the program, "" when it is the program's name.
    """

    directory: str
    variable: str
    user: str
    project: str
    shared: str = ""
    whole: bool = False
    versioned: bool = False
    command: str = ""


class Program(Record):
    """A coding agent.

    ``edits`` are the tools that write files, each with the keys of its input that hold paths; "patch" stands for a
    patch in its input. ``shells`` are the tools that run shell commands. ``variable`` is the environment variable that
    holds the session in the program's shell, b"" if there is none; then the holder is ``name`` + "-" + the session's
    id. ``refusal`` is the form of a refusal. ``rewrites`` is the member that gives a tool another input, "" if that is
    not needed. ``git_hooks`` is False if the program's shell switches git's hooks off.
    """

    name: str
    title: str
    files: Files
    events: tuple[Event, ...]
    edits: dict[str, tuple[str, ...]]
    shells: tuple[str, ...]
    variable: bytes
    refusal: str = OBJECT
    rewrites: str = ""
    git_hooks: bool = True

    def event(self, name: str) -> Event | None:
        """The event with that name; None if guard has no hook for it."""
        return next((event for event in self.events if event.name == name), None)


CLAUDE = Program(
    name="claude",
    title="Claude Code",
    files=Files(
        ".claude", "CLAUDE_CONFIG_DIR", "settings.json", ".claude/settings.local.json", shared=".claude/settings.json"
    ),
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
)
"""Seen with 2.1.332 and 2.1.197."""

CODEX = Program(
    name="codex",
    title="Codex CLI",
    files=Files(".codex", "CODEX_HOME", "hooks.json", ".codex/hooks.json"),
    events=(
        Event("PreToolUse", BEFORE, "apply_patch|Bash"),
        Event("PostToolUse", AFTER, "Bash", "specific"),
        Event("SessionStart", START, "", "text"),
        Event("SessionEnd", END),
    ),
    edits={"apply_patch": ("patch",)},
    shells=("Bash",),
    variable=b"CODEX_SESSION_ID",
)
"""Seen with 0.169.0."""

COPILOT = Program(
    name="copilot",
    title="Copilot CLI",
    files=Files(".copilot", "COPILOT_HOME", "hooks/guard.json", ".github/hooks/guard.json", whole=True),
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
)
"""Seen with 1.0.102."""

COPILOT_IN_CLAUDES_FILES = COPILOT._replace(
    events=(
        Event("PreToolUse", BEFORE),
        Event("PostToolUse", AFTER, "", "top"),
        Event("SessionStart", START, "", "top"),
        Event("SessionEnd", END),
    ),
    refusal=OBJECT_AT_ZERO,
)
"""Copilot CLI also reads Claude's files in a project. For hooks in them it shows a reason only if the status is 0."""

GEMINI = Program(
    name="gemini",
    title="Gemini CLI",
    files=Files(".gemini", "", "settings.json", ".gemini/settings.json"),
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
)
"""Seen with 0.61.0."""

OPENCODE = Program(
    name="opencode",
    title="opencode",
    files=Files(
        ".config/opencode", "OPENCODE_CONFIG_DIR", "plugins/guard.js", ".opencode/plugins/guard.js", whole=True
    ),
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
)
"""Seen with 1.18.33."""

CURSOR_AGENT = Program(
    name="cursor",
    title="Cursor",
    files=Files(".cursor", "", "hooks.json", ".cursor/hooks.json", versioned=True, command="cursor-agent"),
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
