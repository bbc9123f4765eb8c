"""What ``guard list`` and ``guard check`` do.

Two modules call this one: :mod:`guard.commands.looking`, which reads the options with click, and
:mod:`guard.commands.plain` for command lines without options. Such a command does not load click, whose import takes
longer than the answer.
"""

from __future__ import annotations

import os
import sys

from guard.commands import render
from guard.commands.reply import Reply, style, terminal_width
from guard.model import EXIT_DONE, EXIT_REFUSED, UsageError
from guard.repo import settings
from guard.words import conflicts_in_words, safe, to_stderr
from guard.work import questions
from guard.work.here import now_ms
from guard.work.questions import Filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.model import Change, Verdict
    from guard.stores.interface import Snapshot
    from guard.work.here import Here
    from guard.work.shapes import Json


def list_(
    here: Here,
    *,
    paths: Sequence[str] = (),
    mine: bool = False,
    theirs: bool = False,
    ended: bool = False,
    soon: str | None = None,
    all_projects: bool = False,
    watch: bool = False,
    as_json: bool = False,
) -> int:
    """Prints who holds what, until when, and why; with ``paths``, who holds those. Returns the exit code.

    ``soon`` is a duration such as "10m". Raises :class:`UsageError` for options that do not go together.
    """
    if sum((ended, all_projects, soon is not None)) > 1 or (all_projects and paths) or (watch and ended):
        raise UsageError(
            "these do not go together: --ended, --all-projects (without PATHs), --soon, --watch", hint="guard list"
        )
    if all_projects:
        here = here.anywhere()
    soon_ms = None if soon is None else settings.duration(soon, what="--soon")
    mine = mine or (soon is not None and not theirs)
    only = Filter(mine=mine, theirs=theirs, soon_ms=soon_ms, paths=tuple(map(os.fsencode, paths)))
    if watch:
        return _watch(here, only, all_projects=all_projects, as_json=as_json)
    reply = Reply(here, as_json=as_json)
    if not all_projects:
        reply.tell()
        reply.warn_unless_in_force()
    found = questions.held(here, only, ended=ended, all_projects=all_projects)
    if not found.reservations:
        what = "has ended" if ended else "is reserved" if only == Filter() else "like that is reserved"
        to_stderr(f"guard: nothing {what} in {'any project' if all_projects else safe(here.project)}.")
    reply.say(
        lambda: _list_json(here, found, all_projects=all_projects),
        lambda: _list_lines(here, found, ended=ended, all_projects=all_projects),
    )
    return EXIT_DONE


def _list_json(here: Here, found: Snapshot, *, all_projects: bool) -> Json:
    rows, generation = found.reservations, None if all_projects else found.generation
    return render.list_json(rows, project=here.project, me=here.me, generation=generation, all_projects=all_projects)


def _list_lines(here: Here, found: Snapshot, *, ended: bool, all_projects: bool) -> list[str]:
    me, project, width = here.me, here.project, terminal_width()
    if ended:
        return render.ended_listing(found.reservations, now=now_ms(), width=width)
    lines = []
    for name in sorted({row.project for row in found.reservations}, key=lambda name: (name != project, name)):
        lines += [f"{safe(name)}:"] if all_projects else []
        some = [row for row in found.reservations if row.project == name]
        lines += render.listing(some, me=me, now=now_ms(), width=width, style=style)
    return lines


def _watch(here: Here, only: Filter, *, all_projects: bool, as_json: bool) -> int:
    """Shows the list again after each change, on a cleared terminal, until it is interrupted."""
    redraw = not as_json and terminal_width() is not None and here.environment.get(b"TERM") != b"dumb"
    for found in questions.changes_of(here, only, all_projects=all_projects):
        if redraw:
            sys.stdout.write("\x1b[H\x1b[2J")
        reply = Reply(here, as_json=as_json)
        if not found.reservations and not as_json:
            sys.stdout.write("nothing is reserved\n")
        reply.say(
            lambda found=found: _list_json(here, found, all_projects=all_projects),  # type: ignore[misc]
            lambda found=found: _list_lines(here, found, ended=False, all_projects=all_projects),  # type: ignore[misc]
        )
        sys.stdout.flush()
    return EXIT_DONE


