"""What becomes of a conflict: refused, or let through by a mode, by GUARD_SKIP, or because it is none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from guard.union.renewal import renew
from tests.support.databases import connected
from tests.support.event_cases import assert_as_expected, blamed, no_python, play
from tests.support.repositories import age

if TYPE_CHECKING:
    from tests.support.stage import Stage

COMMIT = "echo new >held/x.txt; git commit -am m"
MERGE = (
    'change() { echo "$1" >held/x.txt; git commit -qanm m; }; change "$(seq 9)"; '
    'git checkout -qb hers; change "$(seq 8)"; git checkout -q main; change "$(seq 2 9)"; git merge --no-edit hers'
)
PUSH = (
    "git init -q --bare --template= $HOME/remote.git; git push -q --no-verify $HOME/remote.git main; "
    "echo new >held/x.txt; git commit -qanm m; git push $HOME/remote.git main"
)
EVENTS = {"commit": COMMIT, "merge": MERGE, "push": PUSH}
AGAIN = {"merge": "merge --continue"}
every_event = pytest.mark.parametrize("verb", list(EVENTS))


def logged(stage: Stage) -> list[tuple[str, str]]:
    """(event, holder) of what was logged after alice's reservation."""
    log = stage.repository.guard("log", "--json", who="bob").json()["log"]
    return [(entry["event"], entry["holder"]) for entry in log if entry["event"] != "reserved"]


def reserve(stage: Stage, pattern: str, *, who: str, ttl_ms: int = 3_600_000, exclusive: bool = True) -> None:
    """A reservation; a negative time to live makes one that ran out a while ago."""
    store = SqliteStore(str(stage.store), patience_s=10)
    terms = Terms(exclusive=exclusive, reason="", ttl_ms=ttl_ms, fold=False, shorten=True)
    outcome = store.reserve(Actor(stage.project, who, "someone@here"), [Wanted(pattern.encode(), b"")], terms)
    assert outcome.reservations
    store.close()


@every_event
def test_block_refuses_and_says_so(stage: Stage, verb: str) -> None:
    done = play(stage.repository, EVENTS[verb])
    assert_as_expected(done, ["held/x.txt"])
    assert done.text.count(f"guard: {verb} refused: it changes 1 path that is reserved by alice.") == 1
    assert f"GUARD_SKIP=1 git {AGAIN.get(verb, verb + ' …')}" in done.text
    assert done.out.count(b"guard") == 0
    assert logged(stage) == [("refused", "bob")]


@every_event
@pytest.mark.parametrize("how", ["GUARD_MODE=warn", "guard.mode=warn"])
def test_warn_lets_through_and_says_so(stage: Stage, verb: str, how: str) -> None:
    done = play(stage.repository, *with_setting(EVENTS[verb], how))
    assert done.code == 0, done.text
    assert f"guard: warning, this {verb} goes through (mode warn): it changes 1 path" in done.err.decode()
    assert blamed(done) == ["held/x.txt"]
    assert logged(stage) == [("warned", "bob")]


@every_event
@pytest.mark.parametrize("how", ["GUARD_MODE=off", "guard.mode=off"])
def test_off_is_silent(stage: Stage, verb: str, how: str) -> None:
    assert_as_expected(play(stage.repository, *with_setting(EVENTS[verb], how)), [])
    assert logged(stage) == []


def with_setting(script: str, how: str) -> tuple[str]:
    """The script, with one setting for its last command."""
    before, _, last = script.rpartition("; ")
    return (f"{before}; {how} {last}" if how.startswith("GUARD_") else f"{before}; git -c {how} {last[len('git ') :]}",)


@every_event
def test_skipped_once_is_said_and_recorded(stage: Stage, verb: str) -> None:
    done = play(stage.repository, *with_setting(EVENTS[verb], "GUARD_SKIP=1"))
    assert done.code == 0, done.text
    said = f"guard: GUARD_SKIP is set: this {verb} goes past what is reserved by alice; that is recorded."
    assert said in done.err.decode()
    assert blamed(done) == []
    assert logged(stage) == [("bypassed", "bob")]


@pytest.mark.parametrize("value", ["0", ""])
def test_not_skipped(stage: Stage, value: str) -> None:
    assert_as_expected(play(stage.repository, COMMIT, env={"GUARD_SKIP": value}), ["held/x.txt"])


def test_nothing_to_skip_is_not_mentioned(stage: Stage) -> None:
    with no_python(stage.repository):
        script = "echo new >free.txt; git commit -qam m"
        assert_as_expected(play(stage.repository, script, env={"GUARD_SKIP": "1"}), [])
    assert logged(stage) == []


def test_an_unknown_mode_refuses(stage: Stage) -> None:
    done = play(stage.repository, COMMIT, env={"GUARD_MODE": "warm"})
    assert blamed(done) == ["held/x.txt"]
    assert done.code == 1
    assert "unknown mode 'warm' (from the environment variable GUARD_MODE), treated as block" in done.text


def test_shared_reservations_refuse_nobody(stage: Stage) -> None:
    reserve(stage, "/src/b.py", who="alice", exclusive=False)
    reserve(stage, "/src/b.py", who="carol", exclusive=False)
    assert_as_expected(play(stage.repository, "echo new >src/b.py; git commit -qam m"), [])
    assert_as_expected(play(stage.repository, "echo newer >src/b.py; git commit -qam m", env=ALICE), [])


