"""Arguments in real repositories: where they lead, what is refused because no commit could touch it, what is noted."""

from __future__ import annotations

import os
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from guard.model import UsageError
from guard.work import arguments
from guard.work.here import Here
from tests.support.repositories import Repository

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café.txt") for form in ("NFC", "NFD"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with links, a submodule and a nested repository, and beside it another one."""
    place = tmp_path_factory.mktemp("typed")
    with pytest.MonkeyPatch.context() as patch:  # no test's environment is there yet
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "ann")
            patch.setenv(f"GIT_{role}_EMAIL", "ann@example.com")
        _build(place)
    return place


def _build(place: Path) -> None:
    library = Repository.make(place / "library", files={"src/x.py": "x\n"})
    made = Repository.make(
        place / "repository",
        files={"a.txt": "a\n", "src/b.py": "b\n", "src/auth/login.py": "l\n", "app/[slug]/page.tsx": "p\n"},
    )
    os.symlink("src/auth", made.path / "authlink")
    os.symlink("/usr", made.path / "usrlink")
    made.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "vendor/lib")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "links and a submodule")
    Repository.make(made.path / "nested")
    os.symlink("repository", place / "linked")


@pytest.fixture
def here(template: Path, tmp_path: Path) -> Repository:
    """A copy of it. It has no hooks: these commands need none."""
    shutil.copytree(template, tmp_path / "copy", symlinks=True)
    return Repository(tmp_path / "copy" / "repository")


def read(repository: Repository, typed: str, monkeypatch: pytest.MonkeyPatch, cwd: str, *, verb: str) -> list[str]:
    """The patterns that an argument stands for."""
    monkeypatch.chdir(repository.path / cwd)
    typed = typed.replace("{beside}", str(repository.path.parent)).replace("{top}", str(repository.path))
    view = Here(os.environb, os.getcwdb())
    try:
        return [os.fsdecode(want.pattern) for want in arguments.wanted(view, [os.fsencode(typed)], verb=verb)]
    finally:
        if "store" in view.__dict__:  # it was asked, and so it is open
            view.store.close()


def granted(repository: Repository, *typed: str, cwd: str = "", env: dict[str, str] | None = None) -> list[str]:
    answer = repository.guard("reserve", "--json", "--", *typed, who="alice", cwd=repository.path / cwd, env=env)
    return [row["pattern"] for row in answer.json()["granted"]]


@pytest.mark.parametrize(
    ("cwd", "typed", "patterns"),
    [
        # absolute paths
        ("", "{top}/src/auth", ["/src/auth"]),
        ("src", "{top}/src/auth", ["/src/auth"]),
        ("", "{top}/src/auth/", ["/src/auth"]),
        ("", "{top}/src/new.py", ["/src/new.py"]),
        ("", "{top}/new/deep/x.py", ["/new/deep/x.py"]),
        ("", "{top}/src/*.py", ["/src/*.py"]),
        ("", "{top}/src/**/*.py", ["/src/**/*.py"]),
        ("", "{top}/src/../a.txt", ["/a.txt"]),
        ("", "{top}/../repository/a.txt", ["/a.txt"]),
        ("src", "{top}", ["/**"]),
        ("src", "{top}/", ["/**"]),
        ("", "{top}/app/[slug]/page.tsx", ["/app/\\[slug\\]/page.tsx"]),
        ("", "{beside}/linked/src/auth", ["/src/auth"]),
        # "/" and ":/"
        ("src", "/src/auth", ["/src/auth"]),
        ("src", ":/src/auth", ["/src/auth"]),
        ("src", "/new.txt", ["/new.txt"]),
        ("src", "/*.txt", ["/*.txt"]),
        ("src", ":/", ["/**"]),
        # relative, and as git prints them from the top
        ("src", "auth", ["/src/auth"]),
        ("src", "b.py", ["/src/b.py"]),
        ("src", "./new.py", ["/src/new.py"]),
        ("src", "src/b.py", ["/src/b.py"]),
        ("src/auth", "src/auth/login.py", ["/src/auth/login.py"]),
        ("src", "a.txt", ["/src/a.txt"]),
        ("src", "../a.txt", ["/a.txt"]),
        ("src", "new/x.py", ["/src/new/x.py"]),
        # the link itself, the submodule's and the nested repository's entry
        ("", "authlink", ["/authlink"]),
        ("", "vendor/lib", ["/vendor/lib"]),
        ("", "vendor/lib/", ["/vendor/lib"]),
        ("", "vendor/lib/**", ["/vendor/lib"]),
        ("", "vendor/*/", ["/vendor/*/", "/vendor/lib"]),
        ("", "vendor/*/**", ["/vendor/*/**", "/vendor/lib"]),
        ("", "vendor/**", ["/vendor/**"]),
        ("", "src/**", ["/src/**"]),
        ("", "nested", ["/nested"]),
        ("", "nested/**", ["/nested"]),
    ],
)
def test_where_an_argument_leads(
    template: Path, monkeypatch: pytest.MonkeyPatch, cwd: str, typed: str, patterns: list[str]
) -> None:
    assert read(Repository(template / "repository"), typed, monkeypatch, cwd, verb="reserve") == patterns


