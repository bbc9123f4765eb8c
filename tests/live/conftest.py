"""Skips the live tests unless they are asked for, and says why where they cannot be run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import box, harness
from tests.live.harness import HARNESSES, Scene

_OUTSIDE = dict(os.environ)
"""The environment as it was before any test: npm needs it to reach its registry."""

_tried: dict[str, str] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--live"):
        here = Path(__file__).parent
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="runs real coding agents: run with --live"))


def _cannot(why: str) -> None:
    """A reason to skip; where GUARD_LIVE_REQUIRED is set, as in CI, a failure."""
    if os.environ.get("GUARD_LIVE_REQUIRED") or _OUTSIDE.get("GUARD_LIVE_REQUIRED"):
        pytest.fail(f"the live tests cannot be run: {why}")
    pytest.skip(why)


@pytest.fixture
def scene(tmp_path: Path, hermetic: Path) -> Iterator[Callable[[str], Scene]]:
    """Makes a scene for a program, by its name."""
    made: list[Scene] = []

    def make(name: str) -> Scene:
        if why := box.why_not():
            _cannot(why)
        home = _OUTSIDE.get("HOME", "/")
        packages = Path(_OUTSIDE.get("GUARD_LIVE_CACHE") or os.path.join(home, ".cache", "git-guard-live"))
        packages.mkdir(parents=True, exist_ok=True)
        if name not in _tried:
            _tried[name] = harness.installed(HARNESSES[name], packages, _OUTSIDE)
        if _tried[name]:
            _cannot(_tried[name])
        made.append(Scene(HARNESSES[name], tmp_path / f"scene{len(made)}", packages))
        return made[-1]

    yield make
