"""guard hold: held while the command runs, released on every way out."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from guard.work import hold as holding
from tests.support.repositories import GUARD, PACKAGE, Repository

TERMS = Terms(exclusive=True, reason="", ttl_ms=60_000, fold=False, shorten=False)


@pytest.fixture
def bare_repository(tmp_path: Path) -> Repository:
    """A repository without hooks: holding needs none."""
    return Repository.make(tmp_path / "repository")


def start(repository: Repository, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*GUARD, "hold", *words],
        cwd=repository.path,
        env={**os.environ, "GUARD_AGENT": "alice", "PYTHONPATH": str(PACKAGE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def held(repository: Repository) -> list[str]:
    return [row["pattern"] for row in repository.guard("list", "--json", who="bob").json()["reservations"]]


@pytest.mark.parametrize("code", [0, 7])
def test_held_while_it_runs_and_released_at_its_end(bare_repository: Repository, code: int) -> None:
    inner = f"{' '.join(GUARD)} list --json; exit {code}"
    done = bare_repository.guard("hold", "src", "docs", "--", "sh", "-c", inner, who="alice", expect=code)
    assert [row["pattern"] for row in done.json()["reservations"]] == ["/src", "/docs"]
    assert held(bare_repository) == []


def test_words_after_the_dashes_belong_to_the_command(bare_repository: Repository) -> None:
    done = bare_repository.guard("hold", "src", "--ttl", "2m", "--", "echo", "--ttl", "--", "--help", who="alice")
    assert done.out == b"--ttl -- --help\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_command_and_everything_is_released(bare_repository: Repository, number: int) -> None:
    process = start(
        bare_repository,
        "src",
        "--",
        "sh",
        "-c",
        "trap 'echo got it; exit 5' INT TERM HUP; echo up; while :; do sleep 0.1; done",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    assert held(bare_repository) == ["/src"]
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert out == b"got it\n"
    assert process.returncode == 5
    assert held(bare_repository) == []


def test_a_command_ended_by_a_signal(bare_repository: Repository) -> None:
    bare_repository.guard("hold", "src", "--", "sh", "-c", "kill -TERM $$", who="alice", expect=128 + signal.SIGTERM)
    assert held(bare_repository) == []


def test_after_sigkill_the_lease_stays_until_it_expires(bare_repository: Repository) -> None:
    process = start(bare_repository, "src", "--ttl", "1m", "--", "sh", "-c", "echo up; sleep 5")
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert held(bare_repository) == ["/src"]


def test_not_run_when_somebody_is_in_the_way(bare_repository: Repository) -> None:
    bare_repository.guard("reserve", "src", who="bob")
    done = bare_repository.guard("hold", "src", "--", "echo", "ran", who="alice", expect=1)
    assert b"ran" not in done.out
    assert "bob holds /src" in done.text


def test_renewed_while_it_runs_and_the_loss_of_it_is_said(tmp_path: Path) -> None:
    """With a short lease, at the level of the module: renewals come every third of it."""
    store = SqliteStore(str(tmp_path / "guard.db"), patience_s=5)
    actor = Actor("project", "alice", "a@h")
    rows = store.reserve(actor, [Wanted(b"/src", b"src"), Wanted(b"/docs", b"docs")], TERMS).reservations
    first = {row.id: row.expires_at for row in rows}
    lost: list[int] = []
    breaker = f"""
import time
from guard.stores.sqlite import SqliteStore
from guard.stores.interface import Actor
time.sleep(0.5)
store = SqliteStore({str(tmp_path / "guard.db")!r}, patience_s=5)
store.break_(Actor("project", "bob", "b@h"), [{rows[0].id}], reason="")
time.sleep(0.7)
"""
    before = time.time()
    code = holding.hold(
        store,
        actor,
        rows,
        ["python3", "-c", breaker],
        ttl_ms=900,
        lost=lambda gone: lost.extend(row.id for row in gone),
    )
    assert code == 0
    assert time.time() - before > 0.9, "the command outlived the lease it began with"
    assert lost == [rows[0].id]
    ended = {row.id: row for row in store.ended("project").reservations}
    assert (ended[rows[0].id].end, ended[rows[1].id].end) == ("broken", "released")
    assert first.keys() == ended.keys()
    store.close()
