"""What a refusal suggests works when it is pasted as it stands: each row really pastes it into sh, and commits again.

alice holds ``held``; bob commits. ``leave it out`` must lead to a commit that goes through, has none of what alice
holds, has all of what else bob meant to commit, and loses nobody's work.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import pytest

from tests.support.event_cases import play
from tests.support.repositories import PACKAGE, Repository
from tests.support.stage import Stage

LEAVE_OUT = re.compile(r"^ +leave it out: +(.*)$", re.MULTILINE)
NOT_HELD = "git diff --exit-code --name-only HEAD^ HEAD -- held"


@dataclass(frozen=True)
class Row:
    """``script`` ends with the commit that is refused. After the advice, ``again`` commits these paths, relative to
    the first commit's; ``again`` is "" where the advice itself commits."""

    what: str
    script: str
    committed: list[str]
    again: str = "git commit -qm again"

    def __str__(self) -> str:
        return self.what.replace(" ", "_")


BOTH = "echo new | tee held/x.txt free.txt; "

COMMITS = [
    Row("staged", f"{BOTH}git add -A; git commit -m m", ["free.txt"]),
    Row("in a subdirectory", f"{BOTH}git add -A; cd src/auth; git commit -m m", ["free.txt"]),
    Row("commit -a", f"{BOTH}git commit -am m", ["free.txt"], ""),
    Row("commit -a in a subdirectory", f"{BOTH}cd src/auth; git commit -am m", ["free.txt"], ""),
    Row("commit -a with a new file", f"{BOTH}echo 1 >new; git add new; git commit -am m", ["free.txt", "new"], ""),
    Row("commit FILE", f"{BOTH}echo 1 >src/b.py; git commit -m m free.txt held/x.txt", ["free.txt"], ""),
    Row("commit FILE in a subdirectory", f"{BOTH}cd src; git commit -m m ../free.txt ../held", ["free.txt"], ""),
    Row(
        "commit FILE with other things staged",
        f"{BOTH}echo 1 >src/b.py; git add src; git commit -m m free.txt held/x.txt",
        ["free.txt"],
        "",
    ),
    Row(
        "commit --include",
        f"{BOTH}echo 1 >src/b.py; git add held; git commit -m m --include free.txt",
        ["free.txt"],
        "",
    ),
    Row("added", "echo 1 >held/new; echo 1 >new; git add -A; git commit -m m", ["new"]),
    Row("deleted", "git rm -q held/x.txt free.txt; git commit -m m", ["free.txt"]),
    Row("deleted, commit -a", "rm held/x.txt free.txt; git commit -am m", ["free.txt"], ""),
    Row("renamed away", f"{BOTH}git mv held/deep/y.txt moved; git add -A; git commit -m m", ["free.txt"]),
    Row("renamed into", "git mv src/b.py held/b.py; echo 1 >free.txt; git add -A; git commit -m m", ["free.txt"]),
    Row(
        "renamed away, commit -a", "git mv held/deep/y.txt moved; echo 1 >free.txt; git commit -am m", ["free.txt"], ""
    ),
    Row("executable", "chmod +x held/x.txt free.txt; git commit -am m", ["free.txt"], ""),
    Row("amended", f"git commit -q --allow-empty -m e; {BOTH}git add -A; git commit --amend -m m", ["free.txt"]),
    Row("many files", "for n in $(seq 9); do echo 1 >held/$n; done; echo 1 >new; git add -A; git commit -m m", ["new"]),
    Row(
        "many files, commit -a",
        "for n in $(seq 9); do echo 1 >held/$n; done; git add -A; git commit -qnm before; "
        "for n in $(seq 9); do echo 2 >held/$n; done; echo 2 >free.txt; git commit -am m",
        ["free.txt"],
        "",
    ),
    Row(
        "many files among many others",
        "for n in $(seq 9); do echo 1 >held/$n; echo 1 >src/n$n; done; git add -A; git commit -m m",
        [f"src/n{number}" for number in range(1, 10)],
    ),
    Row(
        "many files among many others, commit FILE",
        "for n in $(seq 9); do echo 1 >held/$n; echo 1 >src/n$n; done; git add -A; git commit -m m held src",
        [f"src/n{number}" for number in range(1, 10)],
        "",
    ),
    Row(
        "a cherry-pick concluded by commit",
        f"{BOTH}git commit -qanm m; git reset -q --hard HEAD^; git cherry-pick -n HEAD@{{1}}; git commit -m m",
        ["free.txt"],
    ),
    Row(
        "a revert concluded by commit",
        f"{BOTH}git commit -qanm m; git revert -n HEAD; git commit -m m",
        ["free.txt"],
    ),
    Row("an index elsewhere", f"{BOTH}git add -A; git commit -m m", ["free.txt"]),
]

