"""MCP Agent Mail's own database, read live and never written.

Two servers keep it, in Python (times are text, naive UTC) and in Rust (times are integers, µs, and what was released
stands in a table beside). Anybody may have written any row: what cannot be read in one counts as active and exclusive,
is said, and hides no other. A reservation is relative to its project's directory, and so is read as one of ours:

- Which projects concern a checkout says :mod:`guard.stores.agent_mail.project`. What is reserved in an archived one
  counts too: its server goes on granting there.
- Names of agents are compared without case, as the servers do: a name is shown as the first agent spelled it.
- An agent that was retired still holds what it has neither released nor let expire.

Loaded by the hook's refresh: imports nothing beyond SQLite.
"""

from __future__ import annotations

import os

from guard.model import EXIT_REFUSED, GuardError, Reservation
from guard.patterns.grammar import LIMIT, fault, prefix
from guard.stores import freshness
from guard.stores.agent_mail import project as mail_project
from guard.stores.agent_mail import rows as mail_rows
from guard.stores.agent_mail import wal
from guard.stores.agent_mail.kind import AGENT_MAIL
from guard.stores.agent_mail.pattern import Site, protects_nothing, translated, with_submodule
from guard.stores.interface import (
    RETENTION_MS,
    Actor,
    Chosen,
    Contents,
    Description,
    Entry,
    Outcome,
    Snapshot,
    Source,
    Terms,
    Wanted,
)
from guard.stores.sqlite_file import connect, explained, now_ms, sqlite3, with_parents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import NoReturn, TypeVar

    from guard.repo.place import Place
    from guard.stores.agent_mail.project import Project
    from guard.stores.agent_mail.rows import Held
    from guard.stores.completions import Begun
    from guard.stores.freshness import Stamp

    T = TypeVar("T")
    Sites = dict[int, tuple[Site, ...]]

REMARKS_MAX = 20
GITMODULES = b".gitmodules"
_HERE = (Site((), ()),)


