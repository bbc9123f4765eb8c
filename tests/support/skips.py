"""In CI, a test that was skipped because something is missing on the machine has failed.

Such a run looks green and proves less than it says. So where ``CI=true``, every skip fails the run, except for the
reasons in :data:`MEANT`: those hold on every machine that is set up well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import environment

if TYPE_CHECKING:
    from collections.abc import Iterable

MEANT = (
    "long: run with --long",
    "runs real coding agents: run with --live",
    "builds and installs the distribution: run with --package",
    "this git ",  # what it is too old, or too new, for
    "git 2.54 or later comes in no package registry",
    "needs an old git and a new one",
    "does not apply: ",
    "a command says that as wrong usage",
)
"""How the reasons begin that are no fault of the machine. ``does not apply: …`` is the form for new ones."""


def wanting(reasons: Iterable[str]) -> list[str]:
    """The reasons, each once, that are faults of the machine: a program, a package or a permission is missing."""
    return sorted({reason for reason in reasons if not reason.startswith(MEANT)})


def reason_of(report: Any) -> str:
    """Why a test was skipped, from pytest's report; "" for a test that was expected to fail."""
    where = report.longrepr
    return where[2].removeprefix("Skipped: ") if isinstance(where, tuple) else ""


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a run in CI in which something was missing, and says what."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if environment.OUTSIDE.get("CI") != "true" or reporter is None or hasattr(session.config, "workerinput"):
        return
    missing = wanting(reason_of(report) for report in reporter.stats.get("skipped", []))
    if missing:
        reporter.section("skipped in CI, where nothing may be missing")
        reporter.write("\n".join([*missing, ""]))
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
