"""A walk through the README, as several people go it on one machine: every end is "refused", or a clear word.

alice reserves in her clone. Then somebody changes what she holds: in another clone, in a linked worktree, in a
container that has the checkout under another path and no guard in it, in one that has guard and not the store, and as
a colleague with an account of her own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pathspec
import pytest

from tests.support import namespace
from tests.support.repositories import PACKAGE, Done, Repository, run
from tests.support.stage import NOBODY, readable_python, strangers_directory

IDENTITY = "[user]\n\tname = Somebody\n\temail = somebody@example.com\n[safe]\n\tdirectory = *\n"


@dataclass(frozen=True)
class Team:
    """A directory that everybody can reach: a bare repository, and clones of it. guard is in ``lib``."""

    base: Path
    python: str

    @property
    def environment(self) -> dict[str, str]:
        """An environment that has guard on PATH, and alice's home."""
        return {"HOME": str(self.base / "home"), "PATH": f"{self.base / 'bin'}:/usr/bin:/bin"}

    def build(self) -> None:
        lib, program = self.base / "lib", self.base / "bin/guard"
        shutil.copytree(PACKAGE / "guard", lib / "guard", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(PACKAGE / "hooks", lib / "guard/hooks")
        program.parent.mkdir()
        site = Path(pathspec.__file__).parent.parent
        program.write_text(
            f"#!{self.python} -I\nimport sys\nsys.path[:0] = [{str(lib)!r}, {str(site)!r}]\n"
            "from guard.__main__ import main\nmain()\n"
        )
        program.chmod(0o755)
        (self.base / "home").mkdir()
        (self.base / "home/.gitconfig").write_text(IDENTITY)
        Repository.make(self.base / "seed")
        self.clone("shop.git", "--bare", source="seed")

    def clone(self, name: str, *options: str, source: str = "shop.git") -> Repository:
        Repository(self.base).git("clone", "-q", *options, str(self.base / source), str(self.base / name))
        return Repository(self.base / name)

    def run(self, place: Path, script: str, *, account: int = 0, **env: str) -> Done:
        """A script of somebody's, as it would be typed."""
        command = ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups"] if account else []
        return run([*command, "sh", "-c", script], cwd=place, env={**self.environment, **env})

    def in_container(self, script: str, *hidden: str) -> Done:
        """A script in a box that has clone ``one`` at another path, another HOME and host name, and not ``hidden``."""
        (self.base / "workspace").mkdir(exist_ok=True)
        (self.base / "other-home").mkdir(exist_ok=True)
        (self.base / "other-home/.gitconfig").write_text(IDENTITY)
        steps = ["set -e", "hostname box", f"mount --bind {self.base / 'one'} {self.base / 'workspace'}"]
        steps += [f"mount -t tmpfs none {self.base / name}" for name in hidden]
        steps += [f"cd {self.base / 'workspace'}", f"export HOME={self.base / 'other-home'}", f"set +e\n{script}"]
        box = ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", "\n".join(steps)]
        return run(box, cwd=self.base, env=self.environment)


@pytest.fixture
def team() -> Iterator[Team]:
    """alice has reserved src/auth in clone ``one``; clone ``two`` and the worktree ``linked`` are there too."""
    python = readable_python()
    if python is None:
        pytest.skip("only root can play several accounts, and needs a Python that all of them can start")
    try:
        namespace.check()
    except namespace.CannotReplace as error:
        pytest.skip(str(error))
    for place in strangers_directory():
        made = Team(place, python)
        made.build()
        one = made.clone("one")
        assert made.run(one.path, "guard install && GUARD_AGENT=alice guard reserve src/auth").code == 0
        yield made


CHANGE = "echo 2 >src/auth/login.py; GUARD_AGENT=bob git commit -qam m"


def test_another_clone(team: Team) -> None:
    two = team.clone("two")
    for command in "guard list", "guard check src/auth/login.py", "guard reserve a.txt":
        assert "not in force: guard's hooks are not installed" in team.run(two.path, command).text
    assert team.run(two.path, "guard install").code == 0
    done = team.run(two.path, CHANGE)
    assert (done.code, "alice holds /src/auth" in done.text) == (1, True), done.text
    done = team.run(two.path, "GUARD_AGENT=bob git commit -qnam m && GUARD_AGENT=bob git push -q origin HEAD")
    assert (done.code, "push refused" in done.text) == (1, True), done.text


def test_a_linked_worktree(team: Team) -> None:
    done = team.run(team.base / "one", f"git worktree add -q ../linked -b linked && cd ../linked && {{ {CHANGE}; }}")
    assert (done.code, "alice holds /src/auth" in done.text) == (1, True), done.text


@pytest.mark.parametrize("change", [CHANGE, CHANGE.replace("src/auth/login.py", "a.txt")], ids=["held", "free"])
@pytest.mark.parametrize(
    ("hidden", "why"),
    [
        (("lib",), "guard itself is gone from"),
        (("lib", "bin"), "guard itself is gone from"),
        (("home",), "does not exist, or cannot be seen from here; this account's own place would be"),
        (("lib", "bin", "home"), "guard itself is gone from"),
    ],
    ids=["no guard", "no guard at all", "no store", "neither"],
)
def test_a_container(team: Team, change: str, hidden: tuple[str, ...], why: str) -> None:
    """Nothing that was published outside is believed inside, where the host has another name."""
    done = team.in_container(change, *hidden)
    assert done.code == 1, done.text
    assert "cannot tell whether this commit touches a path that somebody has reserved" in done.text
    assert why in done.text
    assert not list((team.base / "other-home").rglob("*.db"))


def test_a_container_that_has_both(team: Team) -> None:
    done = team.in_container(CHANGE)
    assert (done.code, "alice holds /src/auth" in done.text) == (1, True), done.text


def test_a_colleagues_account_in_the_same_checkout(team: Team) -> None:
    """alice's store is private: what cannot be read is not taken for empty."""
    (team.base / "hers").mkdir()
    (team.base / "hers/.gitconfig").write_text(IDENTITY)
    subprocess.run(["chmod", "-R", "a+rwX", str(team.base / "one")], check=True)
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(team.base / "hers")], check=True)
    hers = {"HOME": str(team.base / "hers")}
    (team.base / "home").chmod(0o700)
    done = team.run(team.base / "one", CHANGE, account=NOBODY, **hers)
    assert done.code == 1, done.text
    assert "guard.db cannot be reached: Permission denied" in done.text
    for command in "guard list", "guard reserve a.txt":
        done = team.run(team.base / "one", command, account=NOBODY, **hers)
        assert (done.code, "cannot be reached: Permission denied" in done.text) == (3, True), done.text


