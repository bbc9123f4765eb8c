"""The union: every pattern that could refuse a holder's change, as gitignore files that git itself matches.

It is published below a worktree's git directory, where the hook finds it without starting a process:

    unions/SLOT/current    what it was made for, and the files whose times prove it fresh; replaced by a rename
    unions/SLOT/ID/        one publication: stamps 0, 1, …; "whole" while nothing of it has been taken away
    unions/SLOT/ID/tree/   the patterns, in one .gitignore
    unions/SLOT/trie/      or, for many, in one .gitignore for each literal directory, kept and changed in place
    unions/SLOT/exact/     the empty repositories in which git matches; "folded" takes names that
    unions/SLOT/folded/    differ in case for the same one

The union need only never miss what the full verdict would refuse: expired patterns stay until a writer drops them.
Whatever goes wrong here makes a union that is not fresh, never a wrong one. ``current`` is written and read here
and read in ``hooks/guard``; its lines are listed at :class:`Current`.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter

from guard.lock import Locked
from guard.model import GuardError
from guard.patterns.grammar import covering, directory, relative
from guard.record import Record
from guard.repo.settings import KEY_VARIABLES, SESSION_VARIABLES
from guard.stores import freshness
from guard.stores.freshness import Stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from guard.stores.interface import Source, Store

MAGIC = b"guard union 1"
END = b"."
ONE_FILE_MAX = 256
"""More patterns than this are laid out by directory: git tries every pattern of a file on every path.

So many cost 50 paths nothing and 1,000 paths 3 ms; as many directories made anew cost a first hook 20 ms.
"""
WRITTEN_NS = 86_400 * 10**9
"""The made-up time of a union in one file, in ns: whoever writes to it gives it the time of day, and is seen."""
RENEWED_BY_WRITERS_MAX = 1000
"""Larger unions are left to the next hook, so that reserving costs the same among many as among few."""
LEFTOVER_S = 60.0
LOCK_PATIENCE_S = 2.0
"""How long to wait for another publisher, in seconds; then Python judges, or the union is left to the next hook."""

TRIE = b"trie"
OFF, EMPTY, EXACT, FOLDED, BY_PYTHON = b"off", b"empty", b"exact", b"folded", b"python"

_lines: dict[bytes, bytes] = {}


class Identity(Record):
    """Whose union it is, of which project; ``fold``: names that differ in case are the same."""

    holder: bytes
    project: bytes
    store: bytes
    fold: bool
    off: bool


class Published(Record):
    """What the hook needs to know: a state, the publication's name, and the work tree that holds the patterns."""

    state: bytes
    name: bytes
    tree: bytes


class Current(Record):
    """The lines of ``current``: magic, name, state, tree, boot id, the slot's own path; the values of KEY_VARIABLES;
    the watched files, the store's and the union's own first; END; and for Python the identity, the generation and how
    many those are. The path shows a repository that was copied: its files are not those that are watched."""

    published: Published
    boot: bytes
    key: tuple[bytes, ...]
    watched: tuple[bytes, ...]
    identity: Identity
    generation: int
    store_files: int


def key_of(environment: Mapping[bytes, bytes]) -> tuple[bytes, ...] | None:
    """Every variable that can change a setting; None when they cannot be told apart line by line."""
    if environment.get(b"GIT_CONFIG_COUNT"):
        return None
    key = tuple(environment.get(variable, b"") for variable in KEY_VARIABLES)
    return None if any(b"\n" in value for value in key) else key


def slot_of(environment: Mapping[bytes, bytes]) -> bytes:
    """The directory in which this holder's union is published: the same name as in hooks/guard, and never a path."""
    names = (b"GUARD_AGENT", b"AGENT_NAME", *SESSION_VARIABLES)
    who = next((environment[name] for name in names if environment.get(name)), b"")
    slot = who + b"@" + environment.get(b"USER", b"")
    plain = slot.decode("latin-1").replace("_", "a").replace(".", "a").replace("-", "a").replace("@", "a")
    return slot if plain.isascii() and plain.isalnum() and not slot.startswith(b".") else b"@"


