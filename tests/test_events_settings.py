"""Nobody's configuration or environment changes a verdict, nor who reaches it: git alone still clears what is clear."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import pytest

from guard.union.publication import STAMPS_MAX
from tests.support import rows
from tests.support.event_cases import assert_as_expected, blamed, no_python, play, run_hook, settle
from tests.support.repositories import Repository
from tests.support.stage import Stage

CONFIGURATIONS = [
    ["color.ui=always"],
    ["color.diff=always", "color.diff.meta=red", "diff.colorMoved=zebra"],
    ["column.ui=always"],
    ["core.abbrev=4"],
    ["core.attributesFile=HOME/absent", "core.excludesFile=HOME/absent"],
    ["core.commentChar=."],
    ["core.excludesFile=a.order"],
    ["core.excludesFile=none.ignored"],
    ["core.fsmonitor=true"],
    ["core.ignoreCase=true"],
    ["core.notesRef=refs/notes/nowhere"],
    ["core.pager=false", "pager.log=true", "pager.diff=true"],
    ["core.precomposeUnicode=true"],
    ["core.quotePath=false"],
    ["core.quotePath=true"],
    ["core.splitIndex=true"],
    ["core.untrackedCache=true", "feature.manyFiles=true"],
    ["core.whitespace=cr-at-eol", "diff.wsErrorHighlight=all"],
    ["diff.algorithm=histogram"],
    ["diff.dirstat=cumulative,10"],
    ["diff.external=false"],
    ["diff.ignoreSubmodules=all"],
    ["diff.interHunkContext=20"],
    ["diff.mnemonicPrefix=true"],
    ["diff.noprefix=true"],
    ["diff.orderFile=a.order"],
    ["diff.relative=true"],
    ["diff.renames=copies", "diff.renameLimit=1000"],
    ["diff.srcPrefix=x", "diff.dstPrefix=y", "diff.context=0", "diff.indentHeuristic=false"],
    ["diff.submodule=log"],
    ["diff.submodule=diff", "diff.statGraphWidth=1", "diff.colorMovedWS=ignore-all-space"],
    ["diff.wordRegex=."],
    ["format.notes=*", "notes.displayRef=*"],
    ["format.pretty=raw"],
    ["grep.patternType=perl"],
    ["i18n.logOutputEncoding=UTF-16", "i18n.commitEncoding=ISO-8859-1"],
    ["index.threads=1", "core.preloadIndex=false"],
    ["log.abbrevCommit=true", "log.decorate=full"],
    ["log.excludeDecoration=*", "log.initialDecorationSet=all", "mailmap.blob=HEAD:absent"],
    ["log.date=format:%%nonsense", "blame.date=human"],
    ["log.diffMerges=off"],
    ["log.follow=true"],
    ["log.mailmap=true", "mailmap.file=HOME/absent"],
    ["log.showRoot=false"],
    ["log.showSignature=true", "gpg.program=false"],
    ["push.default=current", "push.followTags=true"],
    ["push.recurseSubmodules=check"],
    ["submodule.recurse=true"],
]


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=" ".join)
def test_a_configuration(stage: Stage, tmp_path: Path, configuration: list[str]) -> None:
    repository = stage.repository
    give_remote(repository, tmp_path / "remote.git")
    for setting in configuration:
        key, _, value = setting.partition("=")
        repository.git("config", key, value.replace("HOME", str(stage.home)))
    repository.write("a.order", "src/*\n*\n")
    repository.write("none.ignored", "!*\n!/held\n")
    settle(repository)
    assert_judged_alike(repository)


@pytest.mark.parametrize("order", ["absent", ""], ids=["a missing file", "a directory"])
def test_an_order_that_git_cannot_read(stage: Stage, tmp_path: Path, order: str) -> None:
    """git commit fails by itself then, but git push does not."""
    repository = stage.repository
    give_remote(repository, tmp_path / "remote.git")
    with (stage.home / ".gitconfig").open("a") as config:
        config.write(f"[diff]\n\torderFile = {stage.home}/{order}\n")
    commit = "git -c diff.orderFile=/dev/null commit -qnam m; git push -q"
    assert_as_expected(play(repository, f"echo new >src/b.py; {commit}"), [])
    pushed = play(repository, f"echo new >held/x.txt; {commit}")
    assert blamed(pushed) == ["held/x.txt"], pushed.text


UNUSABLE = ["diff.algorithm", "diff.renames", "format.pretty", "log.date", "log.diffMerges"]


@pytest.mark.parametrize("key", UNUSABLE)
def test_a_setting_that_git_log_cannot_use_stops_a_push_and_the_repair_shows_it(
    stage: Stage, tmp_path: Path, key: str
) -> None:
    """git status has nothing to say about such a setting."""
    repository = stage.repository
    give_remote(repository, tmp_path / "remote.git")
    assert_as_expected(play(repository, "echo new >src/b.py; git commit -qam m"), [])
    repository.git("config", key, "nonsense")
    pushed = play(repository, "git push -q")
    assert pushed.code != 0, pushed.text
    repair = re.search(r"^ *repair: (.*)$", pushed.text, re.MULTILINE)
    assert repair is not None, pushed.text
    shown = play(repository, repair[1])
    assert shown.code != 0 and shown.err, "it shows what is wrong"
    assert shown.err.decode().splitlines()[0] in pushed.text
    repository.git("config", "--unset", key)
    assert_as_expected(play(repository, "git push -q"), [])


def assert_judged_alike(repository: Repository, *, quick: bool = True, env: dict[str, str] | None = None) -> None:
    """A free change is committed and pushed, by git alone if ``quick``; a held one is not."""
    if quick:
        with no_python(repository):
            assert_as_expected(play(repository, "cd src; echo new >b.py; git commit -qam m; git push -q", env=env), [])
    else:
        assert_as_expected(play(repository, "cd src; echo new >b.py; git commit -qam m; git push -q", env=env), [])
    script = "git mv free.txt held/free.txt; echo new >held/x.txt; cd src; git commit -qam m"
    assert_as_expected(play(repository, script, env=env), ["held/free.txt", "held/x.txt"])
    pushed = play(repository, "git commit -qnam m; cd src; git push", env=env)
    assert blamed(pushed) == ["held/free.txt", "held/x.txt"], pushed.text
    assert repository.head()[:12] in pushed.text


def give_remote(repository: Repository, path: Path) -> None:
    repository.git("init", "-q", "--bare", "--template=", str(path))
    repository.git("remote", "add", "origin", str(path))
    repository.git("push", "-q", "--no-verify", "--set-upstream", "origin", "main")


GIVEN_ON_THE_COMMAND_LINE = [
    {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.excludesFile", "GIT_CONFIG_VALUE_0": "/etc/passwd"},
    {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.ignoreCase", "GIT_CONFIG_VALUE_0": "true"},
    {"GIT_CONFIG_PARAMETERS": "'color.ui'='always' 'core.excludesFile'='/etc/passwd'"},
    {"GIT_CONFIG_PARAMETERS": "'a.b'='two\nlines'"},
]
ENVIRONMENTS = [
    {"CDPATH": "/"},
    {"ENV": "HOME/absent", "BASH_ENV": "HOME/absent"},
    {"GIT_ADVICE": "0"},
    {"GIT_ALLOW_PROTOCOL": "file"},
    {"GIT_CONFIG_GLOBAL": "HOME/.gitconfig"},
    {"GIT_DEFAULT_HASH": "sha256"},
    {"GIT_DIFF_OPTS": "-u0", "GIT_EXTERNAL_DIFF": "false"},
    {"GIT_EDITOR": "false", "GIT_PAGER": "false", "PAGER": "false"},
    {"GIT_GLOB_PATHSPECS": "1"},
    {"GIT_ICASE_PATHSPECS": "1"},
    {"GIT_LITERAL_PATHSPECS": "1"},
    {"GIT_NOGLOB_PATHSPECS": "1"},
    {"GIT_OPTIONAL_LOCKS": "0"},
    {"GIT_PAGER_IN_USE": "1"},
    {"GIT_TRACE": "/dev/null", "GIT_TRACE2": "/dev/null", "GIT_TRACE_SETUP": "/dev/null"},
    {"IFS": "/x"},
    {"LC_ALL": "C"},
    {"LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "de"},
    {"POSIXLY_CORRECT": "1"},
    {"PWD": "HOME/absent", "OLDPWD": "/"},
    {
        "PYTHONPATH": "HOME/absent",
        "PYTHONHOME": "HOME/absent",
        "PYTHONSTARTUP": "HOME/absent",
        "PYTHONWARNINGS": "error",
    },
    {"PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "bad", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-16"},
    {"TMPDIR": "HOME/absent"},
]


@pytest.mark.parametrize("env", ENVIRONMENTS, ids=lambda env: " ".join(f"{name}={env[name]}" for name in env))
def test_an_environment(stage: Stage, tmp_path: Path, env: dict[str, str]) -> None:
    env = {name: value.replace("HOME", str(stage.home)) for name, value in env.items()}
    give_remote(stage.repository, tmp_path / "remote.git")
    settle(stage.repository, **env)
    assert_judged_alike(stage.repository, env=env)


@pytest.mark.parametrize("env", GIVEN_ON_THE_COMMAND_LINE, ids=lambda env: " ".join(env))
def test_configuration_for_one_command(stage: Stage, tmp_path: Path, env: dict[str, str]) -> None:
    give_remote(stage.repository, tmp_path / "remote.git")
    settle(stage.repository)
    assert_judged_alike(stage.repository, quick=False, env=env)


def test_git_config_read_elsewhere(stage: Stage) -> None:
    """GIT_CONFIG changes what ``git config`` shows, and nothing of what git does."""
    repository = stage.repository
    repository.git("config", "guard.project", "team")
    repository.guard("reserve", "src/b.py", who="alice")
    assert_as_expected(
        play(repository, "echo new >src/b.py; git commit -am m", env={"GIT_CONFIG": "/dev/null"}), ["src/b.py"]
    )


@pytest.mark.parametrize("count", [STAMPS_MAX - 10, STAMPS_MAX + 800])
def test_a_configuration_of_very_many_files(stage: Stage, count: int) -> None:
    """Each is watched, up to a limit: more stamps in one another would have a longer path than Linux allows."""
    config = stage.repository.path / ".git/config"
    (config.parent / "more").mkdir()
    for number in range(count):
        (config.parent / f"more/{number}").write_text("[some]\n\tkey = value\n")
        os.utime(config.parent / f"more/{number}", (1_600_000_000, 1_600_000_000))
    with config.open("a") as file:
        file.writelines(f"[include]\n\tpath = more/{number}\n" for number in range(count))
    settle(stage.repository)
    with no_python(stage.repository) if count < STAMPS_MAX else contextlib.nullcontext():
        stage.repository.commit("free.txt", "1\n", who="bob")
    assert blamed(stage.repository.commit("held/x.txt", who="bob", expect=1)) == ["held/x.txt"]
    assert len([path for path in stage.slot.iterdir() if len(path.name) == 16]) <= 1, "what is not used is removed"


def test_no_file_system_monitor_is_asked(stage: Stage) -> None:
    """git commit itself asks it, so the hook is run alone."""
    repository = stage.repository
    repository.git("config", "core.fsmonitor", "touch asked-the-monitor; false")
    settle(repository)
    asked = repository.path / "asked-the-monitor"
    asked.unlink()
    for name, refused in (("free.txt", []), ("held/x.txt", ["held/x.txt"])):
        repository.write(name, "new\n")
        repository.git("add", name)
        asked.unlink()
        assert blamed(run_hook(repository, "pre-commit")) == refused
        assert not asked.exists()


@pytest.mark.parametrize("fold", ["true", "false"])
def test_names_that_differ_in_case(stage: Stage, tmp_path: Path, fold: str) -> None:
    """They are the same where core.ignoreCase says so, and only there; so they are to git check-ignore."""
    repository = stage.repository
    give_remote(repository, tmp_path / "remote.git")
    repository.git("config", "core.ignoreCase", fold)
    settle(repository)
    change = "oid=$(echo new | git hash-object -w --stdin); git update-index --add --cacheinfo 100644,$oid,HELD/X.txt; "
    refused = ["HELD/X.txt"] if fold == "true" else []
    assert_as_expected(play(repository, change + "git commit -qm m"), refused)
    assert_as_expected(play(repository, change + "git commit -qnm m --allow-empty; git push -q"), refused)


ODD_NAMES = ["bob smith", "../../bob", "-n", "bob\\", "$(touch broken)", "b" * 200, "böb", "*"]


@pytest.mark.parametrize("name", rows.some(ODD_NAMES, {"../../bob", "-n", "$(touch broken)", "b" * 200}))
def test_a_holder_of_any_name(stage: Stage, name: str) -> None:
    env = {"GUARD_AGENT": name}
    settle(stage.repository, **env)
    with no_python(stage.repository):
        assert_as_expected(play(stage.repository, "echo new >free.txt; git commit -qam m", env=env), [])
    done = play(stage.repository, "echo new >held/x.txt; git commit -qam m", env=env)
    assert_as_expected(done, ["held/x.txt"])
    assert f"(you are {name};" in done.text
    assert not (stage.repository.path / "broken").exists()
