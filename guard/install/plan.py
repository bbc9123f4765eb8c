"""A plan of what ``guard install`` or ``guard uninstall`` does, and the report of it."""

from __future__ import annotations

from typing import Any

from guard.install import configured, languages
from guard.install.draft import Draft
from guard.install.inforce import World
from guard.record import Record
from guard.words import safe


class ToAdd(Record):
    """Lines that only the user can add, because the file is theirs or everybody's."""

    file: str
    lines: str


class Report(Record):
    """What was done, as sentences; what else is to be known; lines to add by hand; and the exit code.

    ``plan`` holds the steps in words when nothing was done because only the plan was asked for.
    """

    done: tuple[str, ...]
    notes: tuple[str, ...]
    to_add: tuple[ToAdd, ...]
    code: int
    plan: tuple[str, ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """The report as members of the answer in JSON."""
        answer = {"done": list(self.done), "notes": list(self.notes), "to_add": [add._asdict() for add in self.to_add]}
        return answer if self.plan is None else {**answer, "plan": list(self.plan)}


class Plan:
    """Collects steps, in its draft, and what to say about them.

    ``world`` is what was looked at. Its configuration is kept as it will be after the steps so far.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.files: Draft = world.files
        self.code = 0
        self.done: list[str] = []
        self.notes: list[str] = []
        self.to_add: dict[str, list[ToAdd]] = {}

    def configure(self, event: str) -> None:
        """Plans guard's hook for an event in git's configuration."""
        for arguments, accept in configured.writing(event):
            self.files.configure(arguments, accept=accept)
        self.world = self.world._replace(entries=configured.with_hook(self.world.entries, event))

    def unconfigure(self, event: str) -> None:
        """Plans that guard's hook for an event goes from git's configuration."""
        self.files.configure(configured.removing(event))
        self.world = self.world._replace(entries=configured.without_hook(self.world.entries, event))

    def add_lines(self, why: str, file: bytes, lines: str) -> None:
        """Asks the user to add lines to a file; ``why`` says why guard does not do it."""
        self.to_add.setdefault(why, []).append(ToAdd(safe(file), lines))

    def add_to_hook(self, why: str, path: bytes, event: str) -> None:
        """Asks for the line that runs guard in a hook of somebody else's."""
        addition = languages.addition(event, self.files.read(path))
        self.add_lines(f"{why} Add {addition.where}:", path, addition.lines)

    def report(self, *, dry_run: bool) -> Report:
        """The report of the plan. After a dry run, nothing counts as done."""
        notes = [*map(_in_words, self.to_add, self.to_add.values()), *dict.fromkeys(self.notes)]
        adds = tuple(add for adds in self.to_add.values() for add in adds)
        steps = tuple(step.words() for step in self.files.steps) if dry_run else None
        return Report(() if dry_run else tuple(self.done), tuple(notes), adds, self.code, steps)


def _in_words(why: str, adds: list[ToAdd]) -> str:
    blocks = ["\n".join(f"      {line}" for line in add.lines.split("\n")) for add in adds]
    return "\n\n".join([why, *(f"  {add.file}\n{block}" for add, block in zip(adds, blocks, strict=True)), ""])
