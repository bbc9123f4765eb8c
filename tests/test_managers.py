"""husky, lefthook, pre-commit and prek, really installed from their registries, and guard beside them, in both orders.

They are installed once, into a directory of the system's temporary one, and found there again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import environment
from tests.support.foreign_hooks import (
    CONFIGURED,
    EVENTS,
    NEWER_GIT,
    assert_commit_refused,
    assert_in_force,
    assert_not_in_force,
    assert_refused,
    codes,
    hook,
    picture,
    ran,
    release,
    reserve,
    status,
    to_add,
    with_git,
)
from tests.support.repositories import PACKAGE, Repository, run

NPM = ("husky@9", "lefthook@2")
PYPI = ("pre-commit>=4", "prek>=0.2")
CACHE = Path(tempfile.gettempdir(), f"guard-tests-managers-{os.getuid()}")

old_git = pytest.mark.skipif(CONFIGURED, reason="this git runs configured hooks: no line has to be added")
newer_git = pytest.mark.skipif(
    not (NEWER_GIT or CONFIGURED),
    reason="git 2.54 or later comes in no package registry for these tests; NEWER_GIT names the directory of one",
)


@contextmanager
def _cached(name: str) -> Iterator[Path]:
    """A directory that is made once; other processes wait until it is."""
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield CACHE / name


def _made(directory: Path, *commands: list[str]) -> None:
    """Makes a cached directory with some commands, or skips the test and says why."""
    if (directory / "complete").exists():
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for command in commands:
        try:
            done = subprocess.run(
                command, cwd=directory, env=environment.for_packages(), capture_output=True, text=True, timeout=300
            )
        except FileNotFoundError:
            pytest.skip(f"{command[0]} is not installed")
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            pytest.skip(f"its registry could not be reached: {' '.join(command[:3])} … said {last}")
    (directory / "complete").touch()


@pytest.fixture(scope="session")
def npm() -> Path:
    """Where npm has installed husky and lefthook: the directory of their commands."""
    with _cached("npm") as directory:
        _made(directory, ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", ".", *NPM])
    return directory / "node_modules" / ".bin"


@pytest.fixture(scope="session")
def pypi() -> Path:
    """Where pip has installed pre-commit and prek: the directory of their commands."""
    with _cached("pypi") as directory:
        venv = [sys.executable, "-m", "venv", "venv"]
        _made(directory, venv, ["venv/bin/python", "-m", "pip", "install", "-q", *PYPI])
    return directory / "venv" / "bin"


# husky


def _with_husky(tmp: Path, npm: Path) -> Repository:
    made = Repository.make(tmp / "repo", files={"a.txt": "a\n", "src/auth/login.py": "login\n", "package.json": "{}\n"})
    _husky(made, npm)
    hook(made.path / ".husky" / "pre-commit", 'echo theirs >>"$HOME/ran"\n', mode=0o644)
    made.git("add", "-A")
    made.git("commit", "-q", "-n", "-m", "husky")
    return made


def _husky(made: Repository, npm: Path) -> None:
    done = run([str(npm / "husky")], cwd=made.path)
    assert done.code == 0, done.text
    assert made.git("config", "core.hooksPath").out == b".husky/_\n"


def _add_husky_lines(made: Repository) -> None:
    lines = to_add(made.guard("install", "--json", expect=1))
    assert set(lines) == set(EVENTS)
    for event, line in lines.items():
        file = made.path / ".husky" / event
        old = file.read_text() if file.exists() else ""
        file.write_text(f"{line}\n{old}" if event == "pre-push" else f"{old}{line}\n")
    made.git("add", "-A")
    made.git("commit", "-q", "-n", "-m", "guard")


@old_git
def test_husky_first_then_guard(tmp_path: Path, npm: Path) -> None:
    made = _with_husky(tmp_path, npm)
    before = picture(made.path / ".husky", made.path / ".git" / "hooks")
    said = made.guard("install", expect=1).text
    assert "husky owns" in said
    assert str(made.path / ".husky" / "pre-commit") in said
    assert picture(made.path / ".husky", made.path / ".git" / "hooks") == before
    assert codes(made) == {"line-missing"}

    _add_husky_lines(made)
    made.guard("install")
    assert status(made)["problems"] == []
    assert "pre-push (through husky)" in made.guard("status").text
    assert_in_force(made)
    assert "theirs" in ran()
    _husky(made, npm)  # as "npm install" does
    assert codes(made) == set()

    lines = picture(made.path / ".husky")
    assert "still has a line that runs guard" in made.guard("uninstall").text
    assert picture(made.path / ".husky") == lines
    assert_not_in_force(made)


@old_git
def test_guard_first_then_husky(tmp_path: Path, npm: Path) -> None:
    made = Repository.make(tmp_path / "repo")
    made.guard("install")
    _husky(made, npm)
    assert codes(made) == {"hooks-path-moved"}
    assert_not_in_force(made)
    _add_husky_lines(made)
    made.guard("install")
    assert_in_force(made)
    made.guard("uninstall")
    assert not [path for path in (made.path / ".git" / "hooks").iterdir() if path.suffix != ".sample"]


@old_git
def test_without_husky_the_lines_run_nothing_and_that_is_named(tmp_path: Path, npm: Path) -> None:
    made = _with_husky(tmp_path, npm)
    _add_husky_lines(made)
    made.git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    clone.git("config", "core.hooksPath", ".husky/_")  # and no npm install
    clone.guard("install", expect=1)
    assert codes(clone) == {"manager-not-installed"}
    _husky(clone, npm)
    assert clone.commit("a.txt", "1\n").text.count("guard") == 0
    clone.guard("install")
    assert_in_force(clone)


def test_in_a_clone_without_guard_the_lines_pass(tmp_path: Path, npm: Path) -> None:
    if CONFIGURED:
        pytest.skip("this git runs configured hooks: no line has to be added")
    made = _with_husky(tmp_path, npm)
    _add_husky_lines(made)
    made.git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    _husky(clone, npm)
    assert clone.commit("a.txt", "1\n").text == ""
    clone.git("push", "-q", "origin", "HEAD:refs/heads/new")


# lefthook

LEFTHOOK = """\
pre-commit:
  jobs:
    - name: theirs
      run: echo theirs >>"$HOME/ran"
