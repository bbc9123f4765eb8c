"""A PostgreSQL store when the server, the network, the role or the database is not as it should be."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from guard.model import GuardError
from guard.stores.interface import Actor, Chosen, Contents, Opening, Outcome, Terms, Unreachable, Wanted
from guard.stores.postgres.store import PostgresStore
from guard.stores.postgres.versions import VERSION, init
from guard.words import safe
from tests.support import postgres
from tests.support.postgres import OPENING, Server
from tests.support.proxy import CUT, HOLD, PASS, Proxy
from tests.support.repositories import PACKAGE, age
from tests.support.stores import ALICE, BOB, HOUR, PROJECT


@pytest.fixture
def server() -> Server:
    return postgres.server_or_skip()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may stop, break and configure."""
    postgres.server_or_skip()
    made = Server().make()
    yield made
    made.remove()


@pytest.fixture
def database(server: Server) -> str:
    return server.guard_database()


def reserve(store: PostgresStore, actor: Actor, *patterns: str) -> Outcome:
    wanted = [Wanted(pattern.encode(), pattern.encode()) for pattern in patterns]
    return store.reserve(actor, wanted, Terms(exclusive=True, reason="", ttl_ms=HOUR, fold=False, shorten=False))


def held(server: Server, database: str) -> list[tuple[str, bytes]]:
    return server.sql(database, "SELECT holder, pattern FROM reservation WHERE ended_at IS NULL ORDER BY id")


def refused(address: str, *, opening: Opening = OPENING) -> GuardError:
    """The error that reading and writing meet alike."""
    errors = []
    deeds: tuple[Callable[[PostgresStore], object], ...] = (
        lambda store: store.active(PROJECT),
        lambda store: reserve(store, ALICE, "/a"),
    )
    for deed in deeds:
        with closing(PostgresStore(address, opening)) as store, pytest.raises(GuardError) as caught:
            deed(store)
        assert caught.value.code == 3
        assert caught.value.hint
        errors.append(caught.value)
    assert errors[0].hint == errors[1].hint
    return errors[0]


# What is at the address


def test_a_database_without_guards_tables_is_an_error_that_names_the_command(server: Server) -> None:
    error = refused(server.address(server.database()))
    assert "without guard's tables" in error.what
    assert error.hint == "guard store init"


def test_a_schema_that_is_called_guard_and_is_somebody_elses_is_left_alone(server: Server) -> None:
    name = server.database()
    server.sql(name, "CREATE SCHEMA guard; CREATE TABLE guard.users (id int)")
    assert "tables" in refused(server.address(name)).what
    done = guard("store", "init", server.address(name), expect=3)
    assert "is not guard's; it was left as it is" in done
    assert server.sql(name, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'guard'") == [
        ("users",)
    ]


def test_a_schema_for_newer_guards_is_refused_and_one_that_was_only_written_by_one_is_not(
    server: Server, database: str
) -> None:
    server.sql(database, "UPDATE version SET written_by = %s", VERSION + 1)
    with closing(PostgresStore(server.address(database), OPENING)) as store:
        assert reserve(store, ALICE, "/a").reservations
    server.sql(database, "UPDATE version SET readable_since = %s", VERSION + 1)
    deeds: tuple[Callable[[PostgresStore], object], ...] = (
        lambda store: store.active(PROJECT),
        lambda store: store.union_source(PROJECT, "bob"),
    )
    for deed in deeds:
        with closing(PostgresStore(server.address(database), OPENING)) as store, pytest.raises(GuardError) as caught:
            deed(store)
        assert "is for newer guards" in caught.value.what
        assert "upgrade" in caught.value.hint


def test_a_database_that_does_not_exist_is_named(server: Server) -> None:
    error = refused(server.address("nowhere"))
    assert isinstance(error, Unreachable)
    assert 'database "nowhere" does not exist' in error.what


