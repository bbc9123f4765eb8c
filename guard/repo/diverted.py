"""Does this command use another project or another store than this repository's own?

A variable such as GUARD_PROJECT, an option such as ``git -c guard.db=…``, another HOME or another GIT_CONFIG_GLOBAL may
name another project or store than ``guard install`` noted. Such a setting counts. But guard then ignores the
reservations that this repository usually looks at, so it prints a warning.
"""

from __future__ import annotations

import os

from guard.record import Record
from guard.repo.defaults import PROJECT_NOTE, read_note
from guard.words import quoted, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.repo.git import Configured
    from guard.repo.place import Place
    from guard.repo.settings import Setting, Settings

_OF_REPOSITORY = (b"local", b"worktree")
_OF_PROCESS = (b"command",)


class Diversion(Record):
    """A setting that names another project or store. ``what`` is "project" or "store", ``usual`` its usual value."""

    what: str
    setting: Setting
    usual: str

    def sentence(self) -> str:
        """The warning: which setting names what, what that means, and the command that repairs it."""
        from guard.repo.secrets import bare_of_password

        key = "guard.db" if self.what == "store" else "guard.project"
        named = bare_of_password(self.setting.value)
        said = f"{self.setting.source} names the {self.what} {safe(named)}, and this repository's is {safe(self.usual)}"
        meant = f"git config {key} {quoted(os.fsencode(named))}"
        return f"{said}: what is reserved there is not looked at (repair: {self._undo(key)}; or, if meant: {meant})"

    def _undo(self, key: str) -> str:
        if self.setting.scope == "command":
            return f"leave out -c {key}=…, and: unset GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS"
        from guard.repo.settings import TRACKED

        if self.setting.scope == TRACKED.decode():
            return "guard install, which notes the name that the file now gives"
        if self.setting.scope:
            return f"git config --{self.setting.scope} --unset {key}"
        if self.setting.source.startswith("the environment variable "):
            return f"unset {self.setting.source.rpartition(' ')[2]}"
        return f"git config {key} {quoted(os.fsencode(self.usual))}"


def diversions(
    settings: Settings, environment: Mapping[bytes, bytes], entries: Sequence[Configured], place: Place
) -> list[Diversion]:
    """The settings that name another project or store than this repository's own; [] when there are none.

    ``settings`` were read from ``environment`` and ``entries``. The usual value is the one in the repository's own
    configuration, else the one that ``guard install`` noted, else the one that holds without the variables and options
    of this process. Reads at most two small files.
    """
    found = []
    project = _usual_project(settings, environment, entries, place)
    if project and project != settings.project.value:
        found.append(Diversion("project", settings.project, project))
    store = _usual_store(settings, environment, entries, place)
    if store and not _is_same_place(store, settings.store.value):
        found.append(Diversion("store", settings.store, store))
    return found


def _usual_project(
    settings: Settings, environment: Mapping[bytes, bytes], entries: Sequence[Configured], place: Place
) -> str:
    configured = _configured(entries, b"guard.project")
    if configured:
        return configured.decode("utf-8", "backslashreplace")
    try:
        with open(os.path.join(place.own_dir, PROJECT_NOTE), "rb") as file:
            noted = file.read().rstrip(b"\n")
    except OSError:
        noted = b""
    if noted:
        return noted.decode("utf-8", "backslashreplace")
    return _without_process(environment, entries, place).project.value if _is_of_process(settings.project) else ""


def _usual_store(
    settings: Settings, environment: Mapping[bytes, bytes], entries: Sequence[Configured], place: Place
) -> str:
    if _configured(entries, b"guard.db") or (not read_note(place.own_dir) and _is_of_process(settings.store)):
        return _without_process(environment, entries, place).store.value
    note = read_note(place.own_dir)
    return note.address if note else ""


def _configured(entries: Sequence[Configured], key: bytes) -> bytes:
    """The value in the repository's own configuration; b"" when it has none."""
    values = [entry.value for entry in entries if entry.key == key and entry.scope in _OF_REPOSITORY]
    return (values[-1] or b"") if values else b""


def _is_of_process(setting: Setting) -> bool:
    return setting.scope.encode() in _OF_PROCESS or setting.source.startswith("the environment variable ")


def _without_process(environment: Mapping[bytes, bytes], entries: Sequence[Configured], place: Place) -> Settings:
    """The settings as they would be without guard's variables and without the options of this one command."""
    from guard.repo.settings import read

    plain = {name: value for name, value in environment.items() if name not in (b"GUARD_DB", b"GUARD_PROJECT")}
    return read(plain, [entry for entry in entries if entry.scope not in _OF_PROCESS], place)


def _is_same_place(one: str, other: str) -> bool:
    """Do two addresses name one store? Passwords, and symbolic links and ``..`` in a path, make no difference."""
    if "://" in one or "://" in other:
        from guard.repo.secrets import bare_of_password

        return bare_of_password(one) == bare_of_password(other)
    return one == other or os.path.realpath(one) == os.path.realpath(other)
