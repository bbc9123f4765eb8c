"""Which value has each setting, and where does it come from: option, environment, git's configuration, or default?

The settings decide who the holder is, which store and project are used, and what happens on a conflict.
:data:`KEY_VARIABLES` and :attr:`Settings.watched` name everything that they were read from. A published union compares
these to find out whether its settings still hold.
"""

from __future__ import annotations

import os

from guard import system
from guard.model import UsageError
from guard.record import Record
from guard.repo.defaults import read_host, read_note, store_path
from guard.repo.known_settings import (
    HOLDER,
    MODE,
    MODES,
    NAME_MAX,
    OFFLINE,
    ON_ERROR,
    PATIENCE,
    PROJECT,
    RETENTION,
    SCHEMES,
    STORE,
    TTL,
    duration,
    name_fault,
    store_fault,
    ttl,
)
from guard.repo.variables import KEY_VARIABLES, SESSION_VARIABLES
from guard.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guard.repo.git import Configured
    from guard.repo.known_settings import Known
    from guard.repo.place import Place

__all__ = [
    "DEFAULT",
    "KEY_VARIABLES",
    "MODES",
    "NAME_MAX",
    "NOTED",
    "SESSION_VARIABLES",
    "Setting",
    "Settings",
    "duration",
    "judging",
    "passing_text",
    "patience_s",
    "principal",
    "read",
    "skip_variable",
    "softened_mode",
    "ttl",
]

DEFAULT = "the default"
NOTED = "guard install, which noted it in this repository"
BY_ENVIRONMENT = "the environment variable "
TYPED = "the command line"
"""In messages: where a setting comes from. The name of a variable follows :data:`BY_ENVIRONMENT`."""

TRACKED_NAME = b".guardconfig"
"""The file at the top of a work tree with settings for everybody who clones it: :mod:`guard.repo.tracked`."""
TRACKED = b"tracked"
"""The scope of that file's entries, as "local" and "global" are scopes of git's own files."""

_YES = (b"1", b"true", b"t", b"yes", b"y")
_ADVISORY = (b"warn", b"advisory", b"adv")


class Setting(Record):
    """A value and, in words, its source. ``scope`` is git's word for the file ("local", …), "" for another source.

    ``secret`` is a store's address with its password, "" when it has none; ``value`` never has the password.
    """

    value: str
    source: str
    scope: str = ""
    secret: str = ""

    @property
    def is_own(self) -> bool:
        """Did this account set or type the value? False when it comes from something in the repository."""
        return (
            self.source == TYPED
            or self.scope in ("global", "system", "command")
            or self.source.startswith(BY_ENVIRONMENT)
        )


class Settings(Record):
    """All settings. Some values are checked only by the commands that use them.

    ``store`` is an absolute path, or the address of a server without its password. ``fold`` tells whether names that
    differ only in case are the same name in this repository (core.ignoreCase). ``watched`` are the absolute paths of
    all files that settings are read from, whether they exist or not. ``only`` are the patterns of the fence, () without
    a fence. ``offline`` is how long commits may be judged by what was known while a store's server is out of reach; ""
    means that they may not.
    """

    holder: Setting
    store: Setting
    project: Setting
    mode: Setting
    on_error: Setting
    ttl: Setting
    retention: Setting
    fold: bool
    watched: tuple[bytes, ...]
    only: tuple[Setting, ...] = ()
    offline: Setting = Setting("", DEFAULT)

    def checked_holder(self) -> str:
        """The holder's name. Raises :class:`UsageError` when it cannot be a name."""
        return _name(self.holder, what="the holder's name", hint="git config guard.agent NAME")

    def checked_project(self) -> str:
        """The project's name. Raises :class:`UsageError` when it cannot be a name."""
        return _name(self.project, what="the project's name", hint="git config guard.project NAME")

    def blocks_on_error(self) -> bool:
        """Is a change stopped that could not be judged? It is, unless guard.onError is "allow"."""
        return self.on_error.value != "allow"

    def ttl_ms(self) -> int:
        """The length of a new lease, in ms. Raises :class:`UsageError` for a value that is no such length."""
        return ttl(self.ttl.value, what=f"the time to live from {self.ttl.source}")

    def retention_ms(self) -> int:
        """How long ended rows are kept, in ms. Raises :class:`UsageError` for a value that is no duration."""
        return duration(self.retention.value, what=f"guard.retention from {self.retention.source}")


