"""``guard install`` and ``guard uninstall``: guard's hooks into a repository, and out of it without a trace.

A hook of somebody else's is kept under another name beside guard's, which runs it; where the hooks directory is not
for guard to write to, the hooks go into git's configuration, or it is said which line to add to whose file.
"""

from __future__ import annotations

import errno
import os
import shutil
from typing import Any

from guard.events import NAMES as EVENTS
from guard.install import configured, generators, hookdir, hookfile, languages, managers, pythons
from guard.install.inforce import (
    ASIDE,
    COPY,
    DIRECTORIES,
    HOOK,
    LEFTHOOK,
    LINE,
    PROJECT,
    PYTHON,
    Event,
    Problem,
    Status,
    World,
    find,
    in_directory,
    look,
    mine_elsewhere,
    status,
    whose,
)
from guard.model import EXIT_DONE, EXIT_REFUSED, GuardError
from guard.record import Record
from guard.repo import defaults, git, settings
from guard.repo.place import Place
from guard.repo.project import ssh_host
from guard.words import quoted, safe

__all__ = ["Event", "Problem", "Report", "Status", "ToAdd", "install", "status", "uninstall"]


class ToAdd(Record):
    """Lines that only the user can add, since the file is theirs or everybody's."""

    file: str
    lines: str


class Report(Record):
    """What was done, as sentences; what else is to be known; lines to add by hand; and the exit code."""

    done: tuple[str, ...]
    notes: tuple[str, ...]
    to_add: tuple[ToAdd, ...]
    code: int

    def as_json(self) -> dict[str, Any]:
        return {"done": list(self.done), "notes": list(self.notes), "to_add": [add._asdict() for add in self.to_add]}


class _Log:
    """Collects a report."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.notes: list[str] = []
        self.to_add: dict[str, list[ToAdd]] = {}

    def add_lines(self, why: str, file: bytes, lines: str) -> None:
        self.to_add.setdefault(why, []).append(ToAdd(safe(file), lines))

    def add_to_hook(self, why: str, path: bytes, event: str) -> None:
        """Asks for the line that runs guard in a hook of somebody else's."""
        addition = languages.addition(event, hookfile.read(path))
        self.add_lines(f"{why} Add {addition.where}:", path, addition.lines)

    def report(self, code: int) -> Report:
        notes = [*map(_in_words, self.to_add, self.to_add.values()), *dict.fromkeys(self.notes)]
        return Report(tuple(self.done), tuple(notes), tuple(add for adds in self.to_add.values() for add in adds), code)


def _in_words(why: str, adds: list[ToAdd]) -> str:
    blocks = ["\n".join(f"      {line}" for line in add.lines.split("\n")) for add in adds]
    return "\n\n".join([why, *(f"  {add.file}\n{block}" for add, block in zip(adds, blocks, strict=True)), ""])


def install(place: Place) -> Report:
    """Puts guard's hooks in force, or says what to do; the code is 0 only when they are. Doing it again is harmless.

    Raises :class:`GuardError` when a file cannot be written.
    """
    try:
        return _install(place)
    except OSError as error:
        raise _cannot(error) from error


def uninstall(place: Place) -> Report:
    """Takes out what guard put in, and puts back what it kept. The code is 1 when there was nothing of guard's."""
    try:
        return _uninstall(place)
    except OSError as error:
        raise _cannot(error) from error


# Installing


def _install(place: Place) -> Report:
    log = _Log()
    _refuse_older(look(place))
    _lay_data(place, log)
    _fix_project(place, log)
    world = look(place)
    for event in EVENTS:
        _install_event(world, event, log)
    _say_lefthook(world, log)
    after = look(place)
    found = [find(after, event) for event in EVENTS]
    missing = [event.event for event, _ in found if not event.in_force]
    for problem in dict.fromkeys(problem for _, wrong in found for problem in wrong):
        if problem.code in ("noexec", "misplaced"):
            log.notes.append(f"{problem.what} (repair: {problem.repair})")
    if not missing:
        return log.report(EXIT_DONE)
    log.notes.append(f"not in force for {', '.join(missing)}. When that is done, check with: guard status")
    return log.report(EXIT_REFUSED)


