"""The plan of ``guard install``: guard's hooks into a repository.

A hook of somebody else's is kept under another name beside guard's, which runs it. Where the hooks directory is not
for guard to write to, the hooks go into git's configuration, or the plan says which line to add to whose file.
"""

from __future__ import annotations

import os

from guard.events import NAMES as EVENTS
from guard.install import configured, generators, hookdir, hookfile, managers, pythons, serving
from guard.install.draft import KEPT
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
    World,
    find,
    in_directory,
    look,
    refuse_closed,
    whose,
)
from guard.install.plan import Plan
from guard.install.taking_out import drop_duplicates, withdraw
from guard.model import EXIT_REFUSED, GuardError
from guard.repo import defaults, settings, standpoint
from guard.repo.place import Place
from guard.repo.project import ssh_host
from guard.words import quoted, safe


def plan_install(place: Place) -> Plan:
    """What puts guard's hooks in force here, as far as guard may write. The plan's code is 0 only when they will be.

    Raises :class:`GuardError` where a newer guard has installed, where guard's own directory is a link, or where a
    directory may not be read.
    """
    plan = Plan(look(place))
    refuse_closed(plan.world)
    _refuse_older(plan)
    _lay_data(plan)
    _fix_project(plan)
    for event in plan.world.events:
        _install_event(event, plan)
    _say_lefthook(plan.world, plan)
    found = [find(plan.world, event) for event in plan.world.events]
    missing = [event.event for event, _ in found if not event.in_force]
    for problem in dict.fromkeys(problem for _, wrong in found for problem in wrong):
        if problem.code in ("noexec", "misplaced"):
            plan.notes.append(f"{problem.what} (repair: {problem.repair})")
    if place.bare:
        plan.notes += serving.notes(plan.world)
    if missing:
        plan.code = EXIT_REFUSED
        plan.notes.append(f"not in force for {', '.join(missing)}. When that is done, check with: guard status")
    return plan


def _refuse_older(plan: Plan) -> None:
    """Refuses to replace the hook of a newer guard, because its data may be newer as well."""
    mine = hookfile.version(hookfile.ours()) or 0
    world = plan.world
    paths = [world.path(event) for event in EVENTS if world.path(event)]
    for path in [os.path.join(world.place.own_dir, COPY), *paths]:
        if (hookfile.version(plan.files.read(path)) or 0) > mine:
            what = f"{safe(path)} was installed by a newer guard"
            raise GuardError(what, hint="pip install --upgrade git-guard", code=EXIT_REFUSED)


def _lay_data(plan: Plan) -> None:
    """Writes what every hook needs into the common directory's guard/."""
    place = plan.world.place
    own = place.own_dir
    if plan.files.is_link(own):
        raise GuardError(f"{safe(own)} is a symbolic link", hint=f"rm {quoted(own)}", code=EXIT_REFUSED)
    if not plan.files.is_directory(own):
        plan.files.make_directory(own, os.stat(place.common_dir).st_mode & 0o2777)
    python = pythons.own()
    noted = os.path.join(own, PYTHON)
    plan.files.update(noted, pythons.with_first(plan.files.read(noted), python), 0o644)
    plan.files.update(os.path.join(own, defaults.NOTE), defaults.note(standpoint.environment()), 0o644)
    plan.files.update(os.path.join(own, COPY), hookfile.ours(), 0o755)
    linked_top = place.top if place.git_dir != place.common_dir else None
    in_linked = linked_top is not None and python.interpreter.startswith(linked_top + b"/")
    if in_linked or b"/.cache/" in python.interpreter:
        why = "goes when this worktree goes; all worktrees share the hooks" if in_linked else "is in a cache"
        better = "Better: guard install with a guard that is installed where it stays"
        plan.notes.append(f"hooks will start {safe(python.interpreter)}, which {why}. {better}")


def _fix_project(plan: Plan) -> None:
    """Configures the project's name, so that a remote added later does not give it another one."""
    environment = {name: value for name, value in standpoint.environment().items() if name != b"GUARD_PROJECT"}
    place = plan.world.place
    found = settings.read(environment, plan.world.entries, place, default_store=os.sep, resolve=ssh_host)
    if found.project.scope == settings.TRACKED.decode():
        # Noted, so that a commit which changes the file does not lead elsewhere in silence.
        noted = os.fsencode(safe(found.checked_project())) + b"\n"
        plan.files.update(os.path.join(place.own_dir, PROJECT), noted, 0o644)
    if found.project.scope:
        return
    found = found._replace(project=found.project._replace(value=safe(found.project.value)))
    name = os.fsencode(found.checked_project())
    plan.files.update(os.path.join(place.own_dir, PROJECT), name + b"\n", 0o644)
    plan.files.configure(["guard.project", name])
    plan.done.append(f"The project is {safe(name)}, from {found.project.source} (git config guard.project).")


