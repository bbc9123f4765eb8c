"""The table of settings: what is known, what is wrong, what is said, and that no password is ever shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guard.model import UsageError
from guard.repo import known_settings as known
from guard.repo.git import Configured
from guard.repo.place import Place
from guard.repo.secrets import bare_of_password, without_password
from guard.repo.settings import KEY_VARIABLES, read
from guard.union.published import key_of
from tests.support import rows
from tests.support.repositories import PACKAGE, Repository
from tests.support.stage import Stage

PLACE = Place(b"/r/.git", b"/r/.git", b"/r")


def entry(key: str, value: str | None, scope: str = "local") -> Configured:
    return Configured(scope.encode(), b".git/config", key.encode(), None if value is None else value.encode())


# key as git prints it, value, what status must say of it ("" for nothing)
VALUES = [
    *(("guard.mode", word, "") for word in ("block", "warn", "off", "OFF", "Warn")),
    *(("guard.mode", word, "use block, warn or off") for word in ("blok", "on", "true", "block ", "none")),
    *(("guard.onerror", word, "") for word in ("block", "allow", "Allow")),
    *(("guard.onerror", word, "use block or allow") for word in ("maybe", "warn", "allowed")),
    *(("guard.ttl", word, "") for word in ("1m", "60s", "90m", "8h", "1h30m", "30d", "4w")),
    *(("guard.ttl", word, "a lease lasts from 1m to 30d") for word in ("100d", "59s", "0m", "5w", "1s")),
    *(("guard.ttl", word, "is not a duration") for word in ("forever", "1", "h", "1.5h", "-1h", "1h 30m", "m5")),
    *(("guard.retention", word, "") for word in ("30d", "1h", "52w")),
    *(("guard.retention", word, "is not a duration") for word in ("a month", "30")),
    *(("guard.agent", word, "") for word in ("bob", "bob smith", "böb", "claude-7f3a")),
    ("guard.agent", "   ", "is empty"),
    ("guard.agent", "b" * 256, "longer than 255 bytes"),
    ("guard.agent", "ö" * 128, "longer than 255 bytes"),
    ("guard.agent", "a\x1b[2Jb", "control characters"),
    ("guard.project", "a\tb", "control characters"),
    *(("guard.db", word, "") for word in ("/srv/g.db", "~/g.db", "~", "postgresql://h/d", "postgres://u@h:5/d?x=y")),
    *(("guard.db", word, "is not an absolute path") for word in ("g.db", "./g.db", "postgresql:/h/d", "host=h")),
    *(("guard.db", word, "unknown kind") for word in ("mysql://h/d", "http://h", "sqlite:///x")),
    *(("guard.autoreserve", word, "") for word in ("off", "15m", "1h")),
    *(("guard.autoreserve", word, "is neither off nor like 90m") for word in ("on", "true", "15")),
    ("guard.autoreserve", "10s", "a lease lasts from 1m"),
    *(("guard.only", word, "") for word in ("src/auth", "docs/**", "/a:/b/*.c")),
    *(("guard.only", word, "is not a pattern") for word in ("!src", "a/../../b", "x:!y")),
    *(("guard.offline", word, "") for word in ("15m", "2h")),
    ("guard.offline", "yes", "is not a duration"),
    *(("guard.pusher", word, "") for word in ("GL_USERNAME", "user2")),
    *(("guard.pusher", word, "is not the name of an environment variable") for word in ("alice smith", "2x", "$USER")),
    ("guard.alice_1.principal", "alice@laptop", ""),
    ("guard.Alice.B.principal", "alice@laptop", ""),
    ("guard.mode", None, "has no value"),
    ("guard.ttl", "", ""),  # git's way of saying that a setting is not set
]


@pytest.mark.parametrize(("key", "value", "said"), VALUES)
def test_a_value_that_cannot_be_used_is_reported(key: str, value: str | None, said: str) -> None:
    found = known.faults({}, [entry(key, value)])
    if not said:
        assert found == []
    else:
        assert len(found) == 1
        assert said in found[0].what
        assert found[0].serious
        assert found[0].repair.startswith("git config --local --unset-all guard.")


UNKNOWN = [
    ("guard.tll", "did you mean guard.ttl?"),
    ("guard.mdoe", "did you mean guard.mode?"),
    ("guard.on-error", "did you mean guard.onError?"),
    ("guard.onerorr", "did you mean guard.onError?"),
    ("guard.auto-reserve", "did you mean guard.autoReserve?"),
    ("guard.databasefile", ""),
    ("guard.alice.role", ""),
]


@pytest.mark.parametrize(("key", "near"), UNKNOWN)
def test_a_key_that_guard_does_not_know_is_reported(key: str, near: str) -> None:
    (found,) = known.faults({}, [entry(key, "x", "global")])
    assert found.what == f"guard does not know the setting {key} (git config, global)" + (f": {near}" if near else "")
    assert found.repair == f"git config --global --unset-all {key}"
    assert not found.serious


VARIABLES = [
    ("GUARD_MODE", "blok", "use block, warn or off"),
    ("GUARD_ON_ERROR", "maybe", "use block or allow"),
    ("GUARD_TTL", "100d", "1m to 30d"),
    ("GUARD_PATIENCE", "long", "is not a duration"),
    ("GUARD_DB", "here.db", "is not an absolute path"),
    ("GUARD_PROJECT", "\x07", "control characters"),
    ("AGENT_NAME", "x" * 300, "longer than 255"),
    ("GUARD_ONLY", "!a", "is not a pattern"),
    ("GUARD_AGNET", "bob", "did you mean GUARD_AGENT?"),
    ("GUARD_ONERROR", "allow", "did you mean GUARD_ON_ERROR?"),
    ("GUARD_X\x1b", "1", "guard does not know the environment variable"),
    ("GUARD_SKIP", "1", ""),
    ("GUARD_TRACE", "/tmp/trace", ""),
    ("GUARDED", "1", ""),
    ("AGENT_MAIL_GUARD_MODE", "warn", ""),
]


@pytest.mark.parametrize(("name", "value", "said"), VARIABLES)
def test_a_variable_that_cannot_be_used_is_reported(name: str, value: str, said: str) -> None:
    found = known.faults({name.encode(): value.encode()}, [])
    assert [said in fault.what for fault in found] == [True] * bool(said)
    assert not any("\x1b" in fault.what for fault in found)


def test_status_reports_what_is_wrong_and_the_repairs_mend_it(repository: Repository) -> None:
    for key, value in (("guard.mode", "blok"), ("guard.onerror", "maybe"), ("guard.ttl", "100d"), ("guard.tll", "1h")):
        repository.git("config", key, value)
    done = repository.guard("status", "--check", expect=1)
    for said in ("'blok' (local) is unknown: use block", "'maybe'", "'100d'", "setting guard.tll"):
        assert said in done.text, done.text
    repairs = re.findall(r"repair: (git config .*)", done.text)
    assert len(repairs) == 4
    for repair in repairs:
        repository.git(*repair.split()[1:])
    assert "guard." not in repository.guard("status", "--check").text.replace("guard.project", "").replace(
        "guard.db", ""
    )


@pytest.mark.parametrize("mode", ["blok", "yes"])
def test_an_unknown_mode_blocks_and_the_hook_says_so(repository: Repository, mode: str) -> None:
    repository.guard("reserve", "a.txt", who="alice")
    repository.git("config", "guard.mode", mode)
    said = repository.commit("a.txt", who="bob", expect=1).text
    assert f"unknown mode '{mode}' (from git config guard.mode (local)), treated as block" in said
    repository.git("reset", "-q", "--hard")
    assert "unknown mode" not in repository.commit("src/b.py", who="bob").text  # where it does not matter


def test_an_unknown_word_for_errors_blocks_and_the_hook_says_so(repository: Repository) -> None:
    repository.git("config", "guard.onError", "maybe")
    said = repository.commit("a.txt", who="bob", expect=1).text if _break_store(repository) else ""
    assert "unknown guard.onError 'maybe'" in said
    assert "cannot tell" in said


def _break_store(repository: Repository) -> bool:
    store = repository.guard("status", "--json").json()["store"]
    Path(store).write_text("no database, but long enough to be taken for one " * 9)
    return True


# Passwords

ADDRESSES = [
    "postgresql://bob:hunter2@db/guard",
    "postgres://bob:hunter2@db:5432/guard?sslmode=require",
    "postgresql://:hunter2@/guard",
    "postgresql://bob:hun/ter2@db/guard",
    "postgresql://bob:hunter2@h1,h2:5/guard",
    "postgresql://bob:p@hunter2@db/guard",
    "postgresql:/bob:hunter2@db/guard",
    "postgresql://db/guard?user=bob&password=hunter2",
    "postgresql://db/guard?PASSWORD=hunter2&x=y",
    "postgresql://db/guard?sslpassword=hunter2",
    "host=db password=hunter2 user=bob",
    "host=db password='hunter2 and\\' hunter2' user=bob",
    "host=db password = hunter2",
    "https://bob:hunter2@example.com/x",
    "mysql://bob:hunter2@db/guard",
    "postgresql://db:5432/guard?user=bob@corp&password=hunter2",
    "postgresql://bob@db/guard?p%61ssword=hunter2",
    "postgresql://db/guard?user=bob&pass=hunter2",
    "postgresql://bob:hun/t?hunter2@db/guard",
    "postgresql://bob:p?hunter2@db/guard",
    "postgresql://bob:p#hunter2@db/guard",
    "postgresql://bob:p@hun/ter2@db/guard",
    "postgresql:bob:hunter2@db/guard",
    "bob:hunter2@db/guard",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_password_is_shown(address: str) -> None:
    assert "unter2" not in without_password(address)
    assert "unter2" not in "".join(
        fault.what + fault.repair for fault in known.faults({b"GUARD_DB": address.encode()}, [])
    )
    with_entry = known.faults({}, [entry("guard.db", address)])
    assert "unter2" not in "".join(fault.what + fault.repair for fault in with_entry)
    try:
        read({b"GUARD_DB": address.encode()}, [], PLACE, default_store="/s")
    except UsageError as error:
        assert "unter2" not in error.what + error.hint


SHOWN_BY_COMMANDS = [each for each in ADDRESSES if "password=hunter2 " not in each]
DIFFERENT_IN_KIND = {
    "postgresql://bob:hunter2@db/guard",
    "postgresql://bob:hun/t?hunter2@db/guard",
    "postgresql:/bob:hunter2@db/guard",
    "postgresql://db/guard?user=bob&password=hunter2",
    "postgresql://bob@db/guard?p%61ssword=hunter2",
    "mysql://bob:hunter2@db/guard",
}


@pytest.mark.parametrize("address", rows.some(SHOWN_BY_COMMANDS, DIFFERENT_IN_KIND))
def test_no_password_is_shown_by_commands(repository: Repository, address: str) -> None:
    for arguments in (("status",), ("status", "--json"), ("list",), ("reserve", "a.txt"), ("whoami",)):
        assert "unter2" not in repository.guard(*arguments, expect=None, env={"GUARD_DB": address}).text
    assert "unter2" not in repository.commit("a.txt", expect=None).text


PLAIN = [
    *("/srv/guard.db", "/srv/a:b@c.db", "~/x@y.db", "a b", ""),
    *("postgresql://bob@db/guard", "postgresql://[::1]:5432/guard", "postgresql://db:5432/guard?user=bob@corp"),
]


@pytest.mark.parametrize("text", PLAIN)
def test_an_address_without_a_password_is_shown_as_it_is(text: str) -> None:
    assert without_password(text) == text
    assert bare_of_password(text) == text


USABLE = [
    ("postgresql://bob:x@db/guard", "postgresql://bob@db/guard"),
    ("postgresql://bob:x@h1,h2/guard?a=b&password=x&c=d", "postgresql://bob@h1,h2/guard?a=b&c=d"),
    ("postgresql://db/guard?password=x", "postgresql://db/guard"),
    ("postgresql://db/guard?a=b", "postgresql://db/guard?a=b"),
    ("postgresql://db:5432/guard?user=bob@corp", "postgresql://db:5432/guard?user=bob@corp"),
    ("postgresql://db:5432/guard?user=bob@corp&password=x", "postgresql://db:5432/guard?user=bob@corp"),
    ("postgresql://bob:x@db/guard?application_name=a@b", "postgresql://bob@db/guard?application_name=a@b"),
    ("postgresql://bob@[::1]:5/gu@rd", "postgresql://bob@[::1]:5/gu@rd"),
]


@pytest.mark.parametrize(("address", "bare"), USABLE)
def test_an_address_can_be_noted_without_its_password(address: str, bare: str) -> None:
    assert bare_of_password(address) == bare


MISLEADING = [
    "postgresql://bob:x@elsewhere/guard?application_name=@db/guard",
    "postgresql://bob:x@elsewhere/guard?application_name=:@db/guard",
    "postgresql://bob:x@elsewhere,x@db/guard",
    "postgresql://bob@elsewhere:5,x@db/guard",
    "postgresql://bob:5432/x@db/guard",
    "postgresql://bob:5432/x?application_name=@db/guard",
    "postgresql://bob:/x@db/guard",
    "postgresql://bob@elsewhere/x@db/guard",
]


@pytest.mark.parametrize("address", MISLEADING)
def test_an_address_that_leads_elsewhere_is_never_taken_for_one_that_was_allowed(address: str) -> None:
    """libpq would connect to "elsewhere", or to a host that is called "bob"."""
    assert bare_of_password(address) != bare_of_password("postgresql://bob@db/guard")


# The same list in three places


def test_the_hook_compares_every_variable_that_decides_a_setting(stage: Stage) -> None:
    for number in range(2):
        stage.hook("free.txt")
        (script,) = stage.slot.glob("fresh.*")
        text = script.read_bytes()
        missing = [name for name in KEY_VARIABLES if not re.search(rb"\$\{%b\+" % name, text)]
        assert missing == [], number


def test_no_two_environments_share_a_line() -> None:
    environments = [
        {},
        {"HOME": ""},
        {"HOME": "/a"},
        {"GUARD_DB": "/a"},
        {"GUARD_AGENT": "/a"},
        {"GIT_CONFIG_COUNT": "1"},
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a"},
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_VALUE_0": "a"},
        {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "a"},
        {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_1": "a"},
    ]
    lines = [key_of({name.encode(): value.encode() for name, value in each.items()}) for each in environments]
    assert None not in lines
    assert len(set(lines)) == len(lines)
    for value in (b"a\tb", b"a\t", b"a\nb"):
        assert key_of({b"HOME": value}) is None
        assert key_of({b"GIT_CONFIG_COUNT": b"1", b"GIT_CONFIG_VALUE_0": value}) is None


def test_every_setting_that_decides_a_union_is_compared() -> None:
    deciding = (known.HOLDER, known.STORE, known.PROJECT, known.MODE)
    assert {name for each in deciding for name in each.variables} <= {name.decode() for name in KEY_VARIABLES}


def test_the_help_page_lists_every_setting_with_its_variables_and_default() -> None:
    page = (PACKAGE / "guard/help/settings.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| git config")]
    assert rows == [table_row(each) for each in known.TABLE]


def table_row(each: known.Known) -> str:
    """A setting as a row of the help page."""
    key = f"`{each.key}`" + (" (several)" if each.several else "") if each.key else "–"
    variables = ", ".join(f"`{name}`" for name in each.variables) or "–"
    sentence = each.sentence.replace("|", "\\|")
    return f"| {key} | {variables} | {each.default} | {sentence} |"
