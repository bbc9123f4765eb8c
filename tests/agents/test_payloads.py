"""What the programs really send, each recorded from the program: who calls, in which session, and what is written."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from guard.agents import payload, programs
from guard.agents.payload import Call, UnknownPayload

PAYLOADS = Path(__file__).parent / "payloads"
WITH_PATHS = {
    "claude-code-2.1.332/PreToolUse-Edit": ["<REPO>/seed.txt"],
    "claude-code-2.1.332/PreToolUse-Write": ["<REPO>/new.txt"],
    "claude-code-2.1.332/PreToolUse-Write-subagent": ["<REPO>/sub.txt"],
    "claude-code-2.1.332/PreToolUse-NotebookEdit": ["<REPO>/n.ipynb"],
    "claude-code-2.1.197/PreToolUse-Edit": ["<REPO>/seed.txt"],
    "claude-code-2.1.197/PreToolUse-Write": ["<REPO>/new.txt"],
    "claude-code-2.1.197/PreToolUse-Write-subagent": ["<REPO>/sub.txt"],
    "claude-code-2.1.197/PreToolUse-NotebookEdit": ["<REPO>/n.ipynb"],
    "codex-0.169.0/PreToolUse-apply_patch": ["new.txt"],
    "codex-0.169.0/PreToolUse-apply_patch-s-subdir": ["new.txt"],
    "codex-0.169.0/PreToolUse-apply_patch-c-gpt-6-sol": ["new.txt"],
    "codex-0.169.0/PreToolUse-apply_patch-multi-move": ["seed.txt", "moved/seed2.txt", "b.txt", "sub/c.txt"],
    "codex-0.169.0/PreToolUse-Bash-x-shellpatch-all": ["new.txt"],
    "copilot-1.0.102/PreToolUse-Edit": ["<REPO>/seed.txt"],
    "copilot-1.0.102/PreToolUse-Write": ["<REPO>/new.txt"],
    "copilot-1.0.102/PreToolUse-Write-subagent": ["<REPO>/sub.txt"],
    "copilot-1.0.102/camel-preToolUse-apply_patch-c-patch": ["new.txt"],
    "copilot-1.0.102/camel-preToolUse-create": ["<REPO>/new.txt"],
    "copilot-1.0.102/camel-preToolUse-create-c-subdir": ["<REPO>/new.txt"],
    "copilot-1.0.102/camel-preToolUse-create-subagent": ["<REPO>/sub.txt"],
    "copilot-1.0.102/camel-preToolUse-edit": ["<REPO>/seed.txt"],
    "gemini-cli-0.61.0/BeforeTool-replace": ["<REPO>/seed.txt"],
    "gemini-cli-0.61.0/BeforeTool-write_file": ["new.txt"],
    "gemini-cli-0.61.0/BeforeTool-write_file-c-subdir": ["new.txt"],
    "opencode-1.18.33/tool.execute.before-edit": ["<REPO>/seed.txt"],
    "opencode-1.18.33/tool.execute.before-write": ["<REPO>/new.txt"],
}
"""Every payload of a tool that writes, with the paths that it is about to write; all others write none."""

BEFORE = ("PreToolUse", "camel-preToolUse", "BeforeTool", "tool.execute.before")
RECORDED = sorted(f"{file.parent.name}/{file.stem}" for file in PAYLOADS.glob("*/*.json"))
CALLS = [name for name in RECORDED if not name.startswith("opencode-1.18.33/event") and "shell.env" not in name]


def program_of(name: str) -> programs.Program:
    folder, _, event = name.partition("/")
    if folder.startswith("copilot"):
        return programs.COPILOT if event.startswith("camel") else programs.COPILOT_IN_CLAUDES_FILES
    return next(each for each in programs.PROGRAMS.values() if folder.startswith(each.name))


def bytes_of(name: str) -> bytes:
    """The payload as guard's hook gets it; opencode's plugin makes one from two arguments."""
    data = (PAYLOADS / f"{name}.json").read_bytes()
    if not name.startswith("opencode"):
        return data
    told = json.loads(data)
    arguments = told["output"]["args"] if "before" in name else told["input"]["args"]
    made = {
        "session_id": told["input"]["sessionID"],
        "cwd": "<REPO>",
        "tool_name": told["input"]["tool"],
        "tool_input": arguments,
    }
    return json.dumps(made).encode()


def read(name: str) -> Call:
    return payload.read(bytes_of(name), program_of(name))


def test_every_recorded_payload_that_writes_is_in_the_table() -> None:
    assert set(WITH_PATHS) <= set(RECORDED)


@pytest.mark.parametrize("name", [name for name in CALLS if name.partition("/")[2].startswith(BEFORE)])
def test_the_paths_that_a_tool_is_about_to_write(name: str) -> None:
    assert [path.decode() for path in read(name).paths] == WITH_PATHS.get(name, [])


@pytest.mark.parametrize("name", CALLS)
def test_a_subagent_belongs_to_the_session_of_its_parent(name: str) -> None:
    call = read(name)
    assert call.session == "<ID-1>"
    assert call.subagent == ("subagent" in name and '"agent' in bytes_of(name).decode())


@pytest.mark.parametrize("name", CALLS)
def test_the_directory_that_paths_start_from(name: str) -> None:
    assert read(name).cwd == (b"<REPO>/sub" if "subdir" in name else b"<REPO>")


@pytest.mark.parametrize("name", [name for name in CALLS if "ash" in name or "run_shell" in name])
def test_a_shell_command_is_told(name: str) -> None:
    assert read(name).command


COMMAND = "apply_patch <<'EOF'\n*** Begin Patch\n{}\n*** End Patch\nEOF"


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        (COMMAND.format("*** Add File: a b.txt\n+x"), [b"a b.txt"]),
        (COMMAND.format("*** Update File: a\n*** Move to: b\n@@\n-x\n+y"), [b"a", b"b"]),
        (COMMAND.format("*** Delete File: a\n*** Delete File: b"), [b"a", b"b"]),
        ("cd sub && " + COMMAND.format("*** Add File: a\n+x"), [b"sub/a"]),
        ('apply_patch "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"', [b"a"]),
        ("applypatch <<EOF\n*** Begin Patch\n  *** Add File:   a\n*** End Patch\nEOF", [b"a"]),
        ("echo '*** Begin Patch'", []),
        ("apply_patch --help", []),
        ("cd src && " + COMMAND.format("*** Add File: a\n+x"), [b"src/a"]),
        ("cd 'two words' && " + COMMAND.format("*** Add File: a\n+x"), [b"two words/a"]),
        ("cd /else && " + COMMAND.format("*** Add File: /abs/a\n+x\n*** Add File: b\n+x"), [b"/abs/a", b"/else/b"]),
        ("cd a && cd b && " + COMMAND.format("*** Add File: c\n+x"), [b"a/b/c", b"c"]),
        ("cd src; " + COMMAND.format("*** Add File: a\n+x"), [b"src/a", b"a"]),
        ("(cd src && ls); " + COMMAND.format("*** Add File: a\n+x"), [b"src/a", b"a"]),
        ('bash -lc "cd src && ' + COMMAND.format("*** Add File: a\n+x") + '"', [b"src/a", b"a"]),
        (COMMAND.format("*** Add File: gr\u00fc\u00df.txt\n+x"), ["gr\u00fc\u00df.txt".encode()]),
        (COMMAND.format("*** Update File: a\r\n@@\r\n-x"), [b"a"]),
    ],
)
def test_a_patch_that_is_typed_into_a_shell(command: str, paths: list[bytes]) -> None:
    data = json.dumps({"session_id": "s", "cwd": "/r", "tool_name": "Bash", "tool_input": {"command": command}})
    assert list(payload.read(data.encode(), programs.CODEX).paths) == paths


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b'"caf\xc3\xa9"', b"caf\xc3\xa9"),
        (b'"caf\\u00e9"', b"caf\xc3\xa9"),
        (b'"caf\xe9"', b"caf\xe9"),
        (b'"\\ud83d\\ude00"', b"\xf0\x9f\x98\x80"),
        (b'"a\\ud800b"', b"a\xef\xbf\xbdb"),
        (b'"a\\nb"', b"a\nb"),
        (b'"a\\\\b"', b"a\\b"),
        (b'" a "', b" a "),
    ],
)
def test_paths_are_the_bytes_that_the_program_will_write_to(text: bytes, path: bytes) -> None:
    data = b'{"session_id":"s","cwd":"/r","tool_name":"Write","tool_input":{"file_path":%b}}' % text
    assert payload.read(data, programs.CLAUDE).paths[0] == path


WRITE: dict[str, Any] = {"session_id": "s", "cwd": "/r", "tool_name": "Write"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n",
        b"{",
        b"[]",
        b'"text"',
        b"{} {}",
        b'{"tool_name":"Write"}x',
        b"\xff\xfe{}",
        json.dumps(WRITE).encode(),
        json.dumps({**WRITE, "tool_input": {}}).encode(),
        json.dumps({**WRITE, "tool_input": {"path_of_the_file": "a"}}).encode(),
        json.dumps({**WRITE, "tool_input": {"file_path": 7}}).encode(),
        json.dumps({**WRITE, "tool_input": [1]}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_never_taken_for_an_edit_of_nothing(data: bytes) -> None:
    with pytest.raises(UnknownPayload):
        payload.read(data, programs.CLAUDE)


def test_a_patch_without_a_path_is_not_an_edit_of_nothing() -> None:
    data = {"session_id": "s", "cwd": "/r", "tool_name": "apply_patch", "tool_input": {"command": "*** Begin Patch"}}
    with pytest.raises(UnknownPayload):
        payload.read(json.dumps(data).encode(), programs.CODEX)


def test_what_a_newer_program_adds_changes_nothing() -> None:
    data = {**WRITE, "tool_input": {"file_path": "a", "more": [1, {"x": None}], "big": 1e99}, "new": {"a": [True]}}
    assert payload.read(json.dumps(data).encode(), programs.CLAUDE).paths == (b"a",)


def test_cursor_as_its_documentation_says() -> None:
    data = {
        "conversation_id": "c-1",
        "generation_id": "g",
        "hook_event_name": "preToolUse",
        "workspace_roots": ["/r"],
        "tool_name": "Write",
        "tool_input": {"file_path": "/r/a"},
    }
    call = payload.read(json.dumps(data).encode(), programs.CURSOR_AGENT)
    assert (call.session, call.cwd, call.paths) == ("c-1", b"/r", (b"/r/a",))


@pytest.mark.parametrize(
    "arguments", [{}, {"command": None}, {"command": 1}, {"command": ["a", 1]}, {"cmd": "git stash"}]
)
def test_a_shell_tool_without_a_command_is_not_a_command_that_does_nothing(arguments: dict[str, Any]) -> None:
    data = {"session_id": "s", "cwd": "/r", "tool_name": "Bash", "tool_input": arguments}
    with pytest.raises(UnknownPayload):
        payload.read(json.dumps(data).encode(), programs.CODEX)


def test_a_command_in_words_is_read_as_a_shell_would_read_it() -> None:
    words = ["apply_patch", "*** Begin Patch\n*** Add File: a\n+it's\n*** End Patch"]
    data = {"session_id": "s", "cwd": "/r", "tool_name": "Bash", "tool_input": {"command": words}}
    assert payload.read(json.dumps(data).encode(), programs.CODEX).paths == (b"a",)


DEEP = b"[" * 100_000 + b"]" * 100_000
HOSTILE_INPUTS: list[bytes] = [
    b'{"file_path":"a\\u0000b"}',
    b'{"file_path":5}',
    b'{"file_path":null}',
    b'{"file_path":["a"]}',
    b'{"file_path":{"a":"b"}}',
    b'{"file_path":"/a","edits":[{"file_path":7}]}',
    b'{"edits":[[1],null,{"file_path":true}]}',
    b'{"edits":7}',
    b'"a string"',
    b"7",
    b"null",
    b"[]",
    b'{"file_path":"' + b"x" * 5_000 + b'"}',
    b'{"file_path":"/' + b"d/" * 3_000 + b'f"}',
    b'{"file_path":"/proc/self/mem/x"}',
    b'{"file_path":"/dev/null/x"}',
    b'{"file_path":""}',
    b'{"file_path":"\\ud800"}',
    b'{"file_path":"a","n":' + b"9" * 5_000 + b"}",
    b'{"file_path":"a","n":1e999,"m":NaN}',
    b'{"file_path":"a","n":' + DEEP + b"}",
    b'{"file_path":"a"',
    b"\xff\xfe",
]
PYTHON_WORDS = re.compile(r"\b[A-Z]\w*(Error|Exception)\b|Errno|lstat|NoneType|Traceback|int_max_str|embedded|<class")


@pytest.mark.parametrize("given", HOSTILE_INPUTS, ids=lambda given: given[:40].decode("latin-1"))
@pytest.mark.parametrize("program", ["claude", "copilot", "gemini", "opencode", "cursor"])
def test_what_a_hostile_payload_is_answered_speaks_no_python(tmp_path: Path, given: bytes, program: str) -> None:
    from guard.agents.hook import respond

    known = programs.PROGRAMS[program]
    keys = next(keys for tool, keys in known.edits.items() if "patch" not in keys)
    tool = next(tool for tool, each in known.edits.items() if each == keys)
    event = next(event.name for event in known.events if event.kind == programs.BEFORE)
    data = b'{"session_id":"s","cwd":"/","tool_name":"%b","tool_input":%b}' % (
        tool.encode(), given.replace(b"file_path", keys[0].encode()),
    )  # fmt: skip
    said = respond(os.fsencode(tmp_path), program, event, data, {b"PATH": os.environb[b"PATH"]})
    text = (said.out + said.err).decode("utf-8", "replace")
    assert PYTHON_WORDS.search(text) is None, text
    assert said.code in (0, 2) and len(text) < 5_000
