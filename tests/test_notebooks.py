"""The notebooks of docs/: they run, and what is kept of a run is small and says nothing of the computer."""

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import run_notebooks
from nbformat import NotebookNode
from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((PROJECT / "docs" / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
_MOST_BYTES = 400_000


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, PROJECT / "scripts" / "run_notebooks.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_stylize_everything_runs():
    """Every cell of the notebook runs, with the command of this environment, and the file stays as it is."""
    path = PROJECT / "docs" / "notebooks" / "stylize.ipynb"
    before = path.read_bytes()
    result = run("stylize", "--check")
    assert result.returncode == 0, result.stderr
    assert path.read_bytes() == before


@pytest.mark.slow
def test_train_your_own_runs():
    """Every cell of the notebook runs."""
    result = run("train", "--check")
    assert result.returncode == 0, result.stderr


@each_notebook
def test_what_is_kept(path):
    """The notebook is valid and small, every cell was run, none failed, and nothing names this computer."""
    assert path.stat().st_size < _MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs and {output.output_type for output in outputs} == {"execute_result"}
    assert any("image/jpeg" in output.data for output in outputs)
    text = re.sub(r'"image/jpeg": "[^"]*"|base64,[^\']*', "", path.read_text(encoding="utf-8"))
    assert not re.search(r"/tmp|/home|/root|/work|0x[0-9a-f]{6}", text)


def test_a_run_is_tidied():
    """Pictures become small JPEGs, standard error goes, ids are numbers, and addresses in memory are dropped."""
    image = Image.effect_mandelbrot((1200, 600), (-2, -1, 1, 1), 50).convert("RGB")
    cell = nbformat.v4.new_code_cell("image")
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="/somewhere: warning"),
        nbformat.v4.new_output("execute_result", {"image/png": encode(image), "text/plain": "<Image at 0x7f0000>"}),
        nbformat.v4.new_output("execute_result", {"text/plain": "3"}),
    ]
    tidy = run_notebooks.tidy(NotebookNode(nbformat.v4.new_notebook(cells=[cell])))
    picture, number = tidy.cells[0].outputs
    assert list(picture.data) == ["image/jpeg"] and number.data == {"text/plain": "3"}
    assert decode(picture.data["image/jpeg"]).size == (560, 280)
    assert tidy.cells[0].id == "cell-1"


def encode(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def decode(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_an_unknown_notebook():
    """A name that is no notebook is one line, with those there are."""
    result = run("absent")
    assert result.returncode == 2 and "absent.ipynb does not exist; there are stylize, train" in result.stderr
