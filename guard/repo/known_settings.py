"""Every setting that guard knows: its key in git's configuration, its variables, its default, and its values.

:mod:`guard.repo.settings` reads by this table, ``guard status`` reports wrong values by it, and the page ``guard help
settings`` shows it. The hook's refresh loads this module, so it imports nothing heavy.
"""

from __future__ import annotations

from guard.model import TTL_MAX_MS, TTL_MIN_MS, UsageError
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guard.repo.git import Configured

NAME_MAX = 255
"""The length of the longest name of a holder or a project, in bytes."""
MODES = ("block", "warn", "off")
POSTGRES_SCHEMES = ("postgresql://", "postgres://")
SCHEMES = (*POSTGRES_SCHEMES,)
"""A store's address begins with one of these, or is an absolute path. A new kind of store adds its schemes here."""

_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}


class Known(Record):
    """A setting.

    ``key`` is its name in git's configuration, "" when it has none there. ``variables`` are its environment variables;
    the first one that is set wins. ``default`` is the default value, or says in words how it is found. ``fault`` takes
    a value and returns what is wrong with it, "" when nothing is. ``sentence`` says what the setting does. ``several``
    tells that every value in git's configuration counts, not only the last one.
    """

    key: str
    variables: tuple[str, ...]
    default: str
    fault: Callable[[str], str]
    sentence: str
    several: bool = False


def name_fault(text: str) -> str:
    """What is wrong with the name of a holder or a project; "" when nothing is."""
    if len(text.encode("utf-8", "surrogateescape")) > NAME_MAX:
        return f"is longer than {NAME_MAX} bytes"
    if not text.strip():
        return "is empty"
    if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in text):
        return "has control characters"
    return ""


def store_fault(text: str) -> str:
    """What is wrong with a store's address; "" when nothing is. It may begin with ``~``, as in a shell."""
    if "\0" in text or "\n" in text:
        return "has a NUL or a newline in it"
    if text.startswith(("/", "~", *SCHEMES)):
        return ""
    if "://" in text:
        return "is an address of an unknown kind: use postgresql://…, or an absolute path"
    return "is not an absolute path"


def duration_fault(text: str) -> str:
    """What is wrong with a length of time such as 90m, 1h30m, 2d or 45s; "" when nothing is."""
    return "" if _milliseconds(text) is not None else "is not a duration: write it like 90m, 1h30m, 8h or 2d"


def ttl_fault(text: str) -> str:
    """What is wrong with the length of a lease; "" when nothing is."""
    length = _milliseconds(text)
    if length is None:
        return duration_fault(text)
    return "" if TTL_MIN_MS <= length <= TTL_MAX_MS else "is out of bounds: a lease lasts from 1m to 30d"


def _one_of(*words: str) -> Callable[[str], str]:
    choices = ", ".join(words[:-1]) + " or " + words[-1]
    return lambda text: "" if text.lower() in words else f"is unknown: use {choices}"


def _auto_reserve_fault(text: str) -> str:
    return "" if text.lower() == "off" else ttl_fault(text).replace("is not a duration: write it", "is neither off nor")


def _variable_fault(text: str) -> str:
    plain = text.replace("_", "a")
    good = plain.isascii() and plain.isalnum() and not text[:1].isdigit()
    return "" if good else "is not the name of an environment variable"


def _pattern_fault(text: str) -> str:
    from guard.patterns.grammar import stored

    try:
        stored(text.encode("utf-8", "surrogateescape"), cwd=b"", exists=lambda _: False)
    except UsageError as error:
        return f"is not a pattern: {error.what}"
    return ""


def _patterns_fault(text: str) -> str:
    return next(filter(None, (_pattern_fault(part) for part in text.split(":") if part)), "")


def _anything(_: str) -> str:
    return ""


