"""``guard``, ``git guard`` and ``python -m guard``."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Runs the command line; a hook's event goes past click, whose import takes longer than its verdict."""
    if sys.argv[1:2] == ["hook"] and len(sys.argv) > 2 and not sys.argv[2].startswith("-"):
        from guard.hook import VERBS, by_hand

        if sys.argv[2] in VERBS:
            sys.exit(by_hand(sys.argv[2], sys.argv[3:]))
    gc.disable()  # looking for garbage in what is being imported finds none, and takes 2 ms
    from guard.cli import run

    gc.enable()
    run()


if __name__ == "__main__":
    main()
