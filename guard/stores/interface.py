"""The interface of all stores, and the record in which each kind of store describes itself.

To add a kind of store, make a module or a folder beside this file with a store and its :class:`Kind`, and add that to
the table in guard/stores/kinds.py.
"""

from __future__ import annotations

from guard.model import GuardError
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    from guard.model import Overlap, Reservation
    from guard.repo.place import Place
    from guard.stores.completions import Begun
    from guard.stores.freshness import Stamp
else:
    Protocol = object


APPLICATION_ID = 0x67756172  # "guar"
"""The number in SQLite's header that says which program a file belongs to."""

RETENTION_MS = 30 * 86_400_000
"""How long ended reservations are kept, in ms, unless guard.retention is set."""


class Actor(Record):
    """Who acts: a holder, in a project, from an account and host (the principal)."""

    project: str
    holder: str
    principal: str


class Wanted(Record):
    """A pattern to reserve, as stored and as typed."""

    pattern: bytes
    typed: bytes


class Terms(Record):
    """The terms on which patterns are reserved; ``ttl_ms`` is the length of the lease.

    With ``shorten``, a new length may make a reservation that the actor already has end earlier. ``fold`` ignores the
    case of ASCII letters.
    """

    exclusive: bool
    reason: str
    ttl_ms: int
    fold: bool
    shorten: bool


class Snapshot(Record):
    """Reservations of one project, ordered by id, in the state with this generation."""

    generation: int
    reservations: tuple[Reservation, ...]


class Outcome(Record):
    """What a command changed: the reservations, as they are now, and what was asked for but not there.

    For reserve, ``conflicts`` lists every reservation in the way; then nothing was granted. ``ahead`` counts
    the holders who wait for overlapping patterns longer than the asker. ``lease_ms``: for how long a commit on another
    machine may not know of it yet; 0 where a change is in force everywhere at once.
    """

    generation: int
    reservations: tuple[Reservation, ...] = ()
    not_found: tuple[str, ...] = ()
    conflicts: tuple[Overlap, ...] = ()
    ahead: int = 0
    lease_ms: int = 0


class Entry(Record):
    """One line of the log: who did what, when (Unix ms), to whose reservation, and why."""

    id: int
    at: int
    generation: int
    event: str
    holder: str
    principal: str
    reservation: int | None
    whose: str | None
    pattern: bytes | None
    reason: str


class Source(Record):
    """What a union is made from: every pattern that could refuse a holder, and what proves that it is current.

    ``mine_until`` is when the first of the holder's own reservations runs out, in Unix ms by the store's clock; None
    when there is none. ``now`` is the time by that clock when the store answered; None where this machine's clock is
    the store's.

    ``stamps`` prove it where the store is a file. Where it is a server (:attr:`Kind.leased`), there are none, and the
    answer may be used for ``lease_ms`` after the question. ``state`` then names the state that was read. No other state
    ever has this name, also after the server's data were restored from a backup, or a replica has taken over that had
    not heard of the last changes; so a generation alone is no such name. ``rows`` are the reservations behind the
    patterns, for a hook that cannot reach the server and has to tell who holds a path. ``unchanged``: the state is
    the one that the asker knows, so patterns and rows are left out.

    A store that is a file may say only what has changed since a state that the asker knows, ``since``. ``changes`` then
    tells of every pattern that was reserved or ended meanwhile, and of those that the asker wants to know with it,
    whether others hold it now; ``patterns`` are left out. None where ``patterns`` are all there are. Its ``state`` is
    b"" where it cannot tell later what has changed.
    """

    patterns: tuple[bytes, ...]
    generation: int
    stamps: tuple[Stamp, ...]
    mine_until: int | None = None
    lease_ms: int | None = None
    state: bytes = b""
    rows: tuple[Reservation, ...] = ()
    unchanged: bool = False
    now: int | None = None
    since: bytes = b""
    changes: tuple[tuple[bytes, bool], ...] | None = None


class Description(Record):
    """What ``guard store show`` prints about a store. ``size`` is in bytes, None when it is not known."""

    kind: str
    address: str
    written_by: int
    readable_since: int
    size: int | None
    projects: int
    active: int
    ended: int
    log: int


class Kept(Record):
    """A reservation in a copy of the store. ``told``: was its holder told how it ended?"""

    reservation: Reservation
    told: bool


class Contents(Record):
    """All that a store keeps, as of one instant, except who waits: what a move to another store carries over.

    ``projects`` are names with generations, ``log`` projects with entries, ``roots`` root commits with projects,
    ``publications`` directories with projects. ``last_id`` is the highest number that a reservation ever had, so that
    none is given twice.
    """

    projects: tuple[tuple[str, int], ...]
    reservations: tuple[Kept, ...]
    log: tuple[tuple[str, Entry], ...]
    roots: tuple[tuple[str, str], ...]
    publications: tuple[tuple[bytes, str], ...]
    last_id: int


