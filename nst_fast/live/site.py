"""The page as a folder of files for any web host: pictures are stylized in the visitor's browser."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from nst_fast.errors import OutputError, SettingError
from nst_fast.files.atomic import replace_atomically
from nst_fast.live.gallery import Style
from nst_fast.live.guard import CONTENT_SECURITY_POLICY
from nst_fast.live.static_files import PAGE, read_page
from nst_fast.live.web_runtime import find_runtime

LIST = "styles.json"
ISOLATION = """\
# Read by some hosts (Netlify, Cloudflare Pages): with these headers WebAssembly may use several threads.
/*
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp
"""


def export_site(folder: Path, styles: Iterable[Style]) -> None:
    """Write the page, the networks as ONNX, their thumbnails and onnxruntime-web.

    Args:
        folder: new, empty, or of an earlier export, which is replaced file by file.

    Raises:
        SettingError: onnxruntime-web has not been fetched.
        OutputError: the folder holds something else, or cannot be written.
    """
    runtime = find_runtime()
    if not runtime:
        raise SettingError("a site needs onnxruntime-web, which is not here yet; call fetch_runtime first")
    if folder.exists() and not (folder.is_dir() and ((folder / LIST).is_file() or not any(folder.iterdir()))):
        raise OutputError(f"{folder} holds something else already; give a new or empty folder")
    for name, file in read_page().items():
        _write(folder / name, file.content if name != "index.html" else _without_server(file.content))
    entries, taken = [], set()
    for style in styles:
        slug = _slug(style.name, taken)
        _write(folder / "networks" / f"{slug}.onnx", style.onnx)
        _write(folder / "thumbnails" / f"{slug}.jpg", style.thumbnail)
        files = {"thumbnail": f"thumbnails/{slug}.jpg", "network": f"networks/{slug}.onnx"}
        entries.append({"name": style.name, **style.about, **files})
    for name, path in runtime.items():
        _write(folder / "runtime" / name, path.read_bytes())
    _write(folder / "_headers", ISOLATION.encode())
    offer = {"styles": entries, "runtime": "runtime/", "training": False}
    _write(folder / LIST, json.dumps(offer, ensure_ascii=False, indent=1).encode())


def _without_server(page: bytes) -> bytes:
    policy = f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
    text = page.decode()
    assert 'data-server="yes"' in text and '<meta charset="utf-8">' in text, PAGE
    text = text.replace('data-server="yes"', 'data-server="no"')
    return text.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}').encode()


def _slug(name: str, taken: set[str]) -> str:
    """A file name that every host accepts, and that no other style of the site has."""
    base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "style"
    slug, number = base, 2
    while slug in taken:
        slug, number = f"{base}_{number}", number + 1
    taken.add(slug)
    return slug


def _write(path: Path, content: bytes) -> None:
    with replace_atomically(path) as temporary:
        temporary.write_bytes(content)
