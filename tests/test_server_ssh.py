"""A repository that two accounts push to over ssh: real accounts, a real sshd, and other clients than git."""

from __future__ import annotations

import contextlib
import shutil
import threading
from typing import TYPE_CHECKING

import pygit2
import pytest

from tests.support import sshd
from tests.support.event_cases import Case
from tests.support.repositories import Repository, run
from tests.support.server import blamed, play, remote_lines
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repositories import Done

pytestmark = pytest.mark.skipif(bool(sshd.why_not()), reason=sshd.why_not() or "-")


@pytest.fixture(scope="module")
def accounts() -> Iterator[Sshd]:
    with sshd.started() as made:
        yield made


class Shop:
    """The repository on the server, which is its group's; alice has reserved /held in a clone on that machine."""

    def __init__(self, accounts: Sshd, base: Path) -> None:
        self.accounts = accounts
        self.place = accounts.base / "srv"
        shutil.rmtree(self.place, ignore_errors=True)
        (self.place / "store").mkdir(parents=True)
        self.bare = Repository(self.place / "shop.git")
        self.bare.path.mkdir()
        self.bare.git("init", "-q", "--bare", "--template=", "--shared=group")
        self.bare.git("config", "receive.advertisePushOptions", "true")
        self.bare.git("config", "guard.db", str(self.place / "store/guard.db"))
        self.clone = Repository.make(base / "clone", files={"free.txt": "free\n", "held/x.txt": "x\n"})
        self.clone.git("push", "-q", str(self.bare.path), "main")
        self.bare.git("config", "guard.project", "shop")
        self.clone.git("remote", "add", "alice", accounts.address(accounts.alice, self.bare.path))
        self.clone.git("remote", "add", "bob", accounts.address(accounts.bob, self.bare.path))

    def open_to_the_group(self) -> None:
        """As the administrator does it."""
        group = self.accounts.group
        run(["sh", "-ec", f"chgrp -R {group} {self.bare.path}; chmod -R g+rwX {self.bare.path}"], cwd=self.place)
        self.guard("install")
        run(["sh", "-ec", f"chgrp -R {group} {self.bare.path}; chmod -R g+rwX {self.bare.path}/guard"], cwd=self.place)
        answer = self.guard("status", "--check", "--json", expect=1).json()
        (problem,) = [each for each in answer["problems"] if each["code"] == "store-private"]
        assert run(["sh", "-ec", problem["repair"]], cwd=self.place).code == 0
        self.guard("status", "--check")

    def guard(self, *arguments: str, expect: int = 0) -> Done:
        """With a Python that the other accounts can start too: the hook starts the one that installed it."""
        done = run([*sshd.GUARD.split(), *arguments], cwd=self.bare.path)
        assert done.code == expect, done.text
        return done

    def play(self, script: str) -> Done:
        return play(self.clone, script, self.accounts.environment)


@pytest.fixture
def shop(accounts: Sshd, tmp_path: Path) -> Shop:
    made = Shop(accounts, tmp_path)
    made.open_to_the_group()
    script = f"git clone -q {made.bare.path} work && cd work && git config guard.project shop"
    script += f" && git config guard.db {made.place}/store/guard.db"
    script += " && export GUARD_AGENT=claude-1 && guard reserve held"
    home = accounts.base / accounts.alice
    shutil.rmtree(home / "work", ignore_errors=True)
    done = accounts.as_account(accounts.alice, script, cwd=home)
    assert done.code == 0, done.text
    return made


