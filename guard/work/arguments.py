"""Turns what was typed into paths and patterns. Every command reads its arguments in this way.

An argument is relative to the current directory. ``:/`` at its beginning means the top, and so does ``/`` unless it
begins an existing path inside this checkout. An argument that no commit here could touch is refused, with what to type
instead.
"""

from __future__ import annotations

import os
import re

from guard.model import UsageError
from guard.patterns.grammar import EVERYTHING, Malformed, is_literal, is_simple, literal, prefix, stored
from guard.record import Record
from guard.repo.index import composed, specs
from guard.stores.interface import Wanted
from guard.words import quoted, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.model import Reservation
    from guard.work.here import Here

_SPECIAL = b"*?[\\"
_RESERVE = re.compile(r"(\bguard(?: -C (?:'[^']*'|[^' ]+))?) reserve ")
"""A command in a hint that reserves."""


# What to reserve, and what to ask about


def wanted(here: Here, typed: Sequence[bytes], *, verb: str = "reserve") -> list[Wanted]:
    """The arguments as patterns, each once.

    A pattern that covers everything in a directory also covers a submodule in its place, because git sees a submodule
    as one entry with that name. ``verb`` is the command's name, for errors. Raises :class:`guard.model.UsageError` for
    an argument that no commit in this repository can touch.
    """
    here.tree.look_anew()  # a command may live long
    found: dict[bytes, Wanted] = {}
    for text in typed:
        try:
            for pattern in _patterns(here, text):
                found.setdefault(pattern, Wanted(pattern, text))
        except Malformed as odd:
            hint = _RESERVE.sub(rf"\1 {verb} ", odd.hint) if odd.hint.startswith("guard ") else odd.hint
            raise UsageError(f"cannot {verb} '{safe(text[:200])}': {odd.reason}", hint=hint) from None
        except UsageError as error:
            raise UsageError(error.what.replace("cannot reserve", f"cannot {verb}"), hint=error.hint) from None
    return list(found.values())


def pattern(here: Here, typed: bytes) -> bytes:
    """The pattern that an argument stands for. Raises :class:`guard.model.UsageError`."""
    return wanted(here, [typed])[0].pattern


def path(here: Here, name: bytes) -> bytes:
    """The path, relative to the top, for a name that git or another program printed; b"" for the top. No sign in it is
    a wildcard.

    Raises :class:`guard.model.UsageError` for a path outside of the repository.
    """
    text = _placed(here, name)
    start, rest = (b"", text[2:]) if text.startswith(b":/") else (here.place.prefix, text)
    relative = os.path.normpath(os.path.join(start, rest.lstrip(b"/") if start == b"" else rest))
    if relative == b".." or relative.startswith(b"../"):
        top = os.fsdecode(here.place.top or here.place.git_dir)
        raise UsageError(f"{os.fsdecode(name)!a} lies outside this repository", hint=f"its top is {top!a}")
    found = b"" if relative == b"." else relative
    return here.index.spelled(found) if here.settings.fold and found else found


def _patterns(here: Here, typed: bytes) -> list[bytes]:
    """The pattern for an argument, and the submodules that it covers, too. Raises Malformed."""
    plain = _plain_file(here, typed)
    if plain:
        _check_reachable(here, plain)
        return [plain]
    if here.precompose:
        typed = composed(typed)
    if typed and not _is_there(here, typed):
        from guard.patterns import slips  # what exists is no slip, so most commands need not know them

        slips.check(typed, lambda name: _is_there(here, name))
    _check_outside(here, typed)
    found = _stored(here, _placed(here, typed), here.exists)
    _check_reachable(here, found)
    return _with_submodules(here, found)


def _plain_file(here: Here, typed: bytes) -> bytes:
    """The pattern of a file that exists, if its name has no sign that could mean anything else; b"" for any other
    argument.

    Most arguments are such names. The rest of this module finds the same pattern for them, in four times the time.
    """
    cwd = here.place.prefix
    path = cwd + b"/" + typed if cwd else typed
    if b"*" in path or not is_simple(b"/" + path) or here.settings.fold or not here.tree.is_file(path):
        return b""
    return b"/" + path


def _stored(here: Here, text: bytes, exists: Callable[[bytes], bool]) -> bytes:
    found = stored(text, cwd=here.place.prefix, exists=exists)
    lead = prefix(found) if here.settings.fold else b""
    if lead and (spelled := here.index.spelled(lead)) != lead:
        found = literal(spelled) + found[len(literal(lead)) :]
    return found


def _is_there(here: Here, name: bytes) -> bool:
    """Does an argument, read as a path, name something that exists?"""
    text = _placed(here, name)
    start, rest = (b"", text[2:]) if text.startswith(b":/") else (here.place.prefix, text)
    relative = os.path.normpath(os.path.join(start, rest.lstrip(b"/") if start == b"" else rest))
    if relative == b"..":
        return False
    return relative == b"." or (not relative.startswith(b"../") and here.exists(relative))