def can_be_id(number: int) -> bool:
    """Can a reservation have this number? Every store counts in 64 bits; numbers in Python and JSON may be larger."""
    return 0 < number < 2**63


class Chosen(Record):
    """Which of a holder's reservations are chosen: these ids, these stored patterns (with what was typed), or all."""

    ids: tuple[int, ...] = ()
    patterns: tuple[Wanted, ...] = ()
    everything: bool = False


class Opening(Record):
    """How a store is opened.

    ``patience_s`` is how long to wait for somebody else's lock, in seconds. With ``create``, a missing store is made.
    ``retention_ms`` is how long ended reservations are kept. ``place`` is the checkout from which it is asked, for a
    store whose projects are directories. ``secret`` is the address with its password, "" if it has none. ``trusted``
    tells that the account itself named the address; a store on a server whose address only a repository names is asked
    only when the account has allowed it.
    """

    patience_s: float
    create: bool = False
    retention_ms: int = RETENTION_MS
    place: Place | None = None
    secret: str = ""
    trusted: bool = False


class Kind(Record):
    """What a kind of store is and can do. No other module compares kinds: each asks for what it needs to know.

    ``name``: one word, as noted in a repository. ``title``: for people.
    ``recognises``: is the store at this address of this kind? It may look at the file, but opens no database.
    ``open``: opens the store at an address; raises :class:`guard.model.GuardError`.
    ``writable``: can guard reserve, wait, break and log there?
    ``skip_variables``: environment variables of its own that let one change through, as GUARD_SKIP does.
    ``mode_variable``: its own environment variable that turns the mode block into warn; b"" for none.
    ``folds_names``: are holders' names compared without case? Then :meth:`Store.spelling` tells how one is written.
    ``ask_through``: through what its holders are asked when guard cannot write there; "" for none.
    ``leased``: is it a server, so that a union is valid for a time after it was asked (:mod:`guard.union.lease`)? Its
    store raises :class:`Unreachable` when the server gives no answer. Its address may come with a password.
    ``make``: makes or upgrades the tables at an address, and gives some roles the rights that guard needs; returns the
    version that was there, 0 for none, and the one that is there now. None where opening a store makes it.
    """

    name: str
    title: str
    recognises: Callable[[str], bool]
    open: Callable[[str, Opening], Store]
    writable: bool = True
    skip_variables: tuple[bytes, ...] = ()
    mode_variable: bytes = b""
    ask_through: str = ""
    folds_names: bool = False
    leased: bool = False
    make: Callable[[str, Opening, tuple[str, ...]], tuple[int, int]] | None = None


class Unreachable(GuardError):
    """The server of the store gives no answer, so it is not known what has been reserved meanwhile."""


class WouldWait(Exception):
    """There is no answer at once: somebody would have to be waited for, something written, or much be read."""


class Damaged(GuardError):
    """The store exists, but cannot be read: only a backup or a new store helps."""


class Moved(GuardError):
    """The store was moved to another address, which everybody must use from now on."""

    def __init__(self, old: str, address: str) -> None:
        import os

        from guard.words import quoted  # only errors need them

        repair = f"git config --global guard.db {quoted(os.fsencode(address))}"
        super().__init__(f"the reservations in {old} were moved to {address}", hint=repair)
        self.address = address


