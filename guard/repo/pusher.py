"""On a server: who pushes, and which reservations are theirs?

The hook of a repository that is pushed to knows an account, or a name that a forge gives it. Reservations are held by
names that nobody can prove. The principal connects the two: it is the account and host that a reservation was made
from. A reservation belongs to a pusher when its principal is one of the pusher's principals.

These documents say which variables name the pusher: those of Gitea and Forgejo ("Git hooks"), GitLab ("Git server
hooks"), GitHub Enterprise Server ("Creating a pre-receive hook script"), gitolite ("environment variables"), and
git-http-backend(1).
"""

from __future__ import annotations

from guard.model import GuardError
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.model import Reservation
    from guard.repo.git import Configured

OPTION = "guard.holder"
"""The push option with which a pusher acts as one holder: ``git push -o guard.holder=NAME``."""


class Forge(Record):
    """A program that hosts repositories. ``names`` is the variable that names the pusher; it also sets ``marks``."""

    title: str
    names: bytes
    marks: tuple[bytes, ...]


FORGES = (
    Forge("Gitea or Forgejo", b"GITEA_PUSHER_NAME", (b"GITEA_PUSH_TRIGGER", b"GITEA_REPO_NAME", b"GITEA_PUSHER_ID")),
    Forge("GitLab", b"GL_USERNAME", (b"GL_PROTOCOL", b"GL_REPOSITORY", b"GL_ID")),
    Forge("GitHub Enterprise Server", b"GITHUB_USER_LOGIN", (b"GITHUB_VIA", b"GITHUB_REPO_NAME")),
    Forge("gitolite", b"GL_USER", (b"GL_BINDIR", b"GL_LIBDIR")),
    Forge("the web server", b"REMOTE_USER", (b"GATEWAY_INTERFACE", b"REQUEST_METHOD", b"REMOTE_ADDR")),
)
"""The forges in the order in which they are looked for. git-daemon(1) sets REMOTE_ADDR, too, but names no pusher."""


class Pusher(Record):
    """Somebody who pushes.

    ``name`` is "" when it is not known who pushes; then no reservation is theirs. ``source`` says in words what gave
    the name, and ``forge`` whether that is a program with a web interface. ``principals`` are the accounts and hosts
    ("user@host"), or database roles, that belong to the pusher. ``holder`` is the one holder that the pusher acts as,
    None when all holders with these principals count.
    """

    name: str
    source: str
    principals: frozenset[str]
    holder: str | None = None
    forge: bool = False

    def owns(self, row: Reservation, *, role: str = "") -> bool:
        """Does the reservation belong to this pusher? ``role`` is the database role that wrote it, "" if unknown."""
        if self.holder is not None and row.holder != self.holder:
            return False
        return row.principal in self.principals or (bool(role) and role in self.principals)


def find(
    environment: Mapping[bytes, bytes], entries: Sequence[Configured], *, account: str, hosts: Sequence[str]
) -> Pusher:
    """Who pushes, as the hook sees it. It runs as ``account``, and ``hosts`` are the names of this host.

    ``entries`` is git's configuration of the repository that is pushed to. Raises :class:`GuardError` when the push
    options name no holder, or two.
    """
    name, source, forge = _named(environment, entries)
    own: list[str] = []
    if not name and not source:
        name, source = account, "the account that receives the push"
        own = [f"{account}@{host}" for host in hosts]
    key = b"guard.%b.principal" % name.encode("utf-8", "surrogateescape")
    configured = [_text(entry.value) for entry in entries if entry.key == key and entry.value] if name else []
    return Pusher(name, source, frozenset([*own, *configured]), _acts_as(push_options(environment)), forge)


def _named(environment: Mapping[bytes, bytes], entries: Sequence[Configured]) -> tuple[str, str, bool]:
    """The pusher's name from a variable, the variable in words, and whether a forge sets it.

    ("", "", False) when there is no such variable.
    """
    variables = [entry.value for entry in entries if entry.key == b"guard.pusher" and entry.value]
    if variables:
        source = f"{_text(variables[-1])}, which git config guard.pusher names"
        return _text(environment.get(variables[-1], b"")), source, False
    for forge in FORGES:
        if environment.get(forge.names) or any(mark in environment for mark in (forge.names, *forge.marks)):
            name, source = environment.get(forge.names, b""), f"{forge.names.decode()}, which {forge.title} sets"
            return _text(name), source, forge is not FORGES[-1]
    return "", "", False


def push_options(environment: Mapping[bytes, bytes]) -> list[str]:
    """The options that ``git push -o`` gave (githooks(5), GIT_PUSH_OPTION_COUNT)."""
    count = environment.get(b"GIT_PUSH_OPTION_COUNT", b"")
    numbers = range(int(count)) if count.isdigit() and len(count) < 6 else ()
    return [_text(environment.get(b"GIT_PUSH_OPTION_%d" % number, b"")) for number in numbers]


def _acts_as(options: Sequence[str]) -> str | None:
    names = {value for key, _, value in (option.partition("=") for option in options) if key == OPTION}
    if len(names) > 1 or "" in names:
        what = f"the push option {OPTION} names no holder" if "" in names else f"{OPTION} was given twice"
        raise GuardError(what, hint=f"git push -o {OPTION}=NAME …")
    return next(iter(names), None)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")