def _refuse_older(world: World) -> None:
    """A hook of a newer guard's must not be replaced by ours: its data may be newer as well."""
    mine = hookfile.version(hookfile.ours()) or 0
    paths = [world.path(event) for event in EVENTS if world.path(event)]
    for path in [os.path.join(world.place.own_dir, COPY), *paths]:
        if (hookfile.version(hookfile.read(path)) or 0) > mine:
            what = f"{safe(path)} was installed by a newer guard"
            raise GuardError(what, hint="pip install --upgrade git-guard", code=EXIT_REFUSED)


def _lay_data(place: Place, log: _Log) -> None:
    """Writes what every hook needs into the common directory's guard/."""
    own = place.own_dir
    if os.path.islink(own):
        raise GuardError(f"{safe(own)} is a symbolic link", hint=f"rm {quoted(own)}", code=EXIT_REFUSED)
    if not os.path.isdir(own):
        os.mkdir(own)
        os.chmod(own, os.stat(place.common_dir).st_mode & 0o2777)
    python = pythons.own()
    noted = os.path.join(own, PYTHON)
    _update(noted, pythons.with_first(hookfile.read(noted), python), 0o644)
    _update(os.path.join(own, defaults.NOTE), defaults.note(os.environb), 0o644)
    _update(os.path.join(own, COPY), hookfile.ours(), 0o755)
    linked_top = place.top if place.git_dir != place.common_dir else None
    in_linked = linked_top is not None and python.interpreter.startswith(linked_top + b"/")
    if in_linked or b"/.cache/" in python.interpreter:
        why = "goes when this worktree goes; all worktrees share the hooks" if in_linked else "is in a cache"
        better = "Better: guard install with a guard that is installed where it stays"
        log.notes.append(f"hooks will start {safe(python.interpreter)}, which {why}. {better}")


def _update(path: bytes, contents: bytes, mode: int) -> None:
    if os.path.islink(path) or hookfile.read(path) != contents:
        hookfile.write(path, contents, mode=mode)


def _fix_project(place: Place, log: _Log) -> None:
    """Configures the project's name, so that a remote added later does not give it another one."""
    environment = {name: value for name, value in os.environb.items() if name != b"GUARD_PROJECT"}
    found = settings.read(environment, git.config(), place, default_store=os.sep, resolve=ssh_host)
    if found.project.scope:
        return
    found = found._replace(project=found.project._replace(value=safe(found.project.value)))
    name = os.fsencode(found.checked_project())
    _update(os.path.join(place.own_dir, PROJECT), name + b"\n", 0o644)
    configured.change(["guard.project", name])
    log.done.append(f"The project is {safe(name)}, from {found.project.source} (git config guard.project).")


def _install_event(world: World, event: str, log: _Log) -> None:
    found, _ = in_directory(world, event)
    owner = world.directory.owner
    lasts = found.in_force and not (found.how == HOOK and owner == hookdir.LEFTHOOK)
    in_config = configured.read(world.entries, event).local
    if in_config and (lasts or not world.can_configure):
        configured.remove(event)  # or guard would be called twice
        in_config = False
    passed_over = world.can_configure and hookdir.is_noexec(world.directory.path)
    if owner == hookdir.FREE and not in_config and not passed_over:
        _install_free(world, event, found, log)
    elif lasts:
        _refresh_through(world, found, log)
    elif owner == hookdir.TRACKED and not os.path.lexists(world.path(event)) and not world.can_configure:
        _take(world, event, log)
        log.notes.append(
            f"{safe(world.path(event))} is in the work tree, where it can be committed: it names nothing of this "
            "machine, and in a clone where guard is not installed it only says so"
        )
    elif world.can_configure:
        configured.write(event)
        log.done.append(f"Configured {event} in git's configuration (hook.guard-{event}): {whose(world)}.")
        log.notes.append("git before 2.54 passes over configured hooks: commits made with one are not judged")
        _withdraw_if_lefthooks(world, event, log)
    else:
        _say_what_to_add(world, event, log)


