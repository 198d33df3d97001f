"""An executed notebook as a Markdown page, so that the site shows what it shows."""

import base64
import json
from pathlib import Path

_IMAGES = {"image/jpeg": ".jpg", "image/png": ".png"}


def write_notebook_page(notebook: Path, page: Path) -> None:
    """Write a notebook's cells and results to `page`, and its pictures beside that."""
    parts = []
    for number, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        parts.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
        for place, output in enumerate(cell.get("outputs", [])):
            parts.append(_show(output, page.with_name(f"{page.stem}-{number}-{place}")))
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _show(output: dict, picture: Path) -> str:
    """The Markdown of one result; a picture goes into a file with this name and a suffix."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    for kind, suffix in _IMAGES.items():
        if kind in data:
            file = picture.with_suffix(suffix)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(base64.b64decode("".join(data[kind])))
            return f"![What the cell shows]({file.name})"
    if "text/html" in data:
        return "".join(data["text/html"])
    return f"```text\n{''.join(data.get('text/plain', '')).rstrip()}\n```"
