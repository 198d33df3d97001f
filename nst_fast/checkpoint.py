"""A checkpoint: one safetensors file that holds a trained network and says how it was made.

The weights are the file's tensors; everything else is one JSON string in its metadata. Reading a checkpoint
never executes anything.
"""

import dataclasses
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from nst_fast.atomic_files import replace_atomically
from nst_fast.errors import CheckpointError, SettingError, nearest_name
from nst_fast.shipped import checkpoint_folders
from nst_fast.transform_nets import TransformNet, build_transform_net, name_of_transform_net

FORMAT_VERSION = 1
SUFFIX = ".safetensors"
METADATA_KEY = "nst_fast"


@dataclasses.dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself beside the network's name and arguments.

    Attributes:
        style: `name`, and `title`, `artist`, `year` where known.
        loss: loss network, its weights, taps, normalisation, and the weights of the terms.
        training: steps, batch size, sizes in pixels (crop, painting, the stroke's reference), learning rate, seed.
        held_out: the losses reached on photos that were not trained on, and how many photos; empty if none.
    """

    style: dict[str, Any]
    loss: dict[str, Any] = dataclasses.field(default_factory=dict)
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    held_out: dict[str, Any] = dataclasses.field(default_factory=dict)
    program_version: str = ""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A network ready to paint (float32, on the CPU, in evaluation mode) and what its file says of it."""

    network: TransformNet
    info: CheckpointInfo


def program_version() -> str:
    """The installed version of nst-fast, or `unknown` where it runs without being installed."""
    try:
        return version("nst-fast")
    except PackageNotFoundError:
        return "unknown"


@torch.no_grad()
def round_weights(network: torch.nn.Module, dtype: torch.dtype) -> None:
    """Round the weights, in place, to what a checkpoint of this number type will hold."""
    for weight in network.parameters():
        weight.copy_(weight.to(dtype))


def save_checkpoint(path: Path, network: TransformNet, info: CheckpointInfo, *, dtype: torch.dtype) -> None:
    """Write a checkpoint atomically.

    Args:
        dtype: of the stored weights: torch.float16 (half the size) or torch.float32.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in network.state_dict().items()}
    header = {
        "format_version": FORMAT_VERSION,
        "transform_net": {"name": name_of_transform_net(network), **network.arguments},
        **dataclasses.asdict(dataclasses.replace(info, program_version=program_version())),
    }
    data = safetensors.torch.save(tensors, {METADATA_KEY: json.dumps(header, ensure_ascii=False)})
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data)


def read_checkpoint_header(path: Path) -> dict[str, Any]:
    """The metadata of a checkpoint without its tensors: `format_version`, `transform_net`, `style`, ...

    Raises:
        CheckpointError: missing, truncated, a pickle, not ours, or of a newer format.
    """
    _check_is_checkpoint_file(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(
            f"checkpoint {str(path)!r} is truncated or damaged ({' '.join(str(error).split())}); copy or train it anew"
        ) from error
    try:
        header = json.loads(metadata[METADATA_KEY])
        format_version = int(header["format_version"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{str(path)!r} is a safetensors file but no checkpoint of nst-fast; give one that nst-fast train wrote"
        ) from error
    if format_version > FORMAT_VERSION:
        raise CheckpointError(
            f"checkpoint {str(path)!r} has format {format_version}, this program reads up to {FORMAT_VERSION}; "
            f"update nst-fast"
        )
    return header


def load_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """The network in a checkpoint file, or in a shipped one by its name.

    Raises:
        CheckpointError: see `find_checkpoint` and `read_checkpoint_header`; or tensors that do not fit the network.
    """
    path = find_checkpoint(name_or_path)
    header = read_checkpoint_header(path)
    try:
        arguments = {"name": "(none)", **header.get("transform_net", {})}
        weights = safetensors.torch.load_file(path)
        # First on the meta device, where a network takes no memory, whatever width a damaged file claims.
        with torch.device("meta"):
            build_transform_net(**arguments).load_state_dict(weights, assign=True)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they would have been
            network = build_transform_net(**arguments)
        network.load_state_dict(weights)
    except (SettingError, RuntimeError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"checkpoint {str(path)!r} does not fit this program ({' '.join(str(error).split())[:200]}); "
            f"update nst-fast or train it anew"
        ) from error
    fields = {field.name for field in dataclasses.fields(CheckpointInfo)}
    info = CheckpointInfo(**{"style": {}, **{key: value for key, value in header.items() if key in fields}})
    return Checkpoint(network.eval().requires_grad_(False), info)


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


def _names() -> str:
    return ", ".join(list_shipped_checkpoints()) or "none"


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
            f"{str(path)!r} is a pickle, which could run code when read, and was not opened; "
            f"give a {SUFFIX} checkpoint that nst-fast train wrote"
        )