def _install_free(world: World, event: str, found: Event, log: _Log) -> None:
    """Into a directory that is this repository's own."""
    path = world.path(event)
    if found.how == ASIDE:
        _refresh(found.file, log)
        _drop_duplicates(path)
        log.done.append(f"{event} is in force: {safe(path)}, which moved guard's hook aside, runs it first.")
    elif found.how == LINE:
        log.done.append(f"{event} is in force: {safe(path)} runs guard.")
    elif hookfile.runs(path) and not hookfile.is_ours(path) and managers.goes_by_name(path):
        if world.can_configure:
            configured.write(event)
            log.done.append(f"Configured {event} in git's configuration (hook.guard-{event}), beside {safe(path)}.")
        else:
            why = "This hook looks at the name it is started under, so guard cannot keep it under another one."
            log.add_to_hook(why, path, event)
    else:
        _take(world, event, log)


def _take(world: World, event: str, log: _Log) -> None:
    """Puts guard's hook into the hooks directory, and keeps what is there."""
    path = world.path(event)
    os.makedirs(world.directory.path, exist_ok=True)
    _note_directory(world)
    _settle_generated(path, log)
    if hookfile.is_ours(path):
        _refresh(path, log)
    else:
        if not os.path.lexists(path) and hookfile.kept(path):
            log.notes.append(f"{safe(hookfile.kept(path)[-1])} was kept by an earlier guard install, and is run")
        kept = hookfile.take(path)
        log.done.append(f"Installed {safe(path)}.")
        if kept is not None:
            how = "is run" if hookfile.runs(kept) else "is not executable, so it is not run"
            log.done.append(f"The hook that was there is kept as {safe(kept)}; it {how}.")
    for aside in managers.ASIDE:
        if hookfile.is_ours(path + aside):  # moved there by another manager: guard would be called twice
            os.unlink(path + aside)
            hookfile.put_back(path + aside)
            log.done.append(f"Removed guard's hook that had been moved to {safe(path + aside)}.")
    _save_aside(path)


def _refresh(path: bytes, log: _Log) -> None:
    """Makes a guard hook this guard's, and executable."""
    if hookfile.read(path) == hookfile.ours() and hookfile.runs(path):
        log.done.append(f"{safe(path)} is in place.")
        return
    hookfile.write(path, hookfile.ours(), mode=0o755)
    log.done.append(f"Brought {safe(path)} up to date.")


def _refresh_through(world: World, found: Event, log: _Log) -> None:
    if found.how == HOOK:
        _refresh(found.file, log)
        return
    log.done.append(f"{found.event} is in force, through {safe(found.file)}.")
    if found.how == LEFTHOOK:
        _withdraw_if_lefthooks(world, found.event, log)


def _withdraw_if_lefthooks(world: World, event: str, log: _Log) -> None:
    """lefthook moves hooks aside that it finds when it synchronizes; guard's would lie around there."""
    if world.directory.owner == hookdir.LEFTHOOK:
        _withdraw(world.place, world.path(event), log)


def _settle_generated(path: bytes, log: _Log) -> None:
    """Of the hooks that are kept and the one that is at the path, drops copies and retires what was written anew.

    Of alike hooks only the newest is kept. Of the hooks that one program generated, only the newest is run.
    """
    newer = [] if hookfile.is_ours(path) or not os.path.lexists(path) else [path]
    for name in reversed(hookfile.kept(path)):
        generator = generators.generator(hookfile.read(name))
        if any(hookfile.same(name, other) for other in newer):
            os.unlink(name)
        elif generator and any(generators.generator(hookfile.read(other)) == generator for other in newer):
            retired = hookfile.retire(name)
            log.notes.append(f"{safe(retired)} is not run any more: a newer hook has replaced it ({generator})")
        else:
            newer.append(name)
    names = hookfile.kept(path)
    if names and names[0] != path + hookfile.KEPT:  # the hook looks for this name before it looks for others
        os.rename(names[0], path + hookfile.KEPT)


def _save_aside(path: bytes) -> None:
    """Gives a second name to the hook that a kept manager runs from NAME.legacy or NAME.orig.

    Installed once more, the manager would move guard's hook to that name and destroy what is there.
    """
    for suffix in {managers.runs_aside(name) for name in hookfile.kept(path)} - {b""}:
        aside = path + suffix
        if os.path.lexists(aside) and not hookfile.is_ours(aside) and not hookfile.kept(aside):
            try:
                os.link(aside, aside + hookfile.KEPT, follow_symlinks=False)
            except (OSError, NotImplementedError):
                return  # a file system without second names


