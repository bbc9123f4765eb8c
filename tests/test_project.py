"""Clones of one repository are one project, whichever way their remote is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from guard.repo.project import parse, project_of, ssh_host
from tests.support.repositories import Repository

# Every address in a row is the same repository.
SAME = {
    "github.com/acme/shop": [
        "https://github.com/acme/shop",
        "https://github.com/acme/shop.git",
        "https://github.com/acme/shop/",
        "https://github.com/acme/shop.git/",
        "https://github.com//acme/shop.git",
        "https://github.com/acme/./shop.git",
        "https://github.com/acme/x/../shop.git",
        "https://github.com/Acme/Shop",
        "https://GitHub.com/ACME/SHOP.git",
        "https://www.github.com/acme/shop",
        "https://github.com./acme/shop",
        "https://github.com:443/acme/shop.git",
        "http://github.com/acme/shop",
        "git://github.com/acme/shop.git",
        "git@github.com:acme/shop.git",
        "git@github.com:acme/shop",
        "git@github.com:/acme/shop.git",
        "git@github.com:Acme/Shop.git",
        "github.com:acme/shop.git",
        "ssh://git@github.com/acme/shop.git",
        "ssh://git@github.com:22/acme/shop.git",
        "SSH://git@github.com/acme/shop.git",
        "git+ssh://git@github.com/acme/shop.git",
        "ssh+git://git@github.com/acme/shop.git",
        "ssh://git@ssh.github.com:443/acme/shop.git",
        "[git@ssh.github.com:443]:acme/shop.git",
        "git@[ssh.github.com:443]:acme/shop.git",
        "https://bob@github.com/acme/shop",
        "https://bob:pass@github.com/acme/shop",
        "https://bob:p%40ss%3Aw@github.com/acme/shop",
        "https://bob:p@ss@github.com/acme/shop",
        "https://x-access-token:ghs_x@github.com/acme/shop.git",
        "https://github.com/acme/sh%6Fp.git",
        "https://github.com/acme/shop.git?x=y",
        "  https://github.com/acme/shop.git\n",
        "http::https://github.com/acme/shop",
    ],
    "gitlab.com/acme/tools/shop": [
        "https://gitlab.com/acme/tools/shop.git",
        "git@gitlab.com:acme/tools/shop.git",
        "git@gitlab.com:Acme/Tools/Shop.git",
        "ssh://git@altssh.gitlab.com:443/acme/tools/shop.git",
        "https://oauth2:glpat-x@gitlab.com/acme/tools/shop.git",
        "https://gitlab-ci-token:x@gitlab.com/acme/tools/shop.git",
    ],
    "gitlab.example.com/scm/shop/app": [
        "https://gitlab.example.com/scm/shop/app.git",
        "ssh://git@gitlab.example.com:2222/Scm/shop/app.git",
    ],
    "bitbucket.org/acme/shop": [
        "https://bitbucket.org/acme/shop.git",
        "https://bob@bitbucket.org/Acme/Shop.git",
        "git@bitbucket.org:acme/shop.git",
        "ssh://git@altssh.bitbucket.org:443/acme/shop.git",
    ],
    "bb.acme.com/p/shop": [
        "https://bb.acme.com/scm/p/shop.git",
        "https://bb.acme.com/scm/P/Shop.git",
        "https://bob@bb.acme.com:8443/scm/p/shop.git",
        "https://bb.acme.com/bitbucket/scm/p/shop.git",
        "https://bb.acme.com/projects/P/repos/shop",
        "ssh://git@bb.acme.com:7999/p/shop.git",
        "ssh://git@bb.acme.com:7999/P/shop.git",
        "[git@bb.acme.com:7999]:p/shop.git",
    ],
    "bb.acme.com/~bob/shop": [
        "https://bb.acme.com/scm/~bob/shop.git",
        "https://bb.acme.com/users/bob/repos/shop",
        "ssh://git@bb.acme.com:7999/~bob/shop.git",
    ],
    "dev.azure.com/acme/p/shop": [
        "https://dev.azure.com/acme/p/_git/shop",
        "https://acme@dev.azure.com/acme/p/_git/shop",
        "https://dev.azure.com/Acme/P/_git/Shop",
        "https://dev.azure.com/acme/p/_git/_optimized/shop",
        "https://dev.azure.com/acme/p/_git/_full/shop",
        "https://acme.visualstudio.com/p/_git/shop",
        "https://acme.visualstudio.com/DefaultCollection/p/_git/shop",
        "git@ssh.dev.azure.com:v3/acme/p/shop",
        "ssh://git@ssh.dev.azure.com/v3/acme/p/shop",
        "ssh://git@ssh.dev.azure.com:22/v3/acme/p/shop",
        "acme@vs-ssh.visualstudio.com:v3/acme/p/shop",
        "ssh://acme@vs-ssh.visualstudio.com:22/p/_ssh/shop",
        "ssh://acme@vs-ssh.visualstudio.com:22/DefaultCollection/p/_ssh/shop",
        "ssh://acme@acme.visualstudio.com:22/p/_ssh/shop",
    ],
    "dev.azure.com/acme/my shop/my shop": [
        "https://dev.azure.com/acme/My%20Shop/_git/My%20Shop",
        "https://dev.azure.com/acme/_git/My%20Shop",
        "git@ssh.dev.azure.com:v3/acme/My%20Shop/My%20Shop",
    ],
    "git.example.com/team/shop": [
        "https://git.example.com/team/shop.git",
        "ssh://git@git.example.com:2222/team/shop.git",
        "[git@git.example.com:2222]:team/shop.git",
        "git@[git.example.com:2222]:team/shop.git",
        "git@git.example.com:team/shop",
        "ssh://git@git.example.com/~/team/shop.git",
        "git@git.example.com:~/team/shop.git",
        "git@git.example.com:team/shop/.git",
        "ftp://git.example.com/team/shop.git",
        "rsync://git.example.com/team/shop",
        "ssh://git@git.example.com:/team/shop",
    ],
    "git.example.com/~bob/shop": [
        "ssh://git@git.example.com/~bob/shop.git",
        "git@git.example.com:~bob/shop.git",
    ],
    "[::1]/acme/shop": [
        "git@[::1]:acme/shop.git",
        "[::1]:acme/shop.git",
        "[git@::1]:acme/shop.git",
        "ssh://git@[::1]/acme/shop.git",
        "ssh://git@[::1]:2222/acme/shop.git",
        "ssh://[git@::1]/acme/shop",
        "http://[0:0:0:0:0:0:0:1]:8080/acme/shop.git",
        "http://[0000::0001]/acme/shop.git",
    ],
    "[fe80::1]/shop": ["ssh://[FE80::1]:22/shop.git", "[fe80:0::1]:shop.git"],
    "10.0.0.5/srv/shop": ["ssh://10.0.0.5/srv/shop.git", "git@10.0.0.5:srv/shop", "http://10.0.0.5:3000/srv/shop"],
    "server/shop": ["server:shop.git", "bob@server:shop", "ssh://server/shop", "SERVER:shop"],
    "c/shop": ["c:shop.git", "ssh://c/shop.git"],
    "xn--bcher-kva.example/shop": ["https://bücher.example/shop", "https://BÜCHER.example/shop.git"],
    "team.googlesource.com/shop": [
        "https://team.googlesource.com/shop",
        "https://team.googlesource.com/a/shop",
    ],
    "git-codecommit.eu-west-1.amazonaws.com/v1/repos/shop": [
        "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/shop",
        "ssh://APKA@git-codecommit.eu-west-1.amazonaws.com/v1/repos/shop",
        "codecommit::eu-west-1://shop",
        "codecommit::eu-west-1://profile@shop",
    ],
    "codeberg.org/acme/shop": ["https://codeberg.org/Acme/shop.git", "ssh://git@codeberg.org/acme/shop"],
    "git.sr.ht/~bob/shop": ["https://git.sr.ht/~bob/shop", "git@git.sr.ht:~bob/shop"],
    "acme.ghe.com/team/shop": ["https://acme.ghe.com/Team/shop", "git@acme.ghe.com:team/shop.git"],
    "/srv/shop": [
        "/srv/shop",
        "/srv/shop/",
        "/srv/shop.git",
        "/srv/shop.git/",
        "/srv/shop/.git",
        "/srv//shop",
        "/srv/x/../shop",
        "file:///srv/shop.git",
        "file://localhost/srv/shop.git",
        "file://LOCALHOST/srv/shop",
        "file:///srv/sh%6Fp",
        "FILE:///srv/shop",
    ],
    "/srv/a b": ["/srv/a b.git", "file:///srv/a%20b.git"],
    "/srv/a%20b": ["/srv/a%20b.git"],  # a path is no address: nothing is decoded in it
}
ROWS = [(address, name) for name, addresses in SAME.items() for address in addresses]


@pytest.mark.parametrize(("address", "name"), ROWS)
def test_the_addresses_of_one_repository_have_one_name(address: str, name: str) -> None:
    assert project_of(address.encode()) == name


DIFFERENT = [
    ("https://github.com/acme/shop", "https://github.com/bob/shop"),
    ("https://github.com/acme/shop", "https://github.com/acme/shop.wiki"),
    ("https://github.com/acme/shop", "https://gist.github.com/acme/shop"),
    ("https://git.example.com/acme/shop", "https://git.example.com/Acme/shop"),
    ("https://git.example.com/scm/shop", "https://git.example.com/shop"),
    ("https://git.example.com/~bob/shop", "https://git.example.com/bob/shop"),
    ("https://gitlab.com/scm/a/b", "https://gitlab.com/a/b"),
    ("https://github.com/a/shop", "https://github.com/shop"),
    ("/srv/shop", "/srv/Shop"),
    ("/srv/shop", "server:/srv/shop"),
    ("./a:b", "a:b"),
    ("https://dev.azure.com/acme/p/_git/shop", "https://dev.azure.com/acme/q/_git/shop"),
    ("git@[::1]:shop", "git@[::2]:shop"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_repositories_have_other_names(one: str, other: str) -> None:
    assert project_of(one.encode()) != project_of(other.encode())


@pytest.mark.parametrize(
    "address",
    [
        *("", "/", ":", "::", "://", "[", "[]", "[]:", "a@", "@:", "http://", "ssh://@:", "[::1", "x::", "\\"),
        *("-oProxy:x", "~", "http://[", "https://%", "https://%ff%fe/x", "codecommit::", "codecommit::x"),
        *("file://", "file://h", "a" * 5000),
    ],
)
def test_what_is_no_address_has_a_name_too(address: str) -> None:
    assert isinstance(project_of(address.encode()), str)


def test_no_user_and_no_password_gets_into_a_name() -> None:
    for address, _ in ROWS:
        name = project_of(address.encode())
        assert "pass" not in name
        assert "ghs_x" not in name
        assert "glpat" not in name
    assert parse("https://bob:secret@example.com/x").user == "bob"


def resolver(host: str) -> str:
    return {"github.com-work": "github.com", "work": "ssh.github.com", "gl": "gitlab.com"}.get(host, host)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("git@github.com-work:acme/shop.git", "github.com/acme/shop"),
        ("ssh://git@github.com-work/Acme/shop", "github.com/acme/shop"),
        ("work:acme/shop", "github.com/acme/shop"),
        ("gl:Acme/shop.git", "gitlab.com/acme/shop"),
        ("https://gl/Acme/shop.git", "gl/Acme/shop"),  # ssh's configuration is for ssh alone
        ("file://gl/srv/shop", "/srv/shop"),
        ("unknown:acme/shop", "unknown/acme/shop"),
    ],
)
def test_an_alias_of_sshs_is_the_host_that_it_stands_for(address: str, name: str) -> None:
    assert project_of(address.encode(), resolve=resolver) == name


def test_install_asks_ssh_for_an_alias_and_a_hook_does_not(
    hermetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a program in ssh's place that answers as ``ssh -G`` does: the account's own configuration is not ours."""
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin/ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\nprintf "user git\\nhostname github.com\\nport 22\\n"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    made = Repository.make(tmp_path / "repository")
    made.git("remote", "add", "origin", "git@github.com-work:acme/shop.git")
    made.guard("hook", "pre-commit", expect=None)
    assert not (tmp_path / "asked").exists()
    made.install()
    assert made.git("config", "guard.project").out == b"github.com/acme/shop\n"
    asked = (tmp_path / "asked").read_text()
    assert set(asked.splitlines()) == {"-G -- github.com-work"}
    made.commit("a.txt")
    made.guard("reserve", "a.txt")
    assert (tmp_path / "asked").read_text() == asked


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ("printf 'hostname real.example.com\\n'", "real.example.com"),
        ("exit 255", "alias.example"),
        ("printf 'nonsense\\n'", "alias.example"),
        ("printf 'hostname 10.0.0.7\\n'", "alias.example"),  # who clones by https has the name
        ("printf 'hostname fe80::1\\n'", "alias.example"),
        ("printf 'hostname \\n'", "alias.example"),
        ("exec sleep 60", "alias.example"),
    ],
)
def test_ssh_that_gives_no_answer_leaves_the_alias(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, answer: str
) -> None:
    (tmp_path / "ssh").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert ssh_host("alias.example") == answer
    assert ssh_host("-oProxyCommand=touch x") == "-oProxyCommand=touch x"


