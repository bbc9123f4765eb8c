"""Is guard in force here? The short answer for the commands that people use all day.

``guard status`` looks at everything (:mod:`guard.install.inforce`). ``guard reserve``, ``check`` and ``list`` only need
to know whether the hooks run at all. Where guard's own hooks are in place, that is a few stats and reads of small
files; only where they are not, everything is looked at, so that the reason and its repair can be named.
"""

from __future__ import annotations

import os

from guard import events
from guard.install import hookfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.repo.git import Configured
    from guard.repo.place import Place


def remarks_in_force(place: Place, entries: Sequence[Configured], *, mode: str = "block") -> tuple[str, ...]:
    """Says why reservations are not enforced here, one sentence for each reason; nothing when they are.

    ``entries`` are git's configuration as it holds here, ``mode`` is guard's mode (``block``, ``warn`` or ``off``).
    Raises :class:`guard.model.GuardError` when git cannot be asked, which happens only where something is wrong.
    """
    remarks = []
    if not is_plainly_installed(place, entries):
        from guard.install.inforce import reasons_not_in_force

        remarks += [f"{problem.what} (repair: {problem.repair})" for problem in reasons_not_in_force(place, entries)]
    if mode == "off":
        remarks.append("guard's mode is off here: nothing is judged (repair: git config guard.mode block)")
    elif mode == "warn":
        remarks.append("guard's mode is warn here: nothing is refused (repair: git config guard.mode block)")
    return tuple(f"not in force: {remark}" for remark in remarks)


def is_plainly_installed(place: Place, entries: Sequence[Configured]) -> bool:
    """Does git find guard's own hooks, which it can run, and the file that names guard's Python?

    If so, nothing else decides whether guard is in force. If not, it may be in force through another program's hooks,
    and what those run stands in files that only :mod:`guard.install.inforce` knows.
    """
    directory = hooks_directory(place, entries)
    if directory is None or not os.path.isfile(os.path.join(place.own_dir, b"python")):
        return False
    paths = [os.path.join(directory, name.encode()) for name in events.installed_at(place)]
    return all(hookfile.runs(path) and hookfile.is_ours(path) for path in paths)


def hooks_directory(place: Place, entries: Sequence[Configured]) -> bytes | None:
    """Where git looks for hooks; None when that takes more than a look at the configuration to find out."""
    named = [entry.value or b"" for entry in entries if entry.key == b"core.hookspath"]
    if not named:
        return os.path.join(place.common_dir, b"hooks")
    if named[-1][:1] in (b"", b"~", b"%", b":"):
        return None
    return os.path.join(place.top or place.git_dir, named[-1])