def _drop_duplicates(path: bytes) -> None:
    """Removes a kept hook that is, byte for byte, the one that its manager has put back in its place."""
    for name in hookfile.kept(path):
        if hookfile.same(name, path):
            os.unlink(name)


def _note_directory(world: World) -> None:
    directory = world.directory.path
    if b"\n" not in directory:
        lines = b"".join(line + b"\n" for line in dict.fromkeys((*world.noted, directory)))
        _update(os.path.join(world.place.own_dir, DIRECTORIES), lines, 0o644)


# What only the user can do


def _say_what_to_add(world: World, event: str, log: _Log) -> None:
    directory, path = world.directory, world.path(event)
    here = f"git config core.hooksPath {quoted(hookdir.own_directory(world.place))}"
    if directory.owner == hookdir.LEFTHOOK:
        return  # one block for all events: _say_lefthook
    if directory.owner == hookdir.NOWHERE:
        undo = f"git config --{directory.scope} --unset core.hooksPath"
        other = here if directory.scope in ("global", "system") else undo
        log.notes.append(f"{whose(world)}. To have hooks here: {other}, then: guard install")
        return
    if directory.owner == hookdir.HUSKY:
        path = managers.husky_file(directory.path, event)
    log.add_to_hook(f"No hook was put there: {whose(world)}.", path, event)
    if directory.owner in (hookdir.MACHINE, hookdir.OUTSIDE):
        log.notes.append(f"Or give this repository its own hooks, and it runs those alone: {here}, then: guard install")
    elif os.path.lexists(path) and not hookfile.runs(path) and directory.owner == hookdir.TRACKED:
        log.notes.append(f"{safe(path)} is not executable: chmod +x {quoted(path)}")


def _say_lefthook(world: World, log: _Log) -> None:
    if world.directory.owner != hookdir.LEFTHOOK or world.can_configure:
        return
    configs = hookdir.lefthook_configs(world.place)
    missing = [event for event in EVENTS if not any(managers.calls_guard(config, event) for config in configs)]
    for event in EVENTS:
        uninstalled = [problem for problem in find(world, event)[1] if problem.code == "manager-not-installed"]
        log.notes += [f"{problem.what}: {problem.repair}" for problem in uninstalled]
    if missing:
        file = configs[0] if configs else os.path.join(world.place.top or b"", b"lefthook.yml")
        why = "lefthook manages the hooks here, and moves others' aside whenever its configuration changes."
        how = (
            "Add to its configuration (lefthook-local.yml is for you alone): guard as the last job of pre-commit and "
            "pre-merge-commit, and as the first job of pre-push. Then: lefthook install"
        )
        log.add_lines(f"{why} {how}", file, managers.lefthook_lines(missing))


# Uninstalling


def _uninstall(place: Place) -> Report:
    log = _Log()
    world = look(place)
    directories = dict.fromkeys((*world.noted, hookdir.default(place), world.directory.path))
    if world.directory.owner in (hookdir.MACHINE, hookdir.OUTSIDE, hookdir.NOWHERE):
        del directories[world.directory.path]
    for event in EVENTS:
        for directory in directories:
            _withdraw(place, os.path.join(directory, event.encode()), log)
        if configured.read(world.entries, event).local:
            configured.remove(event)
            log.done.append(f"Removed hook.guard-{event} from git's configuration.")
    for directory in directories:
        hookfile.sweep(directory)
    _free_project(place, log)
    _remove_data(place, log)
    _say_leftovers(world, log)
    if log.done:
        return log.report(EXIT_DONE)
    log.notes.append("guard was not installed in this repository")
    return log.report(EXIT_REFUSED)


def _withdraw(place: Place, path: bytes, log: _Log) -> None:
    """Takes guard's hook from a path, or from where a manager moved it, and puts what was kept in its place."""
    if hookfile.is_ours(path):
        if hookdir.is_committed(place, path):
            log.notes.append(f"{safe(path)} is committed, so it stays; for everybody: git rm {quoted(path)}")
        else:
            _replace(path, log)
    elif os.path.lexists(path):
        _drop_duplicates(path)
        for aside in (path + suffix for suffix in managers.ASIDE):
            if hookfile.is_ours(aside):
                _withdraw_aside(path, aside, log)
    elif hookfile.kept(path):
        _replace(path, log)
    for suffix in managers.ASIDE:
        _settle_aside(path + suffix, log)
    for name in hookfile.kept(path):
        log.notes.append(f"{safe(name)} is a hook that was kept; it stays there, and nothing runs it now")


