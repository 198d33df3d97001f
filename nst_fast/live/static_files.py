"""The files of the page, read once: names in requests are looked up here, never on the disk."""

import dataclasses
import hashlib
from pathlib import Path

PAGE = Path(__file__).parent / "page"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
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
    """Name below the page's folder -> file."""
    return {
        path.relative_to(PAGE).as_posix(): read_static_file(path)
        for path in sorted(PAGE.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }
