"""Builds the distribution once, from the tree, for the tests of it; they run with ``--package``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import for_packages
from tests.support.repositories import PACKAGE

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--package"):
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="builds and installs the distribution: run with --package"))


def run_client(*command: str | Path, cwd: Path = PACKAGE) -> str:
    """Runs a client of package registries, or a tool for packages; fails the test when it fails."""
    done = subprocess.run(command, cwd=cwd, env=for_packages(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist made from the tree, and the wheel made from that sdist."""
    directory = tmp_path_factory.mktemp("dist")
    run_client(sys.executable, "-m", "build", "--outdir", directory, PACKAGE)
    return directory


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    (found,) = built.glob("*.tar.gz")
    return found
