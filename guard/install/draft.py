"""A draft of the hooks directories: what is there, and what will be there when the steps that were planned are done.

Every file is read once. A planned step changes the draft and not the disk, so later questions are answered as if the
step was done. :func:`perform` then does the steps, in their order. So what ``--dry-run`` shows is what is done.

Nothing of others' is opened for writing: their files are renamed or get a second name, so bytes, mode, times and kind
stay as they were. Nothing is written through a symbolic link.
"""

from __future__ import annotations

import os
import shutil
import stat

from guard.install import configured, hookfile
from guard.install.hookdir import is_noexec
from guard.model import EXIT_REFUSED, GuardError
from guard.record import Record
from guard.words import quoted, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KEPT = b".before-guard"
"""The ending of a kept hook's name. Further ones end in .before-guard.2, .3 and so on. hooks/guard runs them."""

WRITE, KEEP, SAVE, MOVE = "write", "keep", "save", "move"
REMOVE, REMOVE_TREE, DIRECTORY, CONFIGURE = "remove", "remove-tree", "directory", "configure"


class Step(Record):
    """One step. ``path`` is the file or directory that it changes, ``to`` a second path.

    ``contents`` and ``mode`` are those of a file or directory to make. ``arguments`` are given to ``git config
    --local``, and ``accept`` lists its exit statuses that are no errors.
    """

    do: str
    path: bytes = b""
    to: bytes = b""
    contents: bytes = b""
    mode: int = 0
    arguments: tuple[bytes, ...] = ()
    accept: tuple[int, ...] = (0,)

    def words(self) -> str:
        """The step in words, as an order."""
        path, to = safe(self.path), safe(self.to)
        if self.do == CONFIGURE:
            return "git config --local " + " ".join(quoted(word) for word in self.arguments)
        if self.do == WRITE:
            return f"write {path}" + (" (guard's hook)" if hookfile.version(self.contents) is not None else "")
        if self.do in (KEEP, SAVE):
            return f"keep {path} as {to}"
        if self.do == MOVE:
            return f"rename {path} to {to}"
        if self.do == REMOVE_TREE:
            return f"remove the directory {path} and what is in it"
        return f"remove {path}" if self.do == REMOVE else f"make the directory {path}"


class _File:
    """A file as it was found or will be made: lstat's mode, which file it is, its contents, and whether git runs it."""

    def __init__(self, mode: int, identity: object, contents: bytes | None, *, runs: bool) -> None:
        self.mode = mode
        self.identity = identity
        self.contents = contents
        self.runs = runs


