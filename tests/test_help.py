"""``guard help``, its pages, and the man page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from guard.commands.helping import page_text, pages
from guard.commands.manual import FILE, manual
from guard.commands.names import COMMANDS
from tests.support.repositories import PACKAGE, Repository, run

README = Path(PACKAGE) / "README.md"


def test_the_list_names_every_page_with_a_sentence(repository: Repository) -> None:
    shown = repository.guard("help").out.decode()
    for topic, sentence in pages().items():
        assert f"guard help {topic}" in shown
        assert sentence.endswith(".") and len(sentence) > 20


@pytest.mark.parametrize("topic", sorted(pages()))
def test_a_page_is_shown_outside_of_a_repository_too(tmp_path: Path, topic: str) -> None:
    done = run(("git", "--version"), cwd=tmp_path)
    assert done.code == 0
    outside = Repository(tmp_path)
    assert outside.guard("help", topic).out.decode() == page_text(topic)


def test_a_topic_that_is_not_there_is_wrong_usage_and_the_nearest_is_named(repository: Repository) -> None:
    done = repository.guard("help", "setings", expect=2)
    assert "guard help settings" in done.text


def test_a_commands_name_shows_its_help(repository: Repository) -> None:
    assert "--ttl" in repository.guard("help", "reserve").out.decode()


def test_the_readme_links_to_every_page() -> None:
    text = README.read_text(encoding="utf-8")
    for topic in pages():
        assert f"guard/help/{topic}.md" in text, topic


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 130


def test_the_readme_shows_a_picture_that_guard_map_drew() -> None:
    (name,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    picture = (Path(PACKAGE) / name).read_text(encoding="utf-8")
    assert ElementTree.fromstring(picture).findtext("{*}title", "").endswith("who holds what")
    for holder in ("alice (you)", "bob", "claude-7f3a"):
        assert f">{holder}</text>" in picture


def test_the_man_page_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == manual(), "write it anew: python -m guard.commands.manual"


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man")
def test_man_reads_the_man_page_without_a_complaint(tmp_path: Path) -> None:
    done = run(("man", "--warnings", "-l", str(FILE)), cwd=tmp_path, env={"MANPAGER": "cat", "MANWIDTH": "80"})
    assert done.code == 0
    assert not done.err.strip(), done.text
    assert all(f"guard {name}" in done.out.decode() for name in COMMANDS)