def _replace(path: bytes, log: _Log) -> None:
    kept = hookfile.put_back(path)
    if kept is not None:
        log.done.append(f"Put {safe(path)} back.")
    else:
        os.unlink(path)
        log.done.append(f"Removed {safe(path)}.")


def _withdraw_aside(path: bytes, aside: bytes, log: _Log) -> None:
    """guard's hook was moved to another name: what it kept would have been moved there, had guard not been here."""
    kept = hookfile.kept(path)
    if kept and not hookfile.kept(aside):
        if hookfile.same(kept[-1], path):
            os.unlink(kept[-1])  # the manager has put its hook there again
        elif not (managers.runs_aside(path) and managers.runs_aside(path) == managers.runs_aside(kept[-1])):
            os.replace(kept[-1], aside)
            log.done.append(f"Put what guard had kept at {safe(aside)}.")
            return
    _replace(aside, log)


def _settle_aside(aside: bytes, log: _Log) -> None:
    """The second name of what a manager runs: not needed when the first is still there."""
    for name in hookfile.kept(aside):
        if not os.path.lexists(aside) or os.path.samestat(os.lstat(aside), os.lstat(name)):
            hookfile.put_back(aside)
        else:
            log.notes.append(f"{safe(name)} is a hook that was kept; it stays there, and nothing runs it now")


def _free_project(place: Place, log: _Log) -> None:
    """Removes guard.project, when it still is what install configured."""
    noted = hookfile.read(os.path.join(place.own_dir, PROJECT))
    if noted is None:
        return
    said = git.run(["config", "--local", "--get", "guard.project"], accept=(0, 1))
    if said == noted:
        configured.change(["--unset", "guard.project"])
        log.done.append("Removed guard.project from git's configuration.")


def _remove_data(place: Place, log: _Log) -> None:
    """Removes guard/ from the common directory and from every worktree's."""
    worktrees = os.path.join(place.common_dir, b"worktrees")
    names = os.listdir(worktrees) if os.path.isdir(worktrees) else []
    for directory in [*(os.path.join(worktrees, name, b"guard") for name in names), place.own_dir]:
        if os.path.islink(directory):
            os.unlink(directory)
        elif os.path.isdir(directory):
            shutil.rmtree(directory)
            log.done.append(f"Removed {safe(directory)}.")


def _say_leftovers(world: World, log: _Log) -> None:
    """Lines that the user added stay the user's."""
    files = [world.path(event) for event in EVENTS if world.path(event)]
    if world.directory.owner == hookdir.HUSKY:
        files += [managers.husky_file(world.directory.path, event) for event in EVENTS]
    for file in dict.fromkeys((*files, *hookdir.lefthook_configs(world.place))):
        if not hookfile.is_ours(file) and any(managers.calls_guard(file, event) for event in EVENTS):
            log.notes.append(f"{safe(file)} still has a line that runs guard: it does nothing now, and can go")
    for event in EVENTS:
        left = mine_elsewhere(world, event)
        if left:
            log.notes.append(f"{safe(left)} is guard's, and could not be removed")


def _cannot(error: OSError) -> GuardError:
    name = error.filename if error.filename is not None else b"a file"
    path = os.fsencode(name if isinstance(name, (bytes, str)) else str(name))
    what = f"cannot write {safe(path)}: {error.strerror or error}"
    return GuardError(what, hint=_repair(path, error.errno), code=EXIT_REFUSED)


def _repair(path: bytes, number: int | None) -> str:
    """A command that lets the next install write a path, or that shows what is in the way."""
    directory = path if os.path.isdir(path) else os.path.dirname(path) or b"."
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory) or b"."
    if number == errno.EROFS:
        return f"sudo mount -o remount,rw {quoted(hookdir.mount_point(directory))}"
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"df -h {quoted(directory)}"
    if number in (errno.EACCES, errno.EPERM) and os.stat(directory).st_uid != os.geteuid():
        return f'sudo chown -R "$(id -un)" {quoted(directory)}'
    if number in (errno.EACCES, errno.EPERM):
        return f"chmod u+rwx {quoted(directory)}"
    return f"ls -ld {quoted(path)}"
