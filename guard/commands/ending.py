"""How a command's process ends: what goes wrong is worded, and the end becomes an exit code. Needs nothing of click."""

from __future__ import annotations

import errno
import io
import os
import sys

from guard.model import EXIT_DONE, EXIT_REFUSED, EXIT_UNKNOWN, GuardError, unexpected
from guard.words import print_error, to_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def end_with(command: Callable[[], int | None]) -> NoReturn:
    """Runs a command and exits: 0 done, 1 refused or nothing there, 2 wrong usage, 3 no answer."""
    _write_in_any_encoding()
    try:
        code = command()
    except GuardError as error:
        code = _say(error)
    except KeyboardInterrupt:
        to_stderr("guard: interrupted.")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read us has enough
        code = EXIT_DONE
    except OSError as error:
        code = print_error(_failed(error))
    except Exception as error:
        code = _say(unexpected(error))
    _leave(code or EXIT_DONE)


def _write_in_any_encoding() -> None:
    """Makes output escape what the terminal's encoding lacks, so that the command does not end with an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(error: GuardError) -> int:
    """Says an error: as JSON on stdout when that is asked for, else to people; returns its exit code."""
    words = sys.argv[1:]
    if "--json" not in words[: words.index("--") if "--" in words else len(words)]:
        return print_error(error)
    from guard.commands import render

    shown = {"what": error.what, "next": error.hint or None, "code": error.code}
    sys.stdout.write(render.as_json({"error": shown}) + "\n")
    return error.code


def _failed(error: OSError) -> GuardError:
    """What the system refused: the file that the error names, or else writing the answer."""
    if error.filename is None:
        what = f"the answer could not be written: {error.strerror or error}"
        return GuardError(what, hint="guard log   (what was asked for may be done all the same)")
    return GuardError(f"{os.fsdecode(error.filename)}: {error.strerror}", hint="guard status")


def _leave(code: int) -> NoReturn:
    """Ends the process without taking the interpreter down, which takes 5 ms and changes nothing.

    An answer that cannot be written ends with 3. The system may report that at a write, when Python's buffer is
    flushed, or only at close(2); a reader that has gone away (EPIPE) had enough, and is no failure.
    """
    try:
        sys.stdout.flush()
        os.close(1)
    except BrokenPipeError:
        pass
    except (OSError, ValueError) as error:
        if code in (EXIT_DONE, EXIT_REFUSED):  # otherwise the first failure has been told, and this one follows from it
            failure = error if isinstance(error, OSError) else OSError(errno.EBADF, os.strerror(errno.EBADF))
            code = print_error(_failed(failure))
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        code = EXIT_UNKNOWN  # there is nobody left to tell
    os._exit(code)
