"""What the hook runs to learn whether a union is still proven: a few lines of sh, written for one publication.

sh reads a file of data byte by byte, and each byte is a system call. A file of commands it reads in one go. So the
publisher writes down what :func:`guard.union.published.is_fresh` compares as commands, each of which must succeed; the
last one alone says what the union is. A script that is missing, empty or cut short says nothing, and that is a miss.

The file is called ``fresh.BOOT.HOST``, after the boot and the machine or container it was made in. The hook asks the
kernel for both names, so it runs nothing that was made elsewhere or that came with a repository's files: whoever makes
an archive of a repository does not know in which boot it will be unpacked. It runs only a file of its own account's
(``-O``) that still has the made-up time :data:`MADE_NS`: whoever writes to a file gives it the time of day.

Only ``g_slot``, ``g_event`` and the names of boot and host are taken from the hook. It reads ``g_state`` and ``g_id``.

**Times are compared by "not newer and not older".** A shell may call a file neither, when it or the other is absent
(dash), or may call it newer (bash). So both are first seen to be there. Each step must succeed, also the negated ones:
a shell that does not know ``-nt`` ends them with 2, which is a miss.
"""

from __future__ import annotations

import os

from guard.union.published import layout, names_of, window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.union.published import Current

MADE_NS = 86_400 * 10**9
"""The made-up modification time of a script, in ns. It is older than the slot's lock, which has a time of day."""

_BY_SYSCTL = b"sysctl "
_HEAD = b"# Made by guard, which makes it anew. The hook runs it.\n"


def name_of(boot: bytes, host: bytes) -> bytes | None:
    """The name of the script's file; None if the boot or the host has no name that can be a part of it."""
    boot = boot.removeprefix(_BY_SYSCTL)
    name = b"fresh.%b.%b" % (boot, host)
    plain = name.replace(b".", b"").replace(b"-", b"").replace(b"_", b"")
    return name if boot and host and len(name) <= 200 and plain.isalnum() else None


def stamp_of(number: int) -> bytes:
    """The path, in a publication's directory, of what has the modification time of a watched file: from 0 on."""
    return b"/".join([b"s"] * (number + 1))


def git_of(count: int) -> bytes:
    """The path, in a publication's directory, of the link to the git directory: in the last of ``count`` stamps."""
    return b"s/" * count + b"git"


def script_of(current: Current, *, slot: bytes) -> bytes:
    """The commands for one publication in a slot's directory, an absolute path.

    They set ``g_state`` if everything is as it was when the union was made.
    """
    between = None if current.lease is None else window(current.lease)
    if not layout(current.files)[0] or (current.lease is not None and between is None):
        return _HEAD  # only Python can tell
    return _HEAD + b" &&\n".join(_steps(current, slot, between)) + b"\n"


def _steps(current: Current, slot: bytes, between: tuple[int, int] | None) -> Iterator[bytes]:
    _, files, links, absent = layout(current.files)
    name = current.published.name
    place = os.path.join(slot, name)
    made_in = b"%b.%b" % (current.boot.removeprefix(_BY_SYSCTL), current.host)
    yield from _environment(made_in, current.key)
    if between is not None:
        yield from _lease(between)
    # All stamps are there, and $g_git is the repository that they were made for: its directory has no second name. (In
    # a copy that was made of hard links, "cp -al", each file of a publication is the very file that was copied.)
    yield b"g_path=$g_slot/%b" % name
    yield b'[ "$g_git" -ef "$g_path/%b" ]' % git_of(len(files))
    for number, stamp in enumerate(files):
        path, stamped = _quoted(stamp.path), b'"$g_path/%b"' % stamp_of(number)
        yield b"[ -s %b ] && [ ! %b -nt %b ] && [ ! %b -ot %b ]" % (path, path, stamped, path, stamped)
    for stamp in links:
        yield b"[ %b -ef %b ]" % (_quoted(stamp.path), _quoted(stamp.real))
    for stamp in absent:
        yield b"[ ! -s %b ]" % _quoted(stamp.path)
    if current.due is not None:
        yield from _due(current)
    # This publication is the one that counts. No file of it is ever written again, so what was compared belonged
    # together.
    yield b'[ "$g_slot/current" -ef %b ]' % _quoted(os.path.join(place, b"current"))
    yield b"g_id=%b g_state=%b" % (name, current.published.state)


def _environment(made_in: bytes, key: bytes) -> Iterator[bytes]:
    """Every variable that decides a setting has the value that it had: see :func:`guard.union.published.key_of`.

    All are compared at once, with a tab before each value. No value with a tab was published, so no other values look
    the same.
    """
    count, *fields = key.split(b"\t")[:-1]
    unset = b"".join(b"${%b+x}" % name for name, field in zip(names_of(count), fields, strict=True) if not field)
    given = [(name, field) for name, field in zip(names_of(count), fields, strict=True) if field]
    asked = b"".join(b"\t${%b+=$%b}" % (name, name) for name, _ in given)
    said = b"".join(b"\t" + field for _, field in given)
    wanted = _quoted(made_in + b"," + count + said)
    yield b'[ "$g_boot.$g_host,${GIT_CONFIG_COUNT-}%b%b" = %b ]' % (unset, asked, wanted)


def _lease(between: tuple[int, int]) -> Iterator[bytes]:
    """The store is a server: what it said holds between two times since the boot (:mod:`guard.union.lease` says why).

    A push always asks, because it uses the network anyway.
    """
    yield b'[ "$g_event" != pre-push ] && [ "$g_event" != pre-receive ]'
    yield b"IFS='. ' read -r g_line g_n </proc/uptime"
    yield b'[ "$g_line" -ge %d ] && [ "$g_line" -lt %d ]' % between


def _due(current: Current) -> Iterator[bytes]:
    """Commands that test whether a reservation of the holder's own has run out, because the holder is told in that
    hook.

    /proc/self/stat is always new; without /proc, a file that is written now is compared. It lies in the publication,
    where nothing lies but what guard has made: by another name in the slot, a symbolic link could lead it elsewhere.
    """
    if current.boot.startswith(_BY_SYSCTL):
        yield b'echo 2>/dev/null >"$g_path/now"'
        yield b'[ "$g_path/due" -nt "$g_path/now" ]'
    else:
        yield b'[ "$g_path/due" -nt /proc/self/stat ]'


def _quoted(text: bytes) -> bytes:
    """A word of sh that stands for exactly these bytes."""
    return b"'" + text.replace(b"'", b"'\\''") + b"'"
