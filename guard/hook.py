"""What the installed hook calls when sh and git cannot decide.

It either brings a stale union up to date (the refresh), or it reaches a verdict and prints it. The hook starts it as
``python -I -S``. The refresh loads sqlite3 and little else; only the verdict loads pathspec.
"""

from __future__ import annotations

import os
import time

from guard import system
from guard.events import Started, by_name
from guard.model import EXIT_DONE, EXIT_REFUSED, EXIT_UNKNOWN, GuardError, reservations_in, unexpected
from guard.record import Record
from guard.repo import standpoint
from guard.repo.place import Place, in_hook
from guard.repo.settings import Setting, Settings, patience_s, principal, skip_variable, softened_mode
from guard.stores import freshness
from guard.stores.choose import is_unused, open_configured
from guard.stores.interface import Actor, Store, Unreachable
from guard.stores.kinds import is_leased, kind_of
from guard.system import open_closed_files
from guard.union import contents, published
from guard.union.publish import publish
from guard.union.published import BY_PYTHON, Identity, Published, was_made_here
from guard.words import notices_in_words, print_error, safe, short_name, to_stderr, unjudged_text, unknown_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guard.model import Change, Reservation, Verdict
    from guard.refusal import Situation
    from guard.repo.git import Configured
    from guard.stores.freshness import Stamp
    from guard.stores.interface import Kind, Source
    from guard.union.published import Current

DAY_S = 86_400

PATIENCE_S = 10.0
"""How many seconds a hook waits for another program that has the store locked, unless GUARD_PATIENCE is set."""

END_OF_PUSH = b"guard: end of what is pushed\n"
"""hooks/guard writes this line after those that git gave it, so that a list that was cut short is noticed."""


class Line(Record):
    """The line in somebody else's hook that has called guard.

    ``wrong`` says what is wrong with its place, "" when nothing is; ``repair`` is the command that moves it. ``files``
    are the absolute paths of the files that were read to find out.
    """

    wrong: str
    repair: str
    files: tuple[bytes, ...]


def main(words: Sequence[str], *, look_at_line: Callable[[str], Line] | None = None) -> None:
    """Does what the installed hook asks for, and ends the process.

    ``publish EVENT`` prints "STATE NAME" for the hook. ``judge EVENT …`` judges, and prints "judged" at its end.
    ``known EVENT …`` is the same as ``judge``; the hook uses it when ``publish`` got no answer from the store's server.
    The process ends with 0, or with 10 more than the exit code: a Python that dies ends with 1, and that must not look
    like a refusal. ``look_at_line`` returns the line in somebody else's hook that has called guard for an event; it is
    None when git itself started the hook.
    Hooks of guard 0.1 use other words. They stay in place after an upgrade until ``guard install`` renews them.
    """
    open_closed_files()
    stage, event, *arguments = words
    if stage == "refresh":
        to_stderr("guard: this repository's hooks are of an older guard, and slow. To renew them: guard install --all")
        os.write(1, b"python - -\n")
        status = EXIT_DONE
    elif stage == "verdict":
        status = judge(event, arguments)
    elif stage == "publish":
        status = _refreshed(event, look_at_line)
    else:
        status = judge(event, arguments, marked=True, look_at_line=look_at_line, asked=stage == "known")
        if status == EXIT_DONE:
            os.write(1, b"judged\n")
    os._exit(status and status + 10)  # nothing is left to tidy up, and a normal end of Python takes 1 ms


def judge(
    event: str,
    arguments: Sequence[str],
    *,
    marked: bool = False,
    look_at_line: Callable[[str], Line] | None = None,
    asked: bool = False,
) -> int:
    """Reaches a verdict and prints it, or prints why there is none; returns the exit code.

    With ``marked``, standard input must end with :data:`END_OF_PUSH`. ``look_at_line`` is as for :func:`main`.
    With ``asked``, this hook has asked the store's server already and got no answer.
    """
    try:
        status = judge_or_raise(event, arguments, marked=marked, asked=asked)
        line = look_at_line(event) if look_at_line and status == EXIT_DONE else None
        if line and line.wrong:
            _check_unstaged(event, line)
        return status
    except GuardError as error:
        _trace_error()
        return cannot_tell(error, by_name(event).verb)
    except Exception as error:
        _trace_error()
        return cannot_tell(unexpected(error), by_name(event).verb)


