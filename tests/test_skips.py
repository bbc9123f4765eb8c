"""A skip for want of a program fails a run in CI, and only there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import rows
from tests.support.repositories import PACKAGE, run
from tests.support.skips import MEANT, wanting

MISSING = ("strace is not installed", "npm: its registry could not be reached", "takes root", "needs chromium", "")


def test_which_reasons_are_faults_of_the_machine() -> None:
    assert wanting([*MEANT, *MISSING]) == sorted(MISSING)


@pytest.mark.parametrize(
    ("reason", "ci", "code"),
    [
        ("strace is not installed", "true", 1),
        ("strace is not installed", "", 0),
        ("does not apply: the test is about root", "true", 0),
        ("this git knows no reftable", "true", 0),
    ],
)
@pytest.mark.parametrize("workers", rows.some(["0", "2"], {"0"}))
def test_a_run(reason: str, ci: str, code: int, workers: str, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.support.skips import pytest_sessionfinish\n")
    (tmp_path / "test_it.py").write_text(
        f"import pytest\ndef test_one(): pass\ndef test_two(): pytest.skip({reason!r})\n"
        f"@pytest.mark.xfail\ndef test_three(): assert False\n"
    )
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n",
        workers,
        "--rootdir",
        str(tmp_path),
    )
    done = run([*command, str(tmp_path)], cwd=tmp_path, env={"CI": ci, "PYTHONPATH": str(PACKAGE)})
    assert done.code == code, done.text
    assert ("skipped in CI" in done.text) is bool(code)
    if code:
        assert reason in done.text.partition("skipped in CI")[2]
