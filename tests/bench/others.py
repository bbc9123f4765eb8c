"""guard beside other hook managers, each with one job that does nothing, and beside git-lfs's pre-push.

They are fetched from PyPI, npm and Debian into the benchmark's own directory; one that cannot be had is named.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.rows import unpushed
from tests.bench.scene import Scene, others_patterns
from tests.bench.timing import in_turns, process_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.rows import Bench
    from tests.bench.timing import Run, Sample

    Say = Callable[[str], None]

_PRE_COMMIT = """\
repos:
  - repo: local
    hooks:
      - {id: nothing, name: nothing, entry: 'true', language: system, always_run: true, pass_filenames: false}
"""
_LEFTHOOK = "pre-commit:\n  jobs:\n    - run: 'true'\n"


_HEAD = (
    "50 staged files",
    *("the hook alone, median ms", "minimum ms", "× sh0"),
    *("git commit, median ms", "minimum ms", "more"),
)


@dataclass(frozen=True)
class Contender:
    """A repository with one kind of hook in it, and the environment in which its commands find their programs."""

    name: str
    scene: Scene
    env: dict[str, str]

    def hook_ms(self, event: str, *arguments: str, stdin: Path | None = None) -> float:
        return process_ms(
            (str(_hooks(self) / event), *arguments), env=self.env, cwd=self.scene.repo, stdin=stdin or os.devnull
        )

    def commit_ms(self) -> float:
        """`git commit` of the staged files, which are staged again first."""
        if self.scene.git("rev-list", "--count", "HEAD") != "1":
            self.scene.git("reset", "-q", "--soft", "HEAD~1")
        git = f"{self.env['GIT_EXEC_PATH']}/git"
        return process_ms((git, "commit", "-q", "-m", "x"), env=self.env, cwd=self.scene.repo)


def _hooks(contender: Contender) -> Path:
    return contender.scene.repo / contender.scene.git("rev-parse", "--git-path", "hooks")


def run(bench: Bench, say: Say) -> None:
    """Measures and prints two tables."""
    missing: list[str] = []
    contenders = [_plain(bench), _sh0(bench), *_guards(bench)]
    for make in (_pre_commit, _prek, _lefthook, _husky):
        try:
            contenders.append(make(bench))
        except (OSError, subprocess.SubprocessError) as error:
            missing.append(f"{make.__name__.strip('_').replace('_', '-')} is missing: {_why(error)}")
    _commits(bench, contenders, say)
    try:
        _pushes(bench, _git_lfs(bench), say)
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        missing.append(f"git-lfs is missing: {_why(error)}")
    for line in missing:
        say(f"\n{line}")


def _commits(bench: Bench, contenders: Sequence[Contender], say: Say) -> None:
    hooked = contenders[1:]
    alone = in_turns(*(_alone(contender) for contender in hooked), runs=bench.runs)
    commits = in_turns(*(contender.commit_ms for contender in contenders), runs=bench.runs)
    say(f"\n| {' | '.join(_HEAD)} |")
    say("|---|---:|---:|---:|---:|---:|---:|")
    for number, (contender, commit) in enumerate(zip(contenders, commits, strict=True)):
        hook = alone[number - 1] if number else None
        cells = ("–", "–", "–") if hook is None else (*_times(hook), f"{hook.median / alone[0].median:.1f}")
        more = f"+{commit.median - commits[0].median:.1f}" if number else "–"
        say(f"| {' | '.join((contender.name, *cells, *_times(commit), more))} |")


def _pushes(bench: Bench, lfs: Contender, say: Say) -> None:
    scene = bench.scene("guard-push", patterns=others_patterns(100))
    guard = Contender("guard, 100 reservations of others", scene, scene.hook_env())
    things: list[Run] = []
    for contender in (guard, lfs):
        lines, arguments = unpushed(contender.scene, commits=200)
        things.append(_pushing(contender, arguments, lines))
    say("\n| pre-push of 200 commits, none in the way | median ms | minimum ms |")
    say("|---|---:|---:|")
    for contender, sample in zip((guard, lfs), in_turns(*things, runs=bench.runs), strict=True):
        say(f"| {' | '.join((contender.name, *_times(sample)))} |")


def _alone(contender: Contender) -> Run:
    return lambda: contender.hook_ms("pre-commit")


def _pushing(contender: Contender, arguments: tuple[str, str], lines: Path) -> Run:
    return lambda: contender.hook_ms("pre-push", *arguments, stdin=lines)


def _times(sample: Sample) -> tuple[str, str]:
    return f"{sample.median:.1f}", f"{sample.minimum:.1f}"


# Contenders


def _bare(bench: Bench, name: str, *programs: Path) -> tuple[Scene, dict[str, str]]:
    """A repository without hooks, and a hook's environment in which some programs are found first."""
    scene = Scene.make(bench.place / name, guarded=False)
    env = scene.hook_env()
    del env["GIT_INDEX_FILE"]  # git sets it itself; a hook alone takes the repository's
    return scene, {**env, "PATH": ":".join([*map(str, programs), env["PATH"]])}


