"""A repository that others push to, whose reservations are in a PostgreSQL database."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.postgres.store import PostgresStore
from tests.support import postgres
from tests.support.postgres import OPENING
from tests.support.server import Server, blamed, build

if TYPE_CHECKING:
    from pathlib import Path

HOUR_MS = 3_600_000


@pytest.fixture
def address() -> str:
    server = postgres.server_or_skip()
    return server.address(server.guard_database())


@pytest.fixture
def shop(tmp_path: Path, hermetic: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Server:
    """alice, who works at a laptop, holds /held."""
    with (hermetic / ".gitconfig").open("a") as config:
        config.write(f"[guard]\n\tdb = {address}\n")
    os.utime(hermetic / ".gitconfig", (1_600_000_000, 1_600_000_000))
    build(tmp_path)
    made = Server.of(tmp_path, hermetic / "unused.db", reserved=False)
    made.bare.git("config", "guard.db", address)
    reserve(made, address, "/held")
    return made


def reserve(shop: Server, address: str, pattern: str) -> None:
    with closing(PostgresStore(address, OPENING)) as store:
        actor = Actor(shop.project, "alice", "alice@laptop")
        granted = store.reserve(
            actor, [Wanted(pattern.encode(), pattern.encode())], Terms(True, "refactoring", HOUR_MS, False, False)
        )
    assert not granted.conflicts


def test_what_is_reserved_there_is_refused_and_the_rest_passes(shop: Server) -> None:
    refused = shop.play("make held/x.txt; git push origin main")
    assert refused.code == 1 and blamed(refused) == ["held/x.txt"], refused.text
    passed = shop.play("git reset -q --hard origin/main; make free.txt; git push -q origin main")
    assert passed.code == 0 and "guard:" not in passed.text, passed.text


def test_a_push_never_misses_what_was_reserved_before_it(shop: Server, address: str) -> None:
    """Also within the lease of what is published in the repository: a push asks the server each time."""
    assert shop.play("make free.txt; git push -q origin main").code == 0
    reserve(shop, address, "/free.txt")
    refused = shop.play("make free.txt; git push origin main")
    assert refused.code == 1 and blamed(refused) == ["free.txt"], refused.text


def test_the_holders_own_account_may_push(shop: Server) -> None:
    shop.bare.git("config", "--add", "guard.alice.principal", "alice@laptop")
    done = shop.play("make held/x.txt; git push -q origin main", GITEA_PUSHER_NAME="alice")
    assert done.code == 0, done.text


def test_a_server_that_gives_no_answer_refuses(shop: Server) -> None:
    shop.bare.git("config", "guard.db", "postgresql://owner@127.0.0.1:1/guard")
    done = shop.play("make free.txt; git push origin main")
    assert done.code == 1 and "cannot tell" in done.text and "127.0.0.1:1" in done.text, done.text


def test_the_database_role_that_reserved_counts_as_a_principal(shop: Server, address: str) -> None:
    with closing(PostgresStore(address, OPENING)) as store:
        (row,) = store.everywhere().reservations
        role = store.roles([row.id])[row.id]
    assert shop.play("make held/x.txt; git push origin main", GITEA_PUSHER_NAME="alice").code == 1
    shop.bare.git("config", "--add", "guard.alice.principal", role)
    done = shop.play("git push -q origin main", GITEA_PUSHER_NAME="alice")
    assert done.code == 0, done.text
