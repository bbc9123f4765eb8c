"""The files that tell each program of guard's hook, and the contents of these files.

Four programs read JSON files that belong to the user; guard adds entries to them. Copilot and opencode read every file
of a directory; guard has its own file there.
"""

from __future__ import annotations

import os
import shutil

from guard.agents import answer, programs
from guard.agents.programs import BEFORE, END
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from guard.agents.programs import Event, Program

USER, PROJECT, SHARED = "user", "project", "shared"
"""The scopes: this account in all repositories; this account in one work tree; everybody who clones, by a committed
file."""

STUB = "agent"
"""The name of the stub. Its directory is called guard, so "guard/agent" shows that an entry is guard's."""

_CONFIG = ".config/"

TIMEOUT_S = 10
"""After how many seconds the program ends the hook and lets the edit pass. guard's own deadline is 2 s."""


class Target(Record):
    """A file that tells a program of guard. ``whole`` tells that the whole file is guard's."""

    program: Program
    scope: str
    path: str
    whole: bool


def user_directory(program: Program, environment: Mapping[str, str]) -> str:
    """The directory in which the program keeps this account's settings."""
    where = program.files
    if where.variable and environment.get(where.variable):
        return environment[where.variable]
    if where.directory.startswith(_CONFIG) and environment.get("XDG_CONFIG_HOME"):
        return os.path.join(environment["XDG_CONFIG_HOME"], where.directory[len(_CONFIG) :])
    return os.path.join(environment.get("HOME") or os.path.expanduser("~"), where.directory)


def target(program: Program, scope: str, *, environment: Mapping[str, str], top: str) -> Target:
    """The program's file for a scope. ``top`` is the top of the work tree, for the two scopes whose files are in it."""
    where = program.files
    if scope == USER:
        path = os.path.join(user_directory(program, environment), where.user)
    else:
        path = os.path.join(top, (where.shared if scope == SHARED else "") or where.project)
    return Target(program, scope, path, where.whole)


def is_on_this_machine(program: Program, environment: Mapping[str, str]) -> bool:
    """Has this account used the program, or can it be started?"""
    found = shutil.which(program.files.command or program.name, path=environment.get("PATH"))
    return found is not None or os.path.isdir(user_directory(program, environment))


def command_line(program: Program, event: Event, stub: str) -> str:
    """The line of sh that the program runs. It still decides when the stub is gone.

    ``stub`` is the stub's absolute path. "" stands for the stub in the git directory of the repository, for a file that
    every clone reads; in a clone without that stub, the line does nothing.
    """
    call = f"{program.name} {event.name}"
    if not stub:
        find = 'g=$(git rev-parse --git-common-dir 2>/dev/null) && [ -x "$g/guard/agent" ] || exit 0'
        return f'{find}; exec "$g/guard/agent" {call}'
    quoted = "'" + stub.replace("'", "'\\''") + "'"
    if event.kind != BEFORE:
        return f"if [ -x {quoted} ]; then exec {quoted} {call}; fi"
    return f"if [ -x {quoted} ]; then exec {quoted} {call}; fi; {_decide_alone(program, event)}"


def _decide_alone(program: Program, event: Event) -> str:
    """The part of the line for when the stub is gone: it does what guard.onError says, where guard is set up."""
    reason = (
        "guard: cannot tell whether this is reserved by somebody, so it was refused: guard is gone from this machine. "
        "A person can install it again (then: guard agent install), let it pass (git config guard.onError allow), "
        "or delete the entries that name guard/agent from the settings of this program."
    )
    refused = answer.refusal(program, event, reason)
    out = f"echo '{refused.out.decode().strip()}'; " if refused.out else ""
    err = f"echo '{reason}' >&2; " if refused.err else ""
    return (
        "case ${GUARD_SKIP:-0},${GUARD_MODE:-$(git config guard.mode)},"
        "${GUARD_ON_ERROR:-$(git config guard.onError)} in [!0]*|*,warn,*|*,off,*|*,allow) exit 0;; esac; "
        'g=$(git rev-parse --git-common-dir 2>/dev/null) && [ -d "$g/guard" ] || '
        '{ echo "guard: NOT JUDGED, and let through: guard is gone from this machine." >&2; exit 0; }; '
        f"{out}{err}exit {refused.code}"
    )


def is_ours(entry: Any, program: Program) -> bool:
    """Is this entry of a settings file guard's? Entries of all versions of guard count."""
    if isinstance(entry, str):
        return any(f"guard/agent{quote} {program.name} " in entry for quote in ("'", '"', ""))
    if isinstance(entry, dict):
        return any(is_ours(entry[key], program) for key in ("command", "bash", "hooks") if key in entry)
    return isinstance(entry, list) and any(is_ours(each, program) for each in entry)


def is_ours_text(text: str, program: Program) -> bool:
    """Is this the text of a file that guard made for the program?"""
    return any(f"guard/agent{quote} {program.name} " in text for quote in ("'", '"', '\\"', ""))