class Draft:
    """What is on disk, with the steps that were planned so far."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._files: dict[bytes, _File | None] = {}
        self._names: dict[bytes, set[bytes]] = {}
        self._found: dict[bytes, tuple[int, ...] | None] = {}

    # Questions

    def exists(self, path: bytes) -> bool:
        """Does something exist at the path? A symbolic link to nothing counts."""
        return self._at(path) is not None

    def read(self, path: bytes) -> bytes | None:
        """As :func:`hookfile.read`."""
        file = self._at(path)
        return None if file is None else file.contents

    def is_ours(self, path: bytes) -> bool:
        """Is the file a hook of guard's?"""
        return hookfile.version(self.read(path)) is not None

    def runs(self, path: bytes) -> bool:
        """Would git run this file?"""
        file = self._at(path)
        return file is not None and file.runs

    def is_link(self, path: bytes) -> bool:
        """Is the path itself a symbolic link?"""
        file = self._at(path)
        return file is not None and stat.S_ISLNK(file.mode)

    def is_directory(self, path: bytes) -> bool:
        """Is the path itself a directory, and not a link to one?"""
        file = self._at(path)
        return file is not None and stat.S_ISDIR(file.mode)

    def same_file(self, one: bytes, other: bytes) -> bool:
        """Are these two names of one file?"""
        first, second = self._at(one), self._at(other)
        return first is not None and second is not None and first.identity == second.identity

    def alike(self, one: bytes, other: bytes) -> bool:
        """Do two regular files have the same bytes and the same mode?"""
        first, second = self._at(one), self._at(other)
        if first is None or second is None or not stat.S_ISREG(first.mode) or first.mode != second.mode:
            return False
        whole = first.contents is not None and len(first.contents) < hookfile.READ_MAX
        return whole and first.contents == second.contents

    def names(self, directory: bytes) -> set[bytes]:
        """The names in a directory; [] when it cannot be listed."""
        if directory not in self._names:
            try:
                self._names[directory] = set(os.listdir(directory))
            except OSError:
                self._names[directory] = set()
        return self._names[directory]

    def kept(self, path: bytes) -> list[bytes]:
        """The files that are kept for a path, the first kept first."""
        directory, base = os.path.split(path)
        names = [name for name in self.names(directory) if name.startswith(base + KEPT) and _number(name)]
        return [os.path.join(directory, name) for name in sorted(names, key=_number)]

    # Steps

    def write(self, path: bytes, contents: bytes, mode: int) -> None:
        """Plans to write a file, which replaces what is there."""
        self._add(Step(WRITE, path, contents=contents, mode=mode))
        runs = bool(mode & 0o100) and not is_noexec(path)
        self._put(path, _File(stat.S_IFREG | mode, object(), contents, runs=runs))

    def update(self, path: bytes, contents: bytes, mode: int) -> None:
        """The same, when something else is there."""
        if self.is_link(path) or self.read(path) != contents:
            self.write(path, contents, mode)

    def keep(self, path: bytes) -> bytes:
        """Plans a second name for a file, under which it is kept; returns that name. Again, it changes nothing."""
        names = self.kept(path)
        if names and self.same_file(names[-1], path):
            return names[-1]
        number = 1 + max((_number(name) for name in names), default=0)
        name = path + KEPT + (b"" if number == 1 else b".%d" % number)
        self._add(Step(KEEP, path, to=name))  # where the file system knows no second names, it is renamed
        self._put(name, self._at(path))
        return name

    def save(self, path: bytes) -> None:
        """Plans a second name for a file that stays where it is; where there are no second names, nothing is done."""
        self._add(Step(SAVE, path, to=path + KEPT))
        self._put(path + KEPT, self._at(path))

    def move(self, path: bytes, to: bytes) -> None:
        """Plans a new name for a file, in place of what has that name."""
        self._add(Step(MOVE, path, to=to))
        self._put(to, self._at(path))
        self._put(path, None)

    def remove(self, path: bytes) -> None:
        """Plans to remove a file."""
        self._add(Step(REMOVE, path))
        self._put(path, None)

    def remove_tree(self, path: bytes) -> None:
        """Plans to remove a directory with everything in it."""
        self._add(Step(REMOVE_TREE, path))
        self._put(path, None)

    def make_directory(self, path: bytes, mode: int = 0) -> None:
        """Plans a directory, and those above it; ``mode`` 0 leaves its mode to the umask."""
        self._add(Step(DIRECTORY, path, mode=mode))
        self._put(path, _File(stat.S_IFDIR | mode, object(), None, runs=False))

    def configure(self, arguments: Sequence[bytes | str], *, accept: tuple[int, ...] = (0,)) -> None:
        """Plans a change of the repository's own git configuration."""
        words = tuple(word if isinstance(word, bytes) else word.encode() for word in arguments)
        self._add(Step(CONFIGURE, arguments=words, accept=accept))

    def take(self, path: bytes) -> bytes | None:
        """Plans guard's hook at a path; returns the name under which what is there is kept, None when nothing is.

        There is a hook at the path at every moment: what is kept gets its second name before it loses its first.
        """
        kept = self.keep(path) if self.exists(path) and not self.is_ours(path) else None
        self.write(path, hookfile.ours(), 0o755)
        return kept

    def put_back(self, path: bytes) -> bytes | None:
        """Plans that the file kept last gets its name back; returns the name it is kept under, None if none is."""
        names = self.kept(path)
        if not names:
            return None
        if self.same_file(names[-1], path):
            self.remove(names[-1])  # renaming one name of a file to another of its names does nothing
            return names[-1]
        if self.is_directory(names[-1]) and self.exists(path):
            self.remove(path)  # a directory cannot take a file's place
        self.move(names[-1], path)
        return names[-1]

    def retire(self, name: bytes) -> bytes:
        """Plans a name for a kept file under which it is not run; returns it. :meth:`kept` does not list it.

        When a file just like it was retired before, it is removed instead, and that one's name is returned.
        """
        base = name.rpartition(KEPT)[0] + KEPT
        number = 1
        while self.exists(retired := b"%b-replaced%b" % (base, b"" if number == 1 else b".%d" % number)):
            if self.alike(name, retired):
                self.remove(name)
                return retired
            number += 1
        self.move(name, retired)
        return retired

    # The disk

    def perform(self) -> None:
        """Does the steps. Raises :class:`GuardError` when a file is not any more what was planned with, and OSError."""
        for path in dict.fromkeys(path for step in self.steps for path in (step.path, step.to) if path):
            if path in self._found and _about(path) != self._found[path]:
                what = f"{safe(path)} was changed by another program while guard looked at it"
                raise GuardError(what, hint="try the same command again", code=EXIT_REFUSED)
        for step in self.steps:
            _perform(step)

    def _add(self, step: Step) -> None:
        for path in (step.path, step.to):
            if path:
                self._at(path)
        self.steps.append(step)

    def _put(self, path: bytes, file: _File | None) -> None:
        self._files[path] = file
        directory, name = os.path.split(path)
        names = self.names(directory)
        if file is None:
            names.discard(name)
        else:
            names.add(name)

    def _at(self, path: bytes) -> _File | None:
        if path not in self._files:
            self._found[path] = _about(path)
            self._files[path] = _file(path)
        return self._files[path]


