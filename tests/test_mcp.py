"""``guard mcp``: what its tools answer, to whom, and what of it is an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types of its own
from mcp.client.client import Client

from guard.mcp.tools import TOOLS, WORDS_MAX
from tests.support.mcp_client import CLAUDE, SESSION, Json, Raw, call, environment, talk
from tests.support.repositories import GUARD, Repository

ME = f"claude-{SESSION}"
MODES = ("auto", "legacy", "2026-07-28")
"""The SDK's client asks ``server/discover`` and falls back; shakes hands as of 2025-11-25; or speaks 2026-07-28."""


@pytest.mark.parametrize("mode", MODES)
def test_a_day_with_the_tools_in_each_era_of_the_protocol(repository: Repository, mode: str) -> None:
    repository.guard("reserve", "src/auth", "--reason", "new login", who="alice")

    async def day(client: Client) -> list[tuple[Json, str, bool]]:
        assert sorted(tool.name for tool in (await client.list_tools()).tools) == sorted(TOOLS)
        found = []
        for name, arguments in (
            ("guard_check", {"paths": ["src/auth/login.py", "a.txt"]}),
            ("guard_reserve", {"patterns": ["src"], "reason": "all of it"}),
            ("guard_reserve", {"patterns": ["a.txt"], "reason": "the first file", "ttl": "30m"}),
            ("guard_list", {}),
            ("guard_release", {"patterns": ["a.txt"]}),
        ):
            answer = await client.call_tool(name, arguments)
            found.append((answer.structured_content or {}, answer.content[0].text, bool(answer.is_error)))  # type: ignore[union-attr]
        return found

    found = talk(repository.path, day, mode=mode, **CLAUDE)
    assert not any(failed for _, _, failed in found)
    assert all(content["message"] == text and content["holder"] == ME for content, text, _ in found)
    checked, refused, granted, listed, released = (content for content, _, _ in found)
    assert checked["verdict"] == "reserved"
    assert {row["path"]: row["state"] for row in checked["paths"]} == {"src/auth/login.py": "held", "a.txt": "free"}
    assert "alice holds /src/auth" in checked["message"] and "new login" in checked["message"]
    assert refused["granted"] == [] and refused["conflicts"][0]["reservation"]["holder"] == "alice"
    assert "nothing was reserved" in refused["message"] and "alice" in refused["message"]
    (row,) = granted["granted"]
    assert row["pattern"] == "/a.txt" and row["mine"] and 1700 <= row["expires_in_s"] <= 1800
    assert row["expires_at"].endswith("Z") and "T" in row["expires_at"]
    assert [each["holder"] for each in listed["reservations"]] == [ME, "alice"] and listed["total"] == 2
    assert released["message"] == f"released #{row['id']} /a.txt"


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26"])
def test_the_handshake_of_every_client_that_was_seen(repository: Repository, version: str) -> None:
    with Raw(repository.path, CLAUDE) as client:
        greeting = client.shake_hands(version)
        assert greeting["protocolVersion"] == version
        assert greeting["serverInfo"]["name"] == "guard" and "guard_check" in greeting["instructions"]
        tools = client.ask("tools/list")["result"]["tools"]
        assert [tool["name"] for tool in tools] == list(TOOLS)
        content = client.tool("guard_check", {"paths": ["a.txt"]})
        assert content["verdict"] == "clear"
        client.leave()
        assert client.ends() == 0


def test_the_schemas_are_sound_and_every_kind_of_answer_is_as_they_say(repository: Repository, tmp_path: Path) -> None:
    validators = {}
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        for tool in client.ask("tools/list")["result"]["tools"]:
            for schema in (tool["inputSchema"], tool["outputSchema"]):
                Draft202012Validator.check_schema(schema)
                assert schema["type"] == "object"
            assert tool["inputSchema"]["additionalProperties"] is False
            assert not {"holder", "agent", "name"} & set(tool["inputSchema"]["properties"])
            validators[tool["name"]] = Draft202012Validator(tool["outputSchema"])
        calls: list[tuple[str, Json]] = [
            ("guard_check", {}),
            ("guard_check", {"changed": True}),
            ("guard_check", {"paths": ["src", "*.txt"]}),
            ("guard_reserve", {"patterns": ["src"], "shared": True}),
            ("guard_reserve", {"changed": True}),
            ("guard_list", {"paths": ["src"], "mine": True, "limit": 1}),
            ("guard_release", {"ids": [99], "patterns": ["nothing"]}),
            ("guard_release", {"all": True}),
            ("guard_list", {"cwd": str(tmp_path)}),
        ]
        for name, arguments in calls:
            content = client.tool(name, arguments)
            validators[name].validate(content)
            assert content["schema"] == 1 and content["message"]


