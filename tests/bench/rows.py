"""The rows of the table: each builds its scene, proves that it is the one it is named after, and measures.

The bounds are the contract's. A row's reference is measured in the same turns as the row.
"""

from __future__ import annotations

import functools
import re
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

from guard.patterns.match import Union
from guard.union.contents import ONE_FILE_MAX
from tests.bench.scene import (
    OTHER,
    Scene,
    crowded_patterns,
    guard_command,
    module,
    others_patterns,
    python,
    recorders,
)
from tests.bench.timing import Sample, call_ms, in_turns, process_ms
from tests.support.agent_mail import PYTHON, RUST, Mail, Server
from tests.support.repositories import age

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.timing import Run

NOISE = 1.05
"""What "no slower" allows for: two runs of the very same hook differ by as much."""


@dataclass(frozen=True)
class Row:
    """A case, what it is compared with, and the most it may take: times the reference's median, or in ms."""

    case: str
    sample: Sample
    at_most: float | None
    reference: str = ""
    against: Sample | None = None
    extra: bool = False
    """Not in the contract; shown because it says more."""

    @property
    def ratio(self) -> float | None:
        return None if self.against is None else self.sample.median / self.against.median

    @property
    def met(self) -> bool | None:
        """None where nothing was promised."""
        if self.at_most is None:
            return None
        return (self.sample.median if self.ratio is None else self.ratio) <= self.at_most


@dataclass(frozen=True)
class Bench:
    """Where scenes are built, and how many runs there are."""

    place: Path
    runs: int
    shell: str = "dash"
    """What /bin/sh is, by its name."""
    boot_id: bool = True
    """False as on a Mac: the hook has to start a process for the name of the boot."""

    def scene(self, name: str, *, staged: int = 50, patterns: list[str] | None = None) -> Scene:
        return Scene.make(self.place / name, staged=staged, patterns=patterns or ())

    def sh0(self) -> Run:
        """A hook that is two lines of sh and does nothing, started as a hook is."""
        hook = self.place / "sh0"
        hook.write_text("#!/bin/sh\nexit 0\n")
        hook.chmod(0o755)
        return lambda: process_ms((str(hook),), env={"PATH": "/usr/bin:/bin"}, cwd=self.place)

    def py0(self) -> Run:
        """A bare start of the real interpreter."""
        return lambda: process_ms((python(), "-I", "-S", "-c", "pass"), env={"PATH": "/usr/bin:/bin"}, cwd=self.place)


QUIET: list[str] = []
CLEAR = ["git", "git"]


def expect_started(found: list[str], wanted: list[str], what: str) -> None:
    """The state that is measured is the one that is named: said by the processes that the hook starts."""
    if found != wanted:
        raise RuntimeError(f"{what}: expected the hook to start {wanted}, it started {found}")


# Hooks


def quiet(bench: Bench) -> Iterator[Row]:
    scene = bench.scene("quiet")
    scene.settle()
    expect_started(scene.started(), QUIET, "nothing reserved")
    case = "pre-commit, nothing reserved by others"
    if bench.boot_id:
        hook, sh0 = in_turns(scene.hook_ms, bench.sh0(), runs=bench.runs)
        yield Row(case, hook, 1.5, "sh0", sh0)
    else:
        hook, py0 = in_turns(scene.hook_ms, bench.py0(), runs=bench.runs)
        yield Row(f"{case}, no boot id in /proc", hook, 0.4, "py0", py0)


def clear(bench: Bench) -> Iterator[Row]:
    scene = bench.scene("clear", patterns=others_patterns(100))
    for event in ("pre-commit", "pre-merge-commit"):
        scene.settle(event)
        expect_started(scene.started(event), CLEAR, f"{event}, 100 reservations")
    commit, merge, py0 = in_turns(
        scene.hook_ms, lambda: scene.hook_ms("pre-merge-commit"), bench.py0(), runs=bench.runs
    )
    at_most = 0.9 if bench.boot_id or bench.shell == "dash" else 1.2
    yield Row("pre-commit, 100 reservations of others, none touched", commit, at_most, "py0", py0)
    yield Row("pre-merge-commit, the same", merge, at_most, "py0", py0)


