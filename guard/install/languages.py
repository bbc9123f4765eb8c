"""The lines that make a hook of somebody else's run guard, in the language that the hook is written in.

Every line does the same: it runs ``sh`` with the repository's copy of guard's hook, gives it the hook's arguments,
and ends the hook when guard refuses. In a clone where guard is not installed the copy is missing, and the line does
nothing. Where git finds no repository, it fails.

A pre-push hook that reads the pushed refs from its standard input gets a longer line: guard reads them first, and
they are handed on.
"""

from __future__ import annotations

import re

from guard.events import by_name
from guard.record import Record

_FIND = "g=$(git rev-parse --git-common-dir)/guard/hook || exit"
_READS_STDIN = re.compile(rb"\bread\b|\bcat\b|\bxargs\b|\blfs\b|stdin|STDIN|/dev/fd/0|\binput\(|readFileSync\(0|<>")

SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "busybox", "yash")


class Addition(Record):
    """The lines to add to a hook, and the place in the hook where they have to stand."""

    lines: str
    where: str


def language(contents: bytes | None) -> str:
    """The name of the interpreter in a script's first line, without its version; "sh" when there is none."""
    first = (contents or b"").split(b"\n", 1)[0]
    if not first.startswith(b"#!"):
        return "sh" if b"\0" not in (contents or b"")[:1024] else ""
    words = [word for word in first[2:].split() if word]
    names = [word.rsplit(b"/", 1)[-1] for word in words]
    if names[:1] == [b"env"]:
        names = [name for name in names[1:] if not name.startswith(b"-") and b"=" not in name]
    name = names[0].decode("ascii", "replace") if names else "sh"
    return re.sub(r"[0-9.]+$", "", name)


def addition(event: str, contents: bytes | None = b"") -> Addition:
    """What to add to a hook that has these contents (b"" or None for a new file), and where."""
    first = by_name(event).judged_first
    reads = by_name(event).reads_stdin and bool(_READS_STDIN.search(contents or b""))
    name = language(contents)
    if name in SHELLS:
        lines = _sh_that_hands_on(event) if reads else shell_line(event)
    else:
        forms = _HANDING_ON if reads else _PLAIN
        known = forms.get(_FAMILY.get(name, name))
        lines = (known or _UNKNOWN).replace("LINE", _inner(event)).replace("EVENT", event)
    where = "before anything else in" if first else "at the end, before a last exit or exec, of"
    return Addition(lines, where)


def shell_line(event: str) -> str:
    """The line for a shell script, which ends the script when guard refuses."""
    return f'{_FIND}; [ ! -f "$g" ] || sh "$g" {event} "$@" || exit'


def job_line(event: str, arguments: str = "") -> str:
    """The command for a hook manager's job, which ends as guard ends; ``arguments`` follow the event's name."""
    return f'{_FIND}; [ ! -f "$g" ] || sh "$g" {event}{arguments}'


def _sh_that_hands_on(event: str) -> str:
    return (
        f"refs=$(cat); {_FIND}; "
        f"""[ ! -f "$g" ] || printf '%s\\n' "$refs" | sh "$g" {event} "$@" || exit\n"""
        "exec <<REFS\n$refs\nREFS"
    )


def _inner(event: str) -> str:
    """What the other languages give to ``sh -c``. It holds no single quote, so that it can stand between two."""
    return f'{_FIND}; [ ! -f "$g" ] || exec sh "$g" {event} "$@"'


_FAMILY = {"nodejs": "node", "bun": "node", "jruby": "ruby", "pypy": "python", "uv": "python"}

_PLAIN = {
    "python": (
        "import subprocess, sys\n"
        "guard = subprocess.run(['sh', '-c', 'LINE', 'EVENT', *sys.argv[1:]]).returncode\n"
        "if guard: sys.exit(guard)"
    ),
    "ruby": "system('sh', '-c', 'LINE', 'EVENT', *ARGV) or exit($?.exitstatus || 3)",
    "node": (
        "const guard = require('child_process').spawnSync('sh', ['-c', 'LINE', 'EVENT', ...process.argv.slice(2)], "
        "{ stdio: 'inherit' });\n"
        "if (guard.status !== 0) process.exit(guard.status ?? 3);"
    ),
    "perl": "system('sh', '-c', 'LINE', 'EVENT', @ARGV) == 0 or exit(($? >> 8) || 3);",
    "php": (
        "passthru('sh -c ' . escapeshellarg('LINE') . ' EVENT ' . "
        "implode(' ', array_map('escapeshellarg', array_slice($argv, 1))), $guard);\n"
        "if ($guard) exit($guard);"
    ),
    "fish": "sh -c 'LINE' EVENT $argv; or exit",
}
_HANDING_ON = {
    "python": (
        "import os, subprocess, sys, tempfile\n"
        "refs = tempfile.TemporaryFile(); refs.write(sys.stdin.buffer.read()); refs.flush(); refs.seek(0)\n"
        "guard = subprocess.run(['sh', '-c', 'LINE', 'EVENT', *sys.argv[1:]], stdin=refs).returncode\n"
        "if guard: sys.exit(guard)\n"
        "refs.seek(0); os.dup2(refs.fileno(), 0)"
    ),
    "ruby": (
        "require 'tempfile'\n"
        "refs = Tempfile.new; refs.write(STDIN.read); refs.flush; refs.rewind\n"
        "system('sh', '-c', 'LINE', 'EVENT', *ARGV, in: refs) or exit($?.exitstatus || 3)\n"
        "refs.rewind; STDIN.reopen(refs)"
    ),
    "perl": (
        "open(my $refs, '+>', undef) or exit 3; print $refs <STDIN>; seek($refs, 0, 0); open(STDIN, '<&', $refs);\n"
        "system('sh', '-c', 'LINE', 'EVENT', @ARGV) == 0 or exit(($? >> 8) || 3);\n"
        "seek(STDIN, 0, 0);"
    ),
    "node": (
        "const refs = require('fs').readFileSync(0); // use this below, for standard input is read now\n"
        "const guard = require('child_process').spawnSync('sh', ['-c', 'LINE', 'EVENT', ...process.argv.slice(2)], "
        "{ input: refs, stdio: ['pipe', 'inherit', 'inherit'] });\n"
        "if (guard.status !== 0) process.exit(guard.status ?? 3);"
    ),
}
_UNKNOWN = (
    "Run this command with the hook's arguments after it, and end with its exit status when that is not 0:\n"
    "sh -c 'LINE' EVENT"
)