WRONG: list[tuple[str, Json, str]] = [
    ("guard_check", {"pahts": ["a"]}, "no argument 'pahts'"),
    ("guard_check", {"paths": "a.txt"}, "is not of type 'array'"),
    ("guard_check", {"paths": []}, "paths"),
    ("guard_check", {"paths": ["a"], "changed": True}, "do not go together"),
    ("guard_check", {"paths": ["x" * 5000]}, "too long"),
    ("guard_check", {"paths": ["../outside"]}, "outside"),
    ("guard_check", {"cwd": "/no/such/place"}, "names no directory"),
    ("guard_check", {"cwd": "a\0b"}, "names no directory"),
    ("guard_reserve", {}, "say what to reserve"),
    ("guard_reserve", {"patterns": ["!a"]}, "cannot reserve"),
    ("guard_reserve", {"patterns": ["a"], "ttl": "soon"}, "ttl"),
    ("guard_reserve", {"patterns": ["a"], "wait_seconds": 51}, "51"),
    ("guard_reserve", {"patterns": ["a"], "holder": "alice"}, "no argument 'holder'"),
    ("guard_reserve", {"patterns": ["a"], "reason": "x" * 3000}, "reason"),
    ("guard_release", {}, "say what to release"),
    ("guard_release", {"all": True, "ids": [1]}, "all stands alone"),
    ("guard_list", {"limit": 0}, "limit"),
]


def test_wrong_input_is_an_error_that_says_what_is_right(repository: Repository) -> None:
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        for name, arguments, words in WRONG:
            answer = client.ask("tools/call", {"name": name, "arguments": arguments})["result"]
            content = answer["structuredContent"]
            assert answer["isError"] is True, (name, arguments)
            assert words in content["error"]["what"], (arguments, content)
            assert content["error"]["code"] == 2 and content["error"]["next"], (arguments, content)
            assert content["error"]["what"] in answer["content"][0]["text"] or "\\" in answer["content"][0]["text"]
        unknown = client.ask("tools/call", {"name": "guard_break", "arguments": {}})["error"]
        assert unknown["code"] == -32602 and "guard_check" in unknown["message"]
        assert client.tool("guard_check", {"paths": [f"f{n}" for n in range(WORDS_MAX)]})["verdict"] == "clear"


def test_what_cannot_be_decided_is_an_error(repository: Repository, hermetic: Path) -> None:
    repository.guard("reserve", "a.txt", who="alice")
    store = hermetic / ".local/share/guard/guard.db"
    store.write_bytes(b"this is not SQLite")
    content, text, failed = call(repository.path, "guard_check", {"paths": ["a.txt"]}, **CLAUDE)
    assert failed and content["error"]["code"] == 3
    assert "guard.db" in text and content["message"] == text


def test_nothing_to_do_is_no_error(repository: Repository) -> None:
    content, text, failed = call(repository.path, "guard_reserve", {"changed": True}, **CLAUDE)
    assert not failed and content["error"]["code"] == 1 and "nothing is changed" in text


# Who is it?


@pytest.mark.parametrize(
    ("variables", "holder"),
    [
        (CLAUDE, ME),
        ({"COPILOT_AGENT_SESSION_ID": "c0ffee00-1"}, "copilot-c0ffee00-1"),
        ({**CLAUDE, "GUARD_AGENT": "bob"}, "bob"),
        ({"AGENT_NAME": "BlueLake"}, "BlueLake"),
    ],
)
def test_the_holder_is_the_one_that_the_shell_has(
    repository: Repository, variables: dict[str, str], holder: str
) -> None:
    content, _, _ = call(repository.path, "guard_reserve", {"patterns": ["a.txt"]}, **variables)
    assert content["holder"] == holder and "holder_note" not in content
    shell = subprocess.run(
        [*GUARD, "whoami", "--json"], cwd=repository.path, env=environment(variables), capture_output=True, check=True
    )
    assert json.loads(shell.stdout)["holder"] == holder


