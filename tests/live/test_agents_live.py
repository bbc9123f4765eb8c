"""Two sessions in one checkout, in each real program: who edits first holds the file, and the other is told."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.live.harness import HARNESSES, Json, Scene

Make = Callable[[str], Scene]
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
    first = turns(*harness.edit(a, "two", "FIRST"), last={"text": "finished", "wait_for": gate})
    ready = str(repository / ".git" / "first-has-edited")
    first.insert(-1, {"calls": [harness.shell(f"touch {ready}")]})
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
            {"sh": "guard list --json", "name": "after the first"},
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