def by_hand(event: str, arguments: Sequence[str], *, look_at_line: Callable[[str], Line] | None = None) -> int:
    """As :func:`judge`, for a command that was typed anywhere: sets what git sets for a hook (githooks(5))."""
    from guard.repo.place import discover

    environment = standpoint.environment()
    if environment.get(b"GIT_DIR"):
        return judge(event, arguments, look_at_line=look_at_line)
    try:
        place = discover()
    except GuardError as error:
        return print_error(error)
    with standpoint.asking_from({**environment, b"GIT_DIR": place.git_dir}, place.top or place.git_dir):
        return judge(event, arguments, look_at_line=look_at_line)


def _refreshed(event: str, look_at_line: Callable[[str], Line] | None) -> int:
    line = None if look_at_line is None else lambda: look_at_line(event)
    try:
        os.write(1, b" ".join(refresh(event, line)) + b"\n")
    except Unreachable as error:
        from guard import unreachable

        unreachable.note(error)
        os.write(1, b"unreachable -\n")
        return EXIT_DONE
    except GuardError as error:
        _trace_error()
        status = cannot_tell(error, by_name(event).verb)
    except Exception as error:
        _trace_error()
        status = cannot_tell(unexpected(error), by_name(event).verb)
    else:
        return EXIT_DONE
    if status == EXIT_DONE:
        os.write(1, b"off -\n")  # the settings let the change pass
    return status


class Standing(Record):
    """What a union is made for, the stamps of the settings that say so, and the address of the store."""

    identity: Identity
    stamps: list[Stamp]
    where: Setting


def refresh(event: str, look_at_line: Callable[[], Line] | None = None) -> Published:
    """Brings the published union up to date and returns what is published. Raises :class:`GuardError`.

    ``look_at_line`` is given when a line in somebody else's hook has called guard. When that line stands in a wrong
    place, nothing is published, and Python judges.
    """
    place = in_hook()
    environment = standpoint.environment()
    key = published.key_of(environment)
    slot = os.path.join(place.unions_dir, published.slot_of(environment))
    current = published.load(slot)
    stamps = None if current is None else published.settings_hold(slot, current, key)
    if look_at_line and current is not None and not current.identity.placed:
        stamps = None
    if current is not None and stamps is not None:
        if current.lease is not None and by_name(event).verb != "push" and published.is_fresh(slot, current, key):
            return current.published  # the lease still holds; sh has no clock on this system to find that out
        standing = _as_published(current, stamps, place)
    else:
        why = "there is no union that can be read" if current is None else "settings or their files have changed"
        _trace(lambda: f"{why} in {os.fsdecode(slot)}: the settings are read anew")
        read_anew = _read_anew(place, environment, look_at_line() if look_at_line else None)
        if read_anew is None:
            return Published(BY_PYTHON, b"-")
        standing = read_anew
    if standing.identity.off:
        return publish(slot, key=key, identity=standing.identity, source=None, settings=standing.stamps)
    store = open_configured(standing.where, environment, place, patience_s=_patience_s()).store
    if store.kind.leased:
        return ask_server(store, slot, key=key, standing=standing, known=still_proven(current, key, standing))
    return _read_store(store, slot, key=key, standing=standing, place=place)


def _as_published(current: Current, stamps: list[Stamp], place: Place) -> Standing:
    """What the published union was made for. Its settings have not changed since."""
    where = Setting(os.fsdecode(current.identity.store), "the union that is published here")
    if is_leased(where.value):
        where = read_settings(place)[0].store  # only the settings say the password, and who named the address
    return Standing(current.identity, stamps, where)


def _read_anew(place: Place, environment: Mapping[bytes, bytes], line: Line | None) -> Standing | None:
    """What the settings say now; None when Python has to judge, whatever is reserved.

    Python has to judge when a fence is set, and when there is a doubt that every hook has to print.
    """
    from guard.repo.diverted import diversions
    from guard.repo.tracking import as_glob, tracking

    settings, stamps, entries = read_settings(place, also=line.files if line else ())
    doubtful = diversions(settings, environment, entries, place) or (line and line.wrong)
    if settings.only or (doubtful and settings.mode.value != "off"):
        return None
    identity = Identity(
        holder=settings.holder.value.encode(),
        project=settings.project.value.encode(),
        store=os.fsencode(settings.store.value),
        fold=settings.fold,
        off=settings.mode.value == "off",
        tracking=b" ".join(map(as_glob, tracking(entries, place))),
        placed=line is not None and not line.wrong,
    )
    return Standing(identity, stamps, settings.store)


