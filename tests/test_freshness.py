"""Each claim of guard/stores/freshness.py, tried: a union that looks fresh never misses a reservation."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from guard.stores import freshness
from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from guard.union import published as union
from tests.support import rows
from tests.support.databases import connected
from tests.support.repositories import GUARD, PACKAGE, Repository, age, run

TERMS = Terms(exclusive=True, reason="", ttl_ms=3_600_000, fold=False, shorten=False)


@pytest.fixture
def store_path(hermetic: Path) -> Path:
    return hermetic / ".local/share/guard/guard.db"


def project_of(repository: Repository) -> str:
    return str(repository.guard("whoami", "--json").json()["project"])


def quiet(repository: Repository, who: str = "bob") -> None:
    """Two commits that nobody minds: after them the union is published, and fresh."""
    for number in range(2):
        repository.commit("quiet.txt", f"{who} {number} {time.time_ns()}\n", who=who)
    assert is_fresh(repository, who)


EARLIER = "11111111-2222-3333-4444-555555555555"
"""The name of another boot."""


def is_fresh(repository: Repository, who: str) -> bool:
    """Would the hook believe the published union? Asked of the hook: it must not start the Python we name."""
    python = repository.common_dir / "guard/python"
    before = python.read_text()
    python.write_text("/nowhere\n/nowhere\n/nowhere\n")
    try:
        repository.write("quiet.txt", f"{time.time_ns()}\n")
        repository.git("add", "quiet.txt")
        done = repository.git("commit", "-q", "-m", "quiet", who=who, expect=None)
        return done.code == 0
    finally:
        python.write_text(before)


def write_as_a_stranger(store: Path, project: str, *, pattern: str = "/src/auth", journal: str = "delete") -> None:
    """Another program reserves for alice, and knows nothing of unions."""
    with connected(store) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        now = time.time_ns() // 1_000_000
        connection.execute(
            "INSERT INTO reservation (project, holder, pattern, created_at, expires_at) VALUES (?, 'alice', ?, ?, ?)",
            (project, pattern, now, now + 3_600_000),
        )


def assert_refused(repository: Repository, who: str = "bob") -> None:
    refused = repository.commit("src/auth/login.py", f"{time.time_ns()}\n", who=who, expect=1)
    assert "alice holds" in refused.text
    repository.git("reset", "-q", "--hard")


def test_any_program_writing_the_store_is_seen(repository: Repository, store_path: Path) -> None:
    quiet(repository)
    write_as_a_stranger(store_path, project_of(repository))
    assert_refused(repository)


@pytest.mark.parametrize("journal", ["truncate", "persist", "memory", "off", "wal"])
def test_whatever_journal_the_writer_uses(repository: Repository, store_path: Path, journal: str) -> None:
    quiet(repository)
    write_as_a_stranger(store_path, project_of(repository), journal=journal)
    assert_refused(repository)


def test_a_commit_in_a_log_that_is_still_open(repository: Repository, store_path: Path) -> None:
    project = project_of(repository)
    holding = sqlite3.connect(store_path, isolation_level=None)
    holding.execute("PRAGMA journal_mode = wal")
    holding.execute("SELECT * FROM project").fetchall()
    for _ in range(2):
        repository.commit("quiet.txt", f"{time.time_ns()}\n", who="bob")
    now = time.time_ns() // 1_000_000
    holding.execute(
        "INSERT INTO reservation (project, holder, pattern, created_at, expires_at) VALUES (?, 'alice', '/src', ?, ?)",
        (project, now, now + 3_600_000),
    )
    assert (store_path.parent / "guard.db-wal").stat().st_size > 0
    assert_refused(repository)
    holding.close()


def test_two_commits_under_one_tick_of_the_clock(repository: Repository, store_path: Path) -> None:
    quiet(repository)
    sealed = store_path.stat().st_mtime_ns
    write_as_a_stranger(store_path, "another project")
    first = store_path.stat().st_mtime_ns
    quiet(repository)  # published for the first commit's state
    write_as_a_stranger(store_path, project_of(repository))
    os.utime(store_path, ns=(first, first))  # the second commit carries the first one's time
    assert first != sealed
    assert_refused(repository)


def test_a_writer_stalled_between_write_and_commit(repository: Repository, store_path: Path) -> None:
    project = project_of(repository)
    quiet(repository)
    writer = sqlite3.connect(store_path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    now = time.time_ns() // 1_000_000
    writer.execute(
        "INSERT INTO reservation (project, holder, pattern, created_at, expires_at) VALUES (?, 'alice', '/src', ?, ?)",
        (project, now, now + 3_600_000),
    )
    os.utime(store_path)  # make the union stale: it is refreshed while the writer holds its lock
    repository.commit("quiet.txt", "meanwhile\n", who="bob")
    writer.execute("COMMIT")
    writer.close()
    assert_refused(repository)


def test_a_clock_set_back(repository: Repository, store_path: Path) -> None:
    quiet(repository)
    write_as_a_stranger(store_path, project_of(repository))
    then = time.time() - 86_400 * 400
    os.utime(store_path, (then, then))  # what a commit under a clock set back leaves
    assert_refused(repository)


def test_a_power_cut_that_lost_the_time_of_a_commit(repository: Repository, store_path: Path) -> None:
    quiet(repository)
    sealed = store_path.stat()
    write_as_a_stranger(store_path, project_of(repository))
    os.utime(store_path, ns=(sealed.st_atime_ns, sealed.st_mtime_ns))  # new contents under the old, sealed time
    boot = freshness.boot().decode().removeprefix("sysctl ")
    for name in ("*/current", "*/fresh.*"):  # they are of the boot before this one
        file = next((repository.git_dir / "guard/unions").glob(name))
        written = file.stat()
        assert boot in file.read_text()
        file.write_text(file.read_text().replace(boot, EARLIER))
        os.utime(file, ns=(written.st_atime_ns, written.st_mtime_ns))
        file.rename(file.with_name(file.name.replace(boot, EARLIER)))
    assert_refused(repository)


def test_the_store_replaced_and_restored(repository: Repository, store_path: Path, tmp_path: Path) -> None:
    project = project_of(repository)
    write_as_a_stranger(store_path, project)
    assert_refused(repository)
    backup = tmp_path / "backup.db"
    shutil.copy2(store_path, backup)  # with its time, as a backup program keeps it
    repository.guard("release", "--all", who="alice")
    quiet(repository)
    os.replace(shutil.copy2(backup, tmp_path / "copy.db"), store_path)
    assert_refused(repository)
    repository.guard("release", "--all", who="alice")
    quiet(repository)
    shutil.copy2(backup, store_path)
    assert_refused(repository)


def test_the_store_replaced_while_it_is_read(store_path: Path, tmp_path: Path) -> None:
    SqliteStore(str(store_path), patience_s=1).close()
    other = tmp_path / "other.db"
    shutil.copy2(store_path, other)
    connection = sqlite3.connect(store_path, isolation_level=None)

    def read() -> None:
        connection.execute("SELECT count(*) FROM reservation").fetchone()
        os.replace(other, store_path)

    _, (store, _) = freshness.read_sealed(connection, os.fsencode(store_path), read, now_ns=time.time_ns())
    connection.close()
    assert not store.proven


def test_two_holders_in_one_repository(repository: Repository) -> None:
    for who in ("alice", "bob"):
        quiet(repository, who)
    repository.guard("reserve", "src/auth", who="alice")
    assert_refused(repository, "bob")
    repository.commit("src/auth/login.py", "mine\n", who="alice")
    repository.guard("release", "--all", who="alice")
    repository.guard("reserve", "src/auth", who="bob")
    assert "bob holds" in repository.commit("src/auth/login.py", "no\n", who="alice", expect=1).text


def test_many_repositories_on_one_store(repository: Repository, tmp_path: Path) -> None:
    others = []
    for number in range(4):
        other = Repository.make(tmp_path / f"other{number}")
        other.install()
        others.append(other)
    for place in (repository, *others):
        quiet(place)
    others[0].guard("reserve", "src/auth", who="alice")
    assert_refused(others[0])
    for place in (repository, *others[1:]):
        assert is_fresh(place, "bob"), "a writer renews the unions of every repository on the store"
        place.commit("src/auth/login.py", "free here\n", who="bob")


def test_writers_renew_the_unions_they_make_stale(repository: Repository, tmp_path: Path) -> None:
    worktree = repository.worktree(tmp_path / "worktree", "side")
    quiet(repository)
    quiet(worktree)
    repository.guard("reserve", "src/auth", who="alice")
    assert is_fresh(repository, "bob")
    assert is_fresh(worktree, "bob")
    assert_refused(worktree)


@pytest.mark.parametrize(
    "change",
    [
        {"GUARD_AGENT": "carol"},
        {"AGENT_NAME": "carol", "GUARD_AGENT": ""},
        {"GUARD_PROJECT": "another"},
        {"GUARD_MODE": "off"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_environment_is_another_union(repository: Repository, change: dict[str, str]) -> None:
    repository.guard("reserve", "src/auth", who="carol")
    repository.guard("reserve", "src/auth", who="carol", env={"GUARD_PROJECT": "another"})
    for _ in range(3):
        repository.commit("quiet.txt", f"{time.time_ns()}\n", who="bob")
        assert repository.commit("src/auth/login.py", "no\n", who="bob", expect=1)
        repository.git("reset", "-q", "--hard")
        refused = "GUARD_PROJECT" in change
        repository.write("src/auth/login.py", f"{time.time_ns()}\n")
        repository.git(
            "commit", "-q", "-a", "-m", "x", env={"GUARD_AGENT": "bob", **change}, expect=1 if refused else 0
        )
        repository.git("reset", "-q", "--hard")


@pytest.mark.parametrize("where", ["local", "global", "include", "worktree"])
def test_another_name_in_the_configuration_is_seen(repository: Repository, hermetic: Path, where: str) -> None:
    """The union for bob must not be used for carol, though nothing in the environment has changed."""
    repository.git("config", "extensions.worktreeConfig", "true")
    repository.git("config", "guard.agent", "alice")
    included = hermetic / "more.config"
    repository.git("config", "--global", "include.path", str(included))
    for file in (repository.common_dir / "config", hermetic / ".gitconfig"):
        age(file)
    repository.guard("reserve", "src/auth")
    quiet(repository, who="")
    repository.commit("src/auth/login.py", "alice may\n")
    if where == "global":
        repository.git("config", "--unset", "guard.agent")
        repository.git("config", "--global", "guard.agent", "carol")
    elif where == "include":
        repository.git("config", "--unset", "guard.agent")
        age(repository.common_dir / "config")
        quiet(repository, who="")
        included.write_text("[guard]\n\tagent = carol\n")
    else:
        repository.git("config", f"--{where}", "guard.agent", "carol")
    assert "alice holds" in repository.commit("src/auth/login.py", "no\n", expect=1).text


def test_an_unowned_store_is_trusted_only_when_its_time_is_old(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    now = time.time_ns()
    assert not freshness.aged(os.fsencode(file), now_ns=now).proven
    age(file, 3)
    assert freshness.aged(os.fsencode(file), now_ns=now).proven
    assert freshness.aged(os.fsencode(tmp_path / "none"), now_ns=now) == freshness.Stamp(
        os.fsencode(tmp_path / "none"), None
    )


def test_seals_are_unlike_any_clock_and_unlike_each_other() -> None:
    seals = {freshness._draw_seal() for _ in range(10_000)}
    assert len(seals) == 10_000
    assert all(freshness._is_seal(seal) for seal in seals)
    assert not freshness._is_seal(time.time_ns())


def test_a_clock_set_back_does_not_free_what_has_expired_unrecorded(store_path: Path) -> None:
    clock = [1_700_000_000_000]
    store = SqliteStore(str(store_path), patience_s=1, clock=lambda: clock[0])
    actor = Actor("p", "alice", "a@h")
    store.reserve(actor, [Wanted(b"/a", b"a")], TERMS)
    clock[0] += TERMS.ttl_ms + 1
    assert store.union_source("p", "bob").patterns == (b"/a",)
    clock[0] -= 10
    assert [row.pattern for row in store.active("p").reservations] == [b"/a"]
    store.close()


@pytest.mark.parametrize("rounds", rows.some([12, 60], {12}))
def test_killed_at_random_instants_while_publishing(repository: Repository, rounds: int) -> None:
    """A reserve and a refresh are killed again and again; what was acknowledged refuses, whatever was left."""
    quiet(repository)
    acknowledged = False
    for number in range(rounds):
        process = subprocess.Popen(
            [*GUARD, "reserve", "src/auth", "--ttl", "1h"],
            cwd=repository.path,
            env={**os.environ, "GUARD_AGENT": "alice", "PYTHONPATH": str(PACKAGE)},
            stdout=subprocess.PIPE,
        )
        try:
            out, _ = process.communicate(timeout=None if number == rounds - 1 else 0.03 + 0.15 * number / rounds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            out, _ = process.communicate()
        held = repository.guard("list", "--json", who="alice").json()["reservations"]
        acknowledged = b"reserved" in out
        assert held or not acknowledged
        repository.write("src/auth/login.py", f"{number}\n")
        done = repository.git("commit", "-q", "-a", "-m", "x", who="bob", expect=None)
        assert (done.code == 1) == bool(held), done.text
        repository.git("reset", "-q", "--hard")
        repository.guard("release", "--all", who="alice", expect=None)
    assert acknowledged, "nothing killed the last one"


def test_a_torn_or_foreign_publication_is_a_miss(repository: Repository) -> None:
    quiet(repository)
    slot = next((repository.git_dir / "guard/unions").glob("bob*"))
    whole = (slot / "current").read_bytes()
    for length in range(0, len(whole), 7):
        (slot / "current").write_bytes(whole[:length])
        if union.load(os.fsencode(slot)) is None:
            continue
        pytest.fail(f"{length} of {len(whole)} bytes were understood")
    (slot / "current").write_bytes(b"1" + whole[1:])  # another version
    assert union.load(os.fsencode(slot)) is None


def test_the_hook_runs_no_script_that_somebody_has_written_to(repository: Repository, tmp_path: Path) -> None:
    """Cut short, or with commands of another's in it: it has the time of day then, and that is a miss."""
    quiet(repository)
    script = next((repository.git_dir / "guard/unions").glob("bob*/fresh.*"))
    whole = script.read_bytes()
    left = tmp_path / "left"
    foreign = b"echo run >'%b'\n%b" % (os.fsencode(left), whole)
    for contents in (foreign, b"", b"'", b"if", os.urandom(300), *(whole[:n] for n in range(0, len(whole), 97))):
        script.write_bytes(contents)
        assert not is_fresh(repository, "bob")
    assert not left.exists()
    assert is_fresh_after_a_hook(repository)


