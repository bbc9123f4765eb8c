"""A box for a coding agent: no network but the loopback, no home but its own, an empty environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HIDDEN = ("/root", "/home")
"""Directories with accounts' homes: in the box they are empty but for what the run needs to read."""

_SCRIPT = """
ip link set lo up || exit 9
n=0
for keep in $KEEP; do n=$((n + 1)); mkdir -p "$BOX/keep/$n" && mount --bind "$keep" "$BOX/keep/$n" || exit 9; done
for hide in $HIDE; do [ ! -d "$hide" ] || mount -t tmpfs none "$hide" || exit 9; done
n=0
for keep in $KEEP; do n=$((n + 1)); mkdir -p "$keep" && mount --bind "$BOX/keep/$n" "$keep" || exit 9; done
exec env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"
"""


def why_not() -> str:
    """Why no box can be made here; "" if one can."""
    missing = [tool for tool in ("unshare", "ip", "mount") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    done = subprocess.run([*_unshare(), "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"namespaces are not allowed here: {done.stderr.strip()[:200]}"


def _unshare() -> list[str]:
    own = [] if os.getuid() == 0 else ["--map-root-user"]
    return ["unshare", *own, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]


def run(directory: Path, command: list[str], *, needed: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Runs a command in a box; ``needed`` are directories that it reads, wherever they are."""
    keep = sorted({path for path in needed if path.startswith(tuple(f"{each}/" for each in HIDDEN))})
    keep = [path for path in keep if not any(path.startswith(f"{other}/") for other in keep)]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "BOX": str(directory), "KEEP": " ".join(keep)}
    environment["HIDE"] = " ".join(HIDDEN)
    return subprocess.run(
        [*_unshare(), "/bin/sh", "-c", _SCRIPT, "box", *command],
        env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def python_directories() -> list[str]:
    """What a box needs of this Python: its prefix, the one it was made from, and this checkout."""
    return [sys.prefix, sys.base_prefix, str(Path(__file__).parent.parent.parent)]
