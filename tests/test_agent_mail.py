"""MCP Agent Mail's own database as guard's store: both servers' formats, through commands, commits and pushes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from guard.model import EXIT_REFUSED, GuardError
from guard.repo.place import Place
from guard.stores.agent_mail.identity import slug_of_path
from guard.stores.agent_mail.store import AgentMailStore
from guard.stores.choose import open_store
from guard.stores.interface import Actor, Chosen, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from tests.support.agent_mail import HOUR_S, PYTHON, RUST, Mail, Server, guarded
from tests.support.event_cases import no_python, run_hook
from tests.support.repositories import PACKAGE, Repository, age, run
from tests.support.templates import Template

if TYPE_CHECKING:
    from pathlib import Path


def digits(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()[:10]


BOTH = pytest.mark.parametrize("kind", [PYTHON, RUST])


@pytest.fixture
def mail(tmp_path: Path) -> Mail:
    made = Mail.make(tmp_path / "mail.db")
    made.project(tmp_path / "repository")
    return made


@pytest.fixture(scope="session")
def guarded_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    def make(place: Path) -> None:
        guarded(place / "repository", Mail(place / "mail.db"))

    return Template(tmp_path_factory.mktemp("guarded"), "home", "repository", make=make)


@pytest.fixture
def repository(tmp_path: Path, mail: Mail, guarded_template: Template) -> Repository:
    guarded_template.put(tmp_path)
    return Repository(tmp_path / "repository")


def place_at(top: Path) -> Place:
    return Place(git_dir=bytes(top / ".git"), common_dir=bytes(top / ".git"), top=bytes(top))


def store_of(mail: Mail, top: Path | None = None) -> AgentMailStore:
    return AgentMailStore(str(mail.path), patience_s=5, place=None if top is None else place_at(top))


def held(mail: Mail, top: Path, project: str = "no name of theirs") -> list[bytes]:
    return [row.pattern for row in store_of(mail, top).active(project).reservations]


def stage(repository: Repository, *names: str) -> None:
    repository.git("reset", "-q", "--hard")
    for name in names:
        repository.write(name, f"{time.time_ns()}\n")
    repository.git("add", "-A")


# The whole way


@BOTH
def test_commits_and_pushes_answer_from_it_while_its_server_writes(tmp_path: Path, kind: str) -> None:
    mail = Mail.make(tmp_path / "mail.db", kind)
    mail.project(tmp_path / "repository")
    number = mail.reserve("src/auth/**", holder="BlueLake")
    repository = guarded(tmp_path / "repository", mail)
    (tmp_path / "remote.git").mkdir()
    Repository(tmp_path / "remote.git").git("init", "-q", "--bare")
    repository.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    mine = {"AGENT_NAME": "RedFox"}
    with Server(mail, busy_s=0.002):
        stage(repository, "src/auth/login.py", "a.txt")
        refused = repository.git("commit", "-q", "-m", "mine", env=mine, expect=1)
        assert f"#{number} BlueLake holds /src/auth/** until " in refused.text
        assert "new login" in refused.text
        assert "src/auth/login.py" in refused.text
        assert "leave it out:   git " in refused.text
        assert "ask BlueLake through Agent Mail" in refused.text
        assert "AGENT_MAIL_BYPASS=1 git commit" in refused.text
        assert "guard reserve" not in refused.text
        assert "guard break" not in refused.text
        assert "recorded" not in refused.text
        repository.git("restore", "--staged", ":/src/auth/login.py")
        repository.git("commit", "-q", "-m", "mine", env=mine)
        repository.git("commit", "-q", "-a", "-m", "theirs", env={"AGENT_NAME": "BlueLake"})
        pushed = repository.git("push", "-q", "origin", "HEAD", env=mine, expect=1)
        assert "push refused" in pushed.text
        assert repository.head()[:12] in pushed.text
        mail.release(number)
        repository.git("push", "-q", "origin", "HEAD", env=mine)


@BOTH
def test_the_commands_answer_from_it(tmp_path: Path, kind: str) -> None:
    mail = Mail.make(tmp_path / "mail.db", kind)
    mail.project(tmp_path / "repository")
    theirs = mail.reserve("src/auth/**", holder="BlueLake")
    mine = mail.reserve("docs/**", holder="RedFox", exclusive=0)
    gone = mail.reserve("lib/**", holder="BlueLake")
    mail.release(gone)
    over = mail.reserve("old/**", holder="BlueLake", expires_ts=mail.at(-5))
    repository = guarded(tmp_path / "repository", mail)
    me = {"AGENT_NAME": "RedFox"}

    listed = repository.guard("list", "--json", env=me).json()
    assert [
        (row["id"], row["holder"], row["pattern"], row["exclusive"], row["mine"]) for row in listed["reservations"]
    ] == [
        (theirs, "BlueLake", "/src/auth/**", True, False),
        (mine, "RedFox", "/docs/**", False, True),
    ]
    created = listed["reservations"][0]["created_at"]
    assert created.startswith("20")
    assert created.endswith("Z")
    checked = repository.guard("check", "src/auth/login.py", "docs/a.md", "--json", expect=1, env=me).json()
    assert [row["path"] for row in checked["conflicts"]] == ["src/auth/login.py"]
    assert repository.guard("check", "src/b.py", env=me).out.endswith(b"clear\n")
    assert repository.guard("check", "src", expect=1, env=me).code == 1
    ended = repository.guard("list", "--ended", "--json", env=me).json()["reservations"]
    assert {(row["id"], row["end"]) for row in ended} == {(gone, "released"), (over, "expired")}
    assert "BlueLake" in repository.guard("list", "--all-projects", env=me).text
    assert repository.guard("whoami", "--json", env=me).json()["holder"] == "RedFox"
    log = repository.guard("log", "--json", env=me).json()["log"]
    assert {(entry["event"], entry["reservation"]) for entry in log} == {
        *(("reserved", number) for number in (theirs, mine, gone, over)),
        ("released", gone),
        ("expired", over),
    }
    status = repository.guard("status", env=me).text
    assert "MCP Agent Mail's database" in status
    assert f"its project shop ({repository.path})" in status
    assert "others hold 1:" in status
    remarks = repository.guard("status", "--json", env=me).json()["remarks"]
    assert len(remarks) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["reserve", "a.txt"],
        ["reserve", "a.txt", "--wait", "1h"],
        ["release", "src/auth/**"],
        ["release", "--all"],
        ["renew", "--all"],
        ["break", "1", "--reason", "why"],
        ["hold", "a.txt", "--", "true"],
    ],
)
def test_what_would_write_says_where_to(repository: Repository, mail: Mail, words: list[str]) -> None:
    mail.reserve("src/auth/**")
    before = mail.beside()["mail.db"]
    done = repository.guard(*words, who="bob", expect=EXIT_REFUSED)
    assert done.out == b""
    assert "is MCP Agent Mail's database, which guard only reads" in done.text
    assert "Agent Mail" in done.text.partition("next:")[2]
    assert mail.beside()["mail.db"] == before


def test_every_writing_method_refuses_and_no_other_does(mail: Mail, tmp_path: Path) -> None:
    store = store_of(mail, tmp_path / "repository")
    actor = Actor("shop", "bob", "bob@host")
    wanted = [Wanted(b"/a", b"a")]
    terms = Terms(exclusive=True, reason="", ttl_ms=60_000, fold=False, shorten=False)
    for write in (
        lambda: store.reserve(actor, wanted, terms),
        lambda: store.release(actor, Chosen(everything=True)),
        lambda: store.renew(actor, Chosen(everything=True), ttl_ms=60_000),
        lambda: store.break_(actor, [1], reason=""),
        lambda: store.queue(actor, wanted, exclusive=True, until=0),
    ):
        with pytest.raises(GuardError, match="only reads") as raised:
            write()
        assert raised.value.code == EXIT_REFUSED
        assert raised.value.hint
    assert store.notices("shop", "bob") == ()
    store.told(())
    store.record(actor, "refused", (), reason="")
    store.publish_in(b"/nowhere", "shop")
    store.forget(b"/nowhere")
    store.leave(1)
    assert store.publications() == []
    assert not store.kind.writable


# Which file it is


@BOTH
def test_recognised_by_its_tables_without_being_opened_for_writing(tmp_path: Path, kind: str) -> None:
    mail = Mail.make(tmp_path / "mail.db", kind)
    before = mail.beside()
    with closing(open_store(str(mail.path), patience_s=1)) as store:
        assert isinstance(store, AgentMailStore)
    with pytest.raises(GuardError, match="not a guard store"):
        SqliteStore(str(mail.path), patience_s=1)
    assert mail.beside()["mail.db"] == before["mail.db"]
    with closing(open_store(str(tmp_path / "ours.db"), patience_s=1, create=True)) as store:
        assert isinstance(store, SqliteStore)


def test_another_programs_database_is_neither(tmp_path: Path) -> None:
    mail = Mail(tmp_path / "other.db")
    mail.sql("CREATE TABLE agents (id)")
    mail.sql("CREATE TABLE projects (id)")
    before = mail.beside()
    with pytest.raises(GuardError, match="not a guard store, nor MCP Agent Mail's"):
        open_store(str(mail.path), patience_s=1, create=True)
    assert mail.beside() == before


def test_older_tables_without_the_later_columns(tmp_path: Path) -> None:
    mail = Mail.make(tmp_path / "mail.db")
    mail.project(tmp_path)
    mail.reserve("src/**")
    mail.sql("ALTER TABLE projects DROP COLUMN archived_at")
    mail.sql("ALTER TABLE agents DROP COLUMN retired_at")
    assert held(mail, tmp_path) == [b"/src/**"]


def test_a_damaged_one_stops_the_commit_and_its_own_ways_around_count(repository: Repository, mail: Mail) -> None:
    mail.reserve("src/auth/**")
    with Server(mail) as server:
        server.do("PRAGMA wal_checkpoint(TRUNCATE)")
    size = mail.path.stat().st_size
    mail.path.write_bytes(mail.path.read_bytes()[:100] + b"\x55" * (size - 100))
    stage(repository, "a.txt")
    stopped = run_hook(repository, "pre-commit")
    assert stopped.code == 3
    assert str(mail.path) in stopped.text
    assert "around:" in stopped.text
    bypassed = run_hook(repository, "pre-commit", AGENT_MAIL_BYPASS="1")
    assert bypassed.code == 0
    assert "NOT JUDGED, and let through: AGENT_MAIL_BYPASS is set" in bypassed.text
    assert run_hook(repository, "pre-commit", AGENT_MAIL_GUARD_MODE="warn").code == 0


# Whose checkout it is


def test_a_projects_directory_may_be_spelled_otherwise(tmp_path: Path) -> None:
    real = tmp_path / "real" / "shop"
    (real / "web").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    mail = Mail.make(tmp_path / "mail.db")
    keys: dict[str, tuple[Path | str, bytes]] = {
        "itself": (real, b"/x"),
        "with a slash": (f"{real}/", b"/x"),
        "with dots": (f"{real}/web/..", b"/x"),
        "by a link": (tmp_path / "link" / "shop", b"/x"),
        "above": (tmp_path / "real", b"/shop-above"),
        "above by a link": (tmp_path / "link", b"/shop-above"),
        "below": (real / "web", b"/web/x"),
        "aside": (tmp_path / "real" / "shopping", b""),
        "below a link to elsewhere": (tmp_path / "nowhere", b""),
        "no path": ("shop", b""),
        "nothing": ("", b""),
    }
    expected = []
    for slug, (key, pattern) in keys.items():
        project = mail.project(key, slug)
        mail.reserve("shop/shop-above" if slug.startswith("above") else "./x", project=project)
        expected += [pattern] if pattern else []
    assert held(mail, real) == expected
    assert held(mail, tmp_path / "link" / "shop") == expected


def test_a_project_named_by_slug_or_path_counts_wherever_it_is(tmp_path: Path) -> None:
    mail = Mail.make(tmp_path / "mail.db")
    project = mail.project("/srv/elsewhere/shop", "srv-shop")
    mail.reserve("src/**", project=project)
    mail.reserve("/srv/elsewhere/shop/lib/x.py", project=project)
    assert held(mail, tmp_path) == []
    for name in ("srv-shop", "/srv/elsewhere/shop", "/srv/elsewhere/shop/"):
        assert held(mail, tmp_path, name) == [b"/src/**", b"/srv/elsewhere/shop/lib/x.py", b"/lib/x.py"]
    assert held(mail, tmp_path, "SRV-shop") == []


def test_guard_project_names_it_through_the_hook(repository: Repository, mail: Mail) -> None:
    project = mail.project("/srv/elsewhere", "elsewhere")
    mail.reserve("src/auth/**", project=project)
    stage(repository, "src/auth/login.py")
    assert run_hook(repository, "pre-commit").code == 0
    assert run_hook(repository, "pre-commit", GUARD_PROJECT="elsewhere").code == 1
    repository.git("config", "guard.project", "elsewhere")
    assert run_hook(repository, "pre-commit").code == 1


def test_no_such_project_reserves_nothing_and_status_says_so(tmp_path: Path) -> None:
    mail = Mail.make(tmp_path / "mail.db")
    mail.reserve("**", project=mail.project("/srv/elsewhere"))
    repository = guarded(tmp_path / "repository", mail)
    stage(repository, "src/auth/login.py")
    assert run_hook(repository, "pre-commit").code == 0
    status = repository.guard("status", who="bob").text
    assert f"NOTHING IS RESERVED: Agent Mail has no project for {repository.path}" in status
    assert "git config guard.project" in status
    assert repository.guard("list", "--json", who="bob").json()["reservations"] == []


def test_the_main_checkouts_project_counts_in_a_linked_worktree(
    repository: Repository, mail: Mail, tmp_path: Path
) -> None:
    linked = repository.worktree(tmp_path / "linked", "side")
    mail.reserve("src/auth/**")
    mail.reserve("src/b.py", project=mail.project(linked.path, "side"))
    for name in ("src/auth/login.py", "src/b.py"):
        assert linked.commit(name, who="bob", expect=1).code == 1
        linked.git("reset", "-q", "--hard")
    repository.commit("src/b.py", who="bob")
    linked.commit("a.txt", who="bob")


def test_a_worktree_that_was_moved_is_looked_at_anew(repository: Repository, mail: Mail, tmp_path: Path) -> None:
    linked = repository.worktree(tmp_path / "linked", "side")
    mail.reserve("src/b.py", project=mail.project(tmp_path / "moved", "moved"))
    mail.settle()
    for file in (linked.path / ".git", repository.common_dir / "config"):
        age(file)
    hook = (str(repository.common_dir / "hooks/pre-commit"),)
    environment = {"GUARD_AGENT": "bob", "GIT_DIR": str(linked.git_dir)}
    for _ in range(2):
        assert run(hook, cwd=linked.path, env=environment).code == 0
    with no_python(repository):
        assert run(hook, cwd=linked.path, env=environment).code == 0
    repository.git("worktree", "move", str(linked.path), str(tmp_path / "moved"))
    moved = Repository(tmp_path / "moved")
    moved.commit("src/b.py", who="bob", expect=1)


def test_what_is_reserved_in_an_archived_project_counts(mail: Mail, tmp_path: Path) -> None:
    mail.reserve("src/**")
    top = tmp_path / "repository"
    for archived, expected in (
        (mail.at(-60), [b"/src/**"]),
        (None, [b"/src/**"]),
        ("", [b"/src/**"]),
        (0, [b"/src/**"]),
        ("once upon a time", [b"/src/**"]),
    ):
        mail.sql("UPDATE projects SET archived_at = ?", archived)
        assert held(mail, top) == expected, archived
    assert "cannot be read" in store_of(mail, top).remarks("")[1]
    mail.sql("UPDATE projects SET archived_at = ?", mail.at(-60))
    assert (
        "is archived: it is hidden from lists, and what is reserved in it counts" in store_of(mail, top).remarks("")[1]
    )


def test_a_retired_agent_holds_until_release_or_expiry(mail: Mail, tmp_path: Path) -> None:
    mail.reserve("src/**")
    mail.sql("UPDATE agents SET retired_at = ?", mail.at(-60))
    top = tmp_path / "repository"
    assert held(mail, top) == [b"/src/**"]
    assert any("retired" in remark for remark in store_of(mail, top).remarks(""))


# Rows, as anybody may have written them

NEVER = 9_000_000_000_000_000
ACTIVE: list[tuple[str, Any]] = [
    ("released_ts", None),
    ("released_ts", 0),
    ("released_ts", -1),
    ("released_ts", ""),
    ("released_ts", "0"),
    ("released_ts", "null"),
    ("released_ts", "None"),
    ("expires_ts", NEVER),
    ("expires_ts", float(NEVER)),
    ("expires_ts", str(NEVER)),
    ("expires_ts", "2999-01-01 00:00:00"),
    ("expires_ts", "2999-01-01T00:00:00.5Z"),
    ("expires_ts", "2999-01-01 00:00:00.123456+02:00"),
]
UNREADABLE: list[tuple[str, Any]] = [
    ("released_ts", "yesterday"),
    ("released_ts", b"\xff\xfe"),
    ("expires_ts", None),
    ("expires_ts", ""),
    ("expires_ts", "soon"),
    ("expires_ts", "now"),
    ("expires_ts", "12:00"),
    ("expires_ts", "2020-13-45 99:99:99"),
    ("expires_ts", b"\x00\x01"),
    ("expires_ts", float("inf")),
    ("exclusive", None),
    ("exclusive", 2),
    ("exclusive", "maybe"),
    ("exclusive", b"\x01"),
    ("agent_id", 999),
]
ENDED: list[tuple[str, Any]] = [
    ("released_ts", 1_600_000_000_000_000),
    ("released_ts", "1600000000000000"),
    ("released_ts", "2020-01-01 00:00:00.000001"),
    ("released_ts", "2020-01-01T00:00:00Z"),
    ("released_ts", NEVER),
    ("expires_ts", 1_600_000_000_000_000),
    ("expires_ts", 0),
    ("expires_ts", "2020-01-01 00:00:00"),
    ("expires_ts", "2020-12-31T23:59:59.999999+00:00"),
]


@BOTH
def test_rows(tmp_path: Path, kind: str) -> None:
    mail = Mail.make(tmp_path / "mail.db", kind)
    mail.project(tmp_path)
    names = {}
    for column, value in [*ACTIVE, *UNREADABLE, *ENDED]:
        names[mail.reserve("src/**", **{column: value})] = (column, value)
    found = {row.id: row for row in store_of(mail, tmp_path).active("").reservations}
    assert [names[number] for number in found] == [*ACTIVE, *UNREADABLE]
    assert all(row.exclusive for row in found.values())
    assert [names[number] for number, row in found.items() if row.fault] == UNREADABLE
    ended = {row.id for row in store_of(mail, tmp_path).ended("").reservations}
    assert {names[number] for number in ended} <= set(ENDED)


def test_shared_is_what_says_so(mail: Mail, tmp_path: Path) -> None:
    for value in (0, "0", "false", 0.0):
        mail.reserve("src/**", exclusive=value)
    rows = store_of(mail, tmp_path / "repository").active("").reservations
    assert [row.exclusive for row in rows] == [False] * 4
    assert [row.fault for row in rows] == [""] * 4


def test_the_zone_of_a_time(mail: Mail, tmp_path: Path) -> None:
    now = time.time()
    for offset, text in ((0, ""), (0, "Z"), (2, "+02:00"), (-5, "-05:00")):
        then = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now + 90 + offset * HOUR_S))
        mail.reserve("src/**", expires_ts=then + text)
        then = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now - 90 + offset * HOUR_S))
        mail.reserve("gone/**", expires_ts=then + text)
    rows = store_of(mail, tmp_path / "repository").active("").reservations
    assert [row.pattern for row in rows] == [b"/src/**"] * 4
    for row in rows:
        assert row.expires_at is not None
        assert abs(row.expires_at - (now + 90) * 1000) <= 1000


def test_one_bad_row_hides_no_other_and_is_reported(repository: Repository, mail: Mail) -> None:
    mail.reserve(b"\xff\xfe/**", holder="BlueLake")
    mail.sql("UPDATE agents SET name = CAST(x'fffe' AS TEXT)")
    bad = mail.reserve("src/b.py", holder="GreenHill", expires_ts="soon", reason=b"\x80\x81")
    mail.reserve("src/auth/**", holder="GreenHill")
    stage(repository, "src/auth/login.py", "src/b.py")
    done = run_hook(repository, "pre-commit")
    assert done.code == 1
    assert "GreenHill holds /src/auth/**" in done.text
    assert "GreenHill holds /src/b.py with no readable expiry, so it counts as active" in done.text
    assert "its expiry cannot be read" in done.text
    assert f"#{bad} of GreenHill, src/b.py: its expiry cannot be read" in repository.guard("status", who="bob").text
    listed = repository.guard("list", "--json", who="bob").json()["reservations"]
    assert {row["holder"] for row in listed} == {"\\xff\\xfe", "GreenHill"}


@BOTH
def test_the_union_has_all_that_the_verdict_may_refuse(tmp_path: Path, kind: str) -> None:
    mail = Mail.make(tmp_path / "mail.db", kind)
    mail.project(tmp_path)
    for number, (column, value) in enumerate([*ACTIVE, *UNREADABLE, *ENDED]):
        mail.reserve(f"src/{number}/**", **{column: value})
    store = store_of(mail, tmp_path)
    active = {row.pattern for row in store.active("").reservations if row.exclusive}
    assert active <= set(store.union_source("", "bob").patterns)
    assert set(store.union_source("", "BlueLake").patterns) == {
        row.pattern for row in store.active("").reservations if row.holder != "BlueLake"
    }


def test_negated_ones_protect_nothing_cancel_nothing_and_are_reported(repository: Repository, mail: Mail) -> None:
    mail.reserve("src/auth/**", holder="BlueLake")
    mail.reserve("!src/auth/login.py", holder="GreenHill")
    mail.reserve("!**", holder="GreenHill")
    mail.reserve("tool://build", holder="GreenHill")
    stage(repository, "src/auth/login.py")
    assert run_hook(repository, "pre-commit").code == 1
    stage(repository, "a.txt")
    assert run_hook(repository, "pre-commit").code == 0
    status = repository.guard("status", who="bob").text
    assert "!src/auth/login.py: protects nothing, for it is negated" in status
    assert "tool://build: protects nothing, for it is no path" in status


def test_hostile_text_is_shown_escaped_and_short(repository: Repository, mail: Mail) -> None:
    mail.reserve("src/auth/**", holder="Blue\x1b[31mLake\u202e", reason="red\nguard: all is well\x07")
    mail.reserve("x" * 1_000_000 + "/**", holder="GreenHill")
    mail.reserve("!\x1b]0;title\x07", holder="GreenHill")
    stage(repository, "src/auth/login.py")
    done = run_hook(repository, "pre-commit")
    assert done.code == 1
    for said in (done, repository.guard("list", who="bob"), repository.guard("status", who="bob")):
        assert b"\x1b" not in said.out + said.err
        assert b"\x07" not in said.out + said.err
        assert "\u202e" not in said.text
        assert "\nguard: all is well" not in said.text
        assert len(said.out + said.err) < 20_000


def test_what_gits_rules_cannot_tell_is_judged_in_python(repository: Repository, mail: Mail) -> None:
    mail.reserve("src/[[:alpha:]]*", holder="BlueLake")
    stage(repository, "src/b.py")
    refused = run_hook(repository, "pre-commit")
    assert refused.code == 1
    assert "(typed as src/[[:alpha:]]*)" in refused.text
    stage(repository, "a.txt")
    assert run_hook(repository, "pre-commit").code == 0
    assert "judged by pathspec's" in repository.guard("status", who="bob").text


# Its own ways around


@pytest.mark.parametrize("word", ["1", "true", "YES"])
def test_bypass_is_said_and_passes_once(repository: Repository, mail: Mail, word: str) -> None:
    mail.reserve("src/auth/**")
    stage(repository, "src/auth/login.py")
    for event in ("pre-commit", "pre-merge-commit"):
        done = run_hook(repository, event, AGENT_MAIL_BYPASS=word)
        assert done.code == 0
        assert done.err == b"" or b"AGENT_MAIL_BYPASS is set" in done.err
    assert "goes past what is reserved by BlueLake" in run_hook(repository, "pre-commit", AGENT_MAIL_BYPASS=word).text
    assert run_hook(repository, "pre-commit", AGENT_MAIL_BYPASS="0").code == 1
    assert run_hook(repository, "pre-commit").code == 1
    assert run_hook(repository, "pre-commit", GUARD_SKIP="1").code == 0


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"AGENT_MAIL_GUARD_MODE": "warn"}, 0),
        ({"AGENT_MAIL_GUARD_MODE": "Advisory"}, 0),
        ({"AGENT_MAIL_GUARD_MODE": "adv"}, 0),
        ({"AGENT_MAIL_GUARD_MODE": "block"}, 1),
        ({"AGENT_MAIL_GUARD_MODE": "whatever"}, 1),
        ({"AGENT_MAIL_GUARD_MODE": "warn", "GUARD_MODE": "block"}, 1),
        ({"AGENT_MAIL_GUARD_MODE": "block", "GUARD_MODE": "warn"}, 0),
    ],
)
def test_modes(repository: Repository, mail: Mail, settings: dict[str, str], code: int) -> None:
    mail.reserve("src/auth/**")
    stage(repository, "src/auth/login.py")
    done = run_hook(repository, "pre-commit", env=settings)
    assert done.code == code
    assert "BlueLake holds /src/auth/**" in done.text
    assert ("goes through (mode warn)" in done.text) == (code == 0)
    status = repository.guard("status", who="bob", env=settings).text
    assert ("mode     warn" in status) == (code == 0)


def test_its_variables_mean_nothing_to_our_own_store(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    repository.install()
    repository.guard("reserve", "src/auth", who="alice")
    stage(repository, "src/auth/login.py")
    assert run_hook(repository, "pre-commit", AGENT_MAIL_BYPASS="1", AGENT_MAIL_GUARD_MODE="warn").code == 1


# The generation, and the hot path


@BOTH
def test_the_generation_counts_what_was_made_and_released(tmp_path: Path, kind: str) -> None:
    mail = Mail.make(tmp_path / "mail.db", kind)
    mail.project(tmp_path)
    store = store_of(mail, tmp_path)

    def generation() -> int:
        return store.active("").generation

    seen = [generation()]
    first, second = mail.reserve("a"), mail.reserve("b")
    seen.append(generation())
    mail.release(first)
    seen.append(generation())
    assert [number - seen[0] for number in seen] == [0, 2, 3]
    mail.sql("DELETE FROM file_reservations WHERE id = ?", first)
    assert generation() >= seen[-1]
    mail.release(second)
    assert generation() > seen[-1]
    assert store.ended("").generation == store.active("").generation


def test_a_quiet_hook_starts_no_python_with_others_holding_elsewhere(repository: Repository, mail: Mail) -> None:
    mail.reserve("src/auth/**")
    with Server(mail) as server:
        server.do("INSERT INTO messages (body) VALUES ('x')")
        mail.settle()
        stage(repository, "a.txt")
        for _ in range(2):
            assert run_hook(repository, "pre-commit").code == 0
        with no_python(repository):
            assert run_hook(repository, "pre-commit").code == 0
            assert run_hook(repository, "pre-commit", GUARD_AGENT="carol").code == 3, "another holder's is not there"


def test_an_expired_one_is_dropped_from_the_union_once_touched(repository: Repository, mail: Mail) -> None:
    mail.reserve("src/auth/**", expires_ts=mail.at(2.0))
    mail.settle()
    stage(repository, "src/auth/login.py")
    assert run_hook(repository, "pre-commit").code == 1
    time.sleep(2.1)
    assert run_hook(repository, "pre-commit").code == 0
    with no_python(repository):
        assert run_hook(repository, "pre-commit").code == 0


HEAVY = {
    "typing",
    "re",
    "datetime",
    "json",
    "pathspec",
    "subprocess",
    "pathlib",
    "enum",
    "dataclasses",
    "click",
    "pygit2",
}


def test_what_the_refresh_loads() -> None:
    ours = "guard.hook, guard.stores.agent_mail.store"
    code = f"import sys; sys.path[:0] = [sys.argv[1]]; import {ours}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(PACKAGE)], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & HEAVY
    assert not {"guard.judge", "guard.patterns.match", "guard.patterns.overlap"} & set(done.stdout.split())


# Projects by the slugs of its identity modes


REMOTES = {
    "https://github.com/acme/shop.git": ["shop-fe4abaed6d"],
    "https://user:password@github.com:443/acme/shop": ["shop-fe4abaed6d"],
    "git@github.com:acme/shop.git": ["shop-fe4abaed6d"],
    "ssh://git@github.com/acme/shop.git": ["shop-fe4abaed6d"],
    "https://GitHub.com/Acme/Shop.git": ["shop-fe4abaed6d", f"Shop-{digits('github.com/Acme/Shop')}"],
    "https://gitlab.com/group/sub/shop": [
        f"shop-{digits('gitlab.com/sub/shop')}",
        f"sub-{digits('gitlab.com/group/sub')}",
    ],
    "hub:shop": [f"shop-{digits('github.com/acme/shop')}"],
}


@pytest.mark.parametrize("url", REMOTES)
def test_a_project_by_the_slug_of_its_remote(tmp_path: Path, url: str) -> None:
    top = tmp_path / "repository"
    made = Repository.make(top)
    made.git("config", "url.https://github.com/acme/.insteadOf", "hub:")
    made.git("remote", "add", "upstream", url)
    for slug in REMOTES[url]:
        mail = Mail.make(tmp_path / f"{slug}.db")
        mail.project("/another/checkout", slug)
        mail.reserve("src/**")
        assert held(mail, top) == [b"/src/**"], slug
        assert b"/src/**" in store_of(mail, top).union_source("", "bob").patterns
        assert not store_of(mail, top).why_nothing_counts("")
    mail = Mail.make(tmp_path / "other.db")
    mail.project("/another/checkout", "shop-0123456789")
    mail.reserve("src/**")
    assert held(mail, top) == []


def test_a_project_by_the_slug_of_its_directories(tmp_path: Path) -> None:
    main = Repository.make(tmp_path / "my-App")
    linked = main.worktree(tmp_path / "Linked tree", "other")
    (tmp_path / "link").symlink_to(tmp_path / "my-App")
    common = str(main.common_dir)
    slugs = {
        slug_of_path(bytes(tmp_path / "my_app")): [main, linked],
        slug_of_path(bytes(tmp_path / "linked_tree")): [linked],
        f"my-App-{digits(str(tmp_path / 'my-App'))}": [main, linked],
        f"Linked tree-{digits(str(tmp_path / 'Linked tree'))}": [linked],
        f"repo-{digits(common)}": [main, linked],
        f"repo-{digits('/somewhere/.git')}": [],
        "my-app": [],
        "project": [],
    }
    for number, (slug, concerned) in enumerate(slugs.items()):
        mail = Mail.make(tmp_path / f"mail{number}.db")
        mail.project("/another/checkout", slug)
        mail.reserve("src/**")
        for repository in (main, linked):
            place = Place(
                git_dir=bytes(repository.git_dir), common_dir=bytes(main.common_dir), top=bytes(repository.path)
            )
            store = AgentMailStore(str(mail.path), patience_s=5, place=place)
            found = [row.pattern for row in store.active("").reservations]
            assert found == ([b"/src/**"] if repository in concerned else []), (slug, repository.path)


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/home/Ann/my_app", "home-ann-my-app"),
        ("/data//projects/.x/", "data-projects-x"),
        ("/caf\u00e9/b\u00e4r", "caf-b-r"),
        ("/", "project"),
    ],
)
def test_a_slug_of_a_path(path: str, slug: str) -> None:
    assert slug_of_path(path.encode()) == slug


def test_two_clones_that_share_a_project_by_their_remote(tmp_path: Path) -> None:
    """The whole way: alice's agent works in one clone, bob commits in the other."""
    mail = Mail.make(tmp_path / "mail.db")
    clones = [guarded(tmp_path / name, mail) for name in ("one", "two")]
    for clone in clones:
        clone.git("remote", "add", "origin", "https://github.com/acme/shop.git")
        age(clone.git_dir / "config")
    mail.project(clones[0].path, "shop-fe4abaed6d")
    mail.reserve("src/auth/**")
    for clone in clones:
        stage(clone, "src/auth/login.py")
        assert run_hook(clone, "pre-commit").code == 1
        assert clone.guard("status", "--check", who="bob").code == 0
        stage(clone, "a.txt")
        assert run_hook(clone, "pre-commit").code == 0


