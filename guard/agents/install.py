"""``guard agent install``, ``uninstall`` and ``status``: guard's entries in the settings of coding agents.

First look, then plan, then apply. A plan is a list of changes of files; ``--dry-run`` prints it instead of applying it.
A file is written with a temporary file and a rename, keeps its mode, and is never written through a symbolic link.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping
from typing import Any

from guard.agents import bundle, codex, files, jsonfile
from guard.agents.bundle import CODE_FILE
from guard.agents.files import PROJECT, SHARED, USER, Target
from guard.agents.programs import CODEX, PROGRAMS, Program
from guard.install import access
from guard.model import EXIT_DONE, EXIT_REFUSED, GuardError, UsageError
from guard.record import Record
from guard.words import safe

PYTHON_FILE = "agent-python"
"""The file beside the stub with three lines: the Python to start, guard's directory, and that of its libraries."""
MADE_FILE = "agent-files.json"
"""The file in the account's directory that notes what guard made in each settings file, so that it can be removed."""


class Change(Record):
    """A change of a file: its text before (None if it does not exist) and after (None if it is removed).

    ``made`` names what guard makes that was not there before: the file itself (""), and members such as "hooks".
    """

    path: str
    before: str | None
    after: str | None
    made: tuple[str, ...] = ()


class Plan(Record):
    """The changes to make; the files that are in order already; what cannot be done, with what to do; and remarks."""

    changes: tuple[Change, ...]
    unchanged: tuple[str, ...]
    refused: tuple[str, ...]
    notes: tuple[str, ...] = ()


class State(Record):
    """The state of guard's hook in one file of one program. ``problem`` says why it is not in force, "" if it is."""

    program: Program
    scope: str
    path: str
    installed: bool
    problem: str = ""
    repair: str = ""

    def as_json(self) -> dict[str, Any]:
        """The members of this state in the answer of ``guard agent status --json``."""
        return {
            "program": self.program.name,
            "scope": self.scope,
            "file": self.path,
            "installed": self.installed,
            "problem": self.problem or None,
            "repair": self.repair or None,
        }


def account_directory() -> str:
    """The directory of this account's stub."""
    from platformdirs import user_data_dir

    return user_data_dir("guard", appauthor=False)


class Site(Record):
    """What an installation starts from. ``top`` and ``common_dir`` are "" outside of a repository."""

    environment: Mapping[str, str]
    top: str
    common_dir: str

    def stub(self, scope: str) -> str:
        """The stub's path for a scope."""
        own = os.path.join(self.common_dir, "guard") if scope == SHARED else account_directory()
        return os.path.join(own, files.STUB)

    def target(self, program: Program, scope: str) -> Target:
        """The program's file for a scope. Raises :class:`UsageError` if that needs a repository and there is none."""
        if scope != USER and not self.top:
            raise UsageError(f"--{scope} needs a repository with a work tree", hint="guard agent install --user")
        return files.target(program, scope, environment=self.environment, top=self.top)


# What is to be done


def chosen(names: tuple[str, ...], site: Site) -> list[Program]:
    """The programs named, or all that this machine has. Raises :class:`UsageError`."""
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown:
        raise UsageError(
            f"{unknown[0][:40]!a} is no coding agent that guard knows", hint=f"one of: {', '.join(PROGRAMS)}"
        )
    if names:
        return [PROGRAMS[name] for name in dict.fromkeys(names)]
    found = [program for program in PROGRAMS.values() if files.is_on_this_machine(program, site.environment)]
    if not found:
        raise GuardError(
            "no coding agent was found on this machine",
            hint=f"name one: guard agent install claude   (guard knows {', '.join(PROGRAMS)})",
            code=EXIT_REFUSED,
        )
    return found


def plan_install(programs: list[Program], scope: str, site: Site) -> Plan:
    """The plan that puts guard's entries into the files of the programs."""
    changes: list[Change] = []
    unchanged: list[str] = []
    refused: list[str] = []
    notes: list[str] = []
    for program in programs:
        target = site.target(program, scope)
        try:
            before = read(target, site)
            after = _with_guard(target, before, site)
        except GuardError as error:
            refused.append(_refusal(program, error))
            continue
        if after == before:
            unchanged.append(target.path)
        else:
            changes.append(Change(target.path, before, after, _made(before, target)))
        off = switched_off(program, site)
        notes += [*_remarks(program, scope), *([off] if off else [])]
    return Plan(tuple(changes), tuple(unchanged), tuple(refused), tuple(dict.fromkeys(notes)))