def test_codex_tells_its_session_with_each_call_and_not_in_the_environment(repository: Repository) -> None:
    meta: dict[str, Any] = {"x-codex-turn-metadata": {"session_id": "s-1", "thread_id": "t-2", "model": "m"}}
    with Raw(repository.path, CLAUDE) as client:  # a Codex that Claude started: this call comes from Codex
        client.shake_hands()
        assert client.tool("guard_list", {}, meta)["holder"] == "codex-s-1"
        assert client.tool("guard_list", {})["holder"] == ME
        strange: list[Json] = [
            {"x-codex-turn-metadata": {"session_id": 7}},
            {"x-codex-turn-metadata": "x"},
            {"other": 1},
        ]
        for odd in strange:
            assert client.tool("guard_list", {}, odd)["holder"] == ME


def test_without_a_name_the_server_makes_one_for_itself_and_says_so_every_time(repository: Repository) -> None:
    with Raw(repository.path) as one, Raw(repository.path) as other:
        for client in (one, other):
            client.shake_hands()
        mine = one.tool("guard_reserve", {"patterns": ["a.txt"]})
        name = mine["holder"]
        assert name.startswith("mcp-") and f"export GUARD_AGENT={name}" in mine["holder_note"]
        assert mine["holder_note"] in mine["message"]
        assert one.tool("guard_list", {})["holder"] == name
        theirs = other.tool("guard_check", {"paths": ["a.txt"]})
        assert theirs["holder"] != name and theirs["verdict"] == "reserved"
    repository.write("a.txt", "changed\n")
    repository.git("add", "a.txt")
    assert repository.git("commit", "-m", "x", expect=None).code == 1
    assert repository.git("commit", "-m", "x", who=name, expect=None).code == 0


ERRORS_WITH_A_COMMAND: list[tuple[str, Json]] = [
    ("guard_reserve", {"patterns": ["a.txt:12"]}),
    ("guard_reserve", {"patterns": ["{a,b}.txt"]}),
    ("guard_check", {"paths": ["link/login.py"]}),
    ("guard_list", {"paths": ["/etc/passwd"]}),
]


@pytest.mark.parametrize(("tool", "arguments"), ERRORS_WITH_A_COMMAND)
def test_an_error_that_names_a_command_tells_a_made_name_too(
    repository: Repository, tool: str, arguments: Json
) -> None:
    """An agent that types the command would else reserve in another name, and be refused by its own reservation."""
    (repository.path / "link").symlink_to("src/auth")
    with Raw(repository.path) as client:
        client.shake_hands()
        answer = client.tool(tool, arguments)
        name = client.tool("guard_list", {})["holder"]
        assert "next: guard " in answer["message"]
        assert answer["holder"] == name and f"export GUARD_AGENT={name}" in answer["holder_note"]
        assert answer["message"].endswith(answer["holder_note"])
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        assert "holder_note" not in client.tool(tool, arguments)


def test_nothing_changed_is_said_as_such(repository: Repository) -> None:
    content, text, failed = call(repository.path, "guard_check", {"changed": True}, **CLAUDE)
    assert not failed and content["verdict"] == "clear" and text == "clear: nothing is changed"


# Where is it?


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another account")
def test_what_repairs_a_repository_is_named_and_not_another_directory(repository: Repository) -> None:
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "clear"
        for path in (repository.path, repository.path / ".git"):
            os.chown(path, 65534, 65534)
        error = client.tool("guard_check", {"paths": ["a.txt"]})["error"]
        assert "git does not trust the repository" in error["what"]
        subprocess.run(["sh", "-c", error["next"]], check=True)
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "clear"
        (repository.path / ".git").rename(repository.path / "away")
        assert client.tool("guard_check", {"paths": ["a.txt"]})["error"]["next"].startswith("name a directory")


def test_the_repository_is_found_anew_for_each_call(repository: Repository, tmp_path: Path) -> None:
    other = Repository.make(tmp_path / "other")
    other.install()
    other.guard("reserve", "a.txt", who="alice")
    with Raw(tmp_path, {**CLAUDE, "CLAUDE_PROJECT_DIR": str(repository.path)}) as client:
        client.shake_hands()
        assert client.tool("guard_check", {"paths": ["a.txt"]})["verdict"] == "clear"
        assert client.tool("guard_check", {"paths": ["a.txt"], "cwd": str(other.path)})["verdict"] == "reserved"
        assert client.tool("guard_check", {"paths": ["../a.txt"], "cwd": "src"})["paths"][0]["path"] == "a.txt"
        other.guard("release", "a.txt", who="alice")
        assert client.tool("guard_check", {"paths": ["a.txt"], "cwd": str(other.path)})["verdict"] == "clear"
        other.git("config", "guard.agent", "carol")
        assert client.tool("guard_list", {"cwd": str(other.path)})["holder"] == "carol"


