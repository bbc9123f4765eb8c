"""What differs between systems: each way of doing it, and what guard says where it cannot run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from guard import system
from tests.support import strace
from tests.support.repositories import PACKAGE, Repository, run

WITHOUT_MEMORY_FILES = "import os\ndel os.memfd_create\n"


def test_on_windows_guard_says_in_one_sentence_what_it_needs(tmp_path: Path) -> None:
    """Python of Windows has none of these modules: whatever guard imports before it looks would be a traceback."""
    absent = ("fcntl", "pwd", "grp", "termios", "resource")
    code = f"import sys; sys.platform = 'win32'; sys.modules.update(dict.fromkeys({absent}))\n"
    code += "import os; del os.getuid, os.uname, os.posix_spawnp, os.memfd_create, os.environb\n"
    code += "sys.argv = ['guard', *sys.argv[1:]]; import guard.__main__; guard.__main__.main()"
    for arguments in ([], ["list"], ["hook", "pre-commit"], ["install"]):
        done = run([sys.executable, "-c", code, *arguments], cwd=tmp_path, env={"PYTHONPATH": str(PACKAGE)})
        assert done.code == 3, done.text
        assert done.out == b""
        assert len(done.err.splitlines()) == 1, done.text
        assert b"WSL" in done.err


def test_a_lock_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    one, two = (os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert system.try_lock(one)
    assert not system.try_lock(two)
    os.close(one)
    assert system.try_lock(two)
    os.close(two)


@pytest.mark.parametrize(
    ("process", "ended"),
    [(0, True), (-1, True), (1 << 40, True), (1 << 80, True), (1, False)],
)
def test_which_processes_have_ended(process: int, ended: bool) -> None:
    assert system.has_ended(process) is ended
    assert not system.has_ended(os.getpid())


def test_a_child_that_was_waited_for_can_be_stopped() -> None:
    """A time limit may pass between the end of a wait and the use of its answer."""
    child = system.start("true", ["true"], environment=None, files=[0, 1, 2])
    assert system.wait_for(child) == 0
    system.stop(child)


def test_a_child_that_was_waited_for_has_ended(tmp_path: Path) -> None:
    child = os.posix_spawnp("true", ["true"], {**os.environ})
    os.waitpid(child, 0)
    assert system.has_ended(child)


@pytest.mark.parametrize("memory", [True, False], ids=["in memory", "on disk"])
def test_a_file_without_a_name(memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = sorted(os.listdir(tmp_path))
    file = system.unnamed_file(b"one\0two" * 100_000)
    assert os.read(file, 7) == b"one\0two"
    assert system.contents_of(file) == b"one\0two" * 100_000
    assert sorted(os.listdir(tmp_path)) == before
    assert not os.get_inheritable(file)
    os.close(file)


@pytest.mark.parametrize("place", ["absent", "file", "relative", "read-only", ""])
def test_a_directory_for_temporary_files_that_cannot_be_used(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "read-only").mkdir(mode=0o500)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setenv("TMPDIR", place if place in ("relative", "") else str(tmp_path / place))
    file = system.unnamed_file(b"x")
    assert system.contents_of(file) == b"x"
    os.close(file)
    assert not (tmp_path / "relative").exists()


def test_a_hook_refreshes_and_refuses_without_memory_files(repository: Repository) -> None:
    repository.guard("reserve", "src", who="alice")
    path = f"{repository.path.parent / 'site'}"
    os.mkdir(path)
    code = f"{WITHOUT_MEMORY_FILES}import sys; sys.path.insert(0, {str(PACKAGE)!r})\n"
    code += "from guard.hook import main; main(sys.argv[1:])"
    repository.write("src/b.py", "theirs\n")
    repository.git("add", "-A")
    for stage, wanted in (("refresh", 0), ("verdict", 11)):
        done = run(
            [sys.executable, "-c", code, stage, "pre-commit"],
            cwd=repository.path,
            env={"GUARD_AGENT": "bob", "GIT_DIR": str(repository.git_dir)},
        )
        assert done.code == wanted, done.text


@pytest.mark.parametrize("refusal", ["ENOSYS", "EPERM"])
def test_a_hook_refuses_where_a_box_forbids_memory_files(repository: Repository, refusal: str) -> None:
    if reason := strace.why_not():
        pytest.skip(reason)
    repository.guard("reserve", "src", who="alice")
    repository.write("src/b.py", "theirs\n")
    repository.git("add", "-A")
    fault = ["-e", "trace=memfd_create", "-e", f"inject=memfd_create:error={refusal}"]
    hook = ["strace", "-f", "-qq", "-o", os.devnull, *fault, str(repository.git_dir / "hooks/pre-commit")]
    done = run(hook, cwd=repository.path, env={"GUARD_AGENT": "bob"})
    assert done.code == 1, done.text
    assert "alice holds /src" in done.text


UUID = "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9"


@pytest.mark.parametrize(
    ("said", "status", "boot"),
    [
        (f"{UUID}\\n", 0, (system.BY_SYSCTL, UUID.encode())),
        (f"{UUID.lower()}\\n", 0, (system.BY_SYSCTL, UUID.lower().encode())),
        (UUID, 0, (system.BY_SYSCTL, UUID.encode())),
        (f"{UUID}\\n", 1, (b"", b"")),
        ("", 0, (b"", b"")),
        ("\\n", 0, (b"", b"")),
        (f"{UUID[:-1]}\\n", 0, (b"", b"")),
        (f"{UUID}0\\n", 0, (b"", b"")),
        (f"{UUID}\\n{UUID}\\n", 0, (b"", b"")),
        (f" {UUID[1:]}\\n", 0, (b"", b"")),
        (f"{UUID[:-1]}g\\n", 0, (b"", b"")),
        ("-" * 36 + "\\n", 0, (b"", b"")),
        (f"kern.bootsessionuuid: {UUID[:14]}\\n", 0, (b"", b"")),
    ],
)
def test_the_boot_as_sysctl_names_it(
    said: str, status: int, boot: tuple[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "sysctl"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = '-n kern.bootsessionuuid' ] || exit 2\nprintf '{said}'\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setattr(system, "SYSCTL", str(program))
    monkeypatch.setattr(system, "BOOT_ID_FILE", str(tmp_path / "absent"))
    assert system.boot() == boot


@pytest.mark.parametrize("kind", ["absent", "a directory", "not executable", "no program", "killed"])
def test_a_sysctl_that_cannot_answer(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sysctl"
    if kind == "a directory":
        program.mkdir()
    elif kind != "absent":
        program.write_bytes(b"#!/bin/sh\nkill -9 $$\n" if kind == "killed" else b"\x7fELF nonsense")
        program.chmod(0o644 if kind == "not executable" else 0o755)
    monkeypatch.setattr(system, "SYSCTL", str(program))
    monkeypatch.setattr(system, "BOOT_ID_FILE", str(tmp_path / "absent"))
    assert system.boot() == (b"", b"")


@pytest.mark.parametrize("said", ["", "\n", "nonsense\n", UUID[:-1], UUID + "0\n"])
def test_a_file_that_does_not_name_the_boot(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "boot_id"
    file.write_text(said)
    monkeypatch.setattr(system, "BOOT_ID_FILE", str(file))
    assert system.boot() == (b"", b"")
