"""What is published for the hooks: where it lies, what its lines say, and whether it is still proven.

``current`` in a slot's directory leads to the file of that name in the publication that counts. It is written by
:mod:`guard.union.publish` and read here; ``hooks/guard`` reads :mod:`guard.union.script` instead.

    VERSION ID STATE        "6", and the publication's name
    BOOT                    which boot of the machine it was made in
    HOST                    the machine's or container's name
    KEY                     the variables that decide settings, as key_of() writes them

Then follow the watched files, each as "TIME TAB PATH TAB REAL" (ns, or "-" for an absent file; REAL is b"" where no
symbolic link is on the way), END, and the identity. Where the store is a server, a last line is the lease
(:mod:`guard.union.lease`), as "ASKED LENGTH": ns and ms.
:mod:`guard.union.fast` says what a verdict that is reached from these files rests on.
"""

from __future__ import annotations

import os
import time

from guard import system
from guard.record import Record
from guard.repo.variables import KEY_VARIABLES, SESSION_VARIABLES
from guard.stores import freshness
from guard.stores.freshness import Stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.union.lease import Lease  # loaded only where a store is a server

VERSION = b"6"
END = b"."
SEPARATOR = b"\t"
OFF, EMPTY, EXACT, FOLDED, LARGE, BY_PYTHON = b"off", b"empty", b"exact", b"folded", b"large", b"python"
"""The states: guard is off; nothing is reserved by others; git matches, and is told whether case counts; Python
matches, because the patterns are many; nothing could be published, so Python judges."""


class Identity(Record):
    """What a union was made for: holder, project and store. ``fold``: names that differ only in case are the same.

    ``off`` tells that guard is switched off. ``placed`` tells that the line that runs guard in somebody else's hook
    stood in its place (:mod:`guard.install.through_line`). ``tracking`` are globs, separated by spaces, of the refs
    that track remotes (:mod:`guard.repo.tracking`).
    """

    holder: bytes
    project: bytes
    store: bytes
    fold: bool
    off: bool
    tracking: bytes = b""
    placed: bool = False


class Published(Record):
    """What the hook needs: the state, and the name of the publication."""

    state: bytes
    name: bytes


class Current(Record):
    """What ``current`` says. ``files`` are the watched ones, first ``store_files`` of the store and the union itself.

    ``patterns`` names the patterns that were published: a checksum of them as the store gave them. ``due`` is when
    the first of the holder's own reservations runs out, in Unix ms: from then on nothing here is fresh, so that the
    holder is told in the next hook. None when there is none. ``lease`` is how long it may be used where the store is a
    server; None where the files prove it. ``store_state`` is the name that the store gave the state that was read; b""
    where it gave none. ``at_least``: so many patterns there are at least, 0 where they cannot be amended
    (:mod:`guard.union.contents`).
    """

    published: Published
    boot: bytes
    host: bytes
    key: bytes
    files: tuple[Stamp, ...]
    identity: Identity
    generation: int
    store_files: int
    patterns: bytes
    due: int | None = None
    lease: Lease | None = None
    store_state: bytes = b""
    at_least: int = 0


def key_of(environment: Mapping[bytes, bytes]) -> bytes | None:
    """Every variable that can change a setting, as one line; None when the values cannot be told apart in it.

    GIT_CONFIG_COUNT and a tab, then for each variable "=" and its value, or nothing when it is not set, and a tab; then
    the same for the pairs. The count says how many tabs there are, so the line of an environment with a tab in a value,
    which is never published, equals no line that is.
    """
    count = environment.get(b"GIT_CONFIG_COUNT", b"")
    if count and (not count.isdigit() or len(count) > 3):  # more than 999 pairs are not compared
        return None
    values = [environment.get(name) for name in names_of(count)]
    if any(SEPARATOR in value or b"\n" in value for value in values if value is not None):
        return None
    fields = [count, *(b"" if value is None else b"=" + value for value in values), b""]
    return SEPARATOR.join(fields)


