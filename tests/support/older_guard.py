"""guard as it was in its first version, taken from the history of this checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.repositories import PACKAGE

FIRST_VERSION = "d885f4f"
"""The last commit whose guard knew version 1 of the store and of the hook only."""


def old_guard(tmp_path: Path) -> Path:
    """The first version's own code, taken from the history of this checkout."""
    made = tmp_path / "old"
    made.mkdir()
    archive = subprocess.run(
        ["git", "-C", str(PACKAGE), "archive", FIRST_VERSION, "guard", "hooks"], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip("this checkout has no history with the first version's code")
    subprocess.run(["tar", "-x", "-C", str(made)], input=archive.stdout, check=True)
    return made
