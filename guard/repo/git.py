"""The one module that runs git. Each function is a question with a plain answer.

It does not use :mod:`subprocess`, whose import takes longer than a bare start of Python, but :mod:`guard.system`. The
hook's refresh must take less time than four such starts.
"""

from __future__ import annotations

import os

from guard import system
from guard.model import GuardError
from guard.record import Record
from guard.repo import standpoint
from guard.system import contents_of, unnamed_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

LISTING = (
    *("--no-renames", "--no-ext-diff", "--name-only", "-z", "--no-relative", "--ignore-submodules=none", "-O/dev/null"),
)
"""The options for every list of changed paths: both sides of a rename, submodule pointers too, no quoting, no order.

git log fails where diff.orderFile names a file that is missing.
"""

RAW = (*(word for word in LISTING if word != "--name-only"), "--raw")
"""The same for a list with modes: ":MODE… OID… STATUS" before each path (git-diff-tree(1), RAW OUTPUT FORMAT)."""
_SUBMODULE = b"160000"


class GitError(GuardError):
    """git could not be started, or failed; ``status`` is its exit status (negative: the signal that ended it)."""

    def __init__(self, what: str, *, status: int = -1, hint: str = "git status") -> None:
        super().__init__(what, hint=hint)
        self.status = status


class Configured:
    """One entry of git's configuration: its scope ("local", "global", …), the file it stands in, key and value.

    ``origin`` is b"" for an entry that is in no file. ``value`` is None for a key without ``=``, which git reads as
    true.
    """

    __slots__ = ("key", "origin", "scope", "value")

    def __init__(self, scope: bytes, origin: bytes, key: bytes, value: bytes | None) -> None:
        self.scope = scope
        self.origin = origin
        self.key = key
        self.value = value


class Commit(Record):
    """A commit: its hex oid, when it was made (the committer's time in Unix ms, whole seconds), what it changed.

    ``submodules`` are those of its paths that are pointers of submodules, before the change or after it.
    """

    oid: str
    at: int
    paths: list[bytes]
    submodules: set[bytes]


def run(
    arguments: Sequence[bytes | str],
    *,
    stdin: bytes = b"",
    directory: bytes | str | None = None,
    environment: Mapping[bytes, bytes] | None = None,
    accept: tuple[int, ...] = (0,),
) -> bytes:
    """Runs git and returns what it wrote to stdout.

    ``directory`` is given to git's -C; ``accept`` lists the exit statuses that are answers.
    Raises :class:`GitError` for any other status, and when git cannot be started.
    """
    return answer(arguments, stdin=stdin, directory=directory, environment=environment, accept=accept)[1]


def answer(
    arguments: Sequence[bytes | str],
    *,
    stdin: bytes = b"",
    directory: bytes | str | None = None,
    environment: Mapping[bytes, bytes] | None = None,
    accept: tuple[int, ...] = (0,),
) -> tuple[int, bytes]:
    """As :func:`run`, and the exit status with it."""
    return begin(arguments, stdin=stdin, directory=directory, environment=environment, accept=accept)()


def begin(
    arguments: Sequence[bytes | str],
    *,
    stdin: bytes = b"",
    directory: bytes | str | None = None,
    environment: Mapping[bytes, bytes] | None = None,
    accept: tuple[int, ...] = (0,),
) -> Callable[[], tuple[int, bytes]]:
    """Starts git and returns a function that waits for its end and returns what :func:`answer` returns.

    Call that function exactly once. Raises :class:`GitError` when git cannot be started.
    """
    start = standpoint.directory()  # git takes several -C, each relative to the one before it: git(1)
    elsewhere = [word for each in (start, directory) if each is not None for word in ("-C", each)]
    command: list[bytes | str] = ["git", "-c", "advice.graftFileDeprecated=false", *elsewhere, *arguments]
    files = [unnamed_file(stdin) if stdin else os.open(os.devnull, os.O_RDONLY), unnamed_file(), unnamed_file()]
    try:
        seen = quiet(standpoint.environment() if environment is None else environment)
        process = system.start("git", command, environment=seen, files=files)
    except OSError as error:
        for file in files:
            os.close(file)
        raise GitError(f"git cannot be started: {error.strerror}; it must be on PATH") from error
    return lambda: _ended(process, command, files, accept)


