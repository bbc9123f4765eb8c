"""Which project does a repository belong to? Clones of one remote get the same name.

The name is the remote's host and path, in whichever form its address is written (git-clone(1), GIT URLS). When the
remote is a repository on this machine, its own project is taken. Without a remote, the name is the common git
directory. This module is loaded only when no project is configured; ``guard install`` configures one.
"""

from __future__ import annotations

import os

from guard.record import Record
from guard.repo.place import common_dir_of
from guard.words import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.repo.git import Configured
    from guard.repo.place import Place

    Resolve = Callable[[str], str]

CHAIN_MAX = 16
"""How many local repositories are followed at most, each of which is the remote of the one before."""

_SAME_HOST = {
    "ssh.github.com": "github.com",  # ssh over port 443
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "ssh.dev.azure.com": "dev.azure.com",
    "vs-ssh.visualstudio.com": "dev.azure.com",
}
_ANY_CASE = ("github", "gitlab", "bitbucket", "gitea", "codeberg", "azure")
"""Labels of host names of servers on which the case of a path does not count."""
_BITBUCKET_SSH = "7999"


class Named(Record):
    """A project's name and, in words, where it comes from."""

    name: str
    source: str


class Address(Record):
    """A remote's address in its parts; ``host`` is "" for a path on this machine, ``port`` "" where none is given."""

    scheme: str
    user: str
    host: str
    port: str
    path: str


def as_is(host: str) -> str:
    """The host as it is written. For callers that may not start ssh, which would resolve aliases."""
    return host


def project_of_place(entries: Sequence[Configured], place: Place, *, resolve: Resolve = as_is) -> Named:
    """The project of a repository: by its remote called origin, else by its only remote, else by its git directory.

    ``entries`` is git's configuration there. ``resolve`` returns the host name for an alias in ssh's configuration.
    """
    return _project(entries, place.common_dir, place.top, entries, resolve, {place.common_dir})


def project_of_repository(path: bytes, entries: Sequence[Configured], *, resolve: Resolve = as_is) -> str:
    """The project that a repository on this machine would get now, if none were configured there.

    "" when no repository is at the absolute ``path``. ``entries`` are git's configuration, for this account's
    ``url.<base>.insteadOf``.
    """
    there = common_dir_of(path) if os.path.isabs(path) else None
    if there is None:
        return ""
    return _project(_read_config(there), there, _top_of(there), entries, resolve, {there}).name


def bare_remote(entries: Sequence[Configured]) -> str:
    """The configured address of the remote that names the project, without a password; "" when there is none."""
    from guard.repo.secrets import bare_of_password

    return bare_of_password(remote_of(entries)[1].decode("utf-8", "surrogateescape"))


def project_of(url: bytes, *, resolve: Resolve = as_is) -> str:
    """A remote's address as "HOST/OWNER/NAME", without scheme, user, password, port, ``www.`` and ``.git``.

    So two clones share reservations even when they use different forms of the address. The address of a repository on
    this machine stays a path, also when nothing is there.
    """
    address = parse(url.decode("utf-8", "backslashreplace"))
    if not address.host:
        return _bare(os.path.normpath(address.path or "/"))
    host = _host(address.host)
    if address.scheme == "ssh":
        host = _host(_resolved(host, resolve))
    path = _known_form(host, address)
    return path if path else f"{host}/{_plain_path(host, address)}"


def parse(text: str) -> Address:
    """The parts of an address, as git reads it (git-clone(1), GIT URLS; git's connect.c and url.c)."""
    text = _without_helper(text.strip())
    scheme, mark, rest = text.partition("://")
    if mark and scheme.replace("+", "a").replace("-", "a").isalnum():
        return _parse_url(scheme.lower(), rest)
    host, path = _split_scp(text)
    if host:
        user, _, host = host.rpartition("@")
        name, port = _split_port(host)
        return Address("ssh", user, name, port, path)
    return Address("", "", "", "", text if text.startswith("/") else os.path.abspath(text))


def remote_of(entries: Sequence[Configured]) -> tuple[str, bytes]:
    """The name and address of the remote called origin, else of the only one; ("", b"") when there is none.

    A remote's first address counts; an empty value removes those before it (git-config(1), remote.<name>.url).
    """
    urls: dict[bytes, list[bytes]] = {}
    for entry in entries:
        if entry.key.startswith(b"remote.") and entry.key.endswith(b".url"):
            name = entry.key[len(b"remote.") : -len(b".url")]
            urls[name] = [*urls.get(name, []), entry.value] if entry.value else []
    there = {name: found[0] for name, found in urls.items() if found}
    name = b"origin" if b"origin" in there else next(iter(there)) if len(there) == 1 else b""
    return (os.fsdecode(name), unshortened(there[name], entries)) if name else ("", b"")


def unshortened(url: bytes, entries: Sequence[Configured]) -> bytes:
    """Expands ``url.<base>.insteadOf`` in a remote's address; the longest match wins (git-config(1))."""
    shorter = [
        (entry.value, entry.key[len(b"url.") : -len(b".insteadof")])
        for entry in entries
        if entry.key.startswith(b"url.") and entry.key.endswith(b".insteadof")
        if entry.value and url.startswith(entry.value)
    ]
    if not shorter:
        return url
    short, long = max(shorter, key=lambda pair: len(pair[0]))
    return long + url[len(short) :]


