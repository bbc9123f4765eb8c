"""Hostile text, and a repository that means ill: shown escaped, stored verbatim or refused, and nothing is executed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pathspec
import pytest

from tests.support.databases import connected
from tests.support.event_cases import no_python
from tests.support.repositories import PACKAGE, Done, age, run
from tests.support.stage import NOBODY, Stage, contents, readable_python, strangers_directory

RLO = "\u202e"
TRICKS = {
    "escape": "\x1b]0;title\x07\x1b[2J\x1b[1;1H",
    "C1": "\x9b2J\x85",
    "bidi": f"a{RLO}b\u2066c",
    "newline": "one\nguard: all clear\rtwo",
    "tab": "a\tb",
    "zero width": "a\u200bb\ufeffc\u2028d",
    "shell": "$(touch x)`touch y`;'\"\\",
    "option": "--all",
    "not UTF-8": "\udcff\udcfeb",
    "json": '"}],"x":[{"\\u0000',
    "3000 letters": "x" * 3000,
}


def assert_harmless(done: Done) -> None:
    """Nothing on the terminal but letters, line ends and the marks guard makes itself."""
    text = (done.out + done.err).decode("utf-8")  # what is shown is UTF-8, whatever was stored
    bad = [letter for letter in text if not letter.isprintable() and letter != "\n"]
    assert not bad, (bad, text)
    assert "Traceback" not in text
    assert "unexpected" not in text


def as_stored(stage: Stage, **columns: object) -> None:
    """Lets another program give alice's reservation these contents."""
    with connected(stage.store) as connection:
        for name, value in columns.items():
            connection.execute(f"UPDATE reservation SET {name} = ? WHERE id = 1", (value,))


def column(text: str) -> object:
    data = os.fsencode(text)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


@pytest.mark.parametrize("trick", TRICKS)
def test_text_in_a_reservation_is_shown_escaped(stage: Stage, trick: str) -> None:
    text = TRICKS[trick]
    as_stored(stage, holder=column(text), reason=column(text), typed=column(text), principal=column(text))
    refused = stage.hook("held/x.txt")
    assert refused.code == 1, refused.text
    assert_harmless(refused)
    assert re.search(r"\n[^\n]*guard: all clear", refused.text) is None or "\\n" in refused.text
    for command in (["list"], ["log"], ["reserve", "held"], ["status"]):
        done = stage.repository.guard(*command, who="bob", expect=None)
        assert done.code in (0, 1), done.text
        assert_harmless(done)
        if command[0] in ("list", "log"):
            answer = stage.repository.guard(*command, "--json", who="bob", expect=None)
            assert answer.out.isascii()
            assert answer.out.count(b"\n") == 1
            json.loads(answer.out)
    assert_harmless(stage.repository.guard("break", "1", "--reason", "why", who="bob"))
    listed = stage.repository.guard("list", "--ended", "--json", who="bob").json()["reservations"][0]
    if trick != "not UTF-8":
        assert listed["reason"] == text, "verbatim for programs"


@pytest.mark.parametrize("trick", TRICKS)
def test_text_from_the_command_line_is_kept_verbatim_or_refused(stage: Stage, trick: str) -> None:
    text = TRICKS[trick]
    done = stage.repository.guard("reserve", "src/b.py", f"--reason={text}", who="carol", expect=None)
    assert_harmless(done)
    rows = stage.repository.guard("list", "--json", who="bob").json()["reservations"]
    reasons = [row["reason"] for row in rows if row["holder"] == "carol"]
    assert reasons == ([text] if done.code == 0 else [])
    assert done.code == (2 if trick in ("3000 letters", "not UTF-8") else 0)
    as_pattern = stage.repository.guard("reserve", "--", text, who="dave", expect=None)
    assert_harmless(as_pattern)
    assert as_pattern.code in (0, 2), as_pattern.text
    if as_pattern.code == 0:
        row = stage.repository.guard("list", "--mine", "--json", who="dave").json()["reservations"][0]
        assert row.get("pattern") or row["pattern_b64"]
        assert_harmless(stage.repository.guard("list", who="bob"))


