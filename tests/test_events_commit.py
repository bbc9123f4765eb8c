"""What a commit changes relative to HEAD is judged, however it comes about: one situation a row, by real git commit.

alice holds ``held``; bob commits. Each row's script ends with the command that is judged.
"""

from __future__ import annotations

import pytest

from tests.support.event_cases import Case, assert_as_expected, check, no_python, play
from tests.support.stage import Stage

ORDINARY = [
    Case("a file is changed", "echo new >held/x.txt; git add -A; git commit -m m", ["held/x.txt"]),
    Case("a file is added", "echo new >held/new; git add -A; git commit -m m", ["held/new"]),
    Case("a file is emptied", ": >held/x.txt; git add -A; git commit -m m", ["held/x.txt"]),
    Case("a file is deleted", "git rm -q held/x.txt; git commit -m m", ["held/x.txt"]),
    Case("a file is taken out of the index", "git rm -q --cached held/x.txt; git commit -m m", ["held/x.txt"]),
    Case("a file is renamed away", "git mv held/x.txt x.txt; git commit -m m", ["held/x.txt"]),
    Case("a file is renamed into", "git mv free.txt held/; git commit -m m", ["held/free.txt"]),
    Case(
        "a file is renamed within",
        "git mv held/x.txt held/z.txt; git commit -m m",
        ["held/x.txt", "held/z.txt"],
    ),
    Case("a file is copied into", "cp free.txt held/copy; git add -A; git commit -m m", ["held/copy"]),
    Case("a file becomes executable", "git update-index --chmod=+x held/x.txt; git commit -m m", ["held/x.txt"]),
    Case("a file becomes a link", "ln -sf ../free.txt held/x.txt; git add -A; git commit -m m", ["held/x.txt"]),
    Case(
        "a file becomes a directory",
        "rm held/x.txt; mkdir held/x.txt; echo >held/x.txt/z; git add -A; git commit -m m",
        ["held/x.txt", "held/x.txt/z"],
    ),
    Case(
        "the directory becomes a file",
        "rm -r held; echo >held; git add -A; git commit -m m",
        ["held", "held/deep/y.txt", "held/x.txt"],
    ),
    Case(
        "the directory becomes a link to another",
        "mv held other; ln -s other held; git add -A; git commit -m m",
        ["held", "held/deep/y.txt", "held/x.txt"],
    ),
    Case(
        "the directory becomes a submodule pointer",
        "git rm -qr --cached held; git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),held; "
        "git commit -m m",
        ["held", "held/deep/y.txt", "held/x.txt"],
    ),
    Case(
        "other files are changed with it",
        "echo new | tee held/x.txt free.txt src/b.py; git add -A; git commit -m m",
        ["held/x.txt"],
    ),
    Case("only other files are changed", "echo new | tee free.txt src/b.py; git add -A; git commit -m m"),
    Case("a name only begins like a held one", "echo new | tee held.txt heldover; git add -A; git commit -m m"),
    Case("the held name stands deeper", "mkdir src/held; echo new >src/held/x.txt; git add -A; git commit -m m"),
    Case("nothing is changed", "git commit --allow-empty -m m"),
    Case("changes are there but not staged", "echo new >held/x.txt; git commit --allow-empty -m m"),
]

