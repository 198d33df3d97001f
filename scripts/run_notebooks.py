"""Run the notebooks in docs/notebooks/ and keep what they show, with pictures small enough for a repository.

    python scripts/run_notebooks.py [NAME ...] [--check]

Each runs in its own folder, with the Python that runs this script. Kept are texts and pictures; what goes to standard
error, such as progress bars and paths of this computer, is not.
"""

import argparse
import base64
import io
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"
_TIMEOUT_SECONDS = 600
# Of the pictures that are kept.
_LONG_SIDE, _JPEG_QUALITY = 560, 75
_RASTERS = ("image/jpeg", "image/png")


def main() -> None:
    """Run the notebooks that are named, or all."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as stylize (default: all)")
    parser.add_argument("--check", action="store_true", help="only run them, and leave the files as they are")
    options = parser.parse_args()
    for path in [FOLDER / f"{name}.ipynb" for name in options.names] or sorted(FOLDER.glob("*.ipynb")):
        if not path.is_file():
            parser.error(
                f"{path} does not exist; there are {', '.join(sorted(p.stem for p in FOLDER.glob('*.ipynb')))}"
            )
        notebook = run_notebook(path)
        if not options.check:
            nbformat.write(tidy(notebook), path)
        print(f"{path.name}: {len(notebook.cells)} cells, {path.stat().st_size / 1000:.0f} kB")


def run_notebook(path: Path) -> NotebookNode:
    """The notebook with the outputs of a run in its folder.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    # The command of this environment; and no traces in the home folder.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with tempfile.TemporaryDirectory() as settings:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
            os.environ[name] = settings
        client = NotebookClient(
            notebook,
            timeout=_TIMEOUT_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
        )
        return client.execute()


def tidy(notebook: NotebookNode) -> NotebookNode:
    """The notebook as it is kept: without times, versions and standard error, and with small pictures."""
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number}"
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "data" in output:
                    _shrink_pictures(output)
                    if len(output.data) > 1:
                        output.data.pop("text/plain", None)  # has an address in memory
    return notebook


def _shrink_pictures(output: NotebookNode) -> None:
    rasters = [kind for kind in _RASTERS if kind in output.data]
    if not rasters:
        return
    image = Image.open(io.BytesIO(base64.b64decode(output.data[rasters[-1]]))).convert("RGB")
    image.thumbnail((_LONG_SIDE, _LONG_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    for kind in rasters:
        del output.data[kind]
    output.data["image/jpeg"] = base64.b64encode(buffer.getvalue()).decode()
    output.metadata = NotebookNode()


if __name__ == "__main__":
    main()