@pytest.mark.parametrize(
    ("cwd", "typed", "said"),
    [
        ("", "authlink/login.py", ["symbolic link", "guard reserve :/src/auth/login.py"]),
        ("", "authlink/**", ["symbolic link", "guard reserve ':/src/auth/**'"]),
        ("", "authlink/*.py", ["symbolic link", "guard reserve ':/src/auth/*.py'"]),
        ("", "{top}/authlink/login.py", ["symbolic link", "guard reserve :/src/auth/login.py"]),
        ("src", "../authlink/login.py", ["symbolic link", "guard reserve :/src/auth/login.py"]),
        ("", "usrlink/bin", ["symbolic link", "guard reserve :/usrlink"]),
        ("", "vendor/lib/src/x.py", ["of its own", "guard -C vendor/lib reserve src/x.py"]),
        ("", "vendor/lib/src/*.py", ["of its own", "guard -C vendor/lib reserve src"]),
        ("src", "../vendor/lib/src", ["of its own", "guard -C ../vendor/lib reserve src"]),
        ("", "nested/a.txt", ["of its own", "guard -C nested reserve a.txt"]),
        ("", "nested/new", ["of its own", "guard -C nested reserve new"]),
        ("", "../x", ["outside"]),
        ("", "{beside}/library/src/x.py", ["outside", "guard -C "]),
        ("", "/etc/passwd", ["outside", "guard reserve :/etc/passwd"]),
        ("", "src/{auth,b.py}", ["braces", "guard reserve src/auth src/b.py"]),
        ("", "src/auth a.txt", ["several words", "guard reserve src/auth a.txt"]),
        ("", "src/b.py:12", ["whole files", "guard reserve src/b.py"]),
    ],
)
@pytest.mark.parametrize("verb", ["reserve", "check"])
def test_what_no_commit_can_touch_is_refused(
    template: Path, monkeypatch: pytest.MonkeyPatch, verb: str, cwd: str, typed: str, said: list[str]
) -> None:
    with pytest.raises(UsageError) as refused:
        read(Repository(template / "repository"), typed, monkeypatch, cwd, verb=verb)
    for words in said:
        meant = words.replace("reserve", verb) if words.startswith("guard") else words
        assert meant in f"{refused.value.what} {refused.value.hint}"


NAMES = [
    *("a.txt", "b.py", "src", "src/b.py", "src/auth", "src/auth/login.py", "auth/login.py", "login.py", "./a.txt"),
    *("src//b.py", "src/./b.py", "src/../a.txt", "../a.txt", "/a.txt", ":/a.txt", "/src/b.py", "a.txt/", "new.py"),
    *("authlink", "authlink/login.py", "src/back/a.txt", "usrlink", "usrlink/bin/env", "vendor/lib", "app"),
    *("vendor/lib/src/x.py", "nested", "nested/y.py", "nested/.git/HEAD", ".gitmodules", ".git/config", ".git"),
    *("app/[slug]/page.tsx", "src/B.PY", "a b.txt", "a*.txt", "file.py:12", "b/a.txt", "b/src/b.py", "café.txt"),
    *("x" * 1022, "x" * 1024, "src/auth/" + "x" * 1015, "-a.txt", "#a.txt", "!a.txt", "~", "~/a.txt", "", "."),
]