def read(
    environment: Mapping[bytes, bytes],
    entries: Sequence[Configured],
    place: Place,
    *,
    default_store: str | None = None,
    resolve: Callable[[str], str] | None = None,
) -> Settings:
    """All settings for one place, from the environment, git's configuration (``entries``) and ``.guardconfig``.

    ``default_store`` is used when nothing else names a store. None stands for the store that ``guard install`` noted in
    this repository, else for the account's own one. ``resolve`` returns the host name for an alias of ssh's in a
    remote's address; without it, aliases are not resolved and no program is started.

    Raises :class:`UsageError` when the store's address cannot be one. Other values are checked when they are used.
    """
    entries = [*_shared_entries(place), *entries]
    config = {entry.key: entry for entry in entries}  # later entries win, as in git

    def first(known: Known, default: Setting) -> Setting:
        return _first(environment, config, known, default)

    fold = config.get(b"core.ignorecase")
    mode, on_error = judging(environment, entries)
    return Settings(
        holder=first(HOLDER, _fallback_holder(environment, config, place.own_dir)),
        store=_store(_named_store(environment, config, place, default_store), environment),
        project=_named_project(environment, config, entries, place, resolve),
        mode=mode,
        on_error=on_error,
        ttl=first(TTL, Setting(TTL.default, DEFAULT)),
        retention=first(RETENTION, Setting(RETENTION.default, DEFAULT)),
        fold=fold is not None and is_true(fold.value),
        watched=watched_files(environment, entries, place),
        only=_fence(environment, entries),
        offline=first(OFFLINE, Setting("", DEFAULT)),
    )


def tracked_file(place: Place) -> bytes | None:
    """The path of :data:`TRACKED_NAME`, whether the file exists or not; None in a repository without a work tree."""
    return None if place.top is None else os.path.join(place.top, TRACKED_NAME)


def _shared_entries(place: Place) -> tuple[Configured, ...]:
    """The entries of :data:`TRACKED_NAME` that count; () in most repositories, which have no such file."""
    path = tracked_file(place)
    if path is None or not os.path.lexists(path):
        return ()
    from guard.repo import tracked

    return tracked.read(place).entries


def _fence(environment: Mapping[bytes, bytes], entries: Sequence[Configured]) -> tuple[Setting, ...]:
    """The patterns in GUARD_ONLY, separated by colons; when it is not set, every value of guard.only."""
    named = environment.get(b"GUARD_ONLY")
    if named:
        return tuple(Setting(_text(part), "the environment variable GUARD_ONLY") for part in named.split(b":") if part)
    return tuple(
        Setting(_text(entry.value), f"git config guard.only ({entry.scope.decode()})", entry.scope.decode())
        for entry in entries
        if entry.key == b"guard.only" and entry.value
    )


def judging(environment: Mapping[bytes, bytes], entries: Sequence[Configured]) -> tuple[Setting, Setting]:
    """The settings guard.mode and guard.onError. They can be read when the other settings cannot."""
    config = {entry.key: entry for entry in entries}
    mode = _first(environment, config, MODE, Setting(MODE.default, DEFAULT))
    on_error = _first(environment, config, ON_ERROR, Setting(ON_ERROR.default, DEFAULT))
    return _lower(mode), _lower(on_error)


def passing_text(mode: Setting, on_error: Setting) -> str:
    """Which of these two settings lets a change pass that could not be judged, in words; "" if neither does."""
    if mode.value in ("warn", "off"):
        return f"the mode is {mode.value} ({mode.source})"
    return f"guard.onError is allow ({on_error.source})" if on_error.value == "allow" else ""


def patience_s(environment: Mapping[bytes, bytes], default_s: float) -> float:
    """How many seconds to wait for another program that has the store locked: GUARD_PATIENCE, else ``default_s``.

    A value that is no duration is ignored, because it must not stop a commit; ``guard status`` reports it.
    """
    try:
        return duration(os.fsdecode(environment[PATIENCE.variables[0].encode()])) / 1000
    except (KeyError, UsageError):
        return default_s


