"""A real sshd on the loopback, with keys, port and configuration of its own, and real accounts for one test run.

Only root can make accounts. Both accounts are in a group of their own, and are removed with it at the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pathspec

from tests.support.repositories import PACKAGE, Done, run

if TYPE_CHECKING:
    from collections.abc import Iterator

SSHD = "/usr/sbin/sshd"
_RUN = Path("/run/sshd")
_WAIT_S = 60


def why_not() -> str:
    """What is missing on this machine for these tests; "" when nothing is."""
    if os.getuid() != 0:
        return "only root can make accounts for sshd"
    for program in (SSHD, "ssh", "ssh-keygen", "useradd", "userdel"):
        if shutil.which(program) is None:
            return f"there is no {program} here (Debian: openssh-server, openssh-client, passwd)"
    for path in (PACKAGE / "guard", LIBRARIES):
        if not _is_for_all(path):
            return f"other accounts cannot read {path}"
    return "" if PYTHON else "other accounts can start no Python of this version"


def _is_for_all(path: Path) -> bool:
    return path.exists() and all(each.stat().st_mode & 0o005 == 0o005 for each in (path, *path.parents))


def _python() -> str:
    """A Python of this version that other accounts can start, which the one that runs the tests may not be."""
    for program in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if _is_for_all(Path(program).resolve()):
            shown = subprocess.run([program, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True)
            if shown.stdout.decode().strip() == str(sys.version_info[:2]):
                return program
    return ""


LIBRARIES = Path(pathspec.__file__).parents[1]
PYTHON = _python()
GUARD = f"env PYTHONPATH={PACKAGE}:{LIBRARIES} {PYTHON} -m guard"
"""guard as each account can start it."""


@dataclass(frozen=True)
class Sshd:
    """The accounts that may come in are ``alice`` and ``bob``, by the names they have on this machine."""

    base: Path
    port: int
    alice: str
    bob: str
    group: str

    def address(self, account: str, path: Path) -> str:
        return f"ssh://{account}@127.0.0.1:{self.port}{path}"

    @property
    def environment(self) -> dict[str, str]:
        """For git, which then connects with the test's key."""
        options = "-F none -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR -o IdentitiesOnly=yes"
        return {"GIT_SSH_COMMAND": f"ssh {options} -o UserKnownHostsFile=/dev/null -i {self.base}/key"}

    def as_account(self, account: str, script: str, *, cwd: Path) -> Done:
        """Runs a script on the server, as an account that came in by ssh."""
        words = [*self.environment["GIT_SSH_COMMAND"].split(), "-p", str(self.port), f"{account}@127.0.0.1"]
        return run([*words, f'set -e; cd {cwd}; guard() {{ {GUARD} "$@"; }}; {script}'], cwd=self.base)


@contextlib.contextmanager
def started() -> Iterator[Sshd]:
    base = Path(tempfile.mkdtemp(prefix="guard-sshd-"))
    base.chmod(0o755)
    mark = f"{os.getpid() % 100_000:05}"
    made = Sshd(base, _free_port(), f"gta{mark}", f"gtb{mark}", f"gtg{mark}")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        _make_accounts(made, stack)
        _serve(made, stack)
        yield made


def _make_accounts(made: Sshd, stack: contextlib.ExitStack) -> None:
    _do("groupadd", made.group)
    stack.callback(_do, "groupdel", made.group)
    for account in (made.alice, made.bob):
        home = made.base / account
        # "*" is a password that nobody can type; sshd takes "!" for a locked account.
        _do("useradd", "-M", "-N", "-d", str(home), "-s", "/bin/sh", "-p", "*", "-g", made.group, account)
        stack.callback(_do, "userdel", account)
        stack.callback(_end_processes_of, account)
        home.mkdir()
        (home / ".gitconfig").write_text(
            "[safe]\n\tdirectory = *\n[user]\n\tname = x\n\temail = x@example.com\n[init]\n\tdefaultBranch = main\n"
        )
        os.utime(home / ".gitconfig", (1_600_000_000, 1_600_000_000))
        shutil.chown(home / ".gitconfig", account, made.group)
        shutil.chown(home, account, made.group)


def _serve(made: Sshd, stack: contextlib.ExitStack) -> None:
    for name in ("key", "host"):
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made.base / name))
    (made.base / "keys").write_bytes((made.base / "key.pub").read_bytes())
    (made.base / "keys").chmod(0o644)
    config = made.base / "sshd_config"
    config.write_text(
        f"Port {made.port}\nListenAddress 127.0.0.1\nHostKey {made.base}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {made.base}/keys\nStrictModes no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nAllowUsers {made.alice} {made.bob}\nMaxStartups 100\n"
    )
    if not _RUN.exists():
        _RUN.mkdir(mode=0o755)
        stack.callback(_RUN.rmdir)
    log = (made.base / "log").open("wb")
    stack.callback(log.close)
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log, stdin=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.send_signal, signal.SIGTERM)
    until = time.monotonic() + _WAIT_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", made.port), timeout=1):
            return
        assert process.poll() is None and time.monotonic() < until, (made.base / "log").read_text()
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _end_processes_of(account: str) -> None:
    """userdel refuses while a process of the account is still running: sshd's ends a moment after its client."""
    import pwd

    number = pwd.getpwnam(account).pw_uid
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == number:
                os.kill(int(entry.name), signal.SIGKILL)
    until = time.monotonic() + _WAIT_S
    while any(_is_of(entry, number) for entry in Path("/proc").iterdir()) and time.monotonic() < until:
        time.sleep(0.05)


def _is_of(entry: Path, number: int) -> bool:
    try:
        return entry.name.isdigit() and entry.stat().st_uid == number
    except OSError:
        return False


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
