"""libgit2 and git answer alike: repository, configuration, and the index against HEAD, on generated repositories."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.repo import changes, git, libgit2
from guard.repo.place import Place
from guard.repo.place import discover as discovered_by_git
from guard.repo.standpoint import asking_from
from tests.support.repositories import Repository

BY_LIBGIT2, BY_GIT = "libgit2", "git"


def of_git(directory: Path) -> tuple[Place, list[tuple[bytes, bytes, bytes, bytes | None]], list[bytes]]:
    """What git answers: the place, the configuration, and what is staged."""
    with asking_from(os.environb, os.fsencode(directory)):
        place = discovered_by_git()
        entries = [(entry.scope, entry.origin, entry.key, entry.value) for entry in git.config()]
        staged = sorted(change.path for change in changes.of_commit(place))
    # git is asked with an option of guard's own, and names a file in the repository relative to the top.
    entries = [entry for entry in entries if entry[2] != b"advice.graftfiledeprecated"]
    start = place.top or place.git_dir
    return place, [(a, os.path.join(start, b) if b else b, c, d) for a, b, c, d in entries], staged


def check_alike(directory: Path, *, staged_by: str = BY_LIBGIT2) -> None:
    """Compares every answer; ``staged_by``: who has to list what is staged."""
    place, entries, staged = of_git(directory)
    assert libgit2.discover(os.environb, os.fsencode(directory)) == place
    found = libgit2.config(os.environb, place)
    assert found is not None
    assert [(entry.scope, entry.origin, entry.key, entry.value) for entry in found] == entries
    fold = any(entry[2] == b"core.ignorecase" and entry[3] == b"true" for entry in entries)
    listed = libgit2.staged(os.environb, place, fold=fold)
    assert listed == (staged if staged_by == BY_LIBGIT2 else None)
    assert sorted(libgit2.tracked(place, os.environb)) == sorted(
        set(git.run(["ls-files", "-z"], directory=place.top).split(b"\0")) - {b""}
    )


def staged_kinds(made: Repository) -> None:
    """One change of every kind in the index."""
    path = made.path
    made.git("mv", "src/b.py", "src/renamed.py")
    made.git("rm", "-q", "src/auth/login.py")
    made.write("new file with space\tand tab", "x\n")
    made.write("ümlaut/größe.txt", "x\n")
    (path / "a.txt").chmod(0o755)
    (path / "link").symlink_to("a.txt")
    made.git("add", "-A")
    (path / os.fsdecode(b"latin-\xe9")).write_text("x\n")
    made.git("add", "-A")


def intent_to_add(made: Repository) -> None:
    made.write("meant.txt", "x\n")
    made.git("add", "--intent-to-add", "meant.txt")
    made.write("staged.txt", "x\n")
    made.git("add", "staged.txt")


def type_changed(made: Repository) -> None:
    (made.path / "a.txt").unlink()
    (made.path / "a.txt").symlink_to("src")
    made.git("add", "-A")


def file_for_directory(made: Repository) -> None:
    made.git("rm", "-qr", "src")
    made.write("src", "now a file\n")
    made.git("add", "-A")


def flags(made: Repository) -> None:
    made.git("update-index", "--assume-unchanged", "a.txt")
    made.git("update-index", "--skip-worktree", "src/b.py")
    made.write("src/auth/login.py", "changed\n")
    made.git("add", "src/auth/login.py")


def nothing(made: Repository) -> None:
    return


def detached(made: Repository) -> None:
    made.git("checkout", "-q", "--detach")
    staged_kinds(made)


def packed(made: Repository) -> None:
    made.git("gc", "-q")
    made.git("pack-refs", "--all")
    staged_kinds(made)


def version_4(made: Repository) -> None:
    made.git("update-index", "--index-version", "4")
    staged_kinds(made)


def untracked_cache(made: Repository) -> None:
    made.git("update-index", "--untracked-cache")
    made.git("status")
    staged_kinds(made)


def settings(made: Repository) -> None:
    """Values that are hard to read."""
    with open(made.path / ".git/config", "a", encoding="utf-8") as file:
        file.write('[Guard]\n\tAgent = "bob; # x" ; comment\n\tonly = a\n\tonly = b\\\n  c\n[Bare]\n\tkey\n\tempty =\n')
        file.write('[url "https://x.y/Z z"]\n\tinsteadOf = "g\\th:\\"q\\""\n[diff]\n\tignoreSubmodules = all\n')
        file.write("[a] b = 1\n[guard] agent = carol\n[status]\n\trenames = copies\n")
    staged_kinds(made)


def merging(made: Repository) -> None:
    """A merge that is being concluded, with a conflict that was resolved and one that was not."""
    made.git("checkout", "-qb", "other")
    for name in ("a.txt", "src/b.py", "only-other.txt"):
        made.write(name, "other\n")
    made.git("add", "-A")
    made.git("commit", "-qm", "other")
    made.git("checkout", "-q", "main")
    for name in ("a.txt", "src/b.py", "only-main.txt"):
        made.write(name, "main\n")
    made.git("add", "-A")
    made.git("commit", "-qm", "main")
    made.git("merge", "other", expect=1)
    made.write("a.txt", "both\n")
    made.git("add", "a.txt")


CHANGES: list[Callable[[Repository], None]] = [
    nothing,
    staged_kinds,
    intent_to_add,
    type_changed,
    file_for_directory,
    flags,
    detached,
    packed,
    version_4,
    untracked_cache,
    settings,
    merging,
]
LEFT_TO_GIT = [intent_to_add, flags, version_4]
"""Their index is of a version in which entries may have flags that libgit2 does not tell of."""


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_both_answer_alike(tmp_path: Path, change: Callable[[Repository], None]) -> None:
    made = Repository.make(tmp_path / "r")
    change(made)
    by = BY_GIT if change in LEFT_TO_GIT else BY_LIBGIT2
    check_alike(made.path, staged_by=by)
    if (made.path / "src").is_dir():
        check_alike(made.path / "src", staged_by=by)


def test_both_answer_alike_on_random_changes(tmp_path: Path) -> None:
    random_ = random.Random(7)
    names = [f"{top}/{low}{number}.txt" for top in "abc" for low in ("x", "y/z", "Y/z") for number in range(4)]
    made = Repository.make(tmp_path / "r", files=dict.fromkeys(names[::2], "first\n"))
    made.git("config", "core.ignoreCase", "false")
    for _ in range(12):
        for name in random_.sample(names, 6):
            if random_.random() < 0.3 and (made.path / name).exists():
                (made.path / name).unlink()
            else:
                made.write(name, f"{random_.random()}\n")
        made.git("add", "-A", *random_.sample("abc", 2), expect=None)
        check_alike(made.path)
        if random_.random() < 0.4:
            made.git("commit", "-qm", "more", expect=None)


def test_both_answer_alike_in_worktrees_and_submodules(tmp_path: Path) -> None:
    library = Repository.make(tmp_path / "library")
    made = Repository.make(tmp_path / "r")
    made.git("submodule", "add", "-q", str(library.path), "lib")
    made.git("commit", "-qm", "with a submodule")
    inside = Repository(made.path / "lib")
    inside.commit("a.txt", "newer\n")
    made.git("add", "lib")
    check_alike(made.path)
    check_alike(inside.path / "src")
    linked = made.worktree(tmp_path / "linked", "side")
    made.git("config", "extensions.worktreeConfig", "true")
    linked.git("config", "--worktree", "guard.agent", "dora")
    staged_kinds(linked)
    check_alike(linked.path)
    check_alike(made.path)
    link = tmp_path / "link-to-linked"
    link.symlink_to(linked.path)
    check_alike(link)


def test_the_configuration_of_the_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Repository.make(tmp_path / "r")
    for name, value in {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "Safe.BareRepository",
        "GIT_CONFIG_VALUE_0": "explicit",
        "GIT_CONFIG_KEY_1": "url.https://A.b/C.insteadOf",
        "GIT_CONFIG_VALUE_1": "",
    }.items():
        monkeypatch.setenv(name, value)
    check_alike(made.path)
    other = tmp_path / "global"
    other.write_text("[user]\n\temail = other@example.com\n\tname = o\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(other))
    check_alike(made.path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "")
    check_alike(made.path)
    system = tmp_path / "system"
    system.write_text("[guard]\n\tmode = warn\n")
    monkeypatch.delenv("GIT_CONFIG_NOSYSTEM")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(system))
    check_alike(made.path)
    monkeypatch.delenv("GIT_CONFIG_SYSTEM")
    check_alike(made.path)  # the system's own file, whose name git fixed when it was built


def test_both_configurations_of_an_account_count(tmp_path: Path, hermetic: Path) -> None:
    (hermetic / ".config/git").mkdir(parents=True)
    (hermetic / ".config/git/config").write_text("[guard]\n\tttl = 2h\n[user]\n\tname = X\n")
    made = Repository.make(tmp_path / "r")
    check_alike(made.path)


# Where libgit2 cannot answer as git does, it does not answer


def reftable_is_known() -> bool:
    done = subprocess.run(["git", "init", "--ref-format=reftable", "-h"], capture_output=True, text=True, check=False)
    return "ref-format" in done.stdout


def sha256(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "r", "--object-format=sha256")


def reftable(tmp_path: Path) -> Repository:
    if not reftable_is_known():
        pytest.skip("this git has no reftable")
    return Repository.make(tmp_path / "r", "--ref-format=reftable")


def partial_clone(tmp_path: Path) -> Repository:
    origin = Repository.make(tmp_path / "origin")
    origin.git("config", "uploadpack.allowFilter", "true")
    subprocess.run(
        ["git", "clone", "-q", "--filter=tree:0", "--no-checkout", origin.path.as_uri(), str(tmp_path / "r")],
        check=True,
    )
    made = Repository(tmp_path / "r")
    made.git("reset", "-q", "--mixed")
    return made


def split_index(tmp_path: Path) -> Repository:
    made = Repository.make(tmp_path / "r")
    made.git("update-index", "--split-index")
    return made


def sparse_index(tmp_path: Path) -> Repository:
    made = Repository.make(tmp_path / "r")
    made.git("sparse-checkout", "init", "--cone", "--sparse-index")
    return made


def folded(tmp_path: Path) -> Repository:
    made = Repository.make(tmp_path / "r")
    made.git("config", "core.ignoreCase", "true")
    made.git("mv", "-f", "a.txt", "A.txt")
    return made


def unborn(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "r")
    made.path.mkdir()
    made.git("init", "-q")
    made.write("first.txt", "x\n")
    made.git("add", "-A")
    return made


ODD = [sha256, reftable, partial_clone, split_index, sparse_index, folded, unborn]


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_what_libgit2_does_not_read_is_left_to_git_or_read_alike(
    tmp_path: Path, make: Callable[[Path], Repository]
) -> None:
    made = make(tmp_path)
    place, entries, staged = of_git(made.path)
    assert libgit2.discover(os.environb, os.fsencode(made.path)) in (None, place)
    found = libgit2.config(os.environb, place)
    assert found is None or [(each.scope, each.origin, each.key, each.value) for each in found] == entries
    fold = (b"core.ignorecase", b"true") in [(each[2], each[3]) for each in entries]
    assert libgit2.staged(os.environb, place, fold=fold) in (None, staged)


def test_what_steers_git_elsewhere_is_left_to_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, other = Repository.make(tmp_path / "r"), Repository.make(tmp_path / "other")
    here = os.fsencode(made.path)
    place = libgit2.discover(os.environb, here)
    assert place is not None
    for name, value in {
        "GIT_DIR": str(other.path / ".git"),
        "GIT_WORK_TREE": str(other.path),
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
        "GIT_CONFIG_PARAMETERS": "'guard.agent'='x'",
        "GIT_INDEX_FILE": str(other.path / ".git/index"),
        "HOME": str(tmp_path),
    }.items():
        environment = {**os.environb, name.encode(): value.encode()}
        assert libgit2.discover(environment, here) is None
        assert libgit2.config(environment, place) is None
        assert libgit2.staged(environment, place, fold=False) is None
    made.git("config", "include.path", str(tmp_path / "more"))
    assert libgit2.config(os.environb, place) is None
    made.git("config", "--unset", "include.path")
    with open(made.path / ".git/config", "a") as file:
        file.write("[broken\n")
    assert libgit2.config(os.environb, place) is None
    assert libgit2.discover(os.environb, os.fsencode(tmp_path)) is None
    assert libgit2.discover(os.environb, os.fsencode(other.path / ".git")) is None


def test_a_bare_repository_is_left_to_git(tmp_path: Path) -> None:
    made = tmp_path / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", str(made)], check=True)
    assert libgit2.discover(os.environb, os.fsencode(made)) is None
