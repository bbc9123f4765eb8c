"""What was typed: the one reading of paths and patterns that every command shares."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from guard.model import UsageError
from guard.patterns.grammar import stored
from guard.stores.interface import Chosen, Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.work.here import Here


def wanted(here: Here, typed: Sequence[bytes]) -> list[Wanted]:
    """What was typed, as patterns; each once. Raises :class:`guard.model.UsageError`."""
    found: dict[bytes, Wanted] = {}
    for text in typed:
        pattern = stored(text, cwd=here.place.prefix, exists=here.exists)
        found.setdefault(pattern, Wanted(pattern, text))
    return list(found.values())


def chosen(here: Here, typed: Sequence[bytes], *, ids: Sequence[int] = (), everything: bool = False) -> Chosen:
    """Which reservations are meant by what was typed. Raises :class:`guard.model.UsageError`."""
    return Chosen(ids=tuple(ids), patterns=tuple(wanted(here, typed)), everything=everything)


def path(here: Here, typed: bytes) -> bytes:
    """A path given relative to the current directory, relative to the top; a leading ":/" means the top.

    Raises :class:`guard.model.UsageError` when it lies outside.
    """
    top = here.place.top or b""
    if typed.startswith(b":/"):
        typed, start = typed[2:] or b".", b""
    else:
        start = here.place.prefix
    if os.path.isabs(typed):
        where = os.path.join(os.path.realpath(os.path.dirname(typed)), os.path.basename(typed))
        relative = os.path.relpath(where, os.path.realpath(top or b"/"))
    else:
        relative = os.path.normpath(os.path.join(start, typed))
    if relative == b".." or relative.startswith(b"../"):
        raise UsageError(
            f"{os.fsdecode(typed)!a} lies outside this repository", hint=f"its top is {os.fsdecode(top)!a}"
        )
    return b"" if relative == b"." else relative
