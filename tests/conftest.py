"""No test sees the developer's environment, git configuration, home, store or clock; warnings are errors."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import environment, namespace, rows
from tests.support.forks import FORKS
from tests.support.repositories import Repository, age
from tests.support.server import build
from tests.support.skips import pytest_sessionfinish as pytest_sessionfinish
from tests.support.stage import Stage
from tests.support.templates import Template


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long tests too")
    parser.addoption("--live", action="store_true", help="run real coding agents, offline")
    parser.addoption(
        "--start-python",
        action="store_true",
        help="start a Python for each command, and fork none (tests/support/forks.py)",
    )
    parser.addoption("--package", action="store_true", help="build the distribution, and test it as it is installed")
    shells = ", ".join(namespace.SHELLS)
    parser.addoption("--sh", default="", metavar="SHELL", help=f"with another /bin/sh: {shells}, or a path (as root)")
    parser.addoption(
        "--rows", default="1/1", metavar="K/N", help="of each table of cases only every Nth row, beginning with the Kth"
    )
    parser.addoption(
        "--without-boot-id", action="store_true", help="as on a Mac: no boot id in /proc, but a sysctl (as root)"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Starts pytest again where the machine differs as the options say."""
    if hasattr(config, "workerinput"):
        return
    try:
        namespace.move_in(
            namespace.again(config.invocation_params.args),
            shell=config.getoption("--sh"),
            boot_id=not config.getoption("--without-boot-id"),
        )
    except namespace.CannotReplace as error:
        raise pytest.UsageError(str(error)) from error


def pytest_configure(config: pytest.Config) -> None:
    # A shell that starts pytest in the background has it ignore an interrupt, and its children would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    FORKS.start_python = config.getoption("--start-python")


def pytest_report_header(config: pytest.Config) -> str:
    absent = "" if os.path.exists(namespace.BOOT_ID_FILE) else ", no boot id in /proc"
    return f"/bin/sh is {config.getoption('--sh') or os.path.realpath('/bin/sh')}{absent}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    first, _, step = config.getoption("--rows").partition("/")
    left_out = rows.left_out(items, first=int(first), step=int(step))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
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


@pytest.fixture(scope="session", autouse=True)
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Empties the environment for fixtures that serve several tests; :func:`hermetic` does it for each test."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        _set_environment(monkeypatch, environment.empty(str(tmp_path_factory.mktemp("home"))))
        yield


@pytest.fixture(autouse=True)
def hermetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty environment, with a home of its own that has an identity for git in it. Returns the home."""
    home = tmp_path / "home"
    home.mkdir()
    config = home / ".gitconfig"
    config.write_text(
        "[user]\n\tname = Nobody\n\temail = nobody@example.com\n[init]\n\tdefaultBranch = main\n"
        '[advice]\n\tdetachedHead = false\n[gc]\n\tauto = 0\n[protocol "file"]\n\tallow = always\n'
    )
    age(config)
    _set_environment(monkeypatch, environment.empty(str(home)))
    return home


def _set_environment(monkeypatch: pytest.MonkeyPatch, wanted: dict[str, str]) -> None:
    """Makes this the environment of the process, without the machine's own git configuration."""
    for name in set(os.environ) - set(wanted):
        monkeypatch.delenv(name)
    for name, value in {**wanted, "GIT_CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(name, value)
    time.tzset()


@pytest.fixture(scope="session")
def installed_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    def make(place: Path) -> None:
        Repository.make(place / "repository").install()

    return Template(tmp_path_factory.mktemp("installed"), "home", "repository", make=make)


@pytest.fixture
def repository(tmp_path: Path, hermetic: Path, installed_template: Template) -> Repository:
    """A repository with one commit and guard installed."""
    installed_template.put(tmp_path)
    return Repository(tmp_path / "repository")


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("shop"), "home", "shop.git", "clone", make=build)


@pytest.fixture
def pushed_to(tmp_path: Path, hermetic: Path, shop_template: Template) -> Path:
    """The directory with a bare repository, in which guard is installed, and a clone (:mod:`tests.support.server`)."""
    shop_template.put(tmp_path)
    return tmp_path


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