def load(slot: bytes) -> Current | None:
    """What is published in a slot's directory; None when there is nothing that can be understood."""
    try:
        with open(os.path.join(slot, b"current"), "rb") as file:
            lines = file.read().split(b"\n")
        files = lines.index(END, 6 + len(KEY_VARIABLES))
        holder, project, store, fold, off, generation, store_files = lines[files + 1 : files + 8]
        if lines[0] != MAGIC or lines[files + 8 :] != [b""] or not os.path.samefile(lines[5], slot):
            return None
        if not _is_name(lines[1]):
            return None  # damaged: it would lead elsewhere
        return Current(
            published=Published(state=lines[2], name=lines[1], tree=lines[3]),
            boot=lines[4],
            key=tuple(lines[6 : 6 + len(KEY_VARIABLES)]),
            watched=tuple(lines[6 + len(KEY_VARIABLES) : files]),
            identity=Identity(holder, project, store, fold == b"1", off == b"1"),
            generation=int(generation),
            store_files=int(store_files),
        )
    except (OSError, ValueError):
        return None


def settings_hold(slot: bytes, current: Current, key: tuple[bytes, ...] | None) -> list[Stamp] | None:
    """The stamps of the settings, when what is published is still what environment and configuration say; else None."""
    if key != current.key or current.boot != freshness.boot() or not current.boot:
        return None
    stamps = _settings(slot, current)
    return stamps if _is_whole(slot, current) and all(stamp.holds() for stamp in stamps) else None


def publish(
    slot: bytes,
    *,
    key: tuple[bytes, ...] | None,
    identity: Identity,
    source: Source | None,
    settings: Iterable[Stamp],
) -> Published:
    """Publishes a union, or that there is nothing to match; ``source`` is None when guard is switched off.

    Where that cannot be done, answers that Python has to judge.
    """
    try:
        _own_directory(slot)
        with _locked(slot):
            return _publish(slot, key, identity, source, list(settings))
    except (OSError, ValueError):  # a read-only or full disk, a name too long: slower, and right
        return Published(_state(identity, source) if not source or not source.patterns else BY_PYTHON, b"-", b"-")


def renew(store: Store) -> None:
    """Brings the unions that a write to the store made stale up to date, so that the next hook finds them fresh."""
    try:
        slots = store.publications()
    except GuardError:
        return  # what was written to the store stands; every union stays stale, and its hook will look
    for slot in slots:
        try:
            if _is_gone(slot):
                store.forget(slot)
            elif _is_ours(slot):
                with _locked(slot):
                    _renew(slot, store)
        except (OSError, GuardError):
            continue  # this one stays stale