@pytest.mark.parametrize("trick", [trick for trick in TRICKS if trick != "3000 letters"])
def test_a_hostile_name(stage: Stage, trick: str) -> None:
    """Such a name cannot reserve, blocks nobody, and gets no rights: what is held is refused to it."""
    text = TRICKS[trick]
    listed = stage.repository.guard("list", who=text, expect=None)
    assert listed.code in (0, 2), listed.text
    assert_harmless(listed)
    for _ in range(2):
        refused = stage.hook("held/x.txt", who=text)
        assert refused.code == 1, refused.text
        assert_harmless(refused)
    passed = stage.hook("free.txt", who=text)
    assert (passed.code, passed.err) == (0, b"")


def test_a_megabyte_of_everything(stage: Stage) -> None:
    much = "\x1b" + "m" * 1_000_000
    as_stored(stage, holder=much, reason=much, typed=much, principal=much)
    refused = stage.hook("held/x.txt")
    assert refused.code == 1
    assert_harmless(refused)
    assert_harmless(stage.repository.guard("list", who="bob"))
    stage.repository.guard("list", "--json", who="bob").json()
    as_stored(stage, holder="alice", pattern="/" + much)
    assert stage.hook("held/x.txt").code in (0, 1)
    assert_harmless(stage.repository.guard("list", who="bob"))


PATHS = [
    b"held/$(touch x)", b"held/-n", b"held/:(top)x", b"held/a\nb", b"held/\x1b[2J", b"held/a\xe2\x80\xaeb",
    b"held/\xff\xfe", b"held/ space ", b"held/'\"`", b"held/*", b"held/[a]", b"held/\\", b"held/x" + b"y" * 240,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=ascii)
def test_hostile_file_names(stage: Stage, path: bytes) -> None:
    before = contents(stage.repository.path)
    stage.stage()
    stage.repository.write(path, "hostile\n")
    stage.repository.git("add", "-A")
    refused = stage.hook()
    assert refused.code == 1, refused.text
    assert "alice holds /held" in refused.text
    assert_harmless(refused)
    answer = stage.repository.guard("check", "--json", who="bob", expect=1).json()
    (conflict,) = answer["conflicts"]
    assert ("path" in conflict) != ("path_b64" in conflict)
    made = {name for name in contents(stage.repository.path) if ".git/" not in name} - set(before)
    assert {os.fsencode(name) for name in made} == {b"repository/" + path}, "no other file came to be"


@pytest.mark.parametrize("option", ["--changed", "--staged"])
def test_a_changed_file_with_a_hostile_name_is_reserved_and_its_neighbours_are_not(stage: Stage, option: str) -> None:
    """The command that release suggests reserves the same again, whatever sh it is pasted into."""
    names = [path.replace(b"held/", b"odd/") for path in PATHS] + [b"odd\t/x", b"odd/\x7f", b"odd/\xed\xa0\x80"]
    for path in names:
        stage.repository.write(path, "alice changes this\n")
    stage.repository.git("add", "-A")
    stage.repository.guard("reserve", option, who="alice")
    stage.repository.git("commit", "-q", "-m", "hers", who="alice")
    for path in names:
        stage.repository.write(path, "bob changes this\n")
        stage.repository.git("add", "-A")
        assert stage.hook().code == 1, path
        stage.repository.git("reset", "-q", "--hard")
    assert stage.hook("odd/free.txt").code == 0
    for path in names:
        stage.repository.write(path, "alice changes this again\n")
    said = stage.repository.guard("release", "--all", who="alice").err.decode()
    (line,) = (line for line in said.splitlines() if "next: guard reserve" in line)
    words = shlex.split(line.split("   (")[0].split("guard reserve ")[1])
    again = stage.repository.guard("reserve", *words, who="alice")
    assert "matches no file" not in again.text
    stage.repository.git("add", "-A")
    refused = stage.hook()
    assert refused.code == 1
    assert_harmless(refused)
    assert stage.hook("odd/free.txt").code == 0