NAMES = [
    "with space",
    "-n",
    ":leading colon",
    ":!not",
    ":(top)not",
    "!bang",
    "#hash",
    "~",
    "_config.yml",
    "@x",
    "%s",
    "=x",
    "*",
    "?",
    "[a]",
    "a\\b",
    'quote"d',
    "apostrophe's",
    "$(touch broken)",
    "a;touch broken",
    "tab\there",
    "line\nfeed",
    "last line feed\n",
    "\x1b[31mred",
    "café",
    "caf\udce9",
    "\u202egnp.exe",
    "中文",
]


def advice(text: str) -> str:
    found = LEAVE_OUT.findall(text)
    assert len(found) == 1, text
    return str(found[0])


def committed(repository: Repository, since: str) -> list[str]:
    said = repository.git("diff", "--name-only", "-z", "--no-renames", since, "HEAD").out
    return sorted(name.decode("utf-8", "surrogateescape") for name in said.split(b"\0") if name)


def paste(repository: Repository, command: str, *, script: str = "") -> None:
    """Runs the command where the script's last one ran, with an editor that writes a message."""
    inside = next((line for line in reversed(script.split("; ")) if line.startswith("cd ")), ":")
    env = {"GIT_EDITOR": "echo again >"}
    done = play(repository, f"{inside}; {command}", env=env)
    assert done.code == 0, f"{command}\n{done.text}"


@pytest.mark.parametrize("row", COMMITS, ids=str)
def test_leaving_it_out(stage: Stage, row: Row) -> None:
    repository = stage.repository
    refused = play(repository, row.script)
    assert refused.code == 1, refused.text
    assert len(refused.err.decode().splitlines()) <= 25
    before = repository.head()
    paste(repository, advice(refused.text), script=row.script)
    if row.again:
        paste(repository, row.again)
    since = "HEAD^" if repository.git("rev-parse", "HEAD^").out.decode().strip() == before else "HEAD~1"
    assert committed(repository, since) == sorted(row.committed)


@pytest.mark.parametrize("how", ["git add -A; git commit -m m", "git add -A; git commit -am m"])
@pytest.mark.parametrize("name", NAMES)
def test_leaving_out_a_file_of_any_name(stage: Stage, name: str, how: str) -> None:
    repository = stage.repository
    raw = name.encode("utf-8", "surrogateescape")
    for directory in (b"held/", b""):
        repository.write(directory + raw, "new\n")
    literal = b"".join(b"\\" + bytes([byte]) if byte in b"*?[\\" else bytes([byte]) for byte in raw)
    printable = name.isprintable() and "\udce9" not in name
    if printable:
        repository.guard("reserve", b":/" + literal, who="alice")
    repository.write("new", "new\n")
    refused = play(repository, how)
    assert refused.code == 1, refused.text
    paste(repository, advice(refused.text))
    if "-am" not in how:
        paste(repository, "git commit -qm again")
    assert committed(repository, "HEAD^") == sorted(["new"] + ([] if printable else [name]))
    assert not (repository.path / "broken").exists()


@pytest.mark.parametrize("how", ["git commit -m m", "git commit -am m"])
def test_before_the_first_commit(stage: Stage, how: str) -> None:
    refused = play(stage.repository, f"git checkout -q --orphan new; {how}")
    assert refused.code == 1, refused.text
    paste(stage.repository, advice(refused.text))
    if "-am" not in how:
        paste(stage.repository, "git commit -qm again")
    said = stage.repository.git("ls-tree", "-r", "--name-only", "HEAD").out.decode().split()
    assert said == ["free.txt", "src/auth/login.py", "src/b.py"]


