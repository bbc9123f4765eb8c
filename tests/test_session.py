"""A day of two agents and a person in worktrees: each question that they have is asked and answered in one call."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.support.repositories import GUARD, PACKAGE, Repository

CLAUDE = "claude-7f3a91c2-1111-4222-8333-444455556666"
CODEX = "codex-0a1b2c3d-1111-4222-8333-444455556666"


@pytest.fixture
def places(tmp_path: Path) -> tuple[Repository, Repository, Repository]:
    """Three worktrees of one repository with guard and a remote: the person's, and one for each agent."""
    person = Repository.make(
        tmp_path / "person",
        *("-b", "main"),
        files={"src/auth/login.py": "1\n", "src/web/page.py": "1\n", "docs/a.md": "1\n", "db/new.sql": "1\n"},
    )
    person.git("init", "-q", "--bare", str(tmp_path / "bare.git"))
    person.git("remote", "add", "origin", str(tmp_path / "bare.git"))
    person.git("push", "-q", "-u", "origin", "main")
    person.install()
    return person, person.worktree(tmp_path / "claude", "claude"), person.worktree(tmp_path / "codex", "codex")


Places = tuple[Repository, Repository, Repository]


def test_a_morning_who_holds_what(places: Places) -> None:
    person, claude, codex = places
    # Who am I?
    assert claude.guard("whoami", "--json", who=CLAUDE).json()["holder"] == CLAUDE
    # Reserve what I am about to change, by the name that my editor has for it.
    claude.guard("reserve", f"{claude.path}/src/auth", "--reason", "login", who=CLAUDE)
    # Is this mine, shared, free, or held, and by whom?
    asked = ("check", "src/auth/login.py", "src/web", "docs/a.md", "--json")
    codex.guard("reserve", "docs", "--shared", who=CODEX)
    answer = person.guard(*asked, who="ann", expect=1).json()
    assert {each["path"]: each["state"] for each in answer["paths"]} == {
        "src/auth/login.py": "held",
        "src/web": "free",
        "docs/a.md": "shared",
    }
    states = {each["path"]: each["state"] for each in claude.guard(*asked, who=CLAUDE).json()["paths"]}
    assert states["src/auth/login.py"] == "mine"
    # When is it free?
    held = {row["id"]: row for row in answer["reservations"]}[answer["conflicts"][0]["reservation_id"]]
    assert 3500 < held["expires_in_s"] <= 3600
    # Who holds this file, and why?
    rows = person.guard("list", "src/auth/login.py", "--json", who="ann").json()["reservations"]
    assert [(row["holder"], row["reason"]) for row in rows] == [(CLAUDE, "login")]
    # May I have it? No: who, why, until when, and what next.
    refused = codex.guard("reserve", "src/auth/login.py", "--reason", "typo", "--json", who=CODEX, expect=1).json()
    assert refused["conflicts"][0]["reservation"]["holder"] == CLAUDE
    assert refused["next"][0] == "guard reserve --wait 5m --reason typo src/auth/login.py"
    # What of mine ends soon?
    claude.guard("reserve", "db", "--ttl", "5m", who=CLAUDE)
    soon = claude.guard("list", "--soon", "10m", "--json", who=CLAUDE).json()["reservations"]
    assert [row["pattern"] for row in soon] == ["/db"]
    # How much do I hold, how much do others hold, and when does my next one end? In one line, for a prompt.
    assert claude.guard("status", "--line", who=CLAUDE).out.decode().startswith("2 mine · 1 theirs · next 5 min")
    # Who works where?
    assert "/src/auth" in person.guard("map", who="ann").out.decode()


def test_taking_turns(places: Places) -> None:
    person, claude, codex = places
    claude.guard("reserve", "src/auth", who=CLAUDE)
    # Let me have it as soon as it is free.
    waiting = subprocess.Popen(
        (*GUARD, "reserve", "--wait", "2m", "src/auth/login.py", "--json"),
        cwd=codex.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), "GUARD_AGENT": CODEX},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert waiting.stderr is not None
    assert b"waiting" in waiting.stderr.readline()
    claude.guard("release", "src/auth", who=CLAUDE)
    assert json.loads(waiting.communicate(timeout=120)[0])["granted"][0]["holder"] == CODEX
    # Nobody else's while this runs.
    person.guard("hold", "docs", "--", *GUARD, "check", "docs/a.md", who="ann")
    assert person.guard("list", "--mine", "--json", who="ann").json()["reservations"] == []