@pytest.mark.parametrize("name", ["-n", ":(top)x", "$(touch x)", "!x", "#x", "a b", "[x]", "x*"])
def test_names_at_the_top_reserved_as_typed(stage: Stage, name: str) -> None:
    stage.stage()
    stage.repository.write(name, "mine\n")
    stage.repository.guard("reserve", "--", name, who="alice")
    stage.repository.git("add", "-A", "--", f":(literal){name}")
    refused = stage.hook()
    assert refused.code == 1, refused.text
    assert stage.hook("free.txt").code == 0


def test_hostile_branches_and_refs(stage: Stage) -> None:
    branch = f"x/$(touch${{IFS}}x)/{RLO}/-n"
    stage.repository.git("checkout", "-q", "-b", branch)
    stage.stage("held/x.txt")
    stage.repository.git("commit", "-q", "--no-verify", "-m", "past")
    remote = stage.base / "remote.git"
    shutil.rmtree(remote, ignore_errors=True)
    stage.repository.git("init", "-q", "--bare", str(remote))
    pushed = stage.repository.git("push", "-q", str(remote), branch, who="bob", expect=1)
    assert "alice holds /held" in pushed.text
    assert RLO not in pushed.err.decode().split("error:")[0]
    stage.repository.git("checkout", "-q", "main")


