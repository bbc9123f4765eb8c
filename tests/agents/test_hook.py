"""The stub as a process in real repositories: edits, shell commands, sessions, and what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from guard.agents.install import lay_stub
from tests.support.repositories import Done, Repository, run


class Agent:
    """A session of Claude Code, as its hooks tell of it."""

    def __init__(self, repository: Repository, stub: Path, session: str) -> None:
        self.repository = repository
        self.stub = stub
        self.session = session

    @property
    def holder(self) -> str:
        """The session's name as a holder."""
        return f"claude-{self.session}"

    def call(self, event: str, env: dict[str, str] | None = None, program: str = "claude", **more: Any) -> Done:
        told = {
            "session_id": self.session,
            "transcript_path": "/t",
            "cwd": str(self.repository.path),
            "hook_event_name": event,
            **more,
        }
        data = json.dumps(told).encode("utf-8", "surrogateescape")
        return run([str(self.stub), program, event], cwd=self.repository.path, env=env, stdin=data)

    def edit(self, path: str | Path, env: dict[str, str] | None = None, **more: Any) -> Done:
        arguments = {"file_path": str(path), "content": "x"}
        return self.call("PreToolUse", env, tool_name="Write", tool_input=arguments, **more)

    def patch(self, text: str, **more: Any) -> Done:
        arguments = {"command": f"*** Begin Patch\n{text}\n*** End Patch\n"}
        return self.call("PreToolUse", program="codex", tool_name="apply_patch", tool_input=arguments, **more)

    def before(self, command: str, program: str = "claude", **more: Any) -> Done:
        tool = "run_shell_command" if program == "gemini" else "Bash"
        event = "BeforeTool" if program == "gemini" else "PreToolUse"
        return self.call(event, program=program, tool_name=tool, tool_input={"command": command}, **more)

    def after(self, command: str) -> Done:
        return self.call("PostToolUse", tool_name="Bash", tool_input={"command": command}, tool_response={})


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    lay_stub(str(tmp_path / "stub" / "agent"))
    return tmp_path / "stub" / "agent"


@pytest.fixture
def one(repository: Repository, stub: Path) -> Agent:
    return Agent(repository, stub, "7f3a0000-1")


@pytest.fixture
def two(repository: Repository, stub: Path) -> Agent:
    return Agent(repository, stub, "8e2b0000-2")


SILENT = (0, b"", b"")


def allowed(done: Done) -> bool:
    """Silence with exit 0, and nothing else, lets an edit pass."""
    assert (done.code, done.out, done.err) == SILENT or done.code == 2, done.text
    return done.code == 0


def reason(done: Done) -> str:
    assert done.code == 2, done.text
    said = json.loads(done.out)
    assert said["decision"] == "block" and said["permissionDecision"] == "deny"
    assert done.err.decode() == said["reason"] + "\n"
    return str(said["reason"])


def patterns(repository: Repository) -> dict[str, str]:
    rows = repository.guard("list", "--json").json()["reservations"]
    return {row["pattern"]: row["holder"] for row in rows}


# Edits


def test_a_held_file_is_refused_with_who_and_why(one: Agent) -> None:
    one.repository.guard("reserve", "src", "--reason", "new schema", who="alice")
    said = reason(one.edit(one.repository.path / "src/b.py"))
    assert "src/b.py is reserved by alice" in said and "new schema" in said
    assert "guard reserve --wait 5m :/src/b.py" in said


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("a.txt", True),
        ("src/b.py", False),
        ("./src/../src/b.py", False),
        ("src/new/deep/file.py", False),
        ("other/new/deep/file.py", True),
        ("src", False),
        (".git/config", True),
        (".git/hooks/src/b.py", True),
        ("link-to-b", False),
        ("link-to-src/b.py", False),
        ("dangling", False),
        ("/nowhere/at/all/src/b.py", True),
    ],
)
def test_paths_as_they_are_given(one: Agent, path: str, passes: bool) -> None:
    top = one.repository.path
    (top / "link-to-b").symlink_to("src/b.py")
    (top / "link-to-src").symlink_to("src")
    (top / "dangling").symlink_to("src/not-yet")
    one.repository.guard("reserve", "src", who="alice")
    assert allowed(one.edit(path)) is passes
    if not path.startswith("/"):
        assert allowed(one.edit(top / path)) is passes


