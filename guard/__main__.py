"""``guard``, ``git guard`` and ``python -m guard``."""

from __future__ import annotations

import gc
import os
import sys

from guard.system import why_unsupported


def main() -> None:
    """Runs the command line. Hooks and plain commands do not load click: its import takes longer than their answer."""
    if reason := why_unsupported():
        sys.exit(_refused(reason))
    from guard.system import open_closed_files

    open_closed_files()
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - None where it was closed
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    if sys.argv[1:2] == ["hook"] and len(sys.argv) > 2 and not sys.argv[2].startswith("-"):
        from guard.events import NAMES

        if sys.argv[2] in NAMES:
            sys.exit(_judge(sys.argv[2], sys.argv[3:]))
    gc.disable()  # imports leave no garbage, and looking for it takes 2 ms
    from guard.commands.plain import understood

    if plain := understood(sys.argv[1:], os.environ):
        from guard.commands.ending import end_with

        end_with(plain)
    from guard.commands.cli import run

    gc.enable()
    run()


def _judge(event: str, arguments: list[str]) -> int:
    """Judges as the installed hook of the event does; returns the exit code."""
    from guard.events import by_name

    if by_name(event).receives:
        from guard.receive import by_hand

        return by_hand()
    from guard.install import through_line

    return through_line.by_hand(event, arguments)


def _refused(reason: str) -> int:
    """Says why guard cannot run on this system. Returns the exit code for "no answer could be reached"."""
    from guard.model import EXIT_UNKNOWN

    sys.stderr.write(f"guard: {reason}\n")
    return EXIT_UNKNOWN


if __name__ == "__main__":
    main()
