"""What a hook starts is counted, and does not grow; what its Python loads is listed.

The installed hooks run with nothing on PATH but a ``git`` and a ``python`` that record their arguments and then become
the real ones: whatever else a hook tried to start would not be found, and its absence would show in the verdict.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from guard.stores import freshness
from guard.stores.interface import Actor, Terms, Wanted
from guard.stores.sqlite import SqliteStore
from guard.union.contents import ONE_FILE_MAX
from guard.union.renewal import renew
from tests.support import strace
from tests.support.databases import connected
from tests.support.event_cases import blamed, play, settle
from tests.support.repositories import Done, age
from tests.support.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIT = shutil.which("git") or "git"
CAT = shutil.which("cat") or "cat"
HOOKS = ("pre-commit", "pre-merge-commit", "pre-push")
QUICK = {
    "commit": ["git check-ignore", "git diff-index"],
    "merge": ["git check-ignore", "git diff-index", "git diff-index"],
    "push": ["cat", "git check-ignore", "git log"],
}
"""What a clear verdict takes. Of a push, cat shows that the list of what is pushed was read to its end."""
FULL = {
    "commit": sorted([*QUICK["commit"], "python judge", "git config", "git diff-index", "git rev-parse"]),
    "push": sorted([*QUICK["push"], "python judge", "git config", "git log", "git log"]),
}
"""What a verdict in Python takes."""
SAID = {"commit": ["git diff-index", "git rev-parse"], "push": []}
"""What it takes to find next steps that work: is there a commit yet, and what was renamed?"""

FREE = {
    "commit": "date +%N >free.txt; git commit -qam m",
    "merge": "git checkout -qb side main^; date +%N >src/b.py; git commit -qanm m; git checkout -q main; "
    "git merge -q --no-edit side",
    "push": "date +%N >free.txt; git commit -qanm m; git push -q origin main",
}
HELD = {
    "commit": "date +%N >held/x.txt; git commit -qam m",
    "push": "date +%N >held/x.txt; git commit -qanm m; git push -q origin main",
}
verbs = pytest.mark.parametrize("verb", list(QUICK))
refusable = pytest.mark.parametrize("verb", list(HELD))


@dataclass(frozen=True)
class Counter:
    """The stage, with hooks whose starts of other programs are recorded."""

    stage: Stage

    @property
    def _log(self) -> Path:
        return self.stage.home / "started"

    def prepare(self) -> None:
        stubs = self.stage.home / "stubs"
        stubs.mkdir()
        python = self.stage.repository.path / ".git/guard/python"
        real, rest = python.read_text().split("\n", 1)
        record = f'#!/bin/sh\nIFS="\037"\nprintf "%s\\n" "NAME\037$*" >>{self._log}\nexec REAL "$@"\n'
        for name, program in (("git", GIT), ("cat", CAT), ("python", real), ("python3", real)):
            (stubs / name).write_text(record.replace("NAME", name).replace("REAL", program))
            (stubs / name).chmod(0o755)
        python.write_text(f"{stubs / 'python'}\n{rest}")
        hooks = self.stage.repository.path / ".git/hooks"
        (hooks / "installed").mkdir()
        for name in HOOKS:
            (hooks / name).rename(hooks / "installed" / name)
            (hooks / name).write_text(f'#!/bin/sh\nPATH={stubs}\nexec "${{0%/*}}/installed/{name}" "$@"\n')
            (hooks / name).chmod(0o755)

    def started(self, script: str, **env: str) -> list[str]:
        """What the hooks started while a script ran, sorted: "git log", "python judge"."""
        done = self.last(script, **env)
        assert done.code in (0, 1) and ("refused" in done.text) == done.code, done.text
        return sorted(_short(line) for line in self._log.read_text().splitlines())

    def last(self, script: str, **env: str) -> Done:
        self._log.write_text("")
        return play(self.stage.repository, script, env=env)


def _short(line: str) -> str:
    program, *words = line.split("\037")
    if program == "cat":
        return program
    if program != "git":
        return f"{program} {next((each for each in ('judge', 'untouched', 'publish') if each in words), words)}"
    while words[0].startswith("-"):
        words = words[2:] if words[0] in ("-c", "-C") else words[1:]
    return f"git {words[0]}"


_kept: list[Path] = []


@pytest.fixture
def counter(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Counter:
    """Fresh for bob, with a remote."""
    made = Counter(stage)
    if not _kept:
        script = "git init -q --bare --template= $HOME/remote.git; git remote add origin $HOME/remote.git; "
        assert play(stage.repository, script + "git push -q --no-verify -u origin main").code == 0
        settle(stage.repository)
        made.prepare()
        _kept.append(tmp_path_factory.mktemp("counting") / "base")
        shutil.copytree(stage.base, _kept[0], symlinks=True)
    shutil.rmtree(stage.base)
    shutil.copytree(_kept[0], stage.base, symlinks=True)
    return made


# How many


@verbs
def test_nothing_is_started_when_nobody_else_has_reserved(counter: Counter, verb: str) -> None:
    counter.stage.repository.guard("release", "--all", who="alice")
    assert counter.started(FREE[verb]) == []
    assert counter.started("date +%N >held/x.txt; git commit -qam m; git push -q origin HEAD:new") == []


def test_a_quiet_hook_leaves_what_is_much_to_cat(counter: Counter) -> None:
    counter.stage.repository.guard("release", "--all", who="alice")
    branches = 'seq 2000 | sed "s|.*|create refs/heads/branch& $(git rev-parse HEAD)|" | git update-ref --stdin; '
    assert counter.started(branches + "git push -q --dry-run --all origin") == ["cat"]


@verbs
def test_nothing_is_started_when_only_i_have_reserved(counter: Counter, verb: str) -> None:
    counter.stage.repository.guard("release", "--all", who="alice")
    counter.stage.repository.guard("reserve", "held", who="bob")
    assert counter.started(FREE[verb]) == []


@verbs
def test_nothing_is_started_when_switched_off(counter: Counter, verb: str) -> None:
    counter.started("git commit -q --allow-empty -m m", GUARD_MODE="off")
    assert counter.started(FREE[verb], GUARD_MODE="off") == []


@pytest.mark.parametrize("push", ["git push -q origin main", "git push -q origin :refs/heads/old"])
def test_no_git_is_started_when_no_commit_is_pushed(counter: Counter, push: str) -> None:
    assert counter.started("git push -q --no-verify origin main:old; " + push) == ["cat"]


@verbs
def test_a_few_gits_and_no_python_for_a_clear_verdict(counter: Counter, verb: str) -> None:
    assert counter.started(FREE[verb]) == QUICK[verb]


@verbs
def test_one_python_then_a_few_gits_after_the_store_has_changed(counter: Counter, verb: str) -> None:
    with connected(counter.stage.store) as connection:  # a program that knows nothing of unions
        connection.execute("UPDATE reservation SET reason = 'another'")
    assert counter.started(FREE[verb]) == sorted([*QUICK[verb], "python publish"])
    assert counter.started("git commit -q --allow-empty -m m") == QUICK["commit"]


def test_the_configuration_is_asked_for_once_after_it_has_changed(counter: Counter) -> None:
    age(counter.stage.repository.path / ".git/config", 7200)
    assert counter.started(FREE["commit"]) == sorted([*QUICK["commit"], "git config", "python publish"])
    assert counter.started(FREE["push"]) == QUICK["push"]


def expected(verb: str, *, refused: bool) -> list[str]:
    return sorted(FULL[verb] + SAID[verb]) if refused else QUICK[verb]


@refusable
def test_a_refusal(counter: Counter, verb: str) -> None:
    assert counter.started(HELD[verb]) == sorted(FULL[verb] + SAID[verb])


@refusable
@pytest.mark.parametrize("setting", ["GUARD_SKIP=1", "GUARD_ON_ERROR=allow"])
def test_a_setting_for_conflicts_starts_nothing_more(counter: Counter, verb: str, setting: str) -> None:
    name, _, value = setting.partition("=")
    refused = "SKIP" not in name
    assert counter.started(HELD[verb], **{name: value}) == sorted(FULL[verb] + (SAID[verb] if refused else []))


# Does it grow


def commits(count: int, path: str) -> str:
    """A script that commits so many changes of a path, quickly."""
    return (
        f"{{ for n in $(seq {count}); do "
        "printf 'commit refs/heads/main\\ncommitter B <b@b> %s +0000\\ndata 1\\nm\\n' $n; "
        "[ $n -gt 1 ] || echo from refs/heads/main^0; "
        f"printf 'M 100644 inline {path}\\ndata %s\\n%s\\n' ${{#n}} $n; done; }} | git fast-import --quiet --force; "
        "git reset -q --hard; "
    )


PUSH = "git push -q origin main"
GROWN: dict[str, tuple[str, Callable[[int, str], str], list[int]]] = {
    "commits": ("push", lambda count, path: commits(count, path) + PUSH, [1, 200]),
    "refs": (
        "push",
        lambda count, path: (
            commits(count, path)
            + f"for n in $(seq {count}); do git branch new$n main~$((n - 1)); done; git push -q --all origin"
        ),
        [1, 10],
    ),
    "merges": (
        "push",
        lambda count, path: (
            f"for n in $(seq {count}); do git checkout -qb side$n main; mkdir -p {path}$n; "
            f"echo $n >{path}$n/x; git add -A; git commit -qnm m; git checkout -q main; "
            "git merge -q --no-verify --no-ff --no-edit side$n; done; " + PUSH
        ),
        [1, 10],
    ),
    "paths": (
        "commit",
        lambda count, path: (
            f"mkdir -p {path}s; for n in $(seq {count}); do echo $n >{path}s/$n; done; git add -A; git commit -qm m"
        ),
        [1, 300],
    ),
}


@pytest.mark.parametrize("path", ["free", "held/x"])
@pytest.mark.parametrize("what", list(GROWN))
def test_it_does_not_grow_with(counter: Counter, what: str, path: str) -> None:
    verb, script, counts = GROWN[what]
    for count in counts:
        counter.stage.restore()
        shutil.rmtree(counter.stage.base)
        shutil.copytree(_kept[0], counter.stage.base, symlinks=True)
        assert counter.started(script(count, path)) == expected(verb, refused=path.startswith("held"))


@pytest.mark.parametrize("count", [1, 500, ONE_FILE_MAX - 1])
def test_it_does_not_grow_with_reservations(counter: Counter, count: int) -> None:
    reserve_many(counter, count)
    for verb in ("commit", "push"):
        assert counter.started(FREE[verb]) == QUICK[verb]
    script = "mkdir module0; date +%N >module0/x.py; git add -A; git commit -m m"
    assert counter.started(script) == expected("commit", refused=True)
    assert blamed(counter.last(script.replace("mkdir module0; ", ""))) == ["module0/x.py"]


def test_among_many_reservations_one_python_matches(counter: Counter) -> None:
    reserve_many(counter, ONE_FILE_MAX + 1)
    counter.started(FREE["commit"])  # so many are left to the next hook, which publishes them
    assert counter.started(FREE["commit"]) == ["git diff-index", "python untouched"]
    script = "mkdir module0; date +%N >module0/x.py; git add -A; git commit -m m"
    assert blamed(counter.last(script)) == ["module0/x.py"]


def reserve_many(counter: Counter, count: int) -> None:
    stage = counter.stage
    store = SqliteStore(str(stage.store), patience_s=10)
    terms = Terms(exclusive=True, reason="", ttl_ms=3_600_000, fold=False, shorten=False)
    wanted = [Wanted(b"/module%d/*.py" % number, b"") for number in range(count)]
    assert store.reserve(Actor(stage.project, "alice", "someone@here"), wanted, terms).reservations
    renew(store)
    store.close()


# Not even a fork


@pytest.mark.skipif(bool(strace.why_not()), reason=strace.why_not())
@pytest.mark.parametrize("event", HOOKS)
def test_a_quiet_hook_is_one_process(stage: Stage, event: str) -> None:
    repository = stage.repository
    repository.guard("release", "--all", who="alice")
    strace_ = shutil.which("strace") or ""
    done = subprocess.run(
        [strace_, "-f", "-e", "trace=%process", str(repository.path / ".git/hooks" / event), "origin", "address"],
        cwd=repository.path,
        env={"GUARD_AGENT": "bob", "HOME": str(stage.home), "GIT_CONFIG_NOSYSTEM": "1", "PATH": "/nowhere"},
        input=b"",
        capture_output=True,
        check=True,
    )
    calls = re.findall(rb"^(?:\[pid +\d+\] )?(\w+)\(", done.stderr, re.MULTILINE)
    assert set(calls) <= {b"execve", b"arch_prctl", b"exit_group"}, done.stderr
    assert calls.count(b"execve") == 1, done.stderr


def system_calls(stage: Stage, event: str) -> list[str]:
    """The names of the system calls of an installed hook that starts no other process."""
    log = stage.base.parent / "calls.log"
    done = subprocess.run(
        [shutil.which("strace") or "", "-qq", "-o", str(log), str(stage.repository.path / ".git/hooks" / event)],
        cwd=stage.repository.path,
        env={"GUARD_AGENT": "bob", "HOME": str(stage.home), "GIT_CONFIG_NOSYSTEM": "1", "PATH": "/nowhere"},
        input=b"",
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    return re.findall(r"^(\w+)\(", log.read_text(errors="replace"), re.MULTILINE)


QUIET_CALLS_AT_MOST = {"pre-commit": 100, "pre-merge-commit": 100, "pre-push": 110}
"""System calls of a quiet hook, besides reading. Of them 46 are those of a sh that does nothing."""
QUIET_READS_AT_MOST = {"pre-commit": 5, "pre-merge-commit": 5, "pre-push": 8}
"""Reads, besides those of the names of the boot and the host, which sh reads byte by byte."""


@pytest.mark.skipif(bool(strace.why_not()), reason=strace.why_not())
@pytest.mark.skipif(os.path.basename(os.path.realpath("/bin/sh")) != "dash", reason="the numbers are those of dash")
@pytest.mark.parametrize("event", HOOKS)
def test_a_quiet_hook_makes_few_system_calls(stage: Stage, event: str, figure: Callable[[str], None]) -> None:
    stage.repository.guard("release", "--all", who="alice")
    calls = system_calls(stage, event)
    reads = calls.count("read")
    named = len(freshness.boot() + b"\n" + freshness.host() + b"\n")
    figure(f"{event}: {len(calls)} system calls, {reads} of them reads")
    assert reads <= named + QUIET_READS_AT_MOST[event]
    assert len(calls) - reads <= QUIET_CALLS_AT_MOST[event]


# What Python loads

REFRESH_OURS = {
    *("guard", "guard.events", "guard.hook", "guard.lock", "guard.model", "guard.record", "guard.words"),
    "guard.system",
    *(
        "guard.patterns",
        "guard.patterns.grammar",
        "guard.union",
        "guard.union.contents",
        "guard.union.publication",
        "guard.union.publish",
        "guard.union.published",
        "guard.union.patterns",
        "guard.union.script",
        "guard.union.slot",
    ),
    *(
        "guard.repo",
        "guard.repo.defaults",
        "guard.repo.diverted",
        "guard.repo.git",
        "guard.repo.place",
        "guard.repo.settings",
        "guard.repo.tracking",
        "guard.repo.variables",
    ),
    "guard.repo.known_settings",
    "guard.repo.standpoint",
    *("guard.stores", "guard.stores.choose", "guard.stores.freshness", "guard.stores.interface"),
    *("guard.stores.kinds", "guard.stores.sqlite_kind", "guard.stores.sqlite_open", "guard.stores.sqlite_rows"),
    *("guard.stores.sqlite_union", "guard.stores.sqlite_versions"),
    *("guard.stores.agent_mail", "guard.stores.agent_mail.kind"),
    *("guard.stores.postgres", "guard.stores.postgres.kind"),
    *("guard.stores.sqlite", "guard.stores.sqlite_file"),
}
VERDICT_OURS = {
    *REFRESH_OURS,
    *("guard.repo.changes", "guard.repo.published", "guard.repo.situation", "guard.union.renewal"),
    *("guard.judge", "guard.patterns.match", "guard.refusal"),
    *("guard.stores.sqlite_log", "guard.stores.sqlite_search", "guard.stores.sqlite_writing"),
}
REFRESH_STANDARD = {
    *("__future__", "_collections", "_collections_abc", "_functools", "_operator", "_sqlite3", "_stat", "collections"),
    *("fcntl", "functools", "gc", "genericpath", "itertools", "keyword", "operator", "os", "posixpath", "reprlib"),
    *("stat", "types", "_types", "errno", "_blake2", "marshal", "contextvars", "_contextvars"),
}
"""What may be loaded besides what every Python loads; each costs less than a millisecond."""
FOR_COMMANDS = {"argparse", "asyncio", "click", "json", "logging", "platformdirs", "pygit2", "subprocess"}
"""What not even the verdict may load; of pathspec's own imports none is among them."""


