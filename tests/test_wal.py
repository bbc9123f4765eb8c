"""What guard/stores/freshness.py claims of others' databases, tried with a server that writes, stalls and dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from guard.stores.agent_mail import wal
from guard.stores.sqlite_file import connect
from tests.support.agent_mail import Mail, Server, guarded, index, set_index
from tests.support.event_cases import no_python, run_hook
from tests.support.repositories import Repository, age
from tests.support.strace import why_not

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RESERVED = "src/auth/**"


@pytest.fixture
def mail(tmp_path: Path) -> Mail:
    made = Mail.make(tmp_path / "mail.db")
    made.project(tmp_path / "repository")
    return made


@pytest.fixture
def repository(tmp_path: Path, mail: Mail) -> Repository:
    return guarded(tmp_path / "repository", mail)


def patterns(connection: Any) -> list[bytes]:
    return [row[0] for row in connection.execute("SELECT path_pattern FROM file_reservations ORDER BY id")]


def read(
    mail: Mail, query: Callable[[Any], list[bytes]] = patterns, *, hows: list[str] | None = None
) -> tuple[list[bytes], bool]:
    """What stands in the database, and whether that is proven to be current. ``hows`` collects how it was opened."""

    def opened(how: str) -> Any:
        if hows is not None:
            hows.append(how)
        return connect(str(mail.path), how, patience_s=5)

    found, stamps = wal.read(os.fsencode(mail.path), opened, query, now_ns=time.time_ns())
    return found, all(stamp.holds() for stamp in stamps)


def quiet(repository: Repository, mail: Mail) -> None:
    """Nobody has written for a while, and bob's union is published and fresh."""
    mail.settle()
    for _ in range(2):
        assert run_hook(repository, "pre-commit").code == 0
    assert is_fresh(repository)


def is_fresh(repository: Repository) -> bool:
    with no_python(repository):
        return run_hook(repository, "pre-commit").code == 0


def refused(repository: Repository) -> bool:
    """Is bob refused to change what is reserved? With what was published, or read anew."""
    repository.write("src/auth/login.py", f"{time.time_ns()}\n")
    repository.git("add", "-A")
    done = run_hook(repository, "pre-commit")
    repository.git("reset", "-q", "--hard")
    assert done.code in (0, 1), done.text
    assert ("BlueLake holds" in done.text) == bool(done.code)
    return done.code == 1


# The times


def test_old_times_prove_and_young_ones_do_not(mail: Mail) -> None:
    with Server(mail):
        mail.reserve(RESERVED)
        assert read(mail) == ([RESERVED.encode()], False)
        mail.settle()
        assert read(mail) == ([RESERVED.encode()], True)
        log = mail.path.with_name("mail.db-wal")
        os.utime(log)
        assert not read(mail)[1]
        age(log, -3600)  # the clock was set back since
        assert not read(mail)[1]
        age(log)
        os.utime(mail.path)  # somebody is writing the log back
        assert not read(mail)[1]


def test_a_quiet_database_costs_no_python_and_a_write_is_seen(repository: Repository, mail: Mail) -> None:
    with Server(mail) as server:
        server.do(*mail.reservation("lib/**"))
        quiet(repository, mail)
        server.do(*mail.reservation(RESERVED))
        assert refused(repository)


def test_two_commits_in_one_tick_of_the_clock(repository: Repository, mail: Mail) -> None:
    log = mail.path.with_name("mail.db-wal")
    with Server(mail) as server:
        quiet(repository, mail)
        server.do("INSERT INTO messages (body) VALUES ('x')")
        tick = log.stat().st_mtime_ns
        assert run_hook(repository, "pre-commit").code == 0
        server.do(*mail.reservation(RESERVED))
        os.utime(log, ns=(tick, tick))
        assert refused(repository)


@pytest.mark.parametrize("kind", ["PASSIVE", "RESTART", "TRUNCATE"])
def test_the_log_is_written_back_and_begun_anew(repository: Repository, mail: Mail, kind: str) -> None:
    with Server(mail) as server:
        server.do("INSERT INTO messages (body) VALUES ('x')")
        quiet(repository, mail)
        server.do(*mail.reservation(RESERVED))
        server.do(f"PRAGMA wal_checkpoint({kind})")
        assert refused(repository)
        server.do("UPDATE file_reservations SET released_ts = ?", mail.at())
        assert not refused(repository)
        mail.settle()
        assert read(mail)[1]
        server.do(f"PRAGMA wal_checkpoint({kind})")
        server.do("UPDATE file_reservations SET released_ts = NULL")
        assert refused(repository)


def test_another_database_in_its_place(repository: Repository, mail: Mail, tmp_path: Path) -> None:
    quiet(repository, mail)
    other = Mail.make(tmp_path / "other.db")
    other.project(repository.path)
    other.reserve(RESERVED)
    age(other.path, 7200)
    os.replace(other.path, mail.path)
    assert refused(repository)


