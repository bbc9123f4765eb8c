"""The union: every pattern that could refuse a holder's change, published where a hook finds it without a process.

    unions/SLOT/current          a symbolic link to ID/current of the publication that counts; replaced by a rename
    unions/SLOT/fresh.BOOT.HOST  what the hook runs to see whether that one is proven (guard.union.script); the same
    unions/SLOT/ID/              one publication. Nothing in it is written again once ``current`` leads to it
    unions/SLOT/ID/current       what it was made for, and what proves it fresh (guard.union.published has its lines)
    unions/SLOT/ID/whole         there while nothing of the publication has been taken away
    unions/SLOT/ID/slot          a symbolic link to the slot: it leads elsewhere in a repository that was copied
    unions/SLOT/ID/s0, …         files with the modification time that each watched file must have
    unions/SLOT/ID/due           its modification time is when the first of the holder's own reservations runs out
    unions/SLOT/ID/placed        there if a line in another hook, which runs guard, stood in its place
    unions/SLOT/ID/tracking      globs of the refs that track remotes, one a line; absent when they are many
    unions/SLOT/ID/tree/         the patterns, in one .gitignore, for git
    unions/SLOT/ID/patterns      the patterns for Python (guard.union.patterns)
    unions/SLOT/ID/rows          the reservations behind the patterns, where the store is a server (guard.union.known)
    unions/SLOT/ID/list*         what a hook that is running has listed
    unions/SLOT/asked            where the store is a server: no answer to an earlier question is published any more
    unions/SLOT/repository/      the empty repository in which git matches

The union need only never miss what the full verdict would refuse: expired patterns stay until a writer drops them.
Whatever goes wrong here makes a union that is not fresh, never a wrong one.
"""

from __future__ import annotations

import os
import stat
import time