def names_of(count: bytes) -> list[bytes]:
    """The variables in a key, in their order; ``count`` is the value of GIT_CONFIG_COUNT, b"" when it has none."""
    pairs = range(int(count or b"0"))
    return [*KEY_VARIABLES, *(b"GIT_CONFIG_%b_%d" % (part, n) for n in pairs for part in (b"KEY", b"VALUE"))]


def slot_of(environment: Mapping[bytes, bytes]) -> bytes:
    """The name of the directory of this holder's union. hooks/guard computes the same name; it is never a path."""
    names = (b"GUARD_AGENT", b"AGENT_NAME", *SESSION_VARIABLES)
    who = next((environment[name] for name in names if environment.get(name)), b"")
    slot = who + b"@" + environment.get(b"USER", b"")
    plain = slot.decode("latin-1").replace("_", "a").replace(".", "a").replace("-", "a").replace("@", "a")
    return slot if plain.isascii() and plain.isalnum() and not slot.startswith(b".") else b"@"


def receiving_slot_of(environment: Mapping[bytes, bytes]) -> bytes:
    """Where everybody's reservations are published for the hook of a repository that is pushed to.

    Each account has its own. ``environment`` names no holder, so that no holder's directory is called the same and has
    the same key.
    """
    return b"receive-" + slot_of(environment)


def git_dir_of(slot: bytes) -> bytes:
    """The git directory that a slot's directory belongs to: GIT_DIR/guard/unions/SLOT."""
    return os.path.dirname(os.path.dirname(os.path.dirname(slot)))


def _is_linked(slot: bytes) -> bool:
    """Does a symbolic link lead from the git directory to the slot? Then it may be another repository's."""
    unions = os.path.dirname(slot)
    return any(map(os.path.islink, (slot, unions, os.path.dirname(unions))))


def load(slot: bytes) -> Current | None:
    """The publication in a slot's directory; None if there is none that can be understood."""
    try:
        with open(os.path.join(slot, b"current"), "rb") as file:
            lines = file.read().split(b"\n")
        version, name, state = lines[0].split(b" ")
        end = lines.index(END, 4)
        holder, project, store, fold, off, refs, placed, *rest = lines[end + 1 : end + 14]
        generation, store_files, patterns, at_least, due, store_state = rest
        lease = _lease(lines[1], lines[end + 14]) if lines[end + 14] else None
        if version != VERSION or lines[-1] or len(lines) != end + (15 if lease is None else 16) or not is_name(name):
            return None
        if not os.path.samefile(os.path.join(slot, name, b"slot"), slot) or _is_linked(slot):
            return None  # the repository was copied, or this is another's: its files are not those that are watched
        return Current(
            published=Published(state, name),
            boot=lines[1],
            host=lines[2],
            key=lines[3],
            files=tuple(map(_stamp, lines[4:end])),
            identity=Identity(holder, project, store, fold == b"1", off == b"1", refs, placed == b"1"),
            generation=int(generation),
            store_files=int(store_files),
            patterns=patterns,
            due=int(due) if due else None,
            lease=lease,
            store_state=store_state,
            at_least=int(at_least),
        )
    except (OSError, ValueError, IndexError):  # lines are missing, or what they say is none of this
        return None


def lines_of(current: Current) -> bytes:
    """The contents of ``current``. Raises :class:`ValueError` when a name holds a newline or a tab."""
    published, identity = current.published, current.identity
    lines = [b"%b %b %b" % (VERSION, published.name, published.state)]
    lines += [current.boot or b"unknown", current.host, current.key]
    lines += [_line(stamp) for stamp in current.files]
    lines += [END, identity.holder, identity.project, identity.store]
    lines += [b"1" if identity.fold else b"0", b"1" if identity.off else b"0", identity.tracking]
    lines += [b"1" if identity.placed else b"0"]
    lines += [b"%d" % current.generation, b"%d" % current.store_files, current.patterns, b"%d" % current.at_least]
    lines += [b"" if current.due is None else b"%d" % current.due, current.store_state]
    if current.lease is not None:
        lines += [b"%d %d" % (current.lease.asked_ns, current.lease.length_ms)]
    if any(b"\n" in line for line in lines):
        raise ValueError("a name with a newline cannot be published")
    return b"\n".join(lines) + b"\n"


