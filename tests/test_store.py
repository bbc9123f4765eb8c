"""What every kind of store promises, on a real one of each kind with a clock of the test's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.judge import verdict
from guard.model import Change
from guard.stores.completions import AT_MOST, HOLDERS, IDS, PATTERNS, Begun
from guard.stores.interface import Actor, Chosen, Wanted
from guard.stores.sqlite_writing import PRUNED_AT_ONCE
from guard.stores.waiting_process import namespace
from tests.support.stores import ALICE, BENCHES, BOB, CAROL, DAY, HOUR, Bench


@pytest.fixture(params=BENCHES, ids=lambda kind: kind.name)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A fresh store of each kind."""
    made = request.param(tmp_path)
    yield made
    made.close()


def test_what_ended_is_remembered_for_the_retention_and_then_forgotten_in_bites(bench: Bench) -> None:
    many = 3 * PRUNED_AT_ONCE
    for start in range(0, many, 100):
        bench.reserve(ALICE, *(f"/file{number}" for number in range(start, start + 100)))
    bench.store.release(ALICE, Chosen(everything=True))
    bench.reserve(ALICE, "/kept", ttl=30 * DAY)
    bench.clock.now += 29 * DAY
    bench.reserve(BOB, "/b")
    assert len(bench.store.ended("project").reservations) == many
    bench.clock.now += DAY + HOUR // 2
    left = []
    for _ in range(4):
        bench.reserve(BOB, "/b")
        left.append(bench.sql("SELECT count(*) FROM reservation WHERE ended_at IS NOT NULL AND holder = 'alice'")[0][0])
    assert left == [many - PRUNED_AT_ONCE + 1, many - 2 * PRUNED_AT_ONCE + 1, 1, 1]
    assert bench.sql("SELECT count(*) FROM log WHERE at < ?", bench.clock.now - 30 * DAY) < [(2 * many,)]


def test_each_row_and_entry_says_from_which_account_it_came(bench: Bench) -> None:
    bench.reserve(ALICE, "/a")
    bench.store.break_(BOB, [1], reason="why")
    assert bench.sql("SELECT principal FROM reservation") == [("alice@here",)]
    assert bench.sql("SELECT event, holder, principal, whose, reason FROM log ORDER BY id") == [
        ("reserved", "alice", "alice@here", "alice", ""),
        ("broken", "bob", "bob@here", "alice", "why"),
    ]


def completed(bench: Bench, words: str, start: str, *, actor: Actor = ALICE, mine: bool = True) -> list[str]:
    return bench.store.completions(Begun("project", actor.holder, words, mine, start))


def test_words_of_the_store_complete_what_is_begun(bench: Bench) -> None:
    bench.reserve(ALICE, "/src/auth", "/src/café", "/docs/**")
    bench.reserve(BOB, "/lib", "/src/bob's")
    bench.reserve(Actor("other", "dora", "dora@here"), "/src/other")
    bench.reserve(CAROL, "/gone", ttl=1000)
    bench.store.release(ALICE, Chosen(ids=(3,)))
    bench.clock.now += 1000
    assert completed(bench, PATTERNS, "") == ["/src/auth", "/src/café"]
    assert completed(bench, PATTERNS, "/src/c") == ["/src/café"]
    assert completed(bench, PATTERNS, "/lib") == []
    assert completed(bench, IDS, "") == ["1", "2"]
    assert completed(bench, IDS, "2") == ["2"]
    assert completed(bench, IDS, "", mine=False) == ["4", "5"]
    assert completed(bench, IDS, "%", mine=False) == completed(bench, IDS, "*", mine=False) == []
    assert completed(bench, HOLDERS, "b", mine=False) == ["bob"]
    assert completed(bench, HOLDERS, "", mine=True) == ["alice"]


def test_of_many_words_the_first_and_the_last_are_offered_so_that_no_shell_types_too_much(bench: Bench) -> None:
    bench.reserve(ALICE, *(f"/a/{number:04}" for number in range(AT_MOST + 50)), "/b/last")
    for number in range(AT_MOST + 50):
        bench.foreign_row(f"holder{number:04}", f"/c/{number}")
    bench.foreign_row("z", "/z")
    patterns = completed(bench, PATTERNS, "")
    assert (len(patterns), patterns[0], patterns[-1]) == (AT_MOST, "/a/0000", "/b/last")
    holders = completed(bench, HOLDERS, "", mine=False)
    assert (len(holders), holders[0], holders[-1]) == (AT_MOST, "holder0000", "z")
    ids = completed(bench, IDS, "")
    assert (len(ids), ids[0], ids[-1]) == (AT_MOST, "1", "99")
    assert {word[2:3] for word in completed(bench, IDS, "10")} == {"", *"0123456789"}


