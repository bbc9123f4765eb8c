"""Is guard really in force here? Each reason why it is not has a code, a sentence, and a command that repairs it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from guard.events import by_name, installed_at
from guard.install import access, configured, forges, hookdir, hookfile, managers, placement, pythons
from guard.install.configured import HookConfig
from guard.install.draft import Draft
from guard.install.hookdir import HookDir
from guard.model import EXIT_REFUSED, GuardError
from guard.record import Record
from guard.repo import git, known_settings, settings, standpoint, tracked
from guard.repo.defaults import NOTE, PROJECT_NOTE
from guard.repo.git import Configured
from guard.repo.place import Place
from guard.repo.settings import Setting
from guard.union import obstacle
from guard.union.published import slot_of
from guard.words import quoted, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

HOOK, CONFIGURED, ASIDE, LINE = "hook", "configured", "aside", "line"
HUSKY, LEFTHOOK, FRAMEWORK = "husky", "lefthook", "framework"
_COPY_USED = (CONFIGURED, LINE, HUSKY, LEFTHOOK)
_THROUGH = {
    CONFIGURED: " (through git's configuration)",
    ASIDE: " (run by the manager that moved it aside)",
    LINE: " (through a line in another hook)",
    HUSKY: " (through husky)",
    LEFTHOOK: " (through lefthook)",
    FRAMEWORK: " (through pre-commit's configuration)",
}

PYTHON, COPY, DIRECTORIES, PROJECT = pythons.FILE, b"hook", b"hooks-dirs", PROJECT_NOTE
"""Files in the common directory's guard/: how to start Python (three lines), the hook for managers, the directories
that guard put hooks into, and the project's name as far as guard configured it."""


class Problem(Record):
    """One reason why guard is not, or not fully, in force, and the command that repairs it."""

    code: str
    what: str
    repair: str


class Event(Record):
    """Whether guard judges on an event, how ("" when it does not), and from which file."""

    event: str
    in_force: bool
    how: str = ""
    file: bytes = b""


