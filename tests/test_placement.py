"""Where the line that runs guard stands: after everything else for commits, before everything else for pushes."""

# ruff: noqa: E501 - the tables hold whole scripts

from __future__ import annotations

import shutil
import stat
import sys
from pathlib import Path

import pytest

from guard.events import NAMES
from guard.install import configured, generators, inforce, languages, managers, placement
from guard.repo.place import discover
from tests.support.repositories import PACKAGE, Repository, run

COMMIT = languages.shell_line("pre-commit")
MERGE = languages.shell_line("pre-merge-commit")
PUSH = languages.shell_line("pre-push")
READING_PUSH = languages.addition("pre-push", b"#!/bin/sh\ncat >/dev/null\n").lines

GOOD = {
    "alone": ("pre-commit", f"#!/bin/sh\n{COMMIT}\n"),
    "husky, no first line": ("pre-commit", f"npx lint-staged\n{COMMIT}\n"),
    "last": ("pre-commit", f"#!/bin/sh\nlint\nformat\n{COMMIT}\n"),
    "before a last exit": ("pre-commit", f"#!/bin/sh\nlint\n{COMMIT}\nexit 0\n"),
    "before a last exit with a status": ("pre-commit", f"#!/bin/sh\nlint\n{COMMIT}\nexit $status\n"),
    "before comments and blank lines": ("pre-commit", f"#!/bin/bash\nlint\n{COMMIT}\n\n# the end\n"),
    "last in a branch": ("pre-commit", f"#!/bin/sh\nif true; then\n    lint\n    {COMMIT}\nfi\n"),
    "exec of a redirection": ("pre-commit", f"#!/bin/sh\nexec 2>&1\nlint\n{COMMIT}\n"),
    "exit in a branch": ("pre-commit", f"#!/bin/sh\nif ! lint; then\n    exit 1\nfi\n{COMMIT}\n"),
    "the older line": ("pre-commit", f"#!/bin/sh\nlint\n{COMMIT.replace(' || exit; [', '; [')}\n"),
    "guard hook": ("pre-commit", "#!/bin/sh\nlint\nguard hook pre-commit || exit\n"),
    "another event's line after it": ("pre-commit", f"#!/bin/sh\nlint\n{COMMIT}\n# {MERGE}\n"),
    "merge": ("pre-merge-commit", f"#!/bin/sh\nlint\n{MERGE}\n"),
    "push first": ("pre-push", f"#!/bin/sh\n{PUSH}\nlint\n"),
    "push after settings": (
        "pre-push",
        f'#!/bin/sh\n# tests\nset -eu\nCI=1\n. "$(dirname "$0")/_/husky.sh"\n{PUSH}\nlint\n',
    ),
    "push that hands on": ("pre-push", f"#!/bin/sh\n{READING_PUSH}\ncat\n"),
    "python is not looked into": (
        "pre-commit",
        f"#!/usr/bin/env python3\n{languages.addition('pre-commit', b'#!python3').lines}\nx()\n",
    ),
    "no line": ("pre-commit", "#!/bin/sh\nlint\n"),
}
BAD = {
    "before a formatter": ("pre-commit", f"#!/bin/sh\n{COMMIT}\ngit add -A\n", "after guard"),
    "between": ("pre-commit", f"#!/bin/sh\nlint\n{COMMIT}\nformat\nexit 0\n", "after guard"),
    "before a loop": ("pre-commit", f"#!/bin/sh\n{COMMIT}\nfor x in a; do\n    format\ndone\n", "after guard"),
    "before lint-staged": ("pre-commit", f"{COMMIT}\nnpx lint-staged\n", "after guard"),
    "merge": ("pre-merge-commit", f"#!/bin/sh\n{MERGE}\nformat\n", "after guard"),
    "after exec": ("pre-commit", f"#!/bin/sh\nexec lint\n{COMMIT}\n", "exec or exit"),
    "after exit": ("pre-commit", f"#!/bin/sh\nlint\nexit 0\n{COMMIT}\n", "exec or exit"),
    "push last": ("pre-push", f"#!/bin/sh\nlint\n{PUSH}\n", "judged first"),
    "push after what reads": ("pre-push", f"#!/bin/sh\nrefs=$(cat)\nlint\n{PUSH}\n", "judged first"),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_good_place(case: str) -> None:
    event, text = GOOD[case]
    assert placement.in_script(text.encode(), event) == ""


@pytest.mark.parametrize("case", BAD)
def test_a_bad_place_is_named_and_where_a_command_can_move_the_line_it_does(case: str, tmp_path: Path) -> None:
    event, text, said = BAD[case]
    assert said in placement.in_script(text.encode(), event)
    file = tmp_path / "hooks" / "hook"
    file.parent.mkdir()
    file.write_text(text)
    file.chmod(0o755)
    command = placement.move_command(str(file), text.encode(), event)
    if not command:
        assert "exit 0" in text or "exec" in text or "refs=" in text
        return
    assert run(["sh", "-euc", command], cwd=tmp_path).text == ""
    assert placement.in_script(file.read_bytes(), event) == ""
    assert sorted(file.read_text().splitlines()) == sorted(text.splitlines())
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert [path.name for path in file.parent.iterdir()] == ["hook"]


# lefthook

GUARD_JOB = "    - name: guard\n      run: 'sh .git/guard/hook EVENT'\n"
JOB = "    - name: lint\n      run: lint\n"
TOML_GUARD = "[[EVENT.jobs]]\nname = 'guard'\nrun = 'sh .git/guard/hook EVENT'\n"
TOML_JOB = "[[EVENT.jobs]]\nname = 'lint'\nrun = 'lint'\n"
JSON = '{"EVENT": {"jobs": [%s], "parallel": %s}}'
JSON_GUARD, JSON_JOB = '{"run": "sh .git/guard/hook EVENT"}', '{"run": "lint"}'

LEFTHOOK: dict[str, tuple[str, list[tuple[str, str]], str]] = {
    "last": ("pre-commit", [("lefthook.yml", f"EVENT:\n  jobs:\n{JOB}{GUARD_JOB}")], ""),
    "first": ("pre-commit", [("lefthook.yml", f"EVENT:\n  jobs:\n{GUARD_JOB}{JOB}")], "after guard's"),
    "another event's jobs follow": (
        "pre-commit",
        [("lefthook.yml", f"EVENT:\n  jobs:\n{JOB}{GUARD_JOB}pre-push:\n  jobs:\n{JOB}")],
        "",
    ),
    "parallel": (
        "pre-commit",
        [("lefthook.yml", f"EVENT:\n  parallel: true\n  jobs:\n{JOB}{GUARD_JOB}")],
        "in parallel",
    ),
    "a parallel group before it": (
        "pre-commit",
        [
            (
                "lefthook.yml",
                f"EVENT:\n  jobs:\n    - group:\n        parallel: true\n        jobs:\n          - run: a\n{GUARD_JOB}",
            )
        ],
        "",
    ),
    "commands": (
        "pre-commit",
        [("lefthook.yml", f"EVENT:\n  jobs:\n{GUARD_JOB}  commands:\n    a:\n      run: a\n")],
        "commands or scripts",
    ),
    "scripts": (
        "pre-merge-commit",
        [("lefthook.yml", f"EVENT:\n  scripts:\n    a.sh:\n      runner: sh\n  jobs:\n{GUARD_JOB}")],
        "commands or scripts",
    ),
    "in the local file": (
        "pre-commit",
        [("lefthook.yml", f"EVENT:\n  jobs:\n{JOB}"), ("lefthook-local.yml", f"EVENT:\n  jobs:\n{GUARD_JOB}")],
        "",
    ),
    "before the local file's": (
        "pre-commit",
        [("lefthook.yml", f"EVENT:\n  jobs:\n{GUARD_JOB}"), ("lefthook-local.yml", f"EVENT:\n  jobs:\n{JOB}")],
        "after guard's",
    ),
    "push first": ("pre-push", [("lefthook.yml", f"EVENT:\n  jobs:\n{GUARD_JOB}{JOB}")], ""),
    "push last": ("pre-push", [("lefthook.yml", f"EVENT:\n  jobs:\n{JOB}{GUARD_JOB}")], "first job"),
    "toml last": ("pre-commit", [("lefthook.toml", TOML_JOB + TOML_GUARD)], ""),
    "toml first": ("pre-commit", [("lefthook.toml", TOML_GUARD + TOML_JOB)], "after guard's"),
    "json last": ("pre-commit", [("lefthook.json", JSON % (f"{JSON_JOB}, {JSON_GUARD}", "false"))], ""),
    "json first": ("pre-commit", [("lefthook.json", JSON % (f"{JSON_GUARD}, {JSON_JOB}", "false"))], "after guard's"),
    "json parallel": ("pre-commit", [("lefthook.json", JSON % (f"{JSON_JOB}, {JSON_GUARD}", "true"))], "in parallel"),
}


@pytest.mark.parametrize("case", LEFTHOOK)
def test_a_job_of_lefthook(case: str) -> None:
    event, files, said = LEFTHOOK[case]
    sections = [placement.section(name.encode(), text.replace("EVENT", event).encode(), event) for name, text in files]
    found = placement.in_lefthook(sections, event)
    assert said in found
    assert bool(said) == bool(found)


# pre-commit and prek

REPO = "repos:\n- repo: https://example.com/guard\n  rev: v1\n  hooks:\n"
OTHER = "- repo: local\n  hooks:\n  - id: lint\n    language: system\n"

FRAMEWORK = {
    "alone": ("pre-commit", f"{REPO}  - id: guard\n  - id: guard-merge\n  - id: guard-push\n", ""),
    "first": ("pre-commit", f"{REPO}  - id: guard\n{OTHER}", "lists lint after"),
    "last": ("pre-commit", f"repos:\n{OTHER}{REPO.partition(chr(10))[2]}  - id: guard\n", ""),
    "before one of pushes": ("pre-commit", f"{REPO}  - id: guard\n{OTHER}    stages: [pre-push]\n", ""),
    "before one of commits": ("pre-commit", f"{REPO}  - id: guard\n{OTHER}    stages: [commit]\n", "lists lint after"),
    "a list of stages": ("pre-commit", f"{REPO}  - id: guard\n{OTHER}    stages:\n    - pre-push\n    - manual\n", ""),
    "in one line": ("pre-commit", f"{REPO[:-1]} [{{id: guard}}]\n{OTHER}", "lists lint after"),
    "push first": ("pre-push", f"{REPO}  - id: guard-push\n{OTHER}", ""),
    "push last": ("pre-push", f"repos:\n{OTHER}{REPO.partition(chr(10))[2]}  - id: guard-push\n", "lists lint before"),
    "merge": ("pre-merge-commit", f"{REPO}  - id: guard-merge\n{OTHER}", "lists lint after"),
    "a comment": ("pre-commit", f"{REPO}  - id: guard\n  # - id: lint\n", ""),
    "prek's toml": (
        "pre-commit",
        "[[repos]]\nrepo = 'x'\nhooks = [{ id = 'guard' }, { id = 'lint' }]\n",
        "lists lint after",
    ),
}


@pytest.mark.parametrize("case", FRAMEWORK)
def test_an_id_of_pre_commits_framework(case: str) -> None:
    event, text, said = FRAMEWORK[case]
    found = placement.in_framework([text.encode()], event)
    assert said in found
    assert bool(said) == bool(found)


# Languages

INTERPRETERS = {
    "#!/bin/sh": "sh",
    "#!/usr/bin/env bash": "bash",
    "#!/usr/bin/env python3": "python",
    "#!/usr/bin/python3.11 -u": "python",
    "#!/usr/bin/env -S python3 -u": "python",
    "#!/usr/bin/env -S LC_ALL=C perl -w": "perl",
    "#! /usr/bin/perl": "perl",
    "#!/usr/bin/env ruby": "ruby",
    "#!/usr/bin/env node": "node",
    "#!/usr/bin/env nodejs": "nodejs",
    "#!/usr/bin/php": "php",
    "npx lint-staged": "sh",
    "": "sh",
    "\0\0ELF": "",
}


@pytest.mark.parametrize("first", INTERPRETERS)
def test_the_language_of_a_hook(first: str) -> None:
    assert languages.language(first.encode() + b"\nrest\n") == INTERPRETERS[first]


SCRIPTS = {
    "sh": ("#!/bin/sh\n", "cat", "echo went on\n"),
    "bash": ("#!/usr/bin/env bash\n", "cat", "echo went on\n"),
    "python": ("#!/usr/bin/env python3\n", "import sys; print(sys.stdin.read())", "print('went on')\n"),
    "perl": ("#!/usr/bin/env perl\n", "print <STDIN>;", 'print "went on\\n";\n'),
    "node": ("#!/usr/bin/env node\n", "process.stdout.write(refs.toString()) // stdin", "console.log('went on')\n"),
    "ruby": ("#!/usr/bin/env ruby\n", "puts STDIN.read", "puts 'went on'\n"),
    "php": ("#!/usr/bin/env php\n<?php\n", "", 'echo "went on\\n";\n'),
    "fish": ("#!/usr/bin/env fish\n", "", "echo went on\n"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_line_in_the_hooks_own_language_works(name: str, repository: Repository) -> None:
    """The hook goes on when guard passes, ends when it refuses, and does nothing where guard is not installed."""
    program = {"python": "python3"}.get(name, name)
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    first, _, rest = SCRIPTS[name]
    addition = languages.addition("pre-commit", first.encode())
    assert addition.where.startswith("at the end")
    script = repository.path / "hook of ours"
    script.write_text(f"{first}{addition.lines}\n{rest}")
    script.chmod(0o755)
    repository.git("add", "-A")
    repository.guard("reserve", ":/src/auth", who="alice")
    bob = {"GUARD_AGENT": "bob"}
    done = run([str(script), "an argument"], cwd=repository.path, env=bob)
    assert (done.code, done.out) == (0, b"went on\n"), done.text
    repository.write("src/auth/login.py", "changed\n")
    repository.git("add", "-A")
    done = run([str(script)], cwd=repository.path, env=bob)
    assert (done.code, done.out) == (1, b""), done.text
    assert "alice holds" in done.text
    shutil.rmtree(repository.git_dir / "guard")
    assert run([str(script)], cwd=repository.path, env=bob).out == b"went on\n"
    assert run([str(script)], cwd=repository.path.parent, env=bob).code != 0


@pytest.mark.parametrize("name", [name for name in SCRIPTS if SCRIPTS[name][1]])
def test_a_push_hook_still_reads_the_refs(name: str, repository: Repository) -> None:
    program = {"python": "python3"}.get(name, name)
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    first, reading, _ = SCRIPTS[name]
    addition = languages.addition("pre-push", f"{first}{reading}\n".encode())
    assert addition.where.startswith("before anything else")
    script = repository.path / "push hook"
    script.write_text(f"{first}{addition.lines}\n{reading}\n")
    script.chmod(0o755)
    repository.guard("reserve", ":/src/auth", who="alice")
    head = repository.head()
    line = f"refs/heads/x {head} refs/heads/x {head}\n".encode()
    done = run([str(script), "origin", "url"], cwd=repository.path, stdin=line, env={"GUARD_AGENT": "bob"})
    assert done.code == 0, done.text
    assert done.out.strip() == line.strip()
    repository.write("src/auth/login.py", "changed\n")
    repository.git("commit", "-q", "-n", "-a", "-m", "past it")
    line = f"refs/heads/x {repository.head()} refs/heads/x {head}\n".encode()
    done = run([str(script), "origin", "url"], cwd=repository.path, stdin=line, env={"GUARD_AGENT": "bob"})
    assert done.code == 1, done.text
    assert "alice holds" in done.text


def test_a_program_in_no_known_language_gets_a_command() -> None:
    for contents in (b"#!/usr/bin/env deno\n", b"\x7fELF\0\0", b"#!/usr/bin/awk -f\n"):
        assert "Run this command" in languages.addition("pre-commit", contents).lines


# Generators

WRITTEN = {
    "#!/bin/sh\n\nnpx lint-staged": generators.ONE_COMMAND,
    "#!/bin/sh\nnpm test && npm run lint\n": generators.ONE_COMMAND,
    '#!/bin/sh\n\nif [ "$SKIP_SIMPLE_GIT_HOOKS" = "1" ]; then\n    exit 0\nfi\n\nnpx lint-staged\n': "simple-git-hooks",
    '#!/bin/sh\n#yorkie 2.0.0\n\ncommand_exists () {\n  command -v "$1"\n}\n': "yorkie",
    '#!/bin/sh\n# husky\n# v4.3.8\n. "$(dirname "$0")/husky.sh"\n': "husky 4",
    "#!/bin/sh\n#\n# This hook was set by cargo-husky v1.5.0: https://github.com/rhysd/cargo-husky\nset -e\ncargo test\n": "cargo-husky",
    "#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com\nINSTALL_PYTHON=x\nARGS=y\n": "pre-commit or prek",
    "#!/bin/sh\n# File generated by prek: https://github.com/j178/prek\na\nb\n": "pre-commit or prek",
    '#!/bin/sh\n\nif [ "$LEFTHOOK" = 0 ]; then exit 0; fi\ncall_lefthook run pre-commit\n': "lefthook",
    '#!/bin/sh\ncommand -v git-lfs >/dev/null 2>&1 || { echo >&2 missing; exit 2; }\ngit lfs pre-push "$@"\n': "git-lfs",
    "#!/usr/bin/env ruby\n# frozen_string_literal: true\n# Entrypoint for Overcommit hook integration.\nexit 1 if x\ny\n": "overcommit",
    "#!/bin/sh\n# Created by CaptainHook\ntty\nvendor/bin/captainhook hook:pre-commit\n": "CaptainHook",
    "#!/usr/bin/env node\n// Generated by ghooks. Do not edit this file.\nconst x = 1\ny()\n": "ghooks",
    "#!/usr/bin/env python3\n# mcp-agent-mail chain-runner (pre-commit)\nimport os\nx()\n": "MCP Agent Mail",
    "#!/bin/sh\n# ours\nset -e\nmake check\n": "",
    "#!/usr/bin/env python3\nimport os\nprint(os)\n": "",
    "": "",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_which_program_wrote_a_hook(text: str) -> None:
    assert generators.generator(text.encode()) == WRITTEN[text]


def test_the_python_of_these_tests_can_be_named_in_a_first_line() -> None:
    assert languages.language(f"#!{sys.executable}\n".encode()) == "python"


@pytest.mark.parametrize("page", ["guard/help/hooks.md"])
def test_what_the_pages_tell_people_to_paste_is_what_install_prints(page: str) -> None:
    text = (PACKAGE / page).read_text()
    assert languages.shell_line("pre-commit") in text
    for event in ("pre-commit", "pre-merge-commit", "pre-push"):
        assert managers.lefthook_lines([event]) in text
    assert "guard/hook; [" not in text


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, False),
        ("#!/bin/sh\nlint\n", True),
        (f"#!/bin/sh\nlint\n{COMMIT}\n", False),
        (f"#!/bin/sh\n{COMMIT}\nlint\n", False),  # "misplaced" says it
    ],
    ids=["no hook", "a hook without guard", "a hook with guard", "a hook with guard too early"],
)
def test_a_hook_that_git_runs_after_the_configured_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, said: bool
) -> None:
    """git 2.54 and later runs hooks of its configuration first. Only what is said is looked at here, with any git."""
    made = Repository.make(tmp_path / "repository")
    made.git("config", "core.hooksPath", ".githooks")
    for event in ("pre-commit", "pre-push"):
        made.git("config", f"hook.guard-{event}.command", configured.command(event).decode())
        made.git("config", f"hook.guard-{event}.event", event)
        if script is not None:
            made.write(f".githooks/{event}", script.replace("pre-commit", event))
            (made.path / f".githooks/{event}").chmod(0o755)
    monkeypatch.chdir(made.path)
    world = inforce.look(discover())._replace(git_version=(2, 54))
    events = [inforce.find(world, event)[0] for event in NAMES]
    assert [event.how for event in events][::2] == [inforce.CONFIGURED] * 2
    notes = inforce.run_after_configured(world, events)
    assert [".githooks/pre-commit after guard's configured hook" in note for note in notes] == [True] * said