def test_a_holders_own_and_what_is_near_a_pattern(bench: Bench) -> None:
    bench.reserve(ALICE, "/src/auth/**", "/docs", "/SRC2")
    for pattern in ("/src/web/x.py", "/srcs", "/*/y", "/src", "/src/auth/z"):
        bench.foreign_row("mallory", pattern)
    assert bench.reserve(CAROL, "/x").conflicts  # whoever tries to write computes the prefixes of others' rows

    def near(*patterns: str) -> set[bytes]:
        return {row.pattern for row in bench.store.near("project", [each.encode() for each in patterns]).reservations}

    assert [row.pattern for row in bench.store.of_holder("project", "alice").reservations] == [
        *(b"/src/auth/**", b"/docs", b"/SRC2")
    ]
    everywhere = {b"/*/y"}
    assert near("/src/auth/**") == {b"/src/auth/**", b"/src", b"/src/auth/z"} | everywhere
    assert near("/src") == {b"/src/auth/**", b"/src", b"/src/web/x.py", b"/src/auth/z"} | everywhere
    assert near("/docs/a", "/SRCS") == {b"/docs", b"/srcs"} | everywhere
    assert len(near("**/x")) == 8


def test_an_expiry_is_exact_to_the_millisecond_and_final(bench: Bench) -> None:
    bench.reserve(ALICE, "/a", ttl=1000)
    bench.clock.now += 999
    assert bench.reserve(BOB, "/a").conflicts
    bench.clock.now += 1
    assert bench.reserve(BOB, "/a").reservations
    bench.clock.now -= 500  # the clock is set back: what was recorded as ended stays so
    assert [row.holder for row in bench.store.active("project").reservations] == ["bob"]
    assert [row.end for row in bench.store.notices("project", "alice")] == ["expired"]


def test_whoever_waits_longer_comes_first_unless_they_are_gone(bench: Bench) -> None:
    bench.reserve(ALICE, "/src")
    until = bench.clock.now + HOUR
    first = bench.store.queue(BOB, [Wanted(b"/src/**", b"")], exclusive=True, until=until)
    second = bench.store.queue(CAROL, [Wanted(b"/src/x", b"")], exclusive=True, until=until)
    elsewhere = bench.store.queue(CAROL, [Wanted(b"/docs", b"")], exclusive=True, until=until)
    bench.store.release(ALICE, Chosen(everything=True))
    assert bench.reserve(CAROL, "/docs", ticket=elsewhere).reservations, "those who want something else do not queue"
    assert bench.reserve(CAROL, "/src/x", ticket=second).ahead == 1
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    bench.sql("UPDATE waiter SET process = ? WHERE ticket = ?", dead.pid, first)
    assert bench.reserve(CAROL, "/src/x", ticket=second).reservations


def test_the_generation_counts_every_change_by_whichever_program(bench: Bench) -> None:
    seen = [bench.reserve(ALICE, "/a", "/b").generation]
    seen.append(bench.store.renew(ALICE, Chosen(ids=(1,)), ttl_ms=2 * HOUR).generation)
    bench.sql("UPDATE reservation SET expires_at = expires_at + 1 WHERE id = 2")
    seen.append(bench.store.active("project").generation)
    bench.sql("DELETE FROM reservation WHERE id = 2")
    seen.append(bench.store.active("project").generation)
    seen.append(bench.store.release(ALICE, Chosen(everything=True)).generation)
    assert seen == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("pattern", ["/src/[[:alpha:]].py", "/src/a**", "/src/***/x", "/src/[b", "/src/\\"])
def test_a_strangers_pattern_on_which_git_and_pathspec_differ_covers_all_it_could(bench: Bench, pattern: str) -> None:
    bench.foreign_row("mallory", pattern)
    changes = [Change(b"src/a.py"), Change(b"docs/a.py")]
    answer = verdict(bench.store, changes, project="project", me="bob", fold=False)
    assert [(found.path, found.reservation.typed) for found in answer.conflicts] == [(b"src/a.py", pattern.encode())]
    assert "could cover" in answer.conflicts[0].reservation.fault