NAMES = ["../../../escape", "/tmp/escape", "..", ".", "a/b", "-rf", "x" * 250, "current", "lock"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_chooses_no_path(stage: Stage, name: str) -> None:
    places = {str(path) for path in stage.base.parent.rglob("*")}
    for variable in ({"who": name}, {"who": "bob", "USER": name}):
        assert stage.hook("free.txt", **variable).code == 0
        assert stage.hook("held/x.txt", **variable).code == 1
    new = {str(path) for path in stage.base.parent.rglob("*")} - places
    unions = str(stage.slot.parent)
    inside = [path for path in new if path.startswith((unions, str(stage.repository.path / ".git"), str(stage.store)))]
    assert sorted(new) == sorted(inside)
    slots = os.listdir(unions)
    assert all(re.fullmatch(r"[A-Za-z0-9@._-]+", slot) and not slot.startswith(".") for slot in slots)


# A repository that means ill

HOSTILE_CONFIG = """
[core]
    fsmonitor = "{trap}"
    pager = "{trap}"
    editor = "{trap}"
    sshCommand = "{trap}"
    askPass = "{trap}"
    gitProxy = "{trap}"
    alternateRefsCommand = "{trap}"
    attributesFile = /nowhere
    hooksPath = {hooks}
[alias]
    rev-parse = "!{trap}"
    config = "!{trap}"
    diff-index = "!{trap}"
    diff-tree = "!{trap}"
    log = "!{trap}"
    check-ignore = "!{trap}"
[diff]
    external = "{trap}"
[diff "x"]
    command = "{trap}"
    textconv = "{trap}"
[filter "x"]
    clean = "{trap}"
    smudge = "{trap}"
    process = "{trap}"
    required = true
[log]
    showSignature = true
[gpg]
    program = {program}
[credential]
    helper = "!{trap}"
[interactive]
    diffFilter = "{trap}"
[uploadpack]
    packObjectsHook = "{program}"
[include]
    path = /nowhere
[trailer "x"]
    command = "{trap}"
"""


def test_a_hostile_configuration_makes_guard_execute_nothing(stage: Stage) -> None:
    trapped = stage.base / "trapped"
    trapped.unlink(missing_ok=True)
    program = stage.base / "program"
    program.write_text(f"#!/bin/sh\ntouch {trapped}\n")
    program.chmod(0o755)
    hooks = stage.base / "hooks"
    shutil.rmtree(hooks, ignore_errors=True)
    hooks.mkdir()
    for event in ("pre-commit", "pre-push", "post-index-change", "reference-transaction", "post-checkout"):
        shutil.copy(program, hooks / event)
    stage.stage("held/x.txt")
    stage.repository.git("commit", "-q", "--no-verify", "-m", "x")
    stage.stage("held/x.txt", "free.txt")
    head = stage.repository.head()
    config = stage.repository.path / ".git/config"
    text = HOSTILE_CONFIG.format(trap=f"touch {trapped}", program=program, hooks=hooks)
    config.write_text(config.read_text() + text)
    (stage.repository.path / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    (stage.repository.path / ".git/info").mkdir(exist_ok=True)
    (stage.repository.path / ".git/info/attributes").write_text("* filter=x diff=x\n")
    for command in (
        ["list"], ["whoami"], ["status"], ["log"], ["check"], ["check", "held"],
        ["check", "--from", "HEAD~1", "--to", "HEAD"],
        ["reserve", "free.txt"], ["renew", "--all"], ["release", "--all"], ["hook", "pre-commit"],
    ):  # fmt: skip
        done = stage.repository.guard(*command, who="bob", expect=None)
        assert done.code in (0, 1), done.text
        assert not trapped.exists(), command
    for _ in range(2):
        assert stage.hook().code == 1
        assert not trapped.exists()
    lines = f"refs/heads/main {head} refs/heads/main {'0' * 40}\n".encode()
    hook = str(stage.repository.path / ".git/hooks/pre-push")
    pushed = run([hook, "origin", "/nowhere"], cwd=stage.repository.path, env={"GUARD_AGENT": "bob"}, stdin=lines)
    assert pushed.code == 1, pushed.text
    assert not trapped.exists()
    program.unlink()


class Elsewhere(NamedTuple):
    """A place the repository names for the store, and what must become of it."""

    name: str
    contents: bytes | None


PLACES = [
    Elsewhere(".bashrc", b"export PRECIOUS=1\n"),
    Elsewhere(".bash_profile", None),
    Elsewhere("nowhere/at/all/guard.db", None),
    Elsewhere(".ssh/authorized_keys", b""),
]


@pytest.mark.parametrize("where", PLACES, ids=[place.name for place in PLACES])
@pytest.mark.parametrize("scope", ["--local", "--worktree", "include"])
def test_a_repository_cannot_have_a_hook_write_where_it_says(stage: Stage, where: Elsewhere, scope: str) -> None:
    target = stage.home / where.name
    if where.contents is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(where.contents)
    if scope == "include":
        (stage.repository.path / "config").write_text(f"[guard]\n\tdb = {target}\n")
        stage.repository.git("config", "include.path", "../config")
    else:
        stage.repository.git("config", "extensions.worktreeConfig", "true")
        stage.repository.git("config", scope, "guard.db", str(target))
    before = contents(stage.home)
    for _ in range(2):
        done = stage.hook("free.txt")
        assert done.code == 3, done.text
        assert str(target) in done.text
    assert contents(stage.home) == before, "a hook wrote where the repository told it to"
    if where.contents is not None:
        done = stage.repository.guard("reserve", "src", who="bob", expect=3)
        assert target.read_bytes() == where.contents, "nor does a command write over a file that is no store"


def test_a_linked_cache_is_not_followed(stage: Stage) -> None:
    """A repository unpacked from somewhere brings its .git/guard along, as links to places of its choice."""
    target = stage.home / "precious"
    target.mkdir()
    (target / "file").write_text("precious\n")
    for link in (stage.slot, stage.slot.parent):
        stage.restore()
        target.mkdir(exist_ok=True)
        (target / "file").write_text("precious\n")
        shutil.rmtree(link)
        link.symlink_to(target)
        before = contents(target)
        assert stage.hook("held/x.txt").code == 1
        stage.repository.guard("reserve", "src/auth", who="alice")
        assert stage.hook("free.txt").code == 0
        assert contents(target) == before


BROUGHT = {
    "a publication": "0123456789abcdef",
    "what a killed publisher left": "current.0123456789abcdef",
    "a question to a server": "asked.0123456789abcdef",
    "a file that was to be renamed": "new.current",
    "what hooks of another boot ran": "fresh.01234567-89ab-cdef-0123-456789abcdef.elsewhere",
    "the repository in which git matches": "repository",
    "the time of a hook without /proc": "now",
    "the lock": "lock",
}
"""Names in the directory of a union, to which guard writes or which it removes."""


@pytest.mark.parametrize("kind", ["link", "dangling link", "directory"])
@pytest.mark.parametrize("name", BROUGHT.values(), ids=BROUGHT)
def test_what_an_archive_brought_into_a_union_leads_nowhere(stage: Stage, name: str, kind: str) -> None:
    """Old links and directories, as an archive brings them, by each name that guard itself uses in a slot."""
    precious = stage.home / "precious"
    (precious / "below").mkdir(parents=True)
    for file in (precious / "file", precious / "below/file"):
        file.write_text("precious\n")
    there = stage.slot / name
    stage.hook("free.txt")
    if there.is_dir():
        shutil.rmtree(there)
    there.unlink(missing_ok=True)
    if kind == "directory":
        (there / "below").mkdir(parents=True)
        (there / "below/link").symlink_to(precious)
    else:
        there.symlink_to(precious if kind == "link" else stage.home / "nowhere")
    os.utime(there, (1_600_000_000, 1_600_000_000), follow_symlinks=False)
    before = contents(stage.home / "precious")
    stage.repository.guard("reserve", "src/auth", who="alice")
    assert stage.hook("held/x.txt").code == 1
    stage.repository.git("reset", "-q")
    assert stage.hook("free.txt").code == 0
    assert contents(precious) == before
    assert not (stage.home / "nowhere").exists()
    if name not in ("lock", "now", "repository") and kind != "dangling link":
        assert not os.path.lexists(there), "what guard would not keep is swept"


def test_a_repository_for_matching_that_a_power_cut_emptied_is_made_anew(stage: Stage) -> None:
    assert stage.hook("free.txt").code == 0
    for name in ("HEAD", "config"):
        (stage.slot / "repository" / name).write_text("")
    stage.repository.guard("reserve", "src/auth", who="alice")
    for _ in range(2):
        assert stage.hook("free.txt").code == 0
    with no_python(stage.repository):
        assert stage.hook("free.txt").code == 0


# Permissions


def modes(path: Path) -> dict[str, int]:
    found = {each: each.stat().st_mode & 0o777 for each in [path, *path.rglob("*")] if not each.is_symlink()}
    return {str(each.relative_to(path)): mode for each, mode in found.items()}


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o002], ids=oct)
def test_what_guard_makes_is_private(stage: Stage, umask: int) -> None:
    shutil.rmtree(stage.store.parent)
    shutil.rmtree(stage.slot.parent)
    before = os.umask(umask)
    try:
        stage.repository.guard("install")
        stage.repository.guard("reserve", "held", who="alice")
        assert stage.hook("free.txt").code == 0
    finally:
        os.umask(before)
    assert all(mode & 0o077 == 0 for mode in modes(stage.store.parent).values()), modes(stage.store.parent)
    assert all(mode & 0o077 == 0 for mode in modes(stage.slot).values()), modes(stage.slot)