"""


def _with_lefthook(tmp: Path, npm: Path) -> Repository:
    made = Repository.make(tmp / "repo")
    made.commit("lefthook.yml", LEFTHOOK)
    _lefthook(made, npm)
    return made


def _lefthook(made: Repository, npm: Path) -> None:
    done = run([str(npm / "lefthook"), "install"], cwd=made.path)
    assert done.code == 0, done.text


def _add_lefthook_jobs(made: Repository, npm: Path) -> None:
    done = made.guard("install", "--json", expect=1)
    jobs = to_add(done)["lefthook.yml"]
    before, _, rest = jobs.partition("pre-merge-commit:")
    guards = before.partition("  jobs:\n")[2]
    made.commit("lefthook.yml", f"{LEFTHOOK}{guards}pre-merge-commit:{rest}\n")
    _lefthook(made, npm)


@old_git
def test_lefthook_first_then_guard(tmp_path: Path, npm: Path) -> None:
    made = _with_lefthook(tmp_path, npm)
    before = picture(made.git_dir / "hooks")
    assert "lefthook manages the hooks here" in made.guard("install", expect=1).text
    assert picture(made.git_dir / "hooks") == before

    _add_lefthook_jobs(made, npm)
    made.guard("install")
    assert status(made)["problems"] == []
    assert "pre-push (through lefthook)" in made.guard("status").text
    assert_in_force(made)
    assert "theirs" in ran()
    remote = tmp_path / "it's a $remote; really"
    made.git("clone", "-q", "--bare", ".", str(remote))
    made.git("push", "-q", str(remote), "HEAD:refs/heads/odd", env={"GUARD_AGENT": "bob"})
    made.commit("lefthook.yml", (made.path / "lefthook.yml").read_text() + "\n# changed\n")  # and it synchronizes
    assert_in_force(made)
    made.guard("uninstall")
    assert_not_in_force(made)


@old_git
def test_guard_first_then_lefthook(tmp_path: Path, npm: Path) -> None:
    made = Repository.make(tmp_path / "repo")
    foreign = hook(made.git_dir / "hooks" / "pre-commit")
    was = picture(foreign)
    made.guard("install")
    made.commit("lefthook.yml", LEFTHOOK, who="bob")
    _lefthook(made, npm)
    assert (made.git_dir / "hooks" / "pre-commit.old").exists()
    assert codes(made) == {"moved-aside"}
    assert_not_in_force(made)

    _add_lefthook_jobs(made, npm)
    made.guard("install")
    assert codes(made) == set()
    assert_in_force(made)
    assert list(picture(made.git_dir / "hooks" / "pre-commit.old").values()) == list(was.values())
    made.guard("uninstall")
    assert_not_in_force(made)


@old_git
@pytest.mark.parametrize("name", [".lefthook.toml", "lefthook-local.yml", ".config/lefthook.json"])
def test_lefthook_is_seen_before_it_is_installed(name: str, tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "repo", files={"a.txt": "a\n", name: ""})
    said = made.guard("install", "--json", expect=1)
    assert name.rpartition("/")[2] in to_add(said)
    assert not [path for path in (made.git_dir / "hooks").iterdir() if path.suffix != ".sample"]


# pre-commit and prek

CONFIG = """\
default_install_hook_types: [pre-commit, pre-merge-commit, pre-push]
repos:
- repo: local
  hooks:
  - id: theirs
    name: theirs
    language: system
    entry: sh -c 'echo theirs >>"$HOME/ran"'
    always_run: true
    pass_filenames: false