def loaded(counter: Counter, script: str) -> dict[str, set[str]]:
    """The modules that each stage of the hook's Python loaded while a script ran."""
    stub = counter.stage.home / "stubs/python"
    started = stub.read_text()
    times = counter.stage.home / "loaded"
    program = started.splitlines()[-1].split()[1]
    stub.write_text(
        started.replace(
            f"exec {program}", f"exec 2>>{times}\nprintf '= %s\\n' \"$7\" >&2\nexec {program} -X importtime"
        )
    )
    play(counter.stage.repository, script)
    stages: dict[str, set[str]] = {}
    for line in times.read_text().splitlines():
        if line.startswith("= "):
            current = stages.setdefault(line[2:], set())
        elif line.startswith("import time:"):
            current.add(line.rpartition("|")[2].strip())
    bare = subprocess.run([program, "-I", "-S", "-X", "importtime", "-c", "pass"], capture_output=True, check=True)
    always = {line.rpartition("|")[2].strip() for line in bare.stderr.decode().splitlines()}
    return {name: modules - always for name, modules in stages.items()}


def test_matching_many_patterns_loads_the_matcher_alone(counter: Counter) -> None:
    reserve_many(counter, ONE_FILE_MAX + 1)
    counter.started(FREE["commit"])
    untouched = loaded(counter, FREE["commit"])["untouched"]
    assert ours(untouched) == {"guard", "guard.union", "guard.union.large", "guard.union.patterns"}
    assert untouched - ours(untouched) <= {"__future__", "_blake2", "gc", "marshal"}


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "guard"}


def test_the_refresh_loads_a_short_list(counter: Counter) -> None:
    age(counter.stage.repository.path / ".git/config", 7200)
    refresh = loaded(counter, FREE["commit"])["publish"]
    assert ours(refresh) == REFRESH_OURS
    assert refresh - REFRESH_OURS <= REFRESH_STANDARD


@pytest.mark.parametrize("verb", list(HELD))
def test_the_verdict_loads_the_matcher_and_nothing_for_commands(counter: Counter, verb: str) -> None:
    counter.stage.repository.guard("reserve", "src/*.py", "held/**/*.t?t", who="alice")
    verdict = loaded(counter, HELD[verb].replace("date", "date >src/b.py; date"))["judge"]
    assert ours(verdict) == VERDICT_OURS
    assert {name.partition(".")[0] for name in verdict} & FOR_COMMANDS == set()
    assert "pathspec" in verdict
