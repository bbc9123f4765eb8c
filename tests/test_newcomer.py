"""guard in directories of any name, and started from environments that have almost nothing in them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.repositories import Repository, run

NAMES = [b"my shop", b"a\nb", b"caf\xe9 \xff", b"-x'\"$(touch x)", b"a;b", b"*[x]?", b"\xc3\xbcn\xc3\xaf", b"#c %s\\n"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_repository_of_any_name(name: bytes, tmp_path: Path) -> None:
    made = Repository.make(tmp_path / os.fsdecode(name))
    said = made.guard("install", expect=0).text
    made.guard("reserve", "src/auth", who="alice", expect=0)
    assert "alice holds /src/auth" in made.commit("src/auth/login.py", "theirs\n", who="bob", expect=1).text
    made.git("reset", "-q", "--hard")
    assert made.commit("a.txt", "mine\n", who="bob").err == b""
    made.guard("status", "--check", expect=0)
    listed = "in place" in made.guard("install", "--all", expect=0).text
    assert listed is not ("the list of repositories for --all was not changed" in said)
    assert listed is (b"\n" not in name)
    made.guard("uninstall", expect=0)
    assert not [hook for hook in os.listdir(made.path / ".git/hooks") if not hook.endswith(".sample")]
    assert not (made.path / ".git/guard").exists()


SYSTEM_PATH = os.path.dirname(shutil.which("git") or "/usr/bin/git") + ":/usr/bin:/bin"
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "an editor's": {"HOME": "{home}", "PATH": SYSTEM_PATH, "USER": "somebody", "DISPLAY": ":0"},
    "no USER and no locale": {"HOME": "{home}", "PATH": SYSTEM_PATH},
    "no HOME": {"PATH": SYSTEM_PATH, "USER": "somebody"},
    "an empty HOME": {"HOME": "", "PATH": SYSTEM_PATH},
    "a HOME that is not there": {"HOME": "/nowhere/home", "PATH": SYSTEM_PATH},
    "a service's": {"PATH": SYSTEM_PATH},
    "a locale that is not there": {"HOME": "{home}", "PATH": SYSTEM_PATH, "LC_ALL": "xx_XX.UTF-8", "LANG": "xx"},
    "no temporary directory": {"HOME": "{home}", "PATH": SYSTEM_PATH, "TMPDIR": "/nowhere"},
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_with_little_in_it(environment: str, repository: Repository, hermetic: Path) -> None:
    """Who commits is set in the repository, for there is no other place where git would find it."""
    repository.guard("reserve", "src/auth", who="alice", expect=0)
    for key, value in {"user.name": "Bob", "user.email": "bob@example.com", "guard.agent": "bob"}.items():
        repository.git("config", key, value)
    given = [f"{name}={value.format(home=hermetic)}" for name, value in ENVIRONMENTS[environment].items()]
    commit = ["env", "-i", *given, "git", "commit", "-q", "-m", "change"]
    for name, code, said in (("src/auth/login.py", 1, "alice holds /src/auth"), ("a.txt", 0, "")):
        repository.git("reset", "-q", "--hard")
        repository.write(name, "changed\n")
        repository.git("add", "-A")
        done = run(commit, cwd=repository.path)
        assert done.code == code, done.text
        assert said in done.text
        assert "Traceback" not in done.text
        assert code or done.err == b""
