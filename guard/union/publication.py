"""The files of one publication, and which publication counts.

    unions/SLOT/current          a symbolic link to ID/current of the publication that counts; replaced by a rename
    unions/SLOT/fresh.BOOT.HOST  what the hook runs to see whether that one is proven (guard.union.script); the same
    unions/SLOT/ID/              one publication. Nothing in it is written again once ``current`` leads to it
    unions/SLOT/ID/current       what it was made for, and what proves it fresh (guard.union.published has its lines)
    unions/SLOT/ID/whole         there while nothing of the publication has been taken away
    unions/SLOT/ID/slot          a symbolic link to the slot: it leads elsewhere in a repository that was copied
    unions/SLOT/ID/s, s/s, …     directories with the modification time that each watched file must have
    unions/SLOT/ID/s/…/git       a symbolic link to the git directory, in the last one of them
    unions/SLOT/ID/due           its modification time is when the first of the holder's own reservations runs out
    unions/SLOT/ID/now           written by a hook where /proc tells no time, to be compared with ``due``
    unions/SLOT/ID/placed        there if a line in another hook, which runs guard, stood in its place
    unions/SLOT/ID/tracking      globs of the refs that track remotes, one a line; absent when they are many
    unions/SLOT/ID/tree/         the patterns, in one .gitignore, for git
    unions/SLOT/ID/patterns      the patterns for Python (guard.union.patterns), or what has changed in ``base``
    unions/SLOT/ID/base          a table of many patterns, the same file in several publications
    unions/SLOT/ID/rows          the reservations behind the patterns, where the store is a server (guard.union.known)
    unions/SLOT/ID/list*         what a hook that is running has listed
    unions/SLOT/asked            where the store is a server: no answer to an earlier question is published any more
    unions/SLOT/repository/      the empty repository in which git matches

Whatever goes wrong here makes a union that is not fresh, never a wrong one.
"""

from __future__ import annotations

import os

from guard.stores import freshness
from guard.stores.freshness import Stamp
from guard.union import script
from guard.union.contents import IGNORE, WRITTEN_NS, is_intact, write_patterns
from guard.union.published import EMPTY, EXACT, FOLDED, OFF, Current, Identity, git_dir_of, is_whole, layout, lines_of
from guard.union.slot import replace, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.stores.interface import Source
    from guard.union.contents import Contents
    from guard.union.lease import Lease
    from guard.union.published import Published

GLOBS_MAX = 20
"""Where more remotes are configured than this, Python judges every push: the hook repeats options for each."""
STAMPS_MAX = 400
"""Where more files than this are watched, nothing is published, and Python judges: each stamp lies deeper than the one
before, is found more slowly, and at last has too long a path."""


def write_publication(
    slot: bytes,
    published: Published,
    key: bytes,
    identity: Identity,
    source: Source | None,
    contents: Contents,
    settings: Sequence[Stamp],
    due: int | None,
    lease: Lease | None,
) -> Current:
    """Writes the files of a publication, to which nothing leads yet, and returns what ``current`` is to say of it."""
    place = os.path.join(slot, published.name)
    os.mkdir(place, 0o700)
    if published.state not in (OFF, EMPTY):
        write_patterns(slot, published.name, contents, fold=identity.fold)
        _write_tracking(place, identity)
    if lease is not None and source is not None:
        from guard.union import known

        write(os.path.join(place, b"rows"), known.to_bytes(source.rows))
    store_files = [*(source.stamps if source else ())]
    if published.state in (EXACT, FOLDED):
        store_files.append(Stamp(os.path.join(place, b"tree", IGNORE), WRITTEN_NS))
    files = (*store_files, *settings)
    _write_stamps(slot, place, files)
    if due is not None:
        write(os.path.join(place, b"due"), b"", mtime_ns=due * 1_000_000)
    if identity.placed:
        write(os.path.join(place, b"placed"), b"")
    write(os.path.join(place, b"whole"), b"")
    return Current(
        published=published,
        boot=freshness.boot(),
        host=freshness.host(),
        key=key,
        files=files,
        identity=identity,
        generation=source.generation if source else 0,
        store_files=len(store_files),
        patterns=contents.checksum,
        due=due,
        lease=lease,
        store_state=source.state if source else b"",
        at_least=contents.at_least,
    )


def _write_tracking(place: bytes, identity: Identity) -> None:
    globs = identity.tracking.split()
    if len(globs) <= GLOBS_MAX:
        write(os.path.join(place, b"tracking"), b"".join(glob + b"\n" for glob in globs))


def _write_stamps(slot: bytes, place: bytes, stamps: tuple[Stamp, ...]) -> None:
    """Makes what the hook compares times with; nothing where one of the stamps proves nothing: then nothing is fresh.

    They are directories, each in the one before, and a link to the git directory is in the last one. So the hook sees
    by one test that all of them are there, and where they were made. Raises :class:`ValueError` where they are too
    many.
    """
    os.symlink(slot, os.path.join(place, b"slot"))
    proven, files, _, _ = layout(stamps)
    if not proven:
        return
    if len(files) > STAMPS_MAX:
        raise ValueError("the configuration is in too many files to watch")
    names = [os.path.join(place, script.stamp_of(number)) for number in range(len(files))]
    for name in names:
        os.mkdir(name, 0o700)
    os.symlink(git_dir_of(slot), os.path.join(place, script.git_of(len(files))))
    for name, stamp in zip(names, files, strict=True):  # after all are made, for making one changes the one it lies in
        assert stamp.mtime_ns is not None
        os.utime(name, ns=(stamp.mtime_ns, stamp.mtime_ns))


def make_current(slot: bytes, current: Current) -> None:
    """Makes a publication the one that counts.

    First for the hook, which then finds that ``current`` does not lead there yet; so nobody believes a part of it.
    """
    ours = current.published.name
    replace(os.path.join(slot, ours), b"current", lines_of(current))
    name = script.name_of(current.boot, current.host)
    if name is not None:
        replace(slot, name, script.script_of(current, slot=slot), mtime_ns=script.MADE_NS)
    temporary = os.path.join(slot, b"current." + ours)
    os.symlink(os.path.join(ours, b"current"), temporary)
    os.replace(temporary, os.path.join(slot, b"current"))


def files_hold(slot: bytes, before: Current) -> bool:
    """Are the publication's own files as they were written? What was damaged is made anew."""
    place = os.path.join(slot, before.published.name)
    proven, files, _, _ = layout(before.files)
    stamps = all(
        freshness.mtime_of(os.path.join(place, script.stamp_of(n))) == each.mtime_ns for n, each in enumerate(files)
    )
    if before.due is not None:
        stamps = stamps and freshness.mtime_of(os.path.join(place, b"due")) == before.due * 1_000_000
    own = [stamp for stamp in before.files[: before.store_files] if stamp.path.startswith(place + b"/")]
    return (
        proven
        and stamps
        and all(stamp.holds() for stamp in own)
        and os.path.islink(os.path.join(place, b"slot"))
        and os.path.islink(os.path.join(place, script.git_of(len(files))))
        and _has_script(slot, before)
        and (before.published.state in (OFF, EMPTY) or is_intact(place))
        and is_whole(slot, before.published.name)
    )


def _has_script(slot: bytes, current: Current) -> bool:
    """Does what the hook runs lie there, as it was written?"""
    name = script.name_of(current.boot, current.host)
    if name is None:
        return False
    path = os.path.join(slot, name)
    try:
        with open(path, "rb") as file:
            contents = file.read()
    except OSError:
        return False
    return freshness.mtime_of(path) == script.MADE_NS and contents == script.script_of(current, slot=slot)