"""
FRAMEWORKS = ("pre-commit", "prek")
frameworks = pytest.mark.parametrize("framework", FRAMEWORKS)


def _with_config(tmp: Path) -> Repository:
    made = Repository.make(tmp / "repo")
    made.commit(".pre-commit-config.yaml", CONFIG)
    return made


def _framework(made: Repository, command: Path, *arguments: str) -> str:
    """Runs pre-commit or prek with a cache that outlives the test."""
    done = run([str(command), *arguments], cwd=made.path)
    assert done.code == 0, done.text
    return done.text


@pytest.fixture(autouse=True)
def framework_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRE_COMMIT_HOME", str(CACHE / "pre-commit"))
    monkeypatch.setenv("PREK_HOME", str(CACHE / "prek"))


def _theirs(made: Repository) -> int:
    """How often pre-commit's hook runs on one commit."""
    before = len(ran())
    made.git("commit", "-q", "--allow-empty", "-m", "x", env={"GUARD_AGENT": "bob"})
    return ran()[before:].count("theirs")


@frameworks
def test_the_framework_first_then_guard(framework: str, tmp_path: Path, pypi: Path) -> None:
    made = _with_config(tmp_path)
    _framework(made, pypi / framework, "install")
    tops = (made.git_dir / "hooks", made.git_dir / "config")
    before = picture(*tops)
    made.guard("install")
    assert codes(made) == set()
    assert _theirs(made) == 1
    assert_in_force(made)
    made.guard("install")
    assert _theirs(made) == 1
    made.guard("uninstall")
    assert picture(*tops) == before
    assert _theirs(made) == 1


@frameworks
def test_guard_first_then_the_framework(framework: str, tmp_path: Path, pypi: Path) -> None:
    made = _with_config(tmp_path)
    foreign = hook(made.git_dir / "hooks" / "pre-commit")
    was = list(picture(foreign).values())
    made.guard("install")
    _framework(made, pypi / framework, "install")
    _framework(made, pypi / framework, "install")
    hooks = picture(made.git_dir / "hooks")
    assert codes(made) == set()
    assert "pre-commit (run by the manager that moved it aside)" in made.guard("status").text
    assert _theirs(made) == 1
    assert ran().count("pre-commit ran") == 1
    assert_in_force(made)
    made.guard("install")
    assert picture(made.git_dir / "hooks") == hooks

    made.guard("uninstall")  # what the framework would have made of the foreign hook without guard
    assert _theirs(made) == 1
    assert list(picture(made.git_dir / "hooks" / "pre-commit.legacy").values()) == was
    _framework(made, pypi / framework, "uninstall")
    assert list(picture(foreign).values()) == was


