"""Which Pythons can start guard in a repository: the file ``guard/python`` in the common git directory.

Several machines, containers, accounts and environments may use one repository, each with a Python of its own. The file
has three lines for each: the interpreter, the directory of the guard package, and the directory of its libraries. The
newest installation comes first. The hook takes the first one that is usable where it runs.
"""

from __future__ import annotations

import os
import sys

from guard.install import hookfile
from guard.model import EXIT_REFUSED, GuardError
from guard.record import Record
from guard.words import safe

FILE = b"python"
_MOST = 8
"""How many are noted at most; the oldest are dropped."""


class Python(Record):
    """An interpreter, the directory that holds the guard package, and the one that holds its libraries."""

    interpreter: bytes
    home: bytes
    libraries: bytes


def own() -> Python:
    """The Python that runs now. Raises :class:`GuardError` when a hook could not start it."""
    from importlib.util import find_spec

    spec = find_spec("pathspec")
    if not sys.executable or spec is None or spec.origin is None:
        what = "which Python to start" if spec else "where pathspec is"
        raise GuardError(f"cannot find out {what}", hint="install guard again", code=EXIT_REFUSED)
    package = os.path.dirname(os.path.dirname(os.path.abspath(os.fsencode(__file__))))
    libraries = os.path.dirname(os.path.dirname(os.path.abspath(os.fsencode(spec.origin))))
    found = Python(os.path.abspath(os.fsencode(sys.executable)), os.path.dirname(package), libraries)
    for path in found:
        if b"\n" in path:
            raise GuardError(f"no hook can start a Python in {safe(path)}: a newline is in it", code=EXIT_REFUSED)
    return found


def read(contents: bytes | None) -> list[Python]:
    """The Pythons that the file notes; a torn entry at its end does not count."""
    lines = (contents or b"").split(b"\n")[:-1]
    return [Python(*lines[at : at + 3]) for at in range(0, len(lines) - 2, 3)]


def with_first(contents: bytes | None, first: Python) -> bytes:
    """The file's new contents: one Python first, then the others that were noted."""
    others = [each for each in read(contents) if each[:2] != first[:2]]
    return b"".join(line + b"\n" for each in [first, *others][:_MOST] for line in each)


def why_unusable(python: Python) -> tuple[str, str]:
    """Why the hook cannot use a Python here, as a problem's code and a sentence; two empty strings when it can.

    An interpreter that is there is started, as the hook starts it.
    """
    if not hookfile.runs(python.interpreter):
        return "interpreter-gone", f"the Python guard was installed with is gone: {safe(python.interpreter)}"
    if not os.path.isfile(os.path.join(python.home, b"guard", b"hook.py")):
        return "guard-gone", f"guard itself is gone from {safe(python.home)}"
    said = _start(python)
    return ("guard-broken", f"{safe(python.interpreter)} cannot start guard: {safe(said)}") if said else ("", "")


def _start(python: Python) -> str:
    """Imports what a hook imports; "" when that works, else the last line of what was said."""
    import subprocess

    program = "import sys; sys.path[:0] = sys.argv[1:3]; import guard.hook, guard.judge, guard.stores.sqlite, pathspec"
    command: list[str | bytes] = [python.interpreter, "-I", "-S", "-c", program, python.home, python.libraries]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
    return "" if done.returncode == 0 else (lines or [f"it ended with status {done.returncode}"])[-1]
