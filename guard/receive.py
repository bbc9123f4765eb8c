"""What the hook of a repository that others push to calls when sh and git cannot decide: pre-receive (githooks(5)).

It differs from the other hooks in four ways. What counts is set on the server: in the repository's own configuration
or the system's, not by the environment or the account of whoever pushes. Nobody is the holder: a reservation is the
pusher's by its principal (:mod:`guard.repo.pusher`). All of it may take three seconds. What it says is read by somebody
elsewhere, as lines after "remote: ".
"""

from __future__ import annotations

import os

from guard import hook
from guard.model import EXIT_DONE, EXIT_REFUSED, EXIT_UNKNOWN, GuardError, unexpected
from guard.repo import pusher, standpoint
from guard.repo.place import Place, discover, in_hook
from guard.repo.settings import DEFAULT, Setting, Settings, judging
from guard.repo.variables import KEY_VARIABLES
from guard.stores.choose import open_configured
from guard.stores.interface import Actor, Store
from guard.stores.kinds import is_leased
from guard.system import open_closed_files
from guard.union import publish as union
from guard.union.published import receiving_slot_of
from guard.words import begin_lines_with, quoted, safe, said, to_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.model import Change, Conflict
    from guard.repo.changes import ReceivedRef
    from guard.repo.git import Configured
    from guard.repo.pusher import Pusher
    from guard.stores.freshness import Stamp

LIMIT_S = 3.0
"""How long all of the hook may take, in seconds: GitHub Enterprise Server gives all hooks of a push five."""
PATIENCE_S = 2.0
"""How long of that the hook waits for another program that has the store locked."""
NOBODY = ""
"""No holder is called so: each reservation is somebody else's."""
GITLAB_SHOWS = "GL-HOOK-ERR: "
"""GitLab shows who pushes only the lines that begin with this (its documentation, "Git server hooks")."""

_UPTIME = "/proc/uptime"
_PUSHERS_OWN = frozenset({*KEY_VARIABLES, b"GUARD_ON_ERROR", b"GUARD_SKIP", b"GUARD_PATIENCE"}) - {
    *(b"HOME", b"XDG_CONFIG_HOME", b"XDG_DATA_HOME"),
    *(b"GIT_CONFIG_PARAMETERS", b"GIT_CONFIG_GLOBAL", b"GIT_CONFIG_SYSTEM", b"GIT_CONFIG_NOSYSTEM"),
}
"""The variables that count for other hooks and not here. hooks/guard clears the same."""


class TimeUp(BaseException):
    """The time limit has passed. No handler of errors stops it on its way."""


def main(words: Sequence[str]) -> None:
    """``publish EVENT BEGAN`` and ``judge EVENT BEGAN``: as :func:`guard.hook.main`.

    ``BEGAN`` is when the hook was started, in hundredths of a second since the machine was; "" when sh cannot tell.
    """
    open_closed_files()
    stage, _, began = words
    with _as_server():
        if stage == "publish":
            status = _guarded(began, _print_refreshed)
            if status == EXIT_DONE and not _printed:
                os.write(1, b"off -\n")  # let through, as the settings say
        else:
            status = _guarded(began, lambda: verdict(marked=True))
            if status == EXIT_DONE:
                os.write(1, b"judged\n")
    os._exit(status and status + 10)


def by_hand() -> int:
    """``guard hook pre-receive``: for hooks of a server's own. git has set GIT_DIR, or it is looked for from here."""
    environment = standpoint.environment()
    if environment.get(b"GIT_DIR"):
        with _as_server():
            return _guarded("", verdict)
    try:
        place = discover()
    except GuardError as error:
        return said(error)
    with standpoint.asking_from({**environment, b"GIT_DIR": place.git_dir}, place.git_dir), _as_server():
        return _guarded("", verdict)


def _as_server() -> standpoint.asking_from:
    """From here on, nothing counts that whoever pushes has set for themselves."""
    environment = {name: value for name, value in standpoint.environment().items() if name not in _PUSHERS_OWN}
    if b"GL_PROTOCOL" in environment:
        begin_lines_with(GITLAB_SHOWS)
    return standpoint.asking_from(environment, standpoint.directory())


def _guarded(began: str, do: Callable[[], int]) -> int:
    """Does it within the time limit; says why when there is no answer. Returns the exit code."""
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
    """What is left of the time limit, in seconds."""
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


