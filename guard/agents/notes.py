"""What a session has reserved by editing: a note beside the stub, one file for each session.

It answers two questions without opening the store: was this file's lease renewed within the last minute, and what is
there to release when the session ends? The note proves nothing about others: that is what the verdict is for. A note
that cannot be read or written costs time and no safety.
"""

from __future__ import annotations

import os

from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.agents.payload import Call
    from guard.agents.programs import Program

RENEWED_EVERY_MS = 60_000
"""A lease that editing made is renewed at most this often."""


class Edited(Record):
    """A file that was reserved by editing: when (Unix ms) it was last seen to be held, and its reservation's id.

    The id is 0 for a file that was held already, by a reservation that was made on purpose.
    """

    at: int
    id: int
    git_dir: bytes
    path: bytes


def file_of(stub_dir: bytes, holder: bytes) -> bytes:
    """The note of a holder. A name that is no plain file name is spelled in hexadecimal digits."""
    plain = holder.replace(b"-", b"").replace(b"_", b"").replace(b"@", b"")
    name = holder if plain.isalnum() and plain.isascii() and len(holder) <= 100 else b"x" + holder.hex().encode()[:200]
    return os.path.join(stub_dir, b"sessions", name)


def note_of(stub_dir: bytes, program: Program, call: Call) -> bytes:
    """The note of the session that makes a call."""
    return file_of(stub_dir, b"%b-%b" % (program.name.encode(), call.session.encode("utf-8", "surrogateescape")))


def read(file: bytes) -> list[Edited]:
    """All lines that can be read, the oldest first."""
    try:
        with open(file, "rb") as opened:
            lines = opened.read().split(b"\n")
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            at, number, place = line.split(b" ", 2)
            git_dir, path = place.split(b"\0")
            found.append(Edited(int(at), int(number), git_dir, path))
        except ValueError:
            continue
    return found


def is_recent(file: bytes, git_dir: bytes, paths: tuple[bytes, ...], *, now_ms: int) -> bool:
    """Was each of the paths seen to be held by this session within the last minute?"""
    if not paths or not os.path.exists(file):
        return not paths
    recent = {
        edited.path for edited in read(file) if edited.git_dir == git_dir and 0 <= now_ms - edited.at < RENEWED_EVERY_MS
    }
    return recent.issuperset(paths)


def add(file: bytes, edited: list[Edited]) -> None:
    """Appends to the note, in one write: several hooks of one session may run at once."""
    lines = [
        b"%d %d %b\0%b\n" % each for each in edited if b"\n" not in each.git_dir + each.path and b"\0" not in each.path
    ]
    if not lines:
        return
    try:
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(opened, b"".join(lines))
        finally:
            os.close(opened)
    except OSError:
        return  # the next edit asks the store again, and the leases end by themselves


def remove(file: bytes) -> None:
    """Forgets a session."""
    for kind in (b"", b".auto", b".before"):
        try:
            os.unlink(file + kind)
        except OSError:
            continue
