"""The environment of the tests: empty, but for what a program cannot do without.

A variable that one machine sets can hide a fault that every other machine shows. So no list of variables to delete can
be long enough; every test begins with an empty environment, and this module names the few variables that it gets.

What fetches packages is no part of what is tested. pip and npm keep the settings that reach their registries, and the
real home, in which they are configured (:func:`for_packages`).
"""

from __future__ import annotations

import os

OUTSIDE = dict(os.environ)
"""The environment in which pytest was started."""

_OF_PYTEST = "PYTEST_"
_KEPT = ("PATH", "GIT_EXEC_PATH")
"""PATH finds the programs; a git that was built and not installed finds its own by GIT_EXEC_PATH (git(1))."""

_OF_PACKAGES = ("PIP_", "SSL_CERT_", "NODE_", "NPM_", "UV_", "REQUESTS_CA_", "CURL_CA_", "GIT_SSL_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def empty(home: str) -> dict[str, str]:
    """The environment of a test: this home, UTC, English messages, and nothing else from outside but PATH.

    PATH leads to no guard: a hook that finds no Python of its own would fall back on the one that is installed.
    """
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_OF_PYTEST)}
    directories = kept.get("PATH", os.defpath).split(os.pathsep)
    without_guard = [each for each in directories if not os.path.exists(os.path.join(each, "guard"))]
    return {**kept, "PATH": os.pathsep.join(without_guard), "HOME": home, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def for_packages() -> dict[str, str]:
    """The environment of a client that fetches packages: the test's, with the settings of pip, npm and the like."""
    settings = {
        name: value
        for name, value in OUTSIDE.items()
        if name.upper().startswith(_OF_PACKAGES) or name.upper() in _PROXIES
    }
    return {**os.environ, **settings, "HOME": OUTSIDE.get("HOME", "/")}
