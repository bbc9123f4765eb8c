"""Faults at exactly the system call that is meant: killed there, or told that the disk fails (strace(1), inject)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.support.repositories import Done

DURABLE = (
    *("pwrite64", "write", "fsync", "fdatasync", "ftruncate", "rename", "renameat2", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "rmdir", "utimensat", "chmod", "fchmod", "link", "symlink", "openat"),
)
"""What leaves a trace on the disk. Of the openings only those that create."""

KILL, EIO, ENOSPC = "signal=KILL", "error=EIO", "error=ENOSPC"


class Call(NamedTuple):
    """One system call of a command: the ``number``-th of this name, from 1; with its arguments, for people."""

    name: str
    number: int
    shown: str


def why_not() -> str:
    """Why there can be no faults on this machine; "" when there can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    return f"strace may not trace here: {tried.stderr.decode().strip()[:200]}" if tried.returncode else ""


def calls(command: list[str], *, cwd: Path, env: dict[str, str]) -> tuple[list[Call], Done]:
    """The durable system calls of a command, and how it ended undisturbed."""
    log = cwd.parent / "strace.log"
    done = _run(["-e", f"trace={','.join(DURABLE)}"], command, log, cwd, env)
    found: list[Call] = []
    counts: dict[str, int] = {}
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"(\w+)\(", line)
        if match is None:
            continue
        name = match[1]
        counts[name] = counts.get(name, 0) + 1
        if name != "openat" or "O_CREAT" in line:
            found.append(Call(name, counts[name], line[:200]))
    return found, done


def disturbed(command: list[str], call: Call, fault: str, *, cwd: Path, env: dict[str, str]) -> Done:
    """Runs a command, and lets the fault happen at that call."""
    options = ["-e", f"trace={call.name}", "-e", f"inject={call.name}:{fault}:when={call.number}"]
    return _run(options, command, Path(os.devnull), cwd, env)


def _run(options: list[str], command: list[str], log: Path, cwd: Path, env: dict[str, str]) -> Done:
    done = subprocess.run(
        ["strace", "-qq", "-o", str(log), "-e", "signal=none", *options, *command],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)
