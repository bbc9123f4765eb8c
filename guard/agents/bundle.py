"""Writes the file from which the stub takes guard's modules (:mod:`guard.agents.preload`).

The file lies beside the stub. Its first line names the format and the very Python that compiled it, for another one
would not understand the code. Then follow the code of the preloader and the table of modules, in the form of
:mod:`marshal`; the code of each module is packed once more, so that only what is imported is unpacked. A file that is
missing, of another Python, or older than guard's sources costs time and nothing else.
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
"""What an edit loads of which it is proven that nobody holds the file. Everything else is imported in the ordinary way:
a longer file takes longer to read, also where nothing of it is needed."""


def contents() -> bytes:
    """The contents of the file, for this Python and this guard. Raises :class:`OSError`."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    _, _, _, _, preloader = _compiled(home, PRELOADER)
    table = {name: _compiled(home, name) for name in MODULES}
    return first_line() + marshal.dumps((preloader, table))


def first_line() -> bytes:
    """What names the format and this Python."""
    return b"%b%b\n" % (FORMAT, sys.version.replace("\n", " ").encode())


def _compiled(home: str, name: str) -> tuple[str, int, int, bool, bytes]:
    path = os.path.join(home, *name.split("."))
    package = os.path.isdir(path)
    source = os.path.join(path, "__init__.py") if package else path + ".py"
    # The time is taken first: a source that is changed meanwhile is then younger than what is bundled.
    status = os.stat(source)
    with open(source, "rb") as file:
        code = compile(file.read(), source, "exec", dont_inherit=True, optimize=2)  # without docstrings
    return source, status.st_mtime_ns, status.st_size, package, marshal.dumps(code)