def _named_store(
    environment: Mapping[bytes, bytes], config: Mapping[bytes, Configured], place: Place, default: str | None
) -> Setting:
    named = _first(environment, config, STORE, Setting(default or "", DEFAULT))
    if named.value:
        return named
    noted = read_note(place.own_dir)
    return Setting(noted.address, NOTED) if noted else Setting(store_path(environment), DEFAULT)


def _first(
    environment: Mapping[bytes, bytes],
    config: Mapping[bytes, Configured],
    known: Known,
    default: Setting,
) -> Setting:
    for variable in known.variables:
        value = environment.get(variable.encode())
        if value:
            return Setting(_text(value), f"{BY_ENVIRONMENT}{variable}")
    entry = config.get(known.key.lower().encode())  # as git prints it
    if entry is not None and entry.value:
        if entry.scope == TRACKED:
            return Setting(_text(entry.value), f"the file {TRACKED_NAME.decode()}", TRACKED.decode())
        scope = entry.scope.decode()
        return Setting(_text(entry.value), f"git config {known.key} ({scope})", scope)
    return default


def skip_variable(environment: Mapping[bytes, bytes], *, also: Sequence[bytes] = ()) -> str:
    """The name of the variable that asks guard to let one change pass; "" if none does.

    ``also`` are the variables of the store's kind that ask for the same.
    """
    if environment.get(b"GUARD_SKIP", b"") not in (b"", b"0"):
        return "GUARD_SKIP"
    return next((name.decode() for name in also if environment.get(name, b"").strip().lower() in _YES), "")


def softened_mode(mode: Setting, environment: Mapping[bytes, bytes], *, by: bytes) -> Setting:
    """The mode after a variable of the store's kind was read, which may turn block into warn if GUARD_MODE is not set.

    ``by`` is the variable's name, b"" when the kind has none.
    """
    asked = environment.get(by, b"").strip().lower() in _ADVISORY
    if asked and mode.value == "block" and not environment.get(b"GUARD_MODE"):
        return Setting("warn", f"the environment variable {by.decode()}")
    return mode


def _fallback_holder(environment: Mapping[bytes, bytes], config: Mapping[bytes, Configured], own_dir: bytes) -> Setting:
    sessions = [variable for variable in SESSION_VARIABLES if environment.get(variable)]
    if sessions:
        variable = sessions[0]
        if len(sessions) > 1 and sessions != [b"CODEX_SESSION_ID", b"CODEX_THREAD_ID"]:
            from guard.repo.harness import innermost

            variable = innermost(sessions, environment)
            if variable == b"CODEX_THREAD_ID" and b"CODEX_SESSION_ID" in sessions:
                variable = b"CODEX_SESSION_ID"
        program = variable.partition(b"_")[0].decode().lower()
        return Setting(f"{program}-{_text(environment[variable])}", f"the session id in {variable.decode()}")
    email = config.get(b"user.email")
    if email is not None and email.value:
        return Setting(_text(email.value), f"git config user.email ({email.scope.decode()})")
    return Setting(principal(own_dir), "the account and host")


def principal(own_dir: bytes = b"") -> str:
    """The account and the host of this process, as "user@host". It is stored beside the holder, which is only a name.

    ``own_dir`` is the repository's guard directory, in which ``guard install`` noted the host name, because on some
    systems that name changes with the network.
    """
    return f"{system.account()}@{read_host(own_dir) or system.host()}"


def _named_project(
    environment: Mapping[bytes, bytes],
    config: Mapping[bytes, Configured],
    entries: Sequence[Configured],
    place: Place,
    resolve: Callable[[str], str] | None,
) -> Setting:
    named = _first(environment, config, PROJECT, Setting("", DEFAULT))
    if named.value:
        return named
    from guard.repo.project import as_is, project_of_place

    found = project_of_place(entries, place, resolve=resolve or as_is)
    return Setting(found.name, found.source)


