"""A commit's verdict on a union of many patterns, in as little Python as it takes.

Among many patterns git would try every one on every path, so ``hooks/guard`` starts this. The hook has found the union
to be fresh before. What a clear verdict rests on is said in :mod:`guard.union.fast`: git writes the list to a regular
file, ends with 0 and says nothing on stderr; the table of patterns carries its length, a checksum and an end; the
publication is still whole afterwards. Anything else is no answer.

Imports neither :mod:`os` nor any module of guard's but the matcher: each would take a tenth of a bare Python start.
"""

import posix

from guard.union import patterns

LISTING = (
    *("git", "-c", "advice.graftFileDeprecated=false", "-c", "core.fsmonitor=", "diff-index", "--cached"),
    *("--ita-invisible-in-index", "--no-renames", "--no-ext-diff", "--name-only", "-z", "--no-relative"),
    *("--ignore-submodules=none", "HEAD", "--"),
)
"""As :func:`guard.repo.git.begin_staged` asks."""
_OFF = {b"GIT_TRACE2": b"0", b"GIT_TRACE2_EVENT": b"0", b"GIT_TRACE2_PERF": b"0", b"LC_ALL": b"C"}
_REAL = {b"GIT_TERMINAL_PROMPT": b"0", b"GIT_NO_REPLACE_OBJECTS": b"1", b"GIT_GRAFT_FILE": b"/dev/null"}


def main(words: list[str]) -> None:
    """Writes "clear ID" when that is proven, and always ends with 0. The last word is the directory
    of the publication. One that is damaged is taken back, so that the next hook makes it anew: else it would stay
    current until somebody changed a reservation, and each commit would come here in vain.
    """
    place = words[-1]
    try:
        if _is_clear(place):
            posix.write(1, b"clear %b\n" % place.rpartition("/")[2].encode("ascii"))
    except (FileNotFoundError, ValueError):
        take_back(place)
    except OSError:
        pass  # the hook asks for the full verdict, which finds out why
    posix._exit(0)


def take_back(place: str) -> None:
    """Removes the marks of a publication whose patterns cannot be read: it is neither whole nor current any more."""
    for mark in ("whole", "current"):
        try:
            posix.unlink(f"{place}/{mark}")
        except OSError:
            pass  # it was withdrawn meanwhile, or this account may not: then the verdict stays slow, and right


def _is_clear(place: str) -> bool:
    listed, doubts = _unnamed(place, "o"), _unnamed(place, "e")
    process = _list(listed, doubts)  # git lists while the patterns are read
    stored = patterns.Stored(_contents(place + "/patterns"), lambda: _contents(place + "/base"))
    early = stored.table() if stored.is_small else None
    if posix.waitpid(process, 0)[1] or posix.fstat(doubts).st_size:
        return False
    with open(listed, "rb", closefd=False) as file:
        file.seek(0)
        paths = file.read().split(b"\0")
    if paths.pop():  # git ends each path with a NUL
        return False
    table = stored.for_paths(len(paths)) if early is None else early
    if any(map(patterns.Matcher(table, fold=stored.fold).covers, paths)):
        return False
    posix.stat(place + "/whole")
    return True


def _contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _unnamed(place: str, kind: str) -> int:
    """A new file in the publication, whose name is removed at once."""
    path = f"{place}/list{posix.getpid()}{kind}"
    file = posix.open(path, posix.O_RDWR | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC, 0o600)
    posix.unlink(path)
    return file


def _list(listed: int, doubts: int) -> int:
    """Starts git, which writes the paths that the commit changes to a file; the number of its process."""
    seen = {name: value for name, value in posix.environ.items() if not name.startswith(b"GIT_TRACE")}
    files = [
        (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
        (posix.POSIX_SPAWN_DUP2, listed, 1),
        (posix.POSIX_SPAWN_DUP2, doubts, 2),
    ]
    return posix.posix_spawnp("git", LISTING, {**seen, **_OFF, **_REAL}, file_actions=files)
