"""onnxruntime-web, which runs a network inside the browser: where its files are, and how they come there.

They are 41 MB, so they are neither in the project nor in its package: `nst-fast live --fetch-runtime` gets them once,
from where npm gets its packages, checks the archive against the checksum below and keeps what is needed of it. From
then on painting in the browser works without any network.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from nst_fast.atomic_files import replace_atomically
from nst_fast.errors import SettingError

VERSION = "1.30.0"
ARCHIVE = f"onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
# For WebAssembly and for WebGPU: each the module, and the WebAssembly that it loads.
FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
TIMEOUT_SECONDS = 60


def runtime_folder() -> Path:
    """Where the files are kept: the user's cache, or what NST_FAST_CACHE names."""
    given = os.environ.get("NST_FAST_CACHE")
    if given:
        cache = Path(given)
    elif sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nst-fast"
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches" / "nst-fast"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nst-fast"
    return cache / f"onnxruntime-web-{VERSION}"


def find_runtime() -> dict[str, Path]:
    """The files by their names; empty if they have not been fetched."""
    folder = runtime_folder()
    files = {name: folder / name for name in FILES}
    return files if all(path.is_file() for path in files.values()) else {}


def fetch_runtime(archive: Path | None = None, *, say: Callable[[str], None]) -> None:
    """Put the files where `find_runtime` looks; nothing is done if they are there.

    Args:
        archive: the package as `npm pack` downloads it, for a computer without a network. None: it is downloaded.
        say: takes what is said to the user.

    Raises:
        SettingError: it cannot be downloaded or read, or is not the package that this program was tested with.
        OutputError: the cache cannot be written.
    """
    if find_runtime():
        return
    with tempfile.TemporaryFile() as copy:
        if archive is None:
            address = _find_registry().rstrip("/") + "/" + ARCHIVE
            say(f"downloading onnxruntime-web {VERSION} (33 MB) from {address}")
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
    say(f"the browser's runtime is in {runtime_folder()}")


def _find_registry() -> str:
    """Where npm gets its packages: what its own variable says, else what npm says."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(name):
            return os.environ[name]
    npm = shutil.which("npm")
    if npm is None:
        raise SettingError(
            "npm, which knows where onnxruntime-web is to be had, is not installed; install Node.js, or fetch it "
            f"elsewhere with npm pack onnxruntime-web@{VERSION} and give --fetch-runtime FILE"
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
            f"{address} cannot be reached ({getattr(error, 'reason', error)}); check the network, or fetch it "
            f"elsewhere with npm pack onnxruntime-web@{VERSION} and give --fetch-runtime FILE"
        ) from error


def _open_file(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise SettingError(
            f"{path} cannot be read ({error.strerror}); give the file that npm pack onnxruntime-web@{VERSION} wrote"
        ) from error


def _copy(source: IO[bytes], target: IO[bytes], name: str) -> bytes:
    """The SHA-512 of what was copied."""
    checksum = hashlib.sha512()
    try:
        while block := source.read(1 << 20):
            checksum.update(block)
            target.write(block)
    except OSError as error:
        raise SettingError(f"{name} broke off ({error}); try again") from error
    return checksum.digest()


def _unpack(archive: IO[bytes], folder: Path) -> None:
    with tarfile.open(fileobj=archive) as members:
        for name in FILES:
            member = members.extractfile(f"package/dist/{name}")
            assert member is not None
            with replace_atomically(folder / name) as temporary:
                temporary.write_bytes(member.read())