class Team(NamedTuple):
    """Two accounts that share a group, a store and a repository."""

    place: Path
    python: str

    def run(self, account: int, command: list[str], where: str) -> Done:
        site = Path(pathspec.__file__).parent.parent
        done = subprocess.run(
            command, cwd=self.place / where, user=account, group=GROUP, extra_groups=[], umask=0o002, check=False,
            capture_output=True, timeout=60,
            env={
                "PATH": os.environ["PATH"], "HOME": str(self.place / f"home{account}"), "LC_ALL": "C.UTF-8",
                "GIT_CONFIG_NOSYSTEM": "1", "PYTHONPATH": f"{PACKAGE}:{site}", "GUARD_AGENT": f"user{account}",
                "GUARD_DB": str(self.place / "store/guard.db"),
            },
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def guard(self, account: int, *arguments: str, where: str = "repository") -> Done:
        return self.run(account, [self.python, "-m", "guard", *arguments], where)

    def commit(self, account: int, name: str, where: str = "repository") -> Done:
        (self.place / where / name).write_text(f"{time.time_ns()}\n")
        self.run(account, ["git", "add", name], where)
        return self.run(account, ["git", "commit", "-q", "-m", "x", "--", name], where)


ONE, TWO, GROUP = NOBODY - 11, NOBODY - 12, NOBODY - 13


@pytest.fixture
def team(stage: Stage) -> Iterator[Team]:
    python = readable_python(ONE)
    if python is None:
        pytest.skip("takes root, and a Python and a copy of guard that other accounts can read")
    for place in strangers_directory():
        made = Team(place, python)
        for account in (ONE, TWO):
            home = place / f"home{account}"
            home.mkdir()
            (home / ".gitconfig").write_text((stage.home / ".gitconfig").read_text() + "[safe]\n\tdirectory = *\n")
            age(home / ".gitconfig")
            for path in (home, home / ".gitconfig"):
                os.chown(path, account, GROUP)
        for name in ("store", "repository"):
            (place / name).mkdir()
            os.chown(place / name, ONE, GROUP)
            (place / name).chmod(0o2770)
        for command in (
            ["git", "init", "-q", "--template=", "--shared=group"], ["mkdir", "held"],
            ["sh", "-c", "echo x >held/x; echo f >free"], ["git", "add", "-A"], ["git", "commit", "-q", "-m", "first"],
        ):  # fmt: skip
            done = made.run(ONE, command, "repository")
            assert done.code == 0, done.text
        made.run(ONE, ["chmod", "-R", "g+rwX", "."], "repository")
        yield made


def test_a_team_shares_a_store_through_its_group(team: Team) -> None:
    """One directory with the group's setgid bit, one chmod of the store: both reserve, and both are judged."""
    installed = team.guard(ONE, "install")
    assert installed.code == 0, installed.text
    store = team.place / "store/guard.db"
    assert store.stat().st_mode & 0o777 == 0o600
    denied = team.guard(TWO, "list")
    assert denied.code == 3
    assert str(store) in denied.text
    store.chmod(0o660)  # shared on purpose
    for account, other in ((ONE, TWO), (TWO, ONE)):
        reserved = team.guard(account, "reserve", "held")
        assert reserved.code == 0, reserved.text
        for _ in range(2):
            refused = team.commit(other, "held/x")
            assert refused.code == 1, refused.text
            assert f"user{account} holds /held" in refused.text
            team.run(other, ["git", "reset", "-q", "--hard"], "repository")
            passed = team.commit(other, "free")
            assert (passed.code, passed.text) == (0, "")
        assert team.guard(account, "release", "--all").code == 0
        passed = team.commit(other, "held/x")
        assert (passed.code, passed.text) == (0, "")
    assert store.stat().st_mode & 0o777 == 0o660
    unions = team.place / "repository/.git/guard/unions"
    assert all(mode & 0o077 == 0 for slot in unions.iterdir() for mode in modes(slot).values())


def test_the_log_says_which_account_it_was(team: Team) -> None:
    assert team.guard(ONE, "install").code == 0
    (team.place / "store/guard.db").chmod(0o660)
    assert team.guard(ONE, "reserve", "held").code == 0
    command = ["env", f"GUARD_AGENT=user{ONE}", team.python, "-m", "guard", "release", "--all"]
    assert team.run(TWO, command, "repository").code == 0
    log = json.loads(team.guard(ONE, "log", "--json").out)["log"]
    assert [entry["event"] for entry in log] == ["reserved", "released"]
    assert log[0]["holder"] == log[1]["holder"], "a holder's name is a claim"
    assert log[0]["principal"].split("@")[0] != log[1]["principal"].split("@")[0], "the account is not"