def _ended(
    process: int, command: Sequence[bytes | str], files: Sequence[int], accept: tuple[int, ...]
) -> tuple[int, bytes]:
    try:
        try:
            status = system.wait_for(process)
        except BaseException:  # a time limit has passed, and nobody waits for git's answer any more
            system.stop(process)
            raise
        if status not in accept:
            said = contents_of(files[2]).decode("utf-8", "replace").strip()
            asked = " ".join(os.fsdecode(word) for word in ("git", *command[3:8]))
            what = f"git failed with status {status}: {asked} …: {said or 'it said nothing'}"
            # A setting that git log cannot use does not disturb git status.
            raise GitError(what, status=status, hint="git log -1" if "log" in command else "git status")
        return status, contents_of(files[1])
    finally:
        for file in files:
            os.close(file)


def quiet(environment: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The environment, changed so that git writes only its answer and asks nothing.

    Traces could be written to stdout, between the paths (git(1), GIT_TRACE, and trace2.normalTarget in a configuration,
    which these variables overrule). git compares names without case by the locale, so the locale is fixed. A question
    for a password would wait for ever. ``hush_git`` in hooks/guard does the same.
    """
    seen = {name: value for name, value in environment.items() if not name.startswith(b"GIT_TRACE")}
    off = {b"GIT_TRACE2": b"0", b"GIT_TRACE2_EVENT": b"0", b"GIT_TRACE2_PERF": b"0"}
    return {**seen, **off, b"LC_ALL": b"C", b"GIT_TERMINAL_PROMPT": b"0"}


def config() -> list[Configured]:
    """All of git's configuration as it holds here, in the order in which later entries win (git-config(1))."""
    # GIT_CONFIG sends git config to another file, but no other command of git: git-config(1).
    environment = {name: value for name, value in standpoint.environment().items() if name != b"GIT_CONFIG"}
    words = run(["config", "--list", "-z", "--show-scope", "--show-origin"], environment=environment).split(b"\0")
    entries = []
    for scope, origin, entry in zip(words[0::3], words[1::3], words[2::3], strict=False):
        key, newline, value = entry.partition(b"\n")
        file = origin[len(b"file:") :] if origin.startswith(b"file:") else b""
        entries.append(Configured(scope, file, key, value if newline else None))
    return entries


def without_filters() -> list[str]:
    """The options that keep a git command from running filters, which the configuration names (gitattributes(5)).

    ``git status`` runs filters to compare the contents of files. Without them, a file with a new time but the old
    contents may look changed. Raises :class:`GitError` for a filter with a name that no option can have in it.
    """
    keys = [entry.key for entry in config() if entry.key.startswith(b"filter.")]
    names = dict.fromkeys(os.fsdecode(key[len(b"filter.") :].rpartition(b".")[0]) for key in keys)
    options = ["-c", "core.fsmonitor="]
    for name in names:
        if "=" in name:
            raise GitError(f"the filter {name!a} in git's configuration has a name that no option of git can carry")
        for setting in ("clean=", "smudge=", "process=", "required=false"):
            options += ["-c", f"filter.{name}.{setting}"]
    return options


def has_head() -> bool:
    """Does HEAD name a commit? It does not on an unborn branch."""
    return answer(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], accept=(0, 1))[0] == 0


def empty_tree() -> bytes:
    """The hex oid of the empty tree, in the hash function of this repository."""
    return run(["hash-object", "-t", "tree", "--stdin"]).strip()


def commits_here(oids: Iterable[bytes]) -> list[bytes]:
    """Those of the hex oids that are commits in this repository."""
    asked = b"".join(b"%b\n" % oid for oid in oids)
    return run(["rev-list", "--no-walk=unsorted", "--ignore-missing", "--stdin"], stdin=asked).split()