class AgentMailStore:
    """A :class:`guard.stores.interface.Store` that only reads. ``clock`` gives Unix ms.

    ``place`` is the checkout whose projects are looked for; without it only those that are named count.
    A connection lives as long as one answer: see :mod:`guard.stores.agent_mail.wal`.
    """

    kind = AGENT_MAIL

    def __init__(
        self,
        address: str,
        *,
        patience_s: float,
        place: Place | None = None,
        clock: Callable[[], int] = now_ms,
        retention_ms: int = RETENTION_MS,
    ) -> None:
        self.address = address
        self._patience_s = patience_s
        self._place = place
        self._clock = clock
        self._retention_ms = retention_ms

    def is_at(self, address: bytes) -> bool:
        return address == os.fsencode(self.address)

    def at_once(self) -> None:
        return None  # its database is opened for each answer

    def close(self) -> None:
        """Nothing is open."""

    def check(self) -> None:
        """Raises :class:`GuardError` unless this is a database of MCP Agent Mail's that can be read."""
        self._asked(lambda _: None)

    # Reading

    def active(self, project: str) -> Snapshot:
        return self._answered(project, lambda _: True)

    def covering(self, project: str, paths: Sequence[bytes], *, everything: bool = False) -> Snapshot:
        if everything:
            return self.active(project)
        above = {each for path in paths for each in with_parents(path.lower())}
        return self._answered(project, lambda pattern: prefix(pattern).lower() in above)

    def of_holder(self, project: str, holder: str) -> Snapshot:
        found = self.active(project)
        return found._replace(reservations=tuple(row for row in found.reservations if row.holder == holder))

    def near(self, project: str, patterns: Sequence[bytes]) -> Snapshot:
        return self.active(project)

    def ended(self, project: str) -> Snapshot:
        def read(connection: sqlite3.Connection) -> Snapshot:
            now = self._clock()
            found = []
            sites = self._sites(connection, project)
            for row in mail_rows.held(connection, sites, now=None):
                at, end = row.ended(now=now) or (0, "")
                if at > now - self._retention_ms:
                    found += [
                        one._replace(ended_at=at, end=end)
                        for one in _reservations(row, sites[row.project], project, lambda _: True, self._meant)
                    ]
            found.sort(key=lambda one: (one.ended_at, one.id))
            return Snapshot(mail_rows.generation(connection), tuple(found))

        return self._asked(read)

    def everywhere(self) -> Snapshot:
        def read(connection: sqlite3.Connection) -> list[Reservation]:
            projects = {found.id: found for found in mail_rows.projects(connection)}
            return [
                one
                for row in mail_rows.held(connection, projects, now=self._clock())
                for one in _reservations(row, _HERE, projects[row.project].slug, lambda _: True)
            ]

        return Snapshot(0, tuple(self._asked(read)))

    def generation(self, project: str) -> int:
        return self.ended(project).generation

    def now(self) -> int:
        return self._clock()

    def union_source(
        self,
        project: str,
        holder: str,
        *,
        known: bytes = b"",
        along: Callable[[bytes], Iterable[bytes]] | None = None,
    ) -> Source:
        def read(connection: sqlite3.Connection) -> tuple[set[bytes], bool]:
            sites = self._sites(connection, project)
            rows = mail_rows.others(connection, sites, holder, now=self._clock())
            found = {pattern for number, text in rows for site in sites[number] for pattern in self._meant(text, site)}
            return found, bool(sites)

        (patterns, concerned), stamps = self._reading(read)
        if not concerned:  # the next hook looks again, for its holder must hear that nothing is judged here
            stamps = tuple(stamp._replace(proven=False) for stamp in stamps)
        return Source(tuple(sorted(patterns)), 0, (*stamps, *self._place_stamps()))

    def notices(self, project: str, holder: str) -> tuple[Reservation, ...]:
        """None: Agent Mail tells its agents by itself."""
        return ()

    def log(self, project: str, *, limit: int) -> list[Entry]:
        """What their rows tell: reserved, released, expired; not who released it, nor what guard has refused."""

        def read(connection: sqlite3.Connection) -> list[Held]:
            return mail_rows.held(connection, self._sites(connection, project), now=None)

        entries = []
        for row in self._asked(read):
            entries.append(_entry(row, "reserved", at=row.created_at, number=2 * row.id))
            ended = row.ended(now=self._clock())
            if ended is not None:
                entries.append(_entry(row, ended[1], at=ended[0], number=2 * row.id + 1))
        return sorted(entries, key=lambda entry: (entry.at, entry.id))[-limit:]

    def version(self) -> object:
        real = os.path.realpath(os.fsencode(self.address))
        return freshness.time_of(real), freshness.time_of(real + b"-wal")

    def completions(self, begun: Begun) -> list[str]:
        from guard.stores.completions import among

        return among(self.active(begun.project).reservations, begun)

    def spelling(self, holder: str) -> str:
        return self._asked(mail_rows.spellings).get(mail_rows.folded(holder), holder)

    def roles(self, ids: Sequence[int]) -> dict[int, str]:
        return {}  # a file knows no roles

    def why_nothing_counts(self, project: str) -> str:
        return "" if self._asked(lambda connection: self._sites(connection, project)) else self._no_project(project)

    def remarks(self, project: str) -> list[str]:
        def read(connection: sqlite3.Connection) -> tuple[list[Project], list[Held]]:
            projects = mail_rows.projects(connection)
            sites = mail_project.concerning(projects, project, self._place)
            mine = [found for found in projects if found.id in sites]
            return mine, mail_rows.held(connection, sites, now=self._clock())

        mine, rows = self._asked(read)
        what = f"{self.kind.title}, which guard only reads: agents reserve and release through its server"
        return [what, *(_on_projects(mine) or self._advice(project)), *_on_rows(rows)]

    def _no_project(self, project: str) -> str:
        tops = " or ".join(os.fsdecode(path) for path in mail_project.directories(self._place))
        return f"nothing is reserved here: Agent Mail has no project for {tops}, and none called {project}"

    def _advice(self, project: str) -> list[str]:
        return [
            self._no_project(project).replace("nothing is reserved here", "NOTHING IS RESERVED"),
            "next: git config guard.project SLUG, with the slug or path of one of its projects",
        ]

    # Writing: nothing here does

    def reserve(self, actor: Actor, wanted: Sequence[Wanted], terms: Terms, *, ticket: int | None = None) -> Outcome:
        self._refuse("reserved", "reserve through Agent Mail: file_reservation_paths")

    def release(self, actor: Actor, chosen: Chosen) -> Outcome:
        self._refuse("released", "release through Agent Mail: release_file_reservations")

    def renew(self, actor: Actor, chosen: Chosen, *, ttl_ms: int) -> Outcome:
        self._refuse("renewed", "renew through Agent Mail: renew_file_reservations")

    def break_(self, actor: Actor, ids: Sequence[int], *, reason: str) -> Outcome:
        self._refuse("broken", "ask its holder through Agent Mail, or there: force_release_file_reservation")

    def queue(self, actor: Actor, wanted: Sequence[Wanted], *, exclusive: bool, until: int) -> int:
        self._refuse("reserved", "reserve through Agent Mail: file_reservation_paths")

    def leave(self, ticket: int) -> None:
        """Nobody queues here."""

    def told(self, notices: Sequence[Reservation]) -> None:
        """Nothing is remembered here."""

    def record(self, actor: Actor, event: str, reservations: Sequence[Reservation], *, reason: str) -> None:
        """Nothing is recorded here: the database is not ours."""

    def publish_in(self, directory: bytes, project: str) -> None:
        """Nobody who writes here renews unions."""

    def publications(self) -> list[bytes]:
        """Those of this worktree, which a reader may find stale."""
        try:
            return [] if self._place is None else [entry.path for entry in os.scandir(self._place.unions_dir)]
        except OSError:
            return []

    def forget(self, directory: bytes) -> None:
        """Nothing is remembered here."""

    def _refuse(self, deed: str, instead: str) -> NoReturn:
        raise GuardError(
            f"nothing was {deed}: the store {self.address} is MCP Agent Mail's database, which guard only reads",
            hint=instead,
            code=EXIT_REFUSED,
        )

    def remember_roots(self, project: str, oids: Sequence[str]) -> None:
        """Nothing is remembered here."""

    def projects_with_roots(self, oids: Sequence[str]) -> dict[str, int]:
        """None: which of its projects concern a checkout is told by their directories."""
        return {}

    def describe(self) -> Description:
        def read(connection: sqlite3.Connection) -> tuple[int, int, int]:
            found = mail_rows.projects(connection)
            every = [each.id for each in found]
            active = mail_rows.held(connection, every, now=self._clock())
            return len(found), len(active), len(mail_rows.held(connection, every, now=None))

        projects, active, ever = self._asked(read)
        size = os.path.getsize(self.address)
        return Description(self.kind.title, self.address, 0, 0, size, projects, active, ever - active, 0)

    def contents(self) -> NoReturn:
        self._refuse("copied", "its own programs back it up and move it")

    def take_in(self, contents: Contents, *, formerly: str = "") -> None:
        self._refuse("restored", "its own programs back it up and move it")

    def move_out(self, to: str, carry: Callable[[Contents], None]) -> None:
        self._refuse("moved", "its own programs back it up and move it")

    def backup(self, to: str) -> None:
        self._refuse("copied", "its own programs back it up and move it")

    # Asking

    def _answered(self, project: str, wanted: Callable[[bytes], bool]) -> Snapshot:
        def read(connection: sqlite3.Connection) -> Snapshot:
            sites = self._sites(connection, project)
            rows = mail_rows.held(connection, sites, now=self._clock())
            found = [
                one for row in rows for one in _reservations(row, sites[row.project], project, wanted, self._meant)
            ]
            return Snapshot(mail_rows.generation(connection), tuple(found))

        return self._asked(read)

    def _sites(self, connection: sqlite3.Connection, project: str) -> Sites:
        return mail_project.concerning(mail_rows.projects(connection), project, self._place)

    def _asked(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return self._reading(query)[0]

    def _reading(self, query: Callable[[sqlite3.Connection], T]) -> tuple[T, tuple[Stamp, ...]]:
        def recognised(connection: sqlite3.Connection) -> T:
            why, hint = mail_rows.why_unusable(connection)
            if why:
                raise GuardError(f"{self.address} {why}", hint=hint)
            return query(connection)

        try:
            return wal.read(
                os.fsencode(self.address),
                lambda how: connect(self.address, how, patience_s=self._patience_s),
                recognised,
                now_ns=self._clock() * 1_000_000,
            )
        except sqlite3.Error as error:
            raise explained(error, self.address, self._patience_s) from error

    def _meant(self, text: bytes, site: Site) -> list[bytes]:
        """The patterns that cover what a text may have meant in this checkout."""
        found = translated(text, site)
        return [with_submodule(pattern) for pattern in found] if self._has_submodules() else found

    def _has_submodules(self) -> bool:
        top = None if self._place is None else self._place.top
        return top is not None and os.path.lexists(os.path.join(top, GITMODULES))

    def _place_stamps(self) -> tuple[Stamp, ...]:
        """The stamps of the files in the work tree on which the patterns depend.

        A linked worktree may be moved while its git directory stays: then its file ``.git`` is no longer where it was.
        """
        top = None if self._place is None else self._place.top
        if top is None:
            return ()
        names = [GITMODULES] + ([b".git"] if os.path.isfile(os.path.join(top, b".git")) else [])
        return tuple(freshness.aged(os.path.join(top, name), now_ns=self._clock() * 1_000_000) for name in names)


def _reservations(
    row: Held,
    sites: Sequence[Site],
    project: str,
    wanted: Callable[[bytes], bool],
    meant: Callable[[bytes, Site], list[bytes]] = translated,
) -> list[Reservation]:
    """A row of theirs as ours: one for each pattern it needs."""
    patterns = dict.fromkeys(pattern for site in sites for pattern in meant(row.text, site) if wanted(pattern))
    return [
        Reservation(
            id=row.id,
            project=project,
            holder=row.holder,
            pattern=pattern,
            typed=row.text[:LIMIT],
            exclusive=row.exclusive,
            reason=row.reason,
            principal="",
            created_at=row.created_at,
            expires_at=row.expires_at,
            fault=row.fault,
        )
        for pattern in patterns
    ]


def _entry(row: Held, event: str, *, at: int, number: int) -> Entry:
    return Entry(
        id=number,
        at=at,
        generation=0,
        event=event,
        holder=row.holder,
        principal="",
        reservation=row.id,
        whose=row.holder,
        pattern=row.text,
        reason=row.reason if event == "reserved" else "",
    )


# What is to be said of it


def _on_projects(mine: Sequence[Project]) -> list[str]:
    return [
        f"its project {found.slug} ({os.fsdecode(found.key)})"
        + (" is archived: it is hidden from lists, and what is reserved in it counts" if found.archived else "")
        + (f" [{found.fault}]" if found.fault else "")
        for found in mine
    ]


def _on_rows(rows: Sequence[Held]) -> list[str]:
    remarks = []
    for row in rows:
        shown = f"#{row.id} of {row.holder}, {row.text[:LIMIT].decode('utf-8', 'backslashreplace')}:"
        nothing = protects_nothing(row.text)
        odd = next((why for pattern in translated(row.text, _HERE[0]) if (why := fault(pattern))), "")
        if nothing:
            remarks.append(f"{shown} protects nothing, for {nothing}")
        if row.fault:
            remarks.append(f"{shown} {row.fault}; it counts all the same")
        if odd:
            remarks.append(f"{shown} git's rules alone cannot tell ({odd}); it is judged by pathspec's")
        if row.retired:
            remarks.append(f"{shown} its agent was retired; it counts until it is released or expires")
    more = len(remarks) - REMARKS_MAX
    return [*remarks[:REMARKS_MAX], f"… and {more} more"] if more > 0 else remarks