def test_through_a_symbolic_link_the_log_is_found(repository: Repository, mail: Mail, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(mail.path)
    repository.git("config", "guard.db", str(link))
    age(repository.common_dir / "config")
    with Server(mail) as server:
        quiet(repository, mail)
        server.do(*mail.reservation(RESERVED))
        assert refused(repository)
        mail.settle()
        assert not is_fresh(repository) or refused(repository)
        assert sorted(path.name for path in link.parent.iterdir()) == ["link.db"]


# Between write and commit


def stall(server: Server, mail: Mail, statement: str, *values: object) -> bytes:
    """Commits, and takes back that readers may see it: as if the writer stood still in its fsync. Returns the rest."""
    before = index(mail)
    server.do(statement, *values)
    after = index(mail)
    assert after != before
    set_index(mail, before)
    return after


def test_a_writer_that_stalls_before_others_may_see(repository: Repository, mail: Mail) -> None:
    with Server(mail) as server:
        server.do("INSERT INTO messages (body) VALUES ('x')")
        quiet(repository, mail)
        rest = stall(server, mail, *mail.reservation(RESERVED))
        mail.settle()
        assert read(mail) == ([], False)
        assert not refused(repository)
        set_index(mail, rest)  # and goes on, with the log's time as it was
        assert refused(repository)
        assert read(mail) == ([RESERVED.encode()], True)


def test_a_writer_that_goes_on_while_we_read(mail: Mail) -> None:
    with Server(mail) as server:
        server.do("INSERT INTO messages (body) VALUES ('x')")
        rest = stall(server, mail, *mail.reservation(RESERVED))
        mail.settle()

        def query(connection: Any) -> list[bytes]:
            found = patterns(connection)
            set_index(mail, rest)
            return found

        assert read(mail, query) == ([RESERVED.encode()], True), "it was looked at again"


def test_a_large_transaction_that_is_not_done(repository: Repository, mail: Mail) -> None:
    with Server(mail) as server:
        server.do("PRAGMA cache_size = 2")
        server.do("PRAGMA wal_autocheckpoint = 0")
        quiet(repository, mail)
        reservation = mail.reservation(RESERVED)
        size = mail.path.with_name("mail.db-wal").stat().st_size
        server.do("BEGIN IMMEDIATE")
        server.do(*reservation)
        for _ in range(50):
            server.do("INSERT INTO messages (body) VALUES (?)", "x" * 9000)
        assert mail.path.with_name("mail.db-wal").stat().st_size > size + 100_000, "nothing was written yet"
        mail.settle()
        assert read(mail) == ([], False)
        assert not refused(repository)
        server.do("COMMIT")
        assert refused(repository)


def test_what_was_rolled_back_is_doubted_and_then_forgotten(mail: Mail) -> None:
    with Server(mail) as server:
        server.do("PRAGMA cache_size = 2")
        server.do("BEGIN IMMEDIATE")
        for _ in range(50):
            server.do("INSERT INTO messages (body) VALUES (?)", "x" * 9000)
        server.do("ROLLBACK")
        mail.settle()
        assert read(mail) == ([], False)
        for _ in range(200):
            server.do("INSERT INTO messages (body) VALUES (?)", "x" * 9000)
        mail.settle()
        assert read(mail) == ([], True)


def test_what_a_killed_writer_left_is_read_or_doubted(repository: Repository, mail: Mail) -> None:
    other = Server(mail)
    server = Server(mail)
    quiet(repository, mail)
    stall(server, mail, *mail.reservation(RESERVED))
    server.kill()
    mail.settle()
    assert read(mail) == ([], False), "another process is still connected: nobody has recovered the log"
    assert not refused(repository)
    other.kill()
    assert refused(repository), "the first to connect recovers it, without touching the log"
    assert read(mail) == ([RESERVED.encode()], True)


_WRITER = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA synchronous = FULL")
connection.execute(*json.loads(sys.argv[2]))
"""


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("log", ["goes on", "begins anew", "is new"])
def test_a_writer_held_inside_fsync(repository: Repository, mail: Mail, log: str) -> None:
    """What stalls the writer above by hand, done by the system: its first frame is written, its commit is not seen."""
    statement, *values = mail.reservation(RESERVED)
    trace = ("strace", "-f", "-o", os.devnull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=1500000")
    with Server(mail) as server:
        if log != "is new":
            server.do("INSERT INTO messages (body) VALUES ('x')")
        if log == "begins anew":
            server.do("PRAGMA wal_checkpoint(RESTART)")
        quiet(repository, mail)
        frames = mail.path.with_name("mail.db-wal")
        before = in_log(frames)
        told = [str(mail.path), json.dumps([statement, values])]
        with subprocess.Popen([*trace, sys.executable, "-c", _WRITER, *told]) as writer:
            while in_log(frames) == before and writer.poll() is None:
                time.sleep(0.005)
            time.sleep(0.1)  # the last of its frames
            mail.settle()
            assert read(mail) == ([], False)
            assert not refused(repository)
            assert writer.poll() is None
        assert writer.returncode == 0
        assert refused(repository)


def in_log(file: Path) -> bytes:
    """To which logs the frames belong, one after the other: their salts."""
    data = file.read_bytes() if file.exists() else b""
    return b"".join(data[at + 8 : at + 16] for at in range(32, len(data), 24 + 4096))


# Nothing beside


def test_reading_leaves_the_log_and_everything_else_alone(repository: Repository, mail: Mail) -> None:
    mail.reserve(RESERVED)
    with Server(mail) as server:
        server.do("INSERT INTO messages (body) VALUES ('x')")
        before = mail.beside()
        assert sorted(before) == ["mail.db", "mail.db-shm", "mail.db-wal"]
        assert before["mail.db-wal"]
        ask_everything(repository)
        assert mail.beside() == before


def test_reading_a_database_at_rest_makes_nothing(repository: Repository, mail: Mail) -> None:
    mail.reserve(RESERVED)
    with Server(mail):
        pass
    time.sleep(wal.TICK_NS / 1e9)
    before = mail.beside()
    assert list(before) == ["mail.db"]
    ask_everything(repository)
    mail.settle()
    ask_everything(repository)
    assert mail.beside() == before
    assert read(mail) == ([RESERVED.encode()], True)


def ask_everything(repository: Repository) -> None:
    assert refused(repository)
    for words in (["list"], ["list", "--all-projects"], ["list", "--ended"], ["status"], ["whoami"], ["log"]):
        repository.guard(*words, who="bob")
    repository.guard("check", "src/auth/login.py", who="bob", expect=1)
    repository.guard("reserve", "a.txt", who="bob", expect=1)
    repository.guard("release", "--all", who="bob", expect=1)


@pytest.mark.parametrize("journal", ["delete", "truncate", "persist"])
def test_a_rollback_journal(tmp_path: Path, journal: str) -> None:
    mail = Mail.make(tmp_path / "mail.db", journal=journal)
    mail.project(tmp_path / "repository")
    repository = guarded(tmp_path / "repository", mail)
    assert not read(mail)[1]
    quiet(repository, mail)
    mail.reserve(RESERVED)
    assert refused(repository)
    mail.settle()
    assert read(mail) == ([RESERVED.encode()], True)


def test_a_file_that_changes_while_it_is_read_without_locks(mail: Mail) -> None:
    """A server starts, writes and ends between the first look and the last: it is read again."""
    mail.settle()
    reads: list[list[bytes]] = []

    def query(connection: Any) -> list[bytes]:
        found = patterns(connection)
        if not reads:
            mail.reserve(RESERVED)
        reads.append(found)
        return found

    assert read(mail, query) == ([RESERVED.encode()], False)
    assert reads[0] == []


def test_a_file_just_written_is_read_with_locks(mail: Mail) -> None:
    for young, how in ((True, wal.LOCKED), (False, wal.UNLOCKED)):
        time.sleep(0 if young else wal.TICK_NS / 1e9)
        mail.path.with_name("mail.db-wal").unlink(missing_ok=True)
        if young:
            os.utime(mail.path)
        hows: list[str] = []
        assert read(mail, hows=hows) == ([], False)
        assert hows == [how]


# While it writes


def test_no_acknowledged_reservation_is_missed_while_mail_pours_in(repository: Repository, mail: Mail) -> None:
    with Server(mail, busy_s=0.002) as server:
        for number in range(8):
            server.do(*mail.reservation(RESERVED))
            assert refused(repository), number
            server.do("UPDATE file_reservations SET released_ts = ?", mail.at())
            assert not refused(repository), number


@pytest.mark.long
def test_no_acknowledged_reservation_is_missed_between_pauses(repository: Repository, mail: Mail) -> None:
    """With pauses in which times grow old, so that unions are published and believed."""
    believed = 0
    with Server(mail) as server:
        for number in range(40):
            for _ in range(2):
                time.sleep(1.1 + number % 3 / 10)
                assert run_hook(repository, "pre-commit").code == 0
            believed += is_fresh(repository)
            server.do(*mail.reservation(RESERVED))
            if number % 4 == 0:
                server.do("PRAGMA wal_checkpoint(TRUNCATE)")
            assert refused(repository), number
            server.do("UPDATE file_reservations SET released_ts = ?", mail.at())
            assert not refused(repository), number
    assert believed > 20
