"""Who pushes, and which reservations are theirs: tables of variables and settings."""

from __future__ import annotations

import pytest

from guard.model import GuardError, Reservation
from guard.repo import pusher
from guard.repo.git import Configured

NOBODY = ""
CASES: list[tuple[str, dict[str, str], str]] = [
    ("an account", {}, "carol"),
    ("an account that came by ssh", {"SSH_CONNECTION": "::1 1 ::1 22", "USER": "other"}, "carol"),
    ("Gitea", {"GITEA_PUSHER_NAME": "Alice", "GITEA_PUSH_TRIGGER": "push"}, "Alice"),
    (
        "Gitea, a merge in the web interface",
        {"GITEA_PUSHER_NAME": "Alice", "GITEA_PUSH_TRIGGER": "pr-merge-to-base"},
        "Alice",
    ),
    ("Gitea that names nobody", {"GITEA_PUSH_TRIGGER": "push"}, NOBODY),
    ("Gitea that names nobody, in an empty variable", {"GITEA_PUSHER_NAME": ""}, NOBODY),
    ("GitLab over ssh", {"GL_USERNAME": "alice", "GL_PROTOCOL": "ssh"}, "alice"),
    ("GitLab, in the web", {"GL_USERNAME": "alice", "GL_PROTOCOL": "web"}, "alice"),
    ("GitLab with a deploy key", {"GL_PROTOCOL": "ssh", "GL_ID": "key-7"}, NOBODY),
    ("GitHub Enterprise Server", {"GITHUB_USER_LOGIN": "alice", "GITHUB_VIA": "pull request merge button"}, "alice"),
    ("GitHub Enterprise Server that names nobody", {"GITHUB_VIA": "git push"}, NOBODY),
    ("gitolite", {"GL_USER": "alice", "GL_BINDIR": "/usr/share/gitolite3"}, "alice"),
    ("a web server", {"REMOTE_USER": "alice", "REQUEST_METHOD": "POST", "REMOTE_ADDR": "::1"}, "alice"),
    ("a web server that asks for no name", {"REQUEST_METHOD": "POST", "REMOTE_ADDR": "::1"}, NOBODY),
    ("git daemon, where nobody has a name", {"REMOTE_ADDR": "::1", "REMOTE_PORT": "9"}, NOBODY),
]


def entry(key: str, value: str) -> Configured:
    return Configured(b"local", b"/srv/config", key.encode(), value.encode())


def find(variables: dict[str, str], *settings: tuple[str, str]) -> pusher.Pusher:
    environment = {name.encode(): value.encode() for name, value in variables.items()}
    entries = [entry(*each) for each in settings]
    return pusher.find(environment, entries, account="carol", hosts=["server"])


def row(holder: str, principal: str) -> Reservation:
    return Reservation(1, "p", holder, b"/x", b"x", True, "", principal, 0, None)


@pytest.mark.parametrize(("what", "variables", "name"), CASES, ids=[what.replace(" ", "_") for what, _, _ in CASES])
def test_who_pushes(what: str, variables: dict[str, str], name: str) -> None:
    found = find(variables, ("guard.Alice.principal", "alice@laptop"))
    assert found.name == name
    assert found.owns(row("any", "carol@server")) == (name == "carol"), "the account is nobody's behind a forge"
    assert found.owns(row("any", "alice@laptop")) == (name == "Alice"), "case counts"


def test_a_configured_variable_is_the_only_one_that_counts() -> None:
    setting = ("guard.pusher", "WHO")
    assert find({"WHO": "dora", "GITEA_PUSHER_NAME": "alice"}, setting).name == "dora"
    nobody = find({"GITEA_PUSHER_NAME": "alice"}, setting)
    assert nobody.name == "" and not nobody.owns(row("any", "carol@server"))


@pytest.mark.parametrize(
    "name", ["alice", "alice_1", "Alice", "a.b.c", "a b", "jürgen", "principal", "[bot]", 'q"uote']
)
def test_every_name_can_have_principals(name: str) -> None:
    found = find({"REMOTE_USER": name}, (f"guard.{name}.principal", "x@one"), (f"guard.{name}.principal", "x@two"))
    assert found.owns(row("any", "x@one")) and found.owns(row("any", "x@two"))
    assert not found.owns(row("any", "x@three")) and not found.owns(row("any", ""))


def test_an_option_narrows_and_never_widens() -> None:
    options = {
        "GIT_PUSH_OPTION_COUNT": "2",
        "GIT_PUSH_OPTION_0": "ci.skip",
        "GIT_PUSH_OPTION_1": "guard.holder=claude-1",
    }
    found = find(options)
    assert found.owns(row("claude-1", "carol@server"))
    assert not found.owns(row("claude-2", "carol@server"))
    assert not found.owns(row("claude-1", "alice@laptop"))


@pytest.mark.parametrize("given", [["guard.holder=a", "guard.holder=b"], ["guard.holder="], ["guard.holder"]])
def test_options_that_name_no_holder_are_refused(given: list[str]) -> None:
    options = {f"GIT_PUSH_OPTION_{number}": text for number, text in enumerate(given)}
    with pytest.raises(GuardError):
        find({"GIT_PUSH_OPTION_COUNT": str(len(given)), **options})