def _placed(here: Here, typed: bytes) -> bytes:
    """An argument with ":/" in front where it means the top."""
    if here.precompose:
        typed = composed(typed)
    if typed.startswith(b":/"):
        return typed
    if typed.startswith(b"/"):
        inside = _below_top(here, typed)
        return typed if inside is None else b":/" + inside
    return _as_git_prints(here, typed)


def _below_top(here: Here, typed: bytes) -> bytes | None:
    """The part after the top in an absolute path inside this checkout, also when symbolic links lead to the top; else
    None.
    """
    top = here.place.top
    if top is None:
        return None
    try:
        ours = os.stat(top)
    except OSError:
        return None
    names = typed.split(b"/")
    inside: bytes | None = None
    for count in range(1, len(names) + 1):
        try:
            found = os.stat(b"/".join(names[:count]) or b"/")
        except (OSError, ValueError):
            break
        if os.path.samestat(found, ours):
            inside = b"/".join(names[count:])
    return inside


def _as_git_prints(here: Here, typed: bytes) -> bytes:
    """The argument with ":/" before it when it is a path from the top, as ``git diff --name-only`` prints it in every
    directory.

    It is one when it exists at the top, and its first directory does not exist in the current directory.
    """
    cwd = here.place.prefix
    directory = typed.rpartition(b"/")[0]
    if not cwd or not directory or typed.startswith((b"./", b"../")):
        return typed
    lead = typed if typed.translate(None, _SPECIAL) == typed else directory
    if here.exists(os.path.normpath(os.path.join(cwd, typed.partition(b"/")[0]))):
        return typed
    return b":/" + typed if here.exists(os.path.normpath(lead)) else typed


# Refused, though it is a pattern


def _check_outside(here: Here, typed: bytes) -> None:
    """Refuses an absolute path outside of this checkout. "/x" means the top when no such path is on this machine."""
    names = typed.strip(b"/").split(b"/")
    if not typed.startswith(b"/") or len(names) < 2 or _below_top(here, typed) is not None:
        return
    if here.exists(names[0]) or not os.path.lexists(typed):
        return
    there = typed if os.path.isdir(typed) else os.path.dirname(typed)
    elsewhere = f"guard -C {quoted(there)} reserve {quoted(typed)}   (below this top: {quoted(b':' + typed)})"
    below = f"guard reserve {quoted(b':' + typed)}   (if you mean that path below this top)"
    raise Malformed(
        f"it lies outside of this repository, whose top is {safe(here.place.top or here.place.git_dir)}",
        elsewhere if _is_in_a_repository(there) else below,
    )


def _is_in_a_repository(directory: bytes) -> bool:
    """Is there a ``.git`` in this directory or in one above it?"""
    while not os.path.lexists(os.path.join(directory, b".git")):
        above = os.path.dirname(directory)
        if above == directory:
            return False
        directory = above
    return True


def _check_reachable(here: Here, found: bytes) -> None:
    """Refuses a path beyond a symbolic link or inside another repository, because no commit here can touch it."""
    lead = prefix(found)
    if here.place.top is None or not lead:
        return
    is_path = is_literal(found)
    deepest = lead.rpartition(b"/")[0] if is_path else lead
    if not deepest or deepest in here.tree.passable:  # and so are the directories above it
        return
    names = lead.split(b"/")
    last = len(names) if is_path else len(names) + 1
    for count in range(1, last):
        above = b"/".join(names[:count])
        if above in here.tree.passable:
            continue
        if here.tree.is_link(above):
            raise _beyond_link(here, above, found)
        if _covers_whole(found, above):
            return  # the submodule's pointer is meant too
        if here.tree.is_repository(above) or above in here.index.submodules:
            raise _in_another(here, above, b"/".join(names[count:]) or b".")
        here.tree.passable.add(above)


def _beyond_link(here: Here, link: bytes, found: bytes) -> Malformed:
    top = os.path.realpath(here.place.top or b"/")
    target = os.path.relpath(os.path.realpath(os.path.join(top, link)), top)
    reason = f"'{safe(link)}' is a symbolic link, and git tracks nothing beyond one"
    if target == b".." or target.startswith(b"../"):
        return Malformed(
            reason, f"guard reserve {quoted(b':/' + link)}   (the link itself; it leads out of this repository)"
        )
    rest = found[len(literal(link)) :]
    meant = (literal(target) if target != b"." else b"") + rest
    return Malformed(reason, f"guard reserve {quoted(b':' + meant)}   (where it leads to)")


def _in_another(here: Here, repository: bytes, rest: bytes) -> Malformed:
    place = os.path.relpath(os.path.join(here.place.top or b"", repository), here.cwd or b".")
    entry = quoted(b":/" + repository)
    return Malformed(
        f"'{safe(repository)}' is a repository of its own, and commits here change only which commit of it is used",
        f"guard -C {quoted(place)} reserve {quoted(rest)}   (its entry here: guard reserve {entry})",
    )


