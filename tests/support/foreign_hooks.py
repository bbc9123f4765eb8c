"""What tests of hooks need: pictures of what is on disk, foreign hooks, and proof that guard is in force."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from contextlib import closing
from pathlib import Path

from guard.stores.choose import open_store
from guard.stores.interface import Actor, Chosen, Store, Terms, Wanted
from tests.support.repositories import Done, Repository, run

EVENTS = ("pre-commit", "pre-merge-commit", "pre-push")

LOGGING = """\
#!/bin/sh
printf '%s\\n' "NAME ran" "$@" >>"$HOME/ran"
"""
"""A hook that logs its name, to be put in, and its arguments."""


def version_of(git: str) -> tuple[int, ...]:
    said = subprocess.run([git, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    assert found is not None
    return int(found[1]), int(found[2])


CONFIGURED = version_of("git") >= (2, 54)
"""Does the git of these tests run configured hooks?"""
_NEWER = os.environ.get("NEWER_GIT", "")
NEWER_GIT = "" if CONFIGURED or not _NEWER else os.path.join(_NEWER, "git")
"""Another git, 2.54 or later, from the directory that the variable NEWER_GIT names; "" when there is none."""


def with_git(git: str) -> dict[str, str]:
    """The environment in which commands find this git first."""
    directory = os.path.dirname(git)
    return {"PATH": f"{directory}:{os.environ['PATH']}", "GIT_EXEC_PATH": ""} if directory else {}


def hook(path: Path, text: str | bytes = LOGGING, *, mode: int = 0o755) -> Path:
    """A hook of somebody else's; one that logs, if nothing else is asked for."""
    contents = text.encode() if isinstance(text, str) else text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents.replace(b"NAME", path.name.encode()))
    path.chmod(mode)
    os.utime(path, ns=(1_700_000_000_123_456_789, 1_700_000_001_987_654_321))
    return path


def ran() -> list[str]:
    """What logging hooks have logged, a line each."""
    log = Path(os.environ["HOME"], "ran")
    return log.read_text().splitlines() if log.exists() else []


def picture(*tops: Path) -> dict[str, tuple[object, ...]]:
    """Everything below some directories: kind and mode, modification time, and the contents' checksum."""
    found: dict[str, tuple[object, ...]] = {}
    for top in tops:
        for directory, directories, files in os.walk(top):
            for name in (*directories, *files):
                path = os.path.join(directory, name)
                found[path] = _of(path)
        if os.path.lexists(top) and not top.is_dir():
            found[str(top)] = _of(str(top))
    return found


def _of(path: str) -> tuple[object, ...]:
    about = os.lstat(path)
    if stat.S_ISLNK(about.st_mode):
        return ("link", os.readlink(path), about.st_mtime_ns)
    if stat.S_ISDIR(about.st_mode):
        return ("directory", oct(about.st_mode))
    with open(path, "rb") as file:
        checksum = hashlib.sha256(file.read()).hexdigest()
    when = 0 if path.endswith("config") else about.st_mtime_ns  # git's own is written anew, to the same bytes
    return (oct(about.st_mode), when, checksum)


def assert_in_force(made: Repository, *, env: dict[str, str] | None = None) -> None:
    """A real commit, a real push and a real merge of what somebody reserved are refused, others are not.

    alice reserves src/auth, and gives it back in the end; who commits is bob.
    """
    bob = {**(env or {}), "GUARD_AGENT": "bob"}
    remote = Path(f"{made.path}-remote.git")
    if not remote.exists():
        remote.mkdir()
        Repository(remote).git("init", "-q", "--bare", f"--object-format={_format(made)}")
    made.git("push", "-q", str(remote), "HEAD:refs/heads/good", env=bob)
    reserve(made)
    head = made.head()

    _change(made)
    assert_refused(made.git("commit", "-q", "-m", "theirs", env=bob, expect=None))
    assert made.head() == head
    made.git("reset", "-q", "--hard")
    _change(made, "other.txt")
    made.git("commit", "-q", "-m", "other", env=bob)
    made.git("push", "-q", str(remote), "HEAD:refs/heads/good", env=bob)

    _change(made)
    made.git("commit", "-q", "-n", "-m", "past the commit hook", env=bob)
    bad = ("HEAD^:refs/heads/good", "HEAD:refs/heads/bad")
    assert_refused(made.git("push", "-q", str(remote), *bad, env=bob, expect=None))
    assert Repository(remote).git("branch", "--list", "bad").out == b""
    made.git("reset", "-q", "--hard", "HEAD^")

    _merge_in(made, bob)
    release(made)


