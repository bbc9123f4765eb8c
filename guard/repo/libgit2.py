"""Answers from libgit2 in this process, for commands that would otherwise start git and wait for it.

libgit2 cannot open every repository that git opens (SHA-256 and reftable, for instance), and it does not know every
variable and setting of git. Where its answer might differ from git's, a function here returns None, and the caller asks
git; :func:`tracked` asks git itself. Hooks do not load this module, because the import of pygit2 takes ten times as
long as a start of Python.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from guard.repo import git
from guard.repo.git import Configured
from guard.repo.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pygit2

_STEERING = (
    b"GIT_DIR",
    b"GIT_WORK_TREE",
    b"GIT_COMMON_DIR",
    b"GIT_IMPLICIT_WORK_TREE",
    b"GIT_CEILING_DIRECTORIES",
    b"GIT_DISCOVERY_ACROSS_FILESYSTEM",
    b"GIT_OBJECT_DIRECTORY",
    b"GIT_ALTERNATE_OBJECT_DIRECTORIES",
    b"GIT_INDEX_FILE",
    b"GIT_CONFIG_PARAMETERS",
    b"GIT_REFERENCE_BACKEND",
)
"""Variables of git(1) that change where it looks, and that libgit2 does not read as git does."""

_KEY = re.compile(rb"([A-Za-z0-9-]+)(\..*)?\.([A-Za-z][A-Za-z0-9-]*)", re.DOTALL)


def discover(environment: Mapping[bytes, bytes], directory: bytes) -> Place | None:
    """The repository around an absolute directory, as :func:`guard.repo.place.discover` finds it.

    None outside of a repository, in a bare one, inside a git directory, and where libgit2 might answer otherwise than
    git.
    """
    if is_steered(environment):
        return None
    import pygit2

    try:
        repository = pygit2.Repository(os.fsdecode(directory))  # it looks in the directories above, too
    except (pygit2.GitError, KeyError, OSError, ValueError):
        return None
    if repository.is_bare or not repository.workdir:
        return None
    git_dir = os.path.realpath(os.fsencode(repository.path))
    top = os.path.realpath(os.fsencode(repository.workdir))
    below = os.path.relpath(os.path.realpath(directory), top)
    if below == b".." or below.startswith(b"../") or _is_below(os.path.realpath(directory), git_dir):
        return None
    try:
        with open(os.path.join(git_dir, b"commondir"), "rb") as file:
            common_dir = os.path.realpath(os.path.join(git_dir, file.read().rstrip(b"\n")))
    except FileNotFoundError:
        common_dir = git_dir  # not a linked worktree
    except OSError:
        return None
    return Place(git_dir, common_dir, top, b"" if below == b"." else below)


def is_steered(environment: Mapping[bytes, bytes]) -> bool:
    """Does a variable send git to another place than the one that libgit2 looks at?

    libgit2 reads HOME once, from the process. So the answer is yes, too, for an environment with another HOME.
    """
    elsewhere = environment.get(b"HOME") != os.environb.get(b"HOME")
    return elsewhere or any(name in environment for name in _STEERING)


def _is_below(path: bytes, directory: bytes) -> bool:
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


# Configuration


def config(environment: Mapping[bytes, bytes], place: Place) -> list[Configured] | None:
    """git's configuration, as :func:`guard.repo.git.config` lists it; None when git must be asked.

    This function decides which files git reads (git-config(1)), and libgit2 parses each of them. When a file includes
    another one, git must be asked.
    """
    if is_steered(environment):
        return None
    files = files_of(environment, place)
    own = _pairs(environment)
    if files is None or own is None:
        return None
    entries: list[Configured] = []
    for scope, file in files:
        found = _parsed(scope, file)
        if found is None or any(each.key.startswith((b"include.", b"includeif.")) for each in found):
            return None
        entries += found
        if scope == b"local" and _is_set(found, b"extensions.worktreeconfig"):
            files.append((b"worktree", os.path.join(place.git_dir, b"config.worktree")))
    return entries + own


def files_of(environment: Mapping[bytes, bytes], place: Place) -> list[tuple[bytes, bytes]] | None:
    """The scopes and paths of the files that git reads, in git's order; None when that cannot be found out.

    Without the worktree's own file, which git reads only when a setting in the last one says so.
    """
    home, files = environment.get(b"HOME", b""), []
    if environment.get(b"GIT_CONFIG_NOSYSTEM", b"").lower() in (b"", b"0", b"false", b"no", b"off"):
        system = environment.get(b"GIT_CONFIG_SYSTEM") or _system_file()
        if system is None:
            return None
        files.append((b"system", system))
    if b"GIT_CONFIG_GLOBAL" in environment:
        files += [(b"global", environment[b"GIT_CONFIG_GLOBAL"])] if environment[b"GIT_CONFIG_GLOBAL"] else []
    else:
        xdg = environment.get(b"XDG_CONFIG_HOME") or (home + b"/.config" if home else b"")
        files += [(b"global", xdg + b"/git/config")] if xdg else []
        files += [(b"global", home + b"/.gitconfig")] if home else []
    return [*files, (b"local", os.path.join(place.common_dir, b"config"))]


_system_files: dict[tuple[str, int], bytes | None] = {}


def _system_file() -> bytes | None:
    """The path of the system's configuration, which was fixed when git was built; None when git does not tell it.

    Each git that PATH leads to is asked only once, because its answer cannot change.
    """
    import shutil

    program = shutil.which("git")
    if program is None:
        return None
    key = (program, os.stat(program).st_mtime_ns)
    if key not in _system_files:
        environment = {b"PATH": os.environb.get(b"PATH", b""), b"HOME": b"/"}
        try:
            named = git.answer(["var", "GIT_CONFIG_SYSTEM"], environment=environment, accept=(0, 1, 128, 129))
            _system_files[key] = named[1].split(b"\n")[0] or _older_system_file(environment)
        except git.GitError:
            _system_files[key] = None
    return _system_files[key]


def _older_system_file(environment: Mapping[bytes, bytes]) -> bytes | None:
    """As :func:`_system_file`, for a git without ``git var GIT_CONFIG_SYSTEM``.

    Such a git names the file as the origin of its entries, or in its message that the file is missing.
    """
    asked = ["config", "--system", "--list", "-z", "--show-origin"]
    try:
        listed = git.run(asked, environment=environment)
    except git.GitError as error:
        missing = re.search(r"unable to read config file '(.*)': No such file", error.what)
        return os.fsencode(missing[1]) if missing else None
    return listed.split(b"\0")[0].removeprefix(b"file:") or None


def _pairs(environment: Mapping[bytes, bytes]) -> list[Configured] | None:
    """The entries that GIT_CONFIG_COUNT and its variables set (git-config(1)); None when git might refuse them."""
    count = environment.get(b"GIT_CONFIG_COUNT", b"")
    if not count:
        return []
    if not count.isdigit() or len(count) > 3:
        return None
    entries = []
    for number in range(int(count)):
        key, value = (environment.get(b"GIT_CONFIG_%b_%d" % (part, number)) for part in (b"KEY", b"VALUE"))
        parts = _KEY.fullmatch(key or b"")
        if parts is None or value is None or b"\n" in parts[0] or parts[1].lower() in (b"include", b"includeif"):
            return None
        name = parts[1].lower() + (parts[2] or b"") + b"." + parts[3].lower()
        entries.append(Configured(b"command", b"", name, value))
    return entries


def _parsed(scope: bytes, file: bytes) -> list[Configured] | None:
    """The entries of one file, in its order; [] when there is no such file, None when libgit2 cannot read it."""
    import pygit2

    if not os.path.exists(file):
        return [] if not os.path.lexists(file) else None
    try:
        return [Configured(scope, file, entry.raw_name, entry.raw_value) for entry in pygit2.Config(os.fsdecode(file))]
    except (pygit2.GitError, OSError, ValueError):
        return None


def _is_set(entries: Iterable[Configured], key: bytes) -> bool:
    from guard.repo.settings import is_true

    values = [entry.value for entry in entries if entry.key == key]
    return bool(values) and is_true(values[-1])


# Index


def staged(environment: Mapping[bytes, bytes], place: Place, *, fold: bool) -> list[bytes] | None:
    """The paths that the next commit changes, as :func:`guard.repo.changes.of_commit` finds them, sorted.

    While a merge is being concluded, these are the paths that differ from every parent. None when git must be asked:
    before the first commit; when names are compared without case (``fold``); when entries of the index may have the
    flags of ``git add --intent-to-add`` or of a sparse checkout; and when libgit2 cannot read the repository.
    """
    if is_steered(environment) or fold or _may_have_flags(place):
        return None
    import pygit2

    try:
        repository = pygit2.Repository(os.fsdecode(place.git_dir))
        if repository.head_is_unborn:
            return None
        parents = [repository.head.peel(pygit2.Tree), *_merged(repository, place)]
        found: set[bytes] | None = None
        for tree in parents:
            changed = _changed(repository, tree)
            found = changed if found is None else found & changed
    except (pygit2.GitError, KeyError, OSError, ValueError):
        return None
    return sorted(found or ())


def _may_have_flags(place: Place) -> bool:
    """Can entries of the index have extended flags? In version 2 of the format they cannot (git's index-format.txt).

    An entry of ``git add --intent-to-add`` has such a flag. git does not commit that entry, but libgit2 lists it as an
    empty file.
    """
    try:
        with open(os.path.join(place.git_dir, b"index"), "rb") as file:
            return file.read(8) != b"DIRC\0\0\0\2"
    except OSError:
        return True


def _merged(repository: pygit2.Repository, place: Place) -> list[pygit2.Tree]:
    """The trees of what is being merged into HEAD."""
    import pygit2

    try:
        with open(os.path.join(place.git_dir, b"MERGE_HEAD"), "rb") as file:
            oids = file.read().split()
    except FileNotFoundError:
        return []
    return [repository[oid.decode("ascii")].peel(pygit2.Tree) for oid in oids]


def _changed(repository: pygit2.Repository, tree: pygit2.Tree) -> set[bytes]:
    deltas = repository.index.diff_to_tree(tree).deltas
    return {path for delta in deltas for path in (delta.old_file.raw_path, delta.new_file.raw_path)}


def tracked(place: Place, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """Every path in the index of this worktree, relative to its top, in the index's order, each once.

    ``environment`` may name another index in GIT_INDEX_FILE (git(1)). Raises :class:`guard.repo.git.GitError`.
    """
    import pygit2

    named = environment.get(b"GIT_INDEX_FILE")
    file = os.path.join(place.top or place.git_dir, named) if named else os.path.join(place.git_dir, b"index")
    if not os.path.exists(file):
        return []
    try:
        index = pygit2.Index(os.fsdecode(file))
        return list(dict.fromkeys(os.fsencode(entry.path) for entry in index))
    except (pygit2.GitError, OSError, UnicodeError):
        words = git.run(["ls-files", "-z", "--cached", "--full-name"], directory=place.top, environment=environment)
        return list(dict.fromkeys(word for word in words.split(b"\0") if word))
