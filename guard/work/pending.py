"""Which changes are not pushed yet? ``guard release`` warns of them, or keeps reservations until they are pushed.

git runs no hook after a push, but a remote-tracking ref moves only when a push has succeeded (git-push(1)). So a
reservation that is to end after the push is noted in the common git directory, and each later guard command in any
worktree of this clone checks whether there is still something to push. The reservation keeps its expiry, so it is never
kept for ever.
"""

from __future__ import annotations

import os

from guard.model import MINUTE_MS, GuardError
from guard.record import Record
from guard.repo import git
from guard.repo.index import Index, specs
from guard.repo.place import Place
from guard.repo.tracking import as_glob, tracking
from guard.stores.interface import Actor, Chosen
from guard.work.here import now_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from guard.model import Reservation
    from guard.work.here import Here

KEPT_MS = 24 * 60 * MINUTE_MS
"""The shortest lease of a reservation that waits for a push, in ms."""


class Pending(Record):
    """What has to be committed or pushed below a pattern: changed paths, and the number of unpushed commits."""

    uncommitted: tuple[bytes, ...] = ()
    unpushed: int = 0

    def words(self) -> str:
        """The same as a part of a sentence; "" when nothing is left."""
        parts = []
        if self.uncommitted:
            count = len(self.uncommitted)
            parts.append(f"{count} uncommitted change{'s' if count > 1 else ''}")
        if self.unpushed:
            parts.append(f"{self.unpushed} unpushed commit{'s' if self.unpushed > 1 else ''}")
        return " and ".join(parts)


def left(here: Here, patterns: Sequence[bytes]) -> Pending:
    """What this worktree has changed below the patterns and has not pushed."""
    if here.place.top is None or not patterns:
        return Pending()
    return _left(here, here.index, patterns, "HEAD")


def _left(here: Here, index: Index, patterns: Sequence[bytes], revision: str) -> Pending:
    return Pending(
        tuple(_touched(index.changed(), patterns, fold=here.settings.fold)), _unpushed(here, patterns, revision)
    )


def _touched(paths: Sequence[bytes], patterns: Sequence[bytes], *, fold: bool) -> list[bytes]:
    if not paths:
        return []
    from guard.patterns.match import Union

    return Union(patterns, fold=fold).touched(paths)


def _unpushed(here: Here, patterns: Sequence[bytes], revision: str) -> int:
    """How many commits of a revision change paths that the patterns cover, and are on no ref that tracks a remote.

    0 if there is no remote to push to, and if there is no such revision.
    """
    if not any(entry.key.startswith(b"remote.") and entry.key.endswith(b".url") for entry in here.entries):
        return 0
    environment = {**here.environment, b"GIT_DIR": here.place.git_dir}
    if here.place.top is not None:
        environment[b"GIT_WORK_TREE"] = here.place.top
    for name in (b"GIT_LITERAL_PATHSPECS", b"GIT_GLOB_PATHSPECS", b"GIT_NOGLOB_PATHSPECS", b"GIT_ICASE_PATHSPECS"):
        environment.pop(name, None)
    asked: list[bytes | str] = [
        "rev-list",
        "--count",
        revision,
        "--not",
        *(b"--glob=" + as_glob(ref) for ref in tracking(here.entries, here.place)),
        "--",
        *specs(patterns, fold=here.settings.fold),
    ]
    status, said = git.answer(asked, environment=environment, directory=here.place.top, accept=(0, 128))
    return int(said) if status == 0 else 0


# Leases that end after a push


def keep_until_pushed(here: Here, rows: Sequence[Reservation]) -> tuple[Reservation, ...]:
    """Notes that reservations end when their changes have been pushed; returns them with their expiry as it is now."""
    import json

    place = here.place
    branch = git.answer(["symbolic-ref", "--quiet", "HEAD"], directory=place.top, accept=(0, 1))[1].strip()
    revision = branch or git.run(["rev-parse", "HEAD"], directory=place.top).strip()
    directory = _directory(place)
    os.makedirs(directory, exist_ok=True)
    for row in rows:
        noted = {
            "id": row.id,
            "project": row.project,
            "holder": row.holder,
            "principal": here.actor.principal,
            "pattern": os.fsdecode(row.pattern),
            "revision": os.fsdecode(revision),
            "top": os.fsdecode(place.top or b""),
            "git_dir": os.fsdecode(place.git_dir),
        }
        name = os.path.join(directory, b"%d" % row.id)
        with open(name + b".new", "w", encoding="ascii") as file:
            json.dump(noted, file)
        os.replace(name + b".new", name)
    remains = [row.expires_at - now_ms() for row in rows if row.expires_at is not None]
    with here.writing() as store:
        length = max([KEPT_MS, *remains])
        return store.renew(here.actor, Chosen(ids=tuple(row.id for row in rows)), ttl_ms=length).reservations


def settle(here: Here) -> list[str]:
    """Ends the noted reservations of this clone whose changes have all been pushed; returns the messages to their
    holder.
    """
    said = []
    for name in notes_of(here.place):
        noted = _read(name)
        if noted is None or noted.get("project") != here.project:
            continue
        said += _settle(here, name, noted)
    return said


def _settle(here: Here, name: bytes, noted: dict[str, Any]) -> list[str]:
    pattern = os.fsencode(str(noted["pattern"]))
    holder, number = str(noted["holder"]), int(noted["id"])
    held = {row.id: row for row in here.store.active(here.project).reservations if row.holder == holder}
    if number not in held:
        _forget(name)
        return []
    top = os.fsencode(str(noted["top"]))
    place = Place(os.fsencode(str(noted["git_dir"])), here.place.common_dir, top if os.path.isdir(top) else None)
    if _left(here, Index(place, here.environment), [pattern], str(noted["revision"])) != Pending():
        return []
    actor = Actor(here.project, holder, str(noted["principal"]))
    with here.writing() as store:
        store.release(actor, Chosen(ids=(number,)))
    _forget(name)
    from guard.words import pattern as shown

    return [f"released #{number} {shown(held[number])}: its changes have been pushed"] if holder == here.me else []


def _directory(place: Place) -> bytes:
    return os.path.join(place.own_dir, b"after-push")


def notes_of(place: Place) -> Sequence[bytes]:
    """The notes of this clone's reservations that end after a push, as files."""
    try:
        names = os.listdir(_directory(place))
    except OSError:
        return ()
    return [os.path.join(_directory(place), name) for name in sorted(names) if name.isdigit()]


def _read(name: bytes) -> dict[str, Any] | None:
    import json  # only where something waits for a push: importing it takes a third of a Python start

    try:
        with open(name, encoding="ascii") as file:
            noted = json.load(file)
    except (OSError, ValueError):
        return None
    wanted = ("id", "project", "holder", "principal", "pattern", "revision", "top", "git_dir")
    return noted if isinstance(noted, dict) and all(key in noted for key in wanted) else None


def _forget(name: bytes) -> None:
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass  # another command has settled it
    except OSError as error:
        raise GuardError(f"{os.fsdecode(name)} cannot be removed: {error.strerror}", hint="guard status") from error