def _many(bench: Bench, count: int, staged: int, at_most: float) -> Iterator[Row]:
    spread = bench.scene(f"spread{count}", staged=staged, patterns=others_patterns(count))
    crowded = bench.scene(f"crowded{count}", staged=staged, patterns=crowded_patterns(count))
    matched = CLEAR if count <= ONE_FILE_MAX else ["python", "git"]
    for scene in (spread, crowded):
        scene.settle()
        expect_started(scene.started(), matched, f"{count} reservations")
    first, second, py0 = in_turns(spread.hook_ms, crowded.hook_ms, bench.py0(), runs=bench.runs)
    yield Row(f"pre-commit, {count:,} reservations × {staged:,} staged paths, none touched", first, at_most, "py0", py0)
    yield Row("the same, files by name in the directories being changed", second, at_most, "py0", py0, extra=True)


def thousand(bench: Bench) -> Iterator[Row]:
    yield from _many(bench, 1_000, 50, 1.2)


def ten_thousand(bench: Bench) -> Iterator[Row]:
    yield from _many(bench, 10_000, 1_000, 2.0)


def stale(bench: Bench) -> Iterator[Row]:
    scene = bench.scene("stale", patterns=others_patterns(100))
    scene.settle()
    _expect_stale(scene)
    names = map("holder{}".format, range(1_000_000))
    hook, new, py0 = in_turns(
        lambda: stale_ms(scene), lambda: scene.hook_ms(holder=next(names)), bench.py0(), runs=bench.runs
    )
    yield Row("pre-commit, first one after another process changed the reservations", hook, 4.0, "py0", py0)
    yield Row("pre-commit, the very first one of a holder", new, None, "py0", py0, extra=True)


def _expect_stale(scene: Scene) -> None:
    scene.change_as_a_stranger()
    expect_started(scene.started(), ["python", *CLEAR], "a stale union")
    expect_started(scene.started(), CLEAR, "the hook after it")


def stale_ms(scene: Scene) -> float:
    scene.change_as_a_stranger()
    return scene.hook_ms()


def refusal(bench: Bench) -> Iterator[Row]:
    scene = refused_scene(bench, "refused")
    hook, py0 = in_turns(lambda: scene.hook_ms(expect=1), bench.py0(), runs=bench.runs)
    yield Row("pre-commit, a refusal with its message", hook, 10.0, "py0", py0)


def refused_scene(bench: Bench, name: str) -> Scene:
    held = f"/{module(7)}/part/file7.txt"
    scene = bench.scene(name, patterns=[*others_patterns(100), held])
    scene.settle()
    expect_started(scene.started()[:3], [*CLEAR, "python"], "a refusal")
    said = scene.run("git", "commit", "-q", "-m", "x", check=False).stderr
    if "commit refused" not in said or held not in said:
        raise RuntimeError(f"this is no refusal: {said}")
    return scene


def push(bench: Bench) -> Iterator[Row]:
    scene = bench.scene("push", patterns=others_patterns(100))
    lines, arguments = unpushed(scene, commits=200)
    scene.settle("pre-push", *arguments, stdin=lines)
    expect_started(scene.started("pre-push", *arguments, stdin=lines), CLEAR, "a push")
    log = ("git", "log", "--name-only", "origin/main..main")
    if scene.git(*log[1:]).count("commit ") < 200:
        raise RuntimeError("there are not 200 commits to push")
    git = f"{scene.hook_env()['GIT_EXEC_PATH']}/git"
    hook, py0, reference = in_turns(
        lambda: scene.hook_ms("pre-push", *arguments, stdin=lines),
        bench.py0(),
        lambda: process_ms((git, *log[1:]), env=scene.env(), cwd=scene.repo),
        runs=bench.runs,
    )
    yield Row(
        "pre-push of 200 commits, 100 reservations of others, none touched",
        hook,
        2.0,
        "one `git log --name-only` over them",
        reference,
    )
    yield Row("the same", hook, None, "py0", py0, extra=True)


