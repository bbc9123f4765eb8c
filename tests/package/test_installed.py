"""guard as pip installs it from the wheel: in an environment that has nothing else, away from the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from guard import __version__
from guard.commands.helping import pages
from tests.package.conftest import run_client
from tests.support.repositories import PACKAGE, Done, Repository, run

README = PACKAGE / "README.md"


def _lowest_versions() -> list[str]:
    """Each dependency in the lowest version that pyproject.toml admits."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.sub(r">=([0-9.]+).*", r"==\1", each) for each in project["dependencies"]]


@pytest.fixture(scope="module", params=["newest", "lowest"])
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the programs of an environment with the wheel, and newest or lowest dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    run_client(sys.executable, "-m", "venv", environment)
    extra = _lowest_versions() if request.param == "lowest" else []
    run_client(environment / "bin" / "pip", "install", "-q", wheel, *extra)
    return environment / "bin"


@pytest.fixture
def on_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the installed programs on PATH, as an activated environment or pipx does."""
    monkeypatch.setenv("PATH", os.pathsep.join((str(installed), os.environ["PATH"])))
    return installed


def _guard(here: Path, *words: str, who: str = "bob") -> Done:
    return run(("guard", *words), cwd=here, env={"GUARD_AGENT": who})


def test_the_programs_are_of_this_version(on_path: Path, tmp_path: Path) -> None:
    assert _guard(tmp_path, "--version").out.decode().strip() == f"guard, version {__version__}"
    assert run(("git", "guard", "--version"), cwd=tmp_path).out.decode().strip() == f"guard, version {__version__}"


def test_install_reserve_and_a_refused_commit(on_path: Path, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    assert _guard(repository.path, "install").code == 0
    assert _guard(repository.path, "status", "--check").code == 0
    assert _guard(repository.path, "reserve", "src", "--reason", "new login", who="alice").code == 0
    refused = repository.commit("src/b.py", who="bob", expect=1)
    assert "reserved by alice" in refused.text and "new login" in refused.text
    allowed = repository.git("commit", "-q", "-m", "mine", "--allow-empty", "--", "a.txt", who="bob")
    assert not allowed.text
    assert repository.git("commit", "-q", "-m", "hers", who="alice").code == 0


def test_the_demo_plays(on_path: Path, tmp_path: Path) -> None:
    done = _guard(tmp_path, "demo")
    assert done.code == 0, done.text
    assert "commit refused" in done.text


def test_the_demo_of_the_readme_plays_from_a_checkout(tmp_path: Path) -> None:
    (command,) = re.findall(r"^python3 -m venv .* && .venv/bin/guard demo$", README.read_text("utf-8"), re.MULTILINE)
    checkout = tmp_path / "checkout"
    shutil.copytree(PACKAGE, checkout, ignore=shutil.ignore_patterns(".venv*", ".git", "*_cache", "__pycache__"))
    assert "commit refused" in run_client("sh", "-e", "-c", command, cwd=checkout)


def test_every_page_is_shown(on_path: Path, tmp_path: Path) -> None:
    for topic in pages():
        assert _guard(tmp_path, "help", topic).out


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man")
@pytest.mark.parametrize("words", [("guard", "--help"), ("help", "guard")], ids=" ".join)
def test_git_shows_the_man_page(on_path: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(("git", *words), cwd=tmp_path, env={"MANPAGER": "cat", "GIT_PAGER": "cat"})
    assert done.code == 0, done.text
    assert "guard reserve" in done.out.decode()


def test_typed_programs_can_import_it(on_path: Path, tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text("from guard.model import EXIT_DONE\n\ncode: int = EXIT_DONE\n")
    python = str(on_path / "python")
    # mypy is that of the tests; it looks into the environment of the installed wheel
    done = subprocess.run(
        (sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "uses.py"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
