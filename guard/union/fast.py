"""Why a clear verdict is proven; and that verdict in Python, for callers that have no shell.

"Clear" is never the absence of an answer. ``hooks/guard`` and :func:`verdict` here answer "clear" only when each of
these steps has shown something that it could not show by failing:

1. **All of the hook that was needed ran.** ``hooks/guard`` is one line of ``#!`` and four compound commands: for a
   commit where nothing is reserved by others, for one that git proves to touch nothing, for a push, and for all else.
   sh reads no further than it has to, and executes a compound command only after it has read all of it. So a file that
   was cut short, or cannot be read to its end, is a syntax error, or ends with the status of the command before, which
   is not 0. What no script can do: speak when nothing of it was read (fewer than its first 11 bytes are left, or
   reading them fails). sh ends with 0. Where sh reads commands and runs none of them, it ends with 2, for the file's
   last line is no syntax. The first command leaves with 0 only after a test has succeeded, so a shell without ``[``
   comes to the second, which says so.
2. **The union is the store's current state**, for this environment, boot, machine and repository: see
   :mod:`guard.stores.freshness`. The hook runs the commands of :mod:`guard.union.script`; Python asks
   :func:`guard.union.published.is_fresh`. Where the store is on a server, a commit is judged by a
   state that is not older than the lease, and a push by one that is asked for when it begins.
3. **The list of changed paths is whole.** git writes it to a new regular file, because git reports a failed write
   only there: for a pipe it ends with 0 whatever was lost. The file is new (``set -C``), so no other hook writes to
   it. git must end with 0 and write nothing to stderr: what it writes there comes before the answer of step 6. (It
   skips its check when it ends with another status, so ``--exit-code`` is not used.) Only then sh adds the *end mark*,
   a path that no commit has: "./", newline, the publication's name, newline. What is pushed is handed to git as
   arguments, before the option that lets git pass over unknown objects: so each tip was found. sh cannot tell the end
   of git's list of tips from a read that fails, so ``cat`` has to find its end, where sh found it.
4. **The whole list was read.** git check-ignore answers in the order of its input. The end mark is its last answer, so
   it has read everything before. If reading fails, git takes that for the end of the list, and the mark is missing.
5. **The union was read.** It is one file, which git reads at the first path and keeps. Its last line is "?", the
   publication's name, "?", and matches the end mark alone. If the file cannot be opened, read, or is too short, the
   mark is not matched, and check-ignore ends with 1 instead of 0. It was not changed in between: it has the time that
   it was published with, and no published file is ever written again. ``whole`` is looked at last, and is deleted
   first when a publication is withdrawn.
6. **Nothing else matched.** The answer must be exactly the end mark, the status 0, and no word on stderr. Every write
   of check-ignore is checked by git itself (it flushes after each answer), and a lost answer would be the mark.
7. **git was not steered.** Every git is started with its tracing off, in the C locale, and with the caller's variables
   for paths and repositories away (``hush_git`` in the hook, ``guard.repo.git.quiet`` here); no variable of the
   caller's stands for one of the hook's, because all are cleared first.

A union of many patterns (state "large") is matched by :mod:`guard.union.large` instead of by git. Steps 3 and 4 are
then one: git, started after step 2, writes to a regular file, ends with 0 and says nothing on stderr. For step 5 the
table of patterns carries its length, an end, and a checksum of each part, which is compared when the part is looked
into; what has changed since the table was written has a checksum too, and names the table it belongs to. For step 6
the hook demands the word "clear" and the publication's name.

Anything else is doubt, and doubt is a miss: the full verdict decides from all active reservations. When that cannot
be reached either, nothing passes. A publication whose patterns are damaged is taken back, so that it is made anew.

Loaded by coding agents' hooks: imports nothing heavy.
"""

from __future__ import annotations

import os

from guard.model import GuardError
from guard.union import published

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from guard.repo.place import Place

CLEAR, TOUCHED, UNKNOWN = "clear", "touched", "unknown"
"""The verdicts: proven that nobody else's exclusive reservation covers a path; one may; nothing is proven."""


def verdict(place: Place, environment: Mapping[bytes, bytes], paths: Iterable[bytes]) -> str:
    """Does the published union cover one of the paths, which are relative to the repository's top?

    Reads the published files alone: no store, no configuration, no process. Never raises: whatever is missing,
    unreadable or no longer current makes the answer UNKNOWN, and the full verdict has to be asked.
    """
    slot = os.path.join(place.unions_dir, published.slot_of(environment))
    key = published.key_of(environment)
    current = published.load(slot)
    if current is None or not is_private(slot) or not published.is_fresh(slot, current, key):
        return UNKNOWN
    name, state = current.published.name, current.published.state
    if state in (published.OFF, published.EMPTY):
        return CLEAR
    if state not in (published.EXACT, published.FOLDED, published.LARGE):
        return UNKNOWN
    try:
        from guard.union import patterns  # where nothing is reserved by others, none is needed

        place_of_files = os.path.join(slot, name)
        table = patterns.Stored(_contents(place_of_files, b"patterns"), lambda: _contents(place_of_files, b"base"))
        matcher = patterns.Matcher(table, fold=table.fold)
        touched = any(map(matcher.covers, paths))
    except (FileNotFoundError, ValueError):
        from guard.union.large import take_back

        take_back(os.fsdecode(place_of_files))
        return UNKNOWN
    except (OSError, GuardError):
        return UNKNOWN
    if not published.is_whole(slot, name):
        return UNKNOWN
    return TOUCHED if touched else CLEAR


def _contents(place: bytes, name: bytes) -> bytes:
    with open(os.path.join(place, name), "rb") as file:
        return file.read()


def is_private(slot: bytes) -> bool:
    """Does the publication belong to this account? The hook asks the same with ``[ -O … ]``."""
    try:
        return os.stat(os.path.join(slot, b"current")).st_uid == os.geteuid()
    except OSError:
        return False