def test_what_is_not_enforced_is_said(tmp_path: Path) -> None:
    bare = Repository.make(tmp_path / "plain")
    content, text, failed = call(bare.path, "guard_reserve", {"patterns": ["a.txt"]}, **CLAUDE)
    assert not failed and content["granted"]
    assert any("not in force" in warning for warning in content["warnings"]) and "not in force" in text
    assert any("made a new, empty store" in warning for warning in content["warnings"])


def test_a_broken_lease_is_told_once(repository: Repository) -> None:
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        number = client.tool("guard_reserve", {"patterns": ["a.txt"]})["granted"][0]["id"]
        repository.guard("break", str(number), "--reason", "hotfix", who="alice")
        first, second = (client.tool("guard_check", {"paths": ["a.txt"]}) for _ in range(2))
    assert "hotfix" in first["notices"][0] and "hotfix" in first["message"]
    assert second["notices"] == []


def test_a_long_answer_is_cut_so_that_a_client_shows_it_whole(repository: Repository) -> None:
    """What is held comes first, the verdict covers all, and what is left out is counted."""
    repository.guard("reserve", "z", who="alice")
    with Raw(repository.path, CLAUDE) as client:
        client.shake_hands()
        tools = {tool["name"]: tool for tool in client.ask("tools/list")["result"]["tools"]}
        free = [f"free/{number}" for number in range(1000)]
        content = client.tool("guard_check", {"paths": [*free, "z/last.txt"]})
        Draft202012Validator(tools["guard_check"]["outputSchema"]).validate(content)
        assert content["verdict"] == "reserved" and content["left_out"] == {"paths": 901}
        assert [row["state"] for row in content["paths"]] == ["held"] + ["free"] * 99
        assert "901 of paths" in content["message"] and "z/last.txt" in content["message"]
        assert "left_out" not in client.tool("guard_check", {"paths": free[:100]})
        content = client.tool("guard_reserve", {"patterns": free})
        assert len(content["granted"]) == 100 and content["left_out"] == {"granted": 900}
        assert len(content["warnings"]) < 50 and "more warnings" in content["warnings"][-1]
        listed = client.tool("guard_list", {})
        assert listed["total"] == 1001 and len(listed["reservations"]) == 100 and "limit" in listed["next"][0]
        assert len(client.tool("guard_list", {"limit": 500})["reservations"]) == 500
        assert client.tool("guard_release", {"all": True})["left_out"] == {"released": 900}
        assert max(map(len, client.lines)) < 400_000 and len(client.lines[-1]) < 50_000


def test_what_is_advised_works_from_here(repository: Repository, tmp_path: Path) -> None:
    """A hint for a shell, such as cd, would not move the server."""
    worktree = repository.worktree(tmp_path / "linked", "linked")
    with Raw(worktree.path, CLAUDE) as client:
        client.shake_hands()
        outside = client.tool("guard_check", {"paths": ["a.txt"], "cwd": "/"})
        assert '"cwd"' in outside["error"]["next"] and "cd " not in outside["error"]["next"]
        other = client.tool("guard_check", {"paths": [str(repository.path / "a.txt")]})
        assert f"guard -C {repository.path} check " in other["error"]["next"]
        repository.git("worktree", "remove", "--force", str(worktree.path))
        gone = client.tool("guard_check", {"paths": ["a.txt"]})
        assert "started in is gone" in gone["message"] and '"cwd"' in gone["error"]["next"]
        assert client.tool("guard_check", {"paths": ["a.txt"], "cwd": str(repository.path)})["verdict"] == "clear"


# Without the extra


def test_without_the_extra_the_command_that_installs_it_is_named(repository: Repository, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "mcp.py").write_text("raise ModuleNotFoundError(\"No module named 'mcp'\", name='mcp')\n")
    (hidden / "mcp_types.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'mcp_types'\", name='mcp_types')\n"
    )
    variables = environment({})
    variables["PYTHONPATH"] = f"{hidden}:{variables['PYTHONPATH']}"
    done = subprocess.run(
        [*GUARD, "mcp"], cwd=repository.path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3 and done.stdout == ""
    assert f"{sys.executable} -m pip install 'git-guard[mcp]'" in done.stderr