@pytest.mark.parametrize("cwd", ["", "src", "src/auth", "app/[slug]", "b"])
def test_a_plain_name_of_a_file_leads_where_every_name_leads(
    here: Repository, monkeypatch: pytest.MonkeyPatch, cwd: str
) -> None:
    """It is read in a shorter way. For every name, both ways come to the same pattern, or to the same error."""
    for name in ("a b.txt", "a*.txt", "file.py:12", "-a.txt", "#a.txt", "!a.txt", "nested/y.py", "café.txt"):
        here.write(name, "x\n")
    for name in ("b/a.txt", "b/src/b.py", "src/src/b.py"):
        (here.path / name).parent.mkdir(exist_ok=True, parents=True)
        here.write(name, "x\n")
    os.symlink("..", here.path / "src/back")

    def found(name: str) -> tuple[list[str], str, str]:
        try:
            return read(here, name, monkeypatch, cwd, verb="check"), "", ""
        except UsageError as error:
            return [], error.what, error.hint

    short = {name: found(name) for name in NAMES}
    taken = []
    plain = arguments._plain_file

    def never(view: Here, typed: bytes) -> bytes:
        taken.append(bool(plain(view, typed)))
        return b""

    monkeypatch.setattr(arguments, "_plain_file", never)
    assert short == {name: found(name) for name in NAMES}
    assert any(taken) == ("[" not in cwd)


def test_the_hint_reserves_what_was_meant(here: Repository) -> None:
    refused = here.guard("reserve", "vendor/lib/src/x.py", "--json", who="alice", expect=2).json()
    command = refused["error"]["next"].partition("   (")[0]
    words = command.replace("guard ", "", 1).split()
    assert here.guard(*words, "--json", who="alice").json()["granted"][0]["pattern"] == "/src/x.py"


def test_a_pattern_that_matches_nothing_is_noted(here: Repository) -> None:
    here.write("new.txt", "not in the index\n")
    answer = here.guard(
        *("reserve", "--json", "srcc/**", "src/**", "*.txt", "new.txt", "no.txt", "*.rs", "src/*/login.py"), who="alice"
    ).json()
    assert answer["warnings"][-3:] == [f"{each} matches no file yet" for each in ("/srcc/**", "/no.txt", "**/*.rs")]
    assert "/none (typed" not in here.guard("reserve", "none", who="alice").text
    assert "(matches no file yet)" in here.guard("reserve", "none", who="alice").text
    assert "matches no file" not in here.guard("reserve", "src", who="alice").text


@pytest.mark.parametrize(
    ("typed", "after"),
    [
        ("app/[slug]/page.tsx", "rm -r app"),
        ("src/[x]", "mkdir src/[x]"),
        ("src/b.py", "mkdir -p d && mv src d && ln -s d/src src"),
        ("new/x", "git init -q new"),
        ("file.py\\:12", "touch file.py:12"),
        ("vendor/lib/**", "rm -r vendor/lib && git rm -q --cached vendor/lib"),
        ("vendor/*/", "git rm -qrf vendor"),
    ],
)
def test_the_same_words_name_it_whatever_exists_now(here: Repository, typed: str, after: str) -> None:
    patterns = granted(here, typed)
    granted(here, "a.txt")
    subprocess.run(after, shell=True, cwd=here.path, check=True, timeout=60)
    for verb, deed in (("renew", "renewed"), ("release", "released")):
        answer = here.guard(verb, "--json", "--", typed, who="alice").json()
        assert [row["pattern"] for row in answer[deed]] == patterns
        assert answer["not_found"] == []


