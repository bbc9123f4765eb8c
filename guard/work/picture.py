"""The picture of ``guard map``, as an SVG image or as an HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.map.page import page
from guard.map.svg import image
from guard.map.tree import grow
from guard.repo.libgit2 import tracked
from guard.work.here import now_ms

if TYPE_CHECKING:
    from guard.work.here import Here


def picture(here: Here, *, html: bool) -> str:
    """Every tracked file in the colour of its holder, as SVG or HTML. Raises :class:`guard.model.GuardError`."""
    now = now_ms()
    rows = here.store.active(here.project).reservations
    files = tracked(here.place, here.environment)
    top = grow(files, rows, fold=here.settings.fold)
    drawn = image(top, rows, count=len(files), project=here.project, me=here.me, now=now)
    return page(drawn, rows, project=here.project, me=here.me, now=now) if html else drawn