class Status(Record):
    """Everything that decides whether guard is in force in a repository."""

    events: tuple[Event, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def in_force(self) -> bool:
        """Is guard in force on every event, without any problem?"""
        return not self.problems and all(event.in_force for event in self.events)

    def events_in_force(self) -> list[str]:
        """The events on which guard is in force, each with how, if that is not through git's own hooks."""
        return [event.event + _THROUGH.get(event.how, "") for event in self.events if event.in_force]

    def as_json(self) -> dict[str, Any]:
        """The status as members of the answer in JSON."""
        return {
            "events": [
                {"event": event.event, "in_force": event.in_force, "how": event.how or None, "file": _text(event.file)}
                for event in self.events
            ],
            "problems": [problem._asdict() for problem in self.problems],
            "notes": list(self.notes),
        }


class World(Record):
    """What decides where hooks go: the place, git's configuration and version, and where guard put hooks before.

    ``files`` are the hook files, each read once, as they are or as a plan will leave them.
    """

    place: Place
    entries: tuple[Configured, ...]
    directory: HookDir
    git_version: tuple[int, ...]
    noted: tuple[bytes, ...]
    files: Draft

    def path(self, event: str) -> bytes:
        """The path at which git looks for the event's hook; b"" if git looks nowhere."""
        named = os.path.join(self.directory.path, event.encode()) if self.directory.path else b""
        return forges.hook_file(self.place, event, self.files) or named

    @property
    def events(self) -> tuple[str, ...]:
        """The events whose hooks belong here."""
        return installed_at(self.place)

    @property
    def can_configure(self) -> bool:
        """Does this git run hooks that stand in its configuration?"""
        return self.git_version >= configured.SINCE


def look(place: Place, entries: Sequence[Configured] | None = None) -> World:
    """Asks git and reads what earlier installs noted; ``entries`` is git's configuration, when that is known."""
    entries = git.config() if entries is None else entries
    noted = (hookfile.read(os.path.join(place.own_dir, DIRECTORIES)) or b"").splitlines()
    return World(place, tuple(entries), hookdir.find(place, entries), configured.git_version(), tuple(noted), Draft())


def reasons_not_in_force(place: Place, entries: Sequence[Configured]) -> list[Problem]:
    """Why some event's hook does not run here, or runs too early or too late; [] when every event's runs in time."""
    world = look(place, entries)
    if shut := closed(world):
        return shut
    found = [find(world, event) for event in world.events]
    problems = [problem for event, wrong in found for problem in wrong if _lets_pass(event, problem)]
    return _merged([*problems, *_override_problems(world.directory)], world.events)


def closed(world: World) -> list[Problem]:
    """The repository's directories of hooks, and guard's own, that this account may not read: it is not known what
    is in them."""
    paths = [world.place.own_dir, hookdir.default(world.place)]
    if world.directory.owner not in (hookdir.MACHINE, hookdir.OUTSIDE, hookdir.NOWHERE):
        paths.append(world.directory.path)
    return [
        Problem("unreadable", f"this account may not read {safe(path)}", access.repair(path, errno.EACCES))
        for path in access.closed(paths)
    ]


def refuse_closed(world: World) -> None:
    """Raises :class:`GuardError` if guard would have to change a directory that this account may not read."""
    for problem in closed(world):
        raise GuardError(problem.what, hint=problem.repair, code=EXIT_REFUSED)


def _lets_pass(event: Event, problem: Problem) -> bool:
    """Can a change pass unjudged because of this problem?"""
    return not event.in_force or problem.code == "misplaced"


def status(place: Place) -> Status:
    """Checks everything that can keep a hook from reaching a verdict."""
    world = look(place)
    if shut := closed(world):
        return Status(tuple(Event(event, False) for event in world.events), tuple(shut), ())
    events, problems = [], []
    for event in world.events:
        found, wrong = find(world, event)
        events.append(found)
        problems += wrong
    problems = _merged(problems, world.events)
    notes: list[str] = []
    if world.directory.owner == hookdir.LEFTHOOK and any(event.how == HOOK for event in events):
        notes.append("lefthook moves guard's hooks aside when it synchronizes: guard install says what to add")
    notes += run_after_configured(world, events)
    if any(event.in_force for event in events):
        problems += _data_problems(world, events, notes)
    problems += _override_problems(world.directory)
    problems += _mode_problems(world, notes)
    if place.bare and any(event.in_force for event in events):
        from guard.install import serving

        problems += serving.look_at_store(world)
        notes += serving.notes(world)
    return Status(tuple(events), tuple(problems), tuple(notes))


def run_after_configured(world: World, events: Sequence[Event]) -> list[str]:
    """Which hooks may stage files after guard has judged: git runs those in its configuration before that in the hooks
    directory (git's hook.c, list_hooks).
    """
    notes = []
    for event in events:
        path = world.path(event.event)
        if event.how != CONFIGURED or by_name(event.event).judged_first or not world.files.runs(path):
            continue
        if not world.files.is_ours(path) and not in_directory(world, event.event)[0].in_force:
            notes.append(
                f"git runs {safe(path)} after guard's configured hook for {event.event}: what it stages in addition is"
                " not judged before the push. If it stages files, add guard's line to its end, too: guard help hooks"
            )
    return notes


def find(world: World, event: str) -> tuple[Event, list[Problem]]:
    """How guard is in force for an event, and the problems with that."""
    found, wrong = _in_config(world, event)
    if not found.in_force:
        found, more = in_directory(world, event)
        if found.in_force:
            wrong = [problem for problem in wrong if problem.code == "half-configured"]
        wrong = [*wrong, *more]
    if not found.in_force and not wrong:
        wrong = [_missing(world, event)]
    return found, wrong


def mine_elsewhere(world: World, event: str) -> bytes:
    """A guard hook in a directory git does not look in now, but guard put it there, or git would look by default."""
    for directory in dict.fromkeys((*world.noted, hookdir.default(world.place))):
        path = os.path.join(directory, event.encode())
        elsewhere = directory != world.directory.path and world.files.is_ours(path)
        if elsewhere and hookdir.belongs(world.place, directory):
            return path
    return b""


def _in_config(world: World, event: str) -> tuple[Event, list[Problem]]:
    hook = configured.read(world.entries, event)
    none = Event(event, False)
    if hook.absent:
        return none, []
    if hook.whole(event):
        if world.can_configure:
            return Event(event, True, CONFIGURED, os.path.join(world.place.own_dir, COPY)), []
        what = f"the hook for {event} is configured in git's configuration, which git has run only since 2.54"
        return none, [Problem("git-too-old", f"{what}, and this is {_version(world)}", "guard install")]
    return none, [_faulty(event, hook)]


def _faulty(event: str, hook: HookConfig) -> Problem:
    name = f"hook.guard-{event}"
    if hook.command is None:
        what = f"{name}.event is configured without {name}.command: git fails in every command that runs hooks"
        return Problem("half-configured", what, "guard install")
    if not hook.listed:
        what = f"{name}.command is configured without {name}.event = {event}: it never runs"
        return Problem("half-configured", what, "guard install")
    if hook.off_by:
        what = f"the configured hook for {event} is switched off by {hook.off_by}"
        return Problem("disabled", what, f"git config --unset {hook.off_by}")
    return Problem("outdated", f"{name}.command is not what this guard configures", "guard install")


def in_directory(world: World, event: str) -> tuple[Event, list[Problem]]:
    """How guard is in force through the hooks directory, or through a manager whose hook stands there."""
    path = world.path(event)
    if not path:
        return Event(event, False), []
    if world.files.is_ours(path):
        return _own(world, event, path, HOOK)
    aside = managers.runs_aside(world.files.read(path))
    if aside and world.files.is_ours(path + aside):
        return _runnable(world, event, path, *_own(world, event, path + aside, ASIDE))
    if aside and managers.framework_runs_guard(map(world.files.read, _framework_configs(world.place)), event):
        wrong = placement.in_framework([_contents(world, file) for file in _framework_configs(world.place)], event)
        configs = [file for file in _framework_configs(world.place) if os.path.isfile(file)]
        return _runnable(
            world, event, path, Event(event, True, FRAMEWORK, path), _misplaced(world, configs[0], wrong, event)
        )
    if managers.calls_guard(world.files.read(path), event):
        return _runnable(world, event, path, Event(event, True, LINE, path), _line_problems(world, path, event))
    if world.directory.owner == hookdir.HUSKY:
        return _through_husky(world, event, path, managers.husky_file(world.directory.path, event))
    for config in hookdir.lefthook_configs(world.place):
        if managers.calls_guard(world.files.read(config), event):
            return _through_lefthook(world, event, path, config)
    return Event(event, False), []


def _own(world: World, event: str, path: bytes, how: str) -> tuple[Event, list[Problem]]:
    contents, current = world.files.read(path), hookfile.ours()
    shown = safe(path)
    if not world.files.runs(path):
        return Event(event, False, "", path), [_not_executable(path, "guard install")]
    found = Event(event, True, how, path)
    if contents == current:
        return found, []
    theirs, mine = hookfile.version(contents) or 0, hookfile.version(current) or 0
    if theirs > mine:
        return found, [Problem("newer", f"{shown} was installed by a newer guard", "pip install --upgrade git-guard")]
    if theirs < mine:
        return found, [Problem("outdated", f"{shown} was installed by an older guard", "guard install")]
    return found, [Problem("altered", f"{shown} is not as guard installed it", "guard install")]


def _through_husky(world: World, event: str, path: bytes, file: bytes) -> tuple[Event, list[Problem]]:
    if not managers.calls_guard(world.files.read(file), event):
        return Event(event, False), []
    if os.path.basename(os.path.dirname(path)) == b"_":
        if not world.files.runs(path):
            what = f"{safe(file)} would run guard, but husky's {safe(path)} is not there"
            return Event(event, False), [Problem("manager-not-installed", what, "npx husky")]
    else:
        return _runnable(world, event, file, Event(event, True, HUSKY, file), _line_problems(world, file, event))
    return Event(event, True, HUSKY, file), _line_problems(world, file, event)


def _line_problems(world: World, file: bytes, event: str) -> list[Problem]:
    return _misplaced(world, file, placement.in_script(_contents(world, file), event), event)


def _misplaced(world: World, file: bytes, wrong: str, event: str) -> list[Problem]:
    """The problem of a line that runs guard too early, too late or never; its repair moves it, if one command can."""
    if not wrong:
        return []
    repair = placement.move_command(quoted(file), _contents(world, file), event)
    where = "to the beginning" if by_name(event).judged_first else "to the end"
    return [Problem("misplaced", f"{safe(file)} {wrong}", repair or f"move guard {where} of {event} in {safe(file)}")]


def _contents(world: World, file: bytes) -> bytes:
    return world.files.read(file) or b""


def _through_lefthook(world: World, event: str, path: bytes, config: bytes) -> tuple[Event, list[Problem]]:
    if managers.lefthook_made(world.files.read(path)) and world.files.runs(path):
        configs = hookdir.lefthook_configs(world.place)
        wrong = placement.in_lefthook(
            [placement.section(file, _contents(world, file), event) for file in configs], event
        )
        return Event(event, True, LEFTHOOK, config), _misplaced(world, config, wrong, event)
    what = f"{safe(config)} would run guard, but lefthook's hook for {event} is not installed"
    return Event(event, False), [Problem("manager-not-installed", what, "lefthook install")]


def _runnable(world: World, event: str, path: bytes, found: Event, wrong: list[Problem]) -> tuple[Event, list[Problem]]:
    """The same, unless git passes over the hook that would lead to guard."""
    if world.files.runs(path):
        return found, wrong
    return Event(event, False, "", path), [_not_executable(path, f"chmod +x {quoted(path)}")]


def _not_executable(path: bytes, repair: str) -> Problem:
    """git passes over a hook that it may not execute: because of its mode, or of the file system it is on."""
    if hookdir.is_noexec(path):
        mount = hookdir.mount_point(path)
        what = f"{safe(path)} is on {safe(mount)}, which is mounted noexec: git passes over every hook there"
        return Problem("noexec", what, f"sudo mount -o remount,exec {quoted(mount)}")
    return Problem("not-executable", f"{safe(path)} is not executable: git passes over it", repair)


def _missing(world: World, event: str) -> Problem:
    """Why guard is not in force for an event on which nothing of it was found."""
    path, directory = world.path(event), world.directory
    if directory.owner == hookdir.NOWHERE:
        what = f"core.hooksPath ({directory.scope}) is {safe(directory.setting)!r}, where there are no hooks to run"
        return Problem("no-hooks-directory", what, f"git config --{directory.scope} --unset core.hooksPath")
    for aside in (path + suffix for suffix in managers.ASIDE):
        if world.files.is_ours(aside):
            what = f"another program moved guard's hook to {safe(aside)}, where nothing runs it"
            return Problem("moved-aside", what, "guard install")
    elsewhere = mine_elsewhere(world, event)
    if elsewhere:
        set_by = f"core.hooksPath ({directory.scope}) is" if directory.scope else "without core.hooksPath it is"
        what = f"git looks for hooks in {safe(directory.path)} ({set_by}): guard's are in "
        return Problem("hooks-path-moved", what + safe(os.path.dirname(elsewhere)), "guard install")
    if directory.owner != hookdir.FREE and (directory.owner != hookdir.TRACKED or world.files.exists(path)):
        what = f"{whose(world)}, and nothing there runs guard: guard install says what to add"
        return Problem("line-missing", what, "guard install")
    if os.path.isfile(os.path.join(world.place.own_dir, PYTHON)) and world.files.exists(path):
        what = f"{safe(path)} is somebody else's hook, and does not run guard"
        return Problem("overwritten", what, "guard install")
    return Problem("not-installed", f"guard's hook for {event} is not installed", "guard install")


def whose(world: World) -> str:
    """The reason why guard does not write into the hooks directory."""
    directory = world.directory
    path = safe(directory.path)
    if directory.owner == hookdir.FREE and hookdir.is_noexec(directory.path):
        return f"{path} is on a file system that is mounted noexec"
    return {
        hookdir.HUSKY: f"husky owns {path}",
        hookdir.LEFTHOOK: "lefthook manages the hooks here",
        hookdir.MACHINE: f"{path} is every repository's, by core.hooksPath ({directory.scope})",
        hookdir.OUTSIDE: f"{path} is outside this repository, and others may use it",
        hookdir.NOWHERE: f"core.hooksPath ({directory.scope}) is {safe(directory.setting)!r}, where no hooks are run",
        hookdir.TRACKED: f"{path} is committed, and everybody's",
        hookdir.FREE: "it was configured there before",
    }[directory.owner]


def _merged(problems: list[Problem], events: Sequence[str]) -> list[Problem]:
    """Each thing once; and "not installed" as one sentence."""
    absent = [problem for problem in problems if problem.code == "not-installed"]
    once = list(dict.fromkeys(problem for problem in problems if problem.code != "not-installed"))
    if not absent:
        return once
    if len(absent) == len(events):
        return [Problem("not-installed", "guard's hooks are not installed in this repository", "guard install")]
    return [*once, *absent]


def _data_problems(world: World, events: list[Event], notes: list[str]) -> list[Problem]:
    """What the hook will need to reach a verdict: its Python, guard, and the copy that managers call."""
    hows = {event.how for event in events if event.in_force}
    if hows == {FRAMEWORK}:
        return []
    problems = []
    if hows & set(_COPY_USED):
        copy = os.path.join(world.place.own_dir, COPY)
        contents = world.files.read(copy)
        if contents is None:
            problems.append(Problem("data-missing", f"{safe(copy)}, which is to be run, is missing", "guard install"))
        elif contents != hookfile.ours():
            problems.append(Problem("outdated", f"{safe(copy)} is not this guard's hook", "guard install"))
    note = os.path.join(world.place.own_dir, NOTE)
    if world.files.read(note) is None:
        notes.append(f"{safe(note)} is missing: hooks are slower (repair: guard install)")
    notes += _slow_notes(world)
    return problems + _python_problems(world, os.path.join(world.place.own_dir, PYTHON))


def _slow_notes(world: World) -> list[str]:
    """Why every hook has to start Python here, and what to do about it."""
    found = obstacle.find(os.path.join(world.place.unions_dir, slot_of(standpoint.environment())))
    if found is None:
        return []
    repair = f" (repair: rm -r {quoted(found.path)})" if found.can_go else ""
    return [f"{safe(found.path)} {found.what}, so every hook starts Python, which is slower{repair}"]


def _python_problems(world: World, file: bytes) -> list[Problem]:
    """Why no Python that is noted can start guard here; [] as soon as one can."""
    noted = pythons.read(world.files.read(file))
    if not noted:
        what = f"{safe(file)}, which names the Python to start, is missing or torn"
        return [Problem("data-missing", what, "guard install")]
    first: list[Problem] = []
    for python in noted:
        code, what = pythons.why_unusable(python)
        if not code:
            return []
        # The guard that says so is started by a Python that works, and an install notes that one.
        first = first or [Problem(code, what, "guard install")]
    return first


def _override_problems(directory: HookDir) -> list[Problem]:
    if directory.overridden is None:
        return []
    what = f"core.hooksPath is {safe(directory.overridden)!r} for this process, by git -c or GIT_CONFIG_ variables"
    return [Problem("hooks-path-overridden", what, "unset GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS")]


def _mode_problems(world: World, notes: list[str]) -> list[Problem]:
    """The settings that guard cannot use, and those with which nothing is refused although the hooks run."""
    faults = known_settings.faults(standpoint.environment(), world.entries)
    notes += [
        f"{fault.what}; repair: {fault.repair}".removesuffix("; repair: ") for fault in faults if not fault.serious
    ]
    problems = [Problem("settings", fault.what, fault.repair) for fault in faults if fault.serious]
    problems += _tracked_problems(world, notes)
    try:
        found = settings.read(standpoint.environment(), world.entries, world.place, default_store=os.sep)
    except GuardError as error:
        return problems or [Problem("settings", error.what, error.hint)]
    if settings.skip_variable(standpoint.environment()):
        notes.append("GUARD_SKIP is set: hooks started from here refuse nothing")
    if not found.blocks_on_error():
        notes.append(f"what cannot be judged is let through: guard.onError is allow ({found.on_error.source})")
    mode = found.mode
    if mode.value == "off":
        problems.append(
            Problem("mode-off", f"the mode is off ({mode.source}): nothing is judged", _unset(mode, "mode"))
        )
    if mode.value == "warn":
        problems.append(
            Problem("mode-warn", f"the mode is warn ({mode.source}): nothing is refused", _unset(mode, "mode"))
        )
    return problems


def _tracked_problems(world: World, notes: list[str]) -> list[Problem]:
    """What is wrong with ``.guardconfig``, which everybody who clones the repository reads."""
    name, found = settings.TRACKED_NAME.decode(), tracked.read(world.place)
    if found.fault:
        return [Problem("settings", f"{name} counts for nothing: {found.fault}", f"git config --file {name} --list")]
    notes += [f"{name} sets {key}, which does not count in a file that is shared" for key in found.refused]
    return [
        Problem("settings", fault.what.replace("git config ", f"{name}: ", 1), f"git config --file {name} --edit")
        for fault in known_settings.faults({}, found.entries)
    ]


def _unset(setting: Setting, name: str) -> str:
    if setting.scope == settings.TRACKED.decode():
        return f"git config guard.{name} block   (or change {settings.TRACKED_NAME.decode()})"
    if setting.scope:
        return f"git config --{setting.scope} --unset guard.{name}"
    return f"unset {setting.source.rpartition(' ')[2]}"


def _framework_configs(place: Place) -> list[bytes]:
    return [os.path.join(place.top, name) for name in managers.PRE_COMMIT_CONFIGS] if place.top is not None else []


def _version(world: World) -> str:
    return "git " + ".".join(map(str, world.git_version))


def _text(path: bytes) -> str | None:
    return path.decode("utf-8", "backslashreplace") if path else None