@pytest.mark.parametrize("part", ["boot", "host"])
def test_the_hook_runs_no_script_of_another_boot_or_container(
    repository: Repository, tmp_path: Path, part: str
) -> None:
    """So none that came with an archive of a repository is run."""
    quiet(repository)
    script = next((repository.git_dir / "guard/unions").glob("bob*/fresh.*"))
    _, boot, host = script.name.split(".", 2)
    script.rename(script.with_name(f"fresh.{EARLIER}.{host}" if part == "boot" else f"fresh.{boot}.{host}x"))
    assert not is_fresh(repository, "bob")
    assert is_fresh_after_a_hook(repository)


NO_BOOTS = {
    "a command": "cd",
    "what sh would expand": "$(id>$T)-0000-0000-0000-000000000000",
    "a command after another": "0;id>$T;-0000-0000-0000-000000000000",
    "a quote": "';id>$T;-0000-0000-0000-00000000000'",
    "a name with a value": "cd=id>$T-0000-0000-0000-000000000000",
    "a newline": "0\nid>$T\n-0000-0000-0000-000000000000",
    "an option": "-d96b5f9-0215-4bc7-8632-77d55baa8fee",
    "capitals": "5896B5F9-0215-4BC7-8632-77D55BAA8FEE",
    "a pattern": "????????-????-????-????-????????????",
    "nothing": "",
    "another boot": "5896b5f9-0215-4bc7-8632-77d55baa8fef",
}
"""What may stand in a file's name where the name of a boot is expected."""