def still_proven(current: Current | None, key: bytes | None, standing: Standing) -> Current | None:
    """The published union, if it may be prolonged when the server has nothing new; None if it must be made anew."""
    if current is None or (current.identity, current.key) != (standing.identity, key) or not was_made_here(current):
        return None
    return current if list(current.files[current.store_files :]) == list(standing.stamps) else None


def _read_store(store: Store, slot: bytes, *, key: bytes | None, standing: Standing, place: Place) -> Published:
    """Publishes what a store in a file holds now. Before that, tells the holder what has ended."""
    project, holder = standing.identity.project.decode(), standing.identity.holder.decode()
    tell(store, project, holder)
    say_what_counts(store, project, place)
    if key is not None:
        register(store, slot, project)
    before = published.load(slot)
    source, wanted = contents.ask(store, slot, before, standing.identity)
    if source.mine_until is not None and source.mine_until <= store.now():
        store.active(project)  # records that a reservation of this holder has run out
        tell(store, project, holder)
        source, wanted = contents.ask(store, slot, before, standing.identity)
    _trace(lambda: f"{store.address}: {_counted(source)} of others than {holder!a} in {project!a}")
    return publish(slot, key=key, identity=standing.identity, source=source, settings=standing.stamps, contents=wanted)


def _counted(source: Source) -> str:
    """How much a store has told, for the trace."""
    changes = source.changes
    return f"{len(source.patterns)} patterns" if changes is None else f"{len(changes)} patterns looked at again"


def ask_server(
    store: Store,
    slot: bytes,
    *,
    key: bytes | None,
    standing: Standing,
    known: Current | None,
) -> Published:
    """Asks a server for the reservations and publishes them.

    ``known`` is the union that is published already, None if there is none that may be prolonged. When the server says
    that nothing has changed since, ``known`` only gets a new deadline. The clock is read before the server is asked.
    Before that, the place is registered with the store, so that writers know of it (:mod:`guard.union.lease`).
    """
    identity = standing.identity
    project, holder = identity.project.decode(), identity.holder.decode()
    state = known.store_state if known is not None else b""
    if key is not None and not state:
        store.publish_in(slot, project)
    asked_ns = system.boot_clock_ns()
    source = store.union_source(project, holder, known=state)
    run_out = source.mine_until is not None and source.mine_until <= store.now()
    if source.unchanged and not run_out and known is not None and asked_ns is not None:
        _trace(lambda: f"{store.address}: nothing has changed")
        from guard.union.leased import prolong

        return prolong(slot, known, asked_ns)
    if run_out:
        store.active(project)  # records that a reservation of this holder has run out
    tell(store, project, holder)
    if run_out or source.unchanged:
        asked_ns = system.boot_clock_ns()
        source = store.union_source(project, holder)
    _trace(lambda: f"{store.address}: {len(source.patterns)} patterns of others than {holder!a} in {project!a}")
    return publish(slot, key=key, identity=identity, source=source, settings=standing.stamps, asked_ns=asked_ns)


def judge_or_raise(event: str, arguments: Sequence[str], *, marked: bool = False, asked: bool = False) -> int:
    """Judges what the event changes, prints the verdict, and returns the exit code. Raises :class:`GuardError`.

    The arguments are as for :func:`judge`.
    """
    place = in_hook()
    from guard.repo.diverted import diversions

    settings, _, entries = read_settings(place)
    if settings.mode.value == "off":
        return EXIT_DONE
    for each in diversions(settings, standpoint.environment(), entries, place):
        to_stderr(f"guard: JUDGED BY OTHER RESERVATIONS: {each.sentence()}")
    changes = None
    if settings.only:
        changes = _changes(event, arguments, place, entries, marked=marked)
        if _leaves_fence(settings, changes, place, event=event):
            return EXIT_REFUSED
    if is_unused(settings.store, place):
        to_stderr("guard: NOT IN FORCE here: this clone is not set up. To set it up: guard install")
        return EXIT_DONE
    if changes is None and kind_of(settings.store.value).leased:
        changes = _changes(event, arguments, place, entries, marked=marked)
    try:
        if asked:
            from guard import unreachable

            unreachable.raise_noted(place)
        store = open_configured(settings.store, standpoint.environment(), place, patience_s=_patience_s()).store
        if changes is None:
            changes = _changes(event, arguments, place, entries, marked=marked)
        return _verdict_by(store, settings, changes, place=place, event=event, marked=marked)
    except Unreachable as error:
        from guard import unreachable

        return unreachable.conclude(error, settings, changes or [], place=place, event=event)


