"""Installing, situation by situation, through real git: in force or told what to do, and out again without a trace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.foreign_hooks import (
    CONFIGURED,
    EVENTS,
    NEWER_GIT,
    assert_commit_refused,
    assert_in_force,
    assert_not_in_force,
    assert_refused,
    codes,
    hook,
    picture,
    ran,
    reserve,
    status,
    to_add,
    version_of,
    with_git,
)
from tests.support.repositories import Done, Repository, run

# Situations


def plain(tmp: Path) -> Repository:
    return Repository.make(tmp / "repo")


def without_hooks_directory(tmp: Path) -> Repository:
    return Repository.make(tmp / "repo", "--template=")


def with_foreign_hooks(tmp: Path) -> Repository:
    made = plain(tmp)
    for event in EVENTS:
        hook(made.git_dir / "hooks" / event)
    return made


def linked_worktree(tmp: Path) -> Repository:
    return plain(tmp).worktree(tmp / "linked", "work")


def linked_worktree_of_a_bare_one(tmp: Path) -> Repository:
    plain(tmp).git("clone", "-q", "--bare", ".", str(tmp / "bare.git"))
    return Repository(tmp / "bare.git").worktree(tmp / "linked", "work")


def submodule(tmp: Path) -> Repository:
    inner = Repository.make(tmp / "inner")
    outer = Repository.make(tmp / "outer")
    outer.git("submodule", "--quiet", "add", str(inner.path), "sub")
    return Repository(outer.path / "sub")


def separate_git_directory(tmp: Path) -> Repository:
    return Repository.make(tmp / "repo", f"--separate-git-dir={tmp / 'elsewhere.git'}")


def sha256(tmp: Path) -> Repository:
    return Repository.make(tmp / "repo", "--object-format=sha256")


def partial_clone(tmp: Path) -> Repository:
    source = plain(tmp)
    source.git("config", "uploadpack.allowFilter", "true")
    source.git("clone", "-q", "--filter=blob:none", f"file://{source.path}", str(tmp / "partial"))
    return Repository(tmp / "partial")


def odd_name(tmp: Path) -> Repository:
    return Repository.make(tmp / "a $(b) 'c' \"d\" é")


def hooks_path_relative(tmp: Path) -> Repository:
    made = plain(tmp)
    made.git("config", "core.hooksPath", "my-hooks")
    return made


def hooks_path_in_home(tmp: Path) -> Repository:
    made = Repository.make(Path(os.environ["HOME"], "repo"))
    made.git("config", "core.hooksPath", "~/repo/.git/others")
    return made


def hooks_path_absolute(tmp: Path) -> Repository:
    made = plain(tmp)
    made.git("config", "core.hooksPath", str(made.path / ".git" / "team-hooks"))
    hook(made.path / ".git" / "team-hooks" / "pre-commit")
    return made


def hooks_path_in_another_worktree(tmp: Path) -> Repository:
    made = plain(tmp)
    made.git("config", "core.hooksPath", str(made.path / "my-hooks"))
    return made.worktree(tmp / "linked", "work")


def hooks_path_per_worktree(tmp: Path) -> Repository:
    linked = linked_worktree(tmp)
    linked.git("config", "extensions.worktreeConfig", "true")
    linked.git("config", "--worktree", "core.hooksPath", "own-hooks")
    return linked


def hooks_path_global_but_relative(tmp: Path) -> Repository:
    made = plain(tmp)
    made.git("config", "--global", "core.hooksPath", ".local-hooks")
    return made


def hooks_path_tracked(tmp: Path) -> Repository:
    made = plain(tmp)
    made.commit(".githooks/commit-msg", "#!/bin/sh\n")
    made.git("config", "core.hooksPath", ".githooks")
    return made


WORKS = (
    plain,
    without_hooks_directory,
    with_foreign_hooks,
    linked_worktree,
    linked_worktree_of_a_bare_one,
    submodule,
    separate_git_directory,
    sha256,
    partial_clone,
    odd_name,
    hooks_path_relative,
    hooks_path_in_home,
    hooks_path_absolute,
    hooks_path_in_another_worktree,
    hooks_path_per_worktree,
    hooks_path_global_but_relative,
    hooks_path_tracked,
)


@pytest.mark.parametrize("situation", WORKS, ids=lambda situation: situation.__name__)
def test_in_force_and_gone_without_a_trace(situation: Callable[[Path], Repository], tmp_path: Path) -> None:
    made = situation(tmp_path / "work")
    assert_not_in_force(made)
    kept = _hooks_of(made)
    before = picture(*kept)

    assert b"nstalled" in made.guard("install").out or CONFIGURED
    assert status(made)["problems"] == []
    assert_in_force(made)
    once = picture(*kept)
    made.guard("install")
    assert picture(*kept) == once

    made.guard("uninstall")
    assert picture(*kept) == before
    assert not (made.common_dir / "guard").exists()
    assert not (made.git_dir / "guard").exists()
    assert_not_in_force(made)
    assert made.guard("uninstall", expect=1).out == b""


def _hooks_of(made: Repository) -> list[Path]:
    """All that install may touch outside of its own directory."""
    work = next(parent for parent in (made.path, *made.path.parents) if parent.name in ("work", "home"))
    hooks = [path for path in work.rglob("*hooks") if path.is_dir()]
    named = made.git("config", "--type=path", "--get", "core.hooksPath", expect=None).out.decode().strip()
    return [
        *hooks,
        made.common_dir / "hooks",
        made.common_dir / "config",
        Path(os.environ["HOME"], ".gitconfig"),
        *([made.path / named] if named else []),
    ]


# Not guard's to write to


def hooks_path_global(tmp: Path) -> tuple[Repository, Path]:
    made = plain(tmp)
    machine = hook(tmp / "machine" / "pre-commit").parent
    made.git("config", "--global", "core.hooksPath", str(machine))
    return made, machine


def hooks_path_outside(tmp: Path) -> tuple[Repository, Path]:
    made = plain(tmp)
    outside = hook(tmp / "outside" / "pre-commit").parent
    made.git("config", "core.hooksPath", str(outside))
    return made, outside


def hooks_directory_links_outside(tmp: Path) -> tuple[Repository, Path]:
    made = plain(tmp)
    outside = hook(tmp / "outside" / "pre-commit").parent
    shutil.rmtree(made.path / ".git" / "hooks")
    (made.path / ".git" / "hooks").symlink_to(outside)
    return made, outside


def hook_tracked(tmp: Path) -> tuple[Repository, Path]:
    made = plain(tmp)
    for event in EVENTS:
        hook(made.path / ".githooks" / event)
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "hooks")
    made.git("config", "core.hooksPath", ".githooks")
    return made, made.path / ".githooks"


@dataclass(frozen=True)
class NotOurs:
    make: Callable[[Path], tuple[Repository, Path]]
    says: str


NOT_OURS = (
    NotOurs(hooks_path_global, "is every repository's, by core.hooksPath (global)"),
    NotOurs(hooks_path_outside, "is outside this repository, and others may use it"),
    NotOurs(hooks_directory_links_outside, "is outside this repository, and others may use it"),
    NotOurs(hook_tracked, "is committed, and everybody's"),
)


@pytest.mark.skipif(CONFIGURED, reason="this git runs configured hooks, which the next test shows")
@pytest.mark.parametrize("situation", NOT_OURS, ids=lambda situation: situation.make.__name__)
def test_what_is_not_guards_is_not_touched_but_the_line_works(situation: NotOurs, tmp_path: Path) -> None:
    made, directory = situation.make(tmp_path / "work")
    before = picture(directory)

    said = made.guard("install", expect=1)
    assert situation.says in said.text
    assert picture(directory) == before
    assert codes(made) == {"line-missing"}
    lines = to_add(made.guard("install", "--json", expect=1))
    assert set(lines) == set(EVENTS)
    for event in EVENTS:
        file = directory / event
        old = file.read_bytes().partition(b"\n")[2] if file.exists() else b""
        line = lines[event].encode() + b"\n"
        hook(file, b"#!/bin/sh\n" + (line + old if event == "pre-push" else old + line))

    made.git("commit", "-q", "-n", "-a", "--allow-empty", "-m", "the lines")

    made.guard("install")
    assert status(made)["problems"] == []
    assert_in_force(made)
    made.guard("uninstall")
    assert_not_in_force(made)


def test_an_empty_hooks_path_is_explained(tmp_path: Path) -> None:
    made = plain(tmp_path)
    (made.path / "file").touch()
    for nowhere in ("", "/dev/null", "file/hooks"):
        made.git("config", "core.hooksPath", nowhere)
        said = made.guard("install", expect=0 if CONFIGURED else 1).text
        if CONFIGURED:
            assert_in_force(made)
            made.guard("uninstall")
        else:
            assert "where no hooks are run" in said
            assert "git config --local --unset core.hooksPath" in said
            assert codes(made) == {"no-hooks-directory"}


def test_outside_a_repository_is_wrong_usage(tmp_path: Path) -> None:
    for command in ("install", "uninstall"):
        assert "git init" in Repository(tmp_path).guard(command, expect=2).text


def test_a_bare_repository_is_guarded_when_others_push_to_it(tmp_path: Path) -> None:
    source = plain(tmp_path)
    bare = Repository(tmp_path / "bare.git")
    source.git("clone", "-q", "--bare", ".", str(bare.path))
    before = picture(bare.path)
    bare.guard("install")
    assert [each.name for each in (bare.path / "hooks").iterdir() if not each.name.endswith(".sample")] == [
        "pre-receive"
    ]
    bare.guard("uninstall")
    assert picture(bare.path) == before


def test_worktrees_share_what_one_of_them_installed(tmp_path: Path) -> None:
    main = plain(tmp_path)
    one, two = main.worktree(tmp_path / "one", "one"), main.worktree(tmp_path / "two", "two")
    one.guard("install")
    assert not (one.git_dir / "hooks").exists()
    for made in (main, one, two):
        assert_in_force(made)
        assert (made.git_dir / "guard" / "unions").is_dir()
    two.guard("uninstall")
    assert not list(main.git_dir.rglob("guard"))


# Hooks of somebody else's

BYTES = b"#!/bin/sh\n# caf\xe9 \xff\xfe\nprintf 'ran\\n' >>\"$HOME/ran\"\n"
PYTHON = f"#!{sys.executable}\nimport os\nopen(os.environ['HOME'] + '/ran', 'a').write('ran\\n')\n"


def _foreign(path: Path, kind: str) -> None:
    if kind == "sh":
        hook(path, "#!/bin/sh\nprintf 'ran\\n' >>\"$HOME/ran\"\n")
    elif kind == "without a first line":
        hook(path, "printf 'ran\\n' >>\"$HOME/ran\"\n")
    elif kind == "python":
        hook(path, PYTHON)
    elif kind == "bytes":
        hook(path, BYTES)
    elif kind == "odd mode":
        hook(path, "#!/bin/sh\nprintf 'ran\\n' >>\"$HOME/ran\"\n", mode=0o4711)
    elif kind == "binary":
        shutil.copy(shutil.which("true") or "/bin/true", path)
    elif kind == "not executable":
        hook(path, mode=0o644)
    elif kind == "link":
        hook(path.parent.parent.parent / "scripts" / "check", "#!/bin/sh\nprintf 'ran\\n' >>\"$HOME/ran\"\n")
        path.symlink_to("../../scripts/check")
    elif kind == "dangling link":
        path.symlink_to("../../nothing")
    elif kind == "directory":
        path.mkdir()


RUN = ("sh", "without a first line", "python", "bytes", "odd mode", "link")


@pytest.mark.parametrize("kind", [*RUN, "binary", "not executable", "dangling link", "directory"])
def test_a_foreign_hook_is_kept_run_and_put_back(kind: str, tmp_path: Path) -> None:
    made = plain(tmp_path)
    _foreign(made.git_dir / "hooks" / "pre-commit", kind)
    tops = (made.git_dir / "hooks", made.path / "scripts", made.git_dir / "config")
    before = picture(*tops)

    made.guard("install")
    linked = picture(made.path / "scripts")
    assert linked == {path: about for path, about in before.items() if path in linked}, "written through the link"
    made.commit("a.txt", "1\n", who="bob")
    assert ran() == (["ran"] if kind in RUN else [])
    assert_commit_refused(made)
    made.guard("install")
    made.guard("uninstall")
    assert picture(*tops) == before


def test_a_hook_with_windows_line_ends_fails_as_it_did(tmp_path: Path) -> None:
    made = plain(tmp_path)
    hook(made.git_dir / "hooks" / "pre-commit", "#!/bin/sh\r\nexit 0\r\n")
    before = picture(made.git_dir / "hooks")
    was = made.commit("a.txt", "1\n", expect=None).code
    made.guard("install")
    assert made.commit("a.txt", "2\n", expect=None).code == was
    made.guard("uninstall")
    assert picture(made.git_dir / "hooks") == before


def test_arguments_environment_and_input_reach_a_kept_hook(tmp_path: Path) -> None:
    made = plain(tmp_path)
    (tmp_path / "remote.git").mkdir()
    Repository(tmp_path / "remote.git").git("init", "-q", "--bare")
    hooks = made.git_dir / "hooks"
    log = "#!/bin/sh\n{ printf '[%s]' \"$@\"; pwd; env | grep -v '^_=' | sort; cat; } >>\"$HOME/NAME.$LOG\"\n"
    for event in ("pre-commit", "pre-push"):
        hook(hooks / event, log)
    logs = []
    for name in ("before", "after"):
        env = {"LOG": name, "GUARD_AGENT": "bob"}
        made.commit("a.txt", f"{name}\n")
        made.git("branch", "-f", "other")
        if name == "after":
            made.guard("install")
            reserve(made)
        made.git("commit", "-q", "--allow-empty", "-m", "x", env=env)
        made.git("push", "-q", "-f", str(tmp_path / "remote.git"), "HEAD~1:refs/heads/main", "other", env=env)
        made.git("push", "-q", str(tmp_path / "remote.git"), "HEAD~1:refs/heads/main", env=env)  # nothing to push
        home = Path(os.environ["HOME"])
        text = "".join((home / f"{event}.{name}").read_text() for event in ("pre-commit", "pre-push"))
        text = re.sub(r"\b[0-9a-f]{40}\b", lambda oid: "0" if not oid[0].strip("0") else "oid", text)
        logs.append(re.sub(rf"(LOG={name}|GIT_AUTHOR_DATE=.*)\n", "", text))
    assert "refs/heads/other" in logs[0]
    before, after = (text.replace(" 0\n", " oid\n") for text in logs)  # the second time the remote has them
    assert before == after


def test_a_kept_hooks_exit_code_counts(tmp_path: Path) -> None:
    made = plain(tmp_path)
    made.guard("install")
    for event, code in (("pre-commit", 7), ("pre-merge-commit", 8), ("pre-push", 9)):
        installed = made.git_dir / "hooks" / event
        hook(Path(f"{installed}.before-guard"), f"#!/bin/sh\nexit {code}\n")
        done = run([str(installed), "origin", "url"], cwd=made.path, env={"GUARD_AGENT": "bob"})
        assert done.code == code, done.text
    assert made.commit("a.txt", "1\n", expect=None).code == 1


def test_hooks_run_in_the_order_they_came_and_guard_last_on_a_commit(tmp_path: Path) -> None:
    made = plain(tmp_path)
    installed = made.git_dir / "hooks" / "pre-commit"
    for number in range(3):
        hook(installed, f'#!/bin/sh\nset -e\necho {number} >>"$HOME/ran"\n')
        made.guard("install")
    reserve(made)
    assert_refused(made.commit("src/auth/login.py", "1\n", who="bob", expect=None))
    assert ran() == ["0", "1", "2"]


def test_a_formatting_hook_cannot_carry_a_reserved_path_past_guard(tmp_path: Path) -> None:
    made = plain(tmp_path)
    hook(made.git_dir / "hooks" / "pre-commit", "#!/bin/sh\necho x >>src/auth/login.py\ngit add src/auth/login.py\n")
    made.guard("install")
    reserve(made)
    assert_refused(made.commit("a.txt", "1\n", who="bob", expect=None))


def test_a_second_foreign_hook_does_not_destroy_the_first_kept_one(tmp_path: Path) -> None:
    made = plain(tmp_path)
    installed = made.git_dir / "hooks" / "pre-commit"
    first = picture(hook(installed, '#!/bin/sh\nset -e\necho first >>"$HOME/ran"\n'))
    made.guard("install")
    os.unlink(installed)
    hook(installed, '#!/bin/sh\nset -e\necho second >>"$HOME/ran"\n')
    assert codes(made) == {"overwritten"}
    second = picture(installed)
    made.guard("install")
    made.commit("a.txt", "1\n", who="bob")
    assert ran() == ["first", "second"]

    said = made.guard("uninstall")
    assert picture(installed) == second
    assert list(picture(Path(f"{installed}.before-guard")).values()) == list(first.values())
    assert "pre-commit.before-guard is a hook that was kept; it stays there" in said.text


def test_uninstall_leaves_alone_what_has_replaced_guards_hook(tmp_path: Path) -> None:
    made = plain(tmp_path)
    installed = made.git_dir / "hooks" / "pre-commit"
    hook(installed, "#!/bin/sh\necho first\n")
    made.guard("install")
    os.unlink(installed)
    hook(installed, "#!/bin/sh\necho second\n")
    before = picture(installed, Path(f"{installed}.before-guard"))
    made.guard("uninstall")
    assert picture(installed, Path(f"{installed}.before-guard")) == before


def test_a_killed_install_is_completed_by_the_next(tmp_path: Path) -> None:
    """Between keeping a hook and replacing it, it has both names."""
    made = plain(tmp_path)
    installed = hook(made.git_dir / "hooks" / "pre-commit")
    before = picture(made.git_dir / "hooks", made.git_dir / "config")
    os.link(installed, f"{installed}.before-guard")
    made.guard("install")
    assert not Path(f"{installed}.before-guard.2").exists()
    made.commit("a.txt", "1\n", who="bob")
    assert ran() == ["pre-commit ran"]
    made.guard("uninstall")
    assert picture(made.git_dir / "hooks", made.git_dir / "config") == before

    os.link(installed, f"{installed}.before-guard")  # and killed even before guard's own was there
    made.guard("uninstall", expect=None)
    assert picture(made.git_dir / "hooks", made.git_dir / "config") == before


def test_many_installs_at_once_keep_a_hook_once(tmp_path: Path) -> None:
    made = plain(tmp_path)
    hook(made.git_dir / "hooks" / "pre-commit")
    before = picture(made.git_dir / "hooks", made.git_dir / "config")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "guard", "install"]
    running = [subprocess.Popen(command, cwd=made.path, env=env, stdout=subprocess.DEVNULL) for _ in range(6)]
    for process in running:
        process.wait(60)
    made.guard("install")  # one of them may have found git's configuration locked, and said so
    assert codes(made) == set()
    made.commit("a.txt", "1\n", who="bob")
    assert ran() == ["pre-commit ran"]
    made.guard("uninstall")
    assert picture(made.git_dir / "hooks", made.git_dir / "config") == before


def test_a_guard_that_was_kept_by_mistake_does_not_start_itself_for_ever(tmp_path: Path) -> None:
    made = plain(tmp_path)
    made.guard("install")
    for name in ("pre-commit.before-guard", "pre-commit.before-guard.2"):
        shutil.copy(made.git_dir / "hooks" / "pre-commit", made.git_dir / "hooks" / name)
    made.commit("a.txt", "1\n", who="bob")
    assert_commit_refused(made)


def test_an_interpreter_in_a_worktree_that_goes_is_foretold_and_named(tmp_path: Path) -> None:
    main = plain(tmp_path)
    linked = main.worktree(tmp_path / "linked", "work")
    run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=linked.path)
    libraries = [str(Path(__file__).parent.parent), *(path for path in sys.path if "site-packages" in path)]
    env = {"PYTHONPATH": os.pathsep.join(libraries)}
    python = linked.path / ".venv" / "bin" / "python"
    said = run([str(python), "-m", "guard", "install"], cwd=linked.path, env=env)
    assert said.code == 0, said.text
    assert f"hooks will start {python}, which goes when this worktree goes" in said.text
    assert_commit_refused(main)
    main.git("worktree", "remove", "--force", str(linked.path))
    assert codes(main) == {"interpreter-gone"}
    assert f"is gone: {python}" in main.commit("a.txt", "1\n", who="bob", expect=1).text
    main.guard("install")
    assert_commit_refused(main)


def test_a_hook_that_runs_what_lies_beside_it_finds_it(tmp_path: Path) -> None:
    made = plain(tmp_path)
    hooks = made.git_dir / "hooks"
    hook(hooks / "lib.sh", 'echo beside >>"$HOME/ran"\n', mode=0o644)
    hook(hooks / "pre-commit", '#!/bin/sh\n. "$(dirname "$0")/lib.sh"\n')
    made.guard("install")
    made.commit("a.txt", "1\n", who="bob")
    assert ran() == ["beside"]


def test_a_file_of_the_same_name_in_the_repository_is_no_hook(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "repo", files={"pre-commit": "not a hook\n", "pre-push": "neither\n"})
    made.guard("install")
    made.guard("uninstall")
    assert not [path for path in (made.git_dir / "hooks").iterdir() if path.suffix != ".sample"]


CHAIN_RUNNER = """\
#!/usr/bin/env python3
# mcp-agent-mail chain-runner (pre-commit)
import subprocess, sys
from pathlib import Path
log = open(Path.home() / "ran", "a")
log.write("chain\\n")
log.close()
orig = Path(__file__).parent / "pre-commit.orig"
sys.exit(subprocess.run([str(orig), *sys.argv[1:]]).returncode if orig.exists() else 0)
"""


@pytest.mark.parametrize("first", ["guard", "the other"])
def test_mcp_agent_mails_chain_runner_and_guard_in_either_order(first: str, tmp_path: Path) -> None:
    """It moves the hook it finds to NAME.orig, and runs it from there."""
    made = plain(tmp_path)
    installed = made.git_dir / "hooks" / "pre-commit"
    foreign = hook(installed)
    was = list(picture(foreign).values())
    if first == "guard":
        made.guard("install")
    installed.rename(f"{installed}.orig")
    hook(installed, CHAIN_RUNNER)
    if first == "the other":
        made.guard("install")
        os.replace(installed, f"{installed}.orig")  # it installs itself again, and destroys the first
        hook(installed, CHAIN_RUNNER)
    assert codes(made) == set()
    made.commit("a.txt", "1\n", who="bob")
    assert sorted(ran()) == ["chain", "pre-commit ran"]
    assert_commit_refused(made)
    made.guard("install")
    made.guard("uninstall")
    assert list(picture(Path(f"{installed}.orig")).values()) == was
    assert installed.read_text() == CHAIN_RUNNER
    assert not list(installed.parent.glob("*guard*"))


@pytest.mark.skipif(CONFIGURED, reason="this git runs configured hooks, so the hook can stay where it is")
def test_a_hook_that_goes_by_its_name_keeps_it(tmp_path: Path) -> None:
    made = plain(tmp_path)
    by_name = '#!/bin/sh\n. "$(dirname -- "$0")/all.sh"\n'
    hook(made.git_dir / "hooks" / "all.sh", 'case $(basename "$0") in pre-commit) ;; esac\n', mode=0o644)
    installed = hook(made.git_dir / "hooks" / "pre-commit", by_name)
    before = picture(installed)
    said = made.guard("install", expect=1)
    assert "looks at the name it is started under" in said.text
    assert picture(installed) == before
    lines = to_add(made.guard("install", "--json", expect=1))["pre-commit"]
    hook(installed, f"{installed.read_text()}{lines}\n")
    made.guard("install")
    assert_in_force(made)


@pytest.mark.skipif(CONFIGURED, reason="this git runs configured hooks")
def test_a_tracked_push_hook_that_reads_the_refs_still_gets_them(tmp_path: Path) -> None:
    made = plain(tmp_path)
    hooks = made.path / ".githooks"
    hook(hooks / "pre-push", '#!/bin/sh\ncat >>"$HOME/ran"\n')
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "hooks")
    made.git("config", "core.hooksPath", ".githooks")
    lines = to_add(made.guard("install", "--json", expect=1))
    assert set(lines) == {"pre-push"}
    hook(hooks / "pre-push", f'#!/bin/sh\n{lines["pre-push"]}\ncat >>"$HOME/ran"\n')
    made.git("commit", "-q", "-n", "-a", "-m", "the lines")
    made.guard("install")
    assert_in_force(made)
    sent = [line.split()[0] for line in ran()]
    assert sent == ["HEAD", "HEAD"], ran()


# Hooks that their owners write anew

LINT, LINT_2, FIXED = (
    '#!/bin/sh\necho lint >>"$HOME/ran"\n',
    "#!/bin/sh\nexit 1\n",
    '#!/bin/sh\necho fixed >>"$HOME/ran"\n',
)
MARKED = '#!/bin/sh\n\nif [ "$SKIP_SIMPLE_GIT_HOOKS" = "1" ]; then\n    exit 0\nfi\n\n{} >>"$HOME/ran"\n'
OWN = '#!/bin/sh\nset -e\necho {} >>"$HOME/ran"\n'

ANEW: dict[str, tuple[list[str], list[str]]] = {
    "the same again": ([LINT, LINT, LINT], ["lint"]),
    "another command": ([LINT, LINT, LINT_2, FIXED], ["fixed"]),
    "with a mark": ([MARKED.format("echo one"), MARKED.format("echo two")], ["two"]),
    "with a mark, and back": (
        [MARKED.format("echo one"), MARKED.format("echo two"), MARKED.format("echo one")],
        ["one"],
    ),
    "beside one that a person wrote": ([OWN.format("own"), LINT, FIXED], ["own", "fixed"]),
    "two programs": ([LINT, MARKED.format("echo two"), FIXED], ["two", "fixed"]),
    "two that persons wrote": ([OWN.format("a"), OWN.format("b"), OWN.format("b")], ["a", "b"]),
}


@pytest.mark.parametrize("case", ANEW)
def test_a_hook_that_is_written_anew_is_kept_once(case: str, tmp_path: Path) -> None:
    hooks, expected = ANEW[case]
    made = plain(tmp_path)
    installed = made.git_dir / "hooks" / "pre-commit"
    for text in hooks:
        if installed.exists():
            os.unlink(installed)
        hook(installed, text)
        made.guard("install")
    made.guard("install")
    made.commit("a.txt", "1\n", who="bob")
    assert ran() == expected
    assert len(list(installed.parent.glob("pre-commit.before-guard*"))) <= len(set(hooks)) + 1
    made.guard("uninstall")
    assert installed.read_text() == hooks[-1]


# Several Pythons


def test_every_python_that_installs_is_noted_once_and_the_newest_first(tmp_path: Path) -> None:
    made = plain(tmp_path)
    made.guard("install")
    file = made.git_dir / "guard" / "python"
    own = file.read_text()
    container = "/opt/container/venv/bin/python\n/opt/container\n/opt/container/lib\n"
    file.write_text(container)
    made.guard("install")
    assert file.read_text() == own + container
    made.guard("install")
    assert file.read_text() == own + container
    file.write_text(container + own)
    assert codes(made) == set()
    assert_commit_refused(made)
    file.write_text("".join(f"/{number}/python\n/{number}\n/{number}\n" for number in range(20)))
    made.guard("install")
    assert len(file.read_text().splitlines()) == 8 * 3
    assert file.read_text().startswith(own)


# Where nothing can be written or run


def test_a_linked_hooks_directory_is_answered_with_advice_that_helps(tmp_path: Path) -> None:
    made, outside = hooks_directory_links_outside(tmp_path / "work")
    if CONFIGURED:
        pytest.skip("this git runs configured hooks: no advice is needed")
    for _ in range(3):
        said = made.guard("install", expect=1).text
        advice = re.search(r"it then runs only those: (git config core\.hooksPath \S+), then: guard install", said)
        assert advice, said
        made.git(*advice[1].split()[1:])
        if made.guard("install", expect=None).code == 0:
            break
    assert codes(made) == set()
    assert_in_force(made)
    assert [path.name for path in outside.iterdir()] == ["pre-commit"]


def test_a_file_system_that_runs_nothing_is_named(tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    done = run(["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(mounted)], cwd=tmp_path)
    if done.code:
        pytest.skip(f"nothing can be mounted here: {done.text.strip()}")
    try:
        made = Repository.make(mounted / "repo")
        made.guard("install", expect=None)
        if not CONFIGURED:
            assert codes(made) == {"noexec"}
            assert f"sudo mount -o remount,exec {mounted}" in made.guard("status").text
            assert "noexec" in made.guard("install", expect=1).text
            assert run(["mount", "-o", "remount,exec", str(mounted)], cwd=tmp_path).code == 0
            made.guard("install")
        assert codes(made) == set()
        assert_in_force(made)
    finally:
        run(["umount", str(mounted)], cwd=tmp_path)


def _with_bounded_rights(made: Repository, *words: str) -> Done:
    """Runs guard so that a read-only directory is one, also for root."""
    drop = "--bounding-set=-dac_override,-dac_read_search"
    rights = ["setpriv", drop] if os.geteuid() == 0 else []
    env = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return run([*rights, sys.executable, "-m", "guard", *words], cwd=made.path, env=env)


@pytest.mark.parametrize("place", ["hooks", "."])
@pytest.mark.skipif(CONFIGURED, reason="this git runs configured hooks")
def test_a_read_only_directory_is_named_with_a_repair_that_repairs(place: str, tmp_path: Path) -> None:
    made = plain(tmp_path)
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root writes into every directory, and setpriv is not installed")
    (made.git_dir / place).chmod(0o555)
    done = _with_bounded_rights(made, "install")
    assert done.code == 1, done.text
    repair = re.search(r"chmod u\+rwx \S+", done.text)
    assert repair, done.text
    run(["sh", "-c", repair[0]], cwd=made.path)
    done = _with_bounded_rights(made, "install")
    assert done.code == 0, done.text
    assert_commit_refused(made)


@pytest.mark.parametrize("place", ["hooks", "guard"])
def test_a_directory_that_may_not_be_read_is_not_taken_for_an_empty_one(place: str, tmp_path: Path) -> None:
    """An uninstall that cannot see the hooks would leave them, and they would stop every commit."""
    made = plain(tmp_path)
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root reads every directory, and setpriv is not installed")
    made.guard("install")
    shut = made.git_dir / place
    shut.chmod(0)
    repairs = set()
    for words in (["install"], ["uninstall"], ["status", "--check"]):
        done = _with_bounded_rights(made, *words)
        assert done.code == 1, done.text
        assert f"this account may not read {shut}\n" in done.text
        repairs |= set(re.findall(r"chmod u\+rwx \S+", done.text))
    assert "guard" in os.listdir(made.git_dir)
    (repair,) = repairs
    run(["sh", "-c", repair], cwd=made.path)
    assert _with_bounded_rights(made, "status", "--check").code == 0
    assert _with_bounded_rights(made, "uninstall").code == 0
    assert not [name for name in os.listdir(made.git_dir / "hooks") if not name.endswith(".sample")]
    assert "guard" not in os.listdir(made.git_dir)


# What status finds, and what repairs it


def _overwritten(made: Repository) -> None:
    os.unlink(made.git_dir / "hooks" / "pre-commit")
    hook(made.git_dir / "hooks" / "pre-commit")


def _removed(made: Repository) -> None:
    os.unlink(made.git_dir / "hooks" / "pre-push")


def _not_executable(made: Repository) -> None:
    (made.git_dir / "hooks" / "pre-commit").chmod(0o644)


def _outdated(made: Repository) -> None:
    installed = made.git_dir / "hooks" / "pre-commit"
    installed.write_text(installed.read_text().replace("# guard hook 2:", "# guard hook 1:"))


def _altered(made: Repository) -> None:
    installed = made.git_dir / "hooks" / "pre-commit"
    installed.write_text(installed.read_text() + "# more\n")


def _moved_aside(made: Repository) -> None:
    installed = made.git_dir / "hooks" / "pre-commit"
    installed.rename(f"{installed}.old")


def _hooks_path_moved(made: Repository) -> None:
    made.git("config", "core.hooksPath", "other-hooks")


def _data_missing(made: Repository) -> None:
    os.unlink(made.git_dir / "guard" / "python")


def _data_torn(made: Repository) -> None:
    (made.git_dir / "guard" / "python").write_text("/usr/bin/python3\n/usr/lib")


def _interpreter_gone(made: Repository) -> None:
    _change_line(made, 0, "/nowhere/bin/python")


def _guard_gone(made: Repository) -> None:
    _change_line(made, 1, "/nowhere")


def _library_gone(made: Repository) -> None:
    _change_line(made, 2, "/nowhere")


def _change_line(made: Repository, number: int, text: str) -> None:
    file = made.git_dir / "guard" / "python"
    lines = file.read_text().splitlines()
    lines[number] = text
    file.write_text("\n".join(lines) + "\n")


def _mode_off(made: Repository) -> None:
    made.git("config", "guard.mode", "off")


def _mode_warn(made: Repository) -> None:
    made.git("config", "guard.mode", "warn")


PROBLEMS = {
    "overwritten": _overwritten,
    "not-installed": _removed,
    "not-executable": _not_executable,
    "outdated": _outdated,
    "altered": _altered,
    "moved-aside": _moved_aside,
    "hooks-path-moved": _hooks_path_moved,
    "data-missing": _data_missing,
    "data-missing (torn)": _data_torn,
    "interpreter-gone": _interpreter_gone,
    "guard-gone": _guard_gone,
    "guard-broken": _library_gone,
    "mode-off": _mode_off,
    "mode-warn": _mode_warn,
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_status_names_it_and_its_repair_repairs_it(problem: str, tmp_path: Path) -> None:
    made = plain(tmp_path)
    made.guard("install")
    assert codes(made) == set()
    PROBLEMS[problem](made)
    assert codes(made) == {problem.partition(" ")[0]}
    said = made.guard("status", "--check", expect=1).text
    assert "NOT IN FORCE" in said
    problems = status(made)["problems"]
    assert isinstance(problems, list)
    for repair in {entry["repair"] for entry in problems}:
        assert repair in said
        program, *words = repair.split()
        (made.guard if program == "guard" else made.git)(*words)
    assert codes(made) == set()
    assert_commit_refused(made)


@pytest.mark.parametrize("problem", ["data-missing", "interpreter-gone", "guard-gone"])
def test_without_its_python_a_hook_stops_the_commit_and_says_why(problem: str, tmp_path: Path) -> None:
    made = plain(tmp_path)
    made.guard("install")
    PROBLEMS[problem](made)
    said = made.commit("a.txt", "1\n", who="bob", expect=1).text
    assert "cannot tell whether this commit touches" in said
    assert "guard install" in said


def test_status_in_a_repository_without_guard(tmp_path: Path) -> None:
    made = plain(tmp_path)
    assert codes(made) == {"not-installed"}
    assert "repair: guard install" in made.guard("status").text


def test_hooks_path_given_to_one_process_is_told(tmp_path: Path) -> None:
    made = plain(tmp_path)
    env = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": "/dev/null"}
    made.guard("install", env=env)
    assert codes(made, env=env) == {"hooks-path-overridden"}
    assert_in_force(made)


def test_a_newer_guards_hook_is_not_replaced(tmp_path: Path) -> None:
    made = plain(tmp_path)
    made.guard("install")
    installed = made.git_dir / "hooks" / "pre-commit"
    installed.write_text(installed.read_text().replace("# guard hook 2:", "# guard hook 3:"))
    assert codes(made) == {"newer"}
    assert "upgrade" in made.guard("install", expect=1).text
    assert "# guard hook 3:" in installed.read_text()


def test_moving_the_hooks_path_and_uninstalling_leaves_nothing(tmp_path: Path) -> None:
    made = plain(tmp_path)
    hook(made.git_dir / "hooks" / "pre-commit")
    before = picture(made.git_dir / "hooks", made.git_dir / "config")
    made.guard("install")
    made.git("config", "core.hooksPath", "other-hooks")
    made.guard("install")
    assert_in_force(made)
    made.git("config", "--unset", "core.hooksPath")
    made.guard("uninstall")
    after = picture(made.git_dir / "hooks", made.git_dir / "config")
    after[str(made.git_dir / "config")] = before[str(made.git_dir / "config")]
    assert after == before
    assert not list((made.path / "other-hooks").iterdir())


# The rest


def test_the_project_stays_when_a_remote_is_added(tmp_path: Path) -> None:
    made = plain(tmp_path)
    before = (made.git_dir / "config").read_bytes()
    made.guard("install", env={"GUARD_PROJECT": "only-now"})
    name = made.git("config", "guard.project").out.decode().strip()
    assert name == str(made.git_dir)
    made.git("remote", "add", "origin", "https://example.com/team/thing.git")
    assert status(made)["project"] == name
    made.git("remote", "remove", "origin")
    made.guard("uninstall")
    assert (made.git_dir / "config").read_bytes() == before


def test_a_project_set_by_the_user_is_left_to_them(tmp_path: Path) -> None:
    made = plain(tmp_path)
    made.git("config", "guard.project", "theirs")
    before = (made.git_dir / "config").read_bytes()
    made.guard("install")
    made.guard("uninstall")
    assert (made.git_dir / "config").read_bytes() == before


def test_in_a_shared_repository_everybody_can_run_the_hooks(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "repo", "--shared=group")
    old = os.umask(0o077)
    try:
        made.guard("install")
    finally:
        os.umask(old)
    for file in (made.git_dir / "hooks" / "pre-commit", made.git_dir / "guard" / "python", made.git_dir / "guard"):
        assert file.stat().st_mode & 0o040, file
    assert (made.git_dir / "hooks" / "pre-commit").stat().st_mode & 0o050 == 0o050


def test_nothing_of_this_machine_stands_in_a_hook(tmp_path: Path) -> None:
    made = hooks_path_tracked(tmp_path)
    made.guard("install")
    for file in (made.path / ".githooks").iterdir():
        text = file.read_bytes()
        assert str(tmp_path).encode() not in text
        assert os.path.dirname(sys.executable).encode() not in text


@pytest.mark.skipif(CONFIGURED, reason="this git runs configured hooks: nothing is put into a tracked directory")
def test_a_committed_hook_says_in_another_clone_that_guard_is_not_set_up(tmp_path: Path) -> None:
    made = hooks_path_tracked(tmp_path)
    made.guard("install")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "guard for everybody")
    made.git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    clone.git("config", "core.hooksPath", ".githooks")
    assert "NOT IN FORCE here" in clone.commit("a.txt", "1\n").text
    clone.guard("install")
    assert_in_force(clone)
    assert "git rm" in made.guard("uninstall").text
    assert (made.path / ".githooks" / "pre-commit").exists()


def test_a_repository_can_be_moved(tmp_path: Path) -> None:
    made = plain(tmp_path)
    hook(made.git_dir / "hooks" / "pre-commit")
    made.guard("install")
    moved = Repository(made.path.rename(tmp_path / "moved"))
    assert codes(moved) == set()
    assert_in_force(moved)
    moved.guard("uninstall")
    assert [path.name for path in (moved.git_dir / "hooks").iterdir() if "sample" not in path.name] == ["pre-commit"]


def test_uninstalling_in_a_copy_leaves_the_hooks_of_the_original(tmp_path: Path) -> None:
    made = plain(tmp_path)
    hook(made.git_dir / "hooks" / "pre-commit")
    made.guard("install")
    made.git("config", "core.hooksPath", "other-hooks")
    made.guard("install")
    before = picture(made.path)
    copy = Repository(shutil.copytree(made.path, tmp_path / "copy", symlinks=True))
    copy.guard("uninstall")
    assert picture(made.path) == before
    assert_in_force(made)
    assert not [path for path in copy.path.rglob("*") if path.name == "guard" or path.name.endswith(".before-guard")]


def test_status_in_a_copy_does_not_speak_of_the_hooks_of_the_original(tmp_path: Path) -> None:
    made = plain(tmp_path)
    made.guard("install")
    copy = Repository(shutil.copytree(made.path, tmp_path / "copy", symlinks=True))
    (copy.git_dir / "hooks" / "pre-commit").unlink()
    assert str(made.git_dir / "hooks") not in copy.guard("status", expect=None).text


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    made = plain(tmp_path)
    (made.git_dir / "guard").write_text("")
    said = made.guard("install", expect=1).text
    assert str(made.git_dir / "guard") in said


# Configured hooks, git 2.54 and later

needs_newer = pytest.mark.skipif(
    not (NEWER_GIT or CONFIGURED),
    reason="git 2.54 or later comes in no package registry for these tests; NEWER_GIT names the directory of one",
)


@needs_newer
@pytest.mark.parametrize("situation", NOT_OURS, ids=lambda situation: situation.make.__name__)
def test_where_another_owns_the_hooks_git_is_configured(situation: NotOurs, tmp_path: Path) -> None:
    env = with_git(NEWER_GIT)
    made, directory = situation.make(tmp_path / "work")
    tops = (directory, made.git_dir / "config", Path(os.environ["HOME"], ".gitconfig"))
    before = picture(*tops)
    made.guard("install", env=env)
    assert codes(made, env=env) == set()
    assert "through git's configuration" in made.guard("status", env=env).text
    assert_in_force(made, env=env)
    assert "pre-commit ran" in ran()
    configured = picture(*tops)
    made.guard("install", env=env)
    assert picture(*tops).keys() == configured.keys()
    made.guard("uninstall", env=env)
    after = picture(*tops)
    assert _without_times(after) == _without_times(before)
    made.commit("a.txt", "1\n")


def _without_times(found: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    return {path: (about[0], about[-1]) for path, about in found.items()}


HALVES = ("command", "event")


@needs_newer
@pytest.mark.parametrize("half", HALVES)
def test_half_a_configured_hook_is_named_and_repaired(half: str, tmp_path: Path) -> None:
    env = with_git(NEWER_GIT)
    made, _ = hooks_path_global(tmp_path / "work")
    made.guard("install", env=env)
    made.git("config", "--unset", f"hook.guard-pre-commit.{half}")
    assert codes(made, env=env) == {"half-configured"}
    broken = made.git("commit", "-q", "--allow-empty", "-m", "x", env=env, expect=None)
    assert broken.code == (128 if half == "command" else 0), broken.text
    made.guard("install", env=env)
    assert codes(made, env=env) == set()
    assert_in_force(made, env=env)
    made.git("config", "--unset", f"hook.guard-pre-commit.{half}")
    made.guard("uninstall", env=env)
    made.git("commit", "-q", "--allow-empty", "-m", "x", env=env)


@needs_newer
def test_a_disabled_configured_hook_is_named(tmp_path: Path) -> None:
    env = with_git(NEWER_GIT)
    made, _ = hooks_path_global(tmp_path / "work")
    made.guard("install", env=env)
    made.git("config", "hook.guard-pre-push.enabled", "false")
    assert codes(made, env=env) == {"disabled"}
    made.guard("install", env=env)
    assert codes(made, env=env) == set()
    made.git("config", "hook.pre-push.enabled", "false")  # since 2.55
    problems = status(made, env=env)["problems"]
    assert isinstance(problems, list)
    assert [problem["repair"] for problem in problems] == ["git config --unset hook.pre-push.enabled"]


@pytest.mark.skipif(not NEWER_GIT, reason="needs an old git and a new one")
def test_an_old_git_passes_over_configured_hooks_and_is_named(tmp_path: Path) -> None:
    made, _ = hooks_path_global(tmp_path / "work")
    made.guard("install", env=with_git(NEWER_GIT))
    assert codes(made) == {"git-too-old"}


def test_a_killed_install_never_leaves_the_event_without_the_command(tmp_path: Path) -> None:
    """The configuration as it is written, step by step, and its command run the way git-hook(1) documents.

    This needs no git that runs configured hooks, for it could not be had from a package registry everywhere.
    """
    made = plain(tmp_path)
    made.guard("install")
    program = (
        "import guard.repo.git, guard.install.configured as c\n"
        "run = guard.repo.git.run\n"
        "def traced(arguments, **rest):\n"
        "    done = run(arguments, **rest)\n"
        "    print(run(['config', '--get-regexp', r'^hook[.]'], accept=(0, 1)).decode(), end='--\\n')\n"
        "    return done\n"
        "guard.repo.git.run = traced\n"
        "[c.change(words, accept=accept) for words, accept in c.writing('pre-commit')]\n"
        "c.change(c.removing('pre-commit'))\n"
    )
    path = str(Path(__file__).parent.parent)
    done = run([sys.executable, "-c", program], cwd=made.path, env={"PYTHONPATH": path})
    assert done.code == 0, done.text
    states = done.out.decode().split("--\n")[:-1]
    command = 'hook.guard-pre-commit.command sh "$(git rev-parse --git-common-dir)/guard/hook" pre-commit\n'
    event = "hook.guard-pre-commit.event pre-commit\n"
    assert states == [command, command + event, command + event, ""]

    reserve(made)
    os.unlink(made.git_dir / "hooks" / "pre-commit")
    made.write("src/auth/login.py", "1\n")
    made.git("add", "-A")
    value = command.partition(" ")[2].strip()
    for where in (made, made.worktree(tmp_path / "linked", "linked")):
        where.write("src/auth/login.py", "1\n")
        where.git("add", "-A")
        env = {"GUARD_AGENT": "bob"}
        git_dir = {"GIT_DIR": str(where.git_dir)} if where is not made else {}
        done = run(["sh", "-c", f'{value} "$@"', value], cwd=where.path, env={**env, **git_dir})
        assert_refused(done)


def test_the_version_of_git_is_read_from_what_it_says() -> None:
    assert version_of("git") >= (2, 30)
    said = subprocess.run(["git", "--version"], capture_output=True, check=True).stdout
    assert said.startswith(b"git version ")


# Killed


CALLS = ("link,linkat", "rename,renameat,renameat2", "unlink,unlinkat", "write", "mkdir")


@pytest.mark.long
@pytest.mark.parametrize("verb", ["install", "uninstall"])
@pytest.mark.parametrize("calls", CALLS)
def test_killed_at_any_instant_nothing_is_lost(verb: str, calls: str, tmp_path: Path) -> None:
    """Killed at the first such system call, the second, and so on, until none is left to be killed at."""
    if not shutil.which("strace") or run(["strace", "-qq", "-e", "trace=none", "true"], cwd=tmp_path).code:
        pytest.skip("strace is not installed, or may not trace here")
    made = plain(tmp_path)
    hook(made.git_dir / "hooks" / "pre-commit", '#!/bin/sh\necho theirs >>"$HOME/ran"\n')
    tops = (made.git_dir / "hooks", made.git_dir / "config")
    before = picture(*tops)
    env = {"PYTHONPATH": str(Path(__file__).parent.parent), "GUARD_AGENT": "bob"}
    for instant in range(1, 100):
        if verb == "uninstall":
            made.guard("install")
        kill = ["-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={instant}"]
        traced = ("strace", "-f", "-qq", "-o", os.devnull, *kill)
        killed = run((*traced, sys.executable, "-m", "guard", verb), cwd=made.path, env=env).code in (-9, 137)
        for lock in made.git_dir.glob("*.lock"):  # git's own, when it is git that was killed
            lock.unlink()
        for _ in range(2):
            theirs = len(ran())
            done = made.git("commit", "-q", "--allow-empty", "-m", "x", expect=None, env=env)
            assert ran()[theirs:] == ["theirs"], instant
            assert done.code == 0 or b"guard install" in done.err
            made.guard("install")
            assert codes(made) == set()
        made.guard("uninstall")
        assert picture(*tops) == before, instant
        if not killed:
            break
    assert instant < 99