def test_what_i_am_at_and_letting_go_at_the_right_time(places: Places) -> None:
    person, claude, codex = places
    # Reserve what I have changed already, or staged; would my commit pass?
    codex.write("src/web/page.py", "2\n")
    codex.guard("reserve", "--changed", who=CODEX)
    codex.git("add", "-A")
    assert codex.guard("reserve", "--staged", "--json", who=CODEX).json()["granted"][0]["pattern"] == "/src/web/page.py"
    assert codex.guard("check", who=CODEX).out == b"clear\n"
    # May I change what git lists here, in a subdirectory?
    names = codex.git("diff", "--name-only", "--relative", "--cached", "-z", cwd=codex.path / "src").out
    answer = codex.guard("check", "--stdin", "-z", "--json", who=CODEX, stdin=names, cwd=codex.path / "src").json()
    assert [(each["path"], each["state"]) for each in answer["paths"]] == [("src/web/page.py", "mine")]
    codex.git("commit", "-q", "-m", "page", who=CODEX)
    assert "nothing is staged" in codex.guard("check", who=CODEX).text
    # Would this branch be refused?
    person.guard("check", "--from", "main", "--to", "codex", who="ann", expect=1)
    # A release says what I have not pushed; let go when it is pushed.
    assert "1 unpushed commit" in codex.guard("release", "--all", who=CODEX).text
    codex.guard("reserve", "src/web", who=CODEX)
    kept = codex.guard("release", "--all", "--after-push", "--json", who=CODEX).json()
    assert [row["pattern"] for row in kept["kept_until_pushed"]] == ["/src/web"]
    codex.git("push", "-q", "origin", "codex", who=CODEX)
    assert person.guard("list", "--json", "src/web", who="ann").json()["reservations"] == []
    # Who touched it? And what did that session do?
    happened = person.guard("log", "--path", "src/web/page.py", "--since", "1h", "--json", who="ann").json()["log"]
    assert {(entry["event"], entry["holder"]) for entry in happened} >= {("reserved", CODEX), ("released", CODEX)}
    released = person.guard("log", "--holder", CODEX, "--event", "released", "--json", who="ann").json()["log"]
    assert {entry["event"] for entry in released} == {"released"}
    # Words that mean two things are wrong usage, and so is a revision that is none.
    assert "--all stands alone" in claude.guard("release", "--all", "docs", who=CLAUDE, expect=2).text
    assert "names no commit" in claude.guard("check", "--from", "mian", "--to", "HEAD", who=CLAUDE, expect=2).text
    assert "guard check --help" in claude.guard("chekc", who=CLAUDE, expect=2).text


def test_a_session_that_crashed(places: Places) -> None:
    person, claude, codex = places
    claude.guard("reserve", "src/auth", "db", who=CLAUDE)
    # The person needs it now; the victim is told who, and why.
    broken = person.guard("break", "--holder", "claude-7f3a", "--reason", "crashed", "--json", who="ann").json()
    assert len(broken["broken"]) == 2
    told = claude.guard("status", "--json", who=CLAUDE).json()["notices"]
    assert len(told) == 2
    assert all("ann" in each and "crashed" in each for each in told)
    # An earlier session of mine is dead: go on where it stopped.
    codex.guard("reserve", "docs", who=CODEX)
    store = person.guard("store", "show", "--json").json()["store"]
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE log SET at = at - 3600000")  # it has been quiet for an hour
    taken = codex.guard("take", "--json", who="codex-99990000-1111-4222-8333-444455556666").json()
    assert [row["pattern"] for row in taken["granted"]] == ["/docs"]


def test_a_fence_for_an_agent(places: Places) -> None:
    person, claude, _ = places
    person.git("config", "extensions.worktreeConfig", "true")
    claude.git("config", "--worktree", "guard.only", "src/auth")
    # May this agent change that, here?
    assert claude.guard("check", "docs/a.md", "--json", who=CLAUDE, expect=1).json()["verdict"] == "fenced"
    assert "outside of this worktree's fence" in claude.commit("docs/a.md", who=CLAUDE, expect=1).text
    person.commit("docs/a.md", who="ann")


def test_from_anywhere(places: Places, tmp_path: Path) -> None:
    person, anywhere = places[0], Repository(tmp_path)
    person.guard("reserve", "src/auth", who="ann")
    # What is reserved in all projects, and where is all that kept?
    everywhere = anywhere.guard("list", "--all-projects", "--json", who="ann").json()["reservations"]
    assert [row["pattern"] for row in everywhere] == ["/src/auth"]
    assert anywhere.guard("store", "show", "--json").json()["reservations"] == 1
    anywhere.guard("store", "backup", "saved.db")
    # From outside, as git's own -C.
    assert anywhere.guard("-C", "person", "check", "src/auth", who="ann").code == 0
    # Which of my repositories have guard, and is it in force in each?
    assert str(person.path) in anywhere.guard("status", "--all", "--check", who="ann").text
