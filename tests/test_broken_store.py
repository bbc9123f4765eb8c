"""Whatever is broken, nothing that is reserved passes, nothing is destroyed, and one message says what to do.

Two tables. In the first guard cannot answer: exit 3, the commit is stopped, and the settings that may let it pass do.
In the second it can, and must, though something is broken.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pathspec
import pytest

from guard.stores import freshness
from tests.support.databases import connected
from tests.support.repositories import PACKAGE, Done, Repository, run
from tests.support.stage import NOBODY, Stage, contents, readable_python, strangers_directory
from tests.support.strace import why_not

LETS_PASS = (
    {"GUARD_MODE": "warn"},
    {"GUARD_ON_ERROR": "allow"},
    {"GUARD_SKIP": "1"},
)


class Broken(NamedTuple):
    """One way to break something; ``says`` are words of the message, ``{store}`` among them."""

    name: str
    break_it: Callable[[Stage], object]
    says: tuple[str, ...]
    env: dict[str, str] = {}  # noqa: RUF012


# Ways to break the store


def overwrite(stage: Stage, at: int, data: bytes) -> None:
    with open(stage.store, "r+b") as file:
        file.seek(at)
        file.write(data)


def truncate(stage: Stage, size: int) -> None:
    os.truncate(stage.store, size)


def replace(stage: Stage, make: Callable[[str], object]) -> None:
    stage.store.unlink()
    make(str(stage.store))


def table_page(stage: Stage) -> int:
    """Where in the file the reservations' table begins."""
    with connected(stage.store) as connection:
        root, size = connection.execute(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name = 'reservation'"
        ).fetchone()
    return (int(root) - 1) * int(size)


def garbage_in_the_table(stage: Stage) -> None:
    overwrite(stage, table_page(stage), b"\xa5" * 4096)


def anothers_database(stage: Stage, application: int = 0) -> None:
    def make(path: str) -> None:
        with connected(path) as connection:
            connection.execute(f"PRAGMA application_id = {application}")
            connection.execute("CREATE TABLE bookmarks (url TEXT)")
            connection.execute("INSERT INTO bookmarks VALUES ('https://example.com')")

    replace(stage, make)


def newer(stage: Stage) -> None:
    with connected(stage.store) as connection:
        connection.execute("PRAGMA user_version = 99")


def locked(stage: Stage) -> sqlite3.Connection:
    os.utime(stage.store)  # else the union, still fresh, would answer without the store
    return stage.lock()


def link_to_itself(stage: Stage) -> None:
    replace(stage, lambda path: os.symlink(path, path))


def configure_a_relative_store(stage: Stage) -> None:
    stage.repository.git("config", "guard.db", "guard.db")


STORES = [
    Broken("header overwritten", lambda stage: overwrite(stage, 0, b"\xa5" * 512), ("{store}", "not a SQLite")),
    Broken("a page overwritten", garbage_in_the_table, ("{store}", "damaged", "integrity_check")),
    Broken("truncated to nothing", lambda stage: truncate(stage, 0), ("{store}", "empty")),
    Broken("truncated to 50 bytes", lambda stage: truncate(stage, 50), ("{store}",)),
    Broken("truncated to its first page", lambda stage: truncate(stage, 4096), ("{store}", "damaged")),
    Broken("truncated by one page", lambda stage: truncate(stage, stage.store.stat().st_size - 4096), ("{store}",)),
    Broken("a text file", lambda stage: stage.store.write_text("not a database\n" * 99), ("{store}", "not a SQLite")),
    Broken("a directory", lambda stage: replace(stage, os.mkdir), ("{store}", "is a directory")),
    Broken("a FIFO", lambda stage: replace(stage, os.mkfifo), ("{store}", "not a regular file")),
    Broken("a link to nothing", lambda stage: replace(stage, lambda p: os.symlink(p + "2", p)), ("{store}", "link")),
    Broken("a link to itself", link_to_itself, ("{store}",)),
    Broken("another program's database", anothers_database, ("{store}", "not a guard store")),
    Broken("another program's, marked", lambda stage: anothers_database(stage, 77), ("{store}", "not a guard store")),
    Broken("made by a newer guard", newer, ("{store}", "newer guard", "upgrade")),
    Broken("locked", locked, ("{store}", "locked", "fuser"), {"GUARD_PATIENCE": "1s"}),
    Broken("at a relative path", configure_a_relative_store, ("guard.db", "not an absolute path")),
]


