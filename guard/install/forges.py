"""Where a forge runs hooks of others for a repository that is pushed to.

Gitea and Forgejo own ``hooks/pre-receive``, write it anew when they like, and run from it what stands in
``hooks/pre-receive.d`` (their documentation, "Git hooks"). GitLab runs nothing from ``hooks``, but what stands in
``custom_hooks/pre-receive.d`` (its documentation, "Git server hooks").
"""

from __future__ import annotations

import os
import re

from guard.events import by_name
from guard.install.draft import Draft
from guard.repo.place import Place

NAME = b"guard"
"""What guard's hook is called in such a directory. hooks/guard knows the event from the directory."""
_RUNS_A_DIRECTORY = re.compile(rb"\.d/")


def hook_file(place: Place, event: str, files: Draft) -> bytes:
    """The path of guard's hook for an event where a forge runs a directory of hooks; b"" everywhere else."""
    if not by_name(event).receives:
        return b""
    directory = event.encode() + b".d"
    if os.path.isdir(os.path.join(place.common_dir, b"custom_hooks")):
        return os.path.join(place.common_dir, b"custom_hooks", directory, NAME)
    hooks = os.path.join(place.common_dir, b"hooks")
    forges = files.read(os.path.join(hooks, event.encode())) or b""
    runs_it = bool(_RUNS_A_DIRECTORY.search(forges)) and not files.is_ours(os.path.join(hooks, event.encode()))
    return os.path.join(hooks, directory, NAME) if runs_it and os.path.isdir(os.path.join(hooks, directory)) else b""