# Names, as its servers compare them


def test_names_are_compared_without_case(repository: Repository, mail: Mail) -> None:
    mail.reserve("src/auth/**", holder="BlueLake")
    other = mail.project(repository.path, "again")
    mail.reserve("lib/**", holder="bluelake", project=other)
    for who in ("BlueLake", "bluelake", "BLUELAKE"):
        stage(repository, "src/auth/login.py", "lib/x")
        assert run_hook(repository, "pre-commit", GUARD_AGENT=who).code == 0, who
        listed = repository.guard("list", "--mine", "--json", who=who).json()["reservations"]
        assert [(row["holder"], row["mine"]) for row in listed] == [("BlueLake", True)] * 2
        assert repository.guard("whoami", "--json", who=who).json()["holder"] == "BlueLake"
        repository.guard("check", "src/auth/login.py", who=who)
    assert run_hook(repository, "pre-commit", GUARD_AGENT="BlueLak\u00e9").code == 1
    assert run_hook(repository, "pre-commit", GUARD_AGENT="bob").code == 1


# No project that concerns the checkout


def test_no_project_is_said_once_a_day_and_fails_the_check(repository: Repository, mail: Mail) -> None:
    mail.sql("UPDATE projects SET human_key = '/elsewhere', slug = 'elsewhere'")
    mail.reserve("src/auth/**")
    mail.settle()
    stage(repository, "src/auth/login.py")
    first = run_hook(repository, "pre-commit")
    assert first.code == 0
    assert "NOTHING IS JUDGED: nothing is reserved here: Agent Mail has no project for " in first.text
    assert str(repository.path) in first.text
    for _ in range(2):
        again = run_hook(repository, "pre-commit")
        assert (again.code, again.text) == (0, "")
    age(repository.common_dir / "guard/nothing-counts", 90_000)
    assert "NOTHING IS JUDGED" in run_hook(repository, "pre-commit", GUARD_AGENT="carol").text
    assert "NOTHING IS RESERVED" in repository.guard("status", "--check", who="bob", expect=1).text
    assert not repository.guard("status", "--json", who="bob").json()["in_force"]
    mail.sql("UPDATE projects SET human_key = ?", str(repository.path))
    assert run_hook(repository, "pre-commit").code == 1
    repository.guard("status", "--check", who="bob")


