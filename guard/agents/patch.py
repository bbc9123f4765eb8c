"""Which files does a patch in the ``apply_patch`` format write?

Codex, Copilot and opencode use this format. The part for a file begins with "*** Add File: ", "*** Update File: " or
"*** Delete File: ". After an update, there may be a line "*** Move to: ".
"""

from __future__ import annotations

_HEADS = ("*** Add File:", "*** Update File:", "*** Delete File:", "*** Move to:")
_BEGIN = "*** Begin Patch"


def paths(text: str) -> list[str]:
    """Every path that the patch names, each once: added, updated and deleted ones, and both sides of a move.

    Every line that looks like the head of a file counts, also inside the contents: it is better to judge one path too
    many than one too few. White space around a head does not count, as in the programs.
    """
    found = []
    # The programs end a line at a newline. Python knows more ends of lines; a head after one of these counts, too.
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
    """The paths, relative to the directory of the shell after ``before``.

    When that directory is not certain, because a subshell may have ended, the paths without it count as well.
    """
    import os

    from guard.agents.shell import directory_after

    moved = [os.path.join(directory_after(before) or "", path) for path in found]
    first, _, rest = before.partition("&&")
    certain = first.lstrip().startswith("cd ") and not set("(|&;\n") & set(first) and "&&" not in rest
    return moved if certain else list(dict.fromkeys((*moved, *found)))
