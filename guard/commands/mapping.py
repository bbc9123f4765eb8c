"""``guard map``: draws the repository, with every file in the colour of its holder."""

from __future__ import annotations

import os
import sys
import tempfile

import click

from guard.commands.shared import example, pass_here
from guard.model import EXIT_DONE, UsageError
from guard.work.here import Here

KINDS = (".svg", ".html")


@click.command(name="map")
@click.option("-o", "--output", metavar="FILE", help="Where to write it: FILE.svg or FILE.html.")
@pass_here
@example("guard map --output map.html", "guard map > map.svg")
def map_(here: Here, output: str | None) -> int:
    """Draw the repository: every file in the colour of its holder, with stripes where it does not exist yet.

    The picture is an SVG image, or an HTML page with a table of all reservations. It needs no other file.
    """
    from guard.work.picture import picture

    if output is None:
        if sys.stdout.isatty():
            raise UsageError("a picture cannot be shown on a terminal", hint="guard map --output map.html")
        sys.stdout.buffer.write(picture(here, html=False).encode())
        return EXIT_DONE
    if not output.lower().endswith(KINDS):
        raise UsageError(f"{output!a} ends in neither .svg nor .html", hint="guard map --output map.html")
    _write(output, picture(here, html=output.lower().endswith(".html")))
    click.echo(f"wrote {output!a}" if not output.isprintable() else f"wrote {output}")
    return EXIT_DONE


def _write(output: str, text: str) -> None:
    """Replaces the file in one step, so that the former picture stays when the disk is full."""
    directory = os.path.dirname(os.path.abspath(output))
    file, temporary = tempfile.mkstemp(dir=directory, prefix=".guard-map-")
    try:
        with open(file, "wb") as writer:
            writer.write(text.encode())
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(file, 0o666 & ~umask)
        os.replace(temporary, output)
    except BaseException:
        os.unlink(temporary)
        raise