from guard import system
from guard.lock import Locked
from guard.model import GuardError
from guard.patterns.grammar import covering
from guard.stores import freshness
from guard.stores.freshness import Stamp
from guard.union import script
from guard.union.patterns import digest, table_of, to_bytes
from guard.union.published import (
    BY_PYTHON,
    EMPTY,
    EXACT,
    FOLDED,
    LARGE,
    OFF,
    Current,
    Identity,
    Published,
    is_fresh,
    is_name,
    is_whole,
    key_of,
    layout,
    lease_holds,
    lines_of,
    load,
    settings_hold,
    slot_of,
    was_made_here,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.stores.interface import Source, Store
    from guard.union.lease import Lease

__all__ = [
    "Identity",
    "Published",
    "is_fresh",
    "key_of",
    "load",
    "prolong",
    "publish",
    "renew",
    "renew_slot",
    "settings_hold",
    "slot_of",
]

ONE_FILE_MAX = 1000
"""More patterns than this are matched by Python: git tries every pattern of a file on every path.

So many cost 50 paths 2 ms, which is less than Python's start, and 1,000 paths 25 ms.
"""
WRITTEN_NS = 86_400 * 10**9
"""The made-up time of a union's .gitignore, in ns: whoever writes to it gives it the time of day, and is seen."""
RENEWED_BY_WRITERS_MAX = 1000
"""Larger unions are left to the next hook, so that reserving costs the same among many as among few."""
GLOBS_MAX = 20
"""Where more remotes are configured than this, Python judges every push: the hook repeats options for each."""
LEFTOVER_S = 60.0
LEASE_UNKNOWN_MS = 30_000
"""How long a lease is taken to be, in ms, when the server has not told."""
LOCK_PATIENCE_S = 2.0
"""How long to wait for another publisher, in seconds; then Python judges, or the union is left to the next hook."""

_IGNORE = b".gitignore"

_lines: dict[bytes, tuple[bytes, ...]] = {}


def publish(
    slot: bytes,
    *,
    key: bytes | None,
    identity: Identity,
    source: Source | None,
    settings: Iterable[Stamp],
    asked_ns: int | None = None,
) -> Published:
    """Publishes a union, or that there is nothing to match; ``source`` is None when guard is switched off.

    ``asked_ns``: where the store is a server, the boot's clock before it was asked. Where a union cannot be published,
    answers that Python has to judge.
    """
    try:
        _make_directory(slot)
        lease = _lease(source, asked_ns)
        if source is not None and source.lease_ms is not None and lease is None:
            return Published(BY_PYTHON, b"-")  # no clock tells when it ends
        with _locked(slot):
            published = _publish(slot, key, identity, source, list(settings), lease)
        return published if lease is None else _unless_late(slot, published)
    except (OSError, ValueError):  # a read-only or full disk, a name too long: slower, and right
        state = BY_PYTHON if source and source.patterns else _state(identity, source)
        return Published(state, b"-")


def prolong(slot: bytes, current: Current, asked_ns: int) -> Published:
    """Gives what is published a new deadline: the server said, after ``asked_ns``, that nothing has changed.

    Where somebody has published another union meanwhile, answers that Python has to judge.
    """
    lease = current.lease and current.lease._replace(boot=freshness.boot(), asked_ns=asked_ns)
    try:
        with _locked(slot):
            before = load(slot)
            if before is None or lease is None or before.published != current.published or not _holds(slot, before):
                return Published(BY_PYTHON, b"-")
            if _may_replace(slot, lease, before) and was_made_here(before):
                _write_current(slot, before._replace(lease=lease))
        return _unless_late(slot, before.published)
    except (OSError, ValueError):
        return Published(BY_PYTHON, b"-")


def _unless_late(slot: bytes, published: Published) -> Published:
    """What was published; or, if this process was stopped until the lease had run out, that Python asks once more."""
    current = load(slot)
    fine = current is not None and current.published == published and lease_holds(current)
    return published if fine else Published(BY_PYTHON, b"-")


def renew(store: Store) -> None:
    """Brings the unions that a write to the store made stale up to date, so that the next hook finds them fresh.

    Where the store is a file, a union that is not renewed is stale by itself. One of a server would still be used until
    its deadline, so what cannot be renewed is made to have passed it.
    """
    try:
        slots = store.publications()
    except GuardError:
        return  # what was written to the store stands; every union stays stale, and its hook will look
    asked = _Asked(store) if store.kind.leased else None
    for slot in slots:
        try:
            if _is_gone(slot):
                store.forget(slot)
            elif _is_ours(slot):
                if asked is not None:
                    _renew_or_end(slot, asked)
                else:
                    with _locked(slot):
                        _renew(slot, store)
        except (OSError, ValueError, GuardError):
            continue  # this one stays stale


def renew_slot(slot: bytes, store: Store) -> None:
    """As :func:`renew`, for one union of a store that is a file. One of a server is left to the next hook."""
    try:
        if not store.kind.leased and _is_ours(slot):
            with _locked(slot):
                _renew(slot, store)
    except (OSError, ValueError, GuardError):
        return  # it stays stale


def prolong_all(store: Store) -> int:
    """Asks a server once, and gives the unions on this machine a new deadline, or makes them anew where something has
    changed; returns the length of the shortest lease in ms.

    For a process that lives longer than a lease. Unlike a writer, it ends no lease where it fails.
    """
    asked = _Asked(store)
    try:
        for slot in store.publications():
            try:
                if _is_ours(slot):
                    _renew_leased(slot, asked)
            except (OSError, ValueError):
                continue  # its deadline passes
    except GuardError:
        return LEASE_UNKNOWN_MS  # no answer: the deadlines pass
    return asked.shortest_ms


class _Asked:
    """What a server answers about a project, asked once for all the holders whose unions are renewed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked_ns = system.boot_clock_ns()
        self._answers: dict[str, Source] = {}

    def source(self, project: str, holder: str) -> Source:
        """What could refuse this holder's changes. Raises :class:`GuardError`."""
        if project not in self._answers:
            self._answers[project] = self.store.union_source(project, "")  # nobody has this name
        found = self._answers[project]
        rows = tuple(row for row in found.rows if row.holder != holder)
        return found._replace(rows=rows, patterns=tuple(sorted({row.pattern for row in rows})))

    @property
    def shortest_ms(self) -> int:
        """The length of the shortest lease among those that were answered, in ms."""
        return min((each.lease_ms or LEASE_UNKNOWN_MS for each in self._answers.values()), default=LEASE_UNKNOWN_MS)


def _renew_or_end(slot: bytes, asked: _Asked) -> None:
    """Renews a union of a server's; or else no answer to an earlier question counts in this slot any more."""
    try:
        if _renew_leased(slot, asked):
            return
    except (OSError, ValueError, GuardError):
        pass  # it is ended below
    _end_lease(slot, asked.asked_ns)


def _renew_leased(slot: bytes, asked: _Asked) -> bool:
    """As :func:`_renew`; the lock is not held while the question is under way. False if it was not renewed."""
    current = _renewable(slot, asked.store)
    if current is None:
        return False
    source = asked.source(current.identity.project.decode(), current.identity.holder.decode())
    lease = _lease(source, asked.asked_ns)
    if lease is None or len(source.patterns) > RENEWED_BY_WRITERS_MAX:
        return False
    with _locked(slot):
        now = load(slot)
        if now is None or (now.key, now.identity) != (current.key, current.identity):
            return False
        settings = list(now.files[now.store_files :])
        return _publish(slot, now.key, now.identity, source, settings, lease).state != BY_PYTHON


def _end_lease(slot: bytes, asked_ns: int | None) -> None:
    """Ends the lease on what is published, and on every answer to an earlier question that is not published yet.

    Raises :class:`OSError`. If the lock's owner was stopped, goes on without the lock: should that process go on later,
    what it publishes is used until its own deadline.
    """
    try:
        with _locked(slot):
            _write_asked(slot, asked_ns or 0)
    except TimeoutError:
        _write_asked(slot, asked_ns or 0)


def _write_asked(slot: bytes, asked_ns: int) -> None:
    temporary = os.path.join(slot, b"asked." + os.urandom(8).hex().encode())
    _write(temporary, b"%b\n%d\n" % (freshness.boot(), asked_ns))
    os.replace(temporary, os.path.join(slot, b"asked"))
    try:
        os.unlink(os.path.join(slot, b"current"))
    except FileNotFoundError:
        pass  # nothing was published


def _may_replace(slot: bytes, lease: Lease, before: Current | None) -> bool:
    """Was this asked after what is published, and after the last writer that could not renew it?"""
    from guard.union import lease as leases

    try:
        with open(os.path.join(slot, b"asked"), "rb") as file:
            boot, asked, _ = file.read().split(b"\n")
        if not leases.replaces(lease, leases.Lease(boot, int(asked), 0)):
            return False
    except FileNotFoundError:
        pass  # every writer has renewed it
    return before is None or before.lease is None or leases.replaces(lease, before.lease)


def _lease(source: Source | None, asked_ns: int | None) -> Lease | None:
    """The lease on an answer; None where files prove it, and where no clock can tell when it ends."""
    if source is None or source.lease_ms is None or asked_ns is None:
        return None
    from guard.union.lease import Lease

    boot = freshness.boot()
    return Lease(boot, asked_ns, source.lease_ms) if boot else None


def _is_gone(slot: bytes) -> bool:
    """Is there no such directory? One that this account may not see is not gone."""
    try:
        return not stat.S_ISDIR(os.stat(slot).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True


def _renew(slot: bytes, store: Store) -> None:
    """Renews a union with the settings that were published."""
    current = _renewable(slot, store)
    if current is None:
        return
    source = store.union_source(current.identity.project.decode(), current.identity.holder.decode())
    if len(source.patterns) <= RENEWED_BY_WRITERS_MAX:
        settings = list(current.files[current.store_files :])
        _publish(slot, current.key, current.identity, source, settings, None)


def _renewable(slot: bytes, store: Store) -> Current | None:
    """What is published, if it is this store's; None if its settings were stamped in another boot or container.

    Such stamps prove nothing here and now: the next hook reads the settings again.
    """
    current = load(slot)
    if current is None or current.identity.off or not store.is_at(current.identity.store):
        return None
    return current if was_made_here(current) and is_whole(slot, current.published.name) else None


def _publish(
    slot: bytes,
    key: bytes | None,
    identity: Identity,
    source: Source | None,
    settings: list[Stamp],
    lease: Lease | None,
) -> Published:
    before = load(slot)
    if source is not None and lease is not None:
        source = source._replace(stamps=())  # no file tells what a server knows
    if lease is not None and not _may_replace(slot, lease, before):
        newer = before is not None and (before.key, before.identity) == (key, identity)
        return before.published if before is not None and newer else Published(BY_PYTHON, b"-")
    same = before is not None and _says_the_same(before, key, identity, source, settings) and _holds(slot, before)
    if same and before is not None and (lease is None or source is None or _same_rows(slot, before, source)):
        if lease is not None and source is not None:
            _write_current(slot, before._replace(lease=lease, generation=source.generation, store_state=source.state))
        return before.published
    published = Published(_state(identity, source), os.urandom(8).hex().encode())
    os.mkdir(os.path.join(slot, published.name), 0o700)
    current = _write_publication(slot, published, key or b"", identity, source, settings, lease, before)
    if key is not None:
        _write_current(slot, current)
        _withdraw(slot, before)
    _sweep(slot, published.name)
    return published


def _write_publication(
    slot: bytes,
    published: Published,
    key: bytes,
    identity: Identity,
    source: Source | None,
    settings: list[Stamp],
    lease: Lease | None,
    before: Current | None,
) -> Current:
    """Writes the files of a publication, to which nothing leads yet, and returns what ``current`` is to say of it.

    ``before`` is what is published now: its patterns are linked where they are the same.
    """
    place = os.path.join(slot, published.name)
    patterns = source.patterns if source and published.state != OFF else ()
    checksum = _checksum(patterns)
    if patterns:
        _make_scratch(os.path.join(slot, b"repository"))
        kept = None if before is None or before.patterns != checksum else before.published
        _write_patterns(slot, published, patterns, fold=identity.fold, kept=kept)
        _write_tracking(place, identity)
    if lease is not None and source is not None:
        from guard.union import known

        _write(os.path.join(place, b"rows"), known.to_bytes(source.rows))
    store_files = [*(source.stamps if source else ())]
    if published.state in (EXACT, FOLDED):
        store_files.append(Stamp(os.path.join(place, b"tree", _IGNORE), WRITTEN_NS))
    files = (*store_files, *settings)
    _write_stamps(slot, place, files)
    due = _due(source)
    if due is not None:
        _write(os.path.join(place, b"due"), b"", mtime_ns=due * 1_000_000)
    if identity.placed:
        _write(os.path.join(place, b"placed"), b"")
    _write(os.path.join(place, b"whole"), b"")
    generation, state = (source.generation, source.state) if source else (0, b"")
    made_in = (freshness.boot(), freshness.host())
    return Current(
        *(published, *made_in, key, files, identity, generation, len(store_files), checksum, due, lease, state)
    )


def _same_rows(slot: bytes, before: Current, source: Source) -> bool:
    from guard.union import known

    return known.holds(slot, before, source.rows)


def _due(source: Source | None) -> int | None:
    """When the holder's first own reservation runs out; None when there is none, or when it has already: a store that
    can only be read goes on listing it, and the holder was told."""
    due = source.mine_until if source and source.lease_ms is None else None  # a server tells by its own clock
    return due if due is not None and due > time.time_ns() // 1_000_000 else None


def _says_the_same(
    before: Current, key: bytes | None, identity: Identity, source: Source | None, settings: list[Stamp]
) -> bool:
    """Does what is published say just this? Then it serves once more."""
    if (before.key, before.identity, before.published.state) != (key, identity, _state(identity, source)):
        return False
    if before.due != _due(source) or (before.lease is None) != (source is None or source.lease_ms is None):
        return False
    patterns = source.patterns if source and before.published.state != OFF else ()
    stamps = [*(source.stamps if source else ())]
    published = list(before.files)
    if before.published.state in (EXACT, FOLDED):
        del published[len(stamps)]
    return was_made_here(before) and published == [*stamps, *settings] and before.patterns == _checksum(patterns)


def _holds(slot: bytes, before: Current) -> bool:
    """Are the publication's own files as they were written? What was damaged is made anew."""
    place = os.path.join(slot, before.published.name)
    proven, files, _, _ = layout(before.files)
    stamps = all(freshness.mtime_of(os.path.join(place, b"s%d" % n)) == each.mtime_ns for n, each in enumerate(files))
    if before.due is not None:
        stamps = stamps and freshness.mtime_of(os.path.join(place, b"due")) == before.due * 1_000_000
    own = [stamp for stamp in before.files[: before.store_files] if stamp.path.startswith(place + b"/")]
    return (
        proven
        and stamps
        and all(stamp.holds() for stamp in own)
        and os.path.islink(os.path.join(place, b"slot"))
        and _has_script(slot, before)
        and (before.published.state in (OFF, EMPTY) or os.path.exists(os.path.join(place, b"patterns")))
        and is_whole(slot, before.published.name)
    )


def _write_patterns(
    slot: bytes, published: Published, patterns: Iterable[bytes], *, fold: bool, kept: Published | None
) -> None:
    """Writes the patterns for git and for Python. Python's table of the same patterns is shared with ``kept``."""
    place = os.path.join(slot, published.name)
    lines: list[bytes] = []
    if kept is not None and kept.state == published.state:
        try:
            os.link(os.path.join(slot, kept.name, b"patterns"), os.path.join(place, b"patterns"))
        except OSError:
            kept = None  # damaged, or a file system without hard links
    if kept is None or published.state != LARGE:
        lines = [line for pattern in patterns for line in _lines_of(pattern)]
    if kept is None:
        _write(os.path.join(place, b"patterns"), to_bytes(table_of(lines, fold=fold), fold=fold))
    if published.state != LARGE:
        os.mkdir(os.path.join(place, b"tree"), 0o700)
        _write(os.path.join(place, b"tree", _IGNORE), _ignore_file(lines, published.name), mtime_ns=WRITTEN_NS)


def _write_tracking(place: bytes, identity: Identity) -> None:
    globs = identity.tracking.split()
    if len(globs) <= GLOBS_MAX:
        _write(os.path.join(place, b"tracking"), b"".join(glob + b"\n" for glob in globs))


def _ignore_file(lines: Iterable[bytes], name: bytes) -> bytes:
    """The patterns, and at last the line that the end mark matches: "?" stands for its newlines."""
    head = b"# What others hold here; made by guard, which makes it anew.\n"
    return head + b"".join(line + b"\n" for line in lines) + b"?%b?\n" % name


def _checksum(patterns: Iterable[bytes]) -> bytes:
    """Names the patterns: others choose theirs, so that no two sets may share a name."""
    return digest(b"\0".join(patterns))


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


def _write_stamps(slot: bytes, place: bytes, stamps: tuple[Stamp, ...]) -> None:
    """Writes what the hook compares times with; a stamp that proves nothing is left out, and nothing is fresh then."""
    os.symlink(slot, os.path.join(place, b"slot"))
    for number, stamp in enumerate(layout(stamps)[1]):
        if stamp.proven:
            _write(os.path.join(place, b"s%d" % number), b"", mtime_ns=stamp.mtime_ns)


def _write_current(slot: bytes, current: Current) -> None:
    """Makes a publication the one that counts.

    First for the hook, which then finds that ``current`` does not lead there yet; so nobody believes a part of it.
    """
    ours = current.published.name
    _replace(os.path.join(slot, ours), b"current", lines_of(current))
    name = script.name_of(current.boot, current.host)
    if name is not None:
        _replace(slot, name, script.script_of(current, slot=slot), mtime_ns=script.MADE_NS)
    temporary = os.path.join(slot, b"current." + ours)
    os.symlink(os.path.join(ours, b"current"), temporary)
    os.replace(temporary, os.path.join(slot, b"current"))


def _replace(directory: bytes, name: bytes, contents: bytes, *, mtime_ns: int | None = None) -> None:
    temporary = os.path.join(directory, b"new." + name)
    _write(temporary, contents, mtime_ns=mtime_ns)
    os.replace(temporary, os.path.join(directory, name))


def _state(identity: Identity, source: Source | None) -> bytes:
    if identity.off or source is None:
        return OFF
    if not source.patterns:
        return EMPTY
    if len(source.patterns) > ONE_FILE_MAX:
        return LARGE
    return FOLDED if identity.fold else EXACT


def _lines_of(pattern: bytes) -> tuple[bytes, ...]:
    """:func:`guard.patterns.grammar.covering`, worked out once for all the unions that one process renews.

    A pattern for what is in a directory may also mean a submodule in its place, of which git lists the directory alone.
    Whether it is one, the full verdict finds out.
    """
    lines = _lines.get(pattern)
    if lines is None:
        line = covering(pattern)
        end = next((end for end in (b"/**", b"/*", b"/") if line.endswith(end)), b"")
        place = line[: len(line) - len(end)] if end else b""
        lines = _lines[pattern] = (line, place) if place.strip(b"*/") else (line,)
    return lines


def _withdraw(slot: bytes, current: Current | None) -> None:
    """Takes a publication away: its mark first, so that a hook in the middle of it notices."""
    if current is not None and is_name(current.published.name):
        place = os.path.join(slot, current.published.name)
        try:
            os.unlink(os.path.join(place, b"whole"))
        except FileNotFoundError:
            pass  # it was withdrawn before
        _remove_tree(place)


def _sweep(slot: bytes, keep: bytes) -> None:
    """Removes what killed publishers left, and what the hooks of another boot ran."""
    kept_script = script.name_of(freshness.boot(), freshness.host())
    for entry in os.scandir(slot):
        old = entry.stat(follow_symlinks=False).st_mtime < time.time() - LEFTOVER_S
        if old and is_name(entry.name) and entry.name != keep:
            _remove_tree(entry.path)
        elif old and entry.name.startswith((b"current.", b"asked.", b"new.")):
            os.unlink(entry.path)
        elif entry.name.startswith(b"fresh.") and entry.name != kept_script:
            os.unlink(entry.path)  # of another boot, or of another container, which makes its own anew


def _remove_tree(path: bytes) -> None:
    try:
        entries = list(os.scandir(path))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            _remove_tree(entry.path)
        else:
            os.unlink(entry.path)
    os.rmdir(path)


def _make_scratch(path: bytes) -> None:
    """An empty repository: git check-ignore answers from its work tree's .gitignore file alone."""
    if os.path.exists(os.path.join(path, b"HEAD")):
        return
    for directory in (path, os.path.join(path, b"objects"), os.path.join(path, b"refs")):
        os.makedirs(directory, mode=0o700, exist_ok=True)
    _write(os.path.join(path, b"config"), b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
    _write(os.path.join(path, b"HEAD"), b"ref: refs/heads/none\n")


def _make_directory(slot: bytes) -> None:
    """Makes the slot's directory, private; refuses one that is not really ours.

    The two above it are as open as the git directory is, for several accounts may share it (core.sharedRepository).
    """
    unions = os.path.dirname(slot)
    own = os.path.dirname(unions)
    mode = os.stat(os.path.dirname(own)).st_mode & 0o2777
    for path, bits in ((own, mode), (unions, mode), (slot, 0o700)):
        try:
            os.mkdir(path, 0o700)
            os.chmod(path, bits)
        except FileExistsError:
            pass
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise NotADirectoryError(f"{os.fsdecode(path)} leads elsewhere")
    if not _is_ours(slot):
        raise PermissionError(f"{os.fsdecode(slot)} belongs to somebody else")


def _is_ours(slot: bytes) -> bool:
    """Is this a slot below a git directory's guard/unions, our account's, with no link on the way?"""
    unions = os.path.dirname(slot)
    own = os.path.dirname(unions)
    if (os.path.basename(own), os.path.basename(unions)) != (b"guard", b"unions"):
        return False
    try:
        return os.lstat(slot).st_uid == os.getuid() and all(
            stat.S_ISDIR(os.lstat(path).st_mode) for path in (own, unions, slot)
        )
    except OSError:
        return False


def _write(path: bytes, contents: bytes, *, mtime_ns: int | None = None) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        while contents:
            contents = contents[os.write(file, contents) :]
        if mtime_ns is not None:
            os.utime(file, ns=(mtime_ns, mtime_ns))
    finally:
        os.close(file)


def _locked(slot: bytes) -> Locked:
    """Holds a slot's lock, so that one process at a time changes what is published there."""
    return Locked(os.path.join(slot, b"lock"), flags=os.O_RDWR | os.O_CREAT, patience_s=LOCK_PATIENCE_S)