def test_words_name_nothing_else(here: Repository) -> None:
    here.guard("reserve", "a.txt", "src", "src/auth", who="alice")
    done = here.guard("release", "a.txt", who="alice", cwd=here.path / "src", expect=1)
    assert "do not hold a.txt" in done.text
    here.guard("release", "src/**", who="alice", expect=1)
    here.guard("release", "src", who="bob", expect=1)
    assert len(here.guard("list", "--json").json()["reservations"]) == 3


def test_names_are_composed_where_git_composes_them(here: Repository) -> None:
    here.write(COMPOSED, "x\n")
    assert granted(here, DECOMPOSED) == [f"/{DECOMPOSED}"]
    here.git("config", "core.precomposeUnicode", "true")
    assert granted(here, DECOMPOSED) == [f"/{COMPOSED}"]
    assert granted(here, f"src/*{DECOMPOSED}") == [f"/src/*{COMPOSED}"]
    here.guard("reserve", COMPOSED, who="alice")
    here.guard("check", DECOMPOSED, who="bob", expect=1)
    here.guard("check", "--stdin", stdin=DECOMPOSED.encode() + b"\n", who="bob", expect=1)
    here.guard("release", DECOMPOSED, who="alice")


def test_names_are_spelled_as_in_the_index_where_git_ignores_case(here: Repository) -> None:
    here.commit("Straße/Ünï.py")
    assert granted(here, "SRC/Auth") == ["/SRC/Auth"]
    here.git("config", "core.ignoreCase", "true")
    assert granted(here, "SRC/Auth") == ["/src/auth"]
    assert granted(here, "SRC/New.py") == ["/src/New.py"]
    assert granted(here, "SRC/*.py") == ["/src/*.py"]
    assert granted(here, "straße/üNÏ.py") == ["/Straße/Ünï.py"]
    here.guard("reserve", "New/Dir", who="alice")
    here.guard("renew", "new/dir", who="alice")
    here.guard("check", "NEW/dir/x", who="bob", expect=1)
    here.guard("release", "NEW/DIR", who="alice")


def test_check_reads_arguments_as_reserve_does(here: Repository) -> None:
    here.guard("reserve", "src/auth", who="alice")
    for typed in ("src/auth", "src/auth/login.py", f"{here.path}/src/auth/login.py", "/src/auth/x", "src/*/login.py"):
        assert "alice holds /src/auth" in here.guard("check", typed, who="bob", expect=1).text
    here.guard("check", "src/auth/login.py", who="bob", cwd=here.path / "src", expect=1)
    here.guard("check", "src/*.md", "a.txt", who="bob")


def test_names_from_other_programs_are_taken_as_they_are(here: Repository) -> None:
    here.guard("reserve", "app", who="alice")
    here.commit('we"ird\t{a,b}.txt', who="alice")
    here.guard("reserve", "*.txt", who="alice")
    listed = here.git("ls-files", "app", "*.txt").out
    assert b'"we\\"ird\\t{a,b}.txt"' in listed
    answer = here.guard("check", "--stdin", "--json", stdin=listed, who="bob", expect=1).json()
    assert {found["path"] for found in answer["conflicts"]} == {"app/[slug]/page.tsx", "a.txt", 'we"ird\t{a,b}.txt'}


def test_what_is_changed_or_staged_is_reserved(here: Repository) -> None:
    here.write("src/b.py", "changed\n")
    here.write("src/new.py", "new\n")
    here.write("a.txt", "staged\n")
    here.git("add", "a.txt")
    reserved = here.guard("reserve", "--staged", "--json", who="alice", cwd=here.path / "src").json()["granted"]
    assert [row["pattern"] for row in reserved] == ["/a.txt"]
    reserved = here.guard("reserve", "--changed", "app", "--json", who="alice", cwd=here.path / "src").json()["granted"]
    assert {"/a.txt", "/src/b.py", "/src/new.py", "/src/app"} <= {row["pattern"] for row in reserved}
    refused = here.guard("check", "--changed", who="bob", expect=1).text
    assert "src/new.py" in refused
