"""A clear verdict is never the absence of an answer: each claim of guard/union/fast.py, tried.

bob's union is fresh, and he stages or pushes what alice holds. Python cannot be started, so an undisturbed hook ends
with 3: any 0 is a verdict that sh and git reached by themselves, and wrongly. Each system call is then made to fail,
each process is killed, and the hook is cut short. A quick run takes a share of the trials; ``--long`` takes all.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from guard.union.contents import ONE_FILE_MAX
from tests.support import rows
from tests.support.repositories import PACKAGE, Done, Repository, age, run
from tests.support.stage import Stage
from tests.support.strace import why_not

ERRNOS = {
    "openat": ("EMFILE", "ENFILE", "EACCES", "EIO", "ENOMEM"),
    "read": ("EIO",),
    "pread64": ("EIO",),
    "write": ("EIO", "ENOSPC", "EPIPE"),
    "newfstatat": ("EIO", "EACCES", "ENOMEM"),
    "close": (),  # Linux closes the file whatever close(2) says
    "dup2": ("EMFILE",),
    "fcntl": ("EMFILE",),
    "pipe2": ("EMFILE", "ENFILE"),
    "clone": ("EAGAIN", "ENOMEM"),
    "vfork": ("EAGAIN",),
    "execve": ("EACCES", "ENOMEM", "EIO"),
    "wait4": ("ECHILD",),
    "mmap": ("ENOMEM",),
    "lseek": ("EIO",),
    "getcwd": ("ENOENT",),
    "access": ("EIO",),
    "unlink": ("EIO",),
    "getdents64": ("EIO",),
    "geteuid": (),
    "exit_group": (),
}
"""The system calls of sh and git that are disturbed, and how each plausibly fails; every one is also killed at."""

FAULTS = [f"{name}:error={errno}" for name, errnos in ERRNOS.items() for errno in errnos]
KILLS = [f"{name}:signal=KILL" for name in ERRNOS if name != "geteuid"]


class Trial:
    """A hook of bob's that must not say "clear", and cannot ask Python."""

    def __init__(self, stage: Stage, event: str, *, large: bool = False) -> None:
        self.stage = stage
        self.event = event
        self.stdin = b""
        self.first_block = 0
        """Which read of sh is that of the hook's beginning. When it fails, nothing of ours could speak."""
        repository = stage.repository
        if event == "pre-push":
            stage.stage("held/x.txt")
            repository.git("commit", "-qnm", "theirs")
            zero = "0" * 40
            self.stdin = f"refs/heads/main {repository.head()} refs/heads/main {zero}\n".encode()
        if large:
            reserve_many(stage)
        for _ in range(2):
            assert stage.hook("free.txt").code == 0
        if event == "pre-commit":
            stage.stage("held/x.txt")
        python = repository.path / ".git/guard/python"
        python.write_text(self.only_matching(python.read_text()) if large else "/nowhere/python\n/nowhere\n/nowhere\n")
        self.hook = repository.path / ".git/hooks" / event
        self.env = {"GUARD_AGENT": "bob", "HOME": str(stage.home), "GIT_CONFIG_NOSYSTEM": "1", "PATH": "/usr/bin:/bin"}

    def only_matching(self, note: str) -> str:
        """Python can be started to match many patterns, and for nothing else: what the hook reads to find it."""
        python, rest = note.split("\n", 1)
        program = self.stage.home / "only-matching"
        program.write_text(f'#!/bin/sh\ncase " $* " in *" untouched "*) exec {python} "$@" ;; esac\nexit 127\n')
        program.chmod(0o755)
        return f"{program}\n{rest}"

    def run(self, *before: str, hook: Path | None = None, **env: str) -> Done:
        done = subprocess.run(
            [*before, str(hook or self.hook), "origin", "/nowhere/remote"],
            cwd=self.stage.repository.path,
            env={**self.env, **env},
            input=self.stdin,
            capture_output=True,
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def sites(self) -> dict[str, list[str]]:
        """For each system call: what its first, second, … call in a process does, in words that repeated calls share.

        A fault at the third call hits the third of every process, so a site is what all of them do there.
        """
        log = self.stage.base.parent / "proof.log"
        done = self.run("strace", "-f", "-qq", "-s", "200", "-o", str(log))
        assert done.code == 3, done.text
        found: dict[str, list[list[str]]] = {}
        counts: dict[tuple[str, str], int] = {}
        self.first_block = 0
        for line in log.read_text(errors="replace").splitlines():
            match = re.match(r"(\d+) +(\w+)\((.*)", line)
            if match is None:
                continue
            process, name, rest = match.groups()
            number = counts[process, name] = counts.get((process, name), 0) + 1
            sites = found.setdefault(name, [])
            if number > len(sites):
                sites.append([])
            sites[number - 1].append(_without_numbers(name, rest))
            if "#!/bin/sh" in rest and name == "read" and not self.first_block:
                self.first_block = number
        return {name: [" / ".join(site) for site in sites] for name, sites in found.items()}

    def disturbed(self, fault: str, number: int) -> Done:
        name = fault.partition(":")[0]
        options = ("-e", "signal=none", "-e", f"trace={name}", "-e", f"inject={fault}:when={number}")
        return self.run("strace", "-f", "-qq", "-o", os.devnull, *options)


def reserve_many(stage: Stage) -> None:
    """More patterns than git matches."""
    store = SqliteStore(str(stage.store), patience_s=10)
    wanted = [Wanted(b"/module%d/*.py" % number, b"") for number in range(ONE_FILE_MAX + 1)]
    terms = Terms(exclusive=True, reason="", ttl_ms=3_600_000, fold=False, shorten=False)
    assert store.reserve(Actor(stage.project, "alice", "someone@here"), wanted, terms).reservations
    store.close()


@pytest.fixture(params=["pre-commit", "pre-push"])
def trial(stage: Stage, request: pytest.FixtureRequest) -> Trial:
    return Trial(stage, request.param)


@pytest.fixture
def traced(trial: Trial) -> Trial:
    if why_not():
        pytest.skip(why_not())
    return trial


def _without_numbers(name: str, rest: str) -> str:
    """The arguments of a system call without what differs between two calls of one kind."""
    arguments = rest.rpartition(") = ")[0] or rest
    if name in ("read", "write", "pread64"):  # what is read is not the kind
        arguments = re.sub(r'"(?:[^"\\]|\\.)*"(\.\.\.)?', "…", arguments)
    return re.sub(r"0x[0-9a-f]+|\d{3,}", "N", arguments)


def places(trial: Trial, faults: list[str], *, every: int) -> Iterator[tuple[str, int]]:
    """Each fault at the first and at the last call of each site; of these only every so many."""
    sites = trial.sites()
    assert trial.first_block
    everything: list[tuple[str, int]] = []
    for fault in faults:
        at = sites.get(fault.partition(":")[0], [])
        first = {site: number for number, site in reversed(list(enumerate(at, 1)))}
        last = {site: number for number, site in enumerate(at, 1)}
        everything += [(fault, number) for number in sorted({*first.values(), *last.values()})]
    assert len(everything) > 100, sites
    tried = everything[len(everything) % every :: every]
    yield from (each for each in tried if each != ("read:error=EIO", trial.first_block))


def try_all(trial: Trial, faults: list[str], *, every: int, figure: Callable[[str], None]) -> None:
    count = 0
    for fault, number in places(trial, faults, every=every):
        done = trial.disturbed(fault, number)
        assert done.code != 0, f"{fault} at call {number}: clear\n{done.text}"
        count += 1
    figure(f"{trial.event}: {count} disturbed runs, none clear")


def test_undisturbed_the_hook_has_no_answer(trial: Trial) -> None:
    done = trial.run()
    assert done.code == 3
    assert "cannot tell" in done.text
    assert not list(trial.stage.slot.glob("*/list*")), "what was listed is away"


def test_a_system_call_fails(traced: Trial, figure: Callable[[str], None]) -> None:
    try_all(traced, FAULTS, every=13, figure=figure)


@pytest.mark.long
def test_every_system_call_fails(traced: Trial, figure: Callable[[str], None]) -> None:
    try_all(traced, FAULTS, every=1, figure=figure)


@pytest.mark.parametrize("every", [41, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("faults", [FAULTS, KILLS], ids=["fails", "killed"])
def test_among_many_patterns(stage: Stage, faults: list[str], every: int, figure: Callable[[str], None]) -> None:
    """Where Python matches: its system calls are disturbed, too."""
    if why_not():
        pytest.skip(why_not())
    trial = Trial(stage, "pre-commit", large=True)
    assert trial.run().code == 3
    assert any("/patterns" in site for site in trial.sites()["openat"]), "Python was started"
    try_all(trial, faults, every=every, figure=figure)


def test_a_process_is_killed(traced: Trial, figure: Callable[[str], None]) -> None:
    try_all(traced, KILLS, every=13, figure=figure)


@pytest.mark.long
def test_every_process_is_killed_at_every_call(traced: Trial, figure: Callable[[str], None]) -> None:
    try_all(traced, KILLS, every=1, figure=figure)


@pytest.mark.parametrize("name", ["diff-index", "check-ignore", "log"])
@pytest.mark.parametrize("fault", ["write:error=EIO", "read:error=EIO", "openat:error=EMFILE", "write:signal=KILL"])
def test_one_of_the_two_gits_fails_at_any_call(stage: Stage, tmp_path: Path, name: str, fault: str) -> None:
    """Alone, so that the other processes, whose calls have the same numbers, do not fail with it."""
    if why_not():
        pytest.skip(why_not())
    trial = Trial(stage, "pre-push" if name == "log" else "pre-commit")
    real = shutil.which("git")
    stub = tmp_path / "bin/git"
    stub.parent.mkdir()
    for number in (1, 2, 3, 5, 9):
        call = fault.partition(":")[0]
        strace = f"strace -qq -o /dev/null -e signal=none -e trace={call} -e inject={fault}:when={number}"
        stub.write_text(
            f'#!/bin/sh\ncase " $* " in *" {name} "*) exec {strace} {real} "$@" ;; esac\nexec {real} "$@"\n'
        )
        stub.chmod(0o755)
        done = trial.run(PATH=f"{stub.parent}:/usr/bin:/bin")
        assert done.code != 0, f"{fault} at call {number} of git {name}: clear\n{done.text}"


def test_a_long_list_that_loses_a_part_in_the_middle(stage: Stage, tmp_path: Path) -> None:
    """git writes 4 kB at a time, and for a pipe it would end with 0 whatever it could not write."""
    if why_not():
        pytest.skip(why_not())
    for number in range(600):
        stage.repository.write(f"free/some/directory/file{number:04}", "x\n")
    trial = Trial(stage, "pre-commit")
    stage.repository.git("add", "free")
    for number in (1, 2, 3, 4, 5):
        options = ("-e", "trace=write", "-e", f"inject=write:error=EIO:when={number}")
        assert trial.run("strace", "-f", "-qq", "-o", os.devnull, *options).code != 0


# The hook itself, cut short


def cut_short(trial: Trial, place: Path, lengths: Iterator[int]) -> int:
    """Runs the beginnings of the hook, each as sh would when the rest is missing. Returns how many."""
    whole = trial.hook.read_bytes()
    place.mkdir()
    hook = place / trial.event
    count = 0
    for length in lengths:
        hook.write_bytes(whole[:length])
        hook.chmod(0o755)
        done = trial.run("sh", hook=hook)
        assert done.code != 0, f"{length} of {len(whole)} bytes: clear\n{done.text}"
        count += 1
    return count


SHEBANG = len("#!/bin/sh\n{")
"""Of fewer bytes there is nothing of ours that could speak."""


def test_the_hook_cut_short_lets_nothing_pass(trial: Trial, tmp_path: Path) -> None:
    whole = len(trial.hook.read_bytes())
    assert cut_short(trial, tmp_path / "cut", iter(range(SHEBANG, whole, 211)))
    text = trial.hook.read_bytes()
    ends = [match.end() for match in re.finditer(rb"\n[})][^\n]*\n", text)]  # after each function and command
    assert cut_short(trial, tmp_path / "ends", iter(end + more for end in ends for more in (-1, 0) if end < whole))


@pytest.mark.long
def test_the_hook_cut_at_many_lengths(trial: Trial, tmp_path: Path, figure: Callable[[str], None]) -> None:
    whole = len(trial.hook.read_bytes())
    first = trial.hook.read_bytes().index(b"\n}\n{ #") + 10  # what ends behind it has run the first command
    lengths = [*range(SHEBANG, first), *range(first, whole - 1, 5)]
    figure(f"{cut_short(trial, tmp_path / 'cut', iter(lengths))} lengths, none clear")


# What the caller's environment could steer

HOSTILE = {
    **dict.fromkeys(("GIT_TRACE", "GIT_TRACE_SETUP", "GIT_TRACE_PERFORMANCE", "GIT_TRACE_REFS"), "/dev/stdout"),
    **dict.fromkeys(("GIT_TRACE_PACKET", "GIT_TRACE_SHALLOW", "GIT_TRACE_PACK_ACCESS"), "/dev/stdout"),
    **dict.fromkeys(("GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF"), "/dev/stdout"),
    **dict.fromkeys(("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"), "1"),
    "GIT_EXTERNAL_DIFF": "true",
    "GIT_DIFF_OPTS": "-u0",
    "GIT_PREFIX": "held/",
    "GIT_CONFIG": "/dev/null",
    "GIT_NAMESPACE": "other",
    "GIT_ATTR_SOURCE": "HEAD",
    "GIT_PAGER": "true",
    "GIT_FLUSH": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CONFIG_PARAMETERS": "'core.excludesFile=/dev/null' 'diff.renames=copies' 'core.quotePath=false'",
    "IFS": "/.",
    "CDPATH": "/",
    "ENV": "/dev/null",
    "BASH_ENV": "/dev/null",
    "PS4": "$(exit 0)",
    "LC_ALL": "tr_TR.UTF-8",
    "LANG": "tr_TR.UTF-8",
    "POSIXLY_CORRECT": "1",
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "PYTHONSTARTUP": "/nowhere",
    "PYTHONWARNINGS": "error",
    "PYTHONINSPECT": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONOPTIMIZE": "2",
}


def variables_of_the_hook() -> list[str]:
    return sorted(set(re.findall(r"\bg_[a-z0-9_]+", (PACKAGE / "hooks/guard").read_text())))


def test_every_variable_of_the_hook_is_cleared_first() -> None:
    """The first command clears what it uses, the second all that it and the later ones use."""
    text = (PACKAGE / "hooks/guard").read_text()
    cleared: set[str] = set()
    first, second, *later = text.split("\n}\n{ #")
    for command in (first, second):
        unset = re.search(r"^unset ((?:g_\w+|\\\n|[ ])+)", command, re.MULTILINE)
        assert unset is not None
        before = set(re.findall(r"\bg_[a-z0-9_]+", command[: unset.start()]))
        names = re.findall(r"g_\w+", unset[1])
        assert before == set(), "nothing is used before it is cleared"
        assert len(names) == len(set(names))
        assert cleared & set(names) == set(), "what the first command found out is kept"
        cleared |= set(names)
        assert set(re.findall(r"\bg_[a-z0-9_]+", command)) <= cleared
    assert len(later) == 2
    assert sorted(cleared) == variables_of_the_hook()


def test_no_variable_of_the_callers_stands_for_one_of_the_hooks(stage: Stage) -> None:
    for value in ("off", "1", "/bin/true", "clear"):
        stage.stage("held/x.txt")
        done = stage.hook(**dict.fromkeys(variables_of_the_hook(), value))
        assert done.code == 1, (value, done.text)
        assert "alice holds" in done.text


@pytest.mark.parametrize("name", list(HOSTILE))
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_no_variable_makes_a_held_path_free(stage: Stage, name: str, shell: str) -> None:
    stage.stage("held/x.txt")
    hook = str(stage.repository.path / ".git/hooks/pre-commit")
    for _ in range(2):  # the first may publish a union for this environment
        done = run([shell, hook], cwd=stage.repository.path, env={"GUARD_AGENT": "bob", name: HOSTILE[name]})
        assert done.code in (1, 3), done.text
    stage.stage("free.txt")
    done = run([shell, hook], cwd=stage.repository.path, env={"GUARD_AGENT": "bob", name: HOSTILE[name]})
    assert done.code == 0, done.text


@pytest.mark.parametrize("shell", ["sh", "bash", "mksh", "zsh", "ksh93", "yash"])
def test_a_name_that_is_no_text_in_the_locale_is_a_name(stage: Stage, tmp_path: Path, shell: str) -> None:
    """yash does not see such a variable, but Python, which yash starts, does."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "sh").symlink_to(found)
    repository = stage.repository
    repository.git("config", "guard.agent", "alice")
    age(repository.path / ".git/config")
    stage.stage("held/x.txt")
    hook = str(repository.path / ".git/hooks/pre-commit")
    for _ in range(2):
        assert run([str(tmp_path / "sh"), hook], cwd=repository.path, env={"LC_ALL": "C"}).code == 0
    for name in ("GUARD_AGENT", "AGENT_NAME"):
        for value in ("J\u00fcrgen", "\udcff\udcfe"):
            done = run([str(tmp_path / "sh"), hook], cwd=repository.path, env={"LC_ALL": "C", name: value})
            assert done.code == 1, (name, value, done.text)


COMMANDS = (
    *("[", "cat", "cd", "command", "echo", "git", "printf", "pwd", "read", "rm", "test", "timeout", "wait"),
    *(".", ":", "case", "exec", "exit", "export", "return", "set", "shift", "trap", "true", "unset"),
)
"""What the hook runs or could run by a name without a slash. POSIX forbids functions that are called like some."""


def bash_called(name: str, directory: Path) -> Path:
    """bash under this name: called sh, it does more as POSIX says."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    link = directory / name
    link.symlink_to(bash)
    return link


@pytest.mark.parametrize("body", [":", "return 1", "exit 0"])
def test_no_function_that_bash_takes_from_the_environment_makes_a_held_path_free(
    stage: Stage, tmp_path: Path, body: str
) -> None:
    sh = bash_called("sh", tmp_path)
    hook = str(stage.repository.path / ".git/hooks/pre-commit")
    for name in COMMANDS:
        for path, codes in (("held/x.txt", (1, 3)), ("free.txt", (0,))):
            stage.stage(path)
            env = {"GUARD_AGENT": "bob", f"BASH_FUNC_{name}%%": f"() {{ {body}; }}"}
            done = run([str(sh), hook], cwd=stage.repository.path, env=env)
            assert done.code in codes, (name, done.code, done.text)


SHELL_OPTIONS = (
    *("allexport", "braceexpand", "emacs", "errexit", "errtrace", "functrace", "hashall", "histexpand", "history"),
    *("ignoreeof", "interactive-comments", "keyword", "monitor", "noclobber", "noexec", "noglob", "nolog", "notify"),
    *("nounset", "physical", "pipefail", "posix", "privileged", "verbose", "vi", "xtrace"),
)
"""What bash takes from SHELLOPTS, all but "onecmd", with which it leaves before it has run anything of ours."""
STEERING = {
    *("noexec", "noglob", "keyword", "posix", "privileged", "errexit", "nounset", "pipefail", "xtrace"),
    *("failglob", "nullglob", "nocasematch", "extglob", "lastpipe", "xpg_echo", "expand_aliases"),
}
"""Those that change how a script is read, or what its words match."""


@pytest.mark.parametrize("every", rows.some([6, 1], {6}))
@pytest.mark.parametrize("name", ["sh", "bash"])
def test_no_option_that_bash_takes_from_the_environment_makes_a_held_path_free(
    stage: Stage, tmp_path: Path, name: str, every: int, figure: Callable[[str], None]
) -> None:
    """Of those that change how a script is read, all; of the others each sixth by default, and sh takes other ones."""
    bash = bash_called(name, tmp_path)
    shown = subprocess.run([bash.resolve(), "-c", "shopt"], capture_output=True, check=True, text=True).stdout
    options = [("SHELLOPTS", option) for option in SHELL_OPTIONS]
    options += [("BASHOPTS", line.split()[0]) for line in shown.splitlines()]
    options += [
        ("BASH_COMPAT", "31"),
        ("BASH_XTRACEFD", "1"),
        ("GLOBIGNORE", "*"),
        ("EXECIGNORE", "*"),
        ("FUNCNEST", "1"),
    ]
    others = [option for option in options if option[1] not in STEERING]
    tried = [option for option in options if option[1] in STEERING] + others[len(name) % every :: every]
    assert {value for _, value in tried} >= STEERING - {"lastpipe"}, "bash 3.2, which macOS has, lacks that one"
    hook = stage.repository.path / ".git/hooks/pre-commit"
    stage.stage("held/x.txt")
    for variable, value in tried:
        env = {"GUARD_AGENT": "bob", variable: value, "PATH": os.environ["PATH"], "HOME": str(stage.home)}
        done = subprocess.run([bash, hook], cwd=stage.repository.path, env=env, capture_output=True, check=False)
        assert done.returncode != 0, (variable, value, done.stderr)
    figure(f"{len(tried)} of {len(options)} options, none lets a held path pass")


@pytest.mark.parametrize("options", ["errexit", "nounset", "noclobber", "noglob", "errexit:noclobber:noglob:nounset"])
def test_no_option_that_bash_takes_from_the_environment_refuses_what_is_free(
    stage: Stage, tmp_path: Path, options: str
) -> None:
    """With some of them a script ends, without a word, where a test is false or a variable has no value."""
    sh = bash_called("sh", tmp_path)
    hook = str(stage.repository.path / ".git/hooks/pre-commit")

    def run_hook() -> Done:
        env = {"GUARD_AGENT": "bob", "SHELLOPTS": options}
        return run([str(sh), hook], cwd=stage.repository.path, env=env)

    stage.stage("held/x.txt")
    refused = run_hook()
    assert (refused.code, "commit refused" in refused.text) == (1, True), refused.text
    stage.stage("free.txt")
    assert run_hook() == Done(0, b"", b"")
    stage.repository.guard("release", "--all", who="alice")
    for _ in range(2):  # the first may publish anew, the second finds that nothing is reserved
        assert run_hook() == Done(0, b"", b"")


def test_the_hook_turns_off_every_trace_that_this_git_knows() -> None:
    """A trace to stdout would stand among the paths."""
    programs = subprocess.run(["git", "--exec-path"], capture_output=True, check=True, text=True).stdout.strip()
    known = set(re.findall(rb"\0(GIT_TRACE(?:2|_[A-Z_]+|2_PERF|2_EVENT)?)(?=\0)", Path(programs, "git").read_bytes()))
    off = set(re.findall(rb"\b(GIT_TRACE\w*)=", (PACKAGE / "hooks/guard").read_bytes()))
    assert len(known) > 5
    assert known - off == set()


# Managers that pipe the refs


@pytest.mark.parametrize("held", [False, True], ids=["quiet", "held"])
def test_whoever_writes_the_refs_can_write_all_of_them(stage: Stage, held: bool) -> None:
    """A manager that meets a broken pipe reports a failed push."""
    if not held:
        stage.repository.guard("release", "--all", who="alice")
    assert stage.hook("free.txt").code == 0
    oid = stage.repository.head()
    line = f"refs/heads/main {oid} refs/heads/main {oid}\n".encode()
    for count in (0, 1, 5000):
        process = subprocess.Popen(
            [str(stage.repository.path / ".git/hooks/pre-push"), "origin", "/nowhere/remote"],
            cwd=stage.repository.path,
            env={**os.environ, "GUARD_AGENT": "bob"},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(line * count)
        process.stdin.close()
        assert process.stderr is not None
        said = process.stderr.read()
        process.stderr.close()
        assert process.wait() == 0, said


@pytest.mark.parametrize("written", ["nothing", "a deletion", "one ref"])
def test_a_list_that_has_not_ended_is_not_a_whole_one(stage: Stage, written: str) -> None:
    """A pipe that does not block tells sh that there is nothing to read now; to sh that looks like the end."""
    if run(["/bin/sh", "-c", "echo $YASH_VERSION"], cwd=stage.base).out.strip():
        pytest.skip("yash waits until there is something to read")
    assert stage.hook("free.txt").code == 0
    oid, zero = stage.repository.head(), "0" * 40
    lines = {
        "nothing": "",
        "a deletion": f"(delete) {zero} refs/heads/old {oid}\n",
        "one ref": f"refs/heads/main {oid} refs/heads/main {oid}\n",
    }
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, lines[written].encode())
    hook = [str(stage.repository.path / ".git/hooks/pre-push"), "origin", "/nowhere"]
    env = {**os.environ, "GUARD_AGENT": "bob"}
    for end, code in ((False, 3), (True, 0)):
        if end:
            os.write(writing, lines[written].encode())
            os.close(writing)
        done = subprocess.run(
            hook, cwd=stage.repository.path, env=env, stdin=reading, capture_output=True, check=False, timeout=60
        )
        assert done.returncode == code, done.stderr
    os.close(reading)


@pytest.mark.parametrize(
    ("stdin", "repair"), [("<.", "push again"), ("<&-", "hand its stdin on"), ("0>>.git/only", "")]
)
def test_stdin_that_cannot_be_read_at_all(stage: Stage, stdin: str, repair: str) -> None:
    """It is a directory, or closed, or open for writing alone."""
    assert stage.hook("free.txt").code == 0
    hook = f"exec .git/hooks/pre-push origin /nowhere {stdin}"
    done = run(["sh", "-c", hook], cwd=stage.repository.path, env={"GUARD_AGENT": "bob"})
    assert done.code == 3
    assert "the list of what is pushed could not be read to its end" in done.text
    assert repair in done.text
    passed = run(["sh", "-c", hook], cwd=stage.repository.path, env={"GUARD_AGENT": "bob", "GUARD_SKIP": "1"})
    assert passed.code == 0, passed.text


def test_the_last_of_many_refs_is_judged(stage: Stage) -> None:
    trial = stage.repository
    oid = trial.head()
    stage.stage("held/x.txt")
    trial.git("commit", "-qnm", "theirs")
    lines = f"refs/heads/free {oid} refs/heads/free {'0' * 40}\n" * 700
    lines += f"refs/heads/main {trial.head()} refs/heads/main {oid}\n"
    hook = str(trial.path / ".git/hooks/pre-push")
    done = run([hook, "origin", "/nowhere"], cwd=trial.path, env={"GUARD_AGENT": "bob"}, stdin=lines.encode())
    assert done.code == 1, done.text
    assert "alice holds" in done.text


def test_a_kept_hook_gets_every_line(stage: Stage) -> None:
    kept = stage.repository.path / ".git/hooks/pre-push.before-guard"
    kept.write_text('#!/bin/sh\nwc -l >"$HOME/lines"\n')
    kept.chmod(0o755)
    oid = stage.repository.head()
    hook = str(stage.repository.path / ".git/hooks/pre-push")
    for count in (1, 99, 100, 101, 4000):
        lines = f"refs/heads/main {oid} refs/heads/main {oid}\n".encode() * count
        done = run([hook, "origin", "/x"], cwd=stage.repository.path, env={"GUARD_AGENT": "bob"}, stdin=lines)
        assert done.code == 0, done.text
        assert int((stage.home / "lines").read_text()) == count
    kept.write_text("#!/bin/sh\nexit 7\n")  # it reads nothing, and refuses
    done = run([hook, "origin", "/x"], cwd=stage.repository.path, env={"GUARD_AGENT": "bob"}, stdin=lines)
    assert done.code == 7, done.text


def test_the_guard_on_path_gets_every_line(stage: Stage, tmp_path: Path) -> None:
    """Where no Python that was noted can be started, it judges; and it must not judge a part of what is pushed."""
    stub = tmp_path / "bin/guard"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\n[ "$1" != --version ] || exit 0\nwc -l >"$HOME/lines"\necho "$*" >>"$HOME/lines"\n')
    stub.chmod(0o755)
    (stage.repository.path / ".git/guard/python").write_text("/nowhere\n/nowhere\n/nowhere\n")
    (stage.slot / "current").unlink()
    oid = stage.repository.head()
    hook = str(stage.repository.path / ".git/hooks/pre-push")
    env = {"GUARD_AGENT": "bob", "PATH": f"{stub.parent}:{os.environ['PATH']}"}
    for count in (1, 100, 4000):
        lines = f"refs/heads/main {oid} refs/heads/main {oid}\n".encode() * count
        done = run([hook, "origin", "/x"], cwd=stage.repository.path, env=env, stdin=lines)
        assert done.code == 0, done.text
        assert (stage.home / "lines").read_text().split("\n")[:2] == [str(count), "hook pre-push origin /x"]
    stub.write_text('#!/bin/sh\n[ "$1" != --version ] || exit 0\nexit 1\n')
    assert run([hook, "origin", "/x"], cwd=stage.repository.path, env=env, stdin=lines).code == 1


# Stamps


def test_a_link_that_is_switched_to_a_file_with_the_same_time(repository: Repository, hermetic: Path) -> None:
    """As every file in a Nix store, an ostree or a reproducible image has."""
    generations = []
    for number, text in enumerate(("[guard]\n\tmode = off\n", "[guard]\n\tmode = block\n")):
        file = hermetic / f"generation{number}"
        file.write_text((hermetic / ".gitconfig").read_text() + text)
        os.utime(file, (1, 1))
        generations.append(file)
    (hermetic / ".gitconfig").unlink()
    link = hermetic / ".gitconfig"
    link.symlink_to(generations[0])
    repository.guard("reserve", "src/auth", who="alice")
    age(repository.common_dir / "config")
    for _ in range(2):
        repository.commit("quiet.txt", os.urandom(4).hex(), who="bob")
    link.unlink()
    link.symlink_to(generations[1])
    assert "alice holds" in repository.commit("src/auth/login.py", "no\n", who="bob", expect=1).text


@pytest.mark.parametrize("line", [1, 2], ids=["another boot", "another host"])
def test_a_writer_does_not_renew_what_was_stamped_elsewhere(stage: Stage, line: int) -> None:
    current = stage.slot / "current"
    lines = current.read_text().split("\n")
    lines[line] = "elsewhere"
    current.write_text("\n".join(lines))
    stage.repository.guard("reserve", "src/auth", who="alice")
    assert current.read_text().split("\n")[line] == "elsewhere"
    assert stage.hook("held/x.txt").code == 1


def test_pairs_of_configuration_in_the_environment_are_part_of_the_key(stage: Stage) -> None:
    """As containers and coding agents' programs set them: as fast as without, and each pair counts."""
    pairs = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.pager", "GIT_CONFIG_VALUE_0": "cat"}
    assert stage.hook("free.txt", **pairs).code == 0
    python = stage.repository.path / ".git/guard/python"
    before = python.read_text()
    python.write_text("/nowhere\n/nowhere\n/nowhere\n")
    assert stage.hook("free.txt", PATH="/usr/bin:/bin", **pairs).code == 0
    other = {**pairs, "GIT_CONFIG_VALUE_0": "less"}
    assert stage.hook("free.txt", PATH="/usr/bin:/bin", **other).code == 3
    python.write_text(before)
    off = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "guard.mode", "GIT_CONFIG_VALUE_0": "off"}
    assert stage.hook("held/x.txt", **off).code == 0
    assert stage.hook("held/x.txt", **pairs).code == 1


@pytest.mark.parametrize("place", ["HOME", "GUARD_PROJECT", "XDG_CONFIG_HOME"])
def test_a_tab_in_a_value_is_never_taken_for_the_end_of_a_variable(stage: Stage, place: str) -> None:
    """What is published for this environment serves no environment in which a value holds a tab."""
    assert stage.hook("free.txt", GIT_CONFIG_NOSYSTEM="1").code == 0
    python = stage.repository.path / ".git/guard/python"
    python.write_text("/nowhere\n/nowhere\n/nowhere\n")
    env = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"}
    assert stage.hook("free.txt", **env).code == 0
    assert stage.hook("free.txt", **env, **{place: f"{os.environ['HOME']}\t=x"}).code == 3
