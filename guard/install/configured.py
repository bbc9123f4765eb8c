"""Hooks in git's configuration (git-hook(1)), which git has run since 2.54, beside those in the hooks directory.

git ends every command that runs hooks when hook.NAME.event stands without hook.NAME.command, or when NAME is an
event: the command is written first, the section removed whole, and the names are guard-pre-commit and so on.
"""

from __future__ import annotations

import re

from guard.record import Record
from guard.repo import git, standpoint
from guard.repo.git import Configured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SINCE = (2, 54)


class HookConfig(Record):
    """What is configured for one event; ``off_by`` is the key that switches the hook or its event off, if one does."""

    command: bytes | None
    listed: bool
    off_by: str
    local: bool

    @property
    def absent(self) -> bool:
        """Is nothing configured for guard's hook?"""
        return self.command is None and not self.listed

    def whole(self, event: str) -> bool:
        """Is guard's hook configured for the event as this guard does it, and not switched off?"""
        return self.command == command(event) and self.listed and not self.off_by


def git_version() -> tuple[int, ...]:
    """The version of the git on PATH, as (2, 54)."""
    found = re.search(rb"(\d+)\.(\d+)", git.run(["--version"]))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def command(event: str) -> bytes:
    """The command that git runs on an event, to which git adds the hook's arguments. It still works after the
    repository was moved.
    """
    return b'sh "$(git rev-parse --git-common-dir)/guard/hook" %b' % event.encode()


def read(entries: Sequence[Configured], event: str) -> HookConfig:
    """What git's configuration says about guard's hook for an event, in any of its files."""
    section = b"hook.%b." % _name(event).encode()
    said: bytes | None = None
    events: list[bytes] = []
    off, event_off, local = "", "", False
    for entry in entries:
        if entry.key == b"hook.%b.enabled" % event.encode():
            event_off = f"hook.{event}.enabled" if _false(entry.value) else ""
        if not entry.key.startswith(section):
            continue
        local = local or entry.scope == b"local"
        key, value = entry.key[len(section) :], entry.value or b""
        if key == b"command":
            said = value
        elif key == b"event":
            events = [*events, value] if value else []  # an empty one clears the list
        elif key == b"enabled":
            off = f"hook.{_name(event)}.enabled" if _false(value) else ""
    return HookConfig(said, event.encode() in events, off or event_off, local)


def writing(event: str) -> list[tuple[list[bytes | str], tuple[int, ...]]]:
    """The changes that configure guard's hook for an event, in their order: arguments and accepted exit statuses."""
    section = f"hook.{_name(event)}"
    return [
        (["--replace-all", f"{section}.command", command(event)], (0,)),
        (["--replace-all", f"{section}.event", event], (0,)),
        (["--unset-all", f"{section}.enabled"], (0, 5)),
    ]


def removing(event: str) -> list[bytes | str]:
    """The change that removes this section."""
    return ["--remove-section", f"hook.{_name(event)}"]


def with_hook(entries: Sequence[Configured], event: str) -> tuple[Configured, ...]:
    """git's configuration as it is after :func:`writing`."""
    section = b"hook.%b." % _name(event).encode()
    new = [(b"command", command(event)), (b"event", event.encode())]
    made = [Configured(b"local", b"", section + key, value) for key, value in new]
    return (*without_hook(entries, event), *made)


def without_hook(entries: Sequence[Configured], event: str) -> tuple[Configured, ...]:
    """git's configuration as it is after :func:`removing`."""
    section = b"hook.%b." % _name(event).encode()
    return tuple(entry for entry in entries if not (entry.scope == b"local" and entry.key.startswith(section)))


def change(arguments: Sequence[bytes | str], *, accept: tuple[int, ...] = (0,)) -> None:
    """Changes the repository's own configuration, which its worktrees share."""
    environment = {name: value for name, value in standpoint.environment().items() if name != b"GIT_CONFIG"}
    git.run(["config", "--local", *arguments], environment=environment, accept=accept)


def _name(event: str) -> str:
    return f"guard-{event}"


def _false(value: bytes | None) -> bool:
    return value is not None and value.lower() in (b"false", b"no", b"off", b"0", b"")
