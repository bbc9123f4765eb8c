"""``guard map``: the layout, the tree, the drawing, and what a real browser makes of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as some

from guard.map.layout import Box, squarify
from guard.map.svg import LETTER, fitted
from tests.support.repositories import Repository, run

BOX = Box(10.0, 20.0, 400.0, 300.0)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@given(some.lists(some.integers(1, 5000), min_size=1, max_size=60))
def test_rectangles_have_the_areas_of_their_weights_and_fill_the_box(weights: list[int]) -> None:
    boxes = squarify(weights, BOX)
    unit = BOX.width * BOX.height / sum(weights)
    for weight, box in zip(weights, boxes, strict=True):
        assert box.width * box.height == pytest.approx(weight * unit, rel=1e-6)
        assert BOX.x - 1e-6 <= box.x and box.x + box.width <= BOX.x + BOX.width + 1e-6
        assert BOX.y - 1e-6 <= box.y and box.y + box.height <= BOX.y + BOX.height + 1e-6


@given(some.lists(some.integers(1, 5000), min_size=2, max_size=30))
def test_rectangles_do_not_overlap(weights: list[int]) -> None:
    boxes = squarify(weights, BOX)
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert wide <= 1e-6 or high <= 1e-6


def test_rectangles_are_close_to_squares() -> None:
    boxes = squarify([1] * 100, BOX)
    assert max(max(box.width / box.height, box.height / box.width) for box in boxes) < 2


@pytest.mark.parametrize("box", [Box(0, 0, 0, 10), Box(0, 0, 10, 0)])
def test_a_box_without_area_gives_empty_rectangles(box: Box) -> None:
    assert [(found.width, found.height) for found in squarify([1, 2], box)] == [(0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 2, ""),
        ("日本語です", 10, "日本語です"),
        ("日本語です", 7, "日本語…"),
        ("", 0, ""),
    ],
)
def test_labels_are_cut_to_their_room(text: str, columns: int, shown: str) -> None:
    assert fitted(text, columns * LETTER + 0.1) == shown


def rectangles(svg: str) -> dict[str, str]:
    """The title of every rectangle that has one, with its colour."""
    space = "{http://www.w3.org/2000/svg}"
    found = {}
    for each in ElementTree.fromstring(svg).iter(f"{space}rect"):
        title = each.find(f"{space}title")
        if title is not None and title.text:
            found[title.text] = each.get("fill", "")
    return found


def test_files_have_the_colour_of_their_holder_and_what_is_not_there_has_stripes(repository: Repository) -> None:
    repository.guard("reserve", "src/auth", who="alice")
    repository.guard("reserve", "new/module.py", "docs/**", who="alice")
    repository.guard("reserve", "a.txt", "--shared", who="bob")
    drawn = rectangles(repository.guard("map", who="bob").out.decode())
    mine, theirs = drawn["a.txt: #4 bob, shared"], drawn["src/auth/login.py: #1 alice"]
    assert mine != theirs and mine.startswith("#") and theirs.startswith("#")
    assert drawn["new/module.py: #2 alice, not there yet"] == f"url(#h{theirs[1:]})"
    assert drawn["docs: #3 alice, not there yet"] == f"url(#h{theirs[1:]})"
    assert drawn["src/b.py"] not in (mine, theirs)


def test_an_exclusive_reservation_is_drawn_before_a_shared_one(repository: Repository) -> None:
    repository.guard("reserve", "src", "--shared", who="alice")
    repository.guard("reserve", "src/auth", "--shared", who="bob")
    drawn = rectangles(repository.guard("map", who="bob").out.decode())
    assert "src/auth/login.py: #1 alice, shared" in drawn


def test_hostile_names_stay_text(repository: Repository) -> None:
    repository.write(b'<script>alert(1)<\xff>\x1b[31m&".txt', "x")
    repository.git("add", "-A")
    repository.guard("reserve", "src", "--reason", "</style><img src=x onerror=alert(1)>", who='<b>"&')
    for kind in ("svg", "html"):
        repository.guard("map", "--output", f"map.{kind}")
        text = (repository.path / f"map.{kind}").read_text(encoding="utf-8")
        assert "<script" not in text and "<img" not in text and "<b>" not in text and "\x1b" not in text
    ElementTree.parse(repository.path / "map.svg")


def test_an_image_needs_nothing_else(repository: Repository) -> None:
    repository.guard("reserve", "src", who="alice")
    text = repository.guard("map").out.decode()
    assert set(re.findall(r"https?://[^\"' <]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "<script" not in text and "@import" not in text


def test_an_empty_repository_is_a_picture_too(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "empty")
    made.git("rm", "-rq", ".")
    made.install()
    assert "Nothing is reserved." in made.guard("map").out.decode()


def test_a_name_that_is_no_picture_is_wrong_usage(repository: Repository) -> None:
    done = repository.guard("map", "--output", "map.png", expect=2)
    assert "ends in neither .svg nor .html" in done.text
    assert not (repository.path / "map.png").exists()


def test_the_former_picture_stays_when_the_new_one_cannot_be_written(repository: Repository) -> None:
    done = repository.guard("map", "--output", "missing/map.svg", expect=3)
    assert "missing" in done.text


def test_sha256_repositories_are_drawn_too(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "sha256", "--object-format=sha256")
    made.install()
    assert "src/b.py" in rectangles(made.guard("map").out.decode())


OVERLAPS = """
<script>
const texts = [...document.querySelectorAll('svg text')].map(t => [t.textContent, t.getBoundingClientRect()]);
const over = [];
for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) {
  const [a, p] = texts[i], [b, q] = texts[j];
  const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
  const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
  if (wide > 1 && high > 3) over.push([a, b]);
}
document.body.innerHTML = '<pre>' + JSON.stringify({texts: texts.length, over}) + '</pre>';
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_text_that_does_not_overlap(repository: Repository, tmp_path: Path) -> None:
    for number in range(400):
        repository.write(f"src/module{number % 23}/part{number % 7}/file-with-a-long-name-{number}.py", "x\n")
    repository.git("add", "-A")
    repository.guard("reserve", "src/module1", "src/module2/part3", "to/come", "--reason", "日本語 " * 40, who="alice")
    repository.guard("reserve", "src/module5/**", who="bob")
    repository.guard("map", "--output", "map.html")
    page = tmp_path / "page.html"
    text = (repository.path / "map.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", OVERLAPS + "</body>"), encoding="utf-8")
    command = (str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1300,900")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = run([*command, profile, "--dump-dom", page.as_uri()], cwd=tmp_path, timeout=120)
    found = re.search(r"<pre>(.*)</pre>", done.out.decode("utf-8", "replace"), re.DOTALL)
    assert found, done.text
    seen = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert seen["texts"] > 50
    assert seen["over"] == []