# Remotes that are repositories on this machine


def project(repository: Repository) -> str:
    repository.guard("install", expect=None)
    return repository.git("config", "guard.project").out.decode().strip()


def clone(source: Path | str, to: Path) -> Repository:
    Repository(to.parent).git("clone", "-q", str(source), str(to))
    return Repository(to)


def test_a_clone_of_a_clone_is_the_same_project(tmp_path: Path) -> None:
    shop = Repository.make(tmp_path / "shop")
    name = project(shop)
    agent = clone(shop.path, tmp_path / "agent")
    assert project(agent) == name
    assert project(clone(agent.path, tmp_path / "third")) == name
    shop.guard("reserve", "src/auth", who="alice")
    assert "alice holds" in agent.commit("src/auth/login.py", who="bob", expect=1).text
    agent.git("commit", "-qnm", "past the hook", who="bob")
    assert "alice holds" in agent.git("push", "-q", "origin", "HEAD:x", who="bob", expect=1).text


def test_the_original_counts_before_guard_is_installed_there(tmp_path: Path) -> None:
    shop = Repository.make(tmp_path / "shop")
    agent = clone(shop.path, tmp_path / "agent")
    assert project(agent) == str(shop.path / ".git")
    assert project(shop) == str(shop.path / ".git")


def test_the_project_that_the_original_was_given_counts(tmp_path: Path) -> None:
    shop = Repository.make(tmp_path / "shop")
    shop.git("config", "guard.project", "team shop")
    assert project(clone(shop.path, tmp_path / "agent")) == "team shop"


