"""Does Codex trust guard's hooks? It runs only hooks that its user has trusted, and skips others without a message.

Codex itself is asked: ``codex app-server`` speaks JSON-RPC, one message on each line. ``hooks/list`` returns each
hook's key, hash and trust. ``config/batchWrite`` writes the trust to the place where Codex keeps it (``hooks.state`` in
its config.toml), as Codex's own dialogue does. This was seen with Codex CLI 0.169.0. Only commands use this module,
because Codex takes a second or more to start.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from guard.agents import files
from guard.agents.programs import CODEX
from guard.model import EXIT_REFUSED, GuardError
from guard.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_S = 30.0
"""How many seconds Codex may take to answer."""
TRUSTED = ("trusted", "managed")
"""The states of a hook that Codex runs."""


class Hook(Record):
    """One of guard's hooks as Codex sees it."""

    key: str
    hash: str
    trust: str


class Codex:
    """A running ``codex app-server``, for a ``with`` block. Raises :class:`GuardError` when something goes wrong."""

    def __init__(self, environment: Mapping[str, str], directory: str) -> None:
        self._environment = environment
        self._directory = directory
        self._number = 0

    def __enter__(self) -> Codex:
        program = shutil.which("codex", path=self._environment.get("PATH"))
        if program is None:
            hint = "start codex, and answer its question about hooks"
            raise GuardError("codex is not on PATH, so it cannot be asked", hint=hint, code=EXIT_REFUSED)
        try:
            self._process = subprocess.Popen(
                [program, "app-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=dict(self._environment), cwd=self._directory,
            )  # fmt: skip
            self.ask("initialize", {"clientInfo": {"name": "guard", "title": "guard", "version": "1"}})
            self._send({"method": "initialized"})
        except OSError as error:
            raise GuardError(f"codex cannot be started: {error.strerror}", code=EXIT_REFUSED) from error
        except GuardError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        """Sends one request and returns its result. Raises :class:`GuardError` when Codex answers with an error."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": given})
        while True:
            answer = self._received(method)
            if answer.get("id") == self._number and "result" in answer:
                return dict(answer["result"])
            if answer.get("id") == self._number:
                raise GuardError(f"codex does not answer {method}: {str(answer.get('error'))[:200]}", code=EXIT_REFUSED)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise GuardError(f"codex app-server ended: {error.strerror}", code=EXIT_REFUSED) from error

    def _received(self, method: str) -> dict[str, Any]:
        from threading import Timer

        assert self._process.stdout is not None
        limit = Timer(LIMIT_S, self._process.kill)
        limit.start()
        try:
            line = self._process.stdout.readline()
            answer = json.loads(line) if line else None
        except ValueError:
            answer = None
        finally:
            limit.cancel()
        if not isinstance(answer, dict):
            raise GuardError(f"codex app-server gave no answer to {method}", code=EXIT_REFUSED)
        return answer


def hooks(codex: Codex, directory: str) -> list[Hook]:
    """Guard's hooks among those that Codex has for a session in a directory."""
    found = codex.ask("hooks/list", {"cwds": [directory]})
    listed = [hook for place in found.get("data", []) for hook in place.get("hooks", [])]
    return [
        Hook(str(hook.get("key")), str(hook.get("currentHash")), str(hook.get("trustStatus")))
        for hook in listed
        if files.is_ours(str(hook.get("command") or ""), CODEX)
    ]


def untrusted(environment: Mapping[str, str], directory: str) -> list[Hook]:
    """Guard's hooks that Codex skips. Raises :class:`GuardError` if Codex cannot be asked."""
    with Codex(environment, directory) as codex:
        return [hook for hook in hooks(codex, directory) if hook.trust not in TRUSTED]


def trust(environment: Mapping[str, str], directory: str) -> int:
    """Makes Codex trust guard's hooks as they are now; returns how many are new to it. Raises :class:`GuardError`."""
    with Codex(environment, directory) as codex:
        wanted = [hook for hook in hooks(codex, directory) if hook.trust not in TRUSTED]
        if wanted:
            state = {hook.key: {"trusted_hash": hook.hash} for hook in wanted}
            edit = {"keyPath": "hooks.state", "value": state, "mergeStrategy": "upsert"}
            codex.ask("config/batchWrite", {"edits": [edit], "reloadUserConfig": True})
        left = [hook for hook in hooks(codex, directory) if hook.trust not in TRUSTED]
    if left:
        raise GuardError(f"codex still calls {len(left)} of guard's hooks {left[0].trust}", code=EXIT_REFUSED)
    return len(wanted)


def is_mentioned(environment: Mapping[str, str], path: str) -> bool:
    """Does Codex's configuration name a trusted hook of this file? False proves that Codex trusts none of its hooks.

    True when the configuration cannot be read, because then nothing is proven.
    """
    import tomllib

    try:
        with open(os.path.join(files.user_directory(CODEX, environment), "config.toml"), "rb") as file:
            state = tomllib.load(file).get("hooks", {}).get("state", {})
    except FileNotFoundError:
        return False
    except (OSError, ValueError, AttributeError):
        return True
    names = state if isinstance(state, dict) else {}
    return any(key.startswith(f"{path}:") and "trusted_hash" in (value or {}) for key, value in names.items())