@frameworks
def test_the_framework_goes_again_and_guard_is_back_on_top(framework: str, tmp_path: Path, pypi: Path) -> None:
    made = _with_config(tmp_path)
    made.guard("install")
    before = picture(made.git_dir / "hooks")
    types = [word for event in EVENTS for word in ("-t", event)]
    _framework(made, pypi / framework, "install", *types)
    _framework(made, pypi / framework, "uninstall", *types)
    assert picture(made.git_dir / "hooks") == before
    assert_in_force(made)


@frameworks
def test_a_hook_the_framework_would_destroy_survives(framework: str, tmp_path: Path, pypi: Path) -> None:
    """It keeps one hook, as NAME.legacy, and overwrites that with guard's when it is installed again."""
    made = _with_config(tmp_path)
    legacy = made.git_dir / "hooks" / "pre-commit.legacy"
    foreign = hook(made.git_dir / "hooks" / "pre-commit")
    _framework(made, pypi / framework, "install")
    was = picture(made.git_dir / "hooks")
    assert foreign.exists() and legacy.exists()
    made.guard("install")
    made.guard("uninstall")
    assert picture(made.git_dir / "hooks") == was

    made.guard("install")
    _framework(made, pypi / framework, "install")
    assert b"guard hook" in legacy.read_bytes()
    assert codes(made) == set()
    assert _theirs(made) == 1
    assert ran().count("pre-commit ran") == 1
    assert_in_force(made)
    made.guard("install")
    made.guard("uninstall")
    assert {name: about[-1] for name, about in picture(made.git_dir / "hooks").items()} == {
        name: about[-1] for name, about in was.items()
    }
    assert picture(legacy) == {name: about for name, about in was.items() if name == str(legacy)}


@frameworks
def test_overwritten_by_force_and_installed_again(framework: str, tmp_path: Path, pypi: Path) -> None:
    made = _with_config(tmp_path)
    made.guard("install")
    _framework(made, pypi / framework, "install", "-f")
    assert codes(made) == {"overwritten"}
    assert_not_in_force(made)
    made.guard("install")
    assert codes(made) == set()
    assert _theirs(made) == 1
    assert_in_force(made)


def test_one_framework_after_the_other_around_guard(tmp_path: Path, pypi: Path) -> None:
    """Changing from one to the other takes their -f: without guard they block every commit otherwise."""
    made = _with_config(tmp_path)
    for framework in (*FRAMEWORKS, *FRAMEWORKS):
        _framework(made, pypi / framework, "install", "-f")
        made.guard("install")
        assert codes(made) == set()
        assert _theirs(made) == 1
        _framework(made, pypi / framework, "install")
        assert codes(made) == set()
        assert _theirs(made) == 1
    assert_in_force(made)


def test_the_other_framework_over_guard(tmp_path: Path, pypi: Path) -> None:
    made = _with_config(tmp_path)
    _framework(made, pypi / "pre-commit", "install")
    made.guard("install")
    _framework(made, pypi / "prek", "install")
    assert codes(made) == set()
    assert _theirs(made) == 1
    assert_in_force(made)


# .pre-commit-hooks.yaml


@pytest.fixture(scope="session")
def sources() -> Path:
    """A repository of guard's sources, as a .pre-commit-config.yaml names it; the same sources, the same commit."""
    names = ("guard", "hooks", "pyproject.toml", "LICENSE", ".pre-commit-hooks.yaml")
    paths = [path for name in names for path in (PACKAGE / name, *sorted((PACKAGE / name).rglob("*")))]
    files = [path for path in paths if path.is_file() and "__pycache__" not in path.parts]
    digest = hashlib.sha256(b"\0".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()
    with _cached("sources") as directory:
        made_of = directory.with_suffix(".digest")
        if not made_of.exists() or made_of.read_text() != digest:
            for old in (directory, *(CACHE / f"own-{framework}" for framework in FRAMEWORKS)):
                shutil.rmtree(old, ignore_errors=True)
            for file in files:
                target = directory / file.relative_to(PACKAGE)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
            (directory / "README.md").write_text("guard\n")
            env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
            who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
            for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "sources"], ["tag", "v1"]):
                subprocess.run(["git", *command], cwd=directory, env=env, check=True)
            made_of.write_text(digest)
    return directory