# Rows of other programs


WRONG_PREFIXES = {
    "of elsewhere": b"docs",
    "longer than the pattern's": b"src/auth/deep",
    "in upper case": b"SRC/AUTH",
    "with a slash": b"/src/auth",
    "empty text": "",
    "text": "src/auth",
    "a number": 7,
    "none": None,
}


@pytest.mark.parametrize("checked", [None, 1], ids=["", "said to be checked"])
@pytest.mark.parametrize("wrong", WRONG_PREFIXES)
@pytest.mark.parametrize("how", ["inserted", "updated", "with its pattern"])
def test_a_wrong_prefix_hides_no_row(bench: Bench, wrong: str, how: str, checked: int | None) -> None:
    value = bench.column_value(WRONG_PREFIXES[wrong])
    said = {} if checked is None else {"prefix_checked": checked}
    if how == "inserted":
        bench.foreign_row("mallory", "/src/auth/*.py", prefix=value, **said)
    elif how == "updated":
        bench.foreign_row("mallory", "/src/auth/*.py")
        bench.reserve(CAROL, "/elsewhere")  # a writer has computed the prefix meanwhile
        bench.sql("UPDATE reservation SET prefix = ? WHERE holder = 'mallory'", value)
    else:
        bench.reserve(Actor("project", "mallory", "x"), "/docs/*.md")
        bench.sql("UPDATE reservation SET pattern = '/src/auth/*.py' WHERE holder = 'mallory'")
    change = [b"src/auth/login.py"]
    everything = bench.store.covering("project", change, everything=True)
    assert [row.holder for row in everything.reservations if row.holder != "carol"] == ["mallory"]
    if how == "inserted" and checked:
        return  # who lies on purpose is still found by whoever asks for everything
    found = bench.store.covering("project", change)
    assert [row.holder for row in found.reservations if row.holder != "carol"] == ["mallory"]
    assert bench.reserve(BOB, "/src/auth/login.py").conflicts
    assert bench.reserve(BOB, "/src").conflicts
    assert b"/src/auth/*.py" in bench.store.union_source("project", "bob").patterns


def test_a_writer_computes_the_prefixes_that_others_left_out(bench: Bench) -> None:
    bench.foreign_row("mallory", "/Src/auth/*.py", prefix=b"wrong")
    bench.foreign_row("mallory", "**/x")
    generation = bench.store.active("project").generation
    bench.store.record(BOB, "refused", (), reason="")
    assert bench.sql("SELECT prefix, prefix_checked FROM reservation ORDER BY id") == [(b"src/auth", 1), (b"", 1)]
    assert bench.store.active("project").generation == generation


# What a former holder is told


def test_a_break_carries_its_reason_and_who_and_when_to_its_victim(bench: Bench) -> None:
    bench.reserve(ALICE, "/src", "/docs", reason="new login")
    bench.clock.now += 5
    bench.store.break_(BOB, [1], reason="hotfix for the release")
    (notice,) = bench.another().notices("project", "alice")
    assert (notice.id, notice.end, notice.ended_by, notice.ended_at) == (1, "broken", "bob", bench.clock.now)
    assert notice.end_reason == "hotfix for the release"
    assert notice.reason == "new login"
    (ended,) = bench.store.ended("project").reservations
    assert ended == notice
    bench.store.told([notice])
    assert bench.another().notices("project", "alice") == ()


def test_a_lease_that_ran_out_is_told_with_its_pattern_and_one_released_is_not(bench: Bench) -> None:
    bench.reserve(ALICE, "/src", ttl=HOUR)
    bench.reserve(ALICE, "/docs", ttl=2 * HOUR)
    bench.store.release(ALICE, Chosen(patterns=(Wanted(b"/docs", b"docs"),)))
    bench.clock.now += HOUR
    bench.reserve(BOB, "/lib")
    (notice,) = bench.store.notices("project", "alice")
    assert (notice.pattern, notice.end, notice.ended_at, notice.ended_by) == (b"/src", "expired", bench.clock.now, None)
    assert notice.end_reason == ""


