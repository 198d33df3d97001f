"""What a checkpoint says about itself, and where checkpoints are; needs no NumPy, so that listing styles is instant.

A checkpoint is a safetensors file. Such a file begins with the length of its header, eight bytes, the lowest first; the
header is JSON, which gives each tensor's place in the bytes behind it, and texts under `__metadata__`.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_fast.errors import CheckpointError, nearest_name
from nst_fast.files.shipped import checkpoint_folders

FORMAT_VERSION = 2
SUFFIX = ".safetensors"
METADATA_KEY = "nst_fast"
DIGEST_KEY = "nst_fast_sha256"  # of the text under METADATA_KEY and of the tensors, since format 2
_MOST_HEADER_BYTES = 1 << 20
_NAMES_OF_FORMAT_1 = {"grain": "input_noise"}  # of the arguments of networks


def read_checkpoint_header(path: Path) -> dict[str, Any]:
    """The metadata of a checkpoint without its tensors: `format_version`, `network`, `style`, ...

    All parts that are mappings in a checkpoint are mappings in the result, empty where they are missing.

    Raises:
        CheckpointError: missing, truncated, a pickle, not ours, or of a newer format.
    """
    return parse_header(path, read_metadata(path))


def parse_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What `read_checkpoint_header` gives, from the texts that the file at `path` holds; the same errors."""
    try:
        header = json.loads(metadata[METADATA_KEY])
        format_version = int(header["format_version"])
        if format_version == 1:
            old = header.pop("transform_net", {})
            header["network"] = {_NAMES_OF_FORMAT_1.get(key, key): value for key, value in old.items()}
        for key in ("network", "style", "loss", "training", "held_out"):
            if not isinstance(header.setdefault(key, {}), dict):
                raise TypeError(f"{key} is no mapping")
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{str(path)!r} is a safetensors file but not an nst-fast checkpoint; give one that nst-fast train wrote"
        ) from error
    if format_version > FORMAT_VERSION:
        raise CheckpointError(
            f"checkpoint {str(path)!r} has format {format_version}, this program reads up to {FORMAT_VERSION}; "
            f"update nst-fast"
        )
    return header


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a safetensors file holds beside its tensors, which must be there to the last byte.

    Raises:
        CheckpointError: missing, truncated, or a pickle.
    """
    _check_is_checkpoint_file(path)
    try:
        metadata = _read_file_header(path).get("__metadata__", {})
        return {str(key): str(value) for key, value in metadata.items()}
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise damaged(path, error) from error


def list_shipped_checkpoints() -> dict[str, Path]:
    """The checkpoints that come with the program: name -> file, sorted by name."""
    return dict(sorted((path.stem, path) for folder in checkpoint_folders() for path in folder.glob(f"*{SUFFIX}")))


def find_checkpoint(name_or_path: str | Path) -> Path:
    """The file of a shipped style's name, or the path itself.

    Raises:
        CheckpointError: neither; the message lists the shipped styles.
    """
    shipped = list_shipped_checkpoints()
    given = str(name_or_path)
    path = Path(os.path.expanduser(given))
    # os.path's questions, unlike Path's, take names that are too long for the system.
    if os.path.isfile(path):
        return path
    if given in shipped:
        return shipped[given]
    if os.path.isdir(path):
        raise CheckpointError(f"style {given!r} is a folder; give a checkpoint file ({SUFFIX}) or a name: {_names()}")
    raise CheckpointError(
        f"style {given!r} is neither a file nor a shipped style; shipped: {_names()}"
        f"{nearest_name(given, list(shipped))}"
    )


def program_version() -> str:
    """The installed version of nst-fast, or `unknown` where it runs without being installed."""
    from importlib.metadata import PackageNotFoundError, version  # only here, since it takes its time

    try:
        return version("nst-fast")
    except PackageNotFoundError:
        return "unknown"


def damaged(path: Path, error: Exception) -> CheckpointError:
    """The error for a file that is not whole."""
    reason = " ".join(str(error).split())[:200]
    return CheckpointError(f"checkpoint {str(path)!r} is truncated or damaged ({reason}); copy or train it again")


def _names() -> str:
    return ", ".join(list_shipped_checkpoints()) or "none"


def _read_file_header(path: Path) -> dict[str, Any]:
    """The JSON at the beginning of a safetensors file, whose tensors must be there to the last byte."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_MOST_HEADER_BYTES, size - 8):
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        header = json.loads(file.read(length))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise ValueError(f"{size} bytes, but its header speaks of {8 + length + max(ends, default=0)}")
    return header


def _check_is_checkpoint_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(
            f"checkpoint {str(path)!r} cannot be read ({error.strerror}); give another file"
        ) from error
    # A pickle begins with 0x80, a zip as torch.save writes it with PK. So does one in 32 safetensors files, whose
    # first 8 bytes are the header's length; but there the header, a JSON object, comes next.
    like_pickle = start[:1] == b"\x80" or start[:2] == b"PK"
    if (like_pickle and start[8:] != b"{") or path.suffix in (".pt", ".pth", ".pkl"):
        raise CheckpointError(
            f"{str(path)!r} is a pickle, which could run code when it is read, and was not opened; "
            f"give a {SUFFIX} checkpoint that nst-fast train wrote"
        )