def ssh_host(alias: str) -> str:
    """The host that an alias in ssh's configuration stands for (``ssh -G``, ssh(1)); the alias when ssh does not tell.

    Waits for at most three seconds and does not connect. Hooks never call it. When ssh turns a name with a dot into an
    IP address, the name is returned, because clones with another form of the address have that name.
    """
    import subprocess

    if not alias or alias.startswith("-"):
        return alias
    try:
        done = subprocess.run(
            ["ssh", "-G", "--", alias], stdin=subprocess.DEVNULL, capture_output=True, timeout=3, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return alias
    lines = done.stdout.decode("utf-8", "replace").splitlines() if done.returncode == 0 else []
    found = next((line[len("hostname ") :].strip() for line in lines if line.startswith("hostname ")), alias)
    is_number = ":" in found or found.replace(".", "").isdigit()
    return alias if not found or (is_number and "." in alias) else found


# The project of a place


def _project(
    entries: Sequence[Configured],
    common_dir: bytes,
    top: bytes | None,
    shortenings: Sequence[Configured],
    resolve: Resolve,
    seen: set[bytes],
) -> Named:
    name, url = remote_of([*(entry for entry in shortenings if entry.key.startswith(b"url.")), *entries])
    if not name:
        return Named(_bare(safe(common_dir), keep=True), "the common git directory, because there is no remote")
    address = parse(os.fsdecode(url))
    if address.host:
        return Named(project_of(url, resolve=resolve), f"the remote {name}")
    path = _local_path(url, address, top or common_dir)
    there = common_dir_of(path)
    if there is None:
        return Named(project_of(path), f"the remote {name}")
    if there in seen or len(seen) >= CHAIN_MAX:
        # Repositories are each other's remotes: the first path in alphabetical order names all of them.
        return Named(_bare(safe(min(seen)), keep=True), "the first of the repositories that are each other's remote")
    source = f"the remote {name}, a repository on this machine"
    theirs = _read_config(there)
    configured = next((entry.value for entry in reversed(theirs) if entry.key == b"guard.project"), None)
    if configured:
        return Named(configured.decode("utf-8", "backslashreplace"), f"{source} (its guard.project)")
    found = _project(theirs, there, _top_of(there), shortenings, resolve, seen | {there})
    return Named(found.name, source)


def _local_path(url: bytes, address: Address, start: bytes) -> bytes:
    if b"://" in url or os.path.isabs(url.strip()):
        return os.fsencode(address.path)
    return os.path.join(start, url.strip())


def _top_of(common_dir: bytes) -> bytes | None:
    """The top of the work tree that a git directory belongs to, None for a bare one. Relative remotes start there."""
    return os.path.dirname(common_dir) if os.path.basename(common_dir) == b".git" else None


def _read_config(common_dir: bytes) -> list[Configured]:
    """The entries of a repository's own configuration file; [] when it cannot be read."""
    from guard.repo import git

    try:
        listed = git.run(["config", "--file", os.path.join(common_dir, b"config"), "--list", "-z"])
    except git.GitError:
        return []
    pairs = (entry.partition(b"\n") for entry in listed.split(b"\0") if entry)
    return [git.Configured(b"local", b"", key, value if newline else None) for key, newline, value in pairs]


# Addresses


def _without_helper(text: str) -> str:
    """Takes off the name of a remote helper, as in "TRANSPORT::ADDRESS" (gitremote-helpers(7))."""
    helper, mark, address = text.partition("::")
    if not mark or not helper.replace("-", "a").replace("_", "a").isalnum():
        return text
    if helper == "codecommit":  # codecommit::REGION://PROFILE@NAME, AWS's own helper
        region, slashes, name = address.partition("://")
        name = (name if slashes else address).rpartition("@")[2]
        return f"https://git-codecommit.{region}.amazonaws.com/v1/repos/{name}" if slashes else text
    return address if "://" in address or address.startswith("/") else text


def _parse_url(scheme: str, rest: str) -> Address:
    from urllib.parse import unquote

    scheme = {"git+ssh": "ssh", "ssh+git": "ssh"}.get(scheme, scheme)
    authority, slash, path = rest.partition("/")
    if scheme in ("http", "https"):
        path = path.partition("?")[0]
    path = unquote(slash + path, errors="surrogateescape")
    if scheme == "file":  # git looks at the path alone, whatever the host
        return Address("file", "", "", "", path)
    user, _, host = unquote(authority, errors="surrogateescape").rpartition("@")
    if user.startswith("[") and host.endswith("]"):  # ssh://[user@host]/path
        user, host = user[1:], "[" + host
    name, port = _split_port(host)
    return Address(scheme, user.partition(":")[0], name, port, path)


def _split_scp(text: str) -> tuple[str, str]:
    """Splits "user@host:path" into its two halves; ("", "") for a path, which has a slash before its first colon."""
    start = 0
    before, bracket, _ = text.partition("[")
    if bracket and "/" not in before and ":" not in before and (not before or before.endswith("@")):
        start = text.find("]")
        if start < 0:
            return "", ""
    colon, slash = text.find(":", start), text.find("/", start)
    if colon < 0 or 0 <= slash < colon or colon == 0:
        return "", ""
    head = text[:colon]
    if head.startswith("[") and head.endswith("]") and "@" in head:  # [user@host:port]:path
        head = head[1:].partition("@")[0] + "@[" + head.partition("@")[2]
    return head, text[colon + 1 :]


def _split_port(host: str) -> tuple[str, str]:
    """The host without brackets, and the port: of "h:22", of "[::1]:22", and of "[h:22]" in the scp form."""
    if not host.startswith("["):
        name, _, port = host.partition(":")
        return name, port
    inside, _, after = host[1:].partition("]")
    if inside.count(":") == 1:
        name, _, port = inside.partition(":")
        return name, port
    return inside, after.removeprefix(":")


def _host(name: str) -> str:
    """A host name in one spelling: lower case, ASCII, without ``www.`` and a last dot, and a forge's usual host."""
    if name.startswith("["):
        return name
    name = name.rstrip(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            pass
    name = name.lower()
    if ":" in name:
        return f"[{_shortest(name)}]"
    name = name[4:] if name.startswith("www.") and name.count(".") > 1 else name
    return _SAME_HOST.get(name, name)


def _shortest(number: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(number))
    except ValueError:
        return number


def _resolved(host: str, resolve: Resolve) -> str:
    is_known = host in _SAME_HOST.values() or host.startswith("[") or host == "github.com"
    return host if is_known else resolve(host)


def _plain_path(host: str, address: Address) -> str:
    path = _bare(_clean(address.path))
    labels = host.split(".")
    if any(label in _ANY_CASE for label in labels) or host.endswith(".ghe.com") or address.port == _BITBUCKET_SSH:
        path = path.lower()
    return path


def _clean(path: str) -> str:
    """A path on a server without slashes at its start, without ``.`` and ``..``, and without a leading "~/".

    "~/" is the account's home directory, in which paths of the scp form begin anyway.
    """
    names: list[str] = []
    for name in path.split("/"):
        if name == ".." and names:
            names.pop()
        elif name not in ("", ".", ".."):
            names.append(name)
    return "/".join(names[1:] if names[:1] == ["~"] else names)


def _bare(path: str, *, keep: bool = False) -> str:
    """A path without the ".git" that git adds to a name. With ``keep``, a name that is only ".git" stays."""
    path = path.rstrip("/") or path[:1]
    if os.path.basename(path) == ".git":
        return path if keep else os.path.dirname(path)
    return path.removesuffix(".git")


def _known_form(host: str, address: Address) -> str:
    """The one name of a repository for which its server has several addresses; "" for any other repository."""
    names = _clean(address.path).split("/")
    if host == "dev.azure.com" or host.endswith(".visualstudio.com"):
        return _azure(host, address.user, names)
    if host.endswith(".googlesource.com") and names[0] == "a":  # with a password: gerrit's "/a/"
        return f"{host}/{_bare('/'.join(names[1:]))}"
    web = address.scheme in ("http", "https")
    if web and not any(label in ("github", "gitlab") for label in host.split(".")):
        return _bitbucket_server(host, names)
    return ""


def _azure(host: str, user: str, names: list[str]) -> str:
    """dev.azure.com/ORGANISATION/PROJECT/REPOSITORY (learn.microsoft.com, "Azure Repos": clone URLs, old and new)."""
    from urllib.parse import unquote

    names = [unquote(name) for name in names]  # its scp form has %20 for a space as well
    if host.endswith(".visualstudio.com"):
        names = [host.removesuffix(".visualstudio.com"), *names]
    elif names[:1] == ["v3"]:
        names = names[1:]
    elif names[1:2] == ["_ssh"] or names[:1] == ["DefaultCollection"]:  # old ssh addresses: the user's name
        names = [user, *names]
    names = [name for name in names if name not in ("DefaultCollection", "_optimized", "_full")]
    for mark in ("_git", "_ssh"):
        if mark in names:
            at = names.index(mark)
            before, after = names[:at], names[at + 1 :]
            names = [*before, *after] if len(before) > 1 else [*before, *after, *after]
    return "dev.azure.com/" + _bare("/".join(names)).lower()


def _bitbucket_server(host: str, names: list[str]) -> str:
    """The name of a Bitbucket Data Center repository; "" for another path. ssh has "/PROJECT/REPOSITORY".

    HTTP has "/scm/PROJECT/REPOSITORY" or "/projects/PROJECT/repos/REPOSITORY", perhaps below a context path.
    """
    if len(names) >= 3 and names[-3] == "scm":
        return f"{host}/{_bare('/'.join(names[-2:])).lower()}"
    if len(names) >= 4 and names[-4] in ("projects", "users") and names[-2] == "repos":
        owner = names[-3] if names[-4] == "projects" else "~" + names[-3]
        return f"{host}/{_bare(f'{owner}/{names[-1]}').lower()}"
    return ""