def test_a_link_that_is_held_is_refused_though_it_leads_to_a_free_file(one: Agent) -> None:
    (one.repository.path / "link").symlink_to("a.txt")
    one.repository.guard("reserve", "link", who="alice")
    assert not allowed(one.edit("link"))


@pytest.mark.parametrize(
    "name", ["gr\u00fc\u00df.txt", "a b.txt", "tab\there", "qu'ote", "*", "[x]", "-n", "a\\b", "caf\udce9"]
)
def test_odd_names(one: Agent, name: str) -> None:
    one.repository.write(os.fsencode(name), "x")
    assert allowed(one.edit(name))
    one.repository.guard("reserve", ":/", who="alice")
    assert "alice" in reason(one.edit(name))


def test_a_patch_is_refused_for_each_side_of_a_move(one: Agent) -> None:
    one.repository.guard("reserve", "src/b.py", who="alice")
    free = "*** Update File: a.txt\n@@\n-a\n+b\n*** Add File: new.txt\n+x"
    assert allowed(one.patch(free))
    for text in (
        "*** Delete File: src/b.py",
        "*** Update File: src/b.py\n*** Move to: c.py",
        "*** Update File: a.txt\n*** Move to: src/b.py",
        free + "\n*** Add File: src/b.py\n+x",
    ):
        assert "src/b.py is reserved by alice" in reason(one.patch(text))


def test_a_path_is_judged_in_the_repository_it_lies_in(one: Agent, tmp_path: Path) -> None:
    repository = one.repository
    repository.git("worktree", "add", "-q", str(tmp_path / "other"))
    repository.guard("reserve", "src/b.py", who="alice")
    assert not allowed(one.edit(tmp_path / "other/src/b.py"))
    assert allowed(one.edit(tmp_path / "other/a.txt"))
    away = one.call(
        "PreToolUse", tool_name="Write", tool_input={"file_path": str(repository.path / "src/b.py")}, cwd="/"
    )
    assert not allowed(away)


def test_a_submodule_has_its_own_reservations(one: Agent, tmp_path: Path) -> None:
    inner = Repository.make(tmp_path / "inner")
    one.repository.git("submodule", "add", "-q", str(inner.path), "sub")
    sub = Repository(one.repository.path / "sub")
    sub.guard("install")
    sub.guard("reserve", "a.txt", who="alice")
    assert not allowed(one.edit("sub/a.txt"))
    assert allowed(one.edit("a.txt"))


def test_a_repository_without_guard_is_left_alone(one: Agent, tmp_path: Path) -> None:
    plain = Repository.make(tmp_path / "plain")
    assert allowed(one.edit(plain.path / "a.txt"))


def test_variables_that_bind_git_elsewhere_count_for_nothing(one: Agent, tmp_path: Path) -> None:
    plain = Repository.make(tmp_path / "plain")
    one.repository.guard("reserve", "src", who="alice")
    bound = {"GIT_DIR": str(plain.git_dir), "GIT_WORK_TREE": str(plain.path), "GIT_INDEX_FILE": "/none"}
    assert not allowed(one.edit("src/b.py", env=bound))
    assert allowed(one.edit("a.txt", env=bound))


@pytest.mark.parametrize("env", [{"GUARD_MODE": "off"}, {"GUARD_MODE": "warn"}, {"GUARD_SKIP": "1"}])
def test_what_lets_it_pass(one: Agent, env: dict[str, str]) -> None:
    one.repository.guard("reserve", "src", who="alice")
    done = one.edit("src/b.py", env=env)
    assert (done.code, done.out) == (0, b"")
    assert ("goes past" in done.text) is (env != {"GUARD_MODE": "off"})


def test_a_refusal_is_in_the_log(one: Agent) -> None:
    one.repository.guard("reserve", "src", who="alice")
    one.edit("src/b.py")
    assert "refused" in one.repository.guard("log").text


HELD = "gr\u00fcn.txt"