def plan_uninstall(programs: list[Program], scopes: list[str], site: Site) -> Plan:
    """The plan that takes guard's entries, and nothing else, out of the files of the programs."""
    changes: list[Change] = []
    unchanged: list[str] = []
    refused: list[str] = []
    for scope in scopes:
        for program in programs:
            target = site.target(program, scope)
            try:
                before = read(target, site)
                after = _without_guard(target, before, _recorded_as_made(target))
            except GuardError as error:
                refused.append(_refusal(program, error))
                continue
            if after == before:
                unchanged.append(target.path)
            else:
                changes.append(Change(target.path, before, after))
    return Plan(tuple(changes), tuple(unchanged), tuple(refused))


def _refusal(program: Program, error: GuardError) -> str:
    return f"{program.title}: {error.what}" + (f"\n  {error.hint}" if error.hint else "")


def read(target: Target, site: Site) -> str | None:
    """The text of a settings file; None if there is none. Raises :class:`GuardError` if guard must not change it."""
    link = _link(target, site)
    if link:
        raise GuardError(
            f"{link} is a symbolic link to {os.readlink(link)}, and guard does not write through symbolic links",
            hint=_by_hand(target, site),
            code=EXIT_REFUSED,
        )
    try:
        if not stat.S_ISREG(os.stat(target.path).st_mode):
            raise GuardError(f"{target.path} is not a regular file", code=EXIT_REFUSED)
        with open(target.path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise GuardError(f"{target.path} cannot be read: {why}", code=EXIT_REFUSED) from error


def _link(target: Target, site: Site) -> str:
    """The first symbolic link on the way to a file, below the top of the work tree, or the file itself; "" if none."""
    steps = [target.path]
    if target.scope != USER:
        above = os.path.dirname(target.path)
        while above != site.top and len(above) > len(site.top):
            steps.insert(0, above)
            above = os.path.dirname(above)
    return next((step for step in steps if os.path.islink(step)), "")


def _by_hand(target: Target, site: Site) -> str:
    """What to add by hand to a file that guard does not write."""
    import json

    stub = "" if target.scope == SHARED else site.stub(target.scope)
    if target.whole:
        return f"make the link a file, then: guard agent install {target.program.name}"
    hooks: dict[str, Any] = {}
    for path, entry in files.entries(target, stub):
        hooks.setdefault(path[1], []).append(entry)
    return "add these members to it by hand:\n" + json.dumps({"hooks": hooks}, indent=2)


def _made(before: str | None, target: Target) -> tuple[str, ...]:
    """The objects and arrays that are not in the text yet. An uninstallation removes them with the last entry."""
    paths = [("hooks",), *(("hooks", event.name) for event in target.program.events), ("version",)]
    missing = ["/".join(path) for path in paths if jsonfile.at(before or "{}", path) is None]
    empty = [WAS + before] if before is not None and _is_empty(before) else []
    return tuple([""] * (before is None) + empty + missing)


WAS = "was:"
"""The beginning of an entry in the note that keeps the former text of a file without any member."""


def _is_empty(text: str) -> bool:
    """Is the text empty, without any member and comment?"""
    return "".join(text.split()) in ("", "{}")


def _with_guard(target: Target, before: str | None, site: Site) -> str:
    stub = "" if target.scope == SHARED else site.stub(target.scope)
    if target.whole:
        if before is not None and not files.is_ours_text(before, target.program):
            raise GuardError(f"{target.path} exists, and guard did not make it", code=EXIT_REFUSED)
        return files.whole_file(target, stub)
    _refuse_machine_path_in_tracked(target, site)
    text = before or ""
    try:
        for path, entry in files.entries(target, stub):
            text = _with_entry(text, target, path, entry)
        if target.program.files.versioned and "version" not in (jsonfile.parse(text).data or {}):
            text = jsonfile.with_member(text, "version", 1)
    except jsonfile.Unreadable as error:
        raise GuardError(
            f"{target.path} cannot be changed without losing something: {error.what}",
            hint=_by_hand(target, site),
            code=EXIT_REFUSED,
        ) from error
    return text


def _with_entry(text: str, target: Target, path: tuple[str, ...], entry: dict[str, Any]) -> str:
    """The text with one entry of guard's, which replaces an older one."""
    present = jsonfile.at(text, path)
    ours = [each for each in (present if isinstance(present, list) else []) if files.is_ours(each, target.program)]
    if ours == [entry]:
        return text
    if ours:
        replaced = jsonfile.replaced_entry(text, path, lambda each: files.is_ours(each, target.program), entry)
        if replaced is not None:
            return replaced
        text = jsonfile.without_entries(text, path, lambda each: files.is_ours(each, target.program), set())
    return jsonfile.with_entry(text, path, entry)


def _refuse_machine_path_in_tracked(target: Target, site: Site) -> None:
    """Raises :class:`GuardError` if the file is committed and would get a path of this machine."""
    from guard.repo import git

    if target.scope != PROJECT:
        return
    relative = os.path.relpath(target.path, site.top)
    listed = git.run(["ls-files", "-z", "--", f":(literal){relative}"], directory=site.top)
    if listed:
        raise GuardError(
            f"{target.path} is committed, so guard does not write a path of this machine into it",
            hint=f"guard agent install --shared {target.program.name}   (or --user)",
            code=EXIT_REFUSED,
        )


def _without_guard(target: Target, before: str | None, made: set[str]) -> str | None:
    if before is None:
        return None
    if target.whole:
        return None if files.is_ours_text(before, target.program) else before
    text = before
    try:
        for event in target.program.events:
            path = ("hooks", event.name)
            text = jsonfile.without_entries(text, path, lambda each: files.is_ours(each, target.program), made)
        if text != before and "version" in made:
            text = jsonfile.without_member(text, "version")
    except jsonfile.Unreadable as error:
        raise GuardError(
            f"{target.path} cannot be read: {error.what}",
            hint="delete the entries that name guard/agent from it by hand",
            code=EXIT_REFUSED,
        ) from error
    if text == before or not _is_empty(text):
        return text
    was = [entry[len(WAS) :] for entry in made if entry.startswith(WAS)]
    return None if "" in made else was[0] if was else text


def _recorded_as_made(target: Target) -> set[str]:
    """What an installation by this account made in the file; if that is not noted, the arrays of guard's entries."""
    known = _read_made().get(target.path)
    return set(known) if known is not None else {"hooks", *(f"hooks/{event.name}" for event in target.program.events)}


def _read_made() -> dict[str, list[str]]:
    import json

    try:
        with open(os.path.join(account_directory(), MADE_FILE), encoding="utf-8") as file:
            told = json.load(file)
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _remember_made(changes: tuple[Change, ...]) -> None:
    import json

    known = _read_made()
    for change in changes:
        if change.after is None or not change.made:
            known.pop(change.path, None)
        else:
            known[change.path] = sorted({*known.get(change.path, ()), *change.made})
    path = os.path.join(account_directory(), MADE_FILE)
    if known or os.path.exists(path):
        os.makedirs(account_directory(), mode=0o700, exist_ok=True)
        _replace(path, json.dumps(known, indent=1) + "\n", 0o600)


def _remarks(program: Program, scope: str) -> list[str]:
    notes = []
    if program.name == "codex":
        notes.append("Codex runs a hook only after you have trusted it: start codex and answer its question, or /hooks")
    if program.name == "copilot" and scope != USER:
        notes.append("copilot -p passes over the hooks of a project unless it is told to trust it")
    if program.name == "gemini":
        notes.append("gemini --skip-trust passes over the hooks of a project")
    if program.name == "cursor":
        notes.append("Cursor's hook is written from its documentation and was never run: try it before you rely on it")
    return notes


# Doing it


def apply(plan: Plan, *, stub: str = "") -> None:
    """Carries out a plan. ``stub`` is the path of the stub to write before that, "" for none. Raises GuardError."""
    try:
        if stub:
            lay_stub(stub)
        for change in plan.changes:
            _write(change)
        _remember_made(plan.changes)
    except OSError as error:
        path = os.fsencode(error.filename or stub)
        what = f"cannot write {safe(path)}: {error.strerror}"
        raise GuardError(what, hint=access.repair(path, error.errno), code=EXIT_REFUSED) from error


def lay_stub(stub: str) -> None:
    """Writes the stub, and beside it the note that names the Python to start and the bundle of modules."""
    directory = os.path.dirname(stub)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    _replace(os.path.join(directory, PYTHON_FILE), "".join(line + "\n" for line in _python_lines()), 0o644)
    _replace(os.path.join(directory, CODE_FILE), bundle.contents(), 0o644)
    _replace(stub, stub_text(), 0o755)


def _python_lines() -> tuple[str, str, str]:
    """The interpreter, the directory of the guard package, and the directory of its libraries, as absolute paths."""
    from importlib.util import find_spec

    spec = find_spec("pathspec")
    if not sys.executable or spec is None or spec.origin is None:
        raise GuardError("cannot find out which Python to start", hint="install guard again", code=EXIT_REFUSED)
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    lines = os.path.abspath(sys.executable), os.path.dirname(package), os.path.dirname(os.path.dirname(spec.origin))
    if any("\n" in line for line in lines):
        raise GuardError("no hook can start a Python in a directory with a newline in its name", code=EXIT_REFUSED)
    return lines


def stub_text() -> str:
    """The text of the stub, which is a file of this package. Raises :class:`GuardError` if it is missing."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for place in (os.path.join(package, "hooks", "agent"), os.path.join(os.path.dirname(package), "hooks", "agent")):
        if os.path.exists(place):
            with open(place, encoding="ascii") as file:
                return file.read()
    raise GuardError("this installation of guard carries no hook for coding agents", hint="install guard again")


def _write(change: Change) -> None:
    if change.after is None:
        os.unlink(change.path)
        _remove_empty(os.path.dirname(change.path))
        return
    os.makedirs(os.path.dirname(change.path), exist_ok=True)
    mode = 0o644
    if change.before is not None:
        mode = stat.S_IMODE(os.stat(change.path).st_mode)
        with open(change.path, encoding="utf-8", newline="") as file:
            if file.read() != change.before:
                raise GuardError(f"{change.path} changed meanwhile", hint="try again", code=EXIT_REFUSED)
    _replace(change.path, change.after, mode)


def _replace(path: str, contents: str | bytes, mode: int) -> None:
    temporary = f"{path}.guard-{os.getpid()}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(file, "wb") as opened:
            opened.write(contents.encode() if isinstance(contents, str) else contents)
            opened.flush()
            os.fsync(opened.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename = path  # write(2) names no file
        os.unlink(temporary)
        raise


def _remove_empty(directory: str) -> None:
    """Removes the directory if it is empty and named hooks or plugins: guard may have made it."""
    try:
        if os.path.basename(directory) in ("hooks", "plugins"):
            os.rmdir(directory)
    except OSError:
        return


def remove_stub(stub: str) -> None:
    """Removes the stub and its files. The directory stays, because the store may be in it."""
    directory = os.path.dirname(stub)
    for name in (files.STUB, PYTHON_FILE, CODE_FILE):
        try:
            os.unlink(os.path.join(directory, name))
        except FileNotFoundError:
            continue
    shutil.rmtree(os.path.join(directory, "sessions"), ignore_errors=True)


# Is it in force?


def status(site: Site, *, ask_programs: bool = False) -> list[State]:
    """The state of guard's hook in each file of every program that this machine has or that names guard.

    With ``ask_programs``, a program that decides by itself whether it runs a hook is started and asked. That takes a
    second or more.
    """
    found: list[State] = []
    for program in PROGRAMS.values():
        states = [_state(program, scope, site) for scope in ((USER, PROJECT, SHARED) if site.top else (USER,))]
        there = [state for state in _one_per_file(states) if state.installed or state.problem]
        if there and program is CODEX:
            there = _with_trust(there, site, ask=ask_programs)
        if there:
            found += there
        elif files.is_on_this_machine(program, site.environment):
            found.append(states[0]._replace(repair=f"guard agent install {program.name}"))
    return found


def _with_trust(states: list[State], site: Site, *, ask: bool) -> list[State]:
    """The states of Codex's files, in which hooks that Codex does not trust are problems."""
    in_force = [state for state in states if state.installed and not state.problem]
    if not in_force:
        return states
    trusted = all(codex.is_mentioned(site.environment, state.path) for state in in_force)
    if trusted and ask:
        try:
            trusted = not codex.untrusted(site.environment, site.top or os.path.expanduser("~"))
        except GuardError:
            pass  # Codex cannot be asked, so its configuration decides
    if trusted:
        return states
    return [state._replace(problem=UNTRUSTED, repair=TRUST) if state in in_force else state for state in states]


UNTRUSTED = "Codex does not trust guard's hook, so it skips the hook without a message"
TRUST = "guard agent install --trust codex   (or start codex, and answer its question about hooks)"


def _one_per_file(states: list[State]) -> list[State]:
    best: dict[str, State] = {}
    for state in states:
        known = best.get(state.path)
        if known is None or (known.problem and not state.problem and state.installed):
            best[state.path] = state
    return list(best.values())


def _state(program: Program, scope: str, site: Site) -> State:
    target = site.target(program, scope)
    state = State(program, scope, target.path, installed=False)
    again = f"guard agent install --{scope} {program.name}"
    try:
        with open(target.path, encoding="utf-8", newline="") as file:
            text = file.read()
        if target.whole:
            if not files.is_ours_text(text, program):
                return state
        elif not any(files.is_ours(jsonfile.at(text, ("hooks", event.name)), program) for event in program.events):
            return state
        wanted = _with_guard(target._replace(scope=USER if scope == PROJECT else scope), text, site)
    except FileNotFoundError:
        return state
    except (OSError, UnicodeDecodeError, GuardError) as error:
        why = error.what if isinstance(error, GuardError) else str(error)
        return state._replace(problem=f"{target.path} cannot be read: {why}") if scope == USER else state
    if wanted != text:
        return state._replace(
            problem=f"the entries of guard in {target.path} are not those of this version", repair=again
        )
    stub = site.stub(scope)
    if not os.access(stub, os.X_OK):
        what = f"{stub} is missing or cannot be run, so edits are refused or not judged"
        return state._replace(problem=what, repair=again)
    why = _python_problem(stub) or switched_off(program, site)
    return state._replace(installed=True, problem=why, repair=again if why else "")


def switched_off(program: Program, site: Site) -> str:
    """A sentence about the setting of the program that switches guard's hook off; "" if there is none."""
    for scope in (USER, PROJECT, SHARED) if site.top else (USER,):
        path = site.target(program, scope).path
        try:
            with open(path, encoding="utf-8", newline="") as file:
                root = jsonfile.parse(file.read()).data
        except (OSError, UnicodeDecodeError, GuardError):
            continue  # another part of the status reports a file that cannot be read
        why = _switch(program, root if isinstance(root, dict) else {})
        if why:
            return f"{path} switches the hook off, so edits are not judged: take out {why}"
    return ""


def _switch(program: Program, settings: dict[str, Any]) -> str:
    """The member that switches hooks off, "" if none does: see the documentation of Claude Code and Gemini CLI."""
    if program.name == "claude" and settings.get("disableAllHooks") is True:
        return "disableAllHooks"
    config = settings.get("hooksConfig")
    if program.name == "gemini" and isinstance(config, dict):
        if config.get("enabled") is False:
            return "hooksConfig.enabled"
        if isinstance(config.get("disabled"), list) and "guard" in config["disabled"]:
            return '"guard" from hooksConfig.disabled'
    return ""


def _python_problem(stub: str) -> str:
    try:
        with open(os.path.join(os.path.dirname(stub), PYTHON_FILE), encoding="utf-8") as file:
            python, home, _ = [*file.read().split("\n"), "", ""][:3]
    except OSError as error:
        return f"the file that names the Python to start cannot be read: {error.strerror}"
    if not os.access(python, os.X_OK):
        return f"the Python that guard was installed with is gone: {python}"
    if not os.path.exists(os.path.join(home, "guard", "agents", "start.py")):
        return f"guard itself is gone from {home}"
    return ""


def exit_code(states: list[State]) -> int:
    """The exit code of ``guard agent status --check``: 0 when every program that is used here is guarded, else 1."""
    return EXIT_DONE if all(state.installed and not state.problem for state in states) else EXIT_REFUSED