def temporaries(draft: Draft, directories: Iterable[bytes]) -> list[bytes]:
    """What a killed install may have left half-written in some directories."""
    paths = [os.path.join(directory, name) for directory in directories for name in draft.names(directory)]
    mine = [path for path in paths if os.path.basename(path).startswith(hookfile.TEMPORARY)]
    return [path for path in mine if hookfile.ours().startswith(draft.read(path) or b"#!")]


def _file(path: bytes) -> _File | None:
    try:
        about = os.lstat(path)
    except OSError:
        return None
    contents = None if stat.S_ISDIR(about.st_mode) else hookfile.read(path)
    return _File(about.st_mode, (about.st_dev, about.st_ino), contents, runs=hookfile.runs(path))


def _about(path: bytes) -> tuple[int, ...] | None:
    """What changes when a file is replaced or written; None when there is none."""
    try:
        about = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISDIR(about.st_mode):
        return (about.st_dev, about.st_ino)
    return (about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size)


def _perform(step: Step) -> None:
    if step.do == WRITE:
        hookfile.write(step.path, step.contents, mode=step.mode)
    elif step.do in (KEEP, SAVE):
        try:
            os.link(step.path, step.to, follow_symlinks=False)
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):  # a file system without second names
            if step.do == KEEP:
                os.rename(step.path, step.to)
    elif step.do == MOVE:
        os.replace(step.path, step.to)
    elif step.do == REMOVE:
        os.unlink(step.path)
    elif step.do == REMOVE_TREE:
        shutil.rmtree(step.path)
    elif step.do == DIRECTORY:
        os.makedirs(step.path, exist_ok=True)
        if step.mode:
            os.chmod(step.path, step.mode)
    else:
        configured.change(step.arguments, accept=step.accept)


def _number(name: bytes) -> int:
    """1 for NAME.before-guard, 2 for NAME.before-guard.2, …; 0 for any other name."""
    tail = name.rpartition(KEPT)[2]
    if not tail:
        return 1
    return int(tail[1:]) if tail[:1] == b"." and tail[1:].isdigit() and len(tail) < 9 else 0
