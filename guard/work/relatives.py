"""Does the store have this repository's project under another name, too?

A repository is recognised by its first commits, the roots of its history. ``guard install`` asks git for them and notes
them in the store and beside the hooks. ``guard status`` asks again; ``guard reserve`` uses what was noted.
"""

from __future__ import annotations

import os

from guard.model import GuardError
from guard.repo.defaults import PROJECT_NOTE, read_note
from guard.repo.project import bare_remote, project_of_place, project_of_repository, remote_of, ssh_host
from guard.repo.tracking import repository_at
from guard.words import quoted, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.stores.interface import Store
    from guard.work.here import Here

NOTE = b"history"
"""The file in the common directory's guard/: the remote's address as it was at install, then one root commit on each
line.
"""
ROOTS_MAX = 64
PATIENCE_S = 20


def adopt(here: Here, store: Store) -> str:
    """Before guard is installed: takes over the project name that another repository on this machine has.

    That is done when all of this holds: another project of the store has the same root commits; its name is the git
    directory of a repository that still exists; and the remote of that repository now gives the name that this one
    would get. So guard was installed there before it had the remote. Returns what was done, in words; "" for nothing.
    """
    setting = here.settings.project
    if setting.source.startswith(("git config", "the environment")):
        return ""
    roots = _ask_for_roots(here)
    others = store.projects_with_roots(roots) if roots else {}
    named = project_of_place(here.entries, here.place, resolve=ssh_host).name if others else ""
    for name in others:
        if name != named and project_of_repository(os.fsencode(name), here.entries, resolve=ssh_host) == named:
            from guard.install import configured

            configured.change(["guard.project", os.fsencode(name)])
            return (
                f"The project is {safe(name)}, as in that repository, whose remote is the same"
                " (git config guard.project)."
            )
    return ""


def remember(here: Here, store: Store, *, adopted: bool = False) -> None:
    """Notes this repository's root commits in the store and beside the hooks, for ``guard install``."""
    roots = _ask_for_roots(here)
    if store.kind.writable and roots:
        store.remember_roots(here.project, roots)
    lines = [os.fsencode(bare_remote(here.entries)), *(oid.encode() for oid in roots)]
    _write(os.path.join(here.place.own_dir, NOTE), lines)
    if adopted:
        _write(os.path.join(here.place.own_dir, PROJECT_NOTE), [os.fsencode(here.project)])


def remarks(here: Here, store: Store, *, ask: bool) -> list[str]:
    """Remarks about this repository's project: other names for it, and a remote that has changed.

    With ``ask``, for install and status, git and ssh are asked, and projects without reservations are named, too.
    Without it, only what was noted at install counts, and no process is started unless the remote has changed.
    """
    url, roots = _read(here)
    if ask:
        roots = _ask_for_roots(here) or roots
        if roots and store.kind.writable and os.path.isdir(here.place.own_dir):
            store.remember_roots(here.project, roots)
    found = []
    for name, count in sorted(store.projects_with_roots(roots).items()) if roots else ():
        if name != here.project and (count or ask):
            what = "1 reservation" if count == 1 else f"{count or 'no'} reservations"
            found.append(
                f"another project in this store has the same history: {safe(name)} has {what}."
                f" Is it the same repository? Then: git config guard.project {quoted(os.fsencode(name))}"
            )
    return [*found, *_drift(here, url), *_another_store(here)]


def _another_store(here: Here) -> list[str]:
    """A remark when the remote is a repository on this machine whose reservations are in another store.

    This happens when two accounts each have a clone and a store: neither would see the other's reservations.
    """
    name, url = remote_of(here.entries)
    there = repository_at(url, here.place) if url else None
    note = read_note(os.path.join(there, b"guard")) if there else None
    mine = here.settings.store.value
    if note is None or note.address == mine or os.path.realpath(note.address) == os.path.realpath(mine):
        return []
    return [
        f"the remote {safe(name)} is a repository on this machine whose reservations are in another store:"
        f" {safe(note.address)}. Neither side sees what the other reserves. To share that store (guard help teams):"
        f" git config guard.db {quoted(os.fsencode(note.address))}, then: guard install"
    ]


def _drift(here: Here, noted_url: str | None) -> list[str]:
    """A remark when the project that install noted is no longer the one that the remote gives."""
    if noted_url is None or noted_url == bare_remote(here.entries):
        return []
    recorded = _first_line(os.path.join(here.place.own_dir, PROJECT_NOTE))
    if recorded != os.fsencode(here.project):
        return []  # somebody chose this name
    now = project_of_place(here.entries, here.place, resolve=ssh_host)
    if now.name == here.project:
        return []
    return [
        f"the project is {safe(here.project)}, as guard install recorded it, and {now.source} now gives"
        f" {safe(now.name)}: clones of it may be there. To go there: git config guard.project"
        f" {quoted(os.fsencode(now.name))}"
    ]


def _ask_for_roots(here: Here) -> list[str]:
    """The root commits of HEAD's history, as hex oids; [] if they are not known.

    A shallow clone does not have them (git's shallow.txt). Gives up after PATIENCE_S seconds.
    """
    if os.path.exists(os.path.join(here.place.common_dir, b"shallow")):
        return []
    import subprocess  # ``guard reserve`` never comes here, and this import takes longer than a start of Python

    command: list[bytes | str] = ["git", "--no-replace-objects", "-C", here.place.top or here.place.git_dir]
    try:
        done = subprocess.run(
            [*command, "rev-list", "--max-parents=0", f"--max-count={ROOTS_MAX}", "HEAD", "--"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
            env={**here.environment, b"GIT_GRAFT_FILE": b"/dev/null"},
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.decode("ascii", "replace").split() if done.returncode == 0 else []


def _read(here: Here) -> tuple[str | None, list[str]]:
    try:
        with open(os.path.join(here.place.own_dir, NOTE), "rb") as file:
            url, *roots = file.read().decode("utf-8", "surrogateescape").split("\n")[:-1]
    except (OSError, ValueError):
        return None, []
    return url, roots


def _first_line(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.readline().rstrip(b"\n")
    except OSError:
        return b""


def _write(path: bytes, lines: Sequence[bytes]) -> None:
    temporary = path + b".%d" % os.getpid()
    try:
        with open(temporary, "wb") as file:
            file.write(b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines))
        os.replace(temporary, path)
    except OSError as error:
        raise GuardError(f"{safe(path)} cannot be written: {error.strerror}", hint="guard install") from error
