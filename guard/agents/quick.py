"""The fast way through an edit: proven clear, and nothing to reserve, without opening the store or starting git.

What guard.autoReserve says is remembered beside the session's note, for one publication of the union: a publication
is fresh only while the files that the settings were read from are as they were.
"""

from __future__ import annotations

import os
import time

from guard.agents import notes
from guard.agents.locate import is_set_up, locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from guard.agents.locate import Located
    from guard.repo.place import Place
    from guard.union.published import Current


def are_done(paths: Iterable[bytes], cwd: bytes, environment: Mapping[bytes, bytes], note: bytes) -> bool:
    """Is it proven for all paths that nobody else holds them, and is there nothing to reserve?

    Raises :class:`guard.model.GuardError` if a repository is there and cannot be read.
    """
    now = now_ms()
    return all(
        not is_set_up(located.place) or is_done(located, environment, note, now_ms=now)
        for located in locate(paths, cwd)
    )


def is_done(located: Located, environment: Mapping[bytes, bytes], note: bytes, *, now_ms: int) -> bool:
    """Is it proven that nobody else holds one of the paths, and is there nothing to reserve?"""
    if not is_clear(located.place, environment, located.paths):
        return False
    auto_ms = _remembered(note, located.place.git_dir, _publication(located.place, environment))
    if auto_ms is None:
        return False
    return auto_ms == 0 or notes.is_recent(note, located.place.git_dir, located.paths, now_ms=now_ms)


def is_clear(place: Place, environment: Mapping[bytes, bytes], paths: tuple[bytes, ...] | list[bytes]) -> bool:
    """Is it proven that nobody else's exclusive reservation covers one of the paths?"""
    from guard.union import fast

    return fast.verdict(place, environment, paths) == fast.CLEAR


def is_empty(place: Place, environment: Mapping[bytes, bytes]) -> bool:
    """Is it proven that nobody else holds anything here?"""
    return is_clear(place, environment, (b"",)) and _state(place, environment) in (b"off", b"empty")


def remember_auto(note: bytes, place: Place, environment: Mapping[bytes, bytes], auto_ms: int) -> None:
    """Notes for how long an edit reserves, for the union that is published now."""
    name = _publication(place, environment)
    if not name or b"\n" in place.git_dir:
        return
    others = [line for line in _lines(note) if line.partition(b" ")[2].partition(b" ")[2] != place.git_dir]
    text = b"\n".join([*others, b"%b %d %b" % (name, auto_ms, place.git_dir)])
    try:
        os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)
        temporary = b"%b.auto.%d" % (note, os.getpid())
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(text)
        os.replace(temporary, note + b".auto")
    except OSError:
        return  # the next edit asks again


def _remembered(note: bytes, git_dir: bytes, name: bytes) -> int | None:
    for line in _lines(note):
        publication, _, rest = line.partition(b" ")
        auto_ms, _, place = rest.partition(b" ")
        if place == git_dir and publication == name and auto_ms.isdigit():
            return int(auto_ms)
    return None


def _lines(note: bytes) -> list[bytes]:
    try:
        with open(note + b".auto", "rb") as file:
            return file.read().split(b"\n")
    except OSError:
        return []


def _publication(place: Place, environment: Mapping[bytes, bytes]) -> bytes:
    """The name of what is published for this holder now; b"" if nothing is."""
    current = _current(place, environment)
    return current.published.name if current is not None else b""


def _state(place: Place, environment: Mapping[bytes, bytes]) -> bytes:
    current = _current(place, environment)
    return current.published.state if current is not None else b""


def now_ms() -> int:
    """The time of day, Unix ms."""
    return time.time_ns() // 1_000_000


def _current(place: Place, environment: Mapping[bytes, bytes]) -> Current | None:
    from guard.union import published

    return published.load(os.path.join(place.unions_dir, published.slot_of(environment)))
