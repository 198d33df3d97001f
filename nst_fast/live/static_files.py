"""The files of the page, read once: names in requests are looked up here, never on the disk."""

import dataclasses
import hashlib
from pathlib import Path

from nst_fast.stylize.region import PERSON_NETWORK

PAGE = Path(__file__).parent / "page"
# The network that finds people, for the browser; the page asks for it only when somebody is to be found.
PERSON = "person.onnx"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


@dataclasses.dataclass(frozen=True)
class StaticFile:
    """One file as it is sent."""

    content: bytes
    media_type: str
    etag: str


def read_static_file(path: Path) -> StaticFile:
    """Raises: KeyError, for a suffix that the page does not use."""
    content = path.read_bytes()
    return StaticFile(content, MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:20]}"')


def read_page() -> dict[str, StaticFile]:
    """Name below the page's address -> file."""
    files = {
        path.relative_to(PAGE).as_posix(): read_static_file(path)
        for path in sorted(PAGE.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }
    return {**files, PERSON: read_static_file(PERSON_NETWORK)}
