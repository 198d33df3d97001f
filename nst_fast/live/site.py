"""The page as a folder of files for any web host, and as an app: photos are stylized in the visitor's browser."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from nst_fast.errors import OutputError, SettingError
from nst_fast.files.atomic import replace_atomically
from nst_fast.live.gallery import Style
from nst_fast.live.guard import CONTENT_SECURITY_POLICY
from nst_fast.live.static_files import PAGE, read_page
from nst_fast.live.web_runtime import find_runtime

LIST = "styles.json"
# What makes the site an app: its manifest, its icons, and the service worker that keeps it in the browser.
APP = Path(__file__).parent / "app"
FILES = "files.json"
_APP_LINKS = """\
<link rel="manifest" href="app.webmanifest">
<link rel="apple-touch-icon" href="icon-192.png">
<meta name="theme-color" content="#121417">"""
ISOLATION = """\
# Read by some hosts (Netlify, Cloudflare Pages): with these headers WebAssembly may use several threads from
# the first moment; elsewhere the service worker adds them.
/*
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Embedder-Policy: require-corp
"""


def export_site(folder: Path, styles: Iterable[Style], report: Callable[[Path], None] = lambda path: None) -> None:
    """Write the page, the networks as ONNX, their thumbnails and onnxruntime-web.

    Args:
        folder: new, empty, or of an earlier export, which is replaced file by file.
        report: called with each file once it is written.

    Raises:
        SettingError: onnxruntime-web has not been fetched.
        OutputError: the folder holds something else, or cannot be written.
    """
    runtime = find_runtime()
    if not runtime:
        raise SettingError("a site needs onnxruntime-web, which is not here yet; call fetch_runtime first")
    if folder.exists() and not (folder.is_dir() and ((folder / LIST).is_file() or not any(folder.iterdir()))):
        raise OutputError(f"{folder} holds something else already; give a new or empty folder")
    site = _Site(folder, report)
    for name, file in read_page().items():
        if not name.startswith("obs."):  # the view of a stream, which a site has not
            site.write(name, file.content if name != "index.html" else _without_server(file.content))
    for path in sorted(APP.iterdir()):
        site.write(path.name, path.read_bytes())
    site.write("_headers", ISOLATION.encode())
    for name in ("_headers", "service_worker.js"):
        del site.hashes[name]  # which the service worker does not keep
    entries, taken = [], set()
    for style in styles:
        slug = _slug(style.name, taken)
        site.write(f"networks/{slug}.onnx", style.onnx)
        site.write(f"thumbnails/{slug}.jpg", style.thumbnail)
        files = {"thumbnail": f"thumbnails/{slug}.jpg", "network": f"networks/{slug}.onnx"}
        entries.append({"name": style.name, **style.about, **files})
    for name, path in runtime.items():
        site.write(f"runtime/{name}", path.read_bytes())
    offer = {"styles": entries, "runtime": "runtime/", "training": False}
    site.write(LIST, json.dumps(offer, ensure_ascii=False, indent=1).encode())
    # Last: from then on browsers fetch what has changed since an earlier export.
    site.write(FILES, json.dumps(site.hashes, indent=1).encode())


class _Site:
    """The files of a site so far.

    Attributes:
        hashes: the path of each file -> the hash of its content.
    """

    def __init__(self, folder: Path, report: Callable[[Path], None]) -> None:
        self.hashes: dict[str, str] = {}
        self._folder = folder
        self._report = report

    def write(self, name: str, content: bytes) -> None:
        """A file by its path below the folder."""
        path = self._folder / name
        with replace_atomically(path) as temporary:
            temporary.write_bytes(content)
        self.hashes[name] = hashlib.sha256(content).hexdigest()[:16]
        self._report(path)


def _without_server(page: bytes) -> bytes:
    """The page without its server, as an app with a manifest."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
    text = page.decode()
    assert 'data-server="yes"' in text and '<meta charset="utf-8">' in text, PAGE
    text = text.replace('data-server="yes"', 'data-server="no"')
    return text.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}\n{_APP_LINKS}').encode()


def _slug(name: str, taken: set[str]) -> str:
    """A file name that every host accepts, and that no other style of the site has."""
    base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "style"
    slug, number = base, 2
    while slug in taken:
        slug, number = f"{base}_{number}", number + 1
    taken.add(slug)
    return slug