def _plain(bench: Bench) -> Contender:
    return Contender("no hook", *_bare(bench, "no-hook"))


def _sh0(bench: Bench) -> Contender:
    made = Contender("sh0: two lines of sh", *_bare(bench, "sh0-hook"))
    hook = _hooks(made) / "pre-commit"
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    return made


def _guards(bench: Bench) -> list[Contender]:
    made = []
    for name, count in (("guard, nothing reserved", 0), ("guard, 100 reservations of others", 100)):
        scene = bench.scene(f"guard{count}", patterns=others_patterns(count))
        scene.settle()
        env = scene.hook_env()
        del env["GIT_INDEX_FILE"]
        made.append(Contender(name, scene, env))
    return made


def _pypi(bench: Bench, package: str) -> Path:
    """Installs a package from PyPI into an environment of its own; returns the directory of its programs."""
    place = bench.place / f"{package}-venv"
    _do(sys.executable, "-m", "venv", str(place))
    _do(str(place / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", package)
    return place / "bin"


def _installed(bench: Bench, package: str, file: str, contents: str) -> Contender:
    """A manager from PyPI with its configuration, its hook installed by its own command."""
    programs = _pypi(bench, package)
    scene, env = _bare(bench, f"{package}-repo", programs)
    (scene.repo / file).write_text(contents)
    _do(str(programs / package), "install", cwd=scene.repo, env=env)
    version = _do(str(programs / package), "version" if package == "lefthook" else "--version", env=env)
    return Contender(f"{package} {_version(version)}", scene, env)


def _pre_commit(bench: Bench) -> Contender:
    return _installed(bench, "pre-commit", ".pre-commit-config.yaml", _PRE_COMMIT)


def _prek(bench: Bench) -> Contender:
    return _installed(bench, "prek", ".pre-commit-config.yaml", _PRE_COMMIT)


def _lefthook(bench: Bench) -> Contender:
    return _installed(bench, "lefthook", "lefthook.yml", _LEFTHOOK)


def _husky(bench: Bench) -> Contender:
    place = bench.place / "npm"
    place.mkdir()
    _do("npm", "install", "--silent", "--no-audit", "--no-fund", "husky", cwd=place)
    scene, env = _bare(bench, "husky-repo", place / "node_modules/.bin")
    _do(str(place / "node_modules/.bin/husky"), cwd=scene.repo, env=env)
    (scene.repo / ".husky/pre-commit").write_text("true\n")
    package = (place / "node_modules/husky/package.json").read_text()
    return Contender(f"husky {_version(package[package.index('version') :])}", scene, env)


def _git_lfs(bench: Bench) -> Contender:
    place = bench.place / "debian"
    place.mkdir()
    if shutil.which("git-lfs"):
        programs = Path(str(shutil.which("git-lfs"))).parent
    else:
        _do("apt-get", "download", "git-lfs", cwd=place)
        _do("dpkg", "-x", str(next(iter(place.glob("*.deb")))), str(place), cwd=place)
        programs = place / "usr/bin"
    scene, env = _bare(bench, "lfs-repo", programs)
    _do("git", "lfs", "install", "--local", cwd=scene.repo, env=env)
    return Contender(f"git-lfs {_version(_do('git', 'lfs', 'version', env=env))}", scene, env)


def _do(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True, text=True, timeout=300)
    return done.stdout


def _version(text: str) -> str:
    found = re.search(r"\d+\.\d+[.\d]*", text)
    return found[0] if found else ""


def _why(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    return said.strip().splitlines()[-1][:200]
