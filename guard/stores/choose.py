"""Which store is used here, and may it be made? Opens it, whatever its kind is.

A missing store is never replaced by an empty one without a message, because that would free everything that is
reserved. Only ``guard install`` and commands with which a person reserves make a store.
"""

from __future__ import annotations

import os

from guard import system
from guard.model import EXIT_REFUSED, GuardError
from guard.record import Record
from guard.repo.defaults import Note, read_note, store_path, write_host, write_note
from guard.stores.interface import RETENTION_MS, Opening
from guard.stores.kinds import KINDS, kind_of
from guard.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.repo.place import Place
    from guard.repo.settings import Setting
    from guard.stores.interface import Kind, Store

NEVER, FIRST, ANEW = "never", "first", "anew"
"""May a store be made? Hooks and commands that only look: never. Commands that reserve: only where guard has noted
none before. ``guard install``: also where the noted one is gone, as long as that is this account's own place."""


class Opened(Record):
    """An open store. ``made`` tells that it was just made, and is empty."""

    store: Store
    made: bool


def open_store(
    address: str,
    *,
    patience_s: float,
    create: bool = False,
    retention_ms: int = RETENTION_MS,
    place: Place | None = None,
    secret: str = "",
    trusted: bool = False,
) -> Store:
    """The store at an address, of the kind that is there. The arguments are those of :class:`Opening`.

    Nothing of this process may be open on a store's file yet. Raises :class:`guard.model.GuardError`.
    """
    opening = Opening(patience_s, create, retention_ms, place, secret, trusted)
    return _kind_at(address).open(address, opening)


def open_configured(
    setting: Setting,
    environment: Mapping[bytes, bytes],
    place: Place,
    *,
    patience_s: float,
    make: str = NEVER,
    retention_ms: int = RETENTION_MS,
    check: bool = False,
) -> Opened:
    """The store that counts here; ``make`` is one of NEVER, FIRST and ANEW.

    ``check``: for commands, which refuse another program's database now rather than when it is read.

    Raises :class:`guard.model.GuardError` when it cannot be reached, when it is missing and may not be made, and when
    something else is in its place. The error names both places when the account would have a store of its own.
    """
    noted = read_note(place.own_dir)
    kind = _kind_at(setting.value)
    missing = kind is KINDS[-1] and _is_absent(setting.value)
    _refuse_another_kind(setting, noted, kind, missing=missing)
    if missing:
        _refuse_to_make(setting, noted, environment, make)
    create = missing or (check and kind is not KINDS[-1])
    opening = Opening(
        patience_s=patience_s,
        create=create,
        retention_ms=retention_ms,
        place=place,
        secret=setting.secret,
        trusted=setting.is_own,
    )
    try:
        return Opened(kind.open(setting.value, opening), missing)
    except GuardError as error:
        raise _naming_both(error, setting, noted, environment) from error


def note_store(place: Place, store: Store) -> None:
    """Notes the store's address in the common git directory, so that everybody who works here finds the same store.

    Also notes the name of this host, which stays a part of principals when the host gets another name.

    When the address has changed, the unions that are published in this repository are dropped, because they were made
    from another store. Raises :class:`GuardError` when the note cannot be written.
    """
    if not os.path.isdir(place.own_dir):
        return  # nothing was installed
    try:
        write_host(place.own_dir, system.host())
        if write_note(place.own_dir, Note(store.address, store.kind.name)):
            _drop_unions(place)
    except OSError as error:
        what = f"where the store is cannot be noted in {os.fsdecode(place.own_dir)}: {error.strerror}"
        raise GuardError(what, hint=f"ls -ld {quoted(place.own_dir)}", code=EXIT_REFUSED) from error


def _drop_unions(place: Place) -> None:
    worktrees = os.path.join(place.common_dir, b"worktrees")
    names = os.listdir(worktrees) if os.path.isdir(worktrees) else []
    for git_dir in (place.common_dir, *(os.path.join(worktrees, name) for name in names)):
        unions = os.path.join(git_dir, b"guard", b"unions")
        for slot in os.listdir(unions) if os.path.isdir(unions) else []:
            try:
                os.unlink(os.path.join(unions, slot, b"current"))
            except (FileNotFoundError, NotADirectoryError):
                continue


