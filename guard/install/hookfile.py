"""Hook files: guard's own, which is static, and those of others, which are kept beside it and put back.

Nothing is written through a symbolic link, and nothing of others' is opened for writing: their files are renamed,
so bytes, mode, times, and what kind of file they are stay as they were.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile

from guard.model import GuardError

KEPT = b".before-guard"
"""What a kept hook's name ends in; further ones are called .before-guard.2, .3 and so on. hooks/guard runs them."""

_TEMPORARY = b".guard-"
_ID = re.compile(rb"#![^\n]*\n(?:\{ )?# guard hook ([0-9]{1,9}):")
_READ_MAX = 1 << 20


def ours() -> bytes:
    """The hook as this guard brings it. Raises :class:`GuardError` when the installation is incomplete."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(os.fsencode(__file__))))
    places = (os.path.join(package, b"hooks", b"guard"), os.path.join(os.path.dirname(package), b"hooks", b"guard"))
    for place in places:  # in an installed package, and in a checkout of guard's sources
        contents = read(place)
        if contents is not None:
            return contents
    raise GuardError(f"guard's own hook is missing: {os.fsdecode(places[0])!a}", hint="install guard again")


def line_program() -> str:
    """The path of the program of sh that shows the cached line in prompts; "" when the installation lacks it."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    places = (os.path.join(package, "hooks", "line"), os.path.join(os.path.dirname(package), "hooks", "line"))
    return next(filter(os.path.isfile, places), "")


def version(contents: bytes | None) -> int | None:
    """The number in the id line of a guard hook; None for anybody else's."""
    found = _ID.match(contents or b"")
    return int(found[1]) if found else None


def read(path: bytes) -> bytes | None:
    """The beginning of a file, at most 1 MiB; None when it is none, or cannot be read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a fifo must not stop us
            return file.read(_READ_MAX) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None


def is_ours(path: bytes) -> bool:
    return version(read(path)) is not None


def runs(path: bytes) -> bool:
    """Would git run this file?"""
    return os.path.isfile(path) and os.access(path, os.X_OK)


def write(path: bytes, contents: bytes, *, mode: int) -> None:
    """Puts a file in place in one step. What stood there is replaced; a link is, too, and not what it points to.

    Its mode is the one given less the umask, but never closer than the directory's: who may enter a shared
    repository has to be able to read its hooks, for git passes over one that it cannot run.
    """
    directory = os.path.dirname(path)
    umask = os.umask(0o077)
    os.umask(umask)
    allowed = (mode & ~umask) | (mode & os.stat(directory).st_mode & 0o055)
    file, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=directory)
    try:
        with open(file, "wb") as writer:
            writer.write(contents)
            os.fchmod(file, allowed)
            writer.flush()
            os.fsync(file)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def sweep(directory: bytes) -> None:
    """Removes what a killed install may have left half-written."""
    for name in os.listdir(directory) if os.path.isdir(directory) else []:
        path = os.path.join(directory, name)
        if name.startswith(_TEMPORARY) and (contents := read(path)) is not None and ours().startswith(contents):
            os.unlink(path)


def take(path: bytes) -> bytes | None:
    """Puts guard's hook at a path, and keeps what somebody else has there; returns the name that is kept under.

    There is a hook at the path at every moment: what is kept gets its second name before it loses its first.
    """
    kept = None
    if os.path.lexists(path) and not is_ours(path):
        kept = keep(path)
    write(path, ours(), mode=0o755)
    return kept


def keep(path: bytes) -> bytes | None:
    """Gives a file a second name beside it, under which it is kept; returns that.

    Where the file system knows no second names, the file is renamed. Called again it changes nothing.
    None when it turns out to be guard's own.
    """
    names = kept(path)
    if names and _same_file(names[-1], path):
        return names[-1]
    number = 1 + max((_number(name) for name in names), default=0)
    name = path + KEPT + (b"" if number == 1 else b".%d" % number)
    try:
        os.link(path, name, follow_symlinks=False)
    except (OSError, NotImplementedError):
        os.rename(path, name)
    if is_ours(name):  # another install was faster
        os.unlink(name)
        return None
    return name


def kept(path: bytes) -> list[bytes]:
    """The files that are kept for a path, the first kept first."""
    directory, base = os.path.split(path)
    try:
        names = [os.path.join(directory, name) for name in os.listdir(directory) if name.startswith(base + KEPT)]
    except OSError:
        return []
    return sorted((name for name in names if _number(name)), key=_number)


def put_back(path: bytes) -> bytes | None:
    """Gives the file that was kept last its name back; returns the name it was kept under, None if there is none."""
    names = kept(path)
    if not names:
        return None
    if os.path.lexists(path) and _same_file(names[-1], path):
        os.unlink(names[-1])  # renaming one name of a file to another of its names does nothing
        return names[-1]
    if stat.S_ISDIR(os.lstat(names[-1]).st_mode) and os.path.lexists(path):
        os.unlink(path)  # a directory cannot take a file's place
    os.replace(names[-1], path)
    return names[-1]


def retire(name: bytes) -> bytes:
    """Renames a kept file so that it is no longer run; returns the new name, which :func:`kept` does not list.

    When a file just like it was retired before, it is removed instead, and that one's name is returned.
    """
    base = name.rpartition(KEPT)[0] + KEPT
    number = 1
    while os.path.lexists(retired := b"%b-replaced%b" % (base, b"" if number == 1 else b".%d" % number)):
        if same(name, retired):
            os.unlink(name)
            return retired
        number += 1
    os.rename(name, retired)
    return retired


def same(one: bytes, other: bytes) -> bool:
    """Are two files alike, in bytes, mode and kind?"""
    try:
        first, second = os.lstat(one), os.lstat(other)
    except OSError:
        return False
    if not stat.S_ISREG(first.st_mode) or (first.st_mode, first.st_size) != (second.st_mode, second.st_size):
        return False
    return first.st_size < _READ_MAX and read(one) == read(other)


def _number(name: bytes) -> int:
    """1 for NAME.before-guard, 2 for NAME.before-guard.2, …; 0 for any other name."""
    tail = name.rpartition(KEPT)[2]
    if not tail:
        return 1
    return int(tail[1:]) if tail[:1] == b"." and tail[1:].isdigit() and len(tail) < 9 else 0


def _same_file(one: bytes, other: bytes) -> bool:
    return os.path.samestat(os.lstat(one), os.lstat(other))
