"""The table of git events that guard judges. A new event is a new row here.

Every hook stage loads this module, so it imports nothing heavy. The functions that list changes import what they
need when they are called.
"""

from __future__ import annotations

from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guard.model import Change
    from guard.repo.git import Configured
    from guard.repo.place import Place


class Started(Record):
    """How git started a hook (githooks(5)): where, with which environment and arguments, and what it wrote to stdin.

    ``stdin`` is b"" for an event that does not read it. ``entries`` are git's configuration.
    """

    place: Place
    environment: Mapping[bytes, bytes]
    arguments: Sequence[str]
    stdin: bytes = b""
    entries: Sequence[Configured] = ()


class Event(Record):
    """One event.

    ``name`` is git's name for the hook. ``verb`` is what the user does, in messages ("this commit").
    ``changes`` lists the changed paths; it may raise :class:`guard.model.GuardError`.
    ``reads_stdin`` tells whether git writes ref updates to the hook's standard input.
    ``judged_first`` tells whether guard judges before the other hooks of the event. Where it is false, the other
    hooks may still stage files, so guard judges after them.
    ``framework_id`` is the hook's id in .pre-commit-hooks.yaml, "" when it has none.
    ``receives`` marks an event of a repository that is pushed to: only bare repositories get its hook.
    """

    name: str
    verb: str
    changes: Callable[[Started], list[Change]]
    reads_stdin: bool = False
    judged_first: bool = False
    framework_id: str = ""
    receives: bool = False


def _of_commit(started: Started) -> list[Change]:
    from guard.repo import changes

    return changes.of_commit(started.place)


def _of_merge(started: Started) -> list[Change]:
    from guard.repo import changes

    return changes.of_merge(started.place, started.environment)


def _of_push(started: Started) -> list[Change]:
    from guard.repo import changes

    lines = started.stdin or changes.pushed_by_manager(started.environment)
    return changes.of_push(lines, started.place, started.entries)


def _of_received(started: Started) -> list[Change]:
    from guard.repo import changes

    return changes.of_received(changes.received_refs(started.stdin))


EVENTS = (
    Event("pre-commit", "commit", _of_commit, framework_id="guard"),
    Event("pre-merge-commit", "merge", _of_merge, framework_id="guard-merge"),
    Event("pre-push", "push", _of_push, reads_stdin=True, judged_first=True, framework_id="guard-push"),
    Event("pre-receive", "push", _of_received, reads_stdin=True, judged_first=True, receives=True),
)
"""The events in the order in which they are installed and shown."""

NAMES = tuple(event.name for event in EVENTS)


def by_name(name: str) -> Event:
    """The row of an event. Raises KeyError for a name that is not in the table."""
    return _BY_NAME[name]


def installed_in(*, bare: bool, worktrees: bool = False) -> tuple[Event, ...]:
    """The events whose hooks ``guard install`` puts into a repository.

    Others push to a ``bare`` repository, and nobody commits there. When ``worktrees`` are linked to it, people commit
    in these, and they share its hooks.
    """
    return tuple(event for event in EVENTS if (bare if event.receives else worktrees or not bare))


def installed_at(place: Place) -> tuple[str, ...]:
    """The names of the events whose hooks ``guard install`` puts into the repository at a place."""
    return tuple(event.name for event in installed_in(bare=place.bare, worktrees=place.has_worktrees))


_BY_NAME = {event.name: event for event in EVENTS}
