"""The note of a session: the files that it has reserved by editing. It is a file beside the stub.

The note answers two questions without the store: was the lease of a file renewed within the last minute, and what has
to be released when the session ends? It does not say what others hold. When it cannot be read or written, guard takes
more time and is as safe as before.
"""

from __future__ import annotations

import os

from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.agents.payload import Call
    from guard.agents.programs import Program

RENEWED_EVERY_MS = 60_000
"""A lease that was made by editing is renewed at most once in this time."""


class Edited(Record):
    """A file that the session has edited.

    ``at`` is when the file was last seen to be held by this session (Unix ms). ``id`` is the number of the reservation
    that the edit made, 0 if the session held the file already by another reservation.
    """

    at: int
    id: int
    git_dir: bytes
    path: bytes


def file_of(stub_dir: bytes, holder: bytes) -> bytes:
    """The path of a holder's note. A name that is no plain file name is written in hexadecimal digits."""
    plain = holder.replace(b"-", b"").replace(b"_", b"").replace(b"@", b"")
    name = holder if plain.isalnum() and plain.isascii() and len(holder) <= 100 else b"x" + holder.hex().encode()[:200]
    return os.path.join(stub_dir, b"sessions", name)


def note_of(stub_dir: bytes, program: Program, call: Call) -> bytes:
    """The path of the note of the session that makes a call."""
    return file_of(stub_dir, b"%b-%b" % (program.name.encode(), call.session.encode("utf-8", "surrogateescape")))


def read(file: bytes) -> list[Edited]:
    """The lines of a note that can be parsed, the oldest first."""
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
    """Was each of the paths held by this session within the last minute? ``now_ms`` is in Unix ms."""
    if not paths or not os.path.exists(file):
        return not paths
    recent = {
        edited.path for edited in read(file) if edited.git_dir == git_dir and 0 <= now_ms - edited.at < RENEWED_EVERY_MS
    }
    return recent.issuperset(paths)


def add(file: bytes, edited: list[Edited]) -> None:
    """Adds lines to the note with a single write, because several hooks of one session may run at the same time."""
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
    """Removes all notes of a session."""
    for kind in (b"", b".auto", b".before"):
        try:
            os.unlink(file + kind)
        except OSError:
            continue
