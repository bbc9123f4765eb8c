"""Which files does a patch in the ``apply_patch`` format write?

The format is that of Codex, Copilot and opencode: a file begins with "*** Add File: ", "*** Update File: " or
"*** Delete File: ", an update may go on with "*** Move to: ".
"""

from __future__ import annotations

_HEADS = ("*** Add File:", "*** Update File:", "*** Delete File:", "*** Move to:")
_BEGIN = "*** Begin Patch"


def paths(text: str) -> list[str]:
    """Every path that the patch names, each once: added, updated, deleted, and both sides of a move.

    A line of the patch that looks like a head counts as one, whatever stands before it: one path too many is judged
    rather than one too few. Blanks around a head are passed over, as the programs do.
    """
    found = []
    # The programs end a line at a newline. Python knows more ends of lines: a head behind one of them counts as well.
    for line in dict.fromkeys([*text.split("\n"), *text.splitlines()]):
        stripped = line.strip()
        for head in _HEADS:
            if stripped.startswith(head):
                found.append(stripped[len(head) :].strip())
    return [path for path in dict.fromkeys(found) if path]


def in_command(command: str) -> list[str]:
    """The paths of a patch that a shell command hands to ``apply_patch``, as a here-document or as an argument.

    [] if the command holds no patch.
    """
    if "apply_patch" not in command and "applypatch" not in command:
        return []
    begin = command.find(_BEGIN)
    if begin < 0:
        return []
    found, before = paths(command[begin:]), command[:begin]
    return _moved(found, before) if "cd " in before or "pushd " in before else found


def _moved(found: list[str], before: str) -> list[str]:
    """The paths, from where the shell stands after ``before``. Where a subshell may have ended, both places count."""
    import os

    from guard.agents.shell import directory_after

    moved = [os.path.join(directory_after(before) or "", path) for path in found]
    first, _, rest = before.partition("&&")
    certain = first.lstrip().startswith("cd ") and not set("(|&;\n") & set(first) and "&&" not in rest
    return moved if certain else list(dict.fromkeys((*moved, *found)))
