"""Judges a commit or a push before it runs, for a program whose shell switches git's hooks off.

Gemini CLI starts git with an empty ``core.hooksPath``. guard works out from the index, the work tree and the words of
the command which paths the commit will have. The result has all of them, and sometimes more.
"""

from __future__ import annotations

from guard.agents import changed as changes
from guard.agents.changed import held_by_others
from guard.model import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.agents.shell import Git
    from guard.agents.world import World
    from guard.model import Conflict

_COMMIT_VALUES = frozenset(
    ["-m", "--message", "-F", "--file", "-C", "-c", "--author", "--date", "-t", "--template", "--fixup", "--squash"]
)


def conflicts_of_call(world: World, call: Git, before: Sequence[Git], directory: bytes) -> list[Conflict]:
    """The conflicts of what ``git commit`` would record or ``git push`` would send. Raises :class:`GuardError`.

    ``before`` are the calls of git that the same shell command makes first, because "git add" stages files for a later
    commit.
    """
    return _of_push(world, call) if call.verb == "push" else _of_commit(world, call, before, directory)


def _of_commit(world: World, call: Git, before: Sequence[Git], directory: bytes) -> list[Conflict]:
    from guard.repo import changes as repo_changes

    assert world.place.top is not None
    world.enter()
    paths = [change.path for change in repo_changes.of_commit(world.place)]
    names: list[str] = []
    everything = any(word.startswith("-") and not word.startswith("--") and "a" in word for word in call.words)
    everything = everything or "--all" in call.words
    for each in [one for one in before if one.verb in ("add", "stage", "rm", "mv")]:
        words = [word for word in each.words if not word.startswith("-")]
        names += words
        everything = everything or not words
    names += _operands(call.words)
    if everything or names:
        from guard.agents.command import _from_top

        pathspecs = [] if everything else _from_top(world.place, directory, names)
        untracked = any(one.verb in ("add", "stage") for one in before)
        paths += changes.changed(world.place, world.environment, untracked=untracked, paths=pathspecs)
    return held_by_others(world, list(dict.fromkeys(paths)))


def _operands(words: Sequence[str]) -> list[str]:
    """The paths among the words of ``git commit``."""
    found: list[str] = []
    skip = False
    for number, word in enumerate(words):
        if skip:
            skip = False
        elif word == "--":
            return [*found, *words[number + 1 :]]
        elif word.startswith("-"):
            short = not word.startswith("--") and len(word) > 1 and f"-{word[-1]}" in _COMMIT_VALUES
            skip = word in _COMMIT_VALUES or short
        else:
            found.append(word)
    return found


def _of_push(world: World, call: Git) -> list[Conflict]:
    """The conflicts of the unpublished commits of every branch that the words name, or else of the current branch."""
    from guard.judge import conflicts
    from guard.repo import changes as repo_changes
    from guard.repo import git

    world.enter()
    words = [word for word in call.words if not word.startswith("-")]
    sources = [word.lstrip("+").partition(":")[0] for word in words[1:]]
    if any(option in call.words for option in ("--all", "--mirror", "--branches", "--tags")):
        listed = git.run(["for-each-ref", "--format=%(objectname)", "refs/heads", "refs/tags"]).split()
        oids = list(dict.fromkeys(listed))
    else:
        known = [source for source in sources if source and "\0" not in source] or ["HEAD"]
        oids = [
            git.run(["rev-parse", "--verify", "--end-of-options", f"{source}^{{commit}}"]).strip() for source in known
        ]
    lines = b"".join(b"refs/heads/x %b refs/heads/x %b\n" % (oid, b"0" * len(oid)) for oid in oids)
    found: list[Change] = repo_changes.of_push(lines, world.place, git.config()) if lines else []
    rows = world.store.covering(world.project, [change.path for change in found]).reservations
    return conflicts(found, rows, me=world.me, fold=world.settings.fold)