# Submodules


def _covers_whole(found: bytes, directory: bytes) -> bool:
    return found.endswith((b"/**", b"/")) and found in (literal(directory) + b"/**", literal(directory) + b"/")


def _with_submodules(here: Here, found: bytes) -> list[bytes]:
    """The pattern, and the submodules that it means, too: ``dir/**`` also means a submodule at ``dir``."""
    if found == EVERYTHING or here.place.top is None:
        return [found]
    whole = found.removesuffix(b"/**").removesuffix(b"/")
    if whole == found:
        return [found]
    if is_literal(whole):
        directory = prefix(whole)
        is_repository = here.tree.is_repository(directory) or directory in here.index.submodules
        return [whole] if is_repository else [found]
    if not here.index.submodules:
        return [found]
    from guard.patterns.match import Union

    covered = Union([whole], fold=here.settings.fold)
    return [found, *(literal(place) for place in here.index.submodules if covered.matches(place))]


# What is there already


class Named(Record):
    """The reservations that the arguments name, the arguments that name none, and the generation of the state that was
    read.
    """

    rows: tuple[Reservation, ...]
    missing: tuple[str, ...]
    generation: int


def named(here: Here, typed: Sequence[bytes]) -> Named:
    """The holder's own reservations that arguments name.

    The words with which something was reserved still name it when a file was made or removed meanwhile. So an argument
    is read as things are now, then as if its path existed, then as if it did not. Case counts as it counts in hooks.
    Raises :class:`guard.model.UsageError` for an argument that can name nothing.
    """
    readings = {text: _readings(here, text) for text in typed}
    leads = sorted({prefix(each) for found in readings.values() for each in found})
    beside = any(each.endswith((b"/", b"/**")) for found in readings.values() for each in found)
    snapshot = here.store.active(here.project) if beside else here.store.covering(here.project, leads)
    mine = [row for row in snapshot.reservations if row.holder == here.me]
    rows: dict[int, Reservation] = {}
    missing = []
    for text in typed:
        found = _held(here, readings[text], text, mine)
        rows |= {row.id: row for row in found}
        if not found:
            missing.append(os.fsdecode(text))
    return Named(tuple(rows.values()), tuple(missing), snapshot.generation)


def _held(here: Here, readings: Sequence[bytes], text: bytes, mine: Sequence[Reservation]) -> list[Reservation]:
    """The reservations that the first reading of an argument names which names any."""
    for reading in readings:
        whole = reading.removesuffix(b"/**").removesuffix(b"/")
        found = [row for row in mine if _same(here, row.pattern, reading)]
        if whole != reading:
            found += [row for row in mine if row.typed == text and _is_submodule_of(here, row.pattern, whole)]
        if found:
            return found
    return []


def _is_submodule_of(here: Here, pattern: bytes, whole: bytes) -> bool:
    """Was this reserved for a submodule, together with a pattern that covers everything in what ``whole`` matches?"""
    from guard.patterns.overlap import overlap

    return is_literal(pattern) and bool(whole) and overlap(pattern, whole, fold=here.settings.fold)


def _same(here: Here, one: bytes, two: bytes) -> bool:
    return one == two or (here.settings.fold and one.lower() == two.lower())


def _readings(here: Here, typed: bytes) -> list[bytes]:
    """Every pattern that an argument may stand for; the one as things are now comes first."""
    text = composed(typed) if here.precompose else typed
    texts = [_placed(here, text), text]
    if b"/" in text and not text.startswith(b":/"):
        texts.append(b":/" + text.lstrip(b"/"))
    found: dict[bytes, None] = {}
    refused: UsageError | None = None
    for exists in (here.exists, lambda _: True, lambda _: False):
        for each in dict.fromkeys(texts):
            try:
                found[_stored(here, each, exists)] = None
            except UsageError as error:
                refused = refused or error
    if refused is not None and not found:
        raise UsageError(refused.what.replace("cannot reserve", "no reservation is called"), hint=refused.hint)
    return list(found)


# What it matches


def unmatched(here: Here, wanted: Sequence[Wanted]) -> list[Wanted]:
    """The patterns that match no file in the index or in the work tree."""
    open_ = [want for want in wanted if not (is_literal(want.pattern) and here.exists(prefix(want.pattern)))]
    open_ = [want for want in open_ if want.pattern != EVERYTHING]
    for untracked in (False, True):
        if open_:
            asked = specs([want.pattern for want in open_], fold=here.settings.fold)
            listed = here.index.matching(asked, untracked=untracked)
            open_ = [want for want in open_ if not _any_matches(here, want.pattern, listed, alone=len(open_) == 1)]
    return open_


def _any_matches(here: Here, pattern: bytes, listed: Sequence[bytes], *, alone: bool) -> bool:
    if alone or not listed:
        return bool(listed)
    from guard.patterns.match import Union

    return bool(Union([pattern], fold=here.settings.fold).touched(listed))