@pytest.mark.parametrize(
    "spelling",
    [
        " {top}/src/b.py",
        "{top}/src/b.py\n",
        "\t{top}/src/b.py ",
        "{top}//src/./b.py",
        "{top}/src/b.py/",
        "{top}/other/../src/b.py",
        "~/repo/src/b.py",
        "{top}/gru\u0308n.txt",
        "{top}/gr\u00fcn.txt",
    ],
)
def test_what_a_program_makes_of_a_path_is_judged(one: Agent, hermetic: Path, spelling: str) -> None:
    top = one.repository.path
    one.repository.write(HELD, "x")
    one.repository.guard("reserve", "src", HELD, who="alice")
    if spelling.startswith("~"):
        (hermetic / "repo").symlink_to(top)
    assert "alice" in reason(one.edit(spelling.format(top=top)))


@pytest.mark.parametrize(
    "text",
    [
        "*** Update File: src/b.py\r\n@@\r\n-x\r\n+y\r",
        "  *** Update File:   src/b.py  \n@@\n-x\n+y",
        "*** Update File: a.txt\n*** Move to:src/b.py\n@@\n-x\n+y",
        "*** Environment ID: e\n*** Delete File: ./src/../src/b.py",
        "*** Add File: new\u2028*** Add File: src/b.py\n+x",
        "*** Add File: li\u2028ne.txt\n+x",
        "*** Add File: form\ffeed.txt\n+x",
    ],
)
def test_patches_with_odd_heads(one: Agent, text: str) -> None:
    names = ["li\u2028ne.txt", "form\ffeed.txt"]
    for name in names:
        one.repository.write(name, "x")
    one.repository.guard("reserve", "src", "li*", "form*", who="alice")
    assert "alice" in reason(one.patch(text))


# Who is it


def test_the_hook_and_the_shell_of_a_session_are_one_holder(one: Agent) -> None:
    env = {"CLAUDE_CODE_SESSION_ID": one.session}
    one.repository.guard("reserve", "src", env=env)
    assert allowed(one.edit("src/b.py"))
    assert allowed(one.edit("src/b.py", agent_id="sub-1", agent_type="general-purpose"))


def test_a_name_of_the_users_wins(one: Agent) -> None:
    one.repository.guard("reserve", "src", who="alice")
    assert allowed(one.edit("src/b.py", env={"GUARD_AGENT": "alice"}))


def test_where_the_shell_knows_no_session_the_command_is_told(one: Agent) -> None:
    done = one.before("guard list", program="gemini")
    said = json.loads(done.out)["hookSpecificOutput"]
    assert said["tool_input"]["command"] == f"export GUARD_AGENT=gemini-{one.session}; guard list"
    one.repository.guard("reserve", "src", who=f"gemini-{one.session}")
    arguments = {"file_path": "src/b.py", "content": "x"}
    done = one.call("BeforeTool", program="gemini", tool_name="write_file", tool_input=arguments)
    assert (done.code, done.out, done.err) == SILENT


def test_a_former_session_of_ones_own_can_be_taken_over(one: Agent, two: Agent) -> None:
    one.repository.guard("reserve", "src", env={"CLAUDE_CODE_SESSION_ID": one.session})
    assert f"guard take {one.holder}" in reason(two.edit("src/b.py"))
    one.repository.guard("reserve", "a.txt", who="alice")
    assert "guard take" not in reason(two.edit("a.txt"))


# Editing is reserving


@pytest.fixture
def auto(repository: Repository) -> Repository:
    repository.git("config", "guard.autoReserve", "15m")
    return repository


def test_without_the_setting_nothing_is_reserved(one: Agent) -> None:
    assert allowed(one.edit("a.txt"))
    assert patterns(one.repository) == {}


def test_the_first_to_edit_holds_the_file_until_its_session_ends(auto: Repository, one: Agent, two: Agent) -> None:
    assert allowed(one.edit("a.txt")) and allowed(one.edit("new/file.txt"))
    assert patterns(auto) == {"/a.txt": one.holder, "/new/file.txt": one.holder}
    assert "a.txt is reserved by" in reason(two.edit("a.txt"))
    assert allowed(two.edit("src/b.py"))
    assert one.call("SessionEnd", reason="other").code == 0
    assert patterns(auto) == {"/src/b.py": two.holder}
    assert allowed(two.edit("a.txt"))


