"""Completion in real shells: guard's words are added, and file completion stays."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repositories import GUARD, PACKAGE, Repository

CASES = [
    (["guard", "rel"], {"release"}, set()),
    (["guard", "release", ""], {"/src/auth"}, {"/docs"}),
    (["guard", "break", ""], {"2"}, {"1"}),
    (["guard", "break", "--holder", ""], {"bob"}, {"alice"}),
    (["guard", "check", "sr"], {"src"}, set()),
    (["guard", "list", "--m"], {"--mine"}, {"--theirs"}),
    (["guard", "store", "b"], {"backup"}, {"move"}),
    (["git", "guard", "rel"], {"release"}, set()),
    (["git", "guard", "release", ""], {"/src/auth"}, {"/docs"}),
]


@pytest.fixture
def shelled(repository: Repository, tmp_path: Path) -> tuple[Repository, dict[str, str]]:
    """A repository with two reservations, and an environment in which "guard" is on PATH."""
    repository.guard("reserve", "src/auth", who="alice")
    repository.guard("reserve", "docs", who="bob")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "guard").write_text(f'#!/bin/sh\nexec {" ".join(GUARD)} "$@"\n')
    (tmp_path / "bin" / "guard").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return repository, {**os.environ, "PATH": path, "PYTHONPATH": str(PACKAGE), "GUARD_AGENT": "alice"}


def asked(shell: list[str], repository: Repository, environment: dict[str, str]) -> set[str]:
    done = subprocess.run(
        shell, cwd=repository.path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return {line.split("\t")[0].rstrip("/ ") for line in done.stdout.splitlines()} | {f"stderr: {done.stderr}"}


@pytest.mark.parametrize(("words", "there", "absent"), CASES, ids=lambda value: " ".join(map(str, value)))
def test_bash(shelled: tuple[Repository, dict[str, str]], words: list[str], there: set[str], absent: set[str]) -> None:
    repository, environment = shelled
    quoted = " ".join(f"'{word}'" for word in words)
    function = "_guard" if words[0] == "guard" else "_git_guard"
    script = f'eval "$(guard completion bash)"; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; '
    script += f"COMP_LINE='{' '.join(words)}'; {function}; "
    found = asked(["bash", "-c", script + 'printf "%s\\n" "${COMPREPLY[@]}"'], repository, environment)
    assert there <= found
    assert not absent & found


@pytest.mark.parametrize(("words", "there", "absent"), CASES, ids=lambda value: " ".join(map(str, value)))
def test_fish(shelled: tuple[Repository, dict[str, str]], words: list[str], there: set[str], absent: set[str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("needs the program fish")
    repository, environment = shelled
    script = f"guard completion fish | source; complete -C '{' '.join(words)}'"
    found = asked(["fish", "-c", script], repository, environment)
    assert there <= found
    assert not absent & found


@pytest.mark.parametrize(("words", "there", "absent"), CASES, ids=lambda value: " ".join(map(str, value)))
def test_zsh(shelled: tuple[Repository, dict[str, str]], words: list[str], there: set[str], absent: set[str]) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("needs the program zsh")
    repository, environment = shelled
    quoted = " ".join(f"'{word}'" for word in words)
    # Outside of the line editor, what the function would offer is printed by stand-ins for zsh's own two.
    script = (
        'compdef() { :; }; compadd() { shift; print -rl -- "$@"; }; _files() { print -rl -- *(N); }; '
        f'eval "$(guard completion zsh)"; words=({quoted}); CURRENT={len(words)}; _guard'
    )
    found = asked(["zsh", "-f", "-c", script], repository, environment)
    assert there <= found
    assert not absent & found
