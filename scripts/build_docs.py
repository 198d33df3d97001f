"""The documentation as a site: scripts/build_docs.py [--output FOLDER].

Every Markdown page keeps its place in the repository, so its relative links are those that work on a code host. The
pages are copied into a scratch folder together with what they link to and with pages made from docstrings, Zensical
builds them strictly, and every link of the result is then followed once more (see `site_links`).
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from notebook_pages import write_notebook_page
from site_links import find_faults

import nst_fast
from nst_fast.cli.settings_help import show_value
from nst_fast.settings.declare import list_settings

PROJECT = Path(__file__).resolve().parent.parent
CONFIGURATION = PROJECT / "docs" / "zensical.toml"
API_PAGE = "docs/reference/python-api.md"
# What `from nst_fast import NAME` gives, by what you use it for. Classes of settings are shown as tables.
API = {
    "Stylize": ("Stylizer", "Look", "Picture", "read_picture", "write_picture", "stylize_film", "FilmSettings"),
    "Networks": ("Checkpoint", "load_checkpoint", "list_shipped_checkpoints", "build_network", "load_network"),
    "Train": ("train", "TrainingResult", "TrainSettings", "PerceptualLoss", "build_loss_network"),
    "Evaluate and optimize": ("evaluate", "EvaluateSettings", "optimize_image", "OptimizeSettings"),
    "Errors": ("NstFastError",),
}
SETTINGS = ("TrainSettings", "EvaluateSettings", "OptimizeSettings")
_TARGET = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
_NOTEBOOK = re.compile(r"(\]\([^)\s:]+)\.ipynb(\))")
_FENCE = re.compile(r"^( *)(```+|~~~+)")


def list_pages() -> list[Path]:
    """The Markdown pages of the site, relative to the project."""
    pages = [Path(name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "checkpoints/README.md")]
    for folder in ("docs", "integrations"):
        pages += sorted(path.relative_to(PROJECT) for path in (PROJECT / folder).rglob("*.md"))
    return pages


def copy_pages(folder: Path) -> None:
    """Copy every page, and every file of the project that one of them links to, to the same place in `folder`.

    A notebook becomes a page, and links to it lead there.

    Raises:
        FileNotFoundError: a link leads to nothing.
    """
    for page in list_pages():
        text = (PROJECT / page).read_text(encoding="utf-8")
        (folder / page).parent.mkdir(parents=True, exist_ok=True)
        (folder / page).write_text(_NOTEBOOK.sub(r"\1.md\2", indent_for_markdown(text)), encoding="utf-8")
        for target in _TARGET.findall(text):
            source = (PROJECT / page).parent / target
            if "://" in target or target.startswith("mailto:") or target.endswith(".md"):
                continue
            copy = folder / source.resolve().relative_to(PROJECT)
            if copy.suffix == ".ipynb":
                write_notebook_page(source, copy.with_suffix(".md"))
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def indent_for_markdown(text: str) -> str:
    """The text with what belongs to a list item indented by 4 spaces, as Python-Markdown wants it; GitHub takes 2."""
    lines, fence, added = [], "", 0
    for line in text.splitlines():
        opening = _FENCE.match(line)
        if not fence:
            indent = len(line) - len(line.lstrip(" "))
            added = 4 - indent if indent in (2, 3) else 0
            fence = opening[2] if opening else ""
        elif opening and opening[2].startswith(fence):
            fence = ""
        lines.append(" " * added + line if line else line)
    return "\n".join(lines) + "\n"


def write_api_page() -> str:
    """The Markdown of the page that mkdocstrings fills from docstrings."""
    parts = ["# Python API", "", "All names come from `nst_fast`: `from nst_fast import Stylizer`."]
    for heading, names in API.items():
        parts += ["", f"## {heading}"]
        for name in names:
            parts += ["", *(_table_of_settings(name) if name in SETTINGS else [f"::: {_home(name)}.{name}"])]
    return "\n".join(parts) + "\n"


def _home(name: str) -> str:
    return nst_fast._HOMES[name]


def _table_of_settings(name: str) -> list[str]:
    settings: Any = getattr(nst_fast, name)
    lines = [f"### {name}", "", settings.__doc__.split("\n\n")[0], "", "| setting | default | meaning |"]
    lines.append("| --- | --- | --- |")
    for row in list_settings(settings):
        default = f"`{show_value(row.value)}`" if show_value(row.value) else ""
        lines.append(f"| `{row.key}` | {default} | {row.help.replace('|', '&#124;')} |")
    return lines


def build_site(output: Path) -> None:
    """Build the site into `output`, which is replaced once the site is whole and its links lead somewhere.

    Raises:
        SystemExit: Zensical found a fault, a link leads nowhere or out of the site, or `output` is something else.
    """
    if output.exists() and not (output / "sitemap.xml").is_file():
        raise SystemExit(f"error: {output} exists and is no site; give another folder with --output")
    # In the project, where Zensical finds the package that mkdocstrings reads.
    with tempfile.TemporaryDirectory(prefix=".site.", dir=PROJECT) as scratch:
        folder = Path(scratch)
        copy_pages(folder / "pages")
        (folder / "pages" / API_PAGE).write_text(write_api_page(), encoding="utf-8")
        shutil.copyfile(CONFIGURATION, folder / "zensical.toml")
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
        status = subprocess.run(command, cwd=folder, check=False).returncode
        if status:
            raise SystemExit(f"error: zensical found the faults above (exit status {status}); fix them")
        faults = find_faults(folder / "site")
        if faults:
            raise SystemExit("\n".join(["error: links of the site that lead nowhere, or out of it:", *faults]))
        if output.exists():
            shutil.rmtree(output)
        shutil.move(folder / "site", output)


def main() -> None:
    """Build the site."""
    parser = argparse.ArgumentParser(description="Build the documentation as a site.")
    parser.add_argument("--output", type=Path, default=PROJECT / "site", metavar="FOLDER", help="default: site")
    options = parser.parse_args()
    build_site(options.output)
    print(f"{options.output}: open {options.output / 'index.html'} in a browser")


if __name__ == "__main__":
    main()
