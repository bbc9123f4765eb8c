"""Runs a whole test run on a machine that differs from this one: another /bin/sh, no boot id in /proc.

The program is started again in a mount namespace of its own (mount_namespaces(7)), in which other files stand in the
place of the machine's. Nothing outside of it changes. That takes root and unshare(1).

The shell replaces the file behind /bin/sh. Debian's is dash, so that ``dash`` is the other shell there, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHELLS = ("dash", "bash", "busybox", "zsh", "mksh", "ksh93", "yash")
"""The shells under whose name of sh the hook is tested; a path names any other, such as a bash 3.2 built for it."""

SYSCTL = Path("/usr/sbin/sysctl")
BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"
BOOT_ID = "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9"

_MOVE_IN = """
set -e
[ -z "$1" ] || mount --bind "$1" "$(readlink -f /bin/sh)"
if [ -n "$2" ]; then
    mount -t tmpfs none /proc/sys/kernel/random
    mount --bind "$2" /usr/sbin/sysctl
fi
shift 2
exec "$@"
"""


class CannotReplace(Exception):
    """Why this machine cannot run tests with other files in place of its own."""


def move_in(command: Sequence[str], *, shell: str = "", boot_id: bool = True) -> None:
    """Replaces this process by ``command``, run where /bin/sh is ``shell``, and without a boot id if that is False.

    Returns if that is so already. Raises :class:`CannotReplace` if it cannot be done.
    """
    wanted = _path_of(shell)
    shell_stands = not wanted or os.path.samefile(wanted, "/bin/sh")
    if shell_stands and (boot_id or not os.path.exists(BOOT_ID_FILE)):
        return
    check()
    stand_in = "" if boot_id else str(make_plain_sysctl(Path(tempfile.mkdtemp(prefix="guard-tests-sysctl-"))))
    os.execvp("unshare", _inside(["" if shell_stands else wanted, stand_in], command))


def check() -> None:
    """Raises :class:`CannotReplace`, with the reason, where files cannot be replaced."""
    if os.geteuid() != 0:
        raise CannotReplace("only root can put other files in the place of the machine's")
    if shutil.which("unshare") is None:
        raise CannotReplace("unshare is not installed (it comes with util-linux)")
    tried = subprocess.run(_inside(["", ""], ["true"]), capture_output=True, text=True, check=False)
    if tried.returncode:
        raise CannotReplace(f"this machine gives no mount namespace: {tried.stderr.strip()[:200]}")


def make_sysctl(place: Path) -> Path:
    """A program that answers as sysctl(8) of macOS does; what it answers is the text of the file ``answer`` beside it.

    A second line of that file is its exit status. It is run by a copy of the machine's own sh, and so quick.
    """
    if not SYSCTL.exists():
        SYSCTL.touch()  # nothing can be mounted on a file that is not there
    sh = place / "sh"
    shutil.copy(os.path.realpath("/bin/sh"), sh)
    (place / "answer").write_text(f"{BOOT_ID}\n0\n")
    program = place / "sysctl"
    program.write_text(
        f"#!{sh}\n[ \"$*\" = '-n kern.bootsessionuuid' ] || exit 2\n"
        f"echo asked >>{place}/asked\n"
        f'{{ IFS= read -r said; IFS= read -r status; }} <{place}/answer\necho "$said"\nexit "$status"\n'
    )
    place.chmod(0o755)
    program.chmod(0o755)
    return program


def make_plain_sysctl(place: Path) -> Path:
    """As :func:`make_sysctl`, but it answers always the same, and as quickly as sh can: a real one is no script."""
    program = make_sysctl(place)
    program.write_text(f"#!{place / 'sh'}\necho {BOOT_ID}\n")
    return program


def without_boot_id(sysctl: Path, command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` on a machine without a boot id in /proc, with this sysctl."""
    return _inside(["", str(sysctl)], command)


def _inside(arguments: Sequence[str], command: Sequence[str]) -> list[str]:
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MOVE_IN, "sh", *arguments, *command]


def _path_of(shell: str) -> str:
    if not shell:
        return ""
    found = shutil.which(shell)
    if found is None:
        raise CannotReplace(f"the shell {shell} is not installed")
    return os.path.realpath(found)


def again(arguments: Sequence[str]) -> list[str]:
    """The command that started this run of pytest."""
    return [sys.executable, "-m", "pytest", *arguments]
