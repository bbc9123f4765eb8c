"""What the wheel and the sdist carry, compared with the tree that they were made from."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from guard import __version__
from tests.package.conftest import run_client
from tests.support.repositories import PACKAGE

MAN_PAGE = f"git_guard-{__version__}.data/data/share/man/man1/git-guard.1"
METADATA = {
    f"git_guard-{__version__}.dist-info/{name}"
    for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
}


def test_the_metadata_and_the_readme_pass_the_checks_of_the_registry(built: Path) -> None:
    run_client(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir())


def test_the_wheel_holds_the_package_its_hooks_and_the_man_page_and_nothing_else(wheel: Path) -> None:
    package = {name for name in _tracked() if name.startswith("guard/")}
    hooks = {f"guard/{name}" for name in _tracked() if name.startswith("hooks/")}
    assert set(zipfile.ZipFile(wheel).namelist()) == package | hooks | {MAN_PAGE} | METADATA


def test_the_wheel_holds_what_is_no_python(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("guard/py.typed", "guard/hooks/guard", "guard/hooks/agent", "guard/hooks/line", MAN_PAGE):
        assert name in names
    for folder, ending in (("guard/stores/", ".sql"), ("guard/help/", ".md")):
        files = {str(file.relative_to(PACKAGE)) for file in (PACKAGE / folder).rglob(f"*{ending}")}
        assert files and files <= set(names)


def test_every_file_in_the_wheel_is_the_one_of_the_tree(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    for name in set(archive.namelist()) - METADATA:
        source = "guard/help/git-guard.1" if name == MAN_PAGE else name.replace("guard/hooks/", "hooks/")
        assert archive.read(name) == (PACKAGE / source).read_bytes(), name


def test_the_sdist_holds_all_that_is_tracked(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert names == set(_tracked()) | {"PKG-INFO"}


def _tracked() -> list[str]:
    done = subprocess.run(("git", "ls-files", "-z"), cwd=PACKAGE, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name]
