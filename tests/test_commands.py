"""Each command as somebody types it: what it answers, as words and as JSON, and with which exit code."""

from __future__ import annotations

import os
import pty
import re
import shlex
import sys
import threading
from pathlib import Path

import pytest

from guard.commands.names import COMMANDS
from guard.stores.interface import Actor, Chosen
from guard.stores.sqlite import SqliteStore
from tests.support.databases import connected
from tests.support.repositories import GUARD, PACKAGE, Repository, run

RESERVATION = {"id", "holder", "pattern", "exclusive", "reason", "created_at", "expires_at", "expires_in_s", "mine"}
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def on_a_terminal(repository: Repository, *arguments: str, columns: int, env: dict[str, str] | None = None) -> str:
    """What a command writes to a terminal so wide."""
    import fcntl
    import struct
    import termios

    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = os.fork()
    if process == 0:
        os.setsid()
        os.dup2(side, 1)
        os.chdir(repository.path)
        os.environ |= {"PYTHONPATH": str(PACKAGE), "TERM": "xterm", **(env or {})}
        os.execv(GUARD[0], [*GUARD, *arguments])
    os.close(side)
    said = b""
    while True:
        try:
            more = os.read(main, 65536)
        except OSError:
            break
        if not more:
            break
        said += more
    os.close(main)
    os.waitpid(process, 0)
    return said.decode()


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_helps_with_an_example(tmp_path: Path, name: str) -> None:
    done = run((*GUARD, name, "--help"), cwd=tmp_path, env={"PYTHONPATH": str(PACKAGE)})
    assert done.code == 0
    assert "Example" in done.text
    assert f"guard {name}" in done.text.partition("Example")[2]