def watched_files(environment: Mapping[bytes, bytes], entries: Sequence[Configured], place: Place) -> tuple[bytes, ...]:
    """The absolute paths of all files that settings are read from, whether they exist or not.

    These are git's files (git-config(1), FILES), the files that they include, and the tracked one.
    """
    home = environment.get(b"HOME", b"")
    xdg = environment.get(b"XDG_CONFIG_HOME") or (home + b"/.config" if home else b"")
    files = [os.path.join(place.common_dir, b"config")]
    if any(entry.key == b"extensions.worktreeconfig" for entry in entries):  # else git does not look at it
        files.append(os.path.join(place.git_dir, b"config.worktree"))
    if environment.get(b"GIT_CONFIG_GLOBAL"):
        files.append(environment[b"GIT_CONFIG_GLOBAL"])
    else:
        files += [home + b"/.gitconfig"] if home else []
        files += [xdg + b"/git/config"] if xdg else []
    if environment.get(b"GIT_CONFIG_NOSYSTEM") != b"1":
        files.append(environment.get(b"GIT_CONFIG_SYSTEM") or b"/etc/gitconfig")
    files += filter(None, [tracked_file(place)])
    start = place.top or place.git_dir  # where git stands when it prints a relative origin
    for entry in entries:
        origin = os.path.join(start, entry.origin) if entry.origin else b""
        files += [os.path.normpath(origin)] if origin else []
        if entry.key.startswith((b"include.", b"includeif.")) and entry.key.endswith(b".path") and entry.value:
            files.append(os.path.join(os.path.dirname(origin) or start, os.path.expanduser(entry.value)))
        if entry.key.startswith(b"includeif.onbranch:"):
            files.append(os.path.join(place.git_dir, b"HEAD"))
    return tuple(dict.fromkeys(os.path.join(start, file) for file in files))


def _store(setting: Setting, environment: Mapping[bytes, bytes]) -> Setting:
    """The setting with a checked address: an absolute path with ``~`` expanded, or one of :data:`SCHEMES`'."""
    text = setting.value
    wrong = store_fault(text)
    if not wrong and not text.startswith(SCHEMES):
        text = _expanded(text, environment)
        wrong = "" if os.path.isabs(text) else "names a home directory that is not known"
    if wrong:
        from guard.repo.secrets import without_password

        shown = without_password(setting.value)[:200]
        plain = shown == setting.value and ":" not in shown and "=" not in shown
        better = os.path.abspath(shown) if plain else "/home/me/guard.db"
        raise UsageError(
            f"the store {shown!a} from {setting.source} {wrong}",
            hint=f"git config guard.db {quoted(os.fsencode(better))}   (or another absolute path)",
        )
    if text.startswith(SCHEMES):
        from guard.repo.secrets import bare_of_password

        bare = bare_of_password(text)
        return setting._replace(value=bare, secret=text if bare != text else "")
    return setting._replace(value=text)


def typed_store(address: str) -> Setting:
    """The address of a PostgreSQL store that was typed after a command. Raises :class:`UsageError` for other words."""
    from guard.repo.secrets import bare_of_password, without_password

    if not address.startswith(SCHEMES) or store_fault(address):
        raise UsageError(
            f"{without_password(address)[:200]!a} is not the address of a PostgreSQL store",
            hint="write it like postgresql://guard@db.example.com/guard",
        )
    bare = bare_of_password(address)
    return Setting(bare, TYPED, secret=address if bare != address else "")


def _expanded(path: str, environment: Mapping[bytes, bytes]) -> str:
    """A path in which ``~`` is replaced by the environment's HOME, and ``~name`` by that account's home directory."""
    home = environment.get(b"HOME")
    if home and (path == "~" or path.startswith("~/")):
        return os.fsdecode(home) + path[1:]
    return os.path.expanduser(path)


def _text(value: bytes) -> str:
    """A value as text, in which bytes that are not UTF-8 are escaped, so that it can be stored and shown."""
    return value.decode("utf-8", "backslashreplace")


def _lower(setting: Setting) -> Setting:
    return setting._replace(value=setting.value.lower())


def is_true(value: bytes | None) -> bool:
    """Does git read a value as true? None stands for a key without ``=`` (git-config(1), Values: boolean)."""
    return value is None or value.lower() in (b"true", b"yes", b"on", b"1")


def _name(setting: Setting, *, what: str, hint: str) -> str:
    wrong = name_fault(setting.value)
    if wrong:
        shown = f": {setting.value[:40]!a}" if setting.value.strip() else ""
        raise UsageError(f"{what} from {setting.source} {wrong}{shown}", hint=hint)
    return setting.value