def _is_gone(slot: bytes) -> bool:
    """Is there no such directory? One that this account may not see is not gone."""
    try:
        return not stat.S_ISDIR(os.stat(slot).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True


def _renew(slot: bytes, store: Store) -> None:
    current = load(slot)
    if current is None or current.identity.off or not store.is_at(current.identity.store):
        return
    settings = _settings(slot, current)
    if not _is_whole(slot, current):
        return
    source = store.union_source(current.identity.project.decode(), current.identity.holder.decode())
    if len(source.patterns) <= RENEWED_BY_WRITERS_MAX:
        _publish(slot, current.key, current.identity, source, settings)


def _settings(slot: bytes, current: Current) -> list[Stamp]:
    """The stamps of the files the settings were read from, as published."""
    place = os.path.join(slot, current.published.name)
    found = []
    for number, path in list(enumerate(current.watched))[current.store_files :]:
        try:
            mtime_ns: int | None = os.stat(os.path.join(place, b"%d" % number)).st_mtime_ns
        except FileNotFoundError:
            mtime_ns = None
        found.append(Stamp(path, mtime_ns))
    return found


def _is_whole(slot: bytes, current: Current) -> bool:
    """Has nothing of the publication been taken away yet? Asked last, it vouches for all that was read before."""
    return os.path.exists(os.path.join(slot, current.published.name, b"whole"))


def _publish(
    slot: bytes, key: tuple[bytes, ...] | None, identity: Identity, source: Source | None, settings: list[Stamp]
) -> Published:
    before = load(slot)
    if before is not None and _restamp(slot, before, key, identity, source, settings):
        return before.published
    name = os.urandom(8).hex().encode()
    place = os.path.join(slot, name)
    os.mkdir(place, 0o700)
    state = _state(identity, source)
    tree = os.path.join(name, b"tree")
    if source is not None and source.patterns:
        _make_scratch(os.path.join(slot, state), fold=identity.fold)
        if identity.fold or len(source.patterns) <= ONE_FILE_MAX:
            os.mkdir(os.path.join(place, b"tree"), 0o700)
            _write(_file_of(slot, tree), _one_file(source.patterns), mtime_ns=WRITTEN_NS)
        else:
            _withdraw(slot, before)
            _lay_out(slot, source.patterns)
            tree = TRIE
    made_from = _made_from(slot, tree, source)
    watched = [*made_from, *settings]
    for number, stamp in enumerate(watched):
        if stamp.mtime_ns is not None and stamp.proven:
            _write(os.path.join(place, b"%d" % number), b"", mtime_ns=stamp.mtime_ns)
    _write(os.path.join(place, b"whole"), b"")
    published = Published(state, name, tree)
    if key is not None:
        generation = source.generation if source else 0
        _write_current(slot, published, key, identity, watched, generation=generation, store_files=len(made_from))
        _withdraw(slot, before)
    _sweep(slot, name)
    return published


def _restamp(
    slot: bytes,
    before: Current,
    key: tuple[bytes, ...] | None,
    identity: Identity,
    source: Source | None,
    settings: list[Stamp],
) -> bool:
    """Renews the store's time alone, in place, when nothing else differs from what is published.

    That is so after most writes: they concern another project, or the holder's own reservations. A time that proves
    nothing yet renews nothing: what is published then serves once more, and is looked at again by the next hook.
    """
    if source is None or not all(stamp.proven for stamp in settings):
        return False
    made_from = _made_from(slot, before.published.tree, source)
    watched = tuple(stamp.path for stamp in (*made_from, *settings))
    if (before.key, before.identity, before.watched, before.boot) != (key, identity, watched, freshness.boot()):
        return False
    if before.store_files != len(made_from) or before.published.state != _state(identity, source):
        return False
    if _settings(slot, before) != settings or not _is_whole(slot, before):
        return False
    if not all(stamp.holds() for stamp in made_from[len(source.stamps) :]):
        return False
    place = os.path.join(slot, before.published.name)
    if source.patterns and not _holds(slot, before.published.tree, source.patterns):
        return False
    if not all(stamp.proven for stamp in source.stamps):
        return True
    for number, stamp in enumerate(source.stamps):
        path = os.path.join(place, b"%d" % number)
        if (stamp.mtime_ns is None) == os.path.exists(path):
            return False
    for number, stamp in enumerate(source.stamps):
        if stamp.mtime_ns is not None:
            os.utime(os.path.join(place, b"%d" % number), ns=(stamp.mtime_ns, stamp.mtime_ns))
    return True


def _holds(slot: bytes, tree: bytes, patterns: Iterable[bytes]) -> bool:
    """Was a work tree made from these very patterns?"""
    if tree == TRIE:
        return _listed(slot) == _listable(patterns)
    return _read(_file_of(slot, tree)) == _one_file(patterns)


def _write_current(
    slot: bytes,
    published: Published,
    key: tuple[bytes, ...],
    identity: Identity,
    watched: list[Stamp],
    *,
    generation: int,
    store_files: int,
) -> None:
    lines = [MAGIC, published.name, published.state, published.tree, freshness.boot() or b"unknown"]
    lines += [os.path.abspath(slot), *key]
    lines += [stamp.path for stamp in watched]
    lines += [END, identity.holder, identity.project, identity.store]
    lines += [b"1" if identity.fold else b"0", b"1" if identity.off else b"0"]
    lines += [b"%d" % generation, b"%d" % store_files]
    if any(b"\n" in line for line in lines):
        raise ValueError("a name with a newline cannot be published")
    temporary = os.path.join(slot, b"current." + published.name)
    _write(temporary, b"\n".join(lines) + b"\n")
    os.replace(temporary, os.path.join(slot, b"current"))


def _made_from(slot: bytes, tree: bytes, source: Source | None) -> list[Stamp]:
    """The stamps of the store, and of the union itself where it is one file."""
    stamps = list(source.stamps) if source else []
    if source and source.patterns and tree != TRIE:
        stamps.append(Stamp(_file_of(slot, tree), WRITTEN_NS))
    return stamps


def _file_of(slot: bytes, tree: bytes) -> bytes:
    return os.path.join(slot, tree, b".gitignore")


def _state(identity: Identity, source: Source | None) -> bytes:
    if identity.off or source is None:
        return OFF
    if not source.patterns:
        return EMPTY
    return FOLDED if identity.fold else EXACT


def _one_file(patterns: Iterable[bytes]) -> bytes:
    return b"# What others hold here; made by guard, which makes it anew.\n" + b"".join(
        _line(pattern) + b"\n" for pattern in patterns
    )


def _line(pattern: bytes) -> bytes:
    """:func:`guard.patterns.grammar.covering`, worked out once for all the unions that one process renews."""
    line = _lines.get(pattern)
    if line is None:
        line = _lines[pattern] = covering(pattern)
    return line


def _lay_out(slot: bytes, patterns: Iterable[bytes]) -> None:
    """Brings the trie up to date; only directories in which something differs are written.

    ``trie.patterns`` lists what it holds; it is away while that is not so, and then all is made anew.
    """
    trie = os.path.join(slot, TRIE)
    wanted = _listable(patterns)
    present = _listed(slot)
    if present is not None:
        os.unlink(os.path.join(slot, b"trie.patterns"))
    if present is None or not _amend(trie, gone=present - wanted, come=wanted - present):
        _remove_tree(trie)
        os.mkdir(trie, 0o700)
        _amend(trie, gone=set(), come=wanted)
    temporary = os.path.join(slot, b"current.trie")  # swept away like any of that name
    _write(temporary, b"\n".join(sorted(wanted)))
    os.replace(temporary, os.path.join(slot, b"trie.patterns"))


def _listable(patterns: Iterable[bytes]) -> set[bytes]:
    """The patterns, each a line; one that somebody wrote with a newline comes as what covers it."""
    return {covering(pattern) if b"\n" in pattern else pattern for pattern in patterns}


def _listed(slot: bytes) -> set[bytes] | None:
    """The patterns in a slot's trie; None when that is not known."""
    listing = _read(os.path.join(slot, b"trie.patterns"))
    return None if listing is None else set(listing.split(b"\n"))


def _amend(trie: bytes, *, gone: set[bytes], come: set[bytes]) -> bool:
    """Takes patterns out of the trie and puts others in; False when it does not hold what is to be taken out."""
    changes: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for patterns, number in ((gone, 0), (come, 1)):
        for pattern in patterns:
            line = _line(pattern)
            place = directory(line)
            changes.setdefault(place, ([], []))[number].append(relative(line, place))
    for place, (fewer, more) in changes.items():
        target = os.path.join(trie, place) if place else trie
        file = os.path.join(target, b".gitignore")
        lines = Counter((_read(file) or b"").split(b"\n")[:-1])  # two patterns may come down to one line
        lines.subtract(fewer)
        if any(count < 0 for count in lines.values()):
            return False
        lines.update(more)
        if lines := Counter({line: count for line, count in lines.items() if count}):
            os.makedirs(target, mode=0o700, exist_ok=True)
            _write(file, b"".join(line + b"\n" for line in sorted(lines.elements())))
        else:
            os.unlink(file)
            _remove_empty(target, trie)
    return True


def _read(path: bytes) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _remove_empty(path: bytes, top: bytes) -> None:
    """Removes a directory that may have become empty, and then those above it."""
    try:
        while path != top:
            os.rmdir(path)
            path = os.path.dirname(path)
    except OSError:
        pass  # something else is in it


def _withdraw(slot: bytes, current: Current | None) -> None:
    """Takes a publication away: its mark first, so that a hook in the middle of it notices."""
    if current is not None and _is_name(current.published.name):
        place = os.path.join(slot, current.published.name)
        try:
            os.unlink(os.path.join(place, b"whole"))
        except FileNotFoundError:
            pass  # it was withdrawn before
        _remove_tree(place)


def _sweep(slot: bytes, keep: bytes) -> None:
    """Removes what killed publishers left."""
    for entry in os.scandir(slot):
        old = entry.stat(follow_symlinks=False).st_mtime < time.time() - LEFTOVER_S
        if old and _is_name(entry.name) and entry.name != keep:
            _remove_tree(entry.path)
        elif old and entry.name.startswith(b"current."):
            os.unlink(entry.path)


def _is_name(name: bytes) -> bool:
    return len(name) == 16 and all(letter in b"0123456789abcdef" for letter in name)


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


def _make_scratch(path: bytes, *, fold: bool) -> None:
    """An empty repository: git check-ignore answers from its work tree's .gitignore files alone."""
    if os.path.exists(os.path.join(path, b"HEAD")):
        return
    for directory_ in (path, os.path.join(path, b"objects"), os.path.join(path, b"refs")):
        os.makedirs(directory_, mode=0o700, exist_ok=True)
    case = b"true" if fold else b"false"
    _write(
        os.path.join(path, b"config"),
        b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n\texcludesFile = /dev/null\n\tignoreCase = %b\n"
        % case,
    )
    _write(os.path.join(path, b"HEAD"), b"ref: refs/heads/none\n")


def _own_directory(slot: bytes) -> None:
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
