"""How fast guard is: ``python -m tests.benchmark``, from a checkout with guard installed.

Prints a table of what the hooks and commands take, each beside a reference measured in the same turns. It needs
nothing but git and a minute or three; it judges no test.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.rows import ROWS, Bench
from tests.bench.scene import guard_command
from tests.support import namespace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.rows import Row

RUNS = 40
QUICK = 3

HEAD = ("case", "median ms", "minimum ms", "reference, median (minimum) ms", "ratio", "at most", "met?")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    _move_in(options)
    runs = options.runs or (QUICK if options.quick else RUNS)
    _say(machine.described())
    shell = options.sh or os.path.basename(os.path.realpath("/bin/sh"))
    _say(f"/bin/sh is {shell}" + (", and no boot id is in /proc" if options.without_boot_id else ""))
    _say(f"{runs} turns of each row, after one that is not counted; load at the start: {machine.load()}")
    if len(guard_command()) > 1:
        _say("guard is not installed beside this Python: its commands were run as `python -m guard`")
    with tempfile.TemporaryDirectory(prefix="guard-benchmark-") as place:
        bench = Bench(Path(place), runs, os.path.basename(shell), not options.without_boot_id)
        if options.others:
            from tests.bench import others

            others.run(bench, _say)
        else:
            _table(bench, options.only or list(ROWS))
    _say(f"\nload at the end: {machine.load()}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} turns: does it run at all?")
    parser.add_argument("--runs", type=int, metavar="N", help=f"turns of each row (else {RUNS})")
    parser.add_argument("--only", action="append", choices=list(ROWS), help="this row; may be given several times")
    parser.add_argument("--others", action="store_true", help="beside other hook managers, which it installs for it")
    shells = ", ".join(namespace.SHELLS)
    parser.add_argument(
        "--sh", default="", metavar="SHELL", help=f"with another /bin/sh: {shells}, or a path (as root)"
    )
    parser.add_argument(
        "--without-boot-id", action="store_true", help="as on a Mac: no boot id in /proc, but a sysctl (as root)"
    )
    return parser


def _move_in(options: argparse.Namespace) -> None:
    """Starts the benchmark again where the machine differs as the options say."""
    again = [sys.executable, "-m", "tests.benchmark", *sys.argv[1:]]
    try:
        namespace.move_in(again, shell=options.sh, boot_id=not options.without_boot_id)
    except namespace.CannotReplace as error:
        sys.exit(f"{error}")


def _table(bench: Bench, names: Sequence[str]) -> None:
    _say("")
    _say(f"| {' | '.join(HEAD)} |")
    _say(f"|{'|'.join(['---', *['---:'] * 2, '---', *['---:'] * 2, '---'])}|")
    for name in names:
        for row in ROWS[name](bench):
            _say(f"| {' | '.join(_cells(row))} |")


def _cells(row: Row) -> tuple[str, ...]:
    times = _ms(row.sample.median), _ms(row.sample.minimum)
    against = "" if row.against is None else f"{row.reference}, {_ms(row.against.median)} ({_ms(row.against.minimum)})"
    ratio = "" if row.ratio is None else _number(row.ratio)
    if row.at_most is None:
        most = "–"
    elif row.ratio is None:
        most = f"{row.at_most:g} ms"
    else:
        most = "1/500" if row.at_most == 1 / 500 else f"{row.at_most:g}"
    met = "–" if row.met is None else "yes" if row.met else f"no, {_excess(row)}"
    return (row.case, *times, against, ratio, most, met)


def _excess(row: Row) -> str:
    assert row.at_most is not None
    value = row.sample.median if row.ratio is None else row.ratio
    return f"{value / row.at_most - 1:.0%} more"


def _ms(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def _number(value: float) -> str:
    return f"1/{1 / value:.0f}" if value < 0.01 else f"{value:.2f}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