def receive(bench: Bench) -> Iterator[Row]:
    """The same commits in the repository that they are pushed to: its hook, as git-receive-pack(1) starts it."""
    scene = bench.scene("receive", patterns=others_patterns(100))
    unpushed(scene, commits=200)
    remote, lines = scene.place / "remote.git", scene.place / "received"
    old, new = scene.git("rev-parse", "origin/main"), scene.git("rev-parse", "main")
    scene.git("push", "-q", "--no-verify", "origin", "main:refs/heads/waiting")
    scene.git("-C", str(remote), "update-ref", "-d", "refs/heads/waiting")
    scene.git("-C", str(remote), "config", "guard.project", scene.project())
    subprocess.run((*guard_command(), "install"), cwd=remote, env=scene.env(), check=True, capture_output=True)
    age(remote / "config")
    lines.write_text(f"{old} {new} refs/heads/main\n")
    env = {name: value for name, value in scene.hook_env().items() if name != "GIT_INDEX_FILE"} | {"GIT_DIR": "."}

    def hook_ms() -> float:
        return process_ms(("hooks/pre-receive",), env=env, cwd=remote, stdin=lines)

    hook_ms()
    with recorders(remote / "guard/python", scene.place / "recording", scene.place / "recorded"):
        recorded = {**env, "PATH": f"{scene.place / 'recording'}:{env['PATH']}"}
        for _ in range(2):
            (scene.place / "recorded").write_text("")
            process_ms(("hooks/pre-receive",), env=recorded, cwd=remote, stdin=lines)
        expect_started((scene.place / "recorded").read_text().split(), CLEAR, "a push that is received")
    hook_ms()
    log = (f"{env['GIT_EXEC_PATH']}/git", "log", "--name-only", f"{old}..{new}")
    hook, py0, reference = in_turns(
        hook_ms, bench.py0(), lambda: process_ms(log, env=scene.env(), cwd=remote), runs=bench.runs
    )
    case = "pre-receive of 200 commits, 100 reservations, none touched"
    yield Row(case, hook, 2.0, "one `git log --name-only` over them", reference)
    yield Row("the same", hook, None, "py0", py0, extra=True)


def unpushed(scene: Scene, *, commits: int) -> tuple[Path, tuple[str, str]]:
    """Commits that a bare remote does not have; what git gives the pre-push hook for them: its lines, its arguments."""
    remote = scene.place / "remote.git"
    scene.git("init", "-q", "--bare", str(remote))
    scene.git("remote", "add", "origin", str(remote))
    scene.git("push", "-q", "--no-verify", "origin", "main")
    scene.age_settings()
    scene.commit_many(commits)
    hook = scene.hooks / "pre-push"
    ours = hook.read_bytes()
    lines, named = scene.place / "pushed", scene.place / "named"
    hook.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{named}"\ncat >"{lines}"\n')
    scene.git("push", "-q", "--dry-run", "origin", "main")
    hook.write_bytes(ours)
    name, address = named.read_text().split("\n")[:2]
    return lines, (name, address)


