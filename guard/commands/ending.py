"""How a command's process ends: errors are printed, and the exit code is set. This module does not need click."""

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
    """Runs a command and ends the process with its exit code, or with that of its error.

    0: done; 1: refused, or there is nothing to do it on; 2: wrong usage; 3: no answer; 130: interrupted.
    """
    _write_in_any_encoding()
    try:
        code = command()
    except GuardError as error:
        code = _say(error)
    except KeyboardInterrupt:
        to_stderr("guard: interrupted.")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of the output has gone, and needs no more
        code = EXIT_DONE
    except OSError as error:
        code = print_error(_failed(error))
    except Exception as error:
        code = _say(unexpected(error))
    _leave(code or EXIT_DONE)


def _write_in_any_encoding() -> None:
    """Makes the output escape characters that the terminal's encoding lacks, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(error: GuardError) -> int:
    """Prints an error, as JSON on stdout if --json is given, else on stderr; returns its exit code."""
    words = sys.argv[1:]
    if "--json" not in words[: words.index("--") if "--" in words else len(words)]:
        return print_error(error)
    from guard.commands import render

    shown = {"what": error.what, "next": error.hint or None, "code": error.code}
    sys.stdout.write(render.as_json({"error": shown}) + "\n")
    return error.code


def _failed(error: OSError) -> GuardError:
    """The system's error as guard's: about the file that it names, or else about writing the answer."""
    if error.filename is None:
        what = f"the answer could not be written: {error.strerror or error}"
        return GuardError(what, hint="guard log   (what was asked for may be done all the same)")
    return GuardError(f"{os.fsdecode(error.filename)}: {error.strerror}", hint="guard status")


def _leave(code: int) -> NoReturn:
    """Ends the process at once: a normal end of Python takes 5 ms more and changes nothing.

    The exit code is 3 when the answer cannot be written. The system may report that at a write, when Python's buffer is
    flushed, or only at close(2). A reader that has gone away (EPIPE) is no failure.
    """
    try:
        sys.stdout.flush()
        os.close(1)
    except BrokenPipeError:
        pass
    except (OSError, ValueError) as error:
        if code in (EXIT_DONE, EXIT_REFUSED):  # otherwise an error was printed already, and this one follows from it
            failure = error if isinstance(error, OSError) else OSError(errno.EBADF, os.strerror(errno.EBADF))
            code = print_error(_failed(failure))
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        code = EXIT_UNKNOWN  # there is no other place to report it
    os._exit(code)