def _install_event(event: str, plan: Plan) -> None:
    world = plan.world
    found, _ = in_directory(world, event)
    owner = world.directory.owner
    lasts = found.in_force and not (found.how == HOOK and owner == hookdir.LEFTHOOK)
    in_config = configured.read(world.entries, event).local
    if in_config and (lasts or not world.can_configure):
        plan.unconfigure(event)  # or guard would be called twice
        in_config = False
    passed_over = world.can_configure and hookdir.is_noexec(world.directory.path)
    if owner == hookdir.FREE and not in_config and not passed_over:
        _install_free(world, event, found, plan)
    elif lasts:
        _refresh_through(world, found, plan)
    elif owner == hookdir.TRACKED and not plan.files.exists(world.path(event)) and not world.can_configure:
        _take(world, event, plan)
        plan.notes.append(
            f"{safe(world.path(event))} is in the work tree, where it can be committed: it names nothing of this "
            "machine, and in a clone where guard is not installed it only says so"
        )
    elif world.can_configure:
        plan.configure(event)
        plan.done.append(f"Configured {event} in git's configuration (hook.guard-{event}): {whose(world)}.")
        plan.notes.append("git before 2.54 passes over configured hooks: commits made with one are not judged")
        _withdraw_if_lefthooks(world, event, plan)
    else:
        _say_what_to_add(world, event, plan)


def _install_free(world: World, event: str, found: Event, plan: Plan) -> None:
    """Plans guard's hook in a directory that belongs to this repository alone."""
    path = world.path(event)
    if found.how == ASIDE:
        _refresh(found.file, plan)
        drop_duplicates(path, plan)
        plan.done.append(f"{event} is in force: {safe(path)}, which moved guard's hook aside, runs it first.")
    elif found.how == LINE:
        plan.done.append(f"{event} is in force: {safe(path)} runs guard.")
    elif plan.files.runs(path) and not plan.files.is_ours(path) and managers.goes_by_name(path, plan.files.read):
        if world.can_configure:
            plan.configure(event)
            plan.done.append(f"Configured {event} in git's configuration (hook.guard-{event}), beside {safe(path)}.")
        else:
            why = "This hook looks at the name it is started under, so guard cannot keep it under another one."
            plan.add_to_hook(why, path, event)
    else:
        _take(world, event, plan)


def _take(world: World, event: str, plan: Plan) -> None:
    """Puts guard's hook into the hooks directory, and keeps what is there."""
    path = world.path(event)
    if not os.path.isdir(os.path.dirname(path)):
        plan.files.make_directory(os.path.dirname(path))
    _note_directory(plan)
    _settle_generated(path, plan)
    if plan.files.is_ours(path):
        _refresh(path, plan)
    else:
        if not plan.files.exists(path) and plan.files.kept(path):
            plan.notes.append(f"{safe(plan.files.kept(path)[-1])} was kept by an earlier guard install, and is run")
        kept = plan.files.take(path)
        plan.done.append(f"Installed {safe(path)}.")
        if kept is not None:
            how = "is run" if plan.files.runs(kept) else "is not executable, so it is not run"
            plan.done.append(f"The hook that was there is kept as {safe(kept)}; it {how}.")
    for aside in managers.ASIDE:
        if plan.files.is_ours(path + aside):  # moved there by another manager: guard would be called twice
            plan.files.remove(path + aside)
            plan.files.put_back(path + aside)
            plan.done.append(f"Removed guard's hook that had been moved to {safe(path + aside)}.")
    _save_aside(path, plan)


def _refresh(path: bytes, plan: Plan) -> None:
    """Makes a guard hook this guard's, and executable."""
    if plan.files.read(path) == hookfile.ours() and plan.files.runs(path):
        plan.done.append(f"{safe(path)} is in place.")
        return
    plan.files.write(path, hookfile.ours(), 0o755)
    plan.done.append(f"Brought {safe(path)} up to date.")


def _refresh_through(world: World, found: Event, plan: Plan) -> None:
    if found.how == HOOK:
        _refresh(found.file, plan)
        return
    plan.done.append(f"{found.event} is in force, through {safe(found.file)}.")
    if found.how == LEFTHOOK:
        _withdraw_if_lefthooks(world, found.event, plan)


