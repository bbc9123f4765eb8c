"""Completion as somebody meets it: a word is begun and Tab is pressed, in the line editors of bash,
zsh and fish."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.repositories import GUARD, PACKAGE, Repository

PATIENCE_S = 40.0
"""How long a test waits for what must come; it goes on as soon as it has come."""

GIT_FOR_BASH = next(
    (
        path
        for path in ("/usr/share/bash-completion/completions/git", "/etc/bash_completion.d/git")
        if os.path.exists(path)
    ),
    "",
)
"""git's own completion for bash (contrib/completion/git-completion.bash), as distributions install it."""

START = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "bind 'set enable-bracketed-paste off'; bind 'set bell-style none'",
    ),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D; setopt no_beep"),
    "fish": (["fish", "--no-config", "-i"], "true"),
}
LOAD = {"bash": 'eval "$(guard completion bash)"', "zsh": 'eval "$(guard completion zsh)"'}
SHOW = {"fish": "function show; printf '<%s>' $argv[2..-1]; echo; end"}
"""How a shell gets guard's completion, and a command that shows its arguments but the first one."""


class Typing:
    """An interactive shell on a terminal of its own."""

    def __init__(self, shell: str, repository: Repository, environment: dict[str, str]) -> None:
        command, prepare = START[shell]
        self.seen = ""
        ours, theirs = pty.openpty()
        self._screen = ours
        self._shell = subprocess.Popen(
            command,
            cwd=repository.path,
            env={**environment, "TERM": "dumb" if shell == "bash" else "vt100", "PS1": "$ ", "COLUMNS": "200"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # else Ctrl-C interrupts nothing
        )
        os.close(theirs)
        self.line(prepare)
        self.line(LOAD.get(shell, f"guard completion {shell} | source"))
        self.line(SHOW.get(shell, "show() { shift; printf '<%s>' \"$@\"; echo; }"))

    def line(self, text: str) -> None:
        """Types a line, and waits until the shell has run it."""
        mark = f"done{len(self.seen)}"
        self.type(f"{text}; echo {mark[:4]}''{mark[4:]}\r")
        self.until(mark)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def arguments(self, begun: str, wanted: str) -> None:
        """Types a line that begins with "guard" and presses Tab; waits until the shell takes it for these arguments.

        All keys are typed at once, and the shell reads them in turn. Ctrl-A and Ctrl-E go to the ends of the line.
        """
        self.type(f"{begun}\t\x01show \x05\r")
        self.until(wanted)

    def until(self, wanted: str) -> str:
        """Waits for a text; returns all that came since the last wait."""
        latest = time.monotonic() + PATIENCE_S
        while wanted not in self._plain():
            assert time.monotonic() < latest and self._shell.poll() is None, (wanted, self.seen)
            if select.select([self._screen], [], [], 1.0)[0]:
                self.seen += os.read(self._screen, 1 << 16).decode("utf-8", "replace")
        shown, self.seen = self._plain(), ""
        return shown

    def _plain(self) -> str:
        """What came, without the signs that move the cursor (ECMA-48)."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r|\x07|\x00", "", self.seen)

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._screen)


@pytest.fixture(params=list(START))
def typing(request: pytest.FixtureRequest, repository: Repository, tmp_path: Path) -> Iterator[Typing]:
    """A shell in a repository in which alice holds src/auth and bob docs; alice is typing."""
    if shutil.which(request.param) is None:
        pytest.skip(f"needs the program {request.param}")
    repository.guard("reserve", "src/auth", who="alice")
    repository.guard("reserve", "docs", who="bob")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "guard").write_text(f'#!/bin/sh\nexec {" ".join(GUARD)} "$@"\n')
    (tmp_path / "bin" / "guard").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    shell = Typing(
        request.param, repository, {**os.environ, "PATH": path, "PYTHONPATH": str(PACKAGE), "GUARD_AGENT": "alice"}
    )
    yield shell
    shell.close()


@pytest.mark.parametrize(
    ("begun", "completed"),
    [
        ("guard rel", "guard release"),
        ("guard release /sr", "guard release /src/auth"),
        ("guard break --holder b", "guard break --holder bob"),
        ("guard list --mi", "guard list --mine"),
        ("guard store bac", "guard store backup"),
        ("guard check a.t", "guard check a.txt"),
        ("guard reserve src/au", "guard reserve src/auth"),
    ],
)
def test_tab_completes_a_word_that_is_begun(typing: Typing, begun: str, completed: str) -> None:
    typing.type(f"{begun}\t")
    typing.until(completed)


def test_tab_completes_words_of_git_guard(typing: Typing, request: pytest.FixtureRequest) -> None:
    if "bash" in request.node.name:
        if not GIT_FOR_BASH:
            pytest.skip("needs git's completion for bash (Debian: bash-completion)")
        typing.line(f". {GIT_FOR_BASH}")
    typing.type("git guard rel\t")
    typing.until("git guard release")


STRANGE = (
    "mine/it's",
    "mine/$(touch ran)",
    "mine/a b",
    "mine/`touch ran`",
    "mine/[slug]",
    "mine/ü",
    "at@x:y",
)
HOLDERS = ("me@example.org", "host:agent", "Al Smith", "$(touch ran)", "~root", "caf'é", "files")
TYPED = [
    ("guard release /mine/i", "<release></mine/it's>"),
    ("guard release /mine/\\$", "<release></mine/$(touch ran)>"),
    ("guard release /mine/a", "<release></mine/a b>"),
    ("guard release /mine/a\\ ", "<release></mine/a b>"),
    ("guard release '/mine/a ", "<release></mine/a b>"),
    ('guard release "/mine/a ', "<release></mine/a b>"),
    ("guard release '/mine/$", "<release></mine/$(touch ran)>"),
    ("guard release /mine/\\`", "<release></mine/`touch ran`>"),
    ("guard release '/mine/`", "<release></mine/`touch ran`>"),
    ("guard release /mine/ü", "<release></mine/ü>"),
    ("guard release /gl", "<release></glob/*.sql>"),
    ("guard release :/gl", "<release><:/glob/*.sql>"),
    ("guard release /at@x:", "<release></at@x:y>"),
    ("guard break --holder me@", "<--holder><me@example.org>"),
    ("guard break --holder me@ex", "<--holder><me@example.org>"),
    ("guard break --holder=me@ex", "<break><--holder=me@example.org>"),
    ("guard break --holder host:", "<--holder><host:agent>"),
    ("guard break --holder Al", "<--holder><Al Smith>"),
    ("guard break --holder 'Al S", "<--holder><Al Smith>"),
    ("guard break --holder \\$", "<--holder><$(touch ran)>"),
    ("guard break --holder \\~", "<--holder><~root>"),
    ("guard break --holder ca", "<--holder><caf'é>"),
    ("guard log --holder fi", "<--holder><fi>"),
    ("guard -C mine rel", "<-C><mine><release>"),
    ("guard check app/\\[", "<check><app/[slug]"),
    ("guard check app/s", "<check><app/s"),
    ("guard check it", "<check><it's>"),
    ("guard check we", '<check><we"ird$(touch ran)>'),
    ("guard check two\\ w", "<check><two words>"),
    ("guard check ~/.gu", ".gu-here>"),
]
"""What is typed before Tab, and what the shell then takes for arguments: one word for one name, whatever is in it."""


def test_a_completed_word_is_one_word_and_nothing_in_it_is_run(typing: Typing, repository: Repository) -> None:
    for name in ("app/[slug]/page", "app/s/page", "it's", 'we"ird$(touch ran)', "two words", *STRANGE):
        repository.write(name, "")
    for name in (*STRANGE, "glob/*.sql"):
        repository.guard("reserve", name, who="alice")
    for holder in HOLDERS:
        repository.guard("reserve", f"by/{HOLDERS.index(holder)}", who=holder)
    typing.line("touch ~/.gu-here")
    for begun, wanted in TYPED:
        typing.arguments(begun, wanted)
    assert not (repository.path / "ran").exists()
