"""Writers bring published unions up to date, so that the next hook finds them fresh."""

from __future__ import annotations

from guard import system
from guard.model import GuardError
from guard.union.contents import ask, ask_for_changes
from guard.union.publish import publish_locked
from guard.union.published import BY_PYTHON, LARGE, Current, is_whole, load, was_made_here
from guard.union.slot import is_gone, is_ours, locked, withdraw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.stores.interface import Source, Store

WRITTEN_ANEW_MAX = 1000
"""Of more patterns than this, only what has changed is written. Where that does not suffice, the union is withdrawn and
the next hook makes it anew. So reserving costs the same among many as among few, whoever has not committed for long."""
LEASE_UNKNOWN_MS = 30_000
"""How long a lease is taken to be, in ms, when the server has not told."""


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
            if is_gone(slot):
                store.forget(slot)
            elif is_ours(slot):
                if asked is not None:
                    _renew_or_end(slot, asked)
                else:
                    with locked(slot):
                        _renew(slot, store)
        except (OSError, ValueError, GuardError):
            continue  # this one stays stale


def renew_slot(slot: bytes, store: Store) -> None:
    """As :func:`renew`, for one union of a store that is a file. One of a server is left to the next hook."""
    try:
        if not store.kind.leased and is_ours(slot):
            with locked(slot):
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
                if is_ours(slot):
                    _renew_leased(slot, asked)
            except (OSError, ValueError):
                continue  # its deadline passes
    except GuardError:
        return LEASE_UNKNOWN_MS  # no answer: the deadlines pass
    return asked.shortest_ms


def prolong_slot(slot: bytes, store: Store) -> None:
    """Asks a server about one union, and gives it a new deadline, or makes it anew where something has changed.

    For a process that lives longer than a lease, and knows whose union it is. Where the holder has to be told
    something, the union is left as it is, so that the hook asks after its deadline: hooks and commands tell, and nobody
    else does. Raises :class:`GuardError` when the server gives no answer.
    """
    from guard.union import leased

    current = _renewable(slot, store) if is_ours(slot) else None
    if current is None:
        return
    project, holder = current.identity.project.decode(), current.identity.holder.decode()
    asked_ns = system.boot_clock_ns()
    source = store.union_source(project, holder, known=current.store_state)
    if source.mine_until is not None and source.now is not None and source.mine_until <= source.now:
        return  # one of the holder's own reservations has run out
    if source.unchanged and asked_ns is not None:
        leased.prolong(slot, current, asked_ns)
    elif not store.notices(project, holder):
        try:
            _publish_leased(slot, current, source, asked_ns)
        except (OSError, ValueError):
            return  # its deadline passes


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
    from guard.union import leased

    try:
        if _renew_leased(slot, asked):
            return
    except (OSError, ValueError, GuardError):
        pass  # it is ended below
    leased.end(slot, asked.asked_ns)


def _renew_leased(slot: bytes, asked: _Asked) -> bool:
    """As :func:`_renew`; the lock is not held while the question is under way. False if it was not renewed."""
    current = _renewable(slot, asked.store)
    if current is None:
        return False
    source = asked.source(current.identity.project.decode(), current.identity.holder.decode())
    return _publish_leased(slot, current, source, asked.asked_ns)


def _publish_leased(slot: bytes, current: Current, source: Source, asked_ns: int | None) -> bool:
    """Publishes a server's answer in the place of what was published when it was asked; False if that was not done."""
    from guard.union import leased

    lease = leased.lease_of(source, asked_ns)
    if lease is None or len(source.patterns) > WRITTEN_ANEW_MAX:
        return False
    with locked(slot):
        now = load(slot)
        if now is None or (now.key, now.identity) != (current.key, current.identity):
            return False
        settings = list(now.files[now.store_files :])
        return leased.publish_locked_for(slot, now.key, now.identity, source, settings, lease).state != BY_PYTHON


def _renew(slot: bytes, store: Store) -> None:
    """Renews a union with the settings that were published."""
    current = _renewable(slot, store)
    if current is None:
        return
    found = ask_for_changes(store, slot, current, current.identity)
    if found is None and current.published.state != LARGE:
        found = ask(store, slot, current, current.identity)
    if found is None or len(found[0].patterns) > WRITTEN_ANEW_MAX:
        withdraw(slot, current)  # it is stale; while it is there, every writer would read all of this again
        return
    settings = list(current.files[current.store_files :])
    publish_locked(slot, current.key, current.identity, found[0], settings, contents=found[1])


def _renewable(slot: bytes, store: Store) -> Current | None:
    """What is published, if it is this store's; None if its settings were stamped in another boot or container.

    Such stamps prove nothing here and now: the next hook reads the settings again.
    """
    current = load(slot)
    if current is None or current.identity.off or not store.is_at(current.identity.store):
        return None
    return current if was_made_here(current) and is_whole(slot, current.published.name) else None