COMMIT, FREE = "make held/x.txt; ", "make free.txt; "
REFUSED = [
    Case("past the client's hooks", COMMIT + "git push --no-verify bob main", ["held/x.txt"]),
    Case("a new branch", COMMIT + "git push bob main:topic", ["held/x.txt"]),
    Case("a tag", COMMIT + "git tag -m v1 v1; git push bob v1", ["held/x.txt"]),
    Case("one of several refs", FREE + "git branch a; " + COMMIT + "git push bob a main:b", ["held/x.txt"]),
    Case("atomically", FREE + "git branch a; " + COMMIT + "git push --atomic bob a main:b", ["held/x.txt"]),
    Case(
        "a forced update that drops the holder's commits",
        COMMIT + "git push -q alice main; git reset -q --hard HEAD~1; make free.txt; git push -f bob main",
        ["held/x.txt"],
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_another_account_is_refused(shop: Shop, case: Case) -> None:
    done = shop.play(case.script)
    assert done.code == 1 and blamed(done) == case.refused, done.text
    assert f"You push as {shop.accounts.bob}" in done.text and len(remote_lines(done)) <= 10, done.text


def test_the_holders_account_pushes_from_a_second_clone(shop: Shop) -> None:
    assert shop.play(COMMIT + "git push -q alice main").code == 0
    done = shop.play(FREE + "git push -q bob main")
    assert done.code == 0 and "guard:" not in done.text, done.text


def test_a_push_option_narrows_an_account_to_one_holder(shop: Shop) -> None:
    other = shop.play(COMMIT + "git push -o guard.holder=claude-2 alice main")
    assert blamed(other) == ["held/x.txt"] and "as the holder claude-2" in other.text, other.text
    assert blamed(shop.play("git push -o guard.holder=claude-1 bob main")) == ["held/x.txt"], "it never widens"
    assert "names no holder" in shop.play("git push -o guard.holder= bob main").text
    assert shop.play("git push -q -o guard.holder=claude-1 alice main").code == 0


def test_libgit2_which_runs_no_hooks_is_refused(shop: Shop) -> None:
    """pygit2 pushes by libgit2, as other clients do."""
    shop.play(COMMIT)
    key = str(shop.accounts.base / "key")

    class Callbacks(pygit2.RemoteCallbacks):
        def credentials(self, url: str, username_from_url: str | None, allowed_types: object) -> pygit2.Keypair:
            return pygit2.Keypair(username_from_url or "", f"{key}.pub", key, "")

        def certificate_check(self, certificate: None, valid: bool, host: bytes) -> bool:
            return True

        def push_update_reference(self, refname: str, message: str | None) -> None:
            said.append((refname, message))

    said: list[tuple[str, str | None]] = []
    remote = pygit2.Repository(str(shop.clone.path)).remotes["bob"]
    with contextlib.suppress(pygit2.GitError):
        remote.push(["refs/heads/main"], callbacks=Callbacks())
    assert said == [("refs/heads/main", "pre-receive hook declined")]
    assert shop.bare.git("rev-parse", "main").out != shop.clone.git("rev-parse", "main").out


def test_two_accounts_push_at_once(shop: Shop, tmp_path: Path) -> None:
    """Each what nobody holds, to branches of its own, and between them what alice holds."""
    outcomes: dict[tuple[str, int], Done] = {}

    def push_often(remote: str) -> None:
        clone = Repository(tmp_path / remote)
        shop.clone.git("clone", "-q", str(shop.bare.path), str(clone.path))
        clone.git("remote", "set-url", "origin", shop.clone.git("remote", "get-url", remote).out.decode().strip())
        for number in range(6):
            clone.commit("held/x.txt" if number % 2 else f"{remote}.txt", f"{number}\n")
            push = ["git", "push", "origin", f"HEAD:{remote}{number}"]
            outcomes[remote, number] = run(push, cwd=clone.path, env=shop.accounts.environment)
            if outcomes[remote, number].code:
                clone.git("reset", "-q", "--hard", "HEAD~1")

    threads = [threading.Thread(target=push_often, args=(name,)) for name in ("alice", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (remote, number), done in sorted(outcomes.items()):
        if "cannot tell" in done.text:  # a machine this slow needs more than three seconds: refused is right then
            assert done.code == 1
            continue
        refused = ["held/x.txt"] if remote == "bob" and number % 2 else []
        assert blamed(done) == refused and done.code == len(refused), done.text
    assert len(outcomes) == 12


def test_a_store_that_the_pushing_account_cannot_reach_refuses(shop: Shop) -> None:
    (shop.place / "store/guard.db").chmod(0o600)
    done = shop.play(FREE + "git push bob main")
    assert done.code == 1 and "cannot tell" in done.text and "guard.db" in done.text, done.text
