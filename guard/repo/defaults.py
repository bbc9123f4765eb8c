"""Where the store is when no setting names one: where ``guard install`` noted it, else in the account's own directory.

The note is in the common git directory. So every worktree, account, container and value of HOME finds the same store,
or an error says that it cannot be reached.
"""

from __future__ import annotations

import os
import sys

from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

STORE_NOTE = b"store"
"""The file in the common directory's guard/ with two lines: the store's address, and the name of its kind."""
NOTE = b"default-store"
"""The file that earlier versions wrote; its first line is the default path."""
PROJECT_NOTE = b"project"
"""The file with one line: the project that ``guard install`` found for this repository."""
HOST_NOTE = b"host"
"""The file with two lines: what identifies this machine, and the host name that it had when guard was installed."""


class Note(Record):
    """Where ``guard install`` found or made this repository's store. ``kind`` is "" in a note of an earlier version."""

    address: str
    kind: str


def store_path(environment: Mapping[bytes, bytes]) -> str:
    """The absolute path of the account's own store: one file in the platform's directory for the account's data.

    The directory is $XDG_DATA_HOME, else ~/.local/share (XDG Base Directory Specification). On macOS it is
    ~/Library/Application Support, and platformdirs finds it. Elsewhere platformdirs is not used: its import takes twice
    as long as a start of Python, and it reads the environment of this process instead of ``environment``.
    """
    if sys.platform == "darwin":
        from platformdirs import user_data_dir

        return os.path.join(user_data_dir("guard", appauthor=False), "guard.db")
    base = environment.get(b"XDG_DATA_HOME", b"")
    if not base.strip():
        home = environment.get(b"HOME") or os.path.expanduser(b"~")
        base = os.path.join(home, b".local/share")
    return os.fsdecode(os.path.join(base, b"guard/guard.db"))


def read_note(own_dir: bytes) -> Note | None:
    """The note in a repository's guard directory; None if there is none or it cannot be read."""
    for name, words in ((STORE_NOTE, 2), (NOTE, 1)):
        try:
            with open(os.path.join(own_dir, name), "rb") as file:
                lines = file.read().split(b"\n")
        except OSError:
            continue
        if len(lines) > words and lines[0]:
            return Note(os.fsdecode(lines[0]), os.fsdecode(lines[1]) if words > 1 else "")
    return None


def write_note(own_dir: bytes, note: Note) -> bool:
    """Notes where the store is; returns whether the note has changed.

    Every account that may read the repository may read the note, so a password in the address is left out. Raises
    :class:`OSError`.
    """
    from guard.repo.secrets import bare_of_password

    lines = [bare_of_password(note.address), note.kind]
    return _write(os.path.join(own_dir, STORE_NOTE), lines)


def read_host(own_dir: bytes) -> str:
    """The host name that ``guard install`` noted on this machine; "" if it ran on another machine or noted none."""
    try:
        with open(os.path.join(own_dir, HOST_NOTE), "rb") as file:
            machine, name, *_ = os.fsdecode(file.read()).split("\n")
    except (OSError, ValueError):
        return ""
    return name if machine and machine == _machine() else ""


def write_host(own_dir: bytes, name: str) -> None:
    """Notes the host's name, unless one is noted for this machine already. Raises :class:`OSError`."""
    machine = _machine()
    if machine and not read_host(own_dir):
        _write(os.path.join(own_dir, HOST_NOTE), [machine, name])


def _machine() -> str:
    """What identifies this machine, also after its host name has changed (machine-id(5)); "" where nothing does.

    macOS has no such file. All Macs count as one machine, because two of them seldom use one repository's directory.
    """
    if sys.platform == "darwin":
        return "darwin"
    try:
        with open("/etc/machine-id", encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _write(path: bytes, lines: list[str]) -> bool:
    """Replaces a file's contents; returns False if the file already has them."""
    contents = b"".join(os.fsencode(line) + b"\n" for line in lines)
    try:
        with open(path, "rb") as file:
            if file.read() == contents:
                return False
    except FileNotFoundError:
        pass
    temporary = path + b".%d" % os.getpid()
    with open(temporary, "wb") as writer:
        writer.write(contents)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
    return True


def note(environment: Mapping[bytes, bytes]) -> bytes:
    """The contents of the note that earlier versions read: the default path, and the variables that decide it."""
    lines = [
        os.fsencode(store_path(environment)),
        environment.get(b"HOME", b""),
        environment.get(b"XDG_DATA_HOME", b""),
    ]
    return b"".join(line + b"\n" for line in lines)