HOLDER = Known(
    "guard.agent",
    ("GUARD_AGENT", "AGENT_NAME"),
    "the session of the coding agent's program, else user.email, else user@host",
    name_fault,
    "The holder: the name under which you reserve, and that others see.",
)
STORE = Known(
    "guard.db",
    ("GUARD_DB",),
    "the store that guard install noted in this repository, else one file in the account's data directory",
    store_fault,
    "Where reservations are kept: the absolute path of a file, or a postgresql:// address. A server that a repository"
    " alone names is asked only after guard store allow.",
)
PROJECT = Known(
    "guard.project",
    ("GUARD_PROJECT",),
    "from the remote, else the common git directory; guard install fixes it",
    name_fault,
    "The family of clones and worktrees that share reservations.",
)
MODE = Known(
    "guard.mode",
    ("GUARD_MODE",),
    "block",
    _one_of(*MODES),
    "What happens on a conflict: block refuses the change, warn lets it pass with a warning; off judges nothing.",
)
ON_ERROR = Known(
    "guard.onError",
    ("GUARD_ON_ERROR",),
    "block",
    _one_of("block", "allow"),
    "What happens when guard cannot tell: block refuses the change, allow lets it pass with a warning.",
)
TTL = Known("guard.ttl", ("GUARD_TTL",), "1h", ttl_fault, "How long a new reservation lasts, from 1m to 30d.")
RETENTION = Known("guard.retention", (), "30d", duration_fault, "How long ended reservations and the log are kept.")
PATIENCE = Known(
    "",
    ("GUARD_PATIENCE",),
    "10s in hooks, 30s in commands",
    duration_fault,
    "How long to wait for another program that has locked the store.",
)
AUTO_RESERVE = Known(
    "guard.autoReserve",
    (),
    "off",
    _auto_reserve_fault,
    "When a coding agent edits a free file, guard reserves that file for this long (15m is a good value), or does not"
    " (off).",
)
ONLY = Known(
    "guard.only",
    ("GUARD_ONLY",),
    "none",
    _patterns_fault,
    "The fence: this worktree's holder may commit only what these patterns cover. In the variable, colons separate"
    " the patterns.",
    several=True,
)
OFFLINE = Known(
    "guard.offline",
    (),
    "none",
    duration_fault,
    "While the server of a PostgreSQL store is out of reach, commits (never pushes) are judged for this long by what"
    " was reserved when the server last answered; each one gets a warning.",
)
PUSHER = Known(
    "guard.pusher",
    (),
    "the forge's variable, else REMOTE_USER, else the account",
    _variable_fault,
    "On a server: the environment variable that names who pushes.",
)
PRINCIPAL = Known(
    "guard.<pusher>.principal",
    (),
    "none",
    _anything,
    "On a server: an account and host (alice@laptop) from which this pusher reserves.",
    several=True,
)
SKIP = Known(
    "", ("GUARD_SKIP",), "0", _anything, "1 lets one commit or push pass, with a message and an entry in the log."
)
TRACE = Known(
    "", ("GUARD_TRACE",), "0", _anything, "1, or the path of a file: explains step by step how a verdict was reached."
)

TABLE = (
    *(HOLDER, STORE, PROJECT, MODE, ON_ERROR, TTL, RETENTION, PATIENCE),
    *(AUTO_RESERVE, ONLY, OFFLINE, PUSHER, PRINCIPAL, SKIP, TRACE),
)
"""Every setting, in the order of the help page."""


class Fault(Record):
    """A setting that is wrong or unknown.

    ``what`` is a sentence, ``repair`` a command ("" when there is none). ``serious`` is False for a key that guard does
    not know, because it may be another version's.
    """

    what: str
    repair: str
    serious: bool


def faults(environment: Mapping[bytes, bytes], entries: Sequence[Configured]) -> list[Fault]:
    """Every value that guard cannot use, and every key that it does not know, in the environment and git's settings.

    Values that another one overrides are checked, too, because they count when the other one is removed. Passwords in
    addresses are hidden.
    """
    found = [_entry_fault(entry) for entry in entries if entry.key.startswith(b"guard.")]
    found += exposed_passwords(entries)
    found += [_variable_value_fault(name, environment[name]) for name in sorted(environment)]
    return list(dict.fromkeys(fault for fault in found if fault is not None))


def exposed_passwords(entries: Sequence[Configured]) -> list[Fault]:
    """A fault for each password in git's configuration, whose files others may read. The passwords are left out."""
    from guard.repo.secrets import bare_of_password
    from guard.words import quoted

    found = []
    for entry in entries:
        address = (entry.value or b"").decode("utf-8", "surrogateescape")
        bare = bare_of_password(address)
        if entry.key == b"guard.db" and bare != address:
            scope = entry.scope.decode()
            found.append(
                Fault(
                    f"git config guard.db ({scope}) has a password in it, which belongs into ~/.pgpass",
                    f"git config --{scope} guard.db {quoted(bare.encode('utf-8', 'surrogateescape'))}",
                    serious=False,
                )
            )
    return found