def kinds(oids: Iterable[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
    """The kind and the oid of the object that each oid leads to, after tags are peeled (gitglossary(7), "peel").

    Oids are hex. The kinds are b"commit", b"tree" and b"blob". Objects that are not in this repository are left out.
    """
    asked = list(dict.fromkeys(oids))
    if not asked:
        return {}
    batch = b"".join(b"%b^{}\n" % oid for oid in asked)
    lines = run(["cat-file", "--batch-check=%(objecttype) %(objectname)"], stdin=batch).splitlines()
    answers = [line.split(b" ") for line in lines]
    found = {oid: (words[0], words[-1]) for oid, words in zip(asked, answers, strict=True)}
    return {oid: pair for oid, pair in found.items() if pair[0] in (b"commit", b"tree", b"blob")}


def trees_of(globs: Sequence[bytes], *, every: bool) -> list[bytes]:
    """The hex oids of the trees of all refs that match globs, each once; with ``every``, of their whole history."""
    if not globs:
        return []
    walk = [] if every else ["--no-walk=unsorted"]
    return list(dict.fromkeys(_listed(["log", *walk, "--format=%T", *(b"--glob=" + glob for glob in globs)]).split()))


def differing_from_all(tree: bytes, others: Sequence[bytes]) -> list[bytes]:
    """The paths in which a tree differs from every one of the others, sorted. Trees are hex oids.

    Starts one process. Raises :class:`GitError` when git does not answer for every pair.
    """
    flags = ("-c", "core.fsmonitor=", "diff-tree", "-r", "--stdin", *LISTING)
    listed = _listed(flags, stdin=b"".join(b"%b %b\n" % (other, tree) for other in others))
    # Before the paths of each pair git writes the pair again, with a line feed at its end: git-diff-tree(1), --stdin.
    changed: set[bytes] | None = None
    for other in reversed(others):
        head = b"%b %b\n" % (other, tree)
        listed, mark, after = listed.rpartition(head)
        if not mark:
            raise GitError("git diff-tree --stdin has not answered for every pair of trees")
        changed = set(_names(after)) if changed is None else changed & set(_names(after))
    return sorted(changed or ())


def staged(against: bytes | str) -> list[bytes]:
    """The paths in which the index differs from a tree-ish, with deletions, modes, types and submodule pointers.

    The index is the one that git names in GIT_INDEX_FILE: ``git commit -a`` and ``git commit FILE`` use others.
    """
    return begin_staged(against)()


def staged_submodules(against: bytes | str) -> dict[bytes, bool]:
    """The paths that :func:`staged` lists, each with True if it is a submodule's pointer, before or after."""
    index = ("-c", "core.fsmonitor=", "diff-index", "--cached", "--ita-invisible-in-index")
    words = _listed([*index, *RAW, against, "--"]).split(b"\0")
    pairs = zip(words[::2], words[1::2], strict=False)  # the last word is empty
    return {path: _SUBMODULE in modes[1:].split(b" ") for modes, path in pairs}


def begin_staged(against: bytes | str) -> Callable[[], list[bytes]]:
    """As :func:`staged`, but returns at once, with a function that waits for git's end. Call it exactly once."""
    # Only the index is read, so no file system monitor is asked, and its daemon is not started.
    index = ("-c", "core.fsmonitor=", "diff-index", "--cached", "--ita-invisible-in-index")
    listed = begin([*index, *LISTING, against, "--"], environment=_real())
    return lambda: _names(listed()[1])


def staged_renames() -> list[tuple[bytes, bytes]]:
    """The old path and the new path of every rename that git finds between HEAD and the index."""
    index = ("-c", "core.fsmonitor=", "diff-index", "--cached", "--ita-invisible-in-index", "--no-ext-diff", "-z")
    words = _listed([*index, "--find-renames", "--diff-filter=R", "--name-status", "HEAD", "--"]).split(b"\0")
    return list(zip(words[1::3], words[2::3], strict=False))


def unstaged() -> list[bytes]:
    """The tracked paths whose files in the work tree differ from the index."""
    return _names(_listed(["-c", "core.fsmonitor=", "diff-files", *LISTING, "--"]))


def merge_base(one: bytes, other: bytes) -> bytes:
    """The hex oid of a best common ancestor, b"" when there is none."""
    return run(["merge-base", one, other], accept=(0, 1)).strip()


def between(old: bytes | str, new: bytes | str) -> list[bytes]:
    """The paths in which two tree-ishes differ."""
    return _names(_listed(["-c", "core.fsmonitor=", "diff-tree", "-r", *LISTING, old, new, "--"]))


def history(
    tips: Iterable[bytes], *, without: Iterable[bytes], tracking: Iterable[bytes] = (), strict: bool = False
) -> list[Commit]:
    """The commits that ``tips`` reach and ``without`` do not, newest first. Starts one process.

    Both are hex oids. A tip may also be "OID...OID" (gitrevisions(7)): the commits that only one of the two reaches.
    Commits are also left out that a ref reaches which matches one of the globs in ``tracking``. An oid that is not in
    this repository is passed over; with ``strict``, it raises :class:`GitError`. A merge has the paths in which it
    differs from all its parents (git-diff-tree(1), -c), a root commit has all its paths.
    """
    asked = b"".join([b"%b\n" % oid for oid in tips] + [b"^%b\n" % oid for oid in without])
    flags = ("--no-color", "--no-show-signature", "--no-notes", "--encoding=UTF-8", "--format=/%H %ct", "-c")
    # --ignore-missing goes first: git reads stdin where it meets --stdin.
    log = ("-c", "log.showRoot=true", "log", *(() if strict else ("--ignore-missing",)), "--stdin")
    left_out: list[bytes | str] = ["--not", *(b"--glob=" + glob for glob in tracking)]
    return _commits(_listed([*log, *flags, *RAW, *left_out], stdin=asked))


def last_changes(base: bytes, tip: bytes, paths: Collection[bytes]) -> dict[bytes, tuple[str, str]]:
    """For each path, the hex oid and the author of the last commit between ``base`` and ``tip`` that changed it."""
    if not paths:
        return {}
    flags = ("--no-color", "--no-show-signature", "--no-notes", "--encoding=UTF-8", "--format=/%H %an", "-m")
    log: list[bytes | str] = ["log", *flags, *LISTING, b"%b..%b" % (base, tip), "--"]
    commit = author = ""
    found: dict[bytes, tuple[str, str]] = {}
    # git lists all paths, and they are looked up here: all of ``paths`` might not fit into a command line.
    for word in _listed(log).split(b"\0"):
        if word.startswith(b"/"):
            commit, _, author = word[1:].decode("utf-8", "replace").partition(" ")
            continue
        path = word.removeprefix(b"\n")
        if path in paths:
            found.setdefault(path, (commit, author))
    return found


def remote_refs() -> list[tuple[bytes, bytes]]:
    """Every ref below refs/remotes/, as (hex oid, full name)."""
    return refs_below("refs/remotes/")


def refs_below(prefix: str) -> list[tuple[bytes, bytes]]:
    """Every ref whose full name begins with ``prefix``, as (hex oid, full name)."""
    lines = run(["for-each-ref", "--format=%(objectname) %(refname)", prefix]).splitlines()
    return [(oid, name) for oid, _, name in (line.partition(b" ") for line in lines)]


def _listed(arguments: Sequence[bytes | str], *, stdin: bytes = b"") -> bytes:
    """Runs git on the commits as they really are, without replacement objects and grafts; returns what it wrote."""
    return run(arguments, stdin=stdin, environment=_real())


def _real() -> dict[bytes, bytes]:
    """The environment in which git uses no replacement objects (git-replace(1)) and no grafts."""
    return {**standpoint.environment(), b"GIT_NO_REPLACE_OBJECTS": b"1", b"GIT_GRAFT_FILE": os.devnull.encode()}


def _commits(listed: bytes) -> list[Commit]:
    """Reads a log: "/OID TIME" for each commit, then its paths, each after its modes. A path never begins with "/".

    A NUL ends every word. Before the first modes, git writes a line feed, or for a merge an empty word.
    """
    commits: list[Commit] = []
    words = iter(listed.split(b"\0"))
    for word in words:
        if word.startswith(b"/"):
            oid, _, at = word[1:].decode("ascii").partition(" ")
            commits.append(Commit(oid, int(at) * 1000, [], set()))
        elif word:
            path = next(words)
            commits[-1].paths.append(path)
            if _SUBMODULE in word.lstrip(b"\n:").split(b" "):
                commits[-1].submodules.add(path)
    return commits


def _names(listed: bytes) -> list[bytes]:
    return [name for name in listed.split(b"\0") if name]
