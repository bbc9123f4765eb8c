"""A day of two agents and a person in worktrees: each question that they have is asked and answered in one call."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.repositories import Repository

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


def test_a_day(places: tuple[Repository, Repository, Repository], tmp_path: Path) -> None:
    person, claude, codex = places
    # Who am I?
    assert claude.guard("whoami", "--json", who=CLAUDE).json()["holder"] == CLAUDE
    # Reserve what I am about to change, by the name that my editor has for it.
    claude.guard("reserve", f"{claude.path}/src/auth", "--reason", "login", who=CLAUDE)
    # Is this mine, shared, free, or held, and by whom?
    asked = ("check", "src/auth/login.py", "src/web", "docs/a.md", "--json")
    codex.guard("reserve", "docs", "--shared", who=CODEX)
    states = {each["path"]: each["state"] for each in person.guard(*asked, who="ann", expect=1).json()["paths"]}
    assert states == {"src/auth/login.py": "held", "src/web": "free", "docs/a.md": "shared"}
    states = {each["path"]: each["state"] for each in claude.guard(*asked, who=CLAUDE).json()["paths"]}
    assert states["src/auth/login.py"] == "mine"
    # Who holds this file, until when, and why?
    rows = person.guard("list", "src/auth/login.py", "--json", who="ann").json()["reservations"]
    assert [(row["holder"], row["reason"]) for row in rows] == [(CLAUDE, "login")]
    assert 3500 < rows[0]["expires_in_s"] <= 3600
    # May I have it? No: who, why, until when, and what next.
    refused = codex.guard("reserve", "src/auth/login.py", "--reason", "typo", "--json", who=CODEX, expect=1).json()
    assert refused["conflicts"][0]["reservation"]["holder"] == CLAUDE
    assert refused["next"][0] == "guard reserve --wait 5m --reason typo src/auth/login.py"
    # What of mine ends soon?
    claude.guard("reserve", "db", "--ttl", "5m", who=CLAUDE)
    soon = claude.guard("list", "--soon", "10m", "--json", who=CLAUDE).json()["reservations"]
    assert [row["pattern"] for row in soon] == ["/db"]
    claude.guard("renew", "db", who=CLAUDE)
    # Reserve what I have changed already; would my commit pass?
    codex.write("src/web/page.py", "2\n")
    codex.guard("reserve", "--changed", who=CODEX)
    codex.git("add", "-A")
    assert codex.guard("check", who=CODEX).out == b"clear\n"
    codex.git("commit", "-q", "-m", "page", who=CODEX)
    assert "nothing is staged" in codex.guard("check", who=CODEX).text
    # Let go at the right time.
    kept = codex.guard("release", "--all", "--after-push", "--json", who=CODEX).json()
    assert [row["pattern"] for row in kept["kept_until_pushed"]] == ["/src/web/page.py"]
    codex.git("push", "-q", "origin", "codex", who=CODEX)
    assert person.guard("list", "--json", "src/web", who="ann").json()["reservations"] == []
    # Who touched it?
    happened = person.guard("log", "--path", "src/web/page.py", "--since", "1h", "--json", who="ann").json()["log"]
    assert {(entry["event"], entry["holder"]) for entry in happened} >= {("reserved", CODEX), ("released", CODEX)}
    # The session has crashed, and the person needs the file now.
    broken = person.guard("break", "--holder", "claude-7f3a", "--reason", "crashed", "--json", who="ann").json()
    assert len(broken["broken"]) == 2
    told = claude.guard("list", "--json", who=CLAUDE).json()["notices"]
    assert len(told) == 2
    assert all("ann" in each and "crashed" in each for each in told)
    # What is reserved anywhere, asked from anywhere; and where is all that kept?
    person.guard("reserve", "src/auth", who="ann")
    everywhere = Repository(tmp_path).guard("list", "--all-projects", "--json", who="ann").json()["reservations"]
    assert [row["pattern"] for row in everywhere] == ["/src/auth"]
    assert Repository(tmp_path).guard("store", "show", "--json").json()["reservations"] == 1
    # From outside, as git's own -C.
    assert Repository(tmp_path).guard("-C", "person", "check", "src/auth", who="ann").code == 0