@pytest.mark.parametrize(("name", "pattern"), [("odd\nname", "/odd?name"), ("a\tb", "/a?b"), ("[x]", "/\\[x\\]")])
def test_a_file_with_an_odd_name_is_held_by_the_first_to_edit_it(
    auto: Repository, one: Agent, two: Agent, name: str, pattern: str
) -> None:
    assert allowed(one.edit(name))
    assert patterns(auto) == {pattern: one.holder}
    assert allowed(one.edit(name))
    assert "is reserved by" in reason(two.edit(name))


def test_what_was_reserved_on_purpose_stays(auto: Repository, one: Agent) -> None:
    env = {"CLAUDE_CODE_SESSION_ID": one.session}
    auto.guard("reserve", "src", "--reason", "on purpose", env=env)
    assert allowed(one.edit("src/b.py")) and allowed(one.edit("a.txt"))
    assert set(patterns(auto)) == {"/src", "/a.txt"}
    auto.guard("reserve", "a.txt", "--reason", "now on purpose", env=env)
    one.call("SessionEnd")
    assert set(patterns(auto)) == {"/src", "/a.txt"}


def test_a_file_that_is_shared_may_be_edited_and_is_not_taken(auto: Repository, one: Agent) -> None:
    auto.guard("reserve", "src", "--shared", who="alice")
    assert allowed(one.edit("src/b.py"))
    assert patterns(auto) == {"/src": "alice"}


