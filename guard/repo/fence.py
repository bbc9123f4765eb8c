"""The fence (``guard.only``): which changes of a worktree's holder lie outside of the patterns that they may change?

A fence binds only the holder in whose worktree it is set. Each of its values is a pattern relative to the repository's
top.
"""

from __future__ import annotations

import os

from guard.model import UsageError
from guard.words import quoted, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.model import Change
    from guard.patterns.match import Union
    from guard.refusal import Situation
    from guard.repo.settings import Setting

SHOWN = 10
"""How many paths the refusal lists."""


def outside(changes: Iterable[Change], only: Iterable[Setting], *, fold: bool) -> list[bytes]:
    """The changed paths that no pattern of the fence covers, sorted; none when there is no fence.

    Raises :class:`guard.model.UsageError` for a value that is no pattern.
    """
    settings = list(only)
    if not settings:
        return []
    paths = sorted({change.path for change in changes})
    inside = set(_union(_patterns(settings), fold=fold).touched(paths))
    return [path for path in paths if path not in inside]


def leaves(names: Iterable[tuple[bytes, bytes | None]], only: Iterable[Setting], *, fold: bool) -> list[bool]:
    """For each name: can a change of it leave the fence? Always False when there is no fence.

    A name is a path and None, or a path and a pattern; the second form stands for everything that the pattern covers.
    Raises :class:`guard.model.UsageError` for a value of the fence that is no pattern.
    """
    settings, asked = list(only), list(names)
    if not settings:
        return [False] * len(asked)
    from guard.patterns.grammar import prefix

    patterns = _patterns(settings)
    union = _union(patterns, fold=fold)
    return [
        pattern not in patterns and not union.matches(path if pattern is None else _below(prefix(pattern)))
        for path, pattern in asked
    ]


_SOME_NAME = b"\x01any name\x01"
"""A name that only wildcards cover: guard refuses control characters in patterns, so no pattern can name it."""


def _below(directory: bytes) -> bytes:
    """A path in the directory that a pattern covers only when it covers everything in the directory."""
    return directory + b"/" + _SOME_NAME if directory else _SOME_NAME


def _patterns(settings: Iterable[Setting]) -> list[bytes]:
    return [_pattern(each) for each in settings]


def _pattern(setting: Setting) -> bytes:
    from guard.patterns.grammar import stored

    value = os.fsencode(setting.value)
    try:
        return stored(value, cwd=b"", exists=lambda _: False)
    except UsageError as error:
        reason = error.what.partition(": ")[2]
    what = f"the fence ({setting.source}) has a value that is no pattern: {safe(value)}: {reason}"
    raise UsageError(what, hint=_without(setting))


def _without(setting: Setting) -> str:
    """The command after which a value of the fence does not count any more."""
    if setting.scope == "command":
        return "leave out -c guard.only=…, and: unset GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS"
    if setting.scope:
        value = quoted(os.fsencode(setting.value))
        return f"git config --{setting.scope} --fixed-value --unset-all guard.only {value}"
    return "unset GUARD_ONLY"


def _union(patterns: Iterable[bytes], *, fold: bool) -> Union:
    from guard.patterns.match import Union

    return Union(patterns, fold=fold)


def refusal_text(paths: list[bytes], only: Iterable[Setting], *, verb: str, situation: Situation | None) -> str:
    """The message for a commit, merge or push that leaves the fence; ``verb`` is one of these three words.

    ``situation`` has the steps that take the paths out. Without one, the text is a warning, because the change goes
    through.
    """
    from guard.refusal import leave_out_lines

    settings = list(only)
    count = "1 path" if len(paths) == 1 else f"{len(paths)} paths"
    verdict = f"{verb} refused" if situation else f"warning, this {verb} goes through (mode warn)"
    inside = ", ".join(safe(each.value) for each in settings)
    lines = [f"guard: {verdict}: it changes {count} outside of this worktree's fence.", ""]
    lines += [f"       {safe(path)}" for path in paths[:SHOWN]]
    lines += [f"       … and {len(paths) - SHOWN} more"] if len(paths) > SHOWN else []
    lines += ["", f"  the fence:      {inside}   (from {settings[0].source})"]
    if situation:
        lines += leave_out_lines(situation)
        lines.append(f"  once around it: GUARD_SKIP=1 {situation.again}   (recorded)")
    return "\n".join(lines)