def test_json_has_the_promised_shapes(repository: Repository) -> None:
    granted = repository.guard("reserve", "src/auth", "*.md", "--reason", "why", "--json", who="alice").json()
    told = {"warnings", "notices", "next"}
    assert set(granted) == {"schema", "generation", "granted", "conflicts", "in_force_in_s"} | told
    assert granted["warnings"] == ["**/*.md matches no file yet"]
    assert 3590 <= granted["granted"][0]["expires_in_s"] <= 3600
    assert granted["schema"] == 1
    assert granted["conflicts"] == []
    assert [set(row) for row in granted["granted"]] == [RESERVATION, RESERVATION]
    assert [row["pattern"] for row in granted["granted"]] == ["/src/auth", "**/*.md"]
    assert ISO.fullmatch(granted["granted"][0]["expires_at"])
    assert granted["granted"][0]["mine"] is True

    refused = repository.guard("reserve", "src/**", "--json", who="bob", expect=1).json()
    assert refused["granted"] == []
    assert [(found["pattern"], found["reservation"]["id"]) for found in refused["conflicts"]] == [
        ("/src/**", 1),
        ("/src/**", 2),
    ]

    listed = repository.guard("list", "--json", who="bob").json()
    assert set(listed) == {"schema", "generation", "project", "holder", "reservations"} | told
    assert listed["holder"] == "bob"
    assert [row["mine"] for row in listed["reservations"]] == [False, False]

    repository.write("src/auth/login.py", "x")
    repository.git("add", "-A")
    checked = repository.guard("check", "--json", who="bob", expect=1).json()
    assert set(checked) == {"schema", "generation", "verdict", "conflicts", "reservations"} | told
    assert checked["verdict"] == "reserved"
    assert checked["conflicts"] == [{"path": "src/auth/login.py", "commit": None, "reservation_id": 1}]
    assert [row["id"] for row in checked["reservations"]] == [1]
    assert repository.guard("check", "--json", who="alice").json()["verdict"] == "clear"

    renewed = repository.guard("renew", "src/auth", "nothing", "--json", who="alice", expect=1).json()
    assert set(renewed) == {"schema", "generation", "renewed", "not_found"} | told
    assert renewed["not_found"] == ["nothing"]
    broken = repository.guard("break", "2", "--reason", "hurry", "--json", who="bob").json()
    assert set(broken) == {"schema", "generation", "broken", "not_found"} | told
    assert {key: broken["broken"][0][key] for key in ("end", "ended_by")} == {"end": "broken", "ended_by": "bob"}
    released = repository.guard("release", "--all", "--json", who="alice").json()
    assert [row["end"] for row in released["released"]] == ["released"]
    ended = repository.guard("list", "--ended", "--json").json()["reservations"]
    assert all(set(row) == RESERVATION | {"ended_at", "ended_by", "end", "end_reason"} for row in ended)
    generations = [answer["generation"] for answer in (granted, listed, renewed, broken, released)]
    assert generations == [2, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["reserve", "!x"], 2, "'!'"),
        (["reserve", "../x"], 2, "outside"),
        (["reserve", ""], 2, "next:"),
        (["reserve", "a\nb"], 2, "next:"),
        (["reserve", "x" * 1025], 2, "1,024"),
        (["reserve", "a**b"], 2, "next:"),
        (["reserve", "[[:alpha:]]*"], 2, "next:"),
        (["reserve", "x[a"], 2, "next:"),
        (["reserve", "x", "--ttl", "5"], 2, "not a duration"),
        (["reserve", "x", "--ttl", "5s"], 2, "1m to 30d"),
        (["reserve", "x", "--ttl", "31d"], 2, "1m to 30d"),
        (["reserve", "x", "--wait", "soon"], 2, "not a duration"),
        (["reserve"], 2, "PATTERN"),
        (["release"], 2, "guard list --mine"),
        (["release", "src/auth"], 1, "do not hold"),
        (["release", "--id", "99"], 1, "do not hold 99"),
        (["release", "--all"], 1, "hold nothing"),
        (["renew", "--all"], 1, "hold nothing"),
        (["break", "99"], 1, "nobody else holds 99"),
        (["break", "x"], 2, "not a valid integer"),
        (["check", "../../x"], 2, "outside"),
        (["check", "-z"], 2, "--stdin"),
        (["check", "--staged", "x"], 2, "together"),
        (["check", "--from", "main"], 2, "together"),
        (["check", "--from", "nowhere", "--to", "main"], 2, "nowhere"),
        (["hold", "x"], 2, "guard hold src/auth -- make test"),
        (["hold", "x", "--", "/no/such/command"], 2, "cannot be started"),
        (["hook", "post-commit"], 2, "pre-commit"),
        (["nothing"], 2, "No such command"),
        (["reserv", "x"], 2, "guard reserve --help"),
        (["list", "--min"], 2, "guard list --mine"),
        (["check", "--stage"], 2, "guard check --staged"),
        (["release", "--all", "docs"], 2, "guard release docs"),
        (["renew", "--all", "docs", "src"], 2, "guard renew docs src"),
        (["list", "--ended", "--all-projects"], 2, "together"),
        (["list", "--soon", "never"], 2, "not a duration"),
        (["log", "--since", "never"], 2, "not a duration"),
        (["reserve", "--staged"], 1, "nothing is staged"),
        (["reserve", "--changed"], 1, "nothing is changed"),
        (["-C", "nowhere", "list"], 2, "cannot go to"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_wrong_input_gets_a_clear_answer(repository: Repository, arguments: list[str], code: int, said: str) -> None:
    done = repository.guard(*arguments, expect=code)
    assert said in done.text
    assert "Traceback" not in done.text
    assert repository.guard("list", "--json").json()["reservations"] == []


def test_outside_a_repository_and_in_a_bare_one(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    for name in ("list", "reserve x", "status", "install", "check"):
        done = Repository(nowhere).guard(*name.split(), expect=2)
        assert "no git repository around" in done.text
        assert "git init" in done.text
    bare = Repository(tmp_path / "bare.git")
    bare.path.mkdir()
    bare.git("init", "-q", "--bare")
    assert b"/src" in bare.guard("reserve", "src", who="alice").out
    assert bare.guard("list", "--json").json()["reservations"][0]["holder"] == "alice"


@pytest.mark.parametrize("name", ["carol\nbob", "x" * 256, " "])
def test_a_name_nobody_can_have(repository: Repository, name: str) -> None:
    done = repository.guard("reserve", "x", env={"GUARD_AGENT": name}, expect=2)
    assert "the holder's name" in done.text


def test_from_a_subdirectory(repository: Repository) -> None:
    there = repository.path / "src"
    for typed, stored in [("auth", "/src/auth"), ("*.sql", "/src/**/*.sql"), ("/top", "/top"), (":/a.txt", "/a.txt")]:
        assert stored.encode() in repository.guard("reserve", typed, cwd=there, who="alice").out
    assert (
        repository.guard("check", "auth/login.py", "../a.txt", cwd=there, who="bob", expect=1).text.count("alice") == 2
    )
    repository.guard("check", "b.py", cwd=there, who="bob")


def test_check_takes_paths_from_everywhere(repository: Repository) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    assert repository.guard("check", "src", who="bob", expect=1).text.count("#1") == 1
    repository.guard("check", ".", who="bob", expect=1)
    repository.guard("check", "a.txt", "docs", who="bob")
    repository.guard("check", "--stdin", stdin=b"a.txt\nsrc/auth/x\n", who="bob", expect=1)
    repository.guard("check", "--stdin", "-z", stdin=b"a.txt\0src/auth/x\0", who="bob", expect=1)
    repository.guard("check", "--stdin", "-z", stdin=b"a.txt\0", who="bob")
    repository.guard("check", "--stdin", "-z", stdin=b"src/auth/x", who="bob", expect=1)
    repository.guard("check", "--stdin", "-z", stdin=b"src/auth/x\n\0", who="bob", expect=1)
    repository.commit("src/auth/login.py", who="alice")
    repository.guard("check", "--from", "HEAD~1", "--to", "HEAD", who="bob", expect=1)
    answer = repository.guard("check", "--stdin", "-z", "--json", stdin=b"src/auth/\xff\0", who="bob", expect=1).json()
    assert answer["conflicts"][0]["path_b64"] == "c3JjL2F1dGgv/w=="


def test_all_or_nothing_and_every_conflict_is_shown(repository: Repository) -> None:
    repository.guard("reserve", "src/*.py", "docs", who="alice")
    repository.guard("reserve", "lib/**", who="carol")
    refused = repository.guard("reserve", "free", "src/b*", "docs/x", "lib", "--json", who="bob", expect=1).json()
    assert [(found["pattern"], found["reservation"]["holder"]) for found in refused["conflicts"]] == [
        ("/src/b*", "alice"),
        ("/docs/x", "alice"),
        ("/lib", "carol"),
    ]
    assert repository.guard("list", "--mine", "--json", who="bob").json()["reservations"] == []


def test_shared_and_exclusive(repository: Repository) -> None:
    repository.guard("reserve", "src", "--shared", who="alice")
    repository.guard("reserve", "src/auth", "--shared", who="bob")
    repository.guard("reserve", "src/auth", who="bob", expect=1)
    repository.commit("src/b.py", who="carol")  # shared ones refuse nobody's commits
    repository.guard("release", "--all", who="alice")
    repository.guard("reserve", "src/auth", who="bob")
    assert repository.guard("list", "--json").json()["reservations"][0]["exclusive"] is True
    repository.guard("reserve", "src/auth", "--shared", who="bob")
    repository.guard("reserve", "src", "--shared", who="alice")
    assert len(repository.guard("list", "--json").json()["reservations"]) == 2


def test_reserving_again_renews_and_shortens_only_when_told(repository: Repository) -> None:
    first = repository.guard("reserve", "x", "--ttl", "8h", "--json", who="alice").json()["granted"][0]
    again = repository.guard("reserve", "x", "--json", who="alice").json()["granted"][0]
    assert (again["id"], again["expires_at"]) == (first["id"], first["expires_at"])
    shorter = repository.guard("reserve", "x", "--ttl", "5m", "--json", who="alice").json()["granted"][0]
    assert shorter["expires_at"] < first["expires_at"]


def test_a_broken_and_an_expired_lease_are_told_once(repository: Repository, hermetic: Path) -> None:
    repository.guard("reserve", "src", "docs", who="alice")
    repository.guard("break", "1", "--reason", "urgent", who="bob")
    told = repository.commit("a.txt", who="alice")  # the hook has to start Python: the store has changed
    assert "bob broke your reservation #1 of /src" in told.text
    assert "broke" not in repository.guard("list", who="alice").text
    store = SqliteStore(str(hermetic / ".local/share/guard/guard.db"), patience_s=5)
    project = repository.guard("whoami", "--json").json()["project"]
    store.renew(Actor(project, "alice", "a@h"), Chosen(ids=(2,)), ttl_ms=1)
    store.close()
    told = repository.guard("whoami", who="alice")
    repository.guard("list", who="bob")
    told_later = repository.guard("whoami", who="alice")
    assert (told.text + told_later.text).count("your reservation #2 of /docs expired") == 1
    events = [
        (entry["event"], entry["holder"], entry["reason"]) for entry in repository.guard("log", "--json").json()["log"]
    ]
    assert ("broken", "bob", "urgent") in events
    assert ("expired", "alice", "") in events


def test_breaking_what_is_mine_is_releasing(repository: Repository) -> None:
    repository.guard("reserve", "src", who="alice")
    assert "guard release --id 1" in repository.guard("break", "1", who="alice", expect=1).text


def test_the_list_fits_the_terminal_and_colours_only_there(repository: Repository) -> None:
    repository.guard(
        "reserve",
        "src/a/very/long/way/down/to/some/file/of/which/the/name/is/long.py",
        who="bob",
    )
    repository.guard("reserve", "docs", "--ttl", "2h", "--reason", "words " * 30, who="alice")
    repository.guard("reserve", "lib", "--ttl", "45m", who="alice")
    for columns in (80, 200):
        shown = on_a_terminal(repository, "list", columns=columns, env={"GUARD_AGENT": "alice"})
        assert "\x1b[" in shown
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
        assert all(len(line) <= columns for line in plain)
        assert [line.split()[0] for line in plain] == ["alice", "#3", "#2", "bob", "#1"]
        assert "in 45 min" in plain[1]
    assert "\x1b[" not in on_a_terminal(repository, "list", columns=80, env={"NO_COLOR": "1"})
    assert b"\x1b[" not in repository.guard("list").out


def test_status_says_all_on_one_screen(repository: Repository) -> None:
    repository.guard("reserve", "src", who="alice")
    said = repository.guard("status", who="bob").text
    for word in ("in force", "bob", "GUARD_AGENT", "others hold 1", "/src", "guard.db", "block"):
        assert word in said
    assert len(said.splitlines()) <= 24
    answer = repository.guard("status", "--json", who="bob").json()
    assert answer["in_force"] is True
    repository.guard("status", "--check")
    repository.guard("uninstall")
    repository.guard("status", "--check", expect=1)


def test_waiting_until_it_is_released(repository: Repository) -> None:
    repository.guard("reserve", "src", "--reason", "tests", who="alice")
    timer = threading.Timer(1.0, lambda: repository.guard("release", "--all", who="alice"))
    timer.start()
    done = repository.guard("reserve", "src/b.py", "--wait", "30s", who="bob")
    timer.join()
    assert "waiting, 30s at most, for:" in done.text
    assert "alice holds /src until" in done.text
    assert b"reserved #2 /src/b.py" in done.out


def test_waiting_in_vain_and_interrupted(repository: Repository) -> None:
    import signal
    import subprocess
    import time

    repository.guard("reserve", "src", who="alice")
    done = repository.guard("reserve", "src", "--wait", "1s", who="bob", expect=1)
    assert "nothing was reserved" in done.text
    process = subprocess.Popen(
        [*GUARD, "reserve", "src", "--wait", "10m"],
        cwd=repository.path,
        env={**os.environ, "GUARD_AGENT": "bob", "PYTHONPATH": str(PACKAGE)},
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert b"Traceback" not in said
    repository.guard("release", "--all", who="alice")
    repository.guard("reserve", "src", who="carol")  # nobody waits any more


def test_waiters_are_served_in_the_order_they_came(repository: Repository) -> None:
    import subprocess
    import time

    repository.guard("reserve", "src", who="alice")
    served = repository.path / "served"
    waiters = []
    for who in ("bob", "carol", "dave"):
        code = f"{sys.executable} -m guard reserve src --wait 60s && echo {who} >> {served} && sleep 0.3 && "
        code += f"{sys.executable} -m guard release src"
        environment = {**os.environ, "GUARD_AGENT": who, "PYTHONPATH": str(PACKAGE)}
        waiters.append(
            subprocess.Popen(["sh", "-c", code], cwd=repository.path, env=environment, stderr=subprocess.PIPE)
        )
        assert waiters[-1].stderr is not None
        waiters[-1].stderr.readline()  # it says that it waits
        time.sleep(0.1)
    repository.guard("release", "--all", who="alice")
    for waiter in waiters:
        waiter.communicate(timeout=60)
        assert waiter.returncode == 0
    assert served.read_text().split() == ["bob", "carol", "dave"]


def test_store_and_settings_come_from_where_they_were_set(repository: Repository, tmp_path: Path) -> None:
    assert "GUARD_AGENT" in repository.guard("whoami", who="zoe").text
    assert "AGENT_NAME" in repository.guard("whoami", env={"AGENT_NAME": "yan"}).text
    assert "user.email" in repository.guard("whoami").text
    session = repository.guard("whoami", env={"CLAUDE_CODE_SESSION_ID": "s-1"}).text
    assert "s-1" in session
    repository.git("config", "guard.agent", "local-name")
    assert "guard.agent (local)" in repository.guard("whoami", env={"CLAUDE_CODE_SESSION_ID": "s-1"}).text
    (tmp_path / "own").mkdir()
    made = repository.guard("reserve", "x", env={"GUARD_DB": str(tmp_path / "own" / "other.db")})
    assert f"made a new, empty store at {tmp_path / 'own/other.db'}" in made.text
    assert (tmp_path / "own/other.db").stat().st_mode & 0o777 == 0o600
    assert "not an absolute path" in repository.guard("list", env={"GUARD_DB": "relative.db"}, expect=2).text


def test_a_store_that_is_no_guard_store(repository: Repository, tmp_path: Path) -> None:

    other = tmp_path / "other.db"
    with connected(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = other.read_bytes()
    done = repository.guard("list", env={"GUARD_DB": str(other)}, expect=3)
    assert "not a guard store" in done.text
    text = tmp_path / "text.db"
    text.write_text("this is no database at all, " * 100)
    assert "not a SQLite database" in repository.guard("list", env={"GUARD_DB": str(text)}, expect=3).text
    assert other.read_bytes() == before


def test_a_hook_called_by_hand_judges_from_wherever_it_is_called(repository: Repository, tmp_path: Path) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    linked = repository.worktree(tmp_path / "linked", "side")
    for place in (repository, linked):
        place.write("src/auth/login.py", "bob's\n")
        place.git("add", "-A")
        for cwd in (place.path, place.path / "src"):
            assert "alice holds" in place.guard("hook", "pre-commit", cwd=cwd, who="bob", expect=1).text
            place.guard("hook", "pre-commit", cwd=cwd, who="alice")
            place.guard("hook", "pre-commit", cwd=cwd, who="bob", env={"GUARD_MODE": "off"})
    assert "no git repository" in Repository(tmp_path).guard("hook", "pre-commit", expect=2).text


def test_the_way_to_wait_is_the_same_request(repository: Repository) -> None:
    """What was asked by --changed and --staged has no words to repeat, so the options are repeated."""
    repository.guard("reserve", "src", who="alice")
    repository.write("src/a.py", "new")
    repository.git("add", "-A")
    for words in (["--changed"], ["--staged", "--reason", "a typo"], ["--changed", "--shared", "docs", "--ttl", "5m"]):
        refused = repository.guard("reserve", *words, "--json", who="bob", expect=1).json()
        again = shlex.split(refused["next"][0])
        assert again[:4] == ["guard", "reserve", "--wait", "5m"]
        assert sorted(again[4:]) == sorted(words)


def test_however_much_is_in_the_way_the_answer_is_short(repository: Repository) -> None:
    names = [f"f{number}" for number in range(200)]
    repository.guard("reserve", *names[:100], who="alice")
    repository.guard("reserve", "all", who="carol")
    refused = repository.guard("reserve", *names, *(f"all/{name}" for name in names), who="bob", expect=1)
    lines = refused.err.decode().splitlines()
    assert len(lines) <= 25
    assert "  … and 86 more" in lines
    one = repository.guard("reserve", *(f"all/{name}" for name in names), who="bob", expect=1).text
    assert "/all/f0 and 199 more meet #101: carol holds /all" in one
    assert len(one.splitlines()) <= 6


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize(
    ("given", "words", "right"),
    [
        (b"a.txt\0src/auth/x\0", (), "guard check --stdin -z"),
        (b"a.txt\0src/auth/x", (), "guard check --stdin -z"),
        (b"a.txt\nsrc/auth/x\n", ("-z",), "guard check --stdin"),
    ],
)
def test_a_list_of_paths_that_is_written_the_other_way_is_not_one_free_path(
    repository: Repository, given: bytes, words: tuple[str, ...], right: str, options: tuple[str, ...]
) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    said = repository.guard("check", "--stdin", *words, *options, stdin=given, who="bob", expect=2)
    assert right in said.text
    repository.guard(*right.split()[1:], stdin=given, who="bob", expect=1)


def test_an_empty_list_of_paths_is_clear_and_said(repository: Repository) -> None:
    assert "no paths" in repository.guard("check", "--stdin", who="bob").text


def test_of_many_reservations_that_ended_each_place_names_a_few_and_counts_the_others(repository: Repository) -> None:
    def broken() -> None:
        repository.guard("reserve", *(f"many/{number}" for number in range(30)), who="alice")
        repository.guard("break", "--holder", "alice", "--reason", "holiday", who="bob")

    counted = "20 more of your reservations: guard list --ended --mine"
    broken()
    hook = repository.commit("free.txt", who="alice").text
    assert hook.count("broke your reservation") == 10
    assert counted in hook
    assert repository.guard("list", "--ended", "--mine", who="alice").text.count("broken by bob") == 30
    broken()
    answer = repository.guard("list", "--json", who="alice").json()
    assert len(answer["notices"]) == 11
    assert counted in answer["notices"][-1]
    assert "your reservation" not in repository.commit("free.txt", "again", who="alice").text
    words = [f"many/{number}" for number in range(30)]
    said = repository.guard("release", *words, who="alice", expect=1)
    assert said.text.count("do not hold many/") == 20
    assert "10 more" in said.text
    assert repository.guard("release", *words, "--json", who="alice", expect=1).json()["not_found"] == words