@pytest.mark.parametrize("source", ["one", "shop.git"])
def test_a_colleagues_account_in_a_clone_of_her_own(team: Team, source: str) -> None:
    """Two accounts have two stores until they share one: she is told when hers is made, and how to share."""
    (team.base / "hers").mkdir()
    (team.base / "hers/.gitconfig").write_text(IDENTITY)
    team.clone("hers/clone", source=source)
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(team.base / "hers")], check=True)
    hers = {"HOME": str(team.base / "hers")}
    clone = team.base / "hers/clone"
    installed = team.run(clone, "guard install", account=NOBODY, **hers)
    assert "Other accounts of this machine do not see what is reserved there" in installed.text
    if source == "one":  # where guard has noted its store
        assert "reservations are in another store" in installed.text
    shared = team.base / "shared"
    os.makedirs(shared)
    shared.chmod(0o2777)
    share = f"git config guard.db {shared / 'guard.db'} && guard install"
    moved = team.run(
        team.base / "one", f"{share} && GUARD_AGENT=alice guard reserve src/auth && chmod 666 {shared}/*.db"
    )
    assert moved.code == 0, moved.text
    assert team.run(clone, share, account=NOBODY, **hers).code == 0
    done = team.run(clone, CHANGE, account=NOBODY, **hers)
    assert (done.code, "alice holds /src/auth" in done.text) == (1, True), done.text