def window(lease: Lease) -> tuple[int, int] | None:
    """From when until when sh may use what is published, in whole seconds; None where /proc/uptime shows another clock
    than the lease's."""
    from guard.union import lease as leases

    if lease.boot.startswith(b"sysctl ") or not system.shows_boot_clock():
        return None
    return leases.whole_seconds(lease)


def _lease(boot: bytes, line: bytes) -> Lease:
    from guard.union.lease import Lease

    asked, length = line.split(b" ")
    return Lease(boot, int(asked), int(length))


def layout(stamps: tuple[Stamp, ...]) -> tuple[bool, list[Stamp], list[Stamp], list[Stamp]]:
    """Are all proven, and which are files, files behind symbolic links, and absent? In the order of their numbers."""
    files = [stamp for stamp in stamps if stamp.mtime_ns is not None]
    absent = [stamp for stamp in stamps if stamp.mtime_ns is None]
    return all(stamp.proven for stamp in stamps), files, [stamp for stamp in files if stamp.real], absent


def _line(stamp: Stamp) -> bytes:
    if SEPARATOR in stamp.path + stamp.real:
        raise ValueError("a file whose name has a tab cannot be watched")
    time = b"-" if stamp.mtime_ns is None else b"%d" % stamp.mtime_ns
    return SEPARATOR.join((time if stamp.proven else b"?", stamp.path, stamp.real))


def _stamp(line: bytes) -> Stamp:
    time, path, real = line.split(SEPARATOR)
    return Stamp(path, None if time in (b"-", b"?") else int(time), proven=time != b"?", real=real)


def settings_hold(slot: bytes, current: Current, key: bytes | None) -> list[Stamp] | None:
    """The stamps of the settings, if the publication still matches the environment and the configuration; else None."""
    if key is None or key != current.key or not was_made_here(current):
        return None
    stamps = list(current.files[current.store_files :])
    return stamps if all(stamp.holds() for stamp in stamps) and is_whole(slot, current.published.name) else None


def is_fresh(slot: bytes, current: Current, key: bytes | None) -> bool:
    """Is the publication proven to be the store's current state for this environment? The same question as fresh() in
    the hook.
    """
    stamps = current.files[: current.store_files]
    if current.due is not None and current.due <= time.time_ns() // 1_000_000:
        return False
    if current.lease is not None and not lease_holds(current):
        return False
    return all(stamp.holds() for stamp in stamps) and settings_hold(slot, current, key) is not None


def lease_holds(current: Current) -> bool:
    """Is the server's answer still valid, by the clock of this boot? False without a lease."""
    now_ns = system.boot_clock_ns()
    if current.lease is None or now_ns is None:
        return False
    from guard.union import lease as leases

    return leases.holds(current.lease, boot=freshness.boot(), now_ns=now_ns)


def was_made_here(current: Current) -> bool:
    """Was it made in this boot of this very machine or container?"""
    return bool(current.boot) and (current.boot, current.host) == (freshness.boot(), freshness.host())


def is_whole(slot: bytes, name: bytes) -> bool:
    """Is the publication still complete? Withdrawing it deletes ``whole`` first.

    So check this last: if the file is there, everything that was read before belonged together.
    """
    return os.path.exists(os.path.join(slot, name, b"whole"))


def is_name(name: bytes) -> bool:
    """Can this be the name of a publication? Any other name might lead to another directory."""
    return len(name) == 16 and all(letter in b"0123456789abcdef" for letter in name)