def test_of_many_at_once_one_gets_the_file(auto: Repository, stub: Path) -> None:
    import subprocess

    running = []
    for number in range(8):
        told = {"session_id": f"s{number}", "cwd": str(auto.path), "tool_name": "Write"}
        told_all = {**told, "tool_input": {"file_path": "a.txt"}}
        process = subprocess.Popen(
            [str(stub), "claude", "PreToolUse"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        running.append((process, json.dumps(told_all).encode()))
    for process, data in running:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.close()
    outs = [
        (process.stdout.read() if process.stdout else b"", process.stderr.read() if process.stderr else b"")
        for process, _ in running
    ]
    codes = [process.wait() for process, _ in running]
    for process, _ in running:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    assert sorted(codes) == [0] + [2] * 7, outs
    assert len(patterns(auto)) == 1


def test_a_later_edit_does_not_write_the_store(auto: Repository, one: Agent) -> None:
    assert allowed(one.edit("a.txt"))
    generation = auto.guard("list", "--json").json()["generation"]
    assert allowed(one.edit("a.txt"))
    assert auto.guard("list", "--json").json()["generation"] == generation


# Shell commands


def test_what_would_throw_away_others_work_is_refused(one: Agent) -> None:
    repository = one.repository
    repository.guard("reserve", "src", who="alice")
    for command in ("git stash", "git checkout -- src/b.py", "git reset --hard", "git clean -fd"):
        assert allowed(one.before(command)), command
    repository.write("src/b.py", "alice's work\n")
    repository.write("src/new.py", "alice's new work\n")
    repository.write("a.txt", "mine\n")
    refused = ["git stash", "git checkout -- src/b.py", "git checkout .", "git reset --hard", "git restore src"]
    refused += ["git clean -fd", "cd src && git checkout b.py", "sudo git stash -u", "sh -c 'git switch -f main'"]
    for command in refused:
        assert "alice" in reason(one.before(command)), command
    for command in (
        "git checkout -- a.txt",
        "git stash push -- a.txt",
        "git status",
        "git clean -fd other",
        "git stash list",
    ):
        assert allowed(one.before(command)), command


def test_an_alias_is_what_it_stands_for(one: Agent) -> None:
    repository = one.repository
    repository.guard("reserve", "src", who="alice")
    repository.write("src/b.py", "alice's work\n")
    for name, value in {
        "undo": "checkout --",
        "again": "undo",
        "nuke": "!git reset --hard && git clean",
        "save": "!f() { git stash; }; f",
        "Loud": "stash",
        "st": "status",
        "loop": "loop",
    }.items():
        repository.git("config", f"alias.{name}", value)
    for command in (
        "git undo src/b.py",
        "git again src",
        "cd src && git undo b.py",
        "git nuke",
        "git save",
        "git loud",
        "git -c alias.x='reset --hard' x",
        "git config alias.y stash && git y",
        "git config --local alias.z '!git stash' ; git z",
    ):
        assert "alice" in reason(one.before(command)), command
    for command in ("git st", "git undo a.txt", "git unheard-of", "git loop", "git -c alias.x=status x"):
        assert allowed(one.before(command)), command


def test_paths_that_only_the_shell_knows_may_be_any(one: Agent) -> None:
    one.repository.guard("reserve", "src", who="alice")
    one.repository.write("src/b.py", "alice's work\n")
    for command in (
        "git ls-files -m | xargs git checkout --",
        "find . -name '*.py' -exec git checkout -- {} +",
        "git checkout -- $(git diff --name-only)",
        "for f in src/*; do git restore $f; done",
    ):
        assert "alice" in reason(one.before(command)), command


def test_own_work_may_be_thrown_away(one: Agent) -> None:
    one.repository.guard("reserve", "src", env={"CLAUDE_CODE_SESSION_ID": one.session})
    one.repository.write("src/b.py", "mine\n")
    assert allowed(one.before("git reset --hard"))


def test_the_net_tells_what_a_command_has_changed(one: Agent) -> None:
    repository = one.repository
    repository.guard("reserve", "src", who="alice")
    repository.write("src/auth/login.py", "alice's work\n")
    assert allowed(one.before("make"))
    repository.write("src/b.py", "by the command\n")
    repository.write("src/made.py", "by the command\n")
    said = json.loads(one.after("make").out)["hookSpecificOutput"]["additionalContext"]
    assert "src/b.py, held by alice" in said and "src/made.py" in said
    assert "login.py" not in said
    undo = next(line for line in said.splitlines() if "restore --worktree" in line).partition(": ")[2]
    remove = next(line for line in said.splitlines() if " && rm " in line).partition(": ")[2]
    run(["sh", "-c", f"{undo} && {remove}"], cwd=Path("/"))
    assert repository.git("status", "--porcelain").out == b" M src/auth/login.py\n"


def test_the_holders_own_changes_are_never_offered_for_restoring(one: Agent) -> None:
    repository = one.repository
    repository.guard("reserve", "src", who="alice")
    repository.write("src/b.py", "alice's work\n")
    assert allowed(one.before("make"))
    assert one.after("make").out == b""
    assert allowed(one.before("make"))
    repository.write("src/b.py", "alice's work, and more\n")
    said = one.after("make").text
    assert "Do not restore src/b.py" in said and "restore --worktree" not in said


def test_a_commit_in_a_shell_without_hooks_is_judged(one: Agent) -> None:
    repository = one.repository
    repository.guard("reserve", "src", who="alice")
    repository.write("src/b.py", "x\n")
    repository.write("a.txt", "x\n")
    for command in (
        "git commit -am x",
        "git add . && git commit -m x",
        "git commit -m x src/b.py",
        "git add src && git commit -m x",
    ):
        assert "alice" in reason(one.before(command, program="gemini")), command
    for command in ("git add a.txt && git commit -m x", "git commit -m x a.txt", "git commit -m src/b.py"):
        assert one.before(command, program="gemini").code == 0, command
    repository.git("add", "src")
    assert "alice" in reason(one.before("git commit -m x", program="gemini"))
    assert allowed(one.before("git commit -m x"))


def test_a_push_in_a_shell_without_hooks_is_judged(one: Agent, tmp_path: Path) -> None:
    repository = one.repository
    repository.git("init", "-q", "--bare", str(tmp_path / "remote"))
    repository.git("remote", "add", "up", str(tmp_path / "remote"))
    repository.git("config", "guard.project", "here")
    repository.git("push", "-q", "up", "main")
    assert one.before("git push up main", program="gemini").code == 0
    repository.write("src/b.py", "x\n")
    repository.git("commit", "-qam", "x")
    repository.guard("reserve", "src", who="alice")
    for command in ("git push up main", "git push", "git push up HEAD:other", "git push --all up"):
        assert "alice" in reason(one.before(command, program="gemini")), command


# Sessions


def test_a_session_is_told_in_ten_lines(one: Agent) -> None:
    for number in range(20):
        one.repository.guard("reserve", f"dir{number}", who="alice")
    one.repository.guard("reserve", "a.txt", env={"CLAUDE_CODE_SESSION_ID": one.session})
    done = one.call("SessionStart", source="startup")
    said = json.loads(done.out)["hookSpecificOutput"]["additionalContext"]
    assert (
        "claude-7f3a" in said and one.session not in said and "alice" in said and "a.txt" in said and "all 20" in said
    )
    assert len(said.splitlines()) <= 10


def test_a_session_is_told_what_it_lost(one: Agent) -> None:
    repository = one.repository
    repository.guard("reserve", "a.txt", env={"CLAUDE_CODE_SESSION_ID": one.session})
    row = repository.guard("list", "--json").json()["reservations"][0]["id"]
    repository.guard("break", str(row), "--reason", "urgent", who="alice")
    assert "You lost the reservation of /a.txt: alice ended it" in one.call("SessionStart").out.decode()


def test_outside_of_a_repository_a_session_is_told_nothing(one: Agent, tmp_path: Path) -> None:
    for event in ("SessionStart", "SessionEnd"):
        done = one.call(event, cwd=str(tmp_path))
        assert (done.code, done.out, done.err) == SILENT


# When guard cannot tell


def broken(repository: Repository, stub: Path, hermetic: Path, how: str) -> None:
    if how == "no python":
        lines = (stub.parent / "agent-python").read_text().split("\n")
        (stub.parent / "agent-python").write_text("\n".join(["/no/python", *lines[1:]]))
    elif how == "python that dies":
        lines = (stub.parent / "agent-python").read_text().split("\n")
        (stub.parent / "agent-python").write_text("\n".join(["/bin/false", *lines[1:]]))
    elif how == "no guard":
        lines = (stub.parent / "agent-python").read_text().split("\n")
        (stub.parent / "agent-python").write_text("\n".join([lines[0], "/no/guard", *lines[2:]]))
    elif how == "no note":
        (stub.parent / "agent-python").unlink()
    elif how == "torn store":
        store = Path(repository.guard("status", "--json").json()["store"])
        store.write_bytes(b"not a store" * 100)
    elif how == "no git":
        return
    elif how == "a python that hangs":
        slow = stub.parent / "slow"
        slow.write_text(f'#!/bin/sh\nexec {shutil.which("perl") or "perl"} -e "alarm 1; sleep 60"\n')
        slow.chmod(0o755)
        lines = (stub.parent / "agent-python").read_text().split("\n")
        (stub.parent / "agent-python").write_text("\n".join([str(slow), *lines[1:]]))


BROKEN = ["no python", "python that dies", "no guard", "no note", "torn store", "a python that hangs"]


@pytest.mark.parametrize("how", BROKEN)
def test_what_cannot_be_judged_is_refused_and_said(one: Agent, hermetic: Path, how: str) -> None:
    one.repository.guard("reserve", "src", who="alice")
    broken(one.repository, one.stub, hermetic, how)
    said = reason_of_any(one.edit("a.txt"))
    assert "cannot tell" in said
    assert one.edit("a.txt", env={"COPILOT_CLI": "1"}, transcript_path="").code == 0 or how == "torn store"


def reason_of_any(done: Done) -> str:
    assert done.code == 2, done.text
    return str(json.loads(done.out)["permissionDecisionReason"])


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("setting", [("guard.onError", "allow"), ("guard.mode", "warn"), ("guard.mode", "off")])
def test_settings_let_it_pass_out_loud(one: Agent, hermetic: Path, how: str, setting: tuple[str, str]) -> None:
    one.repository.guard("reserve", "src", who="alice")
    broken(one.repository, one.stub, hermetic, how)
    one.repository.git("config", *setting)
    done = one.edit("a.txt")
    assert (done.code, done.out) == (0, b"")
    if setting != ("guard.mode", "off") or how != "torn store":
        assert "NOT JUDGED" in done.text


@pytest.mark.parametrize("how", ["no python", "no guard", "no note"])
def test_without_python_the_path_counts_and_not_only_the_directory(
    one: Agent, hermetic: Path, tmp_path: Path, how: str
) -> None:
    broken(one.repository, one.stub, hermetic, how)
    plain = Repository.make(tmp_path / "plain")

    def edit(path: Path) -> Done:
        told = {"session_id": "s", "cwd": str(plain.path), "tool_name": "Write", "tool_input": {"file_path": str(path)}}
        return run([str(one.stub), "claude", "PreToolUse"], cwd=plain.path, stdin=json.dumps(told).encode())

    for path in (one.repository.path / "a.txt", one.repository.path / "new/deep/file.txt"):
        assert "cannot tell" in reason_of_any(edit(path))
    for path in (plain.path / "a.txt", Path("/nowhere/at/all")):
        done = edit(path)
        assert (done.code, done.out) == (0, b"") and "NOT JUDGED" in done.text


def test_a_program_that_ignores_alarms_cannot_keep_guard_waiting(one: Agent) -> None:
    """Its payload never ends. guard's deadline ends the wait, whatever signals the program has handed down."""
    import signal
    import subprocess

    def handed_down() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])

    with subprocess.Popen(
        [str(one.stub), "claude", "PreToolUse"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=one.repository.path, preexec_fn=handed_down,
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        said = process.stdout.read()
        assert process.wait() == 2
        assert "in time" in json.loads(said)["reason"]


def test_a_refusal_that_nobody_reads_is_no_silence(one: Agent) -> None:
    """Copilot is answered with exit 0 where it reads Claude's files: then the output must have arrived."""
    one.repository.guard("reserve", "src", who="alice")
    told = {"sessionId": "s", "cwd": str(one.repository.path), "tool_name": "Write", "tool_input": {"path": "src/b.py"}}
    line = f"exec '{one.stub}' claude PreToolUse >/dev/full"
    env = {"COPILOT_CLI": "1"}
    done = run(["/bin/sh", "-c", line], cwd=one.repository.path, env=env, stdin=json.dumps(told).encode())
    assert done.code == 2


@pytest.mark.parametrize("bound", [{"PATH": "/nowhere"}, {"GIT_DIR": "/nowhere"}, {"GIT_DIR": "/"}])
def test_without_python_guard_is_found_though_git_does_not_say_where(
    one: Agent, hermetic: Path, tmp_path: Path, bound: dict[str, str]
) -> None:
    broken(one.repository, one.stub, hermetic, "no python")
    one.repository.git("worktree", "add", "-q", str(tmp_path / "other"))
    for top in (one.repository.path, one.repository.path / "src", tmp_path / "other"):
        told = {"session_id": "s", "tool_name": "Write", "tool_input": {"file_path": "x"}}
        done = run(
            ["/bin/sh", str(one.stub), "claude", "PreToolUse"], cwd=top, env=bound, stdin=json.dumps(told).encode()
        )
        assert "cannot tell" in reason_of_any(done)


@pytest.mark.parametrize("event", ["PostToolUse", "SessionStart", "SessionEnd"])
@pytest.mark.parametrize("how", BROKEN)
def test_other_events_never_refuse(one: Agent, hermetic: Path, how: str, event: str) -> None:
    broken(one.repository, one.stub, hermetic, how)
    done = one.call(event, tool_name="Bash", tool_input={"command": "ls"})
    assert (done.code, done.out) == (0, b"")


NO_TOOL = b'{"tool_input":{"file_path":"/src/auth/a.py"}}'
NO_COMMAND = b'{"tool_name":"Bash","tool_input":{"script":"git stash"}}'


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"tool_name":"Write","tool_input":{}}', NO_TOOL, NO_COMMAND])
def test_a_payload_that_cannot_be_read_is_refused(one: Agent, data: bytes) -> None:
    done = run([str(one.stub), "claude", "PreToolUse"], cwd=one.repository.path, stdin=data)
    assert "cannot" in reason_of_any(done)