def test_the_originals_own_remote_counts(tmp_path: Path) -> None:
    shop = Repository.make(tmp_path / "shop")
    shop.git("remote", "add", "origin", "git@github.com:Acme/shop.git")
    assert project(clone(shop.path, tmp_path / "agent")) == "github.com/acme/shop"


@pytest.mark.parametrize(
    "address",
    [
        "{shop}",
        "{shop}/",
        "{shop}/.git",
        "file://{shop}",
        "file://localhost{shop}/.git",
        "../shop",
        "../shop/.git/",
        "./../shop",
        "{link}",
        "{worktree}",
    ],
)
def test_every_way_to_write_a_local_remote(tmp_path: Path, address: str) -> None:
    shop = Repository.make(tmp_path / "shop")
    shop.worktree(tmp_path / "tree", "tree")
    (tmp_path / "link").symlink_to(shop.path)
    agent = Repository.make(tmp_path / "agent")
    where = address.format(shop=shop.path, link=tmp_path / "link", worktree=tmp_path / "tree")
    agent.git("remote", "add", "origin", where)
    assert project(agent) == str(shop.path / ".git")


@pytest.mark.parametrize("address", ["{bare}", "{short}", "file://{bare}", "../shop.git", "../shop", "sub:../shop.git"])
def test_a_bare_repository_has_one_name_for_its_clones_and_itself(tmp_path: Path, address: str) -> None:
    Repository(tmp_path).git("init", "-q", "--bare", "shop.git")
    agent = Repository.make(tmp_path / "agent")
    url = address.format(bare=tmp_path / "shop.git", short=tmp_path / "shop")
    if url.startswith("sub:"):
        agent.git("config", "url.../.insteadOf", "sub:../")
    agent.git("remote", "add", "origin", url)
    assert project(agent) == str(tmp_path / "shop")
    server = Repository(tmp_path / "shop.git")
    assert server.guard("status", "--json", expect=None).json()["project"] == str(tmp_path / "shop")
    server.git("config", "guard.project", "team")
    agent.git("config", "--unset", "guard.project")
    assert project(agent) == "team"


