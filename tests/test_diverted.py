"""Another project or store than this repository's own is never looked at in silence, whatever leads there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.event_cases import no_python, settle
from tests.support.mcp_client import Raw
from tests.support.repositories import PACKAGE, Repository, run

WAYS = ["variable", "option", "pairs", "GIT_CONFIG_GLOBAL", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_SYSTEM"]


def by(way: str, key: str, value: str, place: Path) -> dict[str, str]:
    """The environment in which a setting has another value than in the repository, by one way."""
    if way == "variable":
        return {{"guard.db": "GUARD_DB", "guard.project": "GUARD_PROJECT"}[key]: value}
    if way == "option":  # what git -c makes of it
        return {"GIT_CONFIG_PARAMETERS": f"'{key}'='{value}'"}
    if way == "pairs":
        return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": value}
    file = place / {"HOME": ".gitconfig", "XDG_CONFIG_HOME": "git/config"}.get(way, "config")
    file.parent.mkdir(parents=True, exist_ok=True)
    section, _, name = key.partition(".")
    file.write_text(f"[user]\n\tname = N\n\temail = n@example.com\n[{section}]\n\t{name} = {value}\n")
    if way == "HOME":
        return {"HOME": str(place)}
    if way == "XDG_CONFIG_HOME":
        return {"XDG_CONFIG_HOME": str(place), "HOME": str(place)}
    if way == "GIT_CONFIG_SYSTEM":
        return {"GIT_CONFIG_SYSTEM": str(file), "GIT_CONFIG_NOSYSTEM": ""}
    return {way: str(file)}


def held(repository: Repository) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    repository.write("src/auth/login.py", "changed\n")
    repository.git("add", "-A")


@pytest.mark.parametrize("way", WAYS)
def test_another_store_is_said_in_every_hook(repository: Repository, tmp_path: Path, way: str) -> None:
    held(repository)
    other = tmp_path / "other.db"
    Repository.make(tmp_path / "elsewhere").guard("reserve", "a.txt", env={"GUARD_DB": str(other)})
    usual = repository.guard("status", "--json").json()["store"]
    env = by(way, "guard.db", str(other), tmp_path / "env")
    for _ in range(2):  # nothing that was published for the first lets the second pass in silence
        said = repository.git("commit", "-q", "--allow-empty", "-m", "m", who="bob", env=env).text
        assert (
            f"JUDGED BY OTHER RESERVATIONS: {'the environment variable' if way == 'variable' else 'git config'}" in said
        )
        assert str(other) in said
        assert usual in said
    assert repository.guard("status", "--check", env=env, expect=1)
    for command in ("list", "check", "reserve"):
        done = repository.guard(command, *(["docs"] if command == "reserve" else []), env=env, expect=None)
        assert "what is reserved there is not looked at" in done.text, command


@pytest.mark.parametrize("way", WAYS[:3])
def test_another_project_is_said_in_every_hook(repository: Repository, tmp_path: Path, way: str) -> None:
    held(repository)
    env = by(way, "guard.project", "zzz", tmp_path / "env")
    for _ in range(2):
        said = repository.git("commit", "-q", "--allow-empty", "-m", "m", who="bob", env=env).text
        assert "names the project zzz, and this repository's is " in said
    assert "names the project zzz" in repository.guard("list", env=env).text
    assert "names the project zzz" in repository.guard("status", "--check", env=env, expect=1).text
    assert repository.guard("list", "--json", env=env).json()["warnings"]


@pytest.mark.parametrize("way", WAYS[3:])
def test_a_project_of_the_account_does_not_count_beside_the_repositorys(
    repository: Repository, tmp_path: Path, way: str
) -> None:
    held(repository)
    env = by(way, "guard.project", "zzz", tmp_path / "env")
    assert "alice holds" in repository.git("commit", "-qm", "m", who="bob", env=env, expect=1).text


def test_without_the_recorded_name_the_noted_one_is_compared(repository: Repository, tmp_path: Path) -> None:
    """As when somebody takes guard.project out, and another remote then gives another name."""
    repository.git("config", "--unset", "guard.project")
    repository.git("remote", "add", "origin", "https://example.com/acme/shop")
    done = repository.git("commit", "-q", "--allow-empty", "-m", "m", who="bob")
    assert "the remote origin names the project example.com/acme/shop, and this repository's is " in done.text


@pytest.mark.parametrize("push", [False, True])
def test_the_same_said_twice_leads_nowhere_else(repository: Repository, tmp_path: Path, push: bool) -> None:
    """A variable that names what holds anyway, in whatever spelling, costs nothing and is not mentioned."""
    status = repository.guard("status", "--json").json()
    link = tmp_path / "link"
    link.symlink_to(os.path.dirname(status["store"]))
    store = str(link / "guard.db") if push else status["store"]
    env = {"GUARD_PROJECT": status["project"], "GUARD_DB": store}
    repository.guard("reserve", "src/auth", who="alice", env=env)
    settle(repository, **env)
    with no_python(repository):
        done = repository.git("commit", "-q", "--allow-empty", "-m", "m", who="bob", env=env)
    assert "guard:" not in done.text
    assert "names the" not in repository.guard("list", env=env).text


def test_a_name_that_was_chosen_in_the_repository_counts(repository: Repository) -> None:
    repository.git("config", "guard.project", "chosen")
    assert "guard:" not in repository.git("commit", "-q", "--allow-empty", "-m", "m", who="bob").text


def test_the_repairs_that_are_named_work(repository: Repository, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    Repository.make(tmp_path / "elsewhere").guard("reserve", "a.txt", env={"GUARD_DB": str(other)})
    repository.git("config", "--global", "guard.db", str(other))
    said = repository.git("commit", "-q", "--allow-empty", "-m", "m").text
    assert "repair: git config --global --unset guard.db; or, if meant: git config guard.db " in said
    repository.git("config", "guard.db", str(other))
    assert "guard:" not in repository.git("commit", "-q", "--allow-empty", "-m", "m").text
    repository.git("config", "--unset", "guard.db")
    repository.git("config", "--global", "--unset", "guard.db")
    assert "guard:" not in repository.git("commit", "-q", "--allow-empty", "-m", "m").text


def test_an_agents_edit_says_the_same(repository: Repository, tmp_path: Path) -> None:
    held(repository)
    path = os.fsencode(repository.path / "src/auth/login.py")
    code = (
        "import os, sys; from guard.agents.edit import refusal_of_edit; "
        "print(refusal_of_edit([os.fsencode(sys.argv[1])], os.getcwdb(), os.environb, os.fsencode(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, os.fsdecode(path), str(tmp_path / "note")]
    env = {"PYTHONPATH": str(PACKAGE), "GUARD_AGENT": "bob"}
    assert "alice holds" in run(command, cwd=repository.path, env=env).text
    for _ in range(2):
        said = run(command, cwd=repository.path, env={**env, "GUARD_PROJECT": "zzz"}).text
        assert "names the project zzz, and this repository's is " in said


@pytest.mark.parametrize("key", ["guard.project", "guard.db"])
@pytest.mark.parametrize("way", WAYS[:3])
def test_an_mcp_server_says_the_same_as_the_commands(
    repository: Repository, tmp_path: Path, way: str, key: str
) -> None:
    """Each tool answers from the other project or store, and says so."""
    held(repository)
    other = "zzz" if key == "guard.project" else str(tmp_path / "other.db")
    Repository.make(tmp_path / "elsewhere").guard("reserve", "b.txt", env=by("variable", key, other, tmp_path))
    env = {"GUARD_AGENT": "bob", **by(way, key, other, tmp_path)}
    calls = [
        ("guard_check", {"paths": ["src/auth/login.py"]}, ["check", "src/auth/login.py"]),
        ("guard_list", {}, ["list"]),
        ("guard_reserve", {"patterns": ["docs"]}, ["reserve", "docs"]),
    ]
    with Raw(repository.path, env) as client:
        client.shake_hands()
        for tool, arguments, command in calls:
            said = repository.guard(*command, "--json", env=env).json()["warnings"]
            assert any("what is reserved there is not looked at" in each for each in said)
            answer = client.tool(tool, arguments)
            assert set(answer["warnings"]) == set(said), tool
            assert all(f"warning: {each}" in answer["message"] for each in said)


def test_a_tracked_file_that_names_another_project_than_at_install_is_said(repository: Repository) -> None:
    """A commit that somebody pushed may change it: until the next install, that is no reason to look elsewhere."""
    repository.git("config", "--unset", "guard.project")
    repository.write(".guardconfig", "[guard]\n\tproject = the shop\n")
    assert "names the project the shop" in repository.git("commit", "-q", "--allow-empty", "-m", "m").text
    repository.guard("install")
    assert "guard:" not in repository.git("commit", "-q", "--allow-empty", "-m", "m").text
    repository.write(".guardconfig", "[guard]\n\tproject = another\n")
    said = repository.git("commit", "-q", "--allow-empty", "-m", "m").text
    assert "the file .guardconfig names the project another, and this repository's is the shop" in said
    assert "repair: guard install, which notes the name that the file now gives" in said
