"""The README and the documentation as text: links, pictures, Python examples, words and length."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pypi_readme
import pytest
from PIL import Image

import nst_fast

PROJECT = Path(__file__).resolve().parent.parent
README = PROJECT / "README.md"
PAGES = [
    README,
    *(PROJECT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "checkpoints/README.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
    *sorted((PROJECT / "integrations").rglob("*.md")),
]
FENCE = re.compile(r"^ {0,3}(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)^ {0,3}\1", re.DOTALL | re.MULTILINE)
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(PROJECT).as_posix())

# What the docs call otherwise; see the table of words in CONTRIBUTING.md.
BANNED = (
    "anew",
    "centre",
    r"colour\w*",
    "grain",
    "lattices?",
    "licence",
    "mend(?:ed|s)?",
    r"(?:normalis|optimis|recognis|stylis)\w+",
    "moving average",
    "paint(?:s|ed|ing)? (?:photos?|pictures?|films?)",
    "painters?",
    "slow method",
    "transform_net",
)


def read_prose(path: Path) -> str:
    """A page without fenced blocks and without comparisons of old and new words."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    if path.name == "CONTRIBUTING.md":
        text = re.sub(r"\| say \| not \|\n(\|.*\n)+", "", text)
    if path.name == "CHANGELOG.md":
        text = re.sub(r" *\| old \| new \|\n( *\|.*\n)+", "", text)
    return text


def list_targets(path: Path) -> list[str]:
    """What the links and pictures of a page point to."""
    return re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", path.read_text(encoding="utf-8")))


def list_anchors(path: Path) -> set[str]:
    """The anchors that a Markdown page offers, made of its headings as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(path):
    """Every file, picture and heading of the project that the page links to exists."""
    missing = []
    for target in list_targets(path):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        page = path.parent / file if file else path
        if not page.exists() or (anchor and anchor not in list_anchors(page)):
            missing.append(target)
    assert missing == []


def test_every_page_is_in_the_index():
    """The index of docs/ links to every page below it."""
    index = PROJECT / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in list_targets(index)}
    assert [page for page in index.parent.rglob("*.md") if page not in linked and page != index] == []


def test_every_picture_is_shown():
    """No picture in docs/pictures is left over from a page that is gone."""
    shown = {Path(target).name for path in PAGES for target in list_targets(path)}
    assert {picture.name for picture in (PROJECT / "docs" / "pictures").iterdir()} <= shown


def test_the_readme_is_short():
    """The README has at most 130 lines."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 130


@each_page
def test_words(path):
    """The page uses the project's words and American spelling."""
    found = re.findall(rf"\b(?:{'|'.join(BANNED)})\b", read_prose(path), re.IGNORECASE)
    assert found == [], "see the words in CONTRIBUTING.md"


@pytest.mark.parametrize(
    "path",
    [path for path in PAGES if "```python" in path.read_text(encoding="utf-8")],
    ids=lambda path: path.relative_to(PROJECT).as_posix(),
)
def test_python_examples_run(path, tmp_path, monkeypatch):
    """Every Python block of the page runs in a folder with the files that it names; training itself is left out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "udnie.jpg"):
        Image.fromarray(np.full((40, 48, 3), 128, np.uint8)).save(tmp_path / name)
    trained = []

    def train(settings: object) -> SimpleNamespace:
        trained.append(settings)
        return SimpleNamespace(checkpoint="wave")

    monkeypatch.setitem(vars(nst_fast), "train", train)  # so that the real one is not even imported
    for _, language, block in FENCE.findall(path.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(block, str(path), "exec"), {})
    assert all(isinstance(settings, nst_fast.TrainSettings) for settings in trained)


def test_links_work_outside_the_repository():
    """On a package index, every link and picture of the README is an absolute address of a file of the release."""
    text = pypi_readme.make_links_absolute(README.read_text(encoding="utf-8"), "https://host.example/us/it", "v1.0.0")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", text)
    assert pictures
    for picture in pictures:
        assert picture.startswith("https://host.example/us/it/raw/v1.0.0/docs/pictures/")
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text))
    assert all("://" in target for target in targets)
    ours = [target.partition("/blob/v1.0.0/")[2] for target in targets if "/blob/v1.0.0/" in target]
    assert ours and all((PROJECT / target.partition("#")[0]).exists() for target in ours)
    assert "https://docs.astral.sh/uv/)" in text, "other addresses stay as they are"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("[a](b.md)", "[a](R/blob/v1/b.md)"),
        ("[a](b.md#c)", "[a](R/blob/v1/b.md#c)"),
        ("![a](b.jpg)", "![a](R/raw/v1/b.jpg)"),
        ("[![a](b.jpg)](c.md)", "[![a](R/raw/v1/b.jpg)](R/blob/v1/c.md)"),
        ("[a](#b) [c](https://d.e) <f@g.h>", "[a](#b) [c](https://d.e) <f@g.h>"),
        ("[a\nb](c.md), [d](e.md)", "[a\nb](R/blob/v1/c.md), [d](R/blob/v1/e.md)"),
    ],
)
def test_relative_links_become_absolute(given, expected):
    """Links, pictures, and pictures inside links are rewritten; anchors and addresses are not."""
    assert pypi_readme.make_links_absolute(given, "R", "v1") == expected


def test_the_readme_stays_as_it_is_without_a_repository(tmp_path):
    """As long as the project names no repository, a build keeps the README's text."""
    (tmp_path / "README.md").write_text("[a](b.md)", encoding="utf-8")
    hook = pypi_readme.ReadmeHook(str(tmp_path), {})
    metadata: dict = {"version": "1"}
    hook.update(metadata)
    assert metadata["readme"]["text"] == "[a](b.md)"
    metadata = {"version": "1", "urls": {"Repository": "R/"}}
    hook.update(metadata)
    assert metadata["readme"]["text"] == "[a](R/blob/v1/b.md)"
