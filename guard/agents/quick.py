"""Lets an edit pass without the store and without git, if it is proven clear and nothing has to be reserved.

What the configuration says is noted beside the session's note, for one publication of the union. A publication is fresh
only as long as the files that the settings were read from have not changed.
"""

from __future__ import annotations

import os
import time

from guard.agents import notes
from guard.agents.locate import is_set_up, locate
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from guard.agents.locate import Located
    from guard.repo.place import Place
    from guard.union.published import Current


def are_done(paths: Iterable[bytes], cwd: bytes, environment: Mapping[bytes, bytes], note: bytes) -> bool:
    """Is it proven for all paths that nobody else holds them, and is there nothing to reserve?

    ``paths`` are absolute or relative to ``cwd``; ``note`` is the path of the session's note. Raises
    :class:`guard.model.GuardError` if there is a repository that cannot be read.
    """
    now = now_ms()
    return all(
        not is_set_up(located.place) or is_done(located, environment, note, now_ms=now)
        for located in locate(paths, cwd)
    )


def is_done(located: Located, environment: Mapping[bytes, bytes], note: bytes, *, now_ms: int) -> bool:
    """Is it proven that nobody else holds one of the paths, and is there nothing to reserve? ``now_ms``: Unix ms."""
    if not is_clear(located.place, environment, located.paths):
        return False
    said = known(note, located.place, environment)
    if said is None:
        return False
    return said.auto_ms == 0 or notes.is_recent(note, located.place.git_dir, located.paths, now_ms=now_ms)


def is_clear(place: Place, environment: Mapping[bytes, bytes], paths: tuple[bytes, ...] | list[bytes]) -> bool:
    """Is it proven that nobody else's exclusive reservation covers one of the paths?"""
    from guard.union import fast

    return fast.verdict(place, environment, paths) == fast.CLEAR


def is_fresh_and_empty(place: Place, environment: Mapping[bytes, bytes]) -> tuple[bool, bool]:
    """Two answers: is the published union proven to be the current state, and does nobody else hold anything here?"""
    from guard.union import fast, published

    slot, key = os.path.join(place.unions_dir, published.slot_of(environment)), published.key_of(environment)
    current = published.load(slot)
    if current is None or not fast.is_private(slot) or not published.is_fresh(slot, current, key):
        return False, False
    return True, current.published.state in (published.OFF, published.EMPTY)


class Known(Record):
    """What the configuration says: how long an edit reserves a file, in ms (0: not at all); are there filters?"""

    auto_ms: int
    filters: bool


def remember(note: bytes, place: Place, environment: Mapping[bytes, bytes], known: Known) -> None:
    """Notes beside the session's note what the configuration says, for the union that is published now."""
    name = _publication(place, environment)
    if not name or b"\n" in place.git_dir:
        return
    others = [line for line in _lines(note) if line.split(b" ", 3)[3:] != [place.git_dir]]
    text = b"\n".join([*others, b"%b %d %d %b" % (name, known.auto_ms, known.filters, place.git_dir)])
    try:
        os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)
        temporary = b"%b.auto.%d" % (note, os.getpid())
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(text)
        os.replace(temporary, note + b".auto")
    except OSError:
        return  # then the next hook reads the configuration again


def known(note: bytes, place: Place, environment: Mapping[bytes, bytes]) -> Known | None:
    """What was noted for the union that is published now; None if nothing was. Valid only while that union is fresh."""
    name = _publication(place, environment)
    for line in _lines(note):
        fields = line.split(b" ", 3)
        if len(fields) == 4 and (fields[0], fields[3]) == (name, place.git_dir) and fields[1].isdigit():
            return Known(int(fields[1]), fields[2] != b"0")
    return None


def _lines(note: bytes) -> list[bytes]:
    try:
        with open(note + b".auto", "rb") as file:
            return file.read().split(b"\n")
    except OSError:
        return []


def _publication(place: Place, environment: Mapping[bytes, bytes]) -> bytes:
    """The name of the union that is published for this holder now; b"" if none is."""
    current = _current(place, environment)
    return current.published.name if current is not None else b""


def now_ms() -> int:
    """The time of day, Unix ms."""
    return time.time_ns() // 1_000_000


def _current(place: Place, environment: Mapping[bytes, bytes]) -> Current | None:
    from guard.union import published

    return published.load(os.path.join(place.unions_dir, published.slot_of(environment)))
