"""What pre-receive (githooks(5)), the hook of a repository that others push to, calls when sh and git cannot decide.

It differs from the other hooks in four ways. Only settings on the server count: those of the repository's own
configuration and the system's, but not the environment or the account of whoever pushes. There is no holder: a
reservation belongs to the pusher by its principal (:mod:`guard.repo.pusher`). The hook ends within three seconds. Its
messages are read on another machine, as lines after "remote: ".
"""

from __future__ import annotations

import os

from guard import hook
from guard.model import EXIT_DONE, EXIT_REFUSED, EXIT_UNKNOWN, GuardError, reservations_in, unexpected
from guard.repo import pusher, standpoint
from guard.repo.place import Place, discover, in_hook
from guard.repo.settings import DEFAULT, Setting, Settings, judging, passing_text
from guard.repo.variables import KEY_VARIABLES
from guard.stores.choose import open_configured
from guard.stores.interface import Actor, Store
from guard.stores.kinds import is_leased
from guard.system import open_closed_files
from guard.union import contents
from guard.union.publish import publish
from guard.union.published import Identity, Published, key_of, load, receiving_slot_of, settings_hold
from guard.union.renewal import renew
from guard.words import begin_lines_with, print_error, quoted, to_stderr, unjudged_text, unknown_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.model import Change, Conflict
    from guard.repo.changes import RefUpdate
    from guard.repo.git import Configured
    from guard.repo.pusher import Pusher
    from guard.stores.freshness import Stamp

LIMIT_S = 3.0
"""The time limit of the whole hook in seconds. GitHub Enterprise Server gives all hooks of a push together 5 s."""
PATIENCE_S = 2.0
"""How many of these seconds the hook waits for another program that has the store locked."""
NOBODY = ""
"""Stands for the holder. No holder has this name, so every reservation is somebody else's."""
GITLAB_SHOWS = "GL-HOOK-ERR: "
"""GitLab shows who pushes only the lines that begin with this (its documentation, "Git server hooks")."""

_UPTIME = "/proc/uptime"
_PUSHERS_OWN = frozenset({*KEY_VARIABLES, b"GUARD_ON_ERROR", b"GUARD_SKIP", b"GUARD_PATIENCE"}) - {
    *(b"HOME", b"XDG_CONFIG_HOME", b"XDG_DATA_HOME"),
    *(b"GIT_CONFIG_PARAMETERS", b"GIT_CONFIG_GLOBAL", b"GIT_CONFIG_SYSTEM", b"GIT_CONFIG_NOSYSTEM"),
}
"""The variables that count in other hooks but not in this one. hooks/guard clears the same ones."""


class TimeUp(BaseException):
    """The time limit has passed. It is no :class:`Exception`, so that no ``except Exception`` catches it."""


def main(words: Sequence[str]) -> None:
    """``publish EVENT BEGAN`` and ``judge EVENT BEGAN``: does what the installed hook asks for, as guard.hook.main.

    ``BEGAN`` is when the hook was started, in hundredths of a second since the machine was started; "" when sh could
    not find that out.
    """
    open_closed_files()
    stage, _, began = words
    with _as_server():
        if stage == "publish":
            status = _guarded(began, _print_refreshed)
            if status == EXIT_DONE and not _printed:
                os.write(1, b"off -\n")  # the settings let the push pass
        else:
            status = _guarded(began, lambda: judge(marked=True))
            if status == EXIT_DONE:
                os.write(1, b"judged\n")
    os._exit(status and status + 10)


def by_hand() -> int:
    """``guard hook pre-receive``, for hooks that a server's administrator wrote; returns the exit code.

    git has set GIT_DIR for such a hook. Without it, the repository around the current directory is taken.
    """
    environment = standpoint.environment()
    if environment.get(b"GIT_DIR"):
        with _as_server():
            return _guarded("", judge)
    try:
        place = discover()
    except GuardError as error:
        return print_error(error)
    with standpoint.asking_from({**environment, b"GIT_DIR": place.git_dir}, place.git_dir), _as_server():
        return _guarded("", judge)


def _as_server() -> standpoint.asking_from:
    """A ``with`` block in which no variable counts that whoever pushes has set for their own guard."""
    environment = {name: value for name, value in standpoint.environment().items() if name not in _PUSHERS_OWN}
    if b"GL_PROTOCOL" in environment:
        begin_lines_with(GITLAB_SHOWS)
    return standpoint.asking_from(environment, standpoint.directory())