def is_unused(setting: Setting, place: Place) -> bool:
    """Has nobody used guard here yet? Then it is not installed in this repository, and the account has no store."""
    from guard.repo.settings import DEFAULT

    return setting.source == DEFAULT and not os.path.isdir(place.own_dir) and _is_absent(setting.value)


def _is_absent(address: str) -> bool:
    """Is it certain that nothing is there? When that cannot be found out, opening the store says why."""
    try:
        os.lstat(address)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _kind_at(address: str) -> Kind:
    """The kind of the store at an address. Raises :class:`GuardError` for a kind that guard does not know."""
    kind = kind_of(address)
    if "://" in address and kind is KINDS[-1]:
        scheme = address.partition("://")[0]
        what = f"guard has no kind of store for an address that begins with {scheme[:20]}://"
        raise GuardError(what, hint="guard help settings")
    return kind


def _refuse_another_kind(setting: Setting, noted: Note | None, kind: Kind, *, missing: bool) -> None:
    """Raises when another program's database, which was there at install, is gone or is a store of another kind now."""
    if noted is None or noted.address != setting.value or noted.kind in ("", kind.name):
        return
    was = next((each for each in KINDS if each.name == noted.kind), None)
    if was is None:
        what = f"the store {setting.value} was of the kind {noted.kind!a} when guard was installed here"
        raise GuardError(f"{what}, and this guard does not know that kind", hint="pip install --upgrade git-guard")
    if missing:
        what = f"the store {setting.value} does not exist now; it was {was.title} when guard was installed here"
        hint = "bring it back; or name another store: git config guard.db /path/to/guard.db, then: guard install"
    elif not was.writable:
        what = f"{setting.value} was {was.title} when guard was installed here, and now something else is there"
        hint = "move that file away; or, if it is meant: guard uninstall, then: guard install"
    else:
        return  # ours was replaced by a database that its own program fills: what it says counts
    raise GuardError(what, hint=hint)


def _refuse_to_make(setting: Setting, noted: Note | None, environment: Mapping[bytes, bytes], make: str) -> None:
    """Raises when a missing store may not be made; the error says why, and what to do."""
    own = store_path(environment)
    at_own_place = setting.value == own
    was_there = noted is not None and noted.address == setting.value
    directory = os.path.dirname(setting.value)
    away = was_there and not at_own_place and not setting.scope and _by_note(setting)
    if make != NEVER and not away and not (was_there and make == FIRST):
        if at_own_place or os.path.isdir(directory):
            return
        what = f"the store {setting.value} (from {setting.source}) cannot be made: there is no directory {directory}"
        hint = f"is it misspelt, or not mounted? Else: mkdir -p {quoted(os.fsencode(directory))}, then: guard install"
        raise GuardError(what, hint=hint)
    what = f"the store {setting.value} (from {setting.source}) does not exist"
    if away:
        hint = (
            "bring it back, or make it reachable from here; or use another place on purpose:"
            f" git config guard.db {quoted(os.fsencode(own))}, then: guard install"
        )
        raise GuardError(f"{what}, or cannot be seen from here{_other_place(setting, noted, own)}", hint=hint)
    hint = "guard install   (it makes a new, empty one there)"
    if not at_own_place and not was_there and noted is not None:
        hint = f"{_take_out(setting)}; or, to make a new, empty one there: guard install"
    raise GuardError(what + _other_place(setting, noted, own), hint=hint)


def _naming_both(
    error: GuardError, setting: Setting, noted: Note | None, environment: Mapping[bytes, bytes]
) -> GuardError:
    """The same error. If another address could be expected, it also names that one, and says why
    guard does not use it.
    """
    other = _other_place(setting, noted, store_path(environment))
    return GuardError(error.what + other, hint=error.hint, code=error.code) if other else error


def _other_place(setting: Setting, noted: Note | None, own: str) -> str:
    if _by_note(setting):
        if setting.value == own:
            return ""
        return f"; this account's own place would be {own}, where nobody else's reservations for this repository are"
    if noted is not None and noted.address != setting.value:
        return f"; guard install noted {noted.address} for this repository"
    return ""


def _by_note(setting: Setting) -> bool:
    from guard.repo.settings import NOTED

    return setting.source == NOTED


def _take_out(setting: Setting) -> str:
    """The command that removes a setting."""
    if setting.scope:
        return f"git config --{setting.scope} --unset guard.db"
    return f"unset {setting.source.rpartition(' ')[2]}"