@pytest.mark.parametrize(
    ("encoding", "of_client"),
    [("SQL_ASCII", None), ("LATIN1", None), ("UTF8", "LATIN1"), ("UTF8", "SQL_ASCII"), ("SQL_ASCII", "LATIN1")],
)
def test_the_encoding_of_a_database_and_of_a_clients_environment_changes_no_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch, encoding: str, of_client: str | None
) -> None:
    """initdb in the locale C makes databases in SQL_ASCII, from which psycopg would read bytes instead of text."""
    name = server.database()
    server.sql("postgres", f"DROP DATABASE {name}")
    server.sql(
        "postgres", f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    if of_client:
        monkeypatch.setenv("PGCLIENTENCODING", of_client)
    anne = ALICE._replace(holder="änne")
    with closing(PostgresStore(server.address(name), OPENING)) as store:
        init(store.connection)
        assert reserve(store, anne, "/ä").reservations
        assert reserve(store, BOB, "/ä").conflicts
        assert [(row.holder, row.pattern) for row in store.active(PROJECT).reservations] == [("änne", "/ä".encode())]
        assert store.release(anne, Chosen(everything=True)).reservations
        assert [entry.holder for entry in store.log(PROJECT, limit=9)] == ["änne", "änne"]


def test_a_role_without_rights_is_told_so_and_init_grants_them(server: Server, database: str) -> None:
    server.sql("postgres", f"DROP ROLE IF EXISTS {database}_alice; CREATE ROLE {database}_alice LOGIN")
    address = server.address(database, user=f"{database}_alice")
    error = refused(address)
    assert "gives this role too few rights" in error.what
    assert error.hint == "the owner of the tables runs: guard store init --grant ROLE"
    guard("store", "init", server.address(database), "--grant", f"{database}_alice")
    with closing(PostgresStore(address, OPENING)) as store:
        assert reserve(store, ALICE, "/a").reservations
        assert store.release(ALICE, Chosen(everything=True)).reservations
        store.backup(f"/tmp/{database}.backup.db")
        os.unlink(f"/tmp/{database}.backup.db")
        store.take_in(store.contents())
        with pytest.raises(GuardError, match="too few rights"):
            store.move_out("/elsewhere", lambda contents: None)
    assert server.sql(database, "SELECT DISTINCT role FROM reservation") == [(f"{database}_alice",)]
    server.sql("postgres", f"REASSIGN OWNED BY {database}_alice TO owner")


def test_a_role_that_may_only_read_gets_answers_and_expired_rows_are_not_among_them(
    server: Server, database: str
) -> None:
    role = f"{database}_reader"
    server.sql(database, f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA guard TO {role}")
    server.sql(database, f"GRANT SELECT ON ALL TABLES IN SCHEMA guard TO {role}")
    with closing(PostgresStore(server.address(database), OPENING)) as store:
        reserve(store, ALICE, "/a", "/b")
    server.sql(database, "UPDATE reservation SET expires_at = guard.clock() - 1 WHERE pattern = '/a'")
    with closing(PostgresStore(server.address(database, user=role), OPENING)) as store:
        assert [row.pattern for row in store.active(PROJECT).reservations] == [b"/b"]
        assert [row.pattern for row in store.covering(PROJECT, [b"b/x"]).reservations] == [b"/b"]


def test_a_replica_is_refused_because_it_may_be_behind(own_server: Server) -> None:
    own_server.settings = ("wal_level=replica", "max_wal_senders=4", "hot_standby=on")
    own_server.start()
    name = own_server.guard_database()
    with closing(PostgresStore(own_server.address(name), OPENING)) as store:
        reserve(store, ALICE, "/a")
    replica = Server(settings=("hot_standby=on",))
    source = ("-h", str(own_server.socket), "-U", "owner", "-D", str(replica.data), "-R", "-X", "stream", "-c", "fast")
    own_server.run("pg_basebackup", *source)
    replica.start()
    try:
        with closing(PostgresStore(replica.address(name), OPENING)) as store, pytest.raises(GuardError) as caught:
            store.active(PROJECT)
        assert "leads to a replica, which may be behind the primary server" in caught.value.what
        with closing(PostgresStore(replica.address(name), OPENING)) as store, pytest.raises(GuardError) as caught:
            reserve(store, BOB, "/b")
        assert "is read only" in caught.value.what
        both = f"postgresql://owner@/{name}?host={replica.socket},{own_server.socket}&port=5432,5432"
        with closing(PostgresStore(f"{both}&target_session_attrs=read-write", OPENING)) as store:
            assert reserve(store, BOB, "/b").reservations, "several hosts lead to the primary"
    finally:
        replica.remove()


# Passwords

SECRET = "hunter2/@x"


@pytest.fixture
def locked_server(own_server: Server) -> Server:
    """A server that wants a password, on a port of the loopback interface."""
    own_server.settings = ("listen_addresses=127.0.0.1", f"port={_free_port()}", "password_encryption=scram-sha-256")
    own_server.port = int(own_server.settings[1].partition("=")[2])
    own_server.start()
    own_server.sql("postgres", "CREATE ROLE alice LOGIN PASSWORD 'hunter2/@x'")
    return own_server


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _require(server: Server, line: str) -> None:
    (server.data / "pg_hba.conf").write_text(f"local all all trust\n{line}\n")
    server.sql("postgres", "SELECT pg_reload_conf()")


def test_a_wrong_password_is_an_error_that_shows_none(locked_server: Server, tmp_path: Path) -> None:
    name = locked_server.guard_database()
    guard("store", "init", locked_server.address(name), "--grant", "alice")
    _require(locked_server, "host all all 127.0.0.1/32 scram-sha-256")
    wrong = f"postgresql://alice:hunter3%2F%40y@127.0.0.1:{locked_server.port}/{name}"
    error = refused(wrong)
    assert "password authentication failed" in error.what
    assert ".pgpass" in error.hint
    shown = "".join(traceback.format_exception(error)) + error.hint
    trace = tmp_path / "trace"
    environment = {"GUARD_DB": wrong, "GUARD_TRACE": str(trace)}
    for words in (("status",), ("list", "--json", "--all-projects"), ("store", "show"), ("reserve", "x")):
        shown += guard(*words, expect=None, env=environment)
    shown += trace.read_text() if trace.exists() else ""
    assert "hunter3" not in shown
    right = f"postgresql://alice:hunter2%2F%40x@127.0.0.1:{locked_server.port}/{name}"
    with closing(PostgresStore(right, OPENING)) as store:
        assert reserve(store, ALICE, "/a").reservations
        assert "hunter2" not in store.address + store.describe().address + repr(store.contents())


def test_passwords_come_from_pgpass_a_service_file_and_the_environment_as_libpq_takes_them(
    locked_server: Server, hermetic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = locked_server.guard_database()
    guard("store", "init", locked_server.address(name), "--grant", "alice")
    _require(locked_server, "host all all 127.0.0.1/32 scram-sha-256")
    address = f"postgresql://alice@127.0.0.1:{locked_server.port}/{name}"
    assert "password" in refused(address).what
    (hermetic / ".pgpass").write_text(f"127.0.0.1:{locked_server.port}:{name}:alice:{SECRET}\n")
    (hermetic / ".pgpass").chmod(0o600)
    works(address)
    (hermetic / ".pgpass").unlink()
    monkeypatch.setenv("PGPASSWORD", SECRET)
    works(address)
    monkeypatch.delenv("PGPASSWORD")
    service = f"[team]\nhost=127.0.0.1\nport={locked_server.port}\ndbname={name}\nuser=alice\npassword={SECRET}\n"
    (hermetic / ".pg_service.conf").write_text(service)
    works("postgresql:///?service=team")
    works("postgres:///?service=team")


def works(address: str) -> None:
    with closing(PostgresStore(address, OPENING)) as store:
        assert store.active(PROJECT).reservations == ()


def test_a_server_that_requires_tls_says_so_and_serves_whoever_uses_it(locked_server: Server) -> None:
    name = locked_server.guard_database()
    guard("store", "init", locked_server.address(name), "--grant", "alice")
    key, certificate = locked_server.data / "server.key", locked_server.data / "server.crt"
    made = ["openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    for file in (key, certificate):
        shutil.chown(file, postgres.account())
        file.chmod(0o600)
    locked_server.sql("postgres", "ALTER SYSTEM SET ssl = on")
    _require(locked_server, "hostssl all all 127.0.0.1/32 scram-sha-256")
    address = f"postgresql://alice:hunter2%2F%40x@127.0.0.1:{locked_server.port}/{name}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # the server takes a moment to read its configuration
        try:
            works(f"{address}?sslmode=require")
            break
        except GuardError:
            time.sleep(0.1)
    works(f"{address}?sslmode=require")
    error = refused(f"{address}?sslmode=disable")
    assert "no encryption" in error.what
    assert "sslmode=require" in error.hint
    assert "hunter2" not in error.what + error.hint


# What a repository may name


def test_an_address_that_a_repository_alone_names_is_not_connected_to_until_the_account_allows_it(
    server: Server, database: str, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "r")], check=True)
    address = server.address(database)
    subprocess.run(["git", "-C", str(tmp_path / "r"), "config", "guard.db", address], check=True)
    said = guard("list", cwd=tmp_path / "r", expect=3)
    assert "does not connect to it unless you allow it" in said
    (hint,) = [line for line in said.splitlines() if "guard store allow" in line]
    command = hint.partition("guard store allow ")[2]
    assert "allowed" in guard("store", "allow", *shell_words(command))
    assert "already" in guard("store", "allow", address)
    guard("list", cwd=tmp_path / "r")
    other = {"HOME": str(tmp_path / "other")}
    (tmp_path / "other").mkdir()
    assert "unless you allow it" in guard("list", cwd=tmp_path / "r", expect=3, env=other), "each account for itself"
    guard("list", cwd=tmp_path / "r", env={**other, "GUARD_DB": address})


def test_a_moved_file_does_not_lead_an_account_to_a_server_that_it_has_not_allowed(
    server: Server, database: str, tmp_path: Path
) -> None:
    file = str(tmp_path / "guard.db")
    guard("reserve", "a", cwd=_repository(tmp_path), env={"GUARD_DB": file})
    said = guard("store", "move", server.address(database), env={"GUARD_DB": file})
    assert "guard store allow" in said
    assert "/a" in guard("list", cwd=tmp_path / "r", env={"GUARD_DB": file})
    (tmp_path / "other").mkdir()
    env = {"GUARD_DB": file, "HOME": str(tmp_path / "other")}
    assert "unless you allow it" in guard("list", cwd=tmp_path / "r", env=env, expect=3)


def test_a_password_in_gits_configuration_is_warned_about_and_works_and_is_not_shown(
    server: Server, database: str, hermetic: Path, tmp_path: Path
) -> None:
    address = server.address(database).replace("owner@", "owner:hunter2@")
    subprocess.run(["git", "config", "--global", "guard.db", address], check=True)
    repository = _repository(tmp_path)
    for words in (("install",), ("status",)):
        said = guard(*words, cwd=repository)
        assert "git config guard.db (global) has a password in it" in said
        (repair,) = {line.partition("repair: ")[2] for line in said.splitlines() if "has a password" in line}
        assert "hunter2" not in said
    said = guard("reserve", "x", cwd=repository) + guard("list", "--json", cwd=repository)
    said += guard("store", "show", cwd=repository)
    assert "hunter2" not in said
    assert "hunter2" not in "".join(
        path.read_text(errors="replace") for path in (repository / ".git/guard").rglob("*") if path.is_file()
    )
    subprocess.run(shell_words(repair), check=True)
    assert "has a password" not in guard("status", cwd=repository)
    guard("list", cwd=repository, env={"GIT_CONFIG_GLOBAL": os.devnull})  # as noted and allowed by guard install


def _repository(directory: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(directory / "r")], check=True)
    return directory / "r"


def shell_words(text: str) -> list[str]:
    import shlex

    return shlex.split(text)


def guard(*words: str, cwd: Path | None = None, env: dict[str, str] | None = None, expect: int | None = 0) -> str:
    """Runs guard as a person does; returns all that it said."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "GUARD_PATIENCE": "5s", **(env or {})}
    command = [sys.executable, "-m", "guard", *words]
    done = subprocess.run(command, cwd=cwd or "/", env=environment, capture_output=True, text=True, check=False)
    assert expect is None or done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_without_psycopg_the_error_names_the_command_that_installs_it(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "psycopg.py").write_text("raise ImportError('no pq wrapper available')\n")
    environment = {"PYTHONPATH": f"{blocked}:{PACKAGE}", "GUARD_DB": "postgresql://db.example.com/guard"}
    said = guard("list", "--all-projects", env=environment, expect=3)
    assert "a PostgreSQL store needs psycopg" in said
    assert f"{sys.executable} -m pip install 'psycopg[binary]>=3.2'" in said


# The server goes away


def test_a_crashed_server_keeps_what_it_acknowledged_and_is_asked_again_when_it_is_back(own_server: Server) -> None:
    own_server.settings = ("fsync=on", "synchronous_commit=on")
    own_server.start()
    name = own_server.guard_database()
    with closing(PostgresStore(own_server.address(name), OPENING)) as store:
        reserve(store, ALICE, "/a")
        own_server.stop(signal.SIGQUIT)
        with pytest.raises(Unreachable, match=r"lost|reached"):
            reserve(store, ALICE, "/b")
        with pytest.raises(Unreachable, match="cannot be reached"):
            store.active(PROJECT)
        own_server.start()
        assert [row.pattern for row in store.active(PROJECT).reservations] == [b"/a"]
        assert reserve(store, BOB, "/a").conflicts
        own_server.stop(signal.SIGQUIT)
        own_server.start()
        assert store.active(PROJECT).reservations, "a question is asked again on a new connection"


def test_what_is_written_through_a_connection_that_died_while_it_was_idle_is_not_lost(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guard.stores.postgres.connection.IDLE_S", 0.0)
    own_server.settings = ("fsync=on", "synchronous_commit=on")
    own_server.start()
    name = own_server.guard_database()
    with closing(PostgresStore(own_server.address(name), OPENING)) as store:
        reserve(store, ALICE, "/a")
        own_server.stop(signal.SIGQUIT)
        own_server.start()
        assert reserve(store, ALICE, "/b").reservations
    assert held(own_server, name) == [("alice", b"/a"), ("alice", b"/b")]


def fill(ballast: Path, *, leaving: int) -> None:
    """Fills the disk with a file, and leaves so many bytes of it free."""
    with ballast.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(100_000))
        file.truncate(max(0, file.tell() - leaving))


def test_a_full_disk_refuses_and_loses_nothing() -> None:
    postgres.server_or_skip()
    if os.getuid():
        pytest.skip("only root can mount a small disk")
    own_server = Server()
    small = own_server.directory / "data"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(small)], check=True)
    try:
        small.chmod(0o700)
        shutil.chown(small, postgres.account())
        own_server.make("--wal-segsize=1")
        own_server.settings = ("max_wal_size=4MB", "min_wal_size=2MB")
        own_server.start()
        name = own_server.guard_database()
        with closing(PostgresStore(own_server.address(name), OPENING)) as store:
            reserve(store, ALICE, "/kept")
            fill(small / "ballast", leaving=400_000)
            with pytest.raises(GuardError) as caught:
                for number in range(500):
                    reserve(store, ALICE, *(f"/{number}/{'x' * 400}/{each}" for each in range(40)))
            assert caught.value.code == 3
            assert "disk is full" in caught.value.what or isinstance(caught.value, Unreachable)
        (small / "ballast").unlink()
        own_server.stop(signal.SIGQUIT)
        own_server.start()
        with closing(PostgresStore(own_server.address(name), OPENING)) as store:
            assert reserve(store, BOB, "/kept").conflicts
            assert reserve(store, ALICE, "/more").reservations
    finally:
        own_server.stop(signal.SIGQUIT)
        subprocess.run(["umount", str(small)], check=True)
        own_server.remove()


# The connection breaks


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    made = Proxy(server)
    yield made
    made.close()


def _chunks_of_reserve(proxy: Proxy, server: Server) -> int:
    name = server.guard_database()
    with closing(PostgresStore(proxy.address(name, server), OPENING)) as store:
        reserve(store, BOB, "/src/b")
        reserve(store, ALICE, "/src/a")
        return proxy.chunks


def test_a_connection_that_is_cut_at_any_step_leaves_a_reservation_or_none_and_no_lock(
    proxy: Proxy, server: Server
) -> None:
    """Each step of connecting, of being shown a neighbour, and of being granted."""
    for at in range(1, _chunks_of_reserve(proxy, server) + 1):
        name = server.guard_database()
        with closing(PostgresStore(server.address(name), OPENING)) as store:
            reserve(store, BOB, "/src/b")
        proxy.arm(CUT, at)
        with closing(PostgresStore(proxy.address(name, server), OPENING)) as store:
            try:
                granted = bool(reserve(store, ALICE, "/src/a").reservations)
            except Unreachable:
                granted = False
            there = ("alice", b"/src/a") in held(server, name)
            assert there or not granted, f"acknowledged and lost at step {at}"
            if not proxy.happened.is_set():  # it took fewer steps, and asking again meets the trouble
                with pytest.raises(Unreachable):
                    reserve(store, ALICE, "/src/a")
            assert reserve(store, ALICE, "/src/a").reservations, "asking again succeeds"
        assert held(server, name) == [("bob", b"/src/b"), ("alice", b"/src/a")], at
        proxy.arm(PASS, 0)


def test_a_question_is_answered_although_its_connection_is_cut_once(proxy: Proxy, server: Server) -> None:
    name = server.guard_database()
    with closing(PostgresStore(proxy.address(name, server), OPENING)) as store:
        reserve(store, ALICE, "/a")
        proxy.arm(CUT, proxy.chunks + 2)
        assert store.active(PROJECT).reservations
        assert proxy.happened.is_set()


def test_a_server_that_falls_silent_holds_nobody_longer_than_their_patience(proxy: Proxy, server: Server) -> None:
    name = server.guard_database()
    impatient = Opening(patience_s=0.2, trusted=True)
    with closing(PostgresStore(proxy.address(name, server), impatient)) as store:
        store.active(PROJECT)
        proxy.arm(HOLD, proxy.chunks + 1)
        with pytest.raises(Unreachable, match=r"has not answered for 0\.2 s"):
            reserve(store, ALICE, "/a")
        assert reserve(store, ALICE, "/a").reservations, "the next one connects anew"


_KILLED = """
import sys
from guard.stores.interface import Actor, Opening, Terms, Wanted
from guard.stores.postgres.store import PostgresStore
store = PostgresStore(sys.argv[1], Opening(patience_s=30, trusted=True))
terms = Terms(True, "", 3_600_000, False, False)
store.reserve(Actor("project", "alice", "x"), [Wanted(b"/src/a", b"")], terms)
"""


def test_a_client_that_is_killed_at_any_step_keeps_nobody_waiting(proxy: Proxy, server: Server) -> None:
    chunks = _chunks_of_reserve(proxy, server)
    for at in range(1, chunks + 1, 2):
        name = server.guard_database()
        proxy.arm(HOLD, at)
        client = subprocess.Popen([sys.executable, "-c", _KILLED, proxy.address(name, server)], cwd=PACKAGE)
        while not proxy.happened.wait(0.05) and client.poll() is None:
            pass
        client.kill()
        client.wait()
        with closing(PostgresStore(server.address(name), OPENING)) as store:
            outcome = reserve(store, BOB, "/src/a")
        assert bool(outcome.reservations) != bool(outcome.conflicts)
        assert len(held(server, name)) == 1, at
        proxy.arm(PASS, 0)


# PgBouncer


def test_everything_works_behind_pgbouncer_in_transaction_mode(server: Server, tmp_path: Path) -> None:
    bouncer = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if not bouncer:
        pytest.skip("no pgbouncer is installed")
    name = server.guard_database()
    pool = Server(port=6432)
    configuration = pool.directory / "pgbouncer.ini"
    (pool.directory / "users").write_text('"owner" ""\n')
    configuration.write_text(
        f"[databases]\n{name} = host={server.socket} port={server.port} user=owner\n"
        f"[pgbouncer]\nunix_socket_dir = {pool.socket}\nlisten_port = 6432\nlisten_addr =\nauth_type = trust\n"
        f"auth_file = {pool.directory / 'users'}\npool_mode = transaction\ndefault_pool_size = 3\n"
        f"logfile = {pool.directory / 'bouncer.log'}\n"
    )
    process = subprocess.Popen(
        postgres.as_account([bouncer, "-q", str(configuration)]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        address = f"postgresql://owner@/{name}?host={pool.socket}&port=6432"
        _wait_for(lambda: (pool.socket / ".s.PGSQL.6432").exists())
        _race(lambda: PostgresStore(address, OPENING), holders=6, rounds=8)
        with closing(PostgresStore(address, OPENING)) as store:
            assert store.contents().reservations
            store.take_in(store.contents())
            ticket = store.queue(BOB, [Wanted(b"/q", b"")], exclusive=True, until=store.now() + HOUR)
            store.leave(ticket)
            assert store.union_source(PROJECT, "nobody").rows
    finally:
        process.terminate()
        process.wait()
        pool.remove()


def _wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Many at once


def _race(connect: Callable[[], PostgresStore], *, holders: int, rounds: int) -> list[tuple[int, str, str, int]]:
    """Holders race for a few overlapping patterns; checks that no generation shows two of them holding the same."""
    patterns = ["/src/**", "/src/a/*.py", "/src/a/b.py", "/docs/*.md", "/docs/x.md", "/lib"]
    failed: list[BaseException] = []
    done: list[tuple[int, str, str, int]] = []

    def work(number: int) -> None:
        actor = Actor(PROJECT, f"h{number}", "x@y")
        try:
            with closing(connect()) as store:
                for turn in range(rounds):
                    pattern = patterns[(number + turn) % len(patterns)]
                    outcome = reserve(store, actor, pattern)
                    if outcome.reservations:
                        done.append((outcome.generation, "+", f"h{number}", outcome.reservations[0].id))
                        if turn < rounds - 1:
                            ended = store.release(actor, Chosen(everything=True))
                            done.extend((ended.generation, "-", f"h{number}", row.id) for row in ended.reservations)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(holders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    with closing(connect()) as store:
        _check_history(store)
    return done


def _check_history(store: PostgresStore) -> None:
    """Replays the log: whoever was granted something met no active reservation of somebody else that overlaps it."""
    from guard.patterns.overlap import overlap

    active: dict[int, tuple[str, bytes]] = {}
    for entry in store.log(PROJECT, limit=100_000):
        assert entry.reservation is not None and entry.pattern is not None
        if entry.event == "reserved":
            for holder, pattern in active.values():
                clash = holder != entry.holder and overlap(pattern, entry.pattern)
                assert not clash, f"{safe(entry.holder)} was granted what {holder} held at {entry.generation}"
            active[entry.reservation] = (entry.holder, entry.pattern)
        elif entry.event in ("released", "expired", "broken"):
            del active[entry.reservation]


def test_of_many_who_race_for_overlapping_patterns_one_wins(server: Server, database: str) -> None:
    done = _race(lambda: PostgresStore(server.address(database), OPENING), holders=8, rounds=12)
    generations = [generation for generation, sign, *_ in done if sign == "+"]
    assert len(generations) == len(set(generations)), "each grant has a generation of its own"


# The server's clock


def test_no_clock_of_a_client_enters(server: Server, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 5 * HOUR * 1_000_000)
    from guard.repo import standpoint

    with closing(PostgresStore(server.address(database), OPENING)) as store:
        (row,) = reserve(store, ALICE, "/a").reservations
        (now,) = server.sql(database, "SELECT guard.clock()")[0]
        assert abs(row.created_at - now) < 60_000
        assert row.expires_at == row.created_at + HOUR
        assert abs(store.now() - now) < 60_000
        assert abs(standpoint.now_ms() - now) < 60_000, "what is shown as remaining is computed from the server's time"
        source = store.union_source(PROJECT, "alice")
        assert source.mine_until == row.expires_at
        assert source.now is not None and abs(source.now - now) < 60_000
        (entry,) = store.log(PROJECT, limit=9)
        assert abs(entry.at - now) < 60_000
    standpoint.follow_clock(0)


def test_the_clock_of_the_schema_is_that_of_the_server(server: Server, database: str) -> None:
    ask = "SELECT guard.clock() - floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    assert -1000 < server.sql(database, ask)[0][0] <= 0


# Hooks


def test_a_union_made_while_settings_were_young_is_proven_as_soon_as_they_are_not(
    server: Server, database: str, hermetic: Path, tmp_path: Path
) -> None:
    subprocess.run(["git", "config", "--global", "guard.db", server.address(database)], check=True)
    repository = _repository(tmp_path)
    guard("install", cwd=repository)
    guard("reserve", "elsewhere", cwd=repository, env={"GUARD_AGENT": "alice"})
    said = []
    for number in range(3):
        for file in (hermetic / ".gitconfig", repository / ".git/config"):
            if number == 1:
                age(file)
        (repository / "x").write_text(str(number))
        subprocess.run(["git", "add", "x"], cwd=repository, check=True)
        environment = {**os.environ, "GUARD_TRACE": "1"}
        commit = ["git", "commit", "-q", "-m", "x"]
        done = subprocess.run(commit, cwd=repository, env=environment, capture_output=True, text=True, check=True)
        said.append("proven to be current\n" in done.stderr and "no union" not in done.stderr)
    assert said[2], "the second hook published what the third one believes"


# Moving


def comparable(contents: Contents) -> Contents:
    """What a move keeps: all but the generations, which go up, and the order of publications."""
    projects = tuple((name, 0) for name, _ in contents.projects)
    return contents._replace(projects=projects, publications=tuple(sorted(contents.publications)))


def test_everything_moves_from_a_file_to_a_server_and_back(server: Server, database: str, tmp_path: Path) -> None:
    from guard.stores import copies
    from guard.stores.choose import open_store
    from tests.support.stores import SqliteBench
    from tests.test_store_copies import fill

    bench = SqliteBench(tmp_path)
    fill(bench)
    before = bench.store.contents()
    copies.move(bench.store, server.address(database), patience_s=5)
    bench.close()
    with closing(PostgresStore(server.address(database), OPENING)) as store:
        assert comparable(store.contents()) == comparable(before)
        assert store.is_at(os.fsencode(str(bench.path))), "a union that names the file is one of this store"
        with pytest.raises(GuardError, match="nothing was moved"):
            copies.move(store, server.address(database), patience_s=5)
        copies.move(store, str(tmp_path / "back.db"), patience_s=5)
        for deed in (lambda: store.active(PROJECT), lambda: reserve(store, BOB, "/new")):
            with pytest.raises(GuardError, match=r"were moved to .*back\.db") as caught:
                deed()
            assert "back.db" in caught.value.hint
    with closing(open_store(str(tmp_path / "back.db"), patience_s=5)) as back:
        assert comparable(back.contents()) == comparable(before)


_WRITER = """
import sys
from guard.stores.choose import open_store
from guard.stores.interface import Actor, Moved, Terms, Wanted
actor, terms = Actor("project", sys.argv[2], "x"), Terms(True, "", 3_600_000, False, False)
store = open_store(sys.argv[1], patience_s=60, trusted=True)
print("ready", flush=True)
for number in range(40):
    name = b"/%s/%d" % (sys.argv[2].encode(), number)
    while True:
        try:
            (row,) = store.reserve(actor, [Wanted(name, name)], terms).reservations
            break
        except Moved as moved:
            store.close()
            store = open_store(moved.address, patience_s=60, trusted=True)
    print(name.decode(), flush=True)
"""


def test_nothing_that_was_acknowledged_is_lost_when_a_store_moves_to_a_server_and_on_while_others_write(
    server: Server, tmp_path: Path
) -> None:
    from guard.stores import copies
    from guard.stores.choose import open_store

    start = str(tmp_path / "guard.db")
    with closing(open_store(start, patience_s=5, create=True)):
        pass
    command = [sys.executable, "-c", _WRITER, start]
    writers = [
        subprocess.Popen([*command, f"w{number}"], stdout=subprocess.PIPE, text=True, cwd=PACKAGE)
        for number in range(3)
    ]
    said: list[str] = []
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        said.append(writer.stdout.readline().strip())
    at = start
    for to in (
        server.address(server.guard_database()),
        server.address(server.guard_database()),
        str(tmp_path / "last.db"),
    ):
        with closing(open_store(at, patience_s=60, trusted=True)) as store:
            copies.move(store, to, patience_s=60)
        at = to
    for writer in writers:
        said += writer.communicate()[0].split()
        assert writer.returncode == 0
    assert len(said) == 3 * 40
    with closing(open_store(at, patience_s=5)) as store:
        there = {kept.reservation.pattern.decode() for kept in store.contents().reservations}
    assert set(said) <= there


def test_a_move_that_fails_leaves_the_server_in_use(server: Server, database: str) -> None:
    with closing(PostgresStore(server.address(database), OPENING)) as store:
        reserve(store, ALICE, "/a")

        def fail(_: object) -> None:
            raise GuardError("the other place died")

        with pytest.raises(GuardError, match="died"):
            store.move_out("/x", fail)
        assert reserve(store, ALICE, "/b").reservations
        assert reserve(store, BOB, "/a").conflicts


# The page


def test_every_command_of_the_page_on_teams_works_on_an_empty_server(
    own_server: Server, tmp_path: Path, hermetic: Path
) -> None:
    """From an empty server to a backup, in the page's own order and words; only the server's address is another one."""
    own_server.start()
    page = (PACKAGE / "guard/help/teams.md").read_text()
    blocks = re.findall(
        r"^```(\w*)\n(.*?)^```", page.partition("### From an empty server")[2], re.MULTILINE | re.DOTALL
    )
    (sql,) = [text for language, text in blocks if language == "sql"]
    for statement in sql.split(";\n"):
        if statement.strip():
            own_server.sql("postgres", statement)
    repository = _repository(tmp_path)
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin/guard"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={PACKAGE} exec {sys.executable} -m guard "$@"\n')
    wrapper.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{postgres.binaries()}:{os.environ['PATH']}"}
    guard("install", cwd=repository)
    guard("reserve", "src", "--reason", "before the move", cwd=repository)
    said = ""
    commands = [line for language, text in blocks if language == "text" for line in text.splitlines()]
    moved = commands.index("guard store move postgresql://alice@db.example.com/guard")
    for line in (*commands[moved - 1 : moved + 1], *commands[:moved], *commands[moved + 1 :]):
        if line.startswith("pip "):
            continue
        here = re.sub(
            r"postgresql://(\w+)@db\.example\.com/guard",
            lambda found: f"'{own_server.address('guard', user=found[1])}'",
            line,
        )
        done = subprocess.run(
            ["sh", "-c", here], cwd=repository, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        said += done.stdout
    assert "before the move" in guard("list", cwd=repository)
    assert "kind          PostgreSQL" in said
    assert "CREATE TABLE guard.reservation" in (repository / "guard.sql").read_text()