def _guarded(began: str, do: Callable[[], int]) -> int:
    """Calls ``do`` within the time limit and returns its exit code. Prints why when there is no verdict.

    ``began`` is as for :func:`main`.
    """
    import signal

    try:
        try:
            signal.signal(signal.SIGALRM, _time_up)
            left = _left_s(began)
            if left <= 0:
                raise TimeUp
            signal.setitimer(signal.ITIMER_REAL, left)
            return do()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except TimeUp:
        what = f"no verdict was reached within {LIMIT_S:g} s"
        return cannot_tell(GuardError(what, hint="push fewer commits at a time: git push origin OLDER-COMMIT:BRANCH"))
    except GuardError as error:
        return cannot_tell(error)
    except Exception as error:
        return cannot_tell(unexpected(error))


def _time_up(*_: object) -> None:
    raise TimeUp


def _left_s(began: str) -> float:
    """How many seconds are left of the time limit."""
    try:
        with open(_UPTIME, encoding="ascii") as file:
            now = float(file.read().split()[0])
        return LIMIT_S - max(0.0, now - int(began) / 100)
    except (OSError, ValueError):
        return LIMIT_S


_printed: list[bytes] = []


def _print_refreshed() -> int:
    _printed.append(b" ".join(refresh()) + b"\n")
    os.write(1, _printed[-1])
    return EXIT_DONE


def refresh() -> Published:
    """Brings the published union of everybody's reservations up to date, and returns what is published."""
    place, environment = in_hook(), standpoint.environment()
    key = key_of(environment)
    slot = os.path.join(place.unions_dir, receiving_slot_of(environment))
    current = load(slot)
    stamps = None if current is None else settings_hold(slot, current, key)
    if current is None or stamps is None or current.identity.holder:
        settings, stamps, _ = _settings(place)
        where = settings.store
        identity = Identity(
            holder=NOBODY.encode(),
            project=settings.project.value.encode(),
            store=os.fsencode(settings.store.value),
            fold=settings.fold,
            off=settings.mode.value == "off",
        )
    else:
        identity = current.identity
        where = Setting(os.fsdecode(identity.store), "what is published here")
        if is_leased(where.value):
            where = _settings(place)[0].store  # only the settings say the password
    standing = hook.Standing(identity, stamps, where)
    if identity.off:
        return publish(slot, key=key, identity=identity, source=None, settings=stamps)
    store, project = _open(where, place), identity.project.decode()
    if store.kind.leased:
        return hook.ask_server(store, slot, key=key, standing=standing, known=hook.still_proven(current, key, standing))
    hook.say_what_counts(store, project, place)
    if key is not None:
        hook.register(store, slot, project)
    source, wanted = contents.ask(store, slot, current, identity)
    return publish(slot, key=key, identity=identity, source=source, settings=stamps, contents=wanted)


def judge(*, marked: bool = False) -> int:
    """Judges a push, prints the verdict, and returns the exit code. Raises :class:`GuardError`.

    ``marked``: as for :func:`guard.hook.judge`.
    """
    from guard.repo import changes

    place = in_hook()
    settings, _, entries = _settings(place)
    updates = changes.received_refs(hook.lines_from_git(marked=marked))
    if settings.mode.value == "off" or not updates:
        return EXIT_DONE
    who = pusher_of(place, entries)
    deleted = [update for update in updates if changes.is_zero(update.new)]
    if len(deleted) == len(updates):
        hook.try_to_record(lambda: _record_deleted(_open(settings.store, place), settings, who, place, deleted))
        return EXIT_DONE
    store = _open(settings.store, place)
    changed = changes.of_received(updates)
    found = conflicts(store, changed, settings, who)
    if deleted:
        hook.try_to_record(lambda: _record_deleted(store, settings, who, place, deleted))
    if not found:
        renew(store)
        return EXIT_DONE
    return _conclude(store, settings, found, who, place)


