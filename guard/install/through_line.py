"""What a hook calls when a line in somebody else's hook, or a hook manager, has called guard.

A commit has to be judged after everything that may stage more files. When the line stands before other commands, a
clear verdict proves nothing. Then each commit gets a warning, and a commit is stopped when a path that somebody holds
is changed in the work tree and could still be staged.
"""

from __future__ import annotations

import os

from guard import hook
from guard.hook import Line
from guard.repo.place import in_hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: Sequence[str]) -> None:
    """As :func:`guard.hook.main`."""
    hook.main(words, look_at_line=line_of)


def by_hand(event: str, arguments: Sequence[str]) -> int:
    """As :func:`guard.hook.by_hand`."""
    return hook.by_hand(event, arguments, look_at_line=line_of)


def line_of(event: str) -> Line:
    """The line that runs guard for an event, and what is wrong with its place. Raises
    :class:`guard.model.GuardError`.
    """
    from guard.install import hookdir, inforce  # heavy, and a refusal needs none of it

    place = in_hook()
    world = inforce.look(place)
    found, problems = inforce.find(world, event)
    files = [found.file] if found.file else []
    if found.how == inforce.LEFTHOOK and place.top is not None:  # one that is absent may come
        files = [os.path.join(place.top, name) for name in hookdir.LEFTHOOK_CONFIGS]
    misplaced = next((problem for problem in problems if problem.code == "misplaced"), None)
    if misplaced is None:
        return Line("", "", tuple(files))
    return Line(misplaced.what, misplaced.repair, tuple(files))