def _verdict_by(
    store: Store, settings: Settings, changes: Sequence[Change], *, place: Place, event: str, marked: bool
) -> int:
    """Judges by what the store holds now, prints the verdict, and returns the exit code."""
    from guard.judge import verdict

    project, holder = settings.project.value, _spelled(store, settings)
    answer = verdict(store, changes, project=project, me=holder, fold=settings.fold)
    _trace(lambda: f"{len(changes)} changed paths, judged for {holder!a} in {project!a} by {store.address}")
    _trace(lambda: f"{len(answer.conflicts)} conflicts with reservations that the index on prefixes finds")
    if answer.clear and marked:
        # The change touches the union, but no row that was found explains that. Rows are found by their column
        # ``prefix``, which another program may have written wrongly. So compare with all active rows, too.
        from guard.judge import unexplained

        rows = store.active(project).reservations
        answer = answer._replace(conflicts=tuple(unexplained(changes, rows, me=holder, fold=settings.fold)))
    tell(store, project, holder)
    _say_dropped(store, settings, place, event=event)
    if answer.clear:
        _renew(store)  # what matched has ended: with a new union, the next hook need not ask
        return EXIT_DONE
    return conclude(store, settings, answer, changes, place=place, event=event)


def _check_unstaged(event: str, line: Line) -> None:
    """Warns that another program may stage more after guard has judged.

    Raises :class:`GuardError` when a path that somebody else holds is changed in the work tree, because that change may
    still become a part of this commit.
    """
    place, environment = in_hook(), standpoint.environment()
    settings, _, _ = read_settings(place)
    if settings.mode.value == "off" or is_unused(settings.store, place):
        return
    store = open_configured(settings.store, environment, place, patience_s=_patience_s()).store
    project, holder = settings.project.value, _spelled(store, settings)
    if not any(row.exclusive and row.holder != holder for row in store.active(project).reservations):
        return  # nobody else holds anything

    from guard.judge import verdict
    from guard.model import Change
    from guard.repo.index import Index

    changed = [Change(path) for path in Index(place, environment).changed()]
    held = verdict(store, changed, project=project, me=holder, fold=settings.fold).conflicts
    if held:
        first = held[0]
        what = f"{safe(first.path)}, which {short_name(first.reservation.holder)} holds, is changed in this work tree"
        raise GuardError(f"{line.wrong}; and {what}", hint=line.repair)
    to_stderr(f"guard: NOT PROVEN: {line.wrong}.\n  repair: {line.repair}")


def _trace(text: Callable[[], str]) -> None:
    """Writes a step to where GUARD_TRACE says. ``text`` is called only when tracing is on."""
    environment = standpoint.environment()
    if environment.get(b"GUARD_TRACE", b"") not in (b"", b"0"):
        from guard import trace

        trace.note(environment, text())


def _trace_error() -> None:
    """Writes the traceback of the exception that is being handled."""

    def text() -> str:
        import traceback

        return traceback.format_exc().rstrip()

    _trace(text)


def _leaves_fence(settings: Settings, changes: Sequence[Change], place: Place, *, event: str) -> bool:
    """Is the change refused because it leaves the fence (guard.only)? Prints and records it when it leaves it."""
    from guard.repo import fence

    paths = fence.outside(changes, settings.only, fold=settings.fold)
    if not paths:
        return False
    verb, variable = by_name(event).verb, skip_variable(standpoint.environment())
    refused = not variable and settings.mode.value != "warn"
    if variable:
        to_stderr(f"guard: {variable} is set: this {verb} leaves the fence of this worktree.")
    else:
        situation = _situation(place, changes, paths, verb=verb) if refused else None
        to_stderr(fence.refusal_text(paths, settings.only, verb=verb, situation=situation))
    word = "refused" if refused else "bypassed" if variable else "warned"
    what = summary(f"{verb} outside of the fence", paths)

    def record() -> None:
        if not is_unused(settings.store, place):
            store = open_configured(settings.store, standpoint.environment(), place, patience_s=_patience_s()).store
            store.record(
                Actor(settings.project.value, settings.holder.value, principal(place.own_dir)), word, [], reason=what
            )

    try_to_record(record)
    return refused