ALICE = {"GUARD_AGENT": "alice"}


def test_my_own_reservation_does_not_refuse_me(stage: Stage) -> None:
    for verb in EVENTS:
        stage.restore()
        assert play(stage.repository, EVENTS[verb], env=ALICE).code == 0
    stage.restore()
    reserve(stage, "/free.txt", who="bob")
    done = play(stage.repository, "echo new | tee free.txt held/x.txt; git commit -am m")
    assert_as_expected(done, ["held/x.txt"])


def test_mine_within_theirs_is_still_theirs(stage: Stage) -> None:
    """A row that another program wrote: guard would not have granted it."""
    with connected(stage.store) as connection:
        connection.execute(
            "INSERT INTO reservation (project, holder, pattern, created_at, expires_at)"
            " VALUES (?, 'bob', '/held/x.txt', 0, 9e12)",
            (stage.project,),
        )
    assert_as_expected(play(stage.repository, COMMIT), ["held/x.txt"])


def test_an_expired_reservation_does_not_refuse(stage: Stage) -> None:
    reserve(stage, "/src/b.py", who="alice", ttl_ms=-1000)
    assert_as_expected(play(stage.repository, "echo new >src/b.py; git commit -qam m"), [])
    with no_python(stage.repository):  # the next one is quick again
        assert_as_expected(play(stage.repository, "echo newer >src/b.py; git commit -qam m"), [])


@every_event
def test_who_commits_after_their_own_lease_has_run_out_is_told_in_that_hook(stage: Stage, verb: str) -> None:
    """The lease ran out while nobody asked the store, so nothing has recorded it yet."""

    def an_hour_ago() -> int:
        return time.time_ns() // 1_000_000 - 3_600_000

    past = SqliteStore(str(stage.store), patience_s=10, clock=an_hour_ago)
    terms = Terms(exclusive=True, reason="", ttl_ms=60_000, fold=False, shorten=True)
    past.reserve(Actor(stage.project, "bob", "someone@here"), [Wanted(b"/src/b.py", b"")], terms)
    past.close()
    told = play(stage.repository, EVENTS[verb].replace("held/x.txt", "src/b.py"))
    assert told.code == 0, told.text
    assert told.text.count("guard: your reservation #2 of /src/b.py expired at") == 1
    assert "expired" not in play(stage.repository, "git commit -q --allow-empty -m m").text
    with no_python(stage.repository):
        assert_as_expected(play(stage.repository, "git commit -q --allow-empty -m m"), [])


def test_a_union_is_fresh_until_the_holders_own_lease_runs_out(stage: Stage) -> None:
    """What the hook compares is a file whose time is that instant; here it is moved to the past."""
    store = SqliteStore(str(stage.store), patience_s=10)
    terms = Terms(exclusive=True, reason="", ttl_ms=60_000, fold=False, shorten=True)
    store.reserve(Actor(stage.project, "bob", "someone@here"), [Wanted(b"/src/b.py", b"")], terms)
    renew(store)
    store.close()
    commit = "git commit -q --allow-empty -m m"
    with no_python(stage.repository):
        assert_as_expected(play(stage.repository, commit), [])
    (due,) = stage.slot.glob("*/due")
    assert due.stat().st_mtime > time.time()
    age(due)
    with no_python(stage.repository):
        assert play(stage.repository, commit).code == 1
    assert_as_expected(play(stage.repository, commit), [])


def test_a_released_reservation_does_not_refuse(stage: Stage) -> None:
    stage.repository.guard("release", "--all", who="alice")
    with no_python(stage.repository):
        assert_as_expected(play(stage.repository, "echo new >held/x.txt; git commit -qam m"), [])


def test_every_holder_and_every_path_is_named(stage: Stage) -> None:
    reserve(stage, "/src/*.py", who="carol")
    script = "for n in $(seq 12); do echo $n >src/part$n.py; done; echo new >held/x.txt; git add -A; git commit -m m"
    done = play(stage.repository, script)
    assert_as_expected(done, ["held/x.txt", *(f"src/part{number}.py" for number in range(1, 13))])
    assert "it changes 13 paths that are reserved by alice and carol." in done.text
    assert "guard break 1 2 --reason" in done.text


def test_somebody_else_in_another_project_refuses_nobody(stage: Stage) -> None:
    elsewhere = SqliteStore(str(stage.store), patience_s=10)
    terms = Terms(exclusive=True, reason="", ttl_ms=3_600_000, fold=False, shorten=False)
    elsewhere.reserve(Actor("another", "alice", "someone@here"), [Wanted(b"/free.txt", b"")], terms)
    elsewhere.close()
    assert_as_expected(play(stage.repository, "echo new >free.txt; git commit -qam m"), [])


def test_without_reservations_no_setting_can_block(stage: Stage) -> None:
    stage.repository.guard("release", "--all", who="alice")
    wrong = {"GUARD_AGENT": "x" * 300, "GUARD_TTL": "soon", "GUARD_MODE": "none", "GUARD_ON_ERROR": "perhaps"}
    for env in ({name: value} for name, value in wrong.items()):
        assert_as_expected(play(stage.repository, "date >held/x.txt; git commit -qam m --allow-empty", env=env), [])
