"""What differs between operating systems: locks, accounts, host names, processes, files without a name, boots.

Every other module asks here, so that one file shows what guard needs of a system. Loaded by the hook's refresh, so it
imports nothing heavy; what only some systems have is imported where it is used.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WINDOWS = (
    "guard does not run on Windows itself: it needs the locks and processes of a Unix. Install it, and use git, inside"
    " WSL (https://learn.microsoft.com/windows/wsl/install)."
)

BY_PROC, BY_SYSCTL = b"proc", b"sysctl"
"""The ways in which a system tells the name of its boot: a file, or the answer of a program."""
BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"
UPTIME_FILE = "/proc/uptime"
SYSCTL = "/usr/sbin/sysctl"
BOOT_ID_LENGTH = 36
"""The length of a UUID as text, in characters."""

_DIRECTORIES = ("/tmp", "/var/tmp")
_WITHOUT_A_NAME = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def why_unsupported() -> str:
    """Why guard cannot run on this system, in one sentence; "" where it can."""
    return WINDOWS if sys.platform == "win32" else ""


# Locks


def try_lock(file: int) -> bool:
    """Takes flock(2)'s exclusive lock on an open file; False if another process has it. Does not wait."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# Accounts and hosts


def account() -> str:
    """The name of the account that this process runs as; its number if it has no name."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def host() -> str:
    """The name of this host. It may change with the network that a machine is connected to."""
    return os.uname().nodename


# Processes


def has_ended(process: int) -> bool:
    """Is there no process with this number? A process of another account counts as running.

    Never called on Windows, where ``os.kill(process, 0)`` would end the process.
    """
    if process <= 0:
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def run(
    program: str,
    command: Sequence[bytes | str],
    *,
    environment: Mapping[bytes, bytes] | None,
    files: Sequence[int],
) -> int:
    """Runs a program from PATH with these open files as its stdin, stdout and stderr, and waits for its end.

    Returns its exit status, or the negative number of the signal that ended it. Raises :class:`OSError` if it cannot
    be started. :mod:`subprocess` could do the same, but its import takes longer than a bare start of Python.
    """
    return wait_for(start(program, command, environment=environment, files=files))


def start(
    program: str,
    command: Sequence[bytes | str],
    *,
    environment: Mapping[bytes, bytes] | None,
    files: Sequence[int],
) -> int:
    """As :func:`run`, but does not wait for the program: returns the number of its process for :func:`wait_for`."""
    actions = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(files)]
    given = os.environb if environment is None else environment
    return os.posix_spawnp(program, list(command), given, file_actions=actions)


def wait_for(process: int) -> int:
    """Waits for the end of a process of ours; returns its exit status, or the negative number of its signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def stop(process: int) -> None:
    """Kills a process of ours, and waits for its end. It may have ended, and have been waited for, already."""
    try:
        os.kill(process, 9)
        wait_for(process)
    except (ProcessLookupError, ChildProcessError):
        pass


# Files


def unnamed_file(contents: bytes = b"") -> int:
    """Opens a new file that has no name, for reading and writing; the position is its start.

    It is in memory where the system has that (memfd_create(2)). Elsewhere it is a temporary file whose name is removed
    at once: :mod:`tempfile` does that, too, but its import takes as long as half a start of Python. Some boxes for
    programs forbid the system call though Python knows it.
    """
    try:
        file = os.memfd_create("guard")
    except (AttributeError, OSError):
        file = _temporary_file()
    if contents:
        with open(file, "wb", closefd=False) as writer:
            writer.write(contents)
        os.lseek(file, 0, os.SEEK_SET)
    return file


def contents_of(file: int) -> bytes:
    """All that is in an open file."""
    with open(file, "rb", closefd=False) as reader:
        reader.seek(0)
        return reader.read()


def _temporary_file() -> int:
    wanted = os.environ.get("TMPDIR", "")
    directories = [*([wanted] if os.path.isabs(wanted) else []), *_DIRECTORIES]
    for directory in directories:
        path = os.path.join(directory, f"guard-{os.urandom(8).hex()}")
        try:
            file = os.open(path, _WITHOUT_A_NAME, 0o600)
        except OSError:
            if directory == directories[-1]:
                raise
            continue
        os.unlink(path)
        return file
    raise AssertionError("the loop above returns or raises")


def open_closed_files() -> None:
    """Puts /dev/null where standard input, output or error is closed: else the next file that is opened, perhaps the
    store, would stand there and get what is meant for people."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # open(2) gives the lowest number that is free


# Boots


def boot() -> tuple[bytes, bytes]:
    """What names this boot of the machine: the way in which the system tells it, and the name.

    ``(b"", b"")`` where the system does not tell. Linux has a file of /proc (random(4)). macOS has the sysctl
    kern.bootsessionuuid, which its kernel draws at random when it starts; reading it takes a process.
    """
    try:
        with open(BOOT_ID_FILE, "rb") as file:
            name = file.read().strip()
    except OSError:
        way, name = BY_SYSCTL, _bootsessionuuid()
    else:
        way = BY_PROC
    return (way, name) if _is_uuid(name) else (b"", b"")


def boot_clock_ns() -> int | None:
    """The time since this boot in ns, with the time asleep; nobody sets this clock. None where there is no such clock.

    clock_gettime(2). macOS counts the time asleep in CLOCK_MONOTONIC; other systems do not, and have no other clock.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) if sys.platform == "darwin" else None


def shows_boot_clock() -> bool:
    """Is what UPTIME_FILE shows, in hundredths of a second, the clock of :func:`boot_clock_ns`?

    In a container it may be the container's own (lxcfs), which starts anew with the container, in the same boot.
    """
    before = boot_clock_ns()
    try:
        with open(UPTIME_FILE, "rb") as file:
            seconds, hundredths = file.read().split()[0].split(b".")
        shown = (int(seconds) * 100 + int(hundredths)) * 10_000_000
    except (OSError, ValueError, IndexError):
        return False
    after = boot_clock_ns()
    return before is not None and after is not None and before < shown + 10_000_000 and shown <= after


_asked: dict[str, bytes] = {}


def _bootsessionuuid() -> bytes:
    """What sysctl(8) answers, asked once: no process outlives the boot that it runs in. b"" if it gives no answer."""
    if SYSCTL not in _asked:
        _asked[SYSCTL] = _ask_sysctl()
    return _asked[SYSCTL]


def _ask_sysctl() -> bytes:
    """The path is absolute: what PATH finds first may be anything."""
    if not os.access(SYSCTL, os.X_OK):
        return b""
    files = [unnamed_file(), unnamed_file(), unnamed_file()]
    try:
        status = run(SYSCTL, (SYSCTL, "-n", "kern.bootsessionuuid"), environment={}, files=files)
        return contents_of(files[1]).removesuffix(b"\n") if status == 0 else b""
    except OSError:
        return b""
    finally:
        for file in files:
            os.close(file)


def _is_uuid(name: bytes) -> bool:
    """Is this a UUID as text: 36 characters, hexadecimal digits in five groups with hyphens between them?"""
    groups = name.split(b"-")
    digits = b"".join(groups)
    return (
        len(name) == BOOT_ID_LENGTH
        and [len(group) for group in groups] == [8, 4, 4, 4, 12]
        and all(digit in b"0123456789abcdefABCDEF" for digit in digits)
    )