def test_a_union_says_when_the_first_of_the_holders_own_leases_runs_out(bench: Bench) -> None:
    assert bench.store.union_source("project", "alice").mine_until is None
    bench.reserve(ALICE, "/src", ttl=2 * HOUR)
    bench.reserve(ALICE, "/docs", ttl=HOUR)
    bench.reserve(BOB, "/lib", ttl=HOUR // 2)
    assert bench.store.union_source("project", "alice").mine_until == bench.clock.now + HOUR
    assert bench.store.union_source("project", "carol").mine_until is None


# Who waits


def test_a_process_is_asked_after_in_its_own_namespace_only(bench: Bench) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    until = bench.clock.now + HOUR
    first = bench.store.queue(BOB, [Wanted(b"/src", b"")], exclusive=True, until=until)
    second = bench.store.queue(CAROL, [Wanted(b"/src", b"")], exclusive=True, until=until)
    bench.sql("UPDATE waiter SET process = ?, namespace = 'pid:[1]' WHERE ticket = ?", dead.pid, first)
    assert bench.reserve(CAROL, "/src", ticket=second).ahead == 1, "in another container that number means another one"
    bench.sql("UPDATE waiter SET namespace = ? WHERE ticket = ?", namespace(), first)
    assert bench.reserve(CAROL, "/src", ticket=second).reservations


# Projects with one history


def test_projects_are_found_by_their_root_commits(bench: Bench) -> None:
    one, two, three = "a" * 40, "b" * 40, "c" * 64
    bench.store.remember_roots("shop", [one, two])
    bench.store.remember_roots("shop", [two])
    bench.store.remember_roots("fork", [three, two])
    bench.reserve(Actor("fork", "alice", "x"), "/a", "/b")
    bench.reserve(Actor("fork", "bob", "x"), "/c", ttl=1)
    bench.clock.now += 1
    assert bench.store.projects_with_roots([two]) == {"fork": 2, "shop": 0}
    assert bench.store.projects_with_roots([one, "d" * 40]) == {"shop": 0}
    assert bench.store.projects_with_roots(["d" * 40]) == {}
    assert bench.store.projects_with_roots([]) == {}
    assert bench.another().projects_with_roots([three]) == {"fork": 2}


# What one holds


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, 2**63, -(2**63) - 1, 10**30])
def test_a_number_that_no_reservation_has_is_not_found_however_large(bench: Bench, number: int) -> None:
    bench.reserve(ALICE, "/a")
    assert bench.store.release(ALICE, Chosen(ids=(number,))).not_found == (str(number),)
    assert bench.store.renew(ALICE, Chosen(ids=(number,)), ttl_ms=HOUR).not_found == (str(number),)
    assert bench.store.break_(BOB, [number], reason="why").not_found == (str(number),)
    assert bench.store.release(ALICE, Chosen(ids=(1, number))).not_found == (str(number),)


def test_one_row_among_many_is_released_renewed_and_reserved_again_by_id_and_by_pattern(bench: Bench) -> None:
    bench.reserve(ALICE, *(f"/file{number}" for number in range(50)))
    released = bench.store.release(
        ALICE, Chosen(ids=(7, 99), patterns=(Wanted(b"/file9", b"file9"), Wanted(b"/x", b"x")))
    )
    assert [row.pattern for row in released.reservations] == [b"/file6", b"/file9"]
    assert released.not_found == ("99", "x")
    renewed = bench.store.renew(ALICE, Chosen(ids=(8, 7, 1), patterns=(Wanted(b"/file0", b""),)), ttl_ms=9 * HOUR)
    assert [row.id for row in renewed.reservations] == [1, 8]
    assert renewed.not_found == ("7",)
    (again,) = bench.reserve(ALICE, "/file3").reservations
    assert again.id == 4
    assert not bench.store.release(BOB, Chosen(ids=(4,))).reservations, "another's"


def test_a_pattern_that_another_program_wrote_as_bytes_is_the_same_pattern(bench: Bench) -> None:
    bench.foreign_row("alice", "/src")
    bench.sql("UPDATE reservation SET pattern = CAST(pattern AS BLOB)")
    (row,) = bench.reserve(ALICE, "/src", ttl=2 * HOUR).reservations
    assert row.id == 1
    assert bench.store.release(ALICE, Chosen(patterns=(Wanted(b"/src", b""),))).reservations