def check(
    here: Here,
    *,
    paths: Sequence[str] = (),
    staged: bool = False,
    changed: bool = False,
    from_stdin: bool = False,
    nul: bool = False,
    old: str | None = None,
    new: str | None = None,
    as_json: bool = False,
) -> int:
    """Prints whether a change of these paths would be refused. Returns the exit code: 1 if it would, 0 if not.

    A directory stands for everything below it. ``old`` and ``new`` are revisions. Raises :class:`UsageError` for
    options that do not go together.
    """
    ways = [bool(paths), staged, changed, from_stdin, old is not None or new is not None]
    if sum(ways) > 1:
        raise UsageError(
            "PATHs, --staged, --changed, --stdin and --from/--to do not go together", hint="guard check --help"
        )
    if nul and not from_stdin:
        raise UsageError("-z goes with --stdin", hint="guard check --help")
    reply = Reply(here, as_json=as_json)
    reply.tell()
    reply.warn_unless_in_force()
    if from_stdin:
        return _answer_asked(reply, questions.check_paths(here, _names(nul=nul), as_named=True), named=False)
    if paths:
        return _answer_asked(reply, questions.check_paths(here, list(map(os.fsencode, paths))), named=True)
    if changed:
        return _answer_asked(reply, questions.check_changed(here), named=False)
    changes = _changes(reply, old, new)
    return _answer_verdict(reply, questions.check_changes(here, changes), _left_fence(here, changes))


def _names(*, nul: bool) -> list[bytes]:
    """The paths on standard input. Without ``nul``, git quotes unusual ones as in C (core.quotePath, git-config(1)).

    A list that is written the other way would be taken for one path, and that one is free: it is refused. Raises
    :class:`UsageError`.
    """
    from guard.repo.index import unquoted

    data = sys.stdin.buffer.read()
    if nul and b"\0" not in data and data.endswith(b"\n"):
        raise UsageError("the paths on standard input have no NUL at their ends", hint="guard check --stdin")
    if not nul and b"\0" in data:
        raise UsageError("the paths on standard input have NULs between them", hint="guard check --stdin -z")
    if not data:
        to_stderr("guard: there are no paths on standard input.")
    if nul:
        return [name for name in data.split(b"\0") if name]
    return [unquoted(name) for name in data.split(b"\n") if name]


def _changes(reply: Reply, old: str | None, new: str | None) -> list[Change]:
    """The staged changes, or those between two commits when ``old`` and ``new`` are given."""
    if old is None and new is None:
        changes = questions.staged(reply.here)
        if not changes:
            to_stderr("guard: nothing is staged.")
            reply.suggest("guard check --changed", note="what is changed in the work tree")
        return changes
    if old is None or new is None:
        raise UsageError("--from and --to go together", hint="guard check --from main --to HEAD")
    return questions.between(reply.here, old, new)


def _left_fence(here: Here, changes: Sequence[Change]) -> list[bytes]:
    """The changed paths that this worktree's fence (guard.only) does not cover; [] where there is no fence."""
    from guard.repo.fence import outside

    return outside(changes, here.settings.only, fold=here.settings.fold)


def _answer_asked(reply: Reply, checked: questions.Checked, *, named: bool) -> int:
    """Prints whose each path is if paths were ``named``, else only the conflicts. Returns the exit code."""
    verdict, me, left = checked.verdict(), checked.me, checked.fenced()
    code = _code(reply, passes=verdict.clear and not left)
    _warn_of_fence(reply, left)

    def lines() -> list[str]:
        shown = render.asked_lines(checked.asked, me=me, now=now_ms()) if named else []
        if verdict.clear:
            return [*shown, "outside of the fence" if left else "clear"]
        return shown or conflicts_in_words(verdict.conflicts, now=now_ms())

    reply.say(lambda: render.check_json(verdict, me=me, asked=checked.asked, fenced=bool(left)), lines)
    return code


def _answer_verdict(reply: Reply, verdict: Verdict, left: Sequence[bytes]) -> int:
    """Prints the verdict on changes and returns the exit code. ``left`` are the paths outside of the fence."""
    me, code = reply.here.me, _code(reply, passes=verdict.clear and not left)
    _warn_of_fence(reply, left)

    def lines() -> list[str]:
        if verdict.clear:
            return ["outside of the fence" if left else "clear"]
        return conflicts_in_words(verdict.conflicts, now=now_ms())

    reply.say(lambda: render.check_json(verdict, me=me, fenced=bool(left)), lines)
    return code


def _warn_of_fence(reply: Reply, left: Sequence[bytes]) -> None:
    """Prints which paths are outside of the fence, if there are any."""
    if left:
        shown = ", ".join(safe(path) for path in left[:5]) + (", …" if len(left) > 5 else "")
        reply.warn(f"outside of the fence (guard.only), so a commit is refused: {shown}")


def _code(reply: Reply, *, passes: bool) -> int:
    """The exit code: 1 if a hook would refuse the change now, 0 if it would let it pass. Prints why it would pass."""
    if passes:
        return EXIT_DONE
    reason = questions.passes_because(reply.here)
    if reason:
        to_stderr(f"guard: a commit of this would pass all the same: {reason}.")
        return EXIT_DONE
    return EXIT_REFUSED
