"""What libgit2 answers in this process, for commands that would otherwise wait for git.

libgit2 does not open every repository that git opens (SHA-256 and reftable, for instance). Every function here asks git
where libgit2 cannot answer, and both answer alike. Hooks do not load this module: pygit2 takes ten times as long to
import as Python takes to start.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from guard.repo import git

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.repo.place import Place


def tracked(place: Place, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """Every path in the index of this worktree, relative to its top, in the index's order, each once.

    ``environment`` may name another index in GIT_INDEX_FILE (git(1)). Raises :class:`guard.repo.git.GitError`.
    """
    import pygit2

    named = environment.get(b"GIT_INDEX_FILE")
    file = os.path.join(place.top or place.git_dir, named) if named else os.path.join(place.git_dir, b"index")
    if not os.path.exists(file):
        return []
    try:
        index = pygit2.Index(os.fsdecode(file))
        return list(dict.fromkeys(os.fsencode(entry.path) for entry in index))
    except (pygit2.GitError, OSError, UnicodeError):
        words = git.run(["ls-files", "-z", "--cached", "--full-name"], directory=place.top, environment=environment)
        return list(dict.fromkeys(word for word in words.split(b"\0") if word))
