"""Writes the file from which the stub takes guard's modules (:mod:`guard.agents.preload`).

The file is beside the stub. Its first line names the format and the Python that compiled it, because another Python
cannot read the code. The code of the preloader and the table of modules follow, in the form of :mod:`marshal`. The code
of each module is packed once more, so that only imported modules are unpacked. A file that is missing, of another
Python, or older than guard's sources only costs time.
"""

from __future__ import annotations

import marshal
import os
import sys

CODE_FILE = "agent-code"
FORMAT = b"guard code 1 "
"""What the first line begins with; ``hooks/agent`` compares the line."""

PRELOADER = "guard.agents.preload"

MODULES = (
    *("guard", "guard.model", "guard.record", "guard.system"),
    *("guard.agents", "guard.agents.identity", "guard.agents.limits", "guard.agents.locate", "guard.agents.notes"),
    *(
        "guard.agents.patch",
        "guard.agents.payload",
        "guard.agents.programs",
        "guard.agents.quick",
        "guard.agents.start",
    ),
    *("guard.patterns", "guard.patterns.grammar", "guard.repo", "guard.repo.place", "guard.repo.variables"),
    *("guard.stores", "guard.stores.freshness"),
    *("guard.union", "guard.union.fast", "guard.union.patterns", "guard.union.published"),
)
"""The modules that a hook loads for an edit of a file that nobody holds. Other modules are imported in the ordinary
way, because a longer file takes longer to read in every hook."""


def contents() -> bytes:
    """The contents of the file, for this Python and this guard. Raises :class:`OSError`."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    _, _, _, _, preloader = _compiled(home, PRELOADER)
    table = {name: _compiled(home, name) for name in MODULES}
    return first_line() + marshal.dumps((preloader, table))


def first_line() -> bytes:
    """The first line of the file, which names the format and this Python."""
    return b"%b%b\n" % (FORMAT, sys.version.replace("\n", " ").encode())


def _compiled(home: str, name: str) -> tuple[str, int, int, bool, bytes]:
    path = os.path.join(home, *name.split("."))
    package = os.path.isdir(path)
    source = os.path.join(path, "__init__.py") if package else path + ".py"
    # The time is taken first, so that a source that is changed meanwhile is younger than the time in the bundle.
    status = os.stat(source)
    with open(source, "rb") as file:
        code = compile(file.read(), source, "exec", dont_inherit=True, optimize=2)  # without docstrings
    return source, status.st_mtime_ns, status.st_size, package, marshal.dumps(code)