def _withdraw_if_lefthooks(world: World, event: str, plan: Plan) -> None:
    """When lefthook synchronizes, it moves the hooks that it finds aside. There guard's would never run."""
    if world.directory.owner == hookdir.LEFTHOOK:
        withdraw(world.path(event), plan)


def _settle_generated(path: bytes, plan: Plan) -> None:
    """Drops copies among the kept hooks and the one at the path, and retires hooks that were written anew since.

    Of several equal hooks, only the newest is kept. Of the hooks that one program generated, only the newest is run.
    """
    newer = [] if plan.files.is_ours(path) or not plan.files.exists(path) else [path]
    for name in reversed(plan.files.kept(path)):
        generator = generators.generator(plan.files.read(name))
        if any(plan.files.alike(name, other) for other in newer):
            plan.files.remove(name)
        elif generator and any(generators.generator(plan.files.read(other)) == generator for other in newer):
            retired = plan.files.retire(name)
            plan.notes.append(f"{safe(retired)} is not run any more: a newer hook has replaced it ({generator})")
        else:
            newer.append(name)
    names = plan.files.kept(path)
    if names and names[0] != path + KEPT:  # the hook looks for this name before it looks for others
        plan.files.move(names[0], path + KEPT)


def _save_aside(path: bytes, plan: Plan) -> None:
    """Gives a second name to the hook that a kept manager runs from NAME.legacy or NAME.orig.

    If the manager is installed once more, it moves guard's hook to that name and destroys the file that is there.
    """
    for suffix in {managers.runs_aside(plan.files.read(name)) for name in plan.files.kept(path)} - {b""}:
        aside = path + suffix
        if plan.files.exists(aside) and not plan.files.is_ours(aside) and not plan.files.kept(aside):
            plan.files.save(aside)


def _note_directory(plan: Plan) -> None:
    world = plan.world
    directory = world.directory.path
    if b"\n" not in directory:
        lines = b"".join(line + b"\n" for line in dict.fromkeys((*world.noted, directory)))
        plan.files.update(os.path.join(world.place.own_dir, DIRECTORIES), lines, 0o644)


# What only the user can do


def _say_what_to_add(world: World, event: str, plan: Plan) -> None:
    directory, path = world.directory, world.path(event)
    here = f"git config core.hooksPath {quoted(hookdir.own_directory(world.place))}"
    if directory.owner == hookdir.LEFTHOOK:
        return  # one block for all events: _say_lefthook
    if directory.owner == hookdir.NOWHERE:
        undo = f"git config --{directory.scope} --unset core.hooksPath"
        other = here if directory.scope in ("global", "system") else undo
        plan.notes.append(f"{whose(world)}. To have hooks here: {other}, then: guard install")
        return
    if directory.owner == hookdir.HUSKY:
        path = managers.husky_file(directory.path, event)
    plan.add_to_hook(f"No hook was put there: {whose(world)}.", path, event)
    if directory.owner in (hookdir.MACHINE, hookdir.OUTSIDE):
        plan.notes.append(
            f"Or give this repository its own hooks; it then runs only those: {here}, then: guard install"
        )
    elif plan.files.exists(path) and not plan.files.runs(path) and directory.owner == hookdir.TRACKED:
        plan.notes.append(f"{safe(path)} is not executable: chmod +x {quoted(path)}")


def _say_lefthook(world: World, plan: Plan) -> None:
    if world.directory.owner != hookdir.LEFTHOOK or world.can_configure:
        return
    configs = hookdir.lefthook_configs(world.place)
    texts = [plan.files.read(config) for config in configs]
    missing = [event for event in world.events if not any(managers.calls_guard(text, event) for text in texts)]
    for event in world.events:
        uninstalled = [problem for problem in find(world, event)[1] if problem.code == "manager-not-installed"]
        plan.notes += [f"{problem.what}: {problem.repair}" for problem in uninstalled]
    if missing:
        file = configs[0] if configs else os.path.join(world.place.top or b"", b"lefthook.yml")
        why = "lefthook manages the hooks here, and moves others' aside whenever its configuration changes."
        how = (
            "Add to its configuration (lefthook-local.yml is for you alone): guard as the last job of pre-commit and "
            "pre-merge-commit, and as the first job of pre-push. Then: lefthook install"
        )
        plan.add_lines(f"{why} {how}", file, managers.lefthook_lines(missing))
