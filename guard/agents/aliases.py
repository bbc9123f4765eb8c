"""Replaces aliases in git commands by what they stand for (git-config(1), alias.*)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.agents.shell import Git

_MAX_DEPTH = 5

_KNOWN = """
add am annotate apply archive bisect blame branch bundle cat-file check-ignore checkout checkout-index cherry-pick clean
clone commit commit-graph config describe diff diff-files diff-index diff-tree fetch for-each-ref format-patch fsck gc
grep hash-object help init log ls-files ls-remote ls-tree merge merge-base mv name-rev notes pull push read-tree rebase
reflog remote repack reset restore rev-list rev-parse revert rm shortlog show show-ref stage stash status submodule
switch symbolic-ref tag update-index update-ref version worktree write-tree
"""
KNOWN = frozenset(_KNOWN.split())
"""Git's own commands. git does not look for aliases with these names (git(1))."""


def expanded(calls: Sequence[Git], cwd: bytes, environment: Mapping[bytes, bytes]) -> list[Git]:
    """The calls with every alias replaced by what it stands for. Raises :class:`guard.model.GuardError`.

    An alias may be given with ``-c``, be made by an earlier call of the same command, or stand in the configuration.
    """
    found: list[Git] = []
    made: dict[str, str] = {}
    for call in calls:
        if call.verb == "config":
            made.update(_made(call.words))
        found += _expanded(call, made, cwd, environment, 0)
    return found


def _expanded(
    call: Git, made: Mapping[str, str], cwd: bytes, environment: Mapping[bytes, bytes], depth: int
) -> list[Git]:
    from guard.agents.shell import UNKNOWN

    name = call.verb.lower()
    if call.verb in KNOWN or UNKNOWN in call.verb or depth > _MAX_DEPTH:
        return [call]
    given = dict(call.aliases)
    value = given.get(name) or made.get(name) or _configured(name, call, cwd, environment)
    if not value:
        return [call]
    return [
        one for each in _meant(value, call) for one in _expanded(each, {**made, **given}, cwd, environment, depth + 1)
    ]


def _meant(value: str, call: Git) -> list[Git]:
    """The calls that an alias's value makes, followed by the words of the call."""
    from guard.agents.shell import git_calls

    if value.startswith("!"):
        # A shell command, which git runs at the top of the work tree.
        text = " ".join([value[1:], *map(_quoted, call.words)])
        return [each._replace(directory=_below(call.directory, each.directory)) for each in git_calls(text)]
    found = git_calls(f"git {value}")
    return [
        each._replace(directory=_below(call.directory, each.directory), words=(*each.words, *call.words))
        for each in found[:1]
    ]


def _below(above: str | None, directory: str | None) -> str | None:
    return None if above is None or directory is None else os.path.join(above, directory)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _made(words: Sequence[str]) -> dict[str, str]:
    """The alias that ``git config`` sets with these words; {} if it sets none."""
    rest = [word for word in words if not word.startswith("-") and word != "set"]
    if len(rest) < 2 or not rest[0].lower().startswith("alias."):
        return {}
    return {rest[0][len("alias.") :].lower(): rest[1]}


def _configured(name: str, call: Git, cwd: bytes, environment: Mapping[bytes, bytes]) -> str:
    """The alias of that name in git's configuration, "" if there is none."""
    from guard.repo import git

    directory = os.path.join(cwd, (call.directory or "").encode("utf-8", "surrogateescape"))
    if not os.path.isdir(directory):
        return ""
    said = git.run(
        ["config", "-z", "--get-regexp", r"^alias\."], directory=directory, environment=environment, accept=(0, 1)
    )
    values = dict(entry.partition(b"\n")[::2] for entry in said.split(b"\0") if entry)
    wanted = b"alias." + name.encode("utf-8", "surrogateescape")
    return values.get(wanted, b"").decode("utf-8", "surrogateescape")
