"""The verdict: which changes touch which reservations of somebody else?"""

from __future__ import annotations

from guard.model import Change, Conflict, Reservation, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guard.stores.interface import Store


def verdict(store: Store, changes: Sequence[Change], *, project: str, me: str, fold: bool) -> Verdict:
    """Judges changes by what the store holds now. Raises :class:`guard.model.GuardError` when it cannot answer."""
    snapshot = store.covering(project, [path for change in changes for path in change.judged_paths])
    return Verdict(tuple(conflicts(changes, snapshot.reservations, me=me, fold=fold)), snapshot.generation)


def conflicts(
    changes: Iterable[Change], reservations: Iterable[Reservation], *, me: str | None, fold: bool
) -> list[Conflict]:
    """Every changed path with each exclusive reservation of somebody else that covers it or a directory above it.

    ``me`` is the holder's name; None when nobody is the holder, and then every reservation is somebody else's.
    ``fold`` ignores the case of ASCII letters.
    """
    theirs = [row for row in reservations if row.exclusive and row.holder != me]
    if not theirs:
        return []
    from guard.patterns.match import Union  # loads pathspec, which takes five times as long as a start of Python

    union = Union([row.pattern for row in theirs], fold=fold)
    return [
        Conflict(change.path, change.commit, theirs[number], change.at, change.discarded)
        for change in changes
        for number in sorted({number for path in change.judged_paths for number in union.attribute(path)})
    ]


def unexplained(
    changes: Sequence[Change], reservations: Iterable[Reservation], *, me: str | None, fold: bool
) -> list[Conflict]:
    """As :func:`conflicts`, for all active reservations of a project, most of which touch no change.

    A cheap matcher first takes the changes that any of the reservations may cover.
    """
    from guard.patterns.grammar import covering
    from guard.union.patterns import Matcher, table_of

    rows = [row for row in reservations if row.exclusive and row.holder != me]
    matcher = Matcher(table_of((covering(row.pattern) for row in rows), fold=fold), fold=fold)
    touched = [change for change in changes if any(map(matcher.covers, change.judged_paths))]
    return conflicts(touched, rows, me=me, fold=fold) if touched else []


def below(directories: Iterable[bytes], reservations: Iterable[Reservation], *, me: str, fold: bool) -> list[Conflict]:
    """Every directory with each exclusive reservation of somebody else that may cover something below it.

    Directories are relative to the repository's top; b"" is the top itself.
    """
    from guard.patterns.grammar import literal
    from guard.patterns.overlap import overlap

    theirs = [row for row in reservations if row.exclusive and row.holder != me]
    found = []
    for directory in directories:
        everything = literal(directory)
        found += [
            Conflict(directory or b".", None, row) for row in theirs if overlap(everything, row.pattern, fold=fold)
        ]
    return found
