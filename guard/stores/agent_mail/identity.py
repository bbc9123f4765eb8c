"""The slugs by which MCP Agent Mail's servers know a checkout, whoever called first.

Both servers name a project by a slug. What it is made from depends on the server's setting PROJECT_IDENTITY_MODE, which
the database does not tell, so every one counts:

- ``dir``: the letters and digits of the path, in lower case, with one dash for whatever stands between them. Two
  directories whose paths differ in punctuation alone share a project;
- ``git-toplevel``: the name of the real top, a dash, and the first ten digits of the SHA-1 of its path;
- ``git-common-dir``: "repo", a dash, and those of the real common git directory;
- ``git-remote``: the repository's name in the remote's address, a dash, and those of HOST/OWNER/NAME. The servers take
  owner and name from the front of the path or from its end, as written or in lower case.

So a project that several checkouts share may have the path of another checkout; its patterns start at each one's top.
Loaded by the hook's refresh: imports nothing heavy, and asks git only where a slug could come from a remote.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.repo.place import Place

DIGITS = 10
_HEX = frozenset("0123456789abcdef")
_FALLBACK = "project"


def slug_of_path(path: bytes) -> str:
    """The slug that the mode ``dir`` makes from a path."""
    text = os.fsdecode(path).lower()
    plain = "".join(letter if "a" <= letter <= "z" or "0" <= letter <= "9" else "-" for letter in text)
    return "-".join(word for word in plain.split("-") if word) or _FALLBACK


def has_digits(slug: str) -> bool:
    """Could the slug come from one of the modes that ask git?"""
    _, dash, digits = slug.rpartition("-")
    return bool(dash) and len(digits) == DIGITS and set(digits) <= _HEX


def slugs_of_place(place: Place, tops: list[bytes]) -> set[str]:
    """The slugs of a checkout that its directories give; ``tops`` are those of the checkout and its main worktree."""
    found = {slug_of_path(top) for top in tops}
    for top in tops:
        real = os.path.realpath(top)
        found.add(f"{os.fsdecode(os.path.basename(real)) or 'repo'}-{_digits(real)}")
    found.add(f"repo-{_digits(os.path.realpath(place.common_dir))}")
    return found


def slugs_of_remotes(place: Place) -> set[str]:
    """The slugs that the remotes of a checkout give. Asks git; raises :class:`guard.repo.git.GitError`."""
    found = set()
    for url in _addresses(place):
        for canonical in _canonical(url):
            name = canonical.rpartition("/")[2]
            found.add(f"{name}-{_digits(canonical.encode('utf-8', 'surrogateescape'))}")
    return found


def _addresses(place: Place) -> Iterator[str]:
    """The address of each remote, as configured and with ``url.BASE.insteadOf`` applied."""
    from guard.repo import git

    repository: list[bytes | str] = ["--git-dir", place.git_dir]
    # Exit status 1 says that nothing matches: git-config(1).
    entries = git.run([*repository, "config", "-z", "--get-regexp", r"^remote\..*\.url$"], accept=(0, 1))
    for entry in entries.split(b"\0"):
        key, newline, url = entry.partition(b"\n")
        if newline and url:
            yield os.fsdecode(url)
            name = key[len(b"remote.") : -len(b".url")]
            yield os.fsdecode(git.run([*repository, "ls-remote", "--get-url", name]).removesuffix(b"\n"))


def _canonical(url: str) -> Iterator[str]:
    """HOST/OWNER/NAME of a remote's address, in each form that a server makes of it."""
    url = url.strip()
    if "://" in url:
        host, _, path = url.partition("://")[2].partition("/")
        host = host.rpartition("@")[2].partition(":")[0]
    else:
        host, _, path = url.rpartition("@")[2].partition(":")
    names = [name for name in path.removesuffix(".git").split("/") if name]
    if not host or len(names) < 2:
        return
    for owner, name in (names[:2], names[-2:]):
        yield f"{host}/{owner}/{name}"
        yield f"{host.lower()}/{owner}/{name}"
        yield f"{host.lower()}/{owner.lower()}/{name.lower()}"


def _digits(text: bytes) -> str:
    try:
        from _sha1 import sha1  # type: ignore[import-not-found]  # hashlib, which has it too, takes 3 ms to import
    except ImportError:
        from hashlib import sha1
    digest: str = sha1(text, usedforsecurity=False).hexdigest()
    return digest[:DIGITS]
