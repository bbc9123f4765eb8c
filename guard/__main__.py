"""``guard``, ``git guard`` and ``python -m guard``."""

from __future__ import annotations

import gc
import sys

from guard.words import open_closed_files


def main() -> None:
    """Runs the command line; a hook's event goes past click, whose import takes longer than its verdict."""
    open_closed_files()
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - None where it was closed
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    if sys.argv[1:2] == ["hook"] and len(sys.argv) > 2 and not sys.argv[2].startswith("-"):
        from guard.events import NAMES
        from guard.hook import by_hand

        if sys.argv[2] in NAMES:
            sys.exit(by_hand(sys.argv[2], sys.argv[3:]))
    gc.disable()  # looking for garbage in what is being imported finds none, and takes 2 ms
    from guard.commands.cli import run

    gc.enable()
    run()


if __name__ == "__main__":
    main()