@pytest.mark.parametrize("name", NO_BOOTS.values(), ids=list(NO_BOOTS))
def test_no_name_of_a_file_becomes_a_command_of_the_hook(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An archive of the repository may bring files of any name. Only the one with the boot's own name is run."""
    monkeypatch.setenv("T", str(tmp_path / "left"))
    quiet(repository)
    slot = next((repository.git_dir / "guard/unions").glob("bob*/fresh.*")).parent
    host = freshness.host().decode()
    (slot / f"fresh.{name}.{host}").write_text('echo run >"$T"\n')
    hook = repository.git_dir / "hooks/pre-commit"
    python = repository.git_dir / "guard/python"
    python.write_text("/nowhere/python\n/nowhere\n/nowhere\n")  # so what is not fresh would not pass
    done = run([str(hook)], cwd=repository.path, env={"GUARD_AGENT": "bob"})
    assert (done.code, done.out, done.err) == (0, b"", b"")
    assert not (tmp_path / "left").exists()


def test_in_another_boot_sh_says_nothing_of_a_name_that_is_no_command(repository: Repository) -> None:
    quiet(repository)
    script = next((repository.git_dir / "guard/unions").glob("bob*/fresh.*"))
    script.rename(script.with_name(f"fresh.{EARLIER}.{freshness.host().decode()}"))
    done = run([str(repository.git_dir / "hooks/pre-commit")], cwd=repository.path, env={"GUARD_AGENT": "bob"})
    assert (done.code, done.out, done.err) == (0, b"", b"")


def is_fresh_after_a_hook(repository: Repository) -> bool:
    repository.commit("quiet.txt", f"{time.time_ns()}\n", who="bob")
    return is_fresh(repository, "bob")


@pytest.mark.parametrize("shell", ["dash", "bash", "bash --posix", "busybox sh", "mksh", "ksh", "zsh --emulate sh"])
def test_every_shell_that_is_sh_somewhere_reads_it_the_same(repository: Repository, shell: str) -> None:
    words = shell.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not on this machine")
    if run((*words, "-c", "exit 7"), cwd=repository.path).code != 7:
        pytest.skip("does not apply: another shell stands in its place, and goes by the name it is called by")
    hook = repository.git_dir / "hooks/pre-commit"
    for _ in range(2):
        repository.commit("quiet.txt", f"{time.time_ns()}\n", who="bob")
    python = repository.common_dir / "guard/python"
    started = repository.path.parent / "started"
    real = python.read_text()
    recorder = repository.path.parent / "recorder"
    recorder.write_text(f'#!/bin/sh\necho "$@" >>{started}\nexec {real.splitlines()[0]} "$@"\n')
    recorder.chmod(0o755)
    python.write_text("\n".join([str(recorder), *real.splitlines()[1:]]) + "\n")

    def judged(name: str) -> tuple[int, int]:
        """The hook's exit code in that shell, and how often it started Python."""
        repository.write(name, f"{time.time_ns()}\n")
        repository.git("add", "-A")
        started.write_text("")
        done = run((*words, str(hook)), cwd=repository.path, env={"GUARD_AGENT": "bob"})
        repository.git("reset", "-q", "--hard")
        return done.code, len(started.read_text().splitlines())

    assert judged("src/auth/login.py") == (0, 0)
    repository.guard("reserve", "src/auth", who="alice")
    assert judged("a.txt") == (0, 0)
    assert judged("src/auth/login.py") == (1, 1)
    os.utime(Path(os.environ["HOME"]) / ".local/share/guard/guard.db")
    assert judged("a.txt") == (0, 1)
    assert judged("a.txt") == (0, 0)


def test_a_publication_never_follows_a_link_out_of_the_repository(repository: Repository, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    unions = repository.git_dir / "guard/unions"
    shutil.rmtree(unions, ignore_errors=True)
    unions.symlink_to(elsewhere)
    repository.guard("reserve", "src/auth", who="alice")
    repository.commit("a.txt", who="bob")
    assert_refused(repository)
    assert list(elsewhere.iterdir()) == []