@pytest.mark.parametrize("filling", [b"\0", b"\xa5", b"\x0d\x00\x00\x00"], ids=["zeros", "garbage", "half a page"])
def test_no_page_of_the_store_can_be_lost_unseen(stage: Stage, filling: bytes) -> None:
    """Whichever page goes, what is held is refused, or guard says that it cannot tell."""
    whole = stage.store.read_bytes()
    stage.stage("held/x.txt")
    codes = []
    for at in range(0, len(whole), 4096):
        size = 4096 if len(filling) == 1 else 2048
        stage.store.write_bytes(whole[:at] + (filling * 4096)[:size] + whole[at + size :])
        done = stage.hook()
        codes.append(done.code)
        assert done.code in (1, 3), (at // 4096 + 1, done.text)
        assert "Traceback" not in done.text
        assert "unexpected" not in done.text, done.text
    assert len(codes) > 10
    assert 3 in codes


# Ways to break what guard stands on


def without_git(stage: Stage) -> None:
    bare = stage.base / "bin"
    shutil.rmtree(bare, ignore_errors=True)
    bare.mkdir()


def halfway_git(stage: Stage) -> None:
    """A git that says something and dies, whatever it is asked."""
    without_git(stage)
    stub = stage.base / "bin/git"
    stub.write_text("#!/bin/sh\nprintf 'free.txt\\0half-'\nkill -9 $$\n")
    stub.chmod(0o755)


def list_dies_halfway(stage: Stage) -> None:
    """A git that dies while it lists what has changed; the one that matches is well, and gets half a list."""
    without_git(stage)
    stub = stage.base / "bin/git"
    stub.write_text(
        "#!/bin/sh\n"
        "case \"$*\" in *diff-index*) printf './free.txt\\0./ha'; kill -9 $$ ;; esac\n"
        f'exec {shutil.which("git")} "$@"\n'
    )
    stub.chmod(0o755)


def name_python(stage: Stage, *lines: str) -> None:
    (stage.repository.path / ".git/guard/python").write_text("".join(f"{line}\n" for line in lines))
    os.utime(stage.store)  # a fresh union needs no Python


def torn_package(stage: Stage) -> None:
    """The package with one module missing, as after an upgrade that died."""
    package = stage.base / "torn"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(PACKAGE / "guard", package / "guard", ignore=shutil.ignore_patterns("__pycache__", "publish.py"))
    name_python(stage, sys.executable, str(package), "")


def crashing_python(stage: Stage) -> None:
    stub = stage.base / "python"
    stub.write_text("#!/bin/sh\nkill -SEGV $$\n")
    stub.chmod(0o755)
    name_python(stage, str(stub), str(PACKAGE), "")


GROUND = [
    Broken("git gone", without_git, ("git cannot be started", "PATH"), {"PATH": "{base}/bin"}),
    Broken("git dies half-way", halfway_git, ("git failed", "-9"), {"PATH": "{base}/bin"}),
    Broken("git dies half-way through a list", list_dies_halfway, ("git failed", "diff-index"), {"PATH": "{base}/bin"}),
    Broken("interpreter gone", lambda stage: name_python(stage, "/gone/python", "/gone", ""), ("/gone/python",)),
    Broken("package gone", lambda stage: name_python(stage, sys.executable, "/gone", ""), ("/gone", "guard install")),
    Broken("package torn", torn_package, ("union",)),
    Broken("interpreter crashes", crashing_python, ("{base}/python", "ended with status 139")),
    Broken("note of the interpreter empty", name_python, ("guard/python", "missing or torn")),
]


@pytest.fixture
def broken(stage: Stage, request: pytest.FixtureRequest) -> Iterator[tuple[Stage, Broken, dict[str, str]]]:
    way: Broken = request.param
    env = {name: value.format(base=stage.base) for name, value in way.env.items()}
    stage.stage("held/x.txt")
    left = way.break_it(stage)
    yield stage, way, env
    if isinstance(left, sqlite3.Connection):
        left.close()


def ways(rows: list[Broken]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("broken", rows, ids=[row.name for row in rows], indirect=True)


def assert_one_message(done: Done, stage: Stage, way: Broken) -> None:
    said = done.err.decode()
    assert said.count("cannot tell whether") == 1, said
    assert said.count("  why:    ") == 1, said
    assert said.count("  repair: ") == 1, said
    for words in way.says:
        assert words.format(store=stage.store, base=stage.base) in said, said
    assert "Traceback" not in said
    assert done.out == b""


@ways(STORES + GROUND)
def test_no_answer_stops_the_commit_and_says_why(broken: tuple[Stage, Broken, dict[str, str]]) -> None:
    stage, way, env = broken
    before = contents(stage.store.parent) if way.name != "locked" else {}
    done = stage.hook(**env)
    assert done.code == 3, done.text
    assert_one_message(done, stage, way)
    assert "GUARD_SKIP=1" in done.text
    for variables in LETS_PASS:
        passed = stage.hook(**env, **variables)
        assert passed.code == 0, (variables, passed.text)
        assert "NOT JUDGED" in passed.text
        assert_one_message(passed, stage, way)
    if not env.get("PATH"):
        for key, value in (("guard.mode", "warn"), ("guard.onError", "allow")):
            stage.repository.git("config", key, value)
            passed = stage.hook(**env)
            assert passed.code == 0, (key, passed.text)
            assert "NOT JUDGED" in passed.text
            stage.repository.git("config", "--unset", key)
    off = stage.hook(**env, GUARD_MODE="off")
    assert off.code == 0, off.text
    assert "held" not in off.text
    if before:
        assert contents(stage.store.parent) == before, "something was destroyed"


@ways(STORES)
def test_commands_exit_3_and_name_the_store(broken: tuple[Stage, Broken, dict[str, str]]) -> None:
    stage, way, env = broken
    if way.name == "at a relative path":
        pytest.skip("a command says that as wrong usage, with exit code 2")
    before = contents(stage.store.parent) if way.name != "locked" else {}
    for command in (["list"], ["check", "held/x.txt"], ["reserve", "src"], ["release", "--all"]):
        if way.name == "locked" and command != ["reserve", "src"]:
            continue  # each waits for its patience
        done = stage.repository.guard(*command, who="alice", env=env, expect=3)
        said = done.err.decode()
        assert str(stage.store) in said
        assert said.count("guard: the store") + said.count(f"guard: {stage.store}") == 1, said
        assert "  next: " in said
        assert "Traceback" not in said
        assert done.out == b""
    if before:
        assert contents(stage.store.parent) == before, "something was destroyed"


@ways([row for row in STORES if row.name in ("truncated to nothing", "a directory", "locked")])
def test_a_real_commit_and_a_real_push_are_stopped(broken: tuple[Stage, Broken, dict[str, str]]) -> None:
    stage, _, env = broken
    head = stage.repository.head()
    assert "cannot tell" in stage.commit("held/x.txt", **env).text
    assert "cannot tell" in stage.commit("free.txt", **env).text
    assert stage.repository.head() == head
    stage.repository.git("commit", "-q", "--no-verify", "-m", "past the hook")
    remote = stage.base / "remote.git"
    shutil.rmtree(remote, ignore_errors=True)
    stage.repository.git("init", "-q", "--bare", str(remote))
    pushed = stage.repository.git("push", "-q", str(remote), "HEAD:refs/heads/x", who="bob", env=env, expect=None)
    assert pushed.code != 0
    assert "cannot tell whether this push" in pushed.text
    assert stage.repository.git("ls-remote", str(remote)).out == b""


def test_a_suspended_program_delays_a_hook_and_does_not_hang_it(stage: Stage) -> None:
    """It stopped (Ctrl-Z) while it held the union's lock: the hook judges without the union."""
    code = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", code, str(stage.slot / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        os.kill(process.pid, signal.SIGSTOP)
        try:
            os.utime(stage.store)
            began = time.monotonic()
            stage.repository.guard("reserve", "src/b.py", who="alice")
            assert stage.hook("src/b.py").code == 1
            assert time.monotonic() - began < 30
        finally:
            process.kill()


# Broken, and judged all the same


def damage(where: str, data: bytes) -> Callable[[Stage], None]:
    """Writes over a file of bob's publication, as any program may: it gets the time of day."""

    def act(stage: Stage) -> None:
        for path in stage.slot.glob(where):
            path.write_bytes(data)

    return act


def remove(where: str) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        for path in stage.slot.glob(where):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return act


def edit_current(edit: Callable[[bytes], bytes]) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        current = stage.slot / "current"
        if current.exists():
            current.write_bytes(edit(current.read_bytes()))

    return act


def no_boot(stage: Stage) -> None:
    boot = freshness.boot()
    assert boot
    edit_current(lambda text: text.replace(boot, b"unknown"))(stage)


def current_is_a_directory(stage: Stage) -> None:
    shutil.rmtree(stage.slot / "current", ignore_errors=True)
    (stage.slot / "current").unlink(missing_ok=True)
    (stage.slot / "current").mkdir()


def slot_is_a_link(stage: Stage) -> None:
    if stage.slot.is_symlink():
        return
    shutil.copytree(stage.slot, stage.slot.parent / "elsewhere", symlinks=True)
    shutil.rmtree(stage.slot)
    stage.slot.symlink_to("elsewhere")


CACHES: list[tuple[str, Callable[[Stage], None]]] = [
    ("no cache", lambda stage: shutil.rmtree(stage.slot.parent, ignore_errors=True)),
    ("current gone", remove("current")),
    ("current empty", damage("current", b"")),
    ("current garbage", damage("current", os.urandom(999))),
    ("current zeros", damage("current", bytes(999))),
    ("current without its end", edit_current(lambda text: text[:-1])),
    ("current is a directory", current_is_a_directory),
    ("current of another version", edit_current(lambda text: b"9" + text[1:])),
    ("no boot id", no_boot),
    ("script gone", remove("fresh.*")),
    ("script empty", damage("fresh.*", b"")),
    ("script garbage", damage("fresh.*", os.urandom(999))),
    ("script zeros", damage("fresh.*", bytes(999))),
    ("patterns emptied", damage("*/tree/.gitignore", b"")),
    ("patterns garbage", damage("*/tree/.gitignore", b"\xff\x00[[[\n!**\n")),
    ("patterns negated", damage("*/tree/.gitignore", b"held\n!held\n")),
    ("patterns gone", remove("*/tree/.gitignore")),
    ("tree gone", remove("*/tree")),
    ("stamps gone", remove("*/s?")),
    ("mark gone", remove("*/whole")),
    ("scratch repository gone", remove("repository")),
    ("scratch repository garbage", damage("repository/HEAD", b"garbage")),
    ("publication gone", remove("[0-9a-f]*")),
    ("slot is a link", slot_is_a_link),
]


@pytest.mark.parametrize(("name", "break_it"), CACHES, ids=[name for name, _ in CACHES])
def test_a_broken_cache_changes_no_verdict(stage: Stage, name: str, break_it: Callable[[Stage], None]) -> None:
    break_it(stage)
    refused = stage.hook("held/x.txt", "free.txt")
    assert refused.code == 1, refused.text
    assert "alice holds /held" in refused.text
    break_it(stage)
    passed = stage.hook("free.txt")
    assert passed.code == 0, passed.text
    assert passed.err == b""
    stage.repository.guard("release", "--all", who="alice")
    break_it(stage)
    assert stage.hook("held/x.txt").code == 0


def test_home_unset(stage: Stage) -> None:
    """The store is found by the other variables, or by the account's entry; the settings at home are not read."""
    env = {"XDG_DATA_HOME": str(stage.home / ".local/share"), "GUARD_AGENT": "bob"}
    without = {name: value for name, value in {**os.environ, **env}.items() if name != "HOME"}
    for name, code in (("held/x.txt", 1), ("free.txt", 0)):
        stage.stage(name)
        hook = subprocess.run(
            [stage.repository.path / ".git/hooks/pre-commit"],
            cwd=stage.repository.path,
            env=without,
            capture_output=True,
            check=False,
        )
        assert hook.returncode == code, hook.stderr


SETTINGS = [
    {"GUARD_AGENT": " "},
    {"GUARD_AGENT": "x" * 5000},
    {"GUARD_AGENT": "a\nb\x1b[2J"},
    {"GUARD_AGENT": "\udcff\udcfe"},
    {"GUARD_PROJECT": "\udcff\udcfe"},
    {"GUARD_MODE": "nonsense"},
    {"GUARD_TTL": "nonsense"},
    {"GUARD_ON_ERROR": "nonsense"},
    {"GUARD_PATIENCE": "nonsense"},
    {"USER": "../../../../tmp"},
]


@pytest.mark.parametrize("env", SETTINGS, ids=[" ".join(f"{k}={v[:12]!a}" for k, v in row.items()) for row in SETTINGS])
def test_no_setting_blocks_a_repository_without_reservations(stage: Stage, env: dict[str, str]) -> None:
    stage.repository.guard("release", "--all", who="alice")
    done = stage.hook("held/x.txt", **env)
    assert done.code == 0, done.text
    if "GUARD_PROJECT" in env:
        assert done.err.startswith(b"guard: JUDGED BY OTHER RESERVATIONS: ")
    else:
        assert done.err == b""
        stage.repository.guard("reserve", "held", who="alice")
        assert stage.hook("held/x.txt", **env).code == 1


@pytest.mark.parametrize("way", GROUND[3:], ids=[row.name for row in GROUND[3:]])
def test_a_fresh_empty_union_needs_neither_python_nor_git(stage: Stage, way: Broken) -> None:
    stage.repository.guard("release", "--all", who="alice")
    assert stage.hook("free.txt").code == 0
    sealed = stage.store.stat()
    way.break_it(stage)
    os.utime(stage.store, ns=(sealed.st_atime_ns, sealed.st_mtime_ns))
    done = stage.hook("held/x.txt")
    assert (done.code, done.err) == (0, b"")


# What is said next can be pasted


def next_step(done: Done, *, cwd: Path) -> Done:
    """Runs the first command that an error names, as a person would who copies it."""
    step = done.text.partition("next: ")[2].partition("\n")[0].rpartition("anew: ")[2].rpartition("link: ")[2]
    return run(["sh", "-c", step.partition("; ")[0]], cwd=cwd)


def _empty_store(store: Path) -> None:
    store.write_bytes(b"")


def _dangling_store(store: Path) -> None:
    store.unlink()
    store.symlink_to(store.parent / "gone")


@pytest.mark.parametrize("directory", ["store", "my store", "it's", "a;b", "$(touch x)"])
@pytest.mark.parametrize("break_it", [_empty_store, _dangling_store])
def test_the_command_that_repairs_a_store_can_be_pasted(
    stage: Stage, break_it: Callable[[Path], None], directory: str, tmp_path: Path
) -> None:
    place = tmp_path / directory
    place.mkdir()
    store = place / "guard.db"
    shutil.copy2(stage.store, store)
    break_it(store)
    done = stage.repository.guard("list", env={"GUARD_DB": str(store)}, expect=3)
    assert next_step(done, cwd=place).code == 0, done.text
    assert os.listdir(place) == []
    stage.repository.guard("reserve", "src", who="alice", env={"GUARD_DB": str(store)})


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small tmpfs takes root and mount(8)")
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(place)]
    mounted = subprocess.run(command, check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"this machine mounts no tmpfs: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["mount", "-o", "remount,rw", place], check=False, capture_output=True)
    subprocess.run(["umount", place], check=True)


def fill(place: Path) -> Path:
    filler = place / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            for size in (4096, 1):
                while file.write(bytes(size)):
                    pass
        except OSError:
            pass
    return filler


def test_a_full_disk_under_the_store(stage: Stage, small_disk: Path) -> None:
    store = small_disk / "guard.db"
    shutil.copy2(stage.store, store)
    env = {"GUARD_DB": str(store)}
    assert stage.hook("free.txt", **env).code == 0
    filler = fill(small_disk)
    before = store.read_bytes()
    for command in (["reserve", "src/b.py"], ["release", "--all"], ["renew", "--all"]):
        done = stage.repository.guard(*command, who="alice", env=env, expect=3)
        assert "the disk is full" in done.text or "input/output" in done.text, done.text
        assert str(store) in done.text
        assert done.out == b""
    refused = stage.hook("held/x.txt", **env)
    assert refused.code == 1
    assert "alice holds /held" in refused.text
    assert stage.hook("src/b.py", **env).code == 0
    assert store.read_bytes() == before
    filler.unlink()
    stage.repository.guard("reserve", "src/b.py", who="alice", env=env)
    assert stage.hook("src/b.py", **env).code == 1


def test_a_full_disk_under_a_store_yet_to_be_made(stage: Stage, small_disk: Path) -> None:
    filler = fill(small_disk)
    env = {"GUARD_DB": str(small_disk / "guard.db")}
    done = stage.repository.guard("reserve", "src", who="alice", env=env, expect=3)
    assert f"the store {small_disk / 'guard.db'} cannot be" in done.text
    assert "Traceback" not in done.text
    assert next_step(done, cwd=small_disk).code == 0
    filler.unlink()
    stage.repository.guard("reserve", "src", who="alice", env=env)


def test_a_full_disk_under_a_repository(stage: Stage, small_disk: Path) -> None:
    made = Repository.make(small_disk / "my shop", "--template=")
    filler = fill(small_disk)
    done = made.guard("install", expect=1)
    assert f"cannot write {made.git_dir}/guard/" in done.text
    assert "No space left on device" in done.text
    assert next_step(done, cwd=made.path).code == 0
    filler.unlink()
    made.install()
    made.guard("status", "--check", expect=0)


def test_a_full_disk_under_a_coding_agents_settings(stage: Stage, small_disk: Path) -> None:
    home = small_disk / "my home"
    (home / ".claude").mkdir(parents=True)
    filler = fill(small_disk)
    env = {"HOME": str(home), "GUARD_DB": str(stage.store), "XDG_DATA_HOME": str(stage.home / "share")}
    done = stage.repository.guard("agent", "install", "claude", env=env, expect=1)
    assert f"cannot write {home}/.claude/settings.json: No space left on device" in done.text
    assert next_step(done, cwd=home).code == 0
    assert os.listdir(home / ".claude") == []
    filler.unlink()
    stage.repository.guard("agent", "install", "claude", env=env, expect=0)


def test_a_full_disk_under_the_cache(stage: Stage, small_disk: Path) -> None:
    unions = stage.slot.parent
    shutil.copytree(unions, small_disk / "unions", symlinks=True)
    shutil.rmtree(unions)
    unions.mkdir()
    subprocess.run(["mount", "--bind", small_disk / "unions", unions], check=True)
    try:
        fill(small_disk)
        stage.repository.guard("reserve", "src/auth", who="alice")
        for name, code in (("held/x.txt", 1), ("src/auth/login.py", 1), ("free.txt", 0)):
            done = stage.hook(name)
            assert done.code == code, done.text
    finally:
        subprocess.run(["umount", unions], check=True)


def test_a_read_only_file_system(stage: Stage, small_disk: Path) -> None:
    store = small_disk / "guard.db"
    shutil.copy2(stage.store, store)
    os.utime(store)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    env = {"GUARD_DB": str(store)}
    for name, code in (("held/x.txt", 1), ("free.txt", 0)):
        done = stage.hook(name, **env)
        assert done.code == code, done.text
    done = stage.repository.guard("reserve", "src", who="bob", env=env, expect=3)
    assert f"{store} cannot be written" in done.text
    assert b"held" in stage.repository.guard("list", who="bob", env=env).out


# Another account


class Stranger(NamedTuple):
    """Somebody else on this machine, in a clone of their own; the store is alice's."""

    place: Path
    stage: Stage
    python: str

    def run(self, command: list[str], **env: str) -> Done:
        done = subprocess.run(
            command,
            cwd=self.place / "clone",
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            check=False,
            timeout=60,
            env={**os.environ, "HOME": str(self.place / "home"), "GUARD_AGENT": "bob", "GUARD_DB": self.store, **env},
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @property
    def store(self) -> str:
        return str(self.place / "store/guard.db")

    def hook(self, name: str, **env: str) -> Done:
        (self.place / "clone" / name).write_text(f"{time.time_ns()}\n")
        self.run(["git", "reset", "-q"])
        self.run(["git", "add", name])
        return self.run([str(self.place / "clone/.git/hooks/pre-commit")], **env)

    def guard(self, *arguments: str, **env: str) -> Done:
        path = f"{PACKAGE}:{Path(pathspec.__file__).parent.parent}"
        return self.run([self.python, "-m", "guard", *arguments], PYTHONPATH=path, **env)


@pytest.fixture
def stranger(stage: Stage) -> Iterator[Stranger]:
    python = readable_python()
    if python is None:
        pytest.skip("takes root, and a Python and a copy of guard that another account can read")
    for place in strangers_directory():
        (place / "store").mkdir()
        shutil.copy2(stage.store, place / "store/guard.db")
        shutil.copytree(stage.repository.path, place / "clone", symlinks=True)
        shutil.rmtree(place / "clone/.git/guard/unions")
        (place / "home").mkdir()
        (place / "home/.gitconfig").write_text((stage.home / ".gitconfig").read_text())
        site = Path(pathspec.__file__).parent.parent
        note = place / "clone/.git/guard/store"
        note.write_text(note.read_text().replace(str(stage.store), str(place / "store/guard.db")))
        (place / "clone/.git/guard/python").write_text(f"{python}\n{PACKAGE}\n{site}\n")
        for path in [place / "clone", *(place / "clone").rglob("*"), *(place / "home").rglob("*"), place / "home"]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o700 if path.is_dir() else path.stat().st_mode | 0o600)
        yield Stranger(place, stage, python)


def test_a_private_store_of_somebody_else(stranger: Stranger) -> None:
    (stranger.place / "store").chmod(0o700)
    done = stranger.hook("free.txt")
    assert done.code == 3, done.text
    assert stranger.store in done.text
    assert "Permission denied" in done.text
    assert "  repair: ls -ld" in done.text
    assert stranger.hook("free.txt", GUARD_ON_ERROR="allow").code == 0


def test_permission_to_read_the_file_removed(stranger: Stranger) -> None:
    Path(stranger.store).chmod(0o600)
    before = Path(stranger.store).read_bytes()
    done = stranger.hook("free.txt")
    assert done.code == 3, done.text
    assert stranger.store in done.text
    assert done.text.count("cannot tell whether") == 1
    assert Path(stranger.store).read_bytes() == before


def test_a_store_one_may_only_read_still_judges(stranger: Stranger) -> None:
    Path(stranger.store).chmod(0o644)
    for _ in range(2):
        refused = stranger.hook("held/x.txt")
        assert refused.code == 1, refused.text
        assert "alice holds /held" in refused.text
        passed = stranger.hook("free.txt")
        assert (passed.code, passed.err) == (0, b""), passed.text
    done = stranger.guard("reserve", "src")
    assert done.code == 3, done.text
    assert f"{stranger.store} cannot be" in done.text
    assert stranger.guard("list").code == 0


def test_an_unwritable_cache(stranger: Stranger) -> None:
    """Without a published union every hook asks Python, and is right."""
    (stranger.place / "store").chmod(0o777)
    Path(stranger.store).chmod(0o666)
    cache = stranger.place / "clone/.git/guard"
    os.chown(cache, 0, 0)
    cache.chmod(0o755)
    for _ in range(2):
        assert stranger.hook("held/x.txt").code == 1
        passed = stranger.hook("free.txt")
        assert (passed.code, passed.err) == (0, b""), passed.text
    assert not (cache / "unions").exists()
    stranger.guard("release", "--all", GUARD_AGENT="alice")
    passed = stranger.hook("held/x.txt")
    assert (passed.code, passed.err) == (0, b"")


# Where nothing can be said


def in_shell(stage: Stage, line: str) -> Done:
    """Runs a line of sh in which ``guard`` is the command line, as alice."""
    python = f'guard() {{ "{sys.executable}" -m guard "$@"; }}'
    env = {"GUARD_AGENT": "alice", "PYTHONPATH": str(PACKAGE)}
    return run(["sh", "-c", f"{python}\n{line}"], cwd=stage.repository.path, env=env)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_files_are_not_taken_for_the_store(stage: Stage, closed: str) -> None:
    """The next file that is opened would get their number, and what is meant for people."""
    assert in_shell(stage, f"guard list {closed}").code == 0
    assert in_shell(stage, f"guard reserve src/auth {closed}").code == 0
    assert in_shell(stage, f"guard release --id 99 {closed}").code == 1
    stage.stage("held/x.txt")
    hook = f"GUARD_AGENT=bob .git/hooks/pre-commit {closed}"
    assert in_shell(stage, hook).code == 1
    assert stage.integrity() == "ok"
    assert stage.active() == [("alice", "/held"), ("alice", "/src/auth")]
    stage.assert_guarded()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", ["reserve src/auth", "list", "list --json", "whoami", "--version", "--help"])
def test_an_answer_that_cannot_be_written(stage: Stage, command: str, unbuffered: str) -> None:
    """Python buffers what goes to a file: the failure may come at the write or only when the buffer is flushed."""
    done = in_shell(stage, f"PYTHONUNBUFFERED={unbuffered} guard {command} >/dev/full")
    assert done.code == 3, done.text
    assert "the answer could not be written: No space left on device" in done.text
    assert "Traceback" not in done.text
    assert done.text.count("guard: ") == 1, done.text
    assert ("alice", "/src/auth") in stage.active() or not command.startswith("reserve")


def test_an_answer_that_is_lost_at_the_last_moment(stage: Stage) -> None:
    """A network file system may report a full disk only at close(2)."""
    if why_not():
        pytest.skip(why_not())
    out = stage.home / "answer"
    strace = f"strace -qq -o /dev/null -P {out} -e trace=close -e inject=close:error=ENOSPC"
    line = f"exec {strace} '{sys.executable}' -m guard list >{out}"
    done = in_shell(stage, line)
    assert done.code == 3, done.text
    assert "the answer could not be written: No space left on device" in done.text


def test_a_reader_that_has_had_enough_is_no_failure(stage: Stage) -> None:
    assert "guard:" not in in_shell(stage, "guard list | true").text


def test_in_a_directory_that_is_gone(stage: Stage) -> None:
    done = in_shell(stage, "mkdir gone && cd gone && rmdir ../gone && guard list")
    assert done.code == 2
    assert "the current directory is gone" in done.text
    assert done.text.count("guard: ") == 1, done.text


def test_commands_without_git(stage: Stage) -> None:
    done = in_shell(stage, "PATH=/nowhere; guard list")
    assert done.code == 3
    assert "git cannot be started" in done.text
    assert done.text.count("guard: ") == 1, done.text