def _say_dropped(store: Store, settings: Settings, place: Place, *, event: str) -> None:
    """Prints and records when a merge drops what somebody changed in a path that others hold."""
    verb = by_name(event).verb
    merging = verb == "merge" or os.path.exists(os.path.join(place.git_dir, b"MERGE_HEAD"))
    if verb == "push" or not merging:
        return
    from guard.judge import verdict
    from guard.model import Change
    from guard.repo import changes

    one_sided = [Change(path) for path in changes.taken_from_one_side(place, standpoint.environment())]
    project, holder = settings.project.value, _spelled(store, settings)
    held = verdict(store, one_sided, project=project, me=holder, fold=settings.fold).conflicts
    lost = (
        changes.dropped_changes(place, standpoint.environment(), {conflict.path for conflict in held}) if held else []
    )
    if not lost:
        return
    from guard.refusal import dropped_text

    paths = {one.path for one in lost}
    rows = reservations_in(each for each in held if each.path in paths)
    to_stderr(dropped_text(lost, rows))
    write_log(
        store,
        Actor(project, holder, principal(place.own_dir)),
        "dropped",
        rows,
        summary("merge", sorted(paths)),
        EXIT_DONE,
    )


def summary(verb: str, paths: Sequence[bytes]) -> str:
    """A line for the log: what was done, and the first three paths."""
    named = b", ".join(paths[:3]).decode("utf-8", "backslashreplace")
    return f"{verb}: {named}" + (", …" if len(paths) > 3 else "")


def conclude(
    store: Store, settings: Settings, answer: Verdict, changes: Sequence[Change], *, place: Place, event: str
) -> int:
    """Prints and records a verdict that is not clear; returns the exit code, which the mode and GUARD_SKIP decide."""
    from guard.refusal import Situation, holders, refusal_text

    verb = by_name(event).verb
    mode = softened_mode(settings.mode, standpoint.environment(), by=store.kind.mode_variable)
    now = standpoint.now_ms()
    rows = reservations_in(answer.conflicts)
    paths = sorted({conflict.path for conflict in answer.conflicts})
    what = summary(verb, paths)
    actor = Actor(settings.project.value, _spelled(store, settings), principal(place.own_dir))
    variable = skip_variable(standpoint.environment(), also=store.kind.skip_variables)
    if variable:
        recorded = "; that is recorded" if store.kind.writable else ""
        to_stderr(f"guard: {variable} is set: this {verb} goes past what is reserved by {holders(rows)}{recorded}.")
        return write_log(store, actor, "bypassed", rows, what, EXIT_DONE)
    if mode.value == "warn":
        warned = Situation(verb, "", "guard check")
        to_stderr(refusal_text(answer.conflicts, warned, me=actor.holder, now=now, refused=False))
        return write_log(store, actor, "warned", rows, what, EXIT_DONE)
    if mode.value != "block":
        to_stderr(unknown_text("mode", mode.value, source=mode.source, use="block, warn or off"))
    situation = _situation(place, changes, paths, verb=verb)
    to_stderr(refusal_text(answer.conflicts, situation, me=actor.holder, now=now, kind=store.kind))
    return write_log(store, actor, "refused", rows, what, EXIT_REFUSED)


def _situation(place: Place, changes: Sequence[Change], refused: Sequence[bytes], *, verb: str) -> Situation:
    from guard.repo.situation import of_commit, of_push

    return of_push() if verb == "push" else of_commit(place, standpoint.environment(), changes, refused, verb=verb)


def cannot_tell(error: GuardError, verb: str) -> int:
    """Prints why there is no verdict. The exit code stops the commit, unless a setting or GUARD_SKIP lets it pass."""
    passes = _lets_pass()
    to_stderr(unjudged_text(error, verb=verb, passes=passes))
    return EXIT_DONE if passes else EXIT_UNKNOWN


def _lets_pass() -> str:
    """What lets a commit pass that could not be judged, in words; "" when nothing does.

    Anything may be broken here, even git and the settings. When these cannot be read, only the environment counts.
    """
    from guard.repo.git import config
    from guard.repo.settings import judging, passing_text

    kind = _kind()
    variable = skip_variable(standpoint.environment(), also=kind.skip_variables if kind else ())
    if variable:
        return f"{variable} is set"
    try:
        entries = config()
    except GuardError:
        entries = []
    mode, on_error = judging(standpoint.environment(), entries)
    mode = softened_mode(mode, standpoint.environment(), by=kind.mode_variable if kind else b"")
    passes = passing_text(mode, on_error)
    if not passes and on_error.value != "block":
        to_stderr(unknown_text("guard.onError", on_error.value, source=on_error.source, use="block or allow"))
    return passes


