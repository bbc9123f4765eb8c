"""No test sees the developer's git configuration, home, store or clock; warnings are errors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.repositories import Repository, age
from tests.support.stage import Stage

HARNESS = ("CLAUDE_CODE_SESSION_ID", "CODEX_SESSION_ID", "CODEX_THREAD_ID", "COPILOT_AGENT_SESSION_ID")
KEPT = ("GIT_SSL_CAINFO", "GIT_EXEC_PATH")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="long: run with --long"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured or counted: the figures they recorded."""
    reports = [each for some in terminalreporter.stats.values() for each in some if getattr(each, "when", "") == "call"]
    figures = [f"{each.nodeid}: {text}" for each in reports for name, text in each.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write("\n".join([*figures, ""]))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Records a line for the summary at the end."""
    return lambda text: record_property("figure", text)


@pytest.fixture(autouse=True)
def hermetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with an identity for git in it; nothing else from outside. Returns the home."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "GUARD_", "AGENT_", "XDG_")) and name not in KEPT:
            monkeypatch.delenv(name)
    for name in (*HARNESS, "USER", "LOGNAME", "NO_COLOR", "COLUMNS", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    config = home / ".gitconfig"
    config.write_text(
        "[user]\n\tname = Nobody\n\temail = nobody@example.com\n[init]\n\tdefaultBranch = main\n"
        '[advice]\n\tdetachedHead = false\n[gc]\n\tauto = 0\n[protocol "file"]\n\tallow = always\n'
    )
    age(config)
    found = os.environ.get("PATH", os.defpath).split(os.pathsep)
    without_guard = [each for each in found if not os.path.exists(os.path.join(each, "guard"))]
    monkeypatch.setenv("PATH", os.pathsep.join(without_guard))  # a hook falls back on the guard there
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return home


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one commit and guard installed."""
    made = Repository.make(tmp_path / "repository")
    made.install()
    return made


_built: list[Stage] = []


@pytest.fixture
def stage(hermetic: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A repository to break things in, as new for every test: alice holds ``held``, bob's union is published."""
    fresh = not _built
    if fresh:
        _built.append(Stage(tmp_path_factory.mktemp("stage") / "base"))
    made = _built[0]
    monkeypatch.setenv("HOME", str(made.home))
    if fresh:
        made.build((hermetic / ".gitconfig").read_text())
    made.restore()
    return made
