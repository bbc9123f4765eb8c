"""Two machines with a clone each, and the server between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import machines, postgres
from tests.support.machines import Clone, Machine, ProxyProcess
from tests.support.repositories import Repository

LENGTH_S = 3600
"""A lease that no test outlasts."""


class Team:
    """Alice and Bob, each on a machine of their own, and the server in whose database they reserve."""

    def __init__(
        self,
        place: Path,
        server: postgres.Server,
        *,
        people: tuple[str, ...] = ("alice", "bob"),
        files: tuple[str, ...] = ("alice.txt", "bob.txt", "both"),
    ) -> None:
        self.place = place
        self.server = server
        self.database = server.guard_database()
        self.origin = place / "shared.git"
        seed = Repository.make(place / "seed", files=dict.fromkeys(files, "1\n"))
        seed.git("clone", "-q", "--bare", str(seed.path), str(self.origin))
        self.proxies: dict[str, ProxyProcess] = {}
        self.clones: dict[str, Clone] = {}
        self.machines: list[Machine] = []
        for who in people:
            self.join(who)

    def join(self, who: str) -> None:
        machine = Machine(self.place, f"{who}-laptop")
        self.machines.append(machine)
        proxy = ProxyProcess(machine.gateway, str(self.server.socket / f".s.PGSQL.{self.server.port}"))
        self.proxies[who] = proxy
        clone = Clone.of(self.origin, self.place / who, machine)
        clone.git("config", "--global", "guard.project", "shared")
        clone.use(f"postgresql://owner@{proxy.host}:{proxy.port}/{self.database}")
        self.clones[who] = clone

    def set_lease(self, seconds: float) -> None:
        """The project's lease is so long from now on, in what is asked from now on."""
        self.server.sql(
            self.database,
            "INSERT INTO project (name, lease_ms) VALUES ('shared', %s)"
            " ON CONFLICT (name) DO UPDATE SET lease_ms = excluded.lease_ms",
            int(seconds * 1000),
        )

    def close(self) -> None:
        for proxy in self.proxies.values():
            proxy.close()
        for machine in self.machines:
            machine.close()


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    server = postgres.server_or_skip()
    if reason := machines.why_not():
        pytest.skip(reason)
    made = Team(tmp_path, server)
    made.set_lease(LENGTH_S)
    yield made
    made.close()
