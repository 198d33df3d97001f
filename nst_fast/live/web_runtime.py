"""onnxruntime-web, which runs a network inside the browser: where its files are, and how they get there.

They are 41 MB, so they are not part of the package. `fetch_runtime` downloads them once, from the registry that npm
uses, checks the archive against the checksum below and keeps the files that are needed. After that, stylizing in the
browser needs no internet.
"""

import base64
import hashlib
import http.client
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

import platformdirs

from nst_fast.errors import SettingError
from nst_fast.files.atomic import replace_atomically

VERSION = "1.30.0"
ARCHIVE = f"onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
# For WebAssembly, then for WebGPU: the module, and the WebAssembly that it loads.
FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
TIMEOUT_SECONDS = 60
MAX_ARCHIVE_BYTES = 60_000_000  # it has 33 MB

_log = logging.getLogger(__name__)


def runtime_folder() -> Path:
    """Where the files are kept: in the user's cache folder, or in the one that NST_FAST_CACHE names."""
    given = os.environ.get("NST_FAST_CACHE")
    cache = Path(given) if given else platformdirs.user_cache_path("nst-fast", appauthor=False)
    return cache / f"onnxruntime-web-{VERSION}"


def find_runtime() -> dict[str, Path]:
    """The files by name; empty if they have not been fetched."""
    folder = runtime_folder()
    files = {name: folder / name for name in FILES}
    return files if all(path.is_file() for path in files.values()) else {}


def fetch_runtime(archive: Path | None = None) -> None:
    """Put the files where `find_runtime` looks, unless they are there.

    Args:
        archive: the package as `npm pack` downloads it, for a computer without internet. None: download it.

    Raises:
        SettingError: it cannot be downloaded or read, or is not the package that this program is tested with.
        OutputError: the cache folder cannot be written.
    """
    if find_runtime():
        return
    with tempfile.TemporaryFile() as copy:
        if archive is None:
            address = _find_registry().rstrip("/") + "/" + ARCHIVE
            _log.info("downloading onnxruntime-web %s (33 MB) from %s", VERSION, address)
            source = _open_address(address)
        else:
            source = _open_file(archive)
        with source:
            checksum = _copy(source, copy, str(archive or "the download"))
        if base64.b64encode(checksum).decode() != SHA512:
            raise SettingError(
                f"{archive or 'what was downloaded'} is not onnxruntime-web {VERSION} (its checksum differs); "
                f"get it with: npm pack onnxruntime-web@{VERSION}"
            )
        copy.seek(0)
        _unpack(copy, runtime_folder())
    _log.info("the browser's runtime is in %s", runtime_folder())


def _find_registry() -> str:
    """The registry of npm: from its environment variable, else from npm itself."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(name):
            return os.environ[name]
    npm = shutil.which("npm")
    if npm is None:
        raise SettingError(
            "npm, which knows where to download onnxruntime-web, is not installed; install Node.js, or get the file "
            f"on another computer with npm pack onnxruntime-web@{VERSION} and give it as the archive"
        )
    asked = subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def _open_address(address: str) -> IO[bytes]:
    if not address.startswith(("https://", "http://")):
        raise SettingError(f"npm's registry leads to {address!r}; give an address that begins with https://")
    try:
        return urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS)
    except (urllib.error.URLError, OSError) as error:
        raise SettingError(
            f"{address} cannot be reached ({getattr(error, 'reason', error)}); check the network, or get the file "
            f"on another computer with npm pack onnxruntime-web@{VERSION} and give it as the archive"
        ) from error


def _open_file(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise SettingError(
            f"{path} cannot be read ({error.strerror}); give the file that npm pack onnxruntime-web@{VERSION} writes"
        ) from error


def _copy(source: IO[bytes], target: IO[bytes], name: str) -> bytes:
    """The SHA-512 of what was copied."""
    checksum, copied = hashlib.sha512(), 0
    try:
        while block := source.read(1 << 20):
            copied += len(block)
            if copied > MAX_ARCHIVE_BYTES:
                raise SettingError(
                    f"{name} is larger than {MAX_ARCHIVE_BYTES // 1_000_000} MB, so not onnxruntime-web {VERSION}; "
                    f"get it with: npm pack onnxruntime-web@{VERSION}"
                )
            checksum.update(block)
            target.write(block)
    except (OSError, http.client.HTTPException) as error:
        raise SettingError(f"{name} broke off ({error}); try again") from error
    return checksum.digest()


def _unpack(archive: IO[bytes], folder: Path) -> None:
    with tarfile.open(fileobj=archive) as members:
        for name in FILES:
            member = members.extractfile(f"package/dist/{name}")
            assert member is not None
            with replace_atomically(folder / name) as temporary:
                temporary.write_bytes(member.read())