def known_for(key: str) -> Known | None:
    """The setting with this key; None if guard knows no such setting.

    ``key`` is as git prints it: section and name in lower case, a subsection as it was written.
    """
    section, _, name = key.rpartition(".")
    for known in TABLE:
        if known.key.lower() == key or (known is PRINCIPAL and name == "principal" and "." in section):
            return known
    return None


def _entry_fault(entry: Configured) -> Fault | None:
    from guard.words import safe

    key, scope = safe(entry.key), entry.scope.decode()
    known = known_for(key)
    where = f"--{scope} " if scope in ("local", "global", "system", "worktree") else ""
    if known is None:
        near = _nearest(key, [each.key for each in TABLE if each.key])
        return Fault(
            f"guard does not know the setting {key} (git config, {scope}){near}",
            f"git config {where}--unset-all {_quoted(key)}",
            serious=False,
        )
    if entry.value is None:
        wrong, shown = "has no value", ""
    else:
        text = entry.value.decode("utf-8", "backslashreplace")
        wrong, shown = known.fault(text) if text else "", f" {_shown(text)}"
    if not wrong:
        return None
    spelled = known.key if known is not PRINCIPAL else key
    return Fault(
        f"git config {spelled}{shown} ({scope}) {wrong}", f"git config {where}--unset-all {_quoted(spelled)}", True
    )


def _variable_value_fault(name: bytes, value: bytes) -> Fault | None:
    variable = name.decode("utf-8", "backslashreplace")
    known = next((each for each in TABLE if variable in each.variables), None)
    if known is None:
        if not variable.startswith("GUARD_"):
            return None
        near = _nearest(variable, [each for known in TABLE for each in known.variables])
        return Fault(f"guard does not know the environment variable {_shown(variable)[1:-1]}{near}", "", False)
    text = value.decode("utf-8", "backslashreplace")
    wrong = known.fault(text) if text else ""
    if not wrong:
        return None
    return Fault(f"the environment variable {variable} {_shown(text)} {wrong}", f"unset {variable}", serious=True)


def _nearest(word: str, words: Sequence[str]) -> str:
    from difflib import get_close_matches

    lower = {each.lower(): each for each in words}
    near = get_close_matches(word.lower(), lower, n=1, cutoff=0.75)
    return f": did you mean {lower[near[0]]}?" if near else ""


def _shown(text: str) -> str:
    from guard.repo.secrets import without_password

    return ascii(without_password(text)[:80])


def _quoted(key: str) -> str:
    from guard.words import quoted

    return quoted(key.encode("utf-8", "surrogateescape"))


# Lengths of time


def duration(text: str, *, what: str = "the duration") -> int:
    """The milliseconds in a duration such as 90m, 1h30m, 2d or 45s; ``what`` names it in an error.

    Raises :class:`UsageError` for another text.
    """
    length = _milliseconds(text)
    if length is None:
        raise UsageError(f"{what} is not a duration: {text[:40]!r}", hint="write it like 90m, 1h30m, 8h or 2d")
    return length


def ttl(text: str, *, what: str = "the time to live") -> int:
    """The milliseconds in a lease's length; ``what`` names it in an error.

    Raises :class:`UsageError` for a text that is no duration, and for a lease shorter than 1 minute or longer than 30
    days.
    """
    length = duration(text, what=what)
    if not TTL_MIN_MS <= length <= TTL_MAX_MS:
        raise UsageError(f"{what} is out of bounds: {text!r}", hint="a lease lasts from 1m to 30d")
    return length


def _milliseconds(text: str) -> int | None:
    """The length of a duration in ms; None if the text is not a duration."""
    total, number = 0, ""
    for letter in text.strip().lower():
        if letter in "0123456789" and len(number) < 9:
            number += letter
        elif letter in _UNITS_MS and number:
            total += int(number) * _UNITS_MS[letter]
            number = ""
        else:
            return None
    return total if text.strip() and not number else None
