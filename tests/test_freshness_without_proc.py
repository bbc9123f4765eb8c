"""Freshness as on a Mac: no boot id in /proc, but a sysctl that answers, fails or lies; and the machine restarts.

The hook runs in a mount namespace in which the boot id is gone and a stand-in is /usr/sbin/sysctl.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import namespace
from tests.support.databases import connected
from tests.support.event_cases import no_python
from tests.support.namespace import BOOT_ID
from tests.support.repositories import Done, run
from tests.support.stage import Stage

OTHER = "FFFFFFFF-4E5F-6071-8293-A4B5C6D7E8F9"


@dataclass
class Mac:
    """The stage, on a machine that knows its boot by sysctl alone."""

    stage: Stage
    place: Path
    sysctl: Path

    def says(self, text: str, status: int = 0) -> None:
        (self.place / "answer").write_text(f"{text}\n{status}\n")

    def hook(self, *names: str, **env: str) -> Done:
        """Runs the installed hook with changes of these files staged."""
        if names:
            self.stage.stage(*names)
        (self.place / "asked").write_text("")
        hook = str(self.stage.repository.path / ".git/hooks/pre-commit")
        command = namespace.without_boot_id(self.sysctl, [hook])
        return run(command, cwd=self.stage.repository.path, env={"GUARD_AGENT": "bob", **env})

    def settle(self) -> None:
        """Two hooks: after them bob's union is published, and fresh."""
        for _ in range(2):
            assert self.hook("free.txt").code == 0

    def asked(self) -> int:
        """How often the last hook asked for the boot."""
        return len((self.place / "asked").read_text().splitlines())


@pytest.fixture
def mac(stage: Stage, tmp_path: Path) -> Mac:
    try:
        namespace.check()
    except namespace.CannotReplace as error:
        pytest.skip(str(error))
    (tmp_path / "sysctl").mkdir()
    made = Mac(stage, tmp_path / "sysctl", namespace.make_sysctl(tmp_path / "sysctl"))
    made.settle()
    return made


def test_a_clear_commit_takes_one_process_more_and_no_python(mac: Mac) -> None:
    with no_python(mac.stage.repository):
        done = mac.hook("free.txt")
    assert (done.code, done.text) == (0, "")
    assert mac.asked() == 1


def test_a_quiet_commit_takes_one_process_that_path_does_not_find(mac: Mac) -> None:
    mac.stage.repository.guard("release", "--all", who="alice")
    mac.settle()
    with no_python(mac.stage.repository):
        mac.stage.stage("free.txt")
        hook = str(mac.stage.repository.path / ".git/hooks/pre-commit")
        wrapped = ["/bin/sh", "-c", f'PATH={mac.place}/nothing; exec "$0"', hook]
        command = namespace.without_boot_id(mac.sysctl, wrapped)
        done = run(command, cwd=mac.stage.repository.path, env={"GUARD_AGENT": "bob"})
    assert (done.code, done.text) == (0, "")


def test_what_is_reserved_is_refused(mac: Mac) -> None:
    assert mac.hook("held/x.txt").code == 1


def test_a_new_reservation_is_seen(mac: Mac) -> None:
    with connected(mac.stage.store) as connection:
        connection.execute("UPDATE reservation SET pattern = '/free.txt', prefix = CAST('free.txt' AS BLOB)")
    refused = mac.hook("free.txt")
    assert refused.code == 1, refused.text


def test_after_a_restart_nothing_is_believed_that_was_published_before(mac: Mac) -> None:
    """A power cut may bring new contents of the store under the old, sealed time."""
    sealed = mac.stage.store.stat()
    with connected(mac.stage.store) as connection:
        connection.execute("UPDATE reservation SET pattern = '/free.txt', prefix = CAST('free.txt' AS BLOB)")
    os.utime(mac.stage.store, ns=(sealed.st_atime_ns, sealed.st_mtime_ns))
    mac.says(OTHER)
    refused = mac.hook("free.txt")
    assert refused.code == 1, refused.text


ANSWERS = {
    "another boot": (OTHER, 0),
    "the right name, and failure": (BOOT_ID, 1),
    "nothing": ("", 0),
    "nothing, and failure": ("", 1),
    "a name too short": (BOOT_ID[:-1], 0),
    "a name too long": (BOOT_ID + "0", 0),
    "a space before the name": (f" {BOOT_ID}", 0),
    "the name in other case": (BOOT_ID.lower(), 0),
    "with the name of the setting": (f"kern.bootsessionuuid: {BOOT_ID}", 0),
    "nonsense": ("unknown", 0),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_sysctl_that_fails_or_lies(mac: Mac, answer: str) -> None:
    """No such answer makes a union fresh: Python decides, and where it cannot be started, nothing passes."""
    mac.says(*ANSWERS[answer])
    with no_python(mac.stage.repository):
        stopped = mac.hook("free.txt")
    assert stopped.code == 3, stopped.text
    assert mac.hook("held/x.txt").code == 1
    assert mac.hook("free.txt").code == 0


def test_where_sysctl_does_not_answer_nothing_is_ever_fresh(mac: Mac) -> None:
    mac.says("", 1)
    mac.settle()
    with no_python(mac.stage.repository):
        assert mac.hook("free.txt").code == 3
    mac.says("unknown")
    with no_python(mac.stage.repository):
        assert mac.hook("free.txt").code == 3


@pytest.mark.parametrize("way", ["to /proc", "from /proc"])
def test_what_one_way_proved_is_not_believed_by_the_other(mac: Mac, way: str) -> None:
    if way == "from /proc":
        for _ in range(2):
            mac.stage.hook("free.txt")
    with no_python(mac.stage.repository):
        done = mac.hook("free.txt") if way == "from /proc" else mac.stage.hook("free.txt")
    # A publication made with sysctl stays proven only where /usr/sbin/sysctl knows that boot; Linux's does not.
    assert done.code == 3, done.text


def test_a_reservation_of_ones_own_that_runs_out_is_noticed(mac: Mac) -> None:
    """The hook compares the time at which it runs out with that of a file which it writes: /proc tells no time here."""
    mac.stage.repository.guard("reserve", "src/b.py", who="bob")
    precious = mac.place / "precious"
    precious.write_text("precious\n")
    (mac.stage.slot / "now").symlink_to(precious)  # an archive of the repository may bring such a link
    mac.settle()
    with no_python(mac.stage.repository):
        assert mac.hook("free.txt").code == 0
    assert precious.read_text() == "precious\n"
    (due,) = mac.stage.slot.glob("*/due")
    os.utime(due, (1_600_000_000, 1_600_000_000))
    with no_python(mac.stage.repository):
        assert mac.hook("free.txt").code == 3