WAYS = [
    Case("commit -a", "echo new >held/x.txt; git commit -am m", ["held/x.txt"]),
    Case("commit -a of other files", "echo new >free.txt; git commit -am m"),
    Case("commit FILE", "echo new >held/x.txt; git commit -m m held/x.txt", ["held/x.txt"]),
    Case(
        "commit FILE with other things staged",
        "echo new | tee held/x.txt held/deep/y.txt; git add held/deep; git commit -m m held/x.txt",
        ["held/x.txt"],
    ),
    Case(
        "commit FILE does not judge what else is staged",
        "echo new | tee held/x.txt free.txt; git add held; git commit -m m free.txt",
    ),
    Case(
        "commit --include FILE judges what else is staged",
        "echo new | tee held/x.txt free.txt; git add held; git commit -m m --include free.txt",
        ["held/x.txt"],
    ),
    Case("commit --patch", "echo new >held/x.txt; echo y | git commit -m m --patch", ["held/x.txt"]),
    Case(
        "commit --pathspec-from-file",
        "echo new >held/x.txt; echo held/x.txt | git commit -m m --pathspec-from-file=-",
        ["held/x.txt"],
    ),
    Case("commit --amend", "echo new >held/x.txt; git add -A; git commit --amend -m m", ["held/x.txt"]),
    Case("commit --amend of the words only", "git commit --amend -m words"),
    Case("commit --fixup", "echo new >held/x.txt; git add -A; git commit --fixup HEAD", ["held/x.txt"]),
    Case("an entry only intended", "echo new >held/new; git add -N held/new; git commit --allow-empty -m m"),
    Case("an entry intended, then commit -a", "echo new >held/new; git add -N held; git commit -am m", ["held/new"]),
    Case("in a subdirectory", "echo new >held/x.txt; cd src/auth; git commit -am m", ["held/x.txt"]),
    Case("in the held directory", "cd held/deep; echo new >y.txt; git commit -m m y.txt", ["held/deep/y.txt"]),
    Case("from elsewhere with -C", "echo new >held/x.txt; cd /; git -C $REPOSITORY/src commit -am m", ["held/x.txt"]),
    Case(
        "from elsewhere with --git-dir and --work-tree",
        "echo new >held/x.txt; cd /; git --git-dir=$REPOSITORY/.git --work-tree=$REPOSITORY commit -am m",
        ["held/x.txt"],
    ),
    Case(
        "from elsewhere with GIT_DIR and GIT_WORK_TREE",
        "echo new >held/x.txt; cd ..; GIT_DIR=repository/.git GIT_WORK_TREE=repository git commit -am m",
        ["held/x.txt"],
    ),
    Case(
        "an index elsewhere",
        "export GIT_INDEX_FILE=$PWD/../home/index; git read-tree HEAD; echo new >held/x.txt; git add -A; "
        "git commit -m m",
        ["held/x.txt"],
    ),
    Case(
        "an index elsewhere has nothing of what the usual one has",
        "echo new >held/x.txt; git add -A; "
        "export GIT_INDEX_FILE=$PWD/../home/index; git read-tree HEAD; git commit --allow-empty -m m",
    ),
    Case("a root commit", "git checkout -q --orphan new; git commit -m m", ["held/deep/y.txt", "held/x.txt"]),
    Case("a root commit of others", "git checkout -q --orphan new; git rm -qrf held; git commit -m m", quick=False),
    Case(
        "a path longer than any file system takes",
        "deep=$(printf 'd/%.0s' $(seq 3000)); oid=$(git hash-object -w free.txt); "
        "git update-index --add --cacheinfo 100644,$oid,held/${deep}x; git commit -qm m",
        ["held/" + "d/" * 3000 + "x"],
    ),
    Case(
        "a free path longer than any file system takes",
        "deep=$(printf 'd/%.0s' $(seq 3000)); oid=$(git hash-object -w free.txt); "
        "git update-index --add --cacheinfo 100644,$oid,free/${deep}x; git commit -qm m",
        quick=False,  # git warns that it cannot look for ignore files there, and a warning is doubt: Python decides
    ),
    Case("on a detached head", "git checkout -q --detach; echo new >held/x.txt; git commit -am m", ["held/x.txt"]),
    Case(
        "a cherry-pick concluded by commit",
        "echo new >held/x.txt; git commit -qanm m; git reset -q --hard HEAD^; git cherry-pick -n HEAD@{1}; "
        "git commit -m m",
        ["held/x.txt"],
    ),
    Case(
        "a revert concluded by commit",
        "echo new >held/x.txt; git commit -qanm m; git revert -n HEAD; git commit -m m",
        ["held/x.txt"],
    ),
    Case(
        "assumed unchanged",
        "echo new >held/x.txt; git add -A; git update-index --assume-unchanged held/x.txt; git commit -m m",
        ["held/x.txt"],
    ),
    Case(
        "ignored by .gitignore, and added by force",
        "echo '*' >.gitignore; echo new >held/x.txt; git add -f .gitignore held/x.txt; git commit -m m",
        ["held/x.txt"],
    ),
    Case(
        "held, whatever .gitignore takes back",
        "printf '!held\\n!/held/**\\n!*\\n' | tee .gitignore >held/.gitignore; git add -A; git commit -m m",
        ["held/.gitignore"],
    ),
    Case("free, whatever .gitignore names", "echo '*' >.gitignore; echo new >free.txt; git commit -am m"),
    Case(
        "free, whatever is excluded",
        "mkdir -p .git/info $HOME/.config/git; echo '/*' | tee .git/info/exclude >$HOME/.config/git/ignore; "
        "echo new >free.txt; git commit -am m",
    ),
    Case(
        "no difference that attributes would show",
        "echo '* -diff -text filter=none' >.gitattributes; echo new >held/x.txt; git add -A; git commit -m m",
        ["held/x.txt"],
    ),
    Case("a split index", "git update-index --split-index; echo new >held/x.txt; git commit -am m", ["held/x.txt"]),
    Case("stdin is closed", "echo new >held/x.txt; git commit -am m <&-", ["held/x.txt"]),
    Case("stdin and stdout are closed", "echo new >held/x.txt; git commit -am m <&- >&-", ["held/x.txt"]),
]