def _kind() -> Kind | None:
    """The kind of the store that gave no answer; None when its address cannot be found out."""
    try:
        return kind_of(read_settings(in_hook())[0].store.value)
    except (GuardError, OSError):
        return None


def tell(store: Store, project: str, holder: str) -> None:
    """Tells the holder, once, which of their reservations others broke and which expired."""
    rows = store.notices(project, holder)
    for line in notices_in_words(rows, now=standpoint.now_ms()):
        to_stderr(line)
    if rows:
        try_to_record(lambda: store.told(rows))


def _changes(
    event: str, arguments: Sequence[str], place: Place, entries: Sequence[Configured], *, marked: bool
) -> list[Change]:
    row = by_name(event)
    stdin = lines_from_git(marked=marked) if row.reads_stdin else b""
    return row.changes(Started(place, standpoint.environment(), arguments, stdin, entries))


def lines_from_git(*, marked: bool) -> bytes:
    """What git wrote to the hook's standard input, b"" when somebody typed the command at a terminal.

    With ``marked``, raises :class:`GuardError` when the installed hook handed on only a part of it.
    """
    with open(0, "rb", closefd=False) as stdin:
        lines = b"" if stdin.isatty() else stdin.read()
    if marked and not lines.endswith(END_OF_PUSH):
        raise GuardError("the list of what is pushed arrived in part", hint="push again")
    return lines.removesuffix(END_OF_PUSH) if marked else lines


def read_settings(
    place: Place,
    *,
    also: Sequence[bytes] = (),
    select: Callable[[list[Configured]], list[Configured]] = lambda entries: entries,
) -> tuple[Settings, list[Stamp], list[Configured]]:
    """The settings, the stamps of the files they were read from and of ``also``, and git's configuration.

    ``select`` picks the entries of git's configuration that count. The stamps are taken before and after reading. A
    stamp is proven only when both are the same and the file was old enough before, because this process may be stopped
    at any time in between. Included files are known only after the first reading; then everything is read once more.
    """
    from guard.repo import settings
    from guard.repo.git import config

    now_ns = time.time_ns()
    watched = (*settings.watched_files(standpoint.environment(), [], place), *also)
    while True:
        before = [freshness.aged(path, now_ns=now_ns) for path in watched]
        entries = select(config())
        found = settings.read(standpoint.environment(), entries, place)
        if set(found.watched) <= set(watched):
            break
        watched = (*found.watched, *also)
    after = [freshness.aged(path, now_ns=now_ns) for path in watched]
    stamps = [
        stamp._replace(proven=stamp.proven and stamp == earlier) for earlier, stamp in zip(before, after, strict=True)
    ]
    return found, stamps, entries


def _spelled(store: Store, settings: Settings) -> str:
    """The holder's name as the store spells it."""
    return store.spelling(settings.holder.value) if store.kind.folds_names else settings.holder.value


def say_what_counts(store: Store, project: str, place: Place) -> None:
    """Prints, once a day in each repository, that nothing in the store concerns this checkout, if that is so."""
    why = store.why_nothing_counts(project)
    if not why:
        return
    mark = os.path.join(place.own_dir, b"nothing-counts")
    try:
        if os.stat(mark).st_mtime > time.time() - DAY_S:
            return
    except OSError:
        pass  # it was not printed before
    to_stderr(f"guard: NOTHING IS JUDGED: {safe(why)}.\n  next: guard status   (this is said once a day)")
    try:
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        os.utime(mark)
    except OSError:
        return  # then the next hook prints it again


def register(store: Store, slot: bytes, project: str) -> None:
    """Asks writers to keep this union fresh. Where the store cannot be written, only hooks refresh the union."""
    try:
        store.publish_in(slot, project)
    except GuardError:
        return


def write_log(store: Store, actor: Actor, event: str, rows: list[Reservation], what: str, status: int) -> int:
    """Logs what happened and returns ``status``. A log that cannot be written changes no verdict."""
    try_to_record(lambda: store.record(actor, event, rows, reason=what))
    _renew(store)
    return status


def _renew(store: Store) -> None:
    """Brings the unions of this store up to date."""
    from guard.union.renewal import renew  # a refresh goes without it

    renew(store)


def try_to_record(write: Callable[[], None]) -> None:
    """Writes to the log; prints when that fails."""
    try:
        write()
    except GuardError as error:
        to_stderr(f"guard: not recorded: {error.what}")


def _patience_s() -> float:
    return patience_s(standpoint.environment(), PATIENCE_S)
