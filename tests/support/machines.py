"""Machines that share nothing but a network: each has a network namespace, a host name and a home of its own.

They reach the server of the tests through a proxy (:mod:`tests.support.cable`) at the other end of a cable (veth(4)).
That takes root, setpriv(1), unshare(1), nsenter(1) and ip(8). They end when the tests do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.repositories import PACKAGE, Repository, age, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def why_not() -> str:
    """Why no such machines can be made here; "" when they can."""
    if os.getuid():
        return "network namespaces take root"
    missing = [program for program in ("setpriv", "unshare", "nsenter", "ip") if not shutil.which(program)]
    if missing:
        return f"these programs are missing: {', '.join(missing)}"
    try:
        _command("unshare", "--net", "--uts", "true")
    except AssertionError as error:
        return f"no network namespace can be made: {error}"
    return ""


def _command(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"


class Machine:
    """A host of that name. ``gateway`` is the address at which it reaches this one."""

    def __init__(self, place: Path, name: str) -> None:
        self.name = name
        self.home = place / f"home-{name}"
        self.home.mkdir(parents=True)
        shutil.copy2(Path(os.environ["HOME"]) / ".gitconfig", self.home / ".gitconfig")
        age(self.home / ".gitconfig")
        self._process = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig=KILL",
                "unshare",
                "--net",
                "--uts",
                "sh",
                "-c",
                'hostname "$1"; echo ready; exec sleep 100000',
                "sh",
                name,
            ],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None and self._process.stdout.readline() == b"ready\n"
        self.gateway = self._connect()

    def _connect(self) -> str:
        pid = str(self._process.pid)
        cable = f"g{pid}"  # at most 15 characters
        third = self._process.pid % 64 * 4
        net = f"10.{100 + self._process.pid // 64 % 100}.{self._process.pid // 6400 % 256}"
        _command("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", pid)
        _command("ip", "addr", "add", f"{net}.{third + 1}/30", "dev", cable)
        _command("ip", "link", "set", cable, "up")
        inside = ("nsenter", "-t", pid, "-n", "ip")
        _command(*inside, "addr", "add", f"{net}.{third + 2}/30", "dev", "eth0")
        _command(*inside, "link", "set", "eth0", "up")
        _command(*inside, "link", "set", "lo", "up")
        return f"{net}.{third + 1}"

    def inside(self, command: Sequence[str | bytes]) -> tuple[str | bytes, ...]:
        """The command as it is started on this machine."""
        return ("nsenter", "-t", str(self._process.pid), "-n", "-u", *command)

    @property
    def env(self) -> dict[str, str]:
        return {"HOME": str(self.home), "PYTHONPATH": str(PACKAGE)}

    def close(self) -> None:
        self._process.kill()  # the namespaces, and the cable, go with it
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@dataclass(frozen=True)
class Clone(Repository):
    """A repository on a machine."""

    machine: Machine

    @classmethod
    def of(cls, origin: Path, path: Path, machine: Machine) -> Clone:
        done = run(machine.inside(("git", "clone", "-q", str(origin), str(path))), cwd=path.parent, env=machine.env)
        assert done.code == 0, done.text
        return cls(path, machine)

    def use(self, address: str) -> None:
        """Reservations are kept there from now on."""
        self.git("config", "--global", "guard.db", address)
        age(self.machine.home / ".gitconfig")
        self.install()

    def _there(self, command: Sequence[str | bytes]) -> Sequence[str | bytes]:
        return self.machine.inside(command)

    def _variables(self, who: str, env: Mapping[str, str] | None) -> dict[str, str]:
        return {**self.machine.env, **super()._variables(who, env)}


class ProxyProcess:
    """The proxy before a server, for one machine."""

    def __init__(self, host: str, upstream: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.cable", host, upstream],
            cwd=PACKAGE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.host = host
        self.port = int(self._process.stdout.readline())

    def obey(self, words: str) -> None:
        """Makes the network behave so; returns when it does."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