@pytest.mark.parametrize("case", [*ORDINARY, *WAYS], ids=str)
def test_a_commit(stage: Stage, case: Case) -> None:
    check(stage.repository, case)


def test_a_refused_commit_leaves_everything_as_it_was(stage: Stage) -> None:
    repository = stage.repository
    before = repository.git("rev-parse", "HEAD").out
    script = "echo new | tee held/x.txt free.txt; git add -A; git commit -m m"
    assert_as_expected(play(repository, script), ["held/x.txt"])
    assert repository.git("rev-parse", "HEAD").out == before
    assert repository.git("diff", "--cached", "--name-only").out == b"free.txt\nheld/x.txt\n"


# Names


NAMES = [
    b"plain",
    b"with space",
    b" leading space",
    b"trailing space ",
    b"-n",
    b"--",
    b":leading colon",
    b":",
    b":!not",
    b":(top)not",
    b"::",
    b"!bang",
    b"#hash",
    b"~",
    b"^caret",
    b"*",
    b"?",
    b"[a]",
    b"**",
    b"a\\b",
    b"back\\",
    b'quote"d',
    b"apostrophe's",
    b"$(touch broken)",
    b"`touch broken`",
    b"$HOME",
    b"a;touch broken",
    b"a|b&c>d",
    b"%s%n",
    b"tab\there",
    b"line\nfeed",
    b"\nline feed first",
    b"line feed last\n",
    b"return\r",
    b"\x1b[31mred",
    b"delete\x7f",
    b"caf\xc3\xa9",
    b"caf\xe9",
    b"\xff\xfe",
    "\u202egnp.exe".encode(),
    "\u4e2d\u6587".encode(),
    b"n" * 255,
]


@pytest.mark.parametrize("quoted", ["true", "false"])
def test_every_name_below_a_held_directory(stage: Stage, quoted: str) -> None:
    repository = stage.repository
    for name in NAMES:
        repository.write(b"held/" + name, "new\n")
        repository.write(b"held/in " + name[:200] + b"/deep", "new\n")
    repository.git("config", "core.quotePath", quoted)
    repository.git("add", "-A")
    refused = repository.git("commit", "-q", "-m", "m", who="bob", expect=1)
    assert f"it changes {2 * len(NAMES)} paths that are reserved by alice" in refused.text
    assert all(letter.isprintable() or letter == "\n" for letter in refused.text)
    assert not (repository.path / "broken").exists()


def test_every_name_reserved_as_itself(stage: Stage) -> None:
    """It refuses itself, and no other name that its letters could mean."""
    repository = stage.repository
    others = [b"not", b"ab", b"a", b"b", b"leading colon", b"bang", b"nothing", b"plain.txt", b"-", b"caf", b"aXb"]
    for name in [*NAMES, *others]:
        repository.write(name, "old\n")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "names", who="bob")
    repository.guard("reserve", "--", *(typed(name) for name in NAMES), who="alice")
    for name in others:
        repository.write(name, "new\n")
    repository.git("add", "-A")
    with no_python(repository):
        repository.git("commit", "-q", "-m", "others", who="bob")
    for name in NAMES:
        repository.write(name, "new\n")
    repository.git("add", "-A")
    refused = repository.git("commit", "-q", "-m", "m", who="bob", expect=1)
    assert f"it changes {len(NAMES)} paths that are reserved by alice" in refused.text


def typed(name: bytes) -> bytes:
    """The name as an argument of reserve; a control character cannot be typed, but any one byte can."""
    if all(byte >= 0x20 and byte != 0x7F for byte in name):
        return b":/" + name
    return b"".join(b"?" if byte < 0x20 or byte == 0x7F else b"\\[" if byte == 0x5B else bytes([byte]) for byte in name)
