"""Two sessions in one checkout, in each real program: who edits first holds the file, and the other is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.harness import HARNESSES, Json, Scene

Make = Callable[[str], Scene]
UNTIL_FREE = "for turn in $(seq 300); do guard list --json | grep -q '/a.txt' || break; sleep 0.2; done; "
"""What a session holds is released by a process that may go on for a moment after the session."""
every_program = pytest.mark.parametrize("name", list(HARNESSES))


def turns(*calls: Json, last: Json | None = None) -> list[Json]:
    """One turn for each call, and a last one."""
    return [*({"calls": [call]} for call in calls), last or {"text": "finished"}]


@every_program
def test_the_second_session_is_refused_while_the_first_edits(scene: Make, name: str) -> None:
    made = scene(name)
    harness, repository = made.harness, made.repository
    made.sh("git config guard.autoReserve 15m")
    gate = str(made.directory / "first-may-end")
    a, new = str(repository / "a.txt"), str(repository / "new.txt")
    ready = str(made.directory / "first-has-edited")
    first = turns(*harness.edit(a, "two", "FIRST"), last={"text": "finished", "touch": ready, "wait_for": gate})
    second = turns(*harness.edit(a, "three", "SECOND"), harness.write(new, "second\n"))
    third = turns(*harness.edit(a, "three", "THIRD"))
    played = made.play(
        {"SESSION-ONE": first, "SESSION-TWO": second, "SESSION-THREE": third},
        [
            {"start": "SESSION-ONE"},
            {"until": ready},
            {"sh": "guard list --json", "name": "held by the first"},
            {"run": "SESSION-TWO"},
            {"sh": "cat a.txt", "name": "after the second"},
            {"touch": gate},
            {"join": "SESSION-ONE"},
            {"sh": f"{UNTIL_FREE}guard list --json", "name": "after the first"},
            {"run": "SESSION-THREE"},
        ],
    )
    ended, seen = played["ended"], played["seen"]
    held = json.loads(ended["held by the first"]["out"])["reservations"]
    assert [row["pattern"] for row in held] == ["/a.txt"], played
    assert ended["after the second"]["out"] == "one\nFIRST\nthree\n", played
    refused = "\n".join(seen["SESSION-TWO"])
    assert "a.txt is reserved by" in refused and "editing it" in refused, played
    assert (repository / "new.txt").read_text() == "second\n", played
    assert json.loads(ended["after the first"]["out"])["reservations"] == [], played
    assert (repository / "a.txt").read_text() == "one\nFIRST\nTHIRD\n", played
    assert (repository / "b.txt").read_text() == "alpha\nbeta\n"
    changed = made.sh("git status --porcelain")
    assert changed.split() == ["M", "a.txt", "??", "new.txt"], changed
    made.sh(f"guard agent uninstall {name}")
    assert made.settings() == made.settings_before


@every_program
def test_shell_commands_of_a_session(scene: Make, name: str) -> None:
    made = scene(name)
    harness, repository = made.harness, made.repository
    made.sh("guard reserve a.txt b.txt c.txt --reason 'new schema'", who="alice")
    (repository / "b.txt").write_text("alice's work\n")
    script = turns(
        harness.shell("git checkout -- b.txt"),
        harness.shell("echo changed >> a.txt"),
        harness.shell("echo changed >> c.txt; exit 3"),
        harness.shell("guard reserve free.txt --reason mine"),
        *harness.edit(str(repository / "free.txt"), "x", "edited"),
        harness.shell("git commit -qam everything"),
    )
    played = made.play({"SESSION-ONE": script}, [{"run": "SESSION-ONE"}])
    told = played["seen"]["SESSION-ONE"]
    told, last = told[:-1], told[-1]
    text = "\n".join(told) + played["said"]["SESSION-ONE"]
    assert (repository / "b.txt").read_text() == "alice's work\n", played
    assert "would throw away" in text, played
    assert "while this command ran" in text and "restore --worktree -- a.txt" in text, played
    assert "restore --worktree -- c.txt" in text, played
    assert (repository / "free.txt").read_text() == "edited\n", played
    rows = json.loads(made.sh("guard list --json"))["reservations"]
    assert {row["pattern"]: row["reason"] for row in rows}["/free.txt"] == "mine", rows
    assert "alice" in last and "commit" in last, played
    assert made.sh("git log --format=%s").split() == ["first"], played


@every_program
def test_when_guard_is_gone_the_settings_decide(scene: Make, name: str) -> None:
    made = scene(name)
    harness, repository = made.harness, made.repository
    path = str(repository / "free.txt")
    own = made.home / ".local/share/guard"
    if not (own / "agent").exists():
        own = made.home / "Library/Application Support/guard"
    scripts = {f"SESSION-{word}": turns(*harness.edit(path, "x", word)) for word in ("NOSTUB", "NOPYTHON")}
    scripts["SESSION-ALLOWED"] = turns(*harness.edit(path, "x", "allowed"))
    played = made.play(
        scripts,
        [
            {"sh": f"mv '{own}/agent' '{own}/away'"},
            {"run": "SESSION-NOSTUB"},
            {"sh": f"mv '{own}/away' '{own}/agent' && echo /no/python > '{own}/agent-python'"},
            {"run": "SESSION-NOPYTHON"},
            {"sh": "cat free.txt", "name": "refused twice"},
            {"sh": "git config guard.onError allow"},
            {"run": "SESSION-ALLOWED"},
        ],
    )
    assert played["ended"]["refused twice"]["out"] == "x\n", played
    for word in ("NOSTUB", "NOPYTHON"):
        assert "cannot tell whether this is reserved" in "\n".join(played["seen"][f"SESSION-{word}"]), played
    assert (repository / "free.txt").read_text() == "allowed\n", played


def test_a_patch_over_several_files_is_refused_for_the_held_one(scene: Make) -> None:
    made = scene("codex")
    made.sh("guard reserve b.txt --reason 'new schema'", who="alice")
    body = (
        "*** Update File: a.txt\n@@\n-two\n+TWO\n*** Update File: b.txt\n@@\n-beta\n+BETA\n*** Add File: new.txt\n+x\n"
    )
    typed = f"apply_patch <<'EOF'\n*** Begin Patch\n{body}*** End Patch\nEOF"
    script = turns(made.harness.patch(body), made.harness.shell(typed))
    played = made.play({"SESSION-ONE": script}, [{"run": "SESSION-ONE"}])
    for told in played["seen"]["SESSION-ONE"]:
        assert "b.txt is reserved by alice" in told and "new schema" in told, played
    assert made.sh("git status --porcelain") == "", played


def test_codex_runs_guards_hook_once_it_trusts_it(scene: Make) -> None:
    made = scene("codex")
    repository = made.repository
    made.sh("guard reserve a.txt b.txt", who="alice")
    codex = f"export PATH={Path(made.binary).parent}:$PATH; "
    assert "does not trust" in made.sh(f"{codex}guard agent status --check", expect=1)
    scripts = {
        "SESSION-ONE": turns(*made.harness.edit(str(repository / "a.txt"), "two", "passes")),
        "SESSION-TWO": turns(*made.harness.edit(str(repository / "b.txt"), "beta", "is refused")),
    }
    without = ("--dangerously-bypass-hook-trust",)
    made.play(scripts, [{"run": "SESSION-ONE"}], without=without)
    assert "passes" in (repository / "a.txt").read_text()
    assert "now trusts" in made.sh(f"{codex}guard agent install --trust codex")
    made.sh(f"{codex}guard agent status --check")
    played = made.play(scripts, [{"run": "SESSION-TWO"}], without=without)
    assert "b.txt is reserved by alice" in "\n".join(played["seen"]["SESSION-TWO"]), played
    assert (repository / "b.txt").read_text() == "alpha\nbeta\n"
