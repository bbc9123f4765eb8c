"""``guard install`` and ``guard uninstall``: first look, then plan, then apply.

Looking reads every hook file once. The plan is data: steps, and messages about them. ``--dry-run`` prints the steps and
does none of them.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from guard.install import access, registry
from guard.install.inforce import Event, Problem, Status, status
from guard.install.plan import Plan, Report, ToAdd
from guard.install.putting_in import plan_install
from guard.install.taking_out import plan_uninstall
from guard.lock import Locked
from guard.model import EXIT_REFUSED, GuardError
from guard.repo.place import Place
from guard.words import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Event", "Problem", "Report", "Status", "ToAdd", "install", "status", "uninstall"]

PATIENCE_S = 60.0
"""How many seconds an install waits for another one in the same repository."""


def install(place: Place, *, dry_run: bool = False) -> Report:
    """Puts guard's hooks in force, or reports what to do; the code of the report is 0 only when they are in force.

    Doing it again is harmless. Raises :class:`GuardError` when a file cannot be written, or when another install does
    not end.
    """
    report = _carry_out(place, plan_install, dry_run=dry_run)
    return report if dry_run else _noted(report, registry.add, place)


def uninstall(place: Place, *, dry_run: bool = False) -> Report:
    """Takes out guard's hooks and puts back the hooks that it kept. The code of the report is 1 when there was nothing
    of guard's.
    """
    report = _carry_out(place, plan_uninstall, dry_run=dry_run)
    return report if dry_run else _noted(report, registry.remove, place)


def _carry_out(place: Place, make: Callable[[Place], Plan], *, dry_run: bool) -> Report:
    try:
        with _one_at_a_time(place):
            plan = make(place)
            if not dry_run:
                plan.files.perform()
    except OSError as error:
        raise _cannot(error) from error
    return plan.report(dry_run=dry_run)


@contextmanager
def _one_at_a_time(place: Place) -> Iterator[None]:
    """Waits for another install. On a file system without locks, it does not wait."""
    lock = Locked(place.common_dir, flags=os.O_RDONLY | os.O_DIRECTORY, patience_s=PATIENCE_S)
    try:
        lock.__enter__()
    except TimeoutError as error:
        raise GuardError(str(error), hint="try the same command again", code=EXIT_REFUSED) from error
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        yield
        return
    try:
        yield
    finally:
        lock.__exit__()


def _noted(report: Report, change: Callable[[Place], None], place: Place) -> Report:
    """Updates the account's list of repositories. Without the list, only ``--all`` misses this repository."""
    try:
        change(place)
    except OSError as error:
        note = f"the list of repositories for --all was not changed: {registry.path()}: {error.strerror}"
        return report._replace(notes=(*report.notes, safe(note)))
    return report


def _cannot(error: OSError) -> GuardError:
    name = error.filename if error.filename is not None else b"a file"
    path = os.fsencode(name if isinstance(name, (bytes, str)) else str(name))
    what = f"cannot write {safe(path)}: {error.strerror or error}"
    return GuardError(what, hint=access.repair(path, error.errno), code=EXIT_REFUSED)
