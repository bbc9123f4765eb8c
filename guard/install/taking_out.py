"""The plan of ``guard uninstall``, which takes everything of guard's out of a repository."""

from __future__ import annotations

import os

from guard.events import NAMES as EVENTS
from guard.install import configured, forges, hookdir, managers
from guard.install.draft import temporaries
from guard.install.inforce import PROJECT, look, mine_elsewhere, refuse_closed
from guard.install.plan import Plan
from guard.model import EXIT_REFUSED
from guard.repo.place import Place
from guard.words import quoted, safe


def plan_uninstall(place: Place) -> Plan:
    """Plans to take out what guard put in, and to put back what it kept. The code is 1 if guard had put in nothing.

    Raises :class:`GuardError` where a directory may not be read: guard's hooks may be in it.
    """
    plan = Plan(look(place))
    world = plan.world
    refuse_closed(world)
    noted = [directory for directory in world.noted if hookdir.belongs(place, directory)]
    directories = dict.fromkeys((*noted, hookdir.default(place), world.directory.path))
    if world.directory.owner in (hookdir.MACHINE, hookdir.OUTSIDE, hookdir.NOWHERE):
        del directories[world.directory.path]
    for event in EVENTS:
        for directory in directories:
            withdraw(os.path.join(directory, event.encode()), plan)
        if forge := forges.hook_file(place, event, plan.files):
            withdraw(forge, plan)
        if configured.read(world.entries, event).local:
            plan.unconfigure(event)
            plan.done.append(f"Removed hook.guard-{event} from git's configuration.")
    for path in temporaries(plan.files, directories):
        plan.files.remove(path)
    _free_project(plan)
    _remove_data(plan)
    _say_leftovers(plan)
    if not plan.done:
        plan.code = EXIT_REFUSED
        plan.notes.append("guard was not installed in this repository")
    return plan


def withdraw(path: bytes, plan: Plan) -> None:
    """Takes guard's hook from a path, or from where a manager moved it, and puts what was kept in its place."""
    if plan.files.is_ours(path):
        if hookdir.is_committed(plan.world.place, path):
            plan.notes.append(f"{safe(path)} is committed, so it stays; for everybody: git rm {quoted(path)}")
        else:
            _replace(path, plan)
    elif plan.files.exists(path):
        drop_duplicates(path, plan)
        for aside in (path + suffix for suffix in managers.ASIDE):
            if plan.files.is_ours(aside):
                _withdraw_aside(path, aside, plan)
    elif plan.files.kept(path):
        _replace(path, plan)
    for suffix in managers.ASIDE:
        _settle_aside(path + suffix, plan)
    for name in plan.files.kept(path):
        plan.notes.append(f"{safe(name)} is a hook that was kept; it stays there, and nothing runs it now")


def _replace(path: bytes, plan: Plan) -> None:
    kept = plan.files.put_back(path)
    if kept is not None:
        plan.done.append(f"Put {safe(path)} back.")
    else:
        plan.files.remove(path)
        plan.done.append(f"Removed {safe(path)}.")


def _withdraw_aside(path: bytes, aside: bytes, plan: Plan) -> None:
    """A manager has moved guard's hook to another name. Without guard, it would have moved there what guard keeps."""
    kept = plan.files.kept(path)
    if kept and not plan.files.kept(aside):
        if plan.files.alike(kept[-1], path):
            plan.files.remove(kept[-1])  # the manager has put its hook there again
        elif not _of_one_manager(plan.files.read(path), plan.files.read(kept[-1])):
            plan.files.move(kept[-1], aside)
            plan.done.append(f"Put what guard had kept at {safe(aside)}.")
            return
    _replace(aside, plan)


def _of_one_manager(one: bytes | None, other: bytes | None) -> bool:
    """Did one manager, of those that run what they find from another name, write both hooks?"""
    return bool(managers.runs_aside(one)) and managers.runs_aside(one) == managers.runs_aside(other)


def drop_duplicates(path: bytes, plan: Plan) -> None:
    """Removes a kept hook that is, byte for byte, the one that its manager has put back in its place."""
    for name in plan.files.kept(path):
        if plan.files.alike(name, path):
            plan.files.remove(name)


def _settle_aside(aside: bytes, plan: Plan) -> None:
    """Drops the second name of a hook that a manager runs, if its first name is still there."""
    for name in plan.files.kept(aside):
        if not plan.files.exists(aside) or plan.files.same_file(aside, name):
            plan.files.put_back(aside)
        else:
            plan.notes.append(f"{safe(name)} is a hook that was kept; it stays there, and nothing runs it now")


def _free_project(plan: Plan) -> None:
    """Removes guard.project if it still has the value that install configured."""
    noted = plan.files.read(os.path.join(plan.world.place.own_dir, PROJECT))
    if noted is None:
        return
    set_here = [entry for entry in plan.world.entries if entry.key == b"guard.project" and entry.scope == b"local"]
    if [entry.value for entry in set_here[-1:]] == [noted.removesuffix(b"\n")]:
        plan.files.configure(["--unset", "guard.project"])
        plan.done.append("Removed guard.project from git's configuration.")


def _remove_data(plan: Plan) -> None:
    """Removes guard/ from the common directory and from every worktree's."""
    place = plan.world.place
    worktrees = os.path.join(place.common_dir, b"worktrees")
    names = os.listdir(worktrees) if os.path.isdir(worktrees) else []
    for directory in [*(os.path.join(worktrees, name, b"guard") for name in names), place.own_dir]:
        if plan.files.is_link(directory):
            plan.files.remove(directory)
        elif plan.files.is_directory(directory):
            plan.files.remove_tree(directory)
            plan.done.append(f"Removed {safe(directory)}.")


def _say_leftovers(plan: Plan) -> None:
    """Reports the lines that the user has added, which only the user can remove."""
    world = plan.world
    files = [world.path(event) for event in EVENTS if world.path(event)]
    if world.directory.owner == hookdir.HUSKY:
        files += [managers.husky_file(world.directory.path, event) for event in EVENTS]
    for file in dict.fromkeys((*files, *hookdir.lefthook_configs(world.place))):
        if not plan.files.is_ours(file) and any(managers.calls_guard(plan.files.read(file), event) for event in EVENTS):
            plan.notes.append(f"{safe(file)} still has a line that runs guard: it does nothing now, and can go")
    for event in EVENTS:
        left = mine_elsewhere(world, event)
        if left:
            plan.notes.append(f"{safe(left)} is guard's, and could not be removed")
