"""Hook files: guard's own, which is the same everywhere, and how a hook file is read and written."""

from __future__ import annotations

import os
import re
import stat

from guard.model import GuardError

TEMPORARY = b".guard-"
"""The beginning of the name of a file that is still being written."""
_ID = re.compile(rb"#![^\n]*\n(?:\{ )?# guard hook ([0-9]{1,9}):")
READ_MAX = 1 << 20


def ours() -> bytes:
    """The bytes of the hook of this guard. Raises :class:`GuardError` when the installation is incomplete."""
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
    """The first MiB of a file; None if the path is not a regular file or cannot be read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a fifo must not stop us
            return file.read(READ_MAX) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None


def is_ours(path: bytes) -> bool:
    """Is the file a hook of guard's, of any version?"""
    return version(read(path)) is not None


def runs(path: bytes) -> bool:
    """Would git run this file?"""
    return os.path.isfile(path) and os.access(path, os.X_OK)


def write(path: bytes, contents: bytes, *, mode: int) -> None:
    """Replaces a file in one step. A symbolic link is replaced itself; the file that it points to stays as it is.

    The file gets the given mode less the umask. But everybody who may enter the directory may read the file, and run
    it if ``mode`` says so: in a shared repository, git passes over a hook that it may not run. Raises OSError.
    """
    directory = os.path.dirname(path)
    umask = os.umask(0o077)
    os.umask(umask)
    allowed = (mode & ~umask) | (mode & os.stat(directory).st_mode & 0o055)
    import tempfile  # with shutil and random, as long as half a Python start

    try:
        file, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=directory)
    except OSError as error:
        error.filename = path
        raise
    try:
        with open(file, "wb") as writer:
            writer.write(contents)
            os.fchmod(file, allowed)
            writer.flush()
            os.fsync(file)
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename = path  # write(2) names no file, and the temporary one means nothing to a person
        try:
            os.unlink(temporary)
        except OSError:
            pass  # contextlib's suppress would say the same, and takes 2 ms to import
        raise
