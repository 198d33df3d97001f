"""The documentation as a site: what is staged for it, its navigation, and the check of its links."""

import base64
import json
import re
import tomllib

import build_docs
import notebook_pages
import pytest
import site_links

import nst_fast


def test_every_page_is_staged_with_what_it_links_to(tmp_path):
    """Pages, pictures and linked files lie at the same places as in the repository; of notebooks, pages are made."""
    build_docs.copy_pages(tmp_path)
    staged = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert set(build_docs.list_pages()) <= staged
    names = {path.as_posix() for path in staged}
    assert {"docs/pictures/gallery.jpg", "LICENSE", "docs/guide/knobs.md"} <= names
    others = {path for path in staged if not (build_docs.PROJECT / path).is_file()}
    assert {path.parent.as_posix() for path in others} <= {"docs/notebooks"}
    assert "(../notebooks/train.md)" in (tmp_path / "docs" / "guide" / "notebooks.md").read_text(encoding="utf-8")
    assert {path.suffix for path in staged} & {".pyc", ".safetensors"} == set()


def test_the_navigation_has_every_page_once():
    """Each page, those of notebooks and that of the API, stands once in the navigation; nothing else stands there."""
    configuration = tomllib.loads(build_docs.CONFIGURATION.read_text(encoding="utf-8"))
    listed = re.findall(r"'([^']+\.md)'", str(configuration["project"]["nav"]))
    notebooks = (build_docs.PROJECT / "docs" / "notebooks").glob("*.ipynb")
    expected = [path.as_posix() for path in build_docs.list_pages()] + [build_docs.API_PAGE]
    expected += [f"docs/notebooks/{path.stem}.md" for path in notebooks]
    assert sorted(listed) == sorted(expected)


def test_the_reference_has_every_public_name():
    """Every name that the package offers is on the page of the API, classes of settings with their defaults."""
    listed = [name for names in build_docs.API.values() for name in names]
    assert sorted(listed) == sorted(nst_fast._HOMES)
    page = build_docs.write_api_page()
    assert "::: nst_fast.stylize.stylizer.Stylizer\n" in page
    assert "| `loss.style_strength` | `" in page
    assert "::: nst_fast.training.settings.TrainSettings" not in page


def test_a_notebook_becomes_a_page(tmp_path):
    """Text, code and results follow one another, pictures as files."""
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "text"]},
        {
            "cell_type": "code",
            "source": ["1 + 1"],
            "outputs": [
                {"output_type": "execute_result", "data": {"text/plain": ["2"]}},
                {"output_type": "display_data", "data": {"image/png": base64.b64encode(b"PNG").decode()}},
                {"output_type": "display_data", "data": {"text/html": ["<b>", "c</b>"], "text/plain": ["c"]}},
                {"output_type": "stream", "text": ["d\n"]},
            ],
        },
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    notebook_pages.write_notebook_page(tmp_path / "n.ipynb", tmp_path / "pages" / "n.md")
    assert (tmp_path / "pages" / "n.md").read_text(encoding="utf-8") == (
        "# A\ntext\n\n```python\n1 + 1\n```\n\n```text\n2\n```\n\n![What the cell shows](n-1-1.png)\n\n"
        "<b>c</b>\n\n```text\nd\n```\n"
    )
    assert (tmp_path / "pages" / "n-1-1.png").read_bytes() == b"PNG"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1. a\n\n   ```sh\n   b\n     c\n   ```\n", "1. a\n\n    ```sh\n    b\n      c\n    ```\n"),
        ("- a\n\n  | b |\n  | c |\n", "- a\n\n    | b |\n    | c |\n"),
        ("```sh\n  kept\n```\n  moved\n", "```sh\n  kept\n```\n    moved\n"),
        ("a\n\n    b\n", "a\n\n    b\n"),
    ],
)
def test_lists_are_indented_for_the_site(given, expected):
    """What belongs to a list item moves to 4 spaces, code in it as a whole; code blocks stay as they are."""
    assert build_docs.indent_for_markdown(given) == expected


def test_broken_links_of_a_site_are_found(tmp_path):
    """A missing file, a missing anchor, and what is loaded from elsewhere are faults; what readers may click is not."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text(
        '<h1 id="top">A</h1><a href="../b.html#here">fine</a><a href="../b.html#there">no anchor</a>'
        '<img src="no.jpg"><a href="https://host.example/">fine</a><script src="https://host.example/x.js"></script>'
        '<link rel="canonical" href="https://host.example/a/"><a href="#top">fine</a><img src="data:image/png;base64,">'
    )
    (tmp_path / "b.html").write_text('<p id="here"><a href="a/">fine</a> <a href="a%2Findex.html#top">fine</a>')
    assert site_links.find_faults(tmp_path) == [
        "a/index.html: ../b.html#there",
        "a/index.html: no.jpg",
        "a/index.html: loads https://host.example/x.js",
    ]


def test_what_is_no_site_is_not_replaced(tmp_path):
    """A folder with something else in it stays as it is."""
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(SystemExit, match="exists and is no site; give another folder with --output"):
        build_docs.build_site(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