@pytest.mark.parametrize("framework", ["pre-commit", pytest.param("prek", marks=pytest.mark.long)])
def test_the_frameworks_own_way_of_running_guard(
    framework: str, tmp_path: Path, pypi: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = CACHE / f"own-{framework}"
    for variable in ("PRE_COMMIT_HOME", "PREK_HOME"):
        monkeypatch.setenv(variable, str(cache))
    made = Repository.make(tmp_path / "repo")
    (tmp_path / "remote.git").mkdir()
    Repository(tmp_path / "remote.git").git("init", "-q", "--bare")
    made.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    made.commit(
        ".pre-commit-config.yaml",
        f"default_install_hook_types: {json.dumps(EVENTS)}\nrepos:\n- repo: {sources}\n  rev: v1\n"
        "  hooks:\n  - id: guard\n  - id: guard-merge\n  - id: guard-push\n",
    )
    _framework(made, pypi / framework, "install")
    with _cached("environments"):
        done = subprocess.run(
            [pypi / framework, "install-hooks" if framework == "pre-commit" else "prepare-hooks"],
            cwd=made.path,
            env=environment.for_packages(),
            capture_output=True,
            text=True,
        )
    if done.returncode:
        pytest.skip(f"guard's dependencies could not be had from the registry: …{(done.stdout + done.stderr)[-300:]}")
    made.git("push", "-q", "origin", "main")  # a root commit: nothing is told but the branch
    project = str(tmp_path / "remote")
    made.git("config", "guard.project", project)
    assert "through pre-commit's configuration" in made.guard("status").text
    assert codes(made) == set()
    assert_in_force(made)

    reserve(made)
    made.git("checkout", "-q", "-b", "new")
    made.write("src/auth/login.py", "1\n")
    made.git("commit", "-q", "-n", "-a", "-m", "past it")
    assert_refused(made.git("push", "-q", "origin", "new", env={"GUARD_AGENT": "bob"}, expect=None))
    made.git("push", "-q", "origin", "new", env={"GUARD_AGENT": "alice"})

    release(made)
    installed = next(cache.rglob("bin/guard"))  # guard as a wheel brings it
    again = run([str(installed), "install"], cwd=made.path)
    assert again.code == 0, again.text
    assert run([str(installed), "status", "--check"], cwd=made.path).code == 0
    assert_commit_refused(made)


# git that runs configured hooks


@newer_git
@pytest.mark.parametrize("manager", ["husky", "lefthook"])
def test_where_a_manager_owns_the_hooks_git_is_configured(manager: str, tmp_path: Path, npm: Path) -> None:
    env = with_git(NEWER_GIT)
    made = (_with_husky if manager == "husky" else _with_lefthook)(tmp_path, npm)
    tops = (made.path / ".husky", made.git_dir / "hooks")
    before = picture(*tops)
    config = (made.git_dir / "config").read_bytes()
    made.guard("install", env=env)
    assert picture(*tops) == before
    assert codes(made, env=env) == set()
    assert_in_force(made, env=env)
    assert "theirs" in ran()
    if manager == "husky":
        _husky(made, npm)
    else:
        made.commit("lefthook.yml", LEFTHOOK + "# changed\n", who="bob")
        _lefthook(made, npm)
    assert_in_force(made, env=env)
    made.guard("uninstall", env=env)
    assert (made.git_dir / "config").read_bytes() == config


@newer_git
def test_guard_first_then_lefthook_where_git_is_configured(tmp_path: Path, npm: Path) -> None:
    env = with_git(NEWER_GIT)
    made = Repository.make(tmp_path / "repo")
    hook(made.git_dir / "hooks" / "pre-commit")
    made.guard("install", env=env)
    made.commit("lefthook.yml", LEFTHOOK, who="bob")
    _lefthook(made, npm)
    assert codes(made, env=env) == {"moved-aside"}
    made.guard("install", env=env)
    assert codes(made, env=env) == set()
    assert_in_force(made, env=env)
    assert b"pre-commit ran" not in (made.git_dir / "hooks" / "pre-commit").read_bytes()
    made.guard("uninstall", env=env)