# Which file it is, and what is wrong with it


WRONG_TABLES = {
    "early": (["ALTER TABLE file_reservations RENAME TO claims"], "early version", "start its server once"),
    "begun": (["DROP TABLE file_reservations"], "no table file_reservations", "start its server once"),
    "a column missing": (
        ["ALTER TABLE file_reservations DROP COLUMN released_ts"],
        "whose table file_reservations has no released_ts",
        "start its server once",
    ),
    "columns missing": (
        ["DROP TABLE projects", "CREATE TABLE projects (id INTEGER PRIMARY KEY)"],
        "whose table projects has no human_key, slug",
        "start its server once",
    ),
    "guard's tables too": (
        [f"CREATE TABLE {name} (id)" for name in ("reservation", "project", "publication")],
        "holds the tables of MCP Agent Mail and those of guard",
        "give each its own file",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_TABLES)
def test_tables_that_guard_cannot_read_are_an_error_with_advice_that_helps(
    repository: Repository, mail: Mail, wrong: str
) -> None:
    statements, why, hint = WRONG_TABLES[wrong]
    for statement in statements:
        mail.sql(statement)
    stage(repository, "a.txt")
    stopped = run_hook(repository, "pre-commit")
    assert stopped.code == 3
    assert why in stopped.text
    assert hint in stopped.text
    said = repository.guard("status", "--check", who="bob", expect=3)
    assert why in said.text


def test_a_guard_store_with_tables_of_agent_mails_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "guard.db"
    SqliteStore(str(path), patience_s=1).close()
    Mail(path).sql("CREATE TABLE file_reservations (id)")
    with pytest.raises(GuardError, match="holds the tables of guard and those of MCP Agent Mail") as caught:
        open_store(str(path), patience_s=1)
    assert caught.value.code == 3


# Submodules


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("m/sub/**", 1),
        ("m/sub/", 1),
        ("m/sub", 1),
        ("m/**", 1),
        ("m/", 1),
        ("**/sub/", 1),
        ("m/sub/*", 1),
        ("other/**", 0),
    ],
)
def test_what_covers_all_of_a_directory_covers_the_submodule_that_stands_there(
    tmp_path: Path, repository: Repository, mail: Mail, pattern: str, code: int
) -> None:
    Repository.make(tmp_path / "library", files={"a": "a\n"})
    stage(repository, "a.txt")
    mail.reserve(pattern)
    run_hook(repository, "pre-commit")
    repository.git("submodule", "--quiet", "add", str(tmp_path / "library"), "m/sub")
    assert run_hook(repository, "pre-commit").code == code
    assert len(store_of(mail, repository.path).active("").reservations) == 1
