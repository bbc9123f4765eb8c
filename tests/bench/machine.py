"""What a table of times has to name: the machine, and the versions of all that ran."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from pathlib import Path


def described() -> str:
    """The machine in two lines."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {_system()}\n"
        f"Python {platform.python_version()}, {_git()}, SQLite {sqlite3.sqlite_version}, sh is {_shell()}"
    )


def load() -> str:
    """How busy the machine is, in words."""
    return ", ".join(f"{average:.2f}" for average in os.getloadavg())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()}"


def _git() -> str:
    return subprocess.run(("git", "--version"), check=True, capture_output=True, text=True).stdout.strip()


def _shell() -> str:
    shell = os.path.basename(os.path.realpath("/bin/sh"))
    if shutil.which("dpkg-query"):
        command = ("dpkg-query", "--show", "--showformat=${Version}", shell)
        asked = subprocess.run(command, check=False, capture_output=True, text=True)
        return f"{shell} {asked.stdout.strip()}".strip()
    return shell