def entries(target: Target, stub: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """The entries that guard adds to a JSON file of the user, each with the path of the array that it belongs to."""
    return [
        (("hooks", event.name), _entry(target.program, event, command_line(target.program, event, stub)))
        for event in target.program.events
    ]


def _entry(program: Program, event: Event, line: str) -> dict[str, Any]:
    matcher = {"matcher": event.matcher} if event.matcher else {}
    if program.name == "copilot":
        return {"type": "command", "bash": line, "timeoutSec": TIMEOUT_S}
    if program.name == "cursor":
        return {"command": line, **matcher, "timeout": TIMEOUT_S}
    hook: dict[str, Any] = {"type": "command", "command": line}
    if program.name == "gemini":
        hook |= {"name": "guard", "timeout": TIMEOUT_S * 1000}
    elif event.kind != END:
        hook |= {"timeout": TIMEOUT_S}
    return {**matcher, "hooks": [hook]}


def whole_file(target: Target, stub: str) -> str:
    """The text of a file that is all guard's."""
    import json

    if target.program is programs.OPENCODE:
        lines = {event.name: command_line(target.program, event, stub) for event in target.program.events}
        return _PLUGIN.replace("@LINES@", json.dumps(lines, indent=2))
    hooks = {path[1]: [entry] for path, entry in entries(target, stub)}
    return json.dumps({"version": 1, "hooks": hooks}, indent=2) + "\n"


_PLUGIN = """\
// Made by "guard agent install"; "guard agent uninstall" removes it. It calls guard/agent before opencode edits.
import { spawn, spawnSync } from "node:child_process";

const LINES = @LINES@;
const MAX_DEPTH = 10;

// Runs one of guard's lines with the payload on its standard input.
function call(event, payload, cwd) {
  return new Promise((resolve) => {
    const child = spawn("/bin/sh", ["-c", LINES[event]], { cwd, stdio: ["pipe", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (err += data));
    child.stdin.on("error", () => {});
    child.on("error", (error) => resolve({ code: 2, out, err: "guard: cannot be started: " + error.message }));
    child.on("close", (code) => resolve({ code: code ?? 2, out, err }));
    child.stdin.end(JSON.stringify(payload));
  });
}

const setup = async ({ directory, client }) => {
  const parents = {};
  const started = new Set();
  const told = {};
  // opencode tells no plugin that it ends, so every session of this process ends with it.
  process.on("exit", () => {
    for (const id of started) {
      const input = JSON.stringify({ session_id: id, parent_session_id: id, cwd: directory });
      spawnSync("/bin/sh", ["-c", LINES["session.deleted"]], { cwd: directory, input, timeout: 2000 });
    }
  });

  // The session that the user talks to: a subagent's own session leads to it.
  function root(id) {
    for (let depth = 0; parents[id] && depth < MAX_DEPTH; depth++) id = parents[id];
    return id;
  }
  async function learn(id) {
    if (!id || id in parents) return;
    try {
      const found = await client.session.get({ path: { id } });
      parents[id] = found?.data?.parentID ?? null;
    } catch {
      parents[id] = null;
    }
    await learn(parents[id]);
  }
  async function payload(id, more) {
    await learn(id);
    return { session_id: id, parent_session_id: root(id), cwd: directory, ...more };
  }
  async function begin(id) {
    await learn(id);
    const session = root(id);
    if (!session || started.has(session)) return;
    started.add(session);
    const answer = await call("session.created", await payload(session, {}), directory);
    if (answer.err && answer.code === 0) told[session] = answer.err.trim();
  }

  return {
    event: async ({ event }) => {
      const info = event.properties?.info;
      if (event.type === "session.created" && info) parents[info.id] = info.parentID ?? null;
      const ended = event.type === "session.deleted" ? info?.id : null;
      if (!ended || parents[ended]) return;
      started.delete(ended);
      await call("session.deleted", await payload(ended, {}), directory);
    },
    "tool.execute.before": async (input, output) => {
      await begin(input.sessionID);
      const more = { tool_name: input.tool, tool_input: output.args };
      const answer = await call("tool.execute.before", await payload(input.sessionID, more), directory);
      if (answer.code !== 0) throw new Error(answer.err.trim() || "guard gave no answer: refused");
    },
    "tool.execute.after": async (input, output) => {
      if (input.tool !== "bash") return;
      const more = { tool_name: input.tool, tool_input: input.args };
      const answer = await call("tool.execute.after", await payload(input.sessionID, more), directory);
      if (answer.out.trim()) output.output = (output.output ?? "") + "\\n" + answer.out.trim();
    },
    "shell.env": async (input, output) => {
      if (!input.sessionID || output.env.GUARD_AGENT || process.env.GUARD_AGENT || process.env.AGENT_NAME) return;
      await learn(input.sessionID);
      output.env.GUARD_AGENT = "opencode-" + root(input.sessionID);
    },
    "experimental.chat.system.transform": async (input, output) => {
      if (!input?.sessionID) return;
      await begin(input.sessionID);
      const text = told[root(input.sessionID)];
      if (text) output.system.push(text);
    },
  };
};

export default { id: "guard", setup, server: setup };
"""