@pytest.mark.parametrize("ring", [1, 2, 3])
def test_repositories_that_are_each_others_remote_come_to_an_end(tmp_path: Path, ring: int) -> None:
    made = [Repository.make(tmp_path / f"r{number}") for number in range(ring)]
    for number, repository in enumerate(made):
        repository.git("remote", "add", "origin", f"../r{(number + 1) % ring}")
    names = {repository.guard("status", "--json").json()["project"] for repository in made}
    assert names == {str(tmp_path / "r0/.git")}


def test_a_remote_on_a_path_where_nothing_is_keeps_the_path(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "repository")
    made.git("remote", "add", "origin", str(tmp_path / "not-mounted/shop.git"))
    assert project(made) == str(tmp_path / "not-mounted/shop")


REMOTES = [
    (["remote.origin.url=https://h/a"], "h/a"),
    (["remote.origin.url=https://h/a", "remote.fork.url=https://h/b"], "h/a"),
    (["remote.fork.url=https://h/b"], "h/b"),
    (["remote.fork.url=https://h/b", "remote.up.url=https://h/c"], ""),
    (["remote.origin.pushurl=https://h/p"], ""),
    (["remote.origin.url=https://h/a", "remote.origin.url=https://h/second"], "h/a"),
    (["remote.origin.url=https://h/a", "remote.origin.url=", "remote.origin.url=https://h/new"], "h/new"),
    (["remote.a.b.url=https://h/dotted"], "h/dotted"),
    (["url.https://h/.insteadOf=x:", "remote.origin.url=x:a"], "h/a"),
    (["url.https://h/.insteadOf=x:", "url.https://long/.insteadOf=x:a/", "remote.origin.url=x:a/b"], "long/b"),
    (["url.https://h/.pushInsteadOf=x:", "remote.origin.url=x:a"], "x/a"),
]


@pytest.mark.parametrize(("configuration", "name"), REMOTES)
def test_which_remote_counts(tmp_path: Path, configuration: list[str], name: str) -> None:
    made = Repository.make(tmp_path / "repository")
    for each in configuration:
        key, _, value = each.rpartition("=") if each.endswith("=") else each.partition("=")
        made.git("config", "--add", key, value)
    assert project(made) == (name or str(made.path / ".git"))
