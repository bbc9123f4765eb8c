"""What the hook runs to learn whether a union is still proven: a few lines of sh, written for one publication.

sh reads a file of data byte by byte, and each byte is a system call. A file of commands it reads in one go. So the
publisher writes down what :func:`guard.union.published.is_fresh` compares as commands, each of which must succeed; the
last line alone says what the union is. A script that is missing, empty or cut short says nothing, and that is a miss.

The file is called ``fresh.BOOT.HOST``, after the boot and the machine or container it was made in. The hook asks the
kernel for both names, so it runs nothing that was made elsewhere or that came with a repository's files: whoever makes
an archive of a repository does not know in which boot it will be unpacked. It runs only a file of its own account's
(``-O``) that still has the made-up time :data:`MADE_NS`: whoever writes to a file gives it the time of day.

Only ``g_slot``, ``g_event`` and the names of boot and host are taken from the hook. It reads ``g_state`` and ``g_id``.
"""

from __future__ import annotations

import os

from guard.union.published import layout, names_of, window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.union.lease import Lease
    from guard.union.published import Current

MADE_NS = 86_400 * 10**9
"""The made-up modification time of a script, in ns. It is older than the slot's lock, which has a time of day."""

_BY_SYSCTL = b"sysctl "
_HEAD = b"# Made by guard, which makes it anew. hooks/guard runs it to see whether its union is still proven.\n"
_OR = b" || return 0\n"


def name_of(boot: bytes, host: bytes) -> bytes | None:
    """The file's name; None where boot or host have no name, or one that cannot be a part of a file's."""
    boot = boot.removeprefix(_BY_SYSCTL)
    name = b"fresh.%b.%b" % (boot, host)
    plain = name.replace(b".", b"").replace(b"-", b"").replace(b"_", b"")
    return name if boot and host and len(name) <= 200 and plain.isalnum() else None


def script_of(current: Current, *, slot: bytes) -> bytes:
    """The commands for one publication in a slot's directory, an absolute path.

    They set ``g_state`` if everything is as it was when the union was made, and end with 0 in any case.
    """
    proven = layout(current.files)[0]
    return _HEAD + (b"".join(_lines(current, slot)) if proven else b"")


def _lines(current: Current, slot: bytes) -> Iterator[bytes]:
    place = os.path.join(slot, current.published.name)
    made_in = b"%b.%b" % (current.boot.removeprefix(_BY_SYSCTL), current.host)
    yield b'[ "$g_boot.$g_host" = %b ]' % _quoted(made_in) + _OR
    yield from _environment(current.key)
    # This publication is the one that counts, and it lies where it was made: the repository was not copied.
    yield b'[ "$g_slot/current" -ef %b ]' % _quoted(os.path.join(place, b"current")) + _OR
    if current.lease is not None:
        yield from _lease(current.lease)
    yield b"g_path=$g_slot/%b\n" % current.published.name
    _, files, links, absent = layout(current.files)
    for number, stamp in enumerate(files):
        path, stamped = _quoted(stamp.path), b'"$g_path/s%d"' % number
        yield b"[ -s %b ] && [ -e %b ]" % (path, stamped) + _OR
        yield b"if [ %b -nt %b ] || [ %b -ot %b ]; then return 0; fi\n" % (path, stamped, path, stamped)
    for stamp in links:
        yield b"[ %b -ef %b ]" % (_quoted(stamp.path), _quoted(stamp.real)) + _OR
    for stamp in absent:
        yield b"if [ -s %b ]; then return 0; fi\n" % _quoted(stamp.path)
    if current.due is not None:
        yield from _due(current)
    yield b'[ -e "$g_path/whole" ]' + _OR  # it is deleted first, so everything that was compared belonged together
    yield b"g_id=%b g_state=%b\n" % (current.published.name, current.published.state)


def _environment(key: bytes) -> Iterator[bytes]:
    """Every variable that decides a setting has the value that it had: see :func:`guard.union.published.key_of`."""
    count, *fields = key.split(b"\t")[:-1]
    unset = b"".join(b"${%b+x}" % name for name, field in zip(names_of(count), fields, strict=True) if not field)
    yield b'[ "${GIT_CONFIG_COUNT-}" = %b ] && [ -z "%b" ]' % (_quoted(count), unset) + _OR
    for name, field in zip(names_of(count), fields, strict=True):
        if field:
            yield b'[ "${%b+=$%b}" = %b ]' % (name, name, _quoted(field)) + _OR


def _lease(lease: Lease) -> Iterator[bytes]:
    """The store is a server: what it said holds between two times since the boot (:mod:`guard.union.lease` says why).

    A push always asks, because it uses the network anyway.
    """
    between = window(lease)
    if between is None:
        yield b"return 0\n"  # only Python can tell
        return
    yield b"case $g_event in pre-push | pre-receive) return 0 ;; esac\n"
    yield b"IFS='. ' read -r g_line g_n </proc/uptime" + _OR
    yield b'[ "$g_line" -ge %d ] && [ "$g_line" -lt %d ]' % between + _OR


def _due(current: Current) -> Iterator[bytes]:
    """Has a reservation of the holder's own run out? The holder is told, in that hook.

    /proc/self/stat is always new; where there is no /proc, a file that is written now is.
    """
    if current.boot.startswith(_BY_SYSCTL):
        yield b'echo 2>/dev/null >"$g_slot/now"' + _OR
        yield b'[ "$g_path/due" -nt "$g_slot/now" ]' + _OR
    else:
        yield b'[ "$g_path/due" -nt /proc/self/stat ]' + _OR


def _quoted(text: bytes) -> bytes:
    """A word of sh that stands for exactly these bytes."""
    return b"'" + text.replace(b"'", b"'\\''") + b"'"