def refresh() -> union.Published:
    """Brings up to date what is published of everybody's reservations, and says what it is."""
    place, environment = in_hook(), standpoint.environment()
    key = union.key_of(environment)
    slot = os.path.join(place.unions_dir, receiving_slot_of(environment))
    current = union.load(slot)
    stamps = None if current is None else union.settings_hold(slot, current, key)
    if current is None or stamps is None or current.identity.holder:
        settings, stamps, _ = _settings(place)
        where = settings.store
        identity = union.Identity(
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
            where = _settings(place)[0].store  # they alone tell its password
    standing = hook.Standing(identity, stamps, where)
    if identity.off:
        return union.publish(slot, key=key, identity=identity, source=None, settings=stamps)
    store, project = _open(where, place), identity.project.decode()
    if store.kind.leased:
        return hook.ask_server(store, slot, key=key, standing=standing, known=hook.still_proven(current, key, standing))
    hook.say_what_counts(store, project, place)
    if key is not None:
        hook.register(store, slot, project)
    source = store.union_source(project, NOBODY)
    return union.publish(slot, key=key, identity=identity, source=source, settings=stamps)


def verdict(*, marked: bool = False) -> int:
    """Judges a push, says so, and returns the exit code. Raises :class:`GuardError`.

    ``marked``: as for :func:`guard.hook.judged`.
    """
    from guard.repo import changes

    place = in_hook()
    settings, _, entries = _settings(place)
    refs = changes.received_refs(hook.lines_from_git(marked=marked))
    if settings.mode.value == "off" or not refs:
        return EXIT_DONE
    who = pusher_of(place, entries)
    deleted = [ref for ref in refs if changes.is_zero(ref.new)]
    if len(deleted) == len(refs):
        hook.quietly(lambda: _record_deleted(_open(settings.store, place), settings, who, place, deleted))
        return EXIT_DONE
    store = _open(settings.store, place)
    changed = changes.of_received(refs)
    found = conflicts(store, changed, settings, who)
    if deleted:
        hook.quietly(lambda: _record_deleted(store, settings, who, place, deleted))
    if not found:
        union.renew(store)
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
    from guard.judge import conflicts as judged
    from guard.judge import unexplained

    project = settings.project.value
    for judge, everything in ((judged, False), (unexplained, True)):
        # Rows are found by a column that another program may have written wrongly, so all active ones are asked before
        # this is called clear.
        rows = store.covering(project, [change.path for change in changed], everything=everything).reservations
        found = judge(changed, [row for row in rows if not who.owns(row)], me=None, fold=settings.fold)
        roles = store.roles(sorted({each.reservation.id for each in found})) if found else {}
        found = [each for each in found if not who.owns(each.reservation, role=roles.get(each.reservation.id, ""))]
        if found:
            return found
    return []


def _conclude(store: Store, settings: Settings, found: list[Conflict], who: Pusher, place: Place) -> int:
    """Words a refusal, or a warning, and records it."""
    from guard.refusal import received_text

    refused = settings.mode.value != "warn"
    if settings.mode.value not in ("block", "warn"):
        unknown = safe(settings.mode.value[:40])
        to_stderr(f"guard: unknown mode '{unknown}' (from {settings.mode.source}), treated as block.")
    to_stderr(received_text(found, who, repository=place.git_dir, now=standpoint.now_ms(), refused=refused))
    rows = list({conflict.reservation.id: conflict.reservation for conflict in found}.values())
    what = hook.summary("push", sorted({conflict.path for conflict in found}))
    actor = _actor(settings, who, place)
    status = EXIT_REFUSED if refused else EXIT_DONE
    return hook.write_log(store, actor, "refused" if refused else "warned", rows, what, status)


def _record_deleted(
    store: Store, settings: Settings, who: Pusher, place: Place, deleted: Sequence[ReceivedRef]
) -> None:
    for ref in deleted:
        name = ref.name.decode("utf-8", "backslashreplace")
        store.record(_actor(settings, who, place), "deleted", [], reason=f"{name} (was {ref.old.decode()[:12]})")


def _actor(settings: Settings, who: Pusher, place: Place) -> Actor:
    from guard.repo.settings import principal

    return Actor(settings.project.value, who.holder or who.name or "(nobody can tell)", principal(place.own_dir))


def cannot_tell(error: GuardError) -> int:
    """Says why there is no answer; the exit code stops the push unless the repository's settings let it pass."""
    lines = [
        "guard: cannot tell whether this push touches a path that somebody has reserved.",
        f"  why:    {safe(error.what)}",
    ]
    if error.hint:
        lines.append(f"  repair: {safe(error.hint)}")
    passes = _lets_pass()
    if passes:
        lines.append(f"guard: NOT JUDGED, and let through: {passes}.")
    else:
        here = quoted(in_hook().git_dir)
        lines.append(f"  around: git -C {here} config guard.onError allow   (on the server; until it is unset)")
    to_stderr("\n".join(lines))
    return EXIT_DONE if passes else EXIT_UNKNOWN


def _lets_pass() -> str:
    """What lets a push pass that could not be judged, in words; "" when nothing does."""
    from guard.repo.git import config

    try:
        mode, on_error = judging(standpoint.environment(), of_server(config()))
    except GuardError:
        return ""
    if mode.value in ("warn", "off"):
        return f"the mode is {mode.value} ({mode.source})"
    return f"guard.onError is allow ({on_error.source})" if on_error.value == "allow" else ""


def of_server(entries: Sequence[Configured]) -> list[Configured]:
    """git's configuration without what the account that pushes has set for guard: over ssh and by a path, the global
    configuration is that of whoever pushes.
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
