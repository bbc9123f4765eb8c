"""The official inspector's command line lists and calls the tools of ``guard mcp``, and finds no fault in the schemas.

npm brings the inspector, and the node that it needs, into a directory that is kept between runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from guard.mcp.tools import TOOLS
from tests.support import environment
from tests.support.mcp_client import CLAUDE
from tests.support.mcp_client import environment as environment_of
from tests.support.repositories import GUARD, Repository

PACKAGES = ("@modelcontextprotocol/inspector@2.12.0", "node@22.23.3")
CACHE = Path(tempfile.gettempdir(), f"guard-tests-inspector-{os.getuid()}")


@pytest.fixture(scope="module")
def programs() -> Path:
    """The directory of the inspector's command and of its node."""
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = CACHE / "-".join(package.rpartition("@")[2] for package in PACKAGES)
        if not (place / "complete").exists():
            if shutil.which("npm") is None:
                pytest.skip("npm is not installed")
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", ".", *PACKAGES]
            env = environment.for_packages()
            done = subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, timeout=900, check=False)
            if done.returncode:
                pytest.skip(
                    f"its registry could not be reached: npm install said {(done.stderr or done.stdout)[-300:]}"
                )
            (place / "complete").touch()
    return place / "node_modules/.bin"


def inspected(programs: Path, repository: Repository, *words: str) -> tuple[int, Any, str]:
    """What the inspector's command line answers: its exit code, its JSON, and what it says beside."""
    env = environment_of(CLAUDE) | {"PATH": f"{programs}:{os.environ['PATH']}"}
    command = [str(programs / "mcp-inspector"), "--cli", *words, "--", *GUARD, "mcp"]
    done = subprocess.run(
        command, cwd=repository.path, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    try:
        answer = json.JSONDecoder().raw_decode(done.stdout)[0]
    except ValueError:
        answer = None
    return done.returncode, answer, done.stdout + done.stderr


def test_it_lists_the_tools_and_finds_no_fault_in_their_schemas(programs: Path, repository: Repository) -> None:
    code, answer, said = inspected(programs, repository, "--method", "tools/list", "--strict")
    assert code == 0 and "Issue:" not in said, said
    assert [tool["name"] for tool in answer["tools"]] == list(TOOLS)


def test_it_calls_them(programs: Path, repository: Repository) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    call = ("--method", "tools/call", "--tool-name")
    code, answer, said = inspected(programs, repository, *call, "guard_check", "--tool-arg", 'paths=["src", "a.txt"]')
    assert code == 0 and answer["structuredContent"]["verdict"] == "reserved", said
    code, answer, said = inspected(programs, repository, *call, "guard_reserve", "--tool-arg", 'patterns=["a.txt"]')
    assert code == 0 and answer["structuredContent"]["granted"][0]["pattern"] == "/a.txt", said