def reserve(made: Repository) -> None:
    """alice reserves src/auth in the default store, for the project that install configured."""
    terms = Terms(exclusive=True, reason="", ttl_ms=3_600_000, fold=False, shorten=False)
    with closing(_store()) as store:
        store.reserve(_alice(made), [Wanted(b"/src/auth", b"src/auth")], terms)


def release(made: Repository) -> None:
    with closing(_store()) as store:
        store.release(_alice(made), Chosen(everything=True))


def _store() -> Store:
    path = Path(os.environ["HOME"], ".local", "share", "guard", "guard.db")
    return open_store(str(path), patience_s=10, create=True)


def _alice(made: Repository) -> Actor:
    project = made.git("config", "guard.project", expect=None).out.decode().removesuffix("\n")
    return Actor(project or str(made.common_dir), "alice", "alice@here")


def assert_commit_refused(made: Repository) -> None:
    """As above, for a commit alone."""
    reserve(made)
    _change(made)
    assert_refused(made.git("commit", "-q", "-m", "theirs", env={"GUARD_AGENT": "bob"}, expect=None))
    made.git("reset", "-q", "--hard")
    release(made)


def _change(made: Repository, name: str = "src/auth/login.py") -> None:
    made.write(name, os.urandom(8).hex())
    made.git("add", name)


def _merge_in(made: Repository, env: dict[str, str]) -> None:
    """A merge without a conflict, of two changes in one file that alice holds: its result is neither parent's."""
    branch = made.git("rev-parse", "--abbrev-ref", "HEAD").out.decode().strip()
    start = made.head()
    commits: list[str] = []
    for first, last in (("", ""), ("one\n", ""), ("", "two\n")):
        made.git("checkout", "-q", "--detach", commits[0] if commits else "HEAD")
        made.write("src/auth/login.py", first + "".join(f"{number}\n" for number in range(40)) + last)
        made.git("commit", "-q", "-n", "-a", "-m", "step")
        commits.append(made.head())
    assert_refused(made.git("merge", "-q", "--no-edit", commits[1], env=env, expect=None))
    assert made.head() == commits[2]
    made.git("checkout", "-q", "-f", start if branch == "HEAD" else branch)


def assert_refused(done: Done) -> None:
    assert done.code not in (0, 127), done.text
    assert "alice holds /src/auth" in done.text, done.text


def assert_not_in_force(made: Repository) -> None:
    """A commit of what alice reserved goes through."""
    reserve(made)
    _change(made)
    made.git("commit", "-q", "-m", "theirs", env={"GUARD_AGENT": "bob"})
    release(made)


def status(made: Repository, *, env: dict[str, str] | None = None) -> dict[str, object]:
    """What guard status says, after checking that its exit code says the same."""
    done = made.guard("status", "--check", "--json", expect=None, env=env)
    answer = done.json()
    assert done.code == (0 if answer["in_force"] else 1), done.text
    return dict(answer)


def codes(made: Repository, *, env: dict[str, str] | None = None) -> set[str]:
    """The codes of the problems guard status names; each comes with a repair."""
    problems = status(made, env=env)["problems"]
    assert isinstance(problems, list)
    assert all(problem["what"] and problem["repair"] for problem in problems)
    return {problem["code"] for problem in problems}


def to_add(done: Done) -> dict[str, str]:
    """From install --json: the lines to add, by the name of the file they go into."""
    return {os.path.basename(add["file"]): add["lines"] for add in done.json()["to_add"]}


def _format(made: Repository) -> str:
    return run(["git", "rev-parse", "--show-object-format"], cwd=made.path).out.decode().strip()
