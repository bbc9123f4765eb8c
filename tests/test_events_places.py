"""Every kind of repository and working tree git has is guarded, by the same hook: commits, merges and pushes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.union.published import load
from tests.support.event_cases import blamed, no_python, run_hook, settle
from tests.support.repositories import Repository, age, run
from tests.support.stage import Stage

FILES = {"free.txt": "free\n", "held/x.txt": "x\n", "held/deep/y.txt": "y\n", "other/z.txt": "z\n"}


def plain(base: Path) -> Repository:
    return Repository.make(base / "plain", files=FILES)


def sha256(base: Path) -> Repository:
    made = Repository.make(base / "sha256", "--object-format=sha256", files=FILES)
    assert len(made.head()) == 64
    return made


def reftable(base: Path) -> Repository:
    made = base / "reftable"
    if run(("git", "init", "-q", "--ref-format=reftable", str(made)), cwd=base).code:
        pytest.skip("this git knows no reftable")
    shutil.rmtree(made)
    return Repository.make(made, "--ref-format=reftable", files=FILES)


def separate_git_directory(base: Path) -> Repository:
    return Repository.make(base / "tree", f"--separate-git-dir={base / 'elsewhere.git'}", files=FILES)


def linked_worktree(base: Path) -> Repository:
    return plain(base).worktree(base / "linked", "topic")


def worktree_of_a_bare_repository(base: Path) -> Repository:
    plain(base).git("clone", "-q", "--bare", ".", str(base / "bare.git"))
    return Repository(base / "bare.git").worktree(base / "linked", "topic")


def work_tree_by_configuration(base: Path) -> Repository:
    made = plain(base)
    (base / "tree").mkdir()
    made.git("config", "core.worktree", str(base / "tree"))
    for name in ("free.txt", "held", "other"):
        os.rename(made.path / name, base / "tree" / name)
    os.rename(made.path / ".git", base / "only.git")
    (base / "tree/.git").write_text(f"gitdir: {base / 'only.git'}\n")
    return Repository(base / "tree")


def submodule(base: Path) -> Repository:
    library, made = Repository.make(base / "library", files=FILES), plain(base)
    made.git("submodule", "add", "-q", str(library.path), "library")
    made.git("commit", "-q", "-m", "library")
    return Repository(made.path / "library")


def sparse(base: Path) -> Repository:
    made = plain(base)
    made.git("sparse-checkout", "set", "--cone", "other")
    assert not (made.path / "held").exists()
    return made


def sparse_index(base: Path) -> Repository:
    made = plain(base)
    made.git("sparse-checkout", "set", "--cone", "--sparse-index", "other")
    assert b"held/\n" in made.git("ls-files", "--sparse").out
    return made


def shallow(base: Path) -> Repository:
    upstream = plain(base)
    upstream.commit("held/x.txt", "again\n")
    upstream.commit("free.txt", "again\n")
    upstream.git("clone", "-q", "--depth=1", f"file://{upstream.path}", str(base / "shallow"))
    return Repository(base / "shallow")


def blobless(base: Path) -> Repository:
    upstream = plain(base)
    upstream.git("config", "uploadpack.allowFilter", "true")
    upstream.commit("held/x.txt", "again\n")
    upstream.git(*("clone", "-q", "--filter=blob:none", "--sparse", f"file://{upstream.path}", str(base / "blobless")))
    return Repository(base / "blobless")


def strangely_named(base: Path) -> Repository:
    return Repository.make(base / 'it\'s a "test" of $(touch broken) [x]*', files=FILES)


def named_in_latin_1(base: Path) -> Repository:
    return Repository.make(base / os.fsdecode(b"caf\xe9"), files=FILES)


def reached_by_a_link(base: Path) -> Repository:
    made = plain(base)
    (base / "link").symlink_to(made.path)
    return Repository(base / "link")


PLACES = (
    plain,
    sha256,
    reftable,
    separate_git_directory,
    linked_worktree,
    worktree_of_a_bare_repository,
    work_tree_by_configuration,
    submodule,
    sparse,
    sparse_index,
    shallow,
    blobless,
    strangely_named,
    named_in_latin_1,
    reached_by_a_link,
)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_place(tmp_path: Path, place: Callable[[Path], Repository]) -> None:
    there = place(tmp_path)
    there.install()
    there.guard("reserve", ":/held/**", who="alice")
    settle(there)
    with no_python(there):
        assert_passes(there, "other/z.txt")
    add(there, "held/deep/y.txt")
    assert blamed(there.git("commit", "-m", "m", who="bob", expect=1)) == ["held/deep/y.txt"]
    there.git("update-index", "--force-remove", "held/x.txt")
    assert blamed(there.git("commit", "-m", "m", who="bob", expect=1)) == ["held/deep/y.txt", "held/x.txt"]
    there.git("commit", "-q", "-m", "hers", who="alice")

    give_remote(there, tmp_path / "remote.git")
    settle(there)
    pushed = there.git("push", "target", "HEAD:refs/heads/topic", who="bob", expect=1)
    assert blamed(pushed) == ["held/deep/y.txt", "held/x.txt"], pushed.text
    there.git("push", "-q", "target", "HEAD:refs/heads/topic", who="alice")
    assert_passes(there, "free.txt")
    with no_python(there):
        there.git("push", "-q", "target", "HEAD:refs/heads/topic", who="bob")

    side = there.git("commit-tree", "-m", "side", "-p", "HEAD^", "HEAD^^{tree}").out.strip()
    there.git("merge", "-q", "--no-commit", "-s", "ours", side)
    add(there, "held/x.txt")
    assert blamed(there.git("commit", "-m", "m", who="bob", expect=1)) == ["held/x.txt"]
    assert not list(tmp_path.rglob("broken"))


def assert_passes(repository: Repository, path: str) -> None:
    add(repository, path)
    assert repository.git("commit", "-q", "-m", "m", who="bob").text == ""


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
def test_the_first_commit_of_all(tmp_path: Path, kind: str) -> None:
    there = Repository(tmp_path / "new")
    there.path.mkdir()
    there.git("init", "-q", f"--object-format={kind}")
    there.install()
    there.guard("reserve", "held/", "--reason", "not there yet", who="alice")
    there.write("free.txt", "new\n")
    there.write("held/x.txt", "new\n")
    there.git("add", "-A")
    assert blamed(there.git("commit", "-m", "m", who="bob", expect=1)) == ["held/x.txt"]
    there.git("rm", "-q", "--cached", "held/x.txt")
    there.git("commit", "-q", "-m", "m", who="bob")


def add(repository: Repository, path: str) -> None:
    """Stages new contents, also of a file that is not checked out."""
    oid = repository.git("hash-object", "-w", "--stdin", stdin=b"new\n").out.decode().strip()
    repository.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")


def give_remote(repository: Repository, path: Path) -> None:
    """A remote that has all but the latest commit."""
    kind = repository.git("rev-parse", "--show-object-format").out.decode().strip()
    repository.git("init", "-q", "--bare", f"--object-format={kind}", str(path))
    Repository(path).git("config", "receive.shallowUpdate", "true")
    repository.git("remote", "add", "target", str(path))
    repository.git("push", "-q", "--no-verify", "target", "HEAD^:refs/heads/main")


def missing(repository: Repository) -> set[bytes]:
    listed = repository.git("rev-list", "--objects", "--all", "--missing=print").out.splitlines()
    return {line for line in listed if line.startswith(b"?")}


def test_in_a_partial_clone_no_blob_is_fetched(tmp_path: Path) -> None:
    """git itself may fetch around a hook, so the hooks are run alone, as git runs them."""
    there = blobless(tmp_path)
    there.install()
    there.guard("reserve", ":/held", who="alice")
    settle(there)
    upstream = there.git("rev-parse", "origin/main").out.decode().strip()
    add(there, "free.txt")
    there.git("commit", "-q", "-m", "free", who="bob")
    free = there.head()
    for path in ("held/deep/y.txt", "held/x.txt"):
        add(there, path)
    there.git("commit", "-q", "--no-verify", "-m", "held")
    lines = f"refs/heads/topic {there.head()} refs/heads/topic {upstream}\n".encode()
    free_lines = f"refs/heads/topic {free} refs/heads/topic {upstream}\n".encode()
    there.git("reset", "-q", "--soft", "HEAD^")
    os.rename(tmp_path / "plain", tmp_path / "gone")
    before = missing(there)
    assert len(before) >= 3
    url = f"file://{tmp_path / 'plain'}"
    assert blamed(run_hook(there, "pre-commit")) == ["held/deep/y.txt", "held/x.txt"]
    assert blamed(run_hook(there, "pre-push", "origin", url, stdin=lines)) == ["held/deep/y.txt", "held/x.txt"]
    there.git("read-tree", free)
    add(there, "other/z.txt")
    with no_python(there):
        assert run_hook(there, "pre-commit").code == 0
        assert run_hook(there, "pre-push", "origin", url, stdin=free_lines).code == 0
    assert missing(there) == before


@pytest.mark.parametrize("asked", ["diff.ignoreSubmodules=all", "submodule.library.ignore=all"])
def test_a_submodule_pointer_is_a_change(tmp_path: Path, asked: str) -> None:
    inside = submodule(tmp_path)
    there = Repository(tmp_path / "plain")
    there.install()
    there.guard("reserve", "library", who="alice")
    there.git("config", *asked.split("="))
    there.git("config", "-f", ".gitmodules", "submodule.library.ignore", "all")
    there.git("add", ".gitmodules")
    there.git("commit", "-q", "-m", "ignore", who="bob")
    give_remote(there, tmp_path / "remote.git")
    there.git("push", "-q", "target", "HEAD:main")
    settle(there)
    inside.commit("free.txt", "new\n", who="bob")
    there.git("update-index", "--cacheinfo", f"160000,{inside.head()},library")
    refused = there.git("commit", "-m", "m", who="bob", expect=1)
    assert blamed(refused) == ["library"], refused.text
    there.git("-c", "diff.ignoreSubmodules=none", "commit", "-q", "--no-verify", "-m", "m")
    refused = there.git("push", "target", "HEAD:main", who="bob", expect=1)
    assert blamed(refused) == ["library"], refused.text


def test_a_bare_repository_pushes(tmp_path: Path) -> None:
    made = plain(tmp_path)
    made.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    made.commit("held/x.txt", "new\n")
    made.git("push", "-q", "../bare.git", "HEAD:topic")
    made.git("reset", "-q", "--hard", "HEAD^")
    made.commit("free.txt", "new\n")
    made.git("push", "-q", "../bare.git", "HEAD:fine")
    bare = Repository(tmp_path / "bare.git")
    bare.worktree(tmp_path / "linked", "linked")  # else nobody works there, and others only push to it
    bare.install()
    bare.guard("reserve", "held", who="alice")
    bare.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    bare.git("remote", "add", "target", str(tmp_path / "remote.git"))
    bare.git("push", "-q", "--no-verify", "target", "main")
    bare.git("fetch", "-q", "target", "+refs/heads/*:refs/remotes/target/*")
    settle_by_pushing(bare)
    with no_python(bare):
        bare.git("push", "-q", "target", "fine", who="bob")
    for arguments, where in (((), bare.path), (("--git-dir=bare.git",), tmp_path)):
        refused = bare.git(*arguments, "push", "target", "topic", who="bob", expect=1, cwd=where)
        assert blamed(refused) == ["held/x.txt"], refused.text


def settle_by_pushing(repository: Repository) -> None:
    age(repository.common_dir / "config")
    for _ in range(2):
        repository.git("push", "-q", "--dry-run", "target", "main:refs/heads/again", who="bob")


@pytest.mark.parametrize("copy_file", [shutil.copy2, os.link], ids=["cp -a", "cp -al"])
def test_a_copied_repository_goes_by_its_own_settings(stage: Stage, copy_file: Callable[[str, str], object]) -> None:
    """What was published travels with the copy, and looks as fresh there as it did before.

    In a copy that was made of hard links, each file is the very file that was copied.
    """
    repository = stage.repository
    repository.git("config", "guard.agent", "alice")
    age(repository.path / ".git/config")
    for text in ("1\n", "2\n"):
        repository.commit("free.txt", text)
    shutil.copytree(repository.path, stage.home / "copy", symlinks=True, copy_function=copy_file)
    copy = Repository(stage.home / "copy")
    with no_python(repository):
        repository.commit("free.txt", "3\n")
    copy.git("config", "guard.agent", "bob")
    refused = copy.commit("held/x.txt", expect=1)
    assert blamed(refused) == ["held/x.txt"], refused.text


@pytest.mark.parametrize("linked", ["guard", "guard/unions", "guard/unions/@"])
def test_a_link_to_another_clones_union_proves_nothing(stage: Stage, linked: str) -> None:
    """Somebody lets two clones share guard's directory, or a part of it; their holders are not the same."""
    repository = stage.repository
    repository.git("config", "guard.agent", "alice")
    age(repository.path / ".git/config")
    for text in ("1\n", "2\n"):
        repository.commit("free.txt", text)
    shutil.copytree(repository.path, stage.home / "clone", symlinks=True)
    clone = Repository(stage.home / "clone")
    shutil.rmtree(clone.path / ".git" / linked)
    (clone.path / ".git" / linked).symlink_to(repository.path / ".git" / linked)
    clone.git("config", "guard.agent", "bob")
    assert blamed(clone.commit("held/x.txt", expect=1)) == ["held/x.txt"]
    slot = os.fsencode(clone.path / ".git/guard/unions/@")
    assert os.path.exists(slot)
    assert load(slot) is None, "Python does not use it, either"


def test_a_moved_repository_is_guarded(stage: Stage) -> None:
    os.rename(stage.repository.path, stage.home / "moved")
    moved = Repository(stage.home / "moved")
    assert blamed(moved.commit("held/x.txt", who="bob", expect=1)) == ["held/x.txt"]
    moved.git("reset", "-q", "--hard")
    moved.commit("free.txt", who="bob")
    with no_python(moved):
        moved.commit("free.txt", "again\n", who="bob")