class Store(Protocol):
    """Reservations, their history, and the proof that a union made from them is current.

    Every method raises :class:`guard.model.GuardError` with code 3 when the store cannot answer.
    """

    kind: Kind
    address: str
    """The address, as guard.db has it, without a password."""

    def is_at(self, address: bytes) -> bool:
        """Is this the store at an address that a union has? Only then can it say whether that union is current."""

    def active(self, project: str) -> Snapshot:
        """Every active reservation. Reservations that have expired meanwhile are recorded as expired before."""

    def covering(self, project: str, paths: Sequence[bytes], *, everything: bool = False) -> Snapshot:
        """The active reservations that may match one of the paths. There may be others among them: they are found by
        literal prefix.

        With ``everything``, all active ones. Another program may have written wrong values into the columns that guard
        derives, so a caller who knows that a path is touched, and finds nothing that explains it, asks for all.
        """

    def of_holder(self, project: str, holder: str) -> Snapshot:
        """The holder's active reservations; what expired meanwhile is recorded as expired first."""

    def near(self, project: str, patterns: Sequence[bytes]) -> Snapshot:
        """The active reservations that could share a path with one of the patterns: a superset, as for covering."""

    def ended(self, project: str) -> Snapshot:
        """Reservations that have ended and are still remembered."""

    def everywhere(self) -> Snapshot:
        """The active reservations of all projects; the generation of this answer is 0."""

    def reserve(self, actor: Actor, wanted: Sequence[Wanted], terms: Terms, *, ticket: int | None = None) -> Outcome:
        """Grants every pattern or none, in one transaction."""

    def release(self, actor: Actor, chosen: Chosen) -> Outcome:
        """Ends the actor's reservations."""

    def renew(self, actor: Actor, chosen: Chosen, *, ttl_ms: int) -> Outcome:
        """Gives the actor's active reservations a new expiry, ``ttl_ms`` from now."""

    def break_(self, actor: Actor, ids: Sequence[int], *, reason: str) -> Outcome:
        """Ends other holders' reservations. The holders will be told."""

    def queue(self, actor: Actor, wanted: Sequence[Wanted], *, exclusive: bool, until: int) -> int:
        """Joins the queue of those who wait, until a time (Unix ms); returns the ticket."""

    def leave(self, ticket: int) -> None:
        """Leaves the queue."""

    def notices(self, project: str, holder: str) -> tuple[Reservation, ...]:
        """The holder's reservations that somebody broke or that expired, and of which they were not told."""

    def told(self, notices: Sequence[Reservation]) -> None:
        """Notes that their holder was told."""

    def record(self, actor: Actor, event: str, reservations: Sequence[Reservation], *, reason: str) -> None:
        """Logs an event that changed no reservation: refused, warned, bypassed.

        It makes one entry for each reservation that the event concerns, or one entry without a reservation.
        """

    def log(self, project: str, *, limit: int) -> list[Entry]:
        """The newest ``limit`` entries of the log, the oldest of them first."""

    def completions(self, begun: Begun) -> list[str]:
        """The words that complete one that is typed (:mod:`guard.stores.completions`)."""

    def spelling(self, holder: str) -> str:
        """The holder's name as the rows of this store have it, if it compares names without case;
        else the same name.
        """

    def roles(self, ids: Sequence[int]) -> dict[int, str]:
        """Of these reservations, the database role that wrote each; {} where the store knows no roles."""

    def why_nothing_counts(self, project: str) -> str:
        """Why no reservation in it can concern this checkout, in one sentence; "" when some can."""

    def remarks(self, project: str) -> list[str]:
        """Remarks for ``guard status``: which part of the store counts here, and what in it is odd."""

    def version(self) -> object:
        """A value that differs after any change. It is cheap enough to be asked for several times a second."""

    def union_source(
        self,
        project: str,
        holder: str,
        *,
        known: bytes = b"",
        along: Callable[[bytes], Iterable[bytes]] | None = None,
    ) -> Source:
        """What could refuse this holder's changes, with the proof of its freshness.

        ``known`` is the state (:attr:`Source.state`) that the asker knows already. A server is asked with one question.
        Whoever can do with :attr:`Source.changes` passes ``along``: which patterns to tell of beside one that changed.
        """

    def generation(self, project: str) -> int:
        """The project's generation now; 0 for a project that nobody has used."""

    def now(self) -> int:
        """The time in Unix ms by the clock that decides in this store: the server's if it is on one, else this
        machine's.
        """

    def remember_roots(self, project: str, oids: Sequence[str]) -> None:
        """Notes the root commits (hex oids) of a repository of this project."""

    def projects_with_roots(self, oids: Sequence[str]) -> dict[str, int]:
        """The projects that have one of these root commits, each with its number of active reservations."""

    def publish_in(self, directory: bytes, project: str) -> None:
        """Notes that a union of this store is published in a directory."""

    def publications(self) -> list[bytes]:
        """The directories in which unions of this store are published; the latest comes first."""

    def forget(self, directory: bytes) -> None:
        """Removes the note of a publication that no longer exists."""

    def describe(self) -> Description:
        """What the store is, and how much is in it."""

    def contents(self) -> Contents:
        """Everything in the store, read in one transaction."""

    def take_in(self, contents: Contents, *, formerly: str = "") -> None:
        """Replaces everything in the store by these contents, in one transaction.

        Publications that are known stay known, and no generation goes back. ``formerly`` is the address of a store that
        was moved here; a union with that address is one of this store from then on.
        """

    def move_out(self, to: str, carry: Callable[[Contents], None]) -> None:
        """Calls ``carry`` with everything in the store while nobody else can write, and then leaves a mark that it is
        at ``to``.

        Whoever opens this store from then on gets :class:`Moved`. When ``carry`` raises, nothing has changed.
        """

    def backup(self, to: str) -> None:
        """Writes a copy of one instant to a new file, while others go on working."""

    def at_once(self) -> AbstractContextManager[None] | None:
        """``with`` it, every question is answered from one state of the store, without waiting for anybody, or else
        raises :class:`WouldWait`. None where the store cannot promise that.

        Inside, nothing of this process may close the store's file: that would drop the lock on it (fcntl(2)).
        """

    def close(self) -> None: ...