@pytest.mark.parametrize("how", ["git commit -am m", "git commit -m m held/x.txt", "git commit -m m -- held"])
def test_nothing_else_to_commit(stage: Stage, how: str) -> None:
    """There is nothing to leave it out of, so nothing is suggested that would fail."""
    refused = play(stage.repository, f"echo new >held/x.txt; {how}")
    assert refused.code == 1
    assert "leave it out" not in refused.text


MERGE = """
change() { git checkout -q "$1"; echo "$3" >"$2"; git add -A; git commit -qnm "$1 changes $2"; }
git branch hers; git branch mine
change hers held/x.txt hers; change mine held/deep/y.txt mine; change mine free.txt mine
"""

MERGES = [
    ("theirs changed in between", "git merge --no-commit hers; echo evil >held/x.txt; git add -A; git commit -m m"),
    ("ours changed in between", "git merge --no-commit hers; echo evil >held/deep/y.txt; git add -A; git commit -m m"),
    ("both", "git merge --no-commit hers; echo evil | tee held/x.txt >held/deep/y.txt; git add -A; git commit -m m"),
    ("a file added", "git merge --no-commit hers; echo evil >held/evil; git add -A; git commit -m m"),
]


@pytest.mark.parametrize(("what", "script"), MERGES)
def test_in_a_merge_neither_sides_work_is_dropped(stage: Stage, what: str, script: str) -> None:
    refused = play(stage.repository, MERGE + script)
    assert refused.code == 1, refused.text
    paste(stage.repository, advice(refused.text))
    paste(stage.repository, "git commit -qm again")
    for name, text in (("held/x.txt", b"hers\n"), ("held/deep/y.txt", b"mine\n")):
        assert stage.repository.git("show", f"HEAD:{name}").out == text
    assert stage.repository.git("ls-tree", "HEAD", "held/evil").out == b""
    assert len(stage.repository.git("show", "-s", "--format=%p", "HEAD").out.split()) == 2


BOTH_SIDES = [
    "change mine held/x.txt mine; git merge hers || echo both >held/x.txt; git add -A; git commit -m m",
    "change mine held/x.txt mine; git merge hers || echo both >held/x.txt; git commit -am m",
    'change main held/l "$(seq 9)"; git branch -f hers; git branch -f mine; change hers held/l "$(seq 8)"; '
    'change mine held/l "$(seq 2 9)"; git merge --no-edit hers',
]


@pytest.mark.parametrize("script", BOTH_SIDES)
def test_in_a_merge_of_two_changes_nothing_is_suggested_that_drops_one(stage: Stage, script: str) -> None:
    refused = play(stage.repository, MERGE + script)
    assert refused.code == 1, refused.text
    assert "leave it out" not in refused.text
    again = "git commit -a" if "commit -am" in script else "git merge --continue"
    assert f"GUARD_SKIP=1 {again.replace('-a', '…')}" in refused.text
    paste(stage.repository, f"GUARD_SKIP=1 {again}")


def test_the_command_that_waits_and_the_one_that_breaks(stage: Stage) -> None:
    """Each line is pasted as it stands, in the directory where the commit was refused."""
    script = "echo new >held/x.txt; git add -A; cd src/auth; git commit -m m"
    said = play(stage.repository, script).text
    lines = dict(line.strip().split(":", 1) for line in said.splitlines() if line.startswith("  ") and ":" in line)
    wait, end = lines["wait for it"].strip(), lines["end theirs"].partition("   (")[0].strip()
    assert wait == "guard reserve --wait 5m :/held/x.txt"
    guard = 'guard() { "$PYTHON" -m guard "$@"; }; cd src/auth; '
    env = {"PYTHONPATH": str(PACKAGE), "PYTHON": sys.executable}
    assert play(stage.repository, guard + end, env=env).code == 0
    waited = play(stage.repository, guard + wait, env=env)
    assert "reserved #2 /held/x.txt" in waited.text, waited.text