def pusher_of(place: Place, entries: Sequence[Configured]) -> Pusher:
    """Who pushes into a repository, as its hook sees it. Raises :class:`GuardError`."""
    from guard import system
    from guard.repo.defaults import read_host

    hosts = [name for name in (read_host(place.own_dir), system.host()) if name]
    return pusher.find(standpoint.environment(), of_server(entries), account=system.account(), hosts=hosts)


def conflicts(store: Store, changed: Sequence[Change], settings: Settings, who: Pusher) -> list[Conflict]:
    """Every changed path with each exclusive reservation that is not the pusher's and covers it."""
    from guard import judge as verdicts

    project = settings.project.value
    for compare, everything in ((verdicts.conflicts, False), (verdicts.unexplained, True)):
        # Rows are found by their column ``prefix``, which another program may have written wrongly. So the push is
        # clear only when a comparison with all active rows finds nothing either.
        rows = store.covering(project, [change.path for change in changed], everything=everything).reservations
        found = compare(changed, [row for row in rows if not who.owns(row)], me=None, fold=settings.fold)
        roles = store.roles(sorted({each.reservation.id for each in found})) if found else {}
        found = [each for each in found if not who.owns(each.reservation, role=roles.get(each.reservation.id, ""))]
        if found:
            return found
    return []


def _conclude(store: Store, settings: Settings, found: list[Conflict], who: Pusher, place: Place) -> int:
    """Prints a refusal or a warning, records it, and returns the exit code."""
    from guard.refusal import received_text

    refused = settings.mode.value != "warn"
    if settings.mode.value not in ("block", "warn"):
        mode = settings.mode
        to_stderr(unknown_text("mode", mode.value, source=mode.source, use="block, warn or off"))
    to_stderr(received_text(found, who, repository=place.git_dir, now=standpoint.now_ms(), refused=refused))
    rows = reservations_in(found)
    what = hook.summary("push", sorted({conflict.path for conflict in found}))
    actor = _actor(settings, who, place)
    status = EXIT_REFUSED if refused else EXIT_DONE
    return hook.write_log(store, actor, "refused" if refused else "warned", rows, what, status)


def _record_deleted(store: Store, settings: Settings, who: Pusher, place: Place, deleted: Sequence[RefUpdate]) -> None:
    for update in deleted:
        name = update.ref.decode("utf-8", "backslashreplace")
        store.record(_actor(settings, who, place), "deleted", [], reason=f"{name} (was {update.old.decode()[:12]})")


def _actor(settings: Settings, who: Pusher, place: Place) -> Actor:
    from guard.repo.settings import principal

    return Actor(settings.project.value, who.holder or who.name or "(nobody can tell)", principal(place.own_dir))


def cannot_tell(error: GuardError) -> int:
    """Prints why there is no verdict. The exit code stops the push, unless the repository's settings let it pass."""
    passes = _lets_pass()
    here = quoted(in_hook().git_dir)
    around = f"  around: git -C {here} config guard.onError allow   (on the server; until it is unset)"
    to_stderr(unjudged_text(error, verb="push", passes=passes, ways=[around]))
    return EXIT_DONE if passes else EXIT_UNKNOWN


def _lets_pass() -> str:
    """What lets a push pass that could not be judged, in words; "" when nothing does."""
    from guard.repo.git import config

    try:
        mode, on_error = judging(standpoint.environment(), of_server(config()))
    except GuardError:
        return ""
    return passing_text(mode, on_error)


def of_server(entries: Sequence[Configured]) -> list[Configured]:
    """git's configuration without the settings of guard that the account of whoever pushes has.

    For a push over ssh or by a path, git reads that account's global configuration.
    """
    return [entry for entry in entries if entry.scope in _SERVERS or not entry.key.startswith(b"guard.")]


_SERVERS = (b"system", b"local", b"worktree")


def _settings(place: Place) -> tuple[Settings, list[Stamp], list[Configured]]:
    settings, stamps, entries = hook.read_settings(place, select=of_server)
    if settings.store.source == DEFAULT and settings.mode.value != "off":
        raise GuardError(
            f"it is not noted in {os.fsdecode(place.own_dir)} where the store is",
            hint=f"git -C {quoted(place.git_dir)} config guard.db /path/to/guard.db, then there: guard install",
        )
    return settings, stamps, entries


def _open(where: Setting, place: Place) -> Store:
    return open_configured(where, standpoint.environment(), place, patience_s=PATIENCE_S).store
