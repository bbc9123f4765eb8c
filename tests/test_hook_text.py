"""The text of the hook itself: what every sh can read, and what it needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.repositories import PACKAGE, run
from tests.support.stage import Stage

HOOKS = sorted(path for path in (PACKAGE / "hooks").iterdir() if path.is_file())


@pytest.mark.parametrize("hook", HOOKS, ids=lambda path: path.name)
def test_a_hook_is_pure_ascii(hook: Path) -> None:
    """yash in the C locale cannot read a file with any other byte, and stops every commit."""
    assert hook.read_bytes().isascii()


@pytest.mark.parametrize("hook", HOOKS, ids=lambda path: path.name)
@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "zsh", "mksh", "ksh93", "yash"])
def test_every_shell_can_parse_it(hook: Path, shell: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    if request.config.getoption("--sh") and os.path.samefile(program, "/bin/sh"):
        return  # this run has put another shell in its place, and tests that one under its own name
    words = [program, "sh"] if shell == "busybox" else [program]
    text = hook.read_text()
    if hook.name == "guard":  # its last line is none that sh may reach: it stops a sh that runs nothing
        text, last = text[: text.rindex("\ntime") + 1], text[text.rindex("\ntime") + 1 :]
        assert last == "time | time\n"
    parsed = tmp_path / hook.name
    parsed.write_text(text)
    done = run([*words, "-n", str(parsed)], cwd=PACKAGE, env={"LC_ALL": "C"})
    assert done.code == 0, done.text
    if shell != "ksh93":  # it gives advice on what is right for every other sh
        assert done.err == b""


@pytest.mark.parametrize("absent", ["[", "printf", "echo", "all of them"])
def test_a_shell_without_a_builtin_lets_nothing_pass(stage: Stage, absent: str, tmp_path: Path) -> None:
    """A minimal system may have neither the builtin nor a program of that name; then no test is true by accident."""
    text = (stage.repository.path / ".git/hooks/pre-commit").read_text()
    missing = ["[", "printf", "echo"] if absent == "all of them" else [absent]
    hook = stage.repository.path / ".git/hooks/pre-commit"
    for name in missing:  # no sh can take a builtin away: another name that nothing has does the same
        text = text.replace(f" {name} ", f" no-{'bracket' if name == '[' else name} ")
    hook.write_text(text)
    done = stage.hook("held/x.txt")
    assert done.code != 0, done.text
    if "[" in missing:
        assert done.code == 3, done.text
