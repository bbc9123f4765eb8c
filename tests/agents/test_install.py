"""guard agent install, uninstall, status: guard's own entries, and nothing else of anybody's."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from guard.agents.programs import PROGRAMS
from tests.support.repositories import Repository

USER_FILES = {
    "claude": ".claude/settings.json",
    "codex": ".codex/hooks.json",
    "copilot": ".copilot/hooks/guard.json",
    "gemini": ".gemini/settings.json",
    "opencode": ".config/opencode/plugins/guard.js",
    "cursor": ".cursor/hooks.json",
}
IN_JSON = ["claude", "codex", "gemini", "cursor"]
SETTINGS = '{\n    // mine\n    "zeta": [1, 2],\n    "hooks": {\n        "Stop": []\n    },\n    "alpha": "\u00fc"\n}\n'


def agent(repository: Repository, *words: str, expect: int | None = 0) -> str:
    return repository.guard("agent", *words, expect=expect).text


def files_below(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def of_home(home: Path) -> dict[str, bytes]:
    """Every file of the account but what guard keeps in a directory of its own."""
    return {name: data for name, data in files_below(home).items() if not name.startswith(".local/share/guard/")}


def test_the_table_has_every_program() -> None:
    assert set(USER_FILES) == set(PROGRAMS)


@pytest.mark.parametrize("name", list(USER_FILES))
def test_in_and_out_leaves_nothing(repository: Repository, hermetic: Path, name: str) -> None:
    before = of_home(hermetic)
    agent(repository, "install", name)
    assert set(of_home(hermetic)) == {*before, USER_FILES[name]}
    agent(repository, "uninstall", name)
    assert of_home(hermetic) == before


@pytest.mark.parametrize("name", IN_JSON)
@pytest.mark.parametrize("text", ["", "\n", " \n\t", "{}", "{ }", "{\n}\n", "\n{\r\n\r\n}", "{}\n\n"])
def test_in_and_out_of_settings_in_which_nothing_stands(
    repository: Repository, hermetic: Path, name: str, text: str
) -> None:
    file = hermetic / USER_FILES[name]
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode())
    agent(repository, "install", name)
    assert b"guard/agent" in file.read_bytes()
    agent(repository, "uninstall", name)
    assert file.read_bytes() == text.encode()


def test_guards_status_counts_an_agent_whose_hook_is_out_of_force(repository: Repository, hermetic: Path) -> None:
    agent(repository, "install", "claude")
    repository.guard("status", "--check")
    (hermetic / ".claude/settings.json").write_text(
        (hermetic / ".claude/settings.json").read_text().replace("{", '{"disableAllHooks": true,', 1)
    )
    said = repository.guard("status", "--check", expect=1).text
    assert "NOT GUARDED" in said and "disableAllHooks" in said


def test_codex_is_not_guarded_before_it_trusts_the_hook(repository: Repository, hermetic: Path) -> None:
    agent(repository, "install", "codex")
    assert "does not trust" in agent(repository, "status")
    agent(repository, "status", "--check", expect=1)
    key = f"{hermetic / '.codex/hooks.json'}:pre_tool_use:0:0"
    (hermetic / ".codex/config.toml").write_text(f'[hooks.state."{key}"]\ntrusted_hash = "sha256:0"\n')
    assert "does not trust" not in agent(repository, "status")
    agent(repository, "install", "--trust", "codex", expect=1)  # codex is not on PATH


@pytest.mark.parametrize("name", IN_JSON)
def test_in_and_out_of_settings_with_comments_leaves_every_byte(
    repository: Repository, hermetic: Path, name: str
) -> None:
    file = hermetic / USER_FILES[name]
    file.parent.mkdir(parents=True)
    file.write_text(SETTINGS)
    file.chmod(0o600)
    agent(repository, "install", name)
    assert "// mine" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    agent(repository, "uninstall", name)
    assert file.read_text() == SETTINGS


@pytest.mark.parametrize("name", list(USER_FILES))
def test_again_changes_nothing(repository: Repository, hermetic: Path, name: str) -> None:
    agent(repository, "install", name)
    once = of_home(hermetic)
    assert "already" in agent(repository, "install", name)
    assert of_home(hermetic) == once


@pytest.mark.parametrize("name", list(USER_FILES))
def test_a_dry_run_shows_and_writes_nothing(repository: Repository, hermetic: Path, name: str) -> None:
    before = files_below(hermetic)
    assert "guard/agent" in agent(repository, "install", name, "--dry-run")
    assert files_below(hermetic) == before
    agent(repository, "install", name)
    installed = files_below(hermetic)
    assert "-" in agent(repository, "uninstall", name, "--dry-run")
    assert files_below(hermetic) == installed


@pytest.mark.parametrize("name", list(USER_FILES))
def test_a_link_is_refused_out_loud(repository: Repository, hermetic: Path, name: str) -> None:
    real = hermetic / "dotfiles"
    real.write_text("{}\n")
    file = hermetic / USER_FILES[name]
    file.parent.mkdir(parents=True)
    file.symlink_to(real)
    said = agent(repository, "install", name, expect=1)
    assert "symbolic link" in said and str(real) in said
    assert real.read_text() == "{}\n"
    assert file.is_symlink()


@pytest.mark.parametrize("name", IN_JSON)
@pytest.mark.parametrize(
    "text", ['{"hooks": []}', "{", "[1]", '{"hooks": {"PreToolUse": 1, "BeforeTool": 1, "preToolUse": 1}}']
)
def test_a_file_that_cannot_be_kept_is_refused_with_the_lines_to_add(
    repository: Repository, hermetic: Path, name: str, text: str
) -> None:
    file = hermetic / USER_FILES[name]
    file.parent.mkdir(parents=True)
    file.write_text(text)
    said = agent(repository, "install", name, expect=1)
    assert str(file) in said and "guard/agent" in said
    assert file.read_text() == text


@pytest.mark.parametrize("name", ["copilot", "opencode"])
def test_a_file_of_somebody_elses_under_our_name_stays(repository: Repository, hermetic: Path, name: str) -> None:
    file = hermetic / USER_FILES[name]
    file.parent.mkdir(parents=True)
    file.write_text("theirs")
    assert "guard did not make it" in agent(repository, "install", name, expect=1)
    agent(repository, "uninstall", name, expect=1)
    assert file.read_text() == "theirs"


@pytest.mark.parametrize("name", IN_JSON)
def test_hooks_of_others_stay_before_ours(repository: Repository, hermetic: Path, name: str) -> None:
    before = next(event.name for event in PROGRAMS[name].events if event.kind == "before")
    file = hermetic / USER_FILES[name]
    file.parent.mkdir(parents=True)
    theirs = {"hooks": {before: [{"hooks": [{"type": "command", "command": "theirs"}]}]}}
    file.write_text(json.dumps(theirs))
    agent(repository, "install", name)
    entries = json.loads(file.read_text())["hooks"][before]
    assert entries[0] == theirs["hooks"][before][0]
    assert len(entries) == 2
    agent(repository, "uninstall", name)
    assert json.loads(file.read_text()) == theirs


def commands(value: Any) -> list[str]:
    """Every command line in a settings file."""
    if isinstance(value, dict):
        found = [value[key] for key in ("command", "bash") if isinstance(value.get(key), str)]
        return found + [line for each in value.values() for line in commands(each)]
    return [line for each in value for line in commands(each)] if isinstance(value, list) else []


def test_an_older_entry_of_guards_is_renewed_in_its_place(repository: Repository, hermetic: Path) -> None:
    agent(repository, "install", "claude")
    file = hermetic / ".claude/settings.json"
    current = file.read_text()
    file.write_text(current.replace("PreToolUse; fi", "PreToolUse --old; fi").replace("Write|Edit|", "Edit|"))
    assert file.read_text() != current
    assert "are not those of this version" in agent(repository, "status")
    agent(repository, "install", "claude")
    assert file.read_text() == current


@pytest.mark.parametrize("name", list(USER_FILES))
def test_a_shared_file_names_no_place_of_this_machine(repository: Repository, hermetic: Path, name: str) -> None:
    agent(repository, "install", name, "--shared")
    new = repository.git("status", "--porcelain", "-uall", "-z").out.split(b"\0")[:-1]
    assert len(new) == 1
    file = repository.path / os.fsdecode(new[0][3:])
    text = file.read_text()
    for place in (hermetic, repository.path, Path(os.__file__).parent):
        assert str(place) not in text
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "agents")
    agent(repository, "uninstall", name, "--shared")
    assert not file.exists()


@pytest.mark.parametrize("name", [name for name in USER_FILES if name != "opencode"])
def test_a_shared_file_does_no_harm_in_a_clone_without_guard(repository: Repository, tmp_path: Path, name: str) -> None:
    agent(repository, "install", name, "--shared")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "agents")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", str(repository.path), str(clone))
    file = next(path for path in clone.rglob("*.json") if "guard/agent" in path.read_text())
    lines = commands(json.loads(file.read_text()))
    assert len(lines) == len(PROGRAMS[name].events)
    for line in lines:
        for shell in (["/bin/sh", "-c"], ["bash", "-c"]):
            done = subprocess.run([*shell, line], cwd=clone, input=b"{}", capture_output=True, timeout=60, check=False)
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("name", IN_JSON)
def test_a_committed_file_gets_no_path_of_this_machine(repository: Repository, name: str) -> None:
    project = {
        "claude": "settings.local.json",
        "codex": "hooks.json",
        "gemini": "settings.json",
        "cursor": "hooks.json",
    }
    repository.write(f".{name}/{project[name]}", "{}\n")
    repository.git("add", "-A")
    said = agent(repository, "install", name, "--project", expect=1)
    assert "--shared" in said
    assert (repository.path / f".{name}" / project[name]).read_text() == "{}\n"


def test_a_directory_of_the_work_tree_that_leads_elsewhere_is_not_followed(
    repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (repository.path / ".claude").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in agent(repository, "install", "claude", "--project", expect=1)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_without_a_name_every_program_of_this_machine_is_taken(repository: Repository, hermetic: Path) -> None:
    (hermetic / ".gemini").mkdir()
    (hermetic / ".codex").mkdir()
    path = {"PATH": "/usr/bin:/bin"}
    repository.guard("agent", "install", env=path)
    assert (hermetic / USER_FILES["gemini"]).exists() and (hermetic / USER_FILES["codex"]).exists()
    assert not (hermetic / USER_FILES["opencode"]).exists()


def test_no_program_at_all_is_said(repository: Repository) -> None:
    assert "name one" in repository.guard("agent", "install", expect=1, env={"PATH": "/usr/bin:/bin"}).text


def test_a_program_that_guard_does_not_know(repository: Repository) -> None:
    assert "claude, codex" in agent(repository, "install", "clawd", expect=2)


@pytest.mark.parametrize("name", list(USER_FILES))
def test_status_says_whether_it_is_guarded(repository: Repository, hermetic: Path, name: str) -> None:
    (hermetic / USER_FILES[name]).parent.mkdir(parents=True)
    said = repository.guard("agent", "status", "--check", expect=1, env={"PATH": "/usr/bin:/bin"}).text
    assert "NOT GUARDED" in said and f"guard agent install {name}" in said
    agent(repository, "install", name)
    if name == "codex":
        key = f"{hermetic / USER_FILES[name]}:pre_tool_use:0:0"
        (hermetic / ".codex/config.toml").write_text(f'[hooks.state."{key}"]\ntrusted_hash = "sha256:0"\n')
    said = repository.guard("agent", "status", "--check", env={"PATH": "/usr/bin:/bin"}).text
    assert ": guarded (" in said
    stub = hermetic / ".local/share/guard/agent"
    stub.unlink()
    said = repository.guard("agent", "status", "--check", expect=1, env={"PATH": "/usr/bin:/bin"}).text
    assert str(stub) in said and f"guard agent install --user {name}" in said
    agent(repository, "install", "--user", name)
    repository.guard("agent", "status", "--check", env={"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("claude", {"disableAllHooks": True}, "disableAllHooks"),
        ("gemini", {"hooksConfig": {"enabled": False}}, "hooksConfig.enabled"),
        ("gemini", {"hooksConfig": {"disabled": ["other", "guard"]}}, "hooksConfig.disabled"),
        ("claude", {"disableAllHooks": False}, ""),
        ("gemini", {"hooksConfig": {"enabled": True, "disabled": ["other"]}}, ""),
        ("gemini", {"disableAllHooks": True}, ""),
    ],
)
@pytest.mark.parametrize("where", ["user", "project"])
def test_a_switch_that_turns_hooks_off_is_not_being_guarded(
    repository: Repository, hermetic: Path, name: str, settings: dict[str, object], said: str, where: str
) -> None:
    top = hermetic if where == "user" else repository.path
    file = top / USER_FILES[name]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings))
    assert said in agent(repository, "install", "--user", name)
    found = repository.guard("agent", "status", "--check", expect=None, env={"PATH": "/usr/bin:/bin"})
    assert ("NOT GUARDED" in found.text) == bool(said)
    assert said in found.text and (str(file) in found.text or not said)


def test_instructions_are_for_a_file_that_agents_read(repository: Repository) -> None:
    assert "guard reserve PATH" in agent(repository, "instructions")
