"""A pattern for what is in a directory also means a submodule in its place, whenever the submodule came there."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.union.contents import lines_of
from tests.support.event_cases import blamed, no_python, settle
from tests.support.repositories import Repository

COVER = ["lib/**", "lib/", "lib/*", "lib", "**/lib/**", "l?b/**", "vendor/*/**"]
DO_NOT = ["lib/*.py", "lib/a/**", "library/**", "lib/.[a-f]*"]

PLACE = {"vendor/*/**": "vendor/deep"}


def pointer(repository: Repository, path: str, commit: str) -> None:
    """Stages a submodule's pointer, as ``git submodule add`` and ``git add`` do."""
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")


@pytest.mark.parametrize("pattern", COVER)
@pytest.mark.parametrize("event", ["commit", "push"])
def test_one_that_is_added_after_the_reservation_is_covered(
    repository: Repository, tmp_path: Path, pattern: str, event: str
) -> None:
    path = PLACE.get(pattern, "lib")
    repository.guard("reserve", pattern, who="alice")
    settle(repository)
    pointer(repository, path, repository.head())
    if event == "commit":
        done = repository.git("commit", "-qm", "m", who="bob", expect=1)
    else:
        repository.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
        repository.git("commit", "-qnm", "m")
        done = repository.git("push", "-q", str(tmp_path / "remote.git"), "HEAD:refs/heads/new", who="bob", expect=1)
    assert blamed(done) == [path], done.text


@pytest.mark.parametrize("change", ["moved", "removed", "replaced by a file"])
def test_every_change_of_one_is_covered(repository: Repository, change: str) -> None:
    first = repository.head()
    pointer(repository, "lib", first)
    repository.git("commit", "-qm", "m")
    repository.guard("reserve", "lib/*", who="alice")
    if change == "moved":
        pointer(repository, "lib", repository.head())
    elif change == "removed":
        repository.git("rm", "-q", "--cached", "lib")
    else:
        blob = repository.git("rev-parse", "HEAD:a.txt").out.decode().strip()
        repository.git("update-index", "--cacheinfo", f"100644,{blob},lib")
    assert blamed(repository.git("commit", "-qm", "m", who="bob", expect=1)) == ["lib"]


@pytest.mark.parametrize("pattern", DO_NOT)
def test_a_pattern_for_some_of_a_directory_does_not_cover_it(repository: Repository, pattern: str) -> None:
    repository.guard("reserve", pattern, who="alice")
    pointer(repository, "lib", repository.head())
    assert "guard:" not in repository.git("commit", "-qm", "m", who="bob").text


def test_a_file_in_the_place_of_the_directory_is_free(repository: Repository) -> None:
    """Nothing is below it, so it is none of what the pattern means; that costs a look by Python."""
    repository.guard("reserve", "lib/**", who="alice")
    repository.write("lib", "a file\n")
    repository.git("add", "lib")
    assert "guard:" not in repository.git("commit", "-qm", "m", who="bob").text


def test_what_is_beside_stays_quick(repository: Repository) -> None:
    repository.guard("reserve", "lib/**", who="alice")
    settle(repository)
    with no_python(repository):
        repository.commit("library.txt", who="bob")


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        (b"/a/**", (b"/a/**", b"/a")),
        (b"/a/*", (b"/a/*", b"/a")),
        (b"/a/", (b"/a/", b"/a")),
        (b"a/", (b"a/", b"a")),
        (b"/a", (b"/a",)),
        (b"/a/*.py", (b"/a/*.py",)),
        (b"**", (b"**",)),
        (b"/**", (b"/**",)),
        (b"/*", (b"/*",)),
        (b"*/", (b"*/",)),
    ],
)
def test_the_lines_of_a_pattern(pattern: bytes, lines: tuple[bytes, ...]) -> None:
    assert lines_of(pattern) == lines
