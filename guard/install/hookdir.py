"""Where git looks for this repository's hooks, and whose that directory is."""

from __future__ import annotations

import os

from guard.record import Record
from guard.repo import git, standpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.repo.git import Configured
    from guard.repo.place import Place

FREE = "free"
"""The directory is this repository's own: guard may write there."""
TRACKED = "tracked"
"""The directory is in the work tree, with committed files: what is written there reaches everybody who clones."""
HUSKY = "husky"
LEFTHOOK = "lefthook"
MACHINE = "machine"
"""The configuration of the account or the machine names the directory, so every repository uses it."""
OUTSIDE = "outside"
"""The repository's configuration names the directory, but it is not in the repository: others may use it as well."""
NOWHERE = "nowhere"
"""core.hooksPath is empty, or no directory: git runs no hooks."""

LEFTHOOK_CONFIGS = tuple(
    os.path.join(directory, dot + b"lefthook" + local + b"." + kind)
    for directory in (b"", b".config")
    for dot in (b"", b".")
    for local in (b"", b"-local")
    for kind in (b"yml", b"yaml", b"toml", b"json", b"jsonc")
)

_LOCATING = frozenset(
    b"GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES "
    b"GIT_PREFIX GIT_NAMESPACE GIT_CEILING_DIRECTORIES".split()
)


class HookDir(Record):
    """The directory git looks in for hooks: its path, absolute, and whose it is.

    ``setting`` is core.hooksPath as it stands in the configuration and ``scope`` git's name for where, both empty
    when it is not set. ``overridden`` tells that this process's environment or command line sets another one.
    """

    path: bytes
    owner: str
    scope: str = ""
    setting: bytes = b""
    overridden: bytes | None = None


def find(place: Place, entries: Sequence[Configured]) -> HookDir:
    """The hooks directory by git's configuration; a setting that only this process was given does not count."""
    settings = [entry for entry in entries if entry.key == b"core.hookspath"]
    lasting = [entry for entry in settings if entry.scope != b"command"]
    overridden = None
    if settings and settings[-1].scope == b"command":
        overridden = settings[-1].value or b""
    if not lasting:
        path = default(place)
        return HookDir(path, _owner(place, path), overridden=overridden)
    entry = lasting[-1]
    setting, scope = entry.value or b"", entry.scope.decode()
    shared = scope not in ("local", "worktree")
    if not setting:
        return HookDir(b"", NOWHERE, scope, setting, overridden)
    path = _expanded(setting, entry)
    if shared and os.path.isabs(path):
        return HookDir(path, MACHINE, scope, setting, overridden)
    path = os.path.normpath(os.path.join(place.top or place.git_dir, path))
    return HookDir(path, _owner(place, path), scope, setting, overridden)


def default(place: Place) -> bytes:
    """The directory in which git looks when nothing else is configured."""
    return os.path.join(place.common_dir, b"hooks")


def own_directory(place: Place) -> bytes:
    """A directory in the common git directory that can be this repository's own hooks directory.

    That is the default one, except where a link leads out of the repository there.
    """
    for name in (b"hooks", b"own-hooks"):
        path = os.path.join(place.common_dir, name)
        if not os.path.lexists(path) or _within(place, os.path.realpath(path)):
            return path
    return os.path.join(place.common_dir, b"guard-hooks")


def is_noexec(path: bytes) -> bool:
    """Is this path, or the nearest directory above it that exists, on a file system from which nothing is executed?"""
    try:
        return bool(os.statvfs(_existing(path)).f_flag & os.ST_NOEXEC)
    except OSError:
        return False


def mount_point(path: bytes) -> bytes:
    """The directory at which the file system of a path is mounted."""
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def lefthook_configs(place: Place) -> list[bytes]:
    """lefthook's configuration files that are here."""
    if place.top is None:
        return []
    files = (os.path.join(place.top, name) for name in LEFTHOOK_CONFIGS)
    return [file for file in files if os.path.isfile(file)]


def _expanded(setting: bytes, entry: Configured) -> bytes:
    """A path as git's configuration means it: ~ and ~user are homes, and a prefix is git's own."""
    if setting[:1] not in (b"~", b"%", b":"):
        return setting
    asked = ["config", f"--{entry.scope.decode()}", "--includes", "--type=path", "--get", "core.hooksPath"]
    return git.run(asked).removesuffix(b"\n")


def _owner(place: Place, path: bytes) -> str:
    if not os.path.isdir(_existing(path, link=True)):
        return NOWHERE
    if b".husky" in path.split(b"/")[-2:] or os.path.isfile(os.path.join(path, b"husky.sh")):
        return HUSKY
    real = os.path.realpath(path)
    within = _within(place, real)
    if not within and not _same_repository(place, real):
        return OUTSIDE
    if lefthook_configs(place) or _has_lefthook(path):
        return LEFTHOOK
    return TRACKED if not within and _has_tracked(real) else FREE


def _has_lefthook(path: bytes) -> bool:
    from guard.install.hookfile import read
    from guard.install.managers import lefthook_made

    return any(lefthook_made(read(os.path.join(path, event))) for event in (b"pre-commit", b"pre-push"))


def belongs(place: Place, path: bytes) -> bool:
    """Is this directory in this repository's git directory or in one of its work trees?

    A copy of a repository brings the note of the directories that the original's hooks stand in. Those stay the
    original's.
    """
    real = os.path.realpath(path)
    return _within(place, real) or _same_repository(place, real)


def _same_repository(place: Place, path: bytes) -> bool:
    """Is this directory in a work tree of this very repository?"""
    try:
        said = git.run(["rev-parse", "--git-common-dir"], directory=_existing(path), environment=elsewhere())
    except git.GitError:
        return False
    common = os.path.realpath(os.path.join(_existing(path), said.removesuffix(b"\n")))
    return common == place.common_dir


def _has_tracked(path: bytes) -> bool:
    if not os.path.isdir(path):
        return False
    return bool(git.run(["ls-files", "-z", "--", "."], directory=path, environment=elsewhere()))


def is_committed(place: Place, path: bytes) -> bool:
    """Is this hook one of the repository's tracked files?"""
    directory, name = os.path.split(path)
    real = os.path.realpath(directory)
    if _within(place, real) or not _same_repository(place, real):
        return False
    return bool(git.run(["ls-files", "-z", "--", name], directory=real, environment=elsewhere()))


def _within(place: Place, real: bytes) -> bool:
    """Is this directory part of the git directory?"""
    return any(_below(real, os.path.realpath(top)) for top in (place.common_dir, place.git_dir))


def _existing(path: bytes, *, link: bool = False) -> bytes:
    """The path, or the nearest directory above it that is there; with ``link``, the nearest thing of any kind."""
    while path and not (os.path.lexists(path) if link else os.path.isdir(path)):
        path = os.path.dirname(path)
    return path or b"."  # core.hooksPath may be empty, and then git looks in the current directory


def _below(path: bytes, top: bytes) -> bool:
    return path == top or path.startswith(os.path.join(top, b""))


def elsewhere() -> dict[bytes, bytes]:
    """The environment for questions to git about another directory, without the variables that say where the repository
    is.
    """
    return {name: value for name, value in standpoint.environment().items() if name not in _LOCATING}