def ended(bench: Bench) -> Iterator[Row]:
    """Each of three hooks, with and without 50,000 ended reservations in the store."""
    few = refused_or_clear(bench, "without")
    many = refused_or_clear(bench, "with")
    for scene in many:
        scene.add_ended(50_000)
        scene.settle()
    hooks: list[tuple[str, Callable[[Scene], float]]] = [
        ("pre-commit, none touched", lambda scene: scene.hook_ms()),
        ("pre-commit after another process changed the reservations", stale_ms),
        ("pre-commit, a refusal", lambda scene: scene.hook_ms(expect=1)),
    ]
    for number, (case, hook) in enumerate(hooks):
        with_, without = many[number // 2], few[number // 2]
        if number < 2:
            _expect_stale(with_)
        first, second = in_turns(functools.partial(hook, with_), functools.partial(hook, without), runs=bench.runs)
        yield Row(f"{case}, 50,000 ended reservations in the store", first, NOISE, "the same without them", second)


def refused_or_clear(bench: Bench, name: str) -> tuple[Scene, Scene]:
    clear_ = bench.scene(f"clear-{name}", patterns=others_patterns(100))
    clear_.settle()
    return clear_, refused_scene(bench, f"refused-{name}")


# In Python


def in_python(bench: Bench) -> Iterator[Row]:
    patterns = [pattern.encode() for pattern in others_patterns(100)]
    paths = [b"src/module%d/sub/file%d.py" % (2 * number, number) for number in range(50)]
    union = Union(patterns)

    def each_by_itself() -> int:
        re.purge()  # what an earlier turn compiled is not compiled again otherwise
        texts = [path.decode() for path in paths]
        return sum(sum(map(GitIgnoreSpec.from_lines([line.decode()]).match_file, texts)) for line in patterns)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(union.touched(paths)) == each_by_itself() == len(paths)
        together, apart = in_turns(
            lambda: call_ms(lambda: union.touched(paths)), lambda: call_ms(each_by_itself), runs=bench.runs
        )
    case = "in Python: 50 paths × 100 patterns, union built once"
    yield Row(case, together, 1 / 500, "compiling and matching each pattern", apart)
    yield Row(case, together, 0.05)
    yield from _thousand_on_ten_thousand(bench)


def _thousand_on_ten_thousand(bench: Bench) -> Iterator[Row]:
    patterns = [pattern.encode() for pattern in others_patterns(10_000)]
    paths = [b"src/module%d/sub/file%d.py" % (7 * number, number) for number in range(1_000)]
    union = Union(patterns)
    assert len(union.touched(paths)) == len(paths)
    warm, cold = in_turns(
        lambda: call_ms(lambda: union.touched(paths)), lambda: call_ms(lambda: Union(patterns)), runs=bench.runs
    )
    yield Row("in Python: 1,000 paths × 10,000 patterns, union built once", warm, 50.0)
    yield Row("building that union", cold, None, extra=True)


# Commands


def reserve(bench: Bench) -> Iterator[Row]:
    """`guard reserve` among few and among many, with a hook's union published for another holder."""
    few = bench.scene("among100", patterns=others_patterns(100))
    many = bench.scene("among10000", patterns=others_patterns(10_000))
    for scene in (few, many):
        scene.settle()
    first, second = in_turns(_reserving(many), _reserving(few), runs=bench.runs)
    yield Row("`guard reserve` among 10,000 active reservations", first, 1.5, "the same among 100", second)


def _reserving(scene: Scene) -> Run:
    """Reserves another path each time."""
    made = iter(range(1_000_000))
    return lambda: guard_ms(scene, "reserve", f"docs/page{next(made)}.md")


def guard_ms(scene: Scene, *arguments: str) -> float:
    command = guard_command()
    return process_ms((*command, *arguments), env=scene.env("carol"), cwd=scene.repo)


def commands(bench: Bench) -> Iterator[Row]:
    scene = bench.scene("commands", patterns=others_patterns(100))
    scene.settle()
    listing, reserving, checking, py0 = in_turns(
        lambda: guard_ms(scene, "list"),
        _reserving(scene),
        lambda: guard_ms(scene, "check"),
        bench.py0(),
        runs=bench.runs,
    )
    yield Row("`guard list`, 100 reservations", listing, 8.0, "py0", py0)
    yield Row("`guard reserve`, among 100", reserving, 8.0, "py0", py0)
    yield Row("`guard check` of 50 staged paths, 100 reservations", checking, 8.0, "py0", py0)


# Somebody else's database


def agent_mail(bench: Bench) -> Iterator[Row]:
    """The same hooks on a database of MCP Agent Mail's: at rest, and while its server writes all the time."""
    for kind in (PYTHON, RUST):
        scene = bench.scene(f"mail-{kind}")
        mail = Mail.make(scene.place / "mail.sqlite3", kind)
        mail.project(scene.repo)
        for pattern in others_patterns(100):
            mail.reserve(pattern.lstrip("/"), holder=OTHER)
        scene.git("config", "guard.db", str(mail.path))
        scene.age_settings()
        with Server(mail) as server:
            server.do("INSERT INTO messages (body) VALUES ('hello')")
            mail.settle()
            scene.settle()
            expect_started(scene.started(), CLEAR, f"100 reservations in the {kind} server's database, at rest")
            rest, py0 = in_turns(scene.hook_ms, bench.py0(), runs=bench.runs)
            yield Row(f"pre-commit, 100 reservations in Agent Mail ({kind}), its server at rest", rest, 0.9, "py0", py0)
        with Server(mail, busy_s=0.05):
            expect_started(scene.started(), ["python", *CLEAR], f"the {kind} server writes")
            busy, py0 = in_turns(scene.hook_ms, bench.py0(), runs=bench.runs)
            yield Row("the same, while its server writes twenty times a second", busy, 4.0, "py0", py0)


def agents(bench: Bench) -> Iterator[Row]:
    from tests.bench.agents import rows  # it takes Row from here

    yield from rows(bench)


def mcp(bench: Bench) -> Iterator[Row]:
    from tests.bench.mcp import rows  # it takes Row from here

    yield from rows(bench)


def server(bench: Bench) -> Iterator[Row]:
    from tests.bench.server import rows  # it takes Row from here

    yield from rows(bench)


def growth(bench: Bench) -> Iterator[Row]:
    from tests.bench.growth import rows  # it takes Row from here

    yield from rows(bench)


def leased(bench: Bench) -> Iterator[Row]:
    from tests.bench.leased import leased as rows  # it takes Row from here

    yield from rows(bench)


ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "quiet": quiet,
    "clear": clear,
    "thousand": thousand,
    "ten-thousand": ten_thousand,
    "stale": stale,
    "refusal": refusal,
    "push": push,
    "receive": receive,
    "ended": ended,
    "in-python": in_python,
    "reserve": reserve,
    "commands": commands,
    "agent-mail": agent_mail,
    "agents": agents,
    "mcp": mcp,
    "growth": growth,
    "server": server,
    "leased": leased,
}
