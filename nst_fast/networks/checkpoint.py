"""A checkpoint: one safetensors file that holds a trained network and says how it was made.

The weights are the file's tensors; everything else is one JSON string in its metadata, with a SHA-256 of both.
Reading a checkpoint never executes anything.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from nst_fast.errors import CheckpointError, SettingError
from nst_fast.files.atomic import replace_atomically
from nst_fast.files.shipped import base_folder
from nst_fast.networks.checkpoint_header import (
    DIGEST_KEY,
    FORMAT_VERSION,
    METADATA_KEY,
    damaged,
    find_checkpoint,
    parse_header,
    program_version,
    read_metadata,
)
from nst_fast.networks.description import STEERING, STRENGTHS, NetworkDescription, interpolate_strength
from nst_fast.networks.registry import describe_network

BASE_FILE, PREDICTOR_FILE = "base.safetensors", "predictor.safetensors"
DTYPES = {"fp16": np.float16, "fp32": np.float32}


@dataclasses.dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says about itself, besides the description of its network.

    Attributes:
        style: `name`, and `title`, `artist`, `year` where known.
        loss: the loss network, its weights, taps, scaling, and the weights of the terms.
        training: steps, batch size, sizes in pixels (crops, style image), optimizer, learning rate, seed.
        held_out: the losses reached on photos that were not trained on, and how many photos; empty if none.
        program_version: of nst-fast, filled in when the checkpoint is saved.
    """

    style: dict[str, Any]
    loss: dict[str, Any] = dataclasses.field(default_factory=dict)
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    held_out: dict[str, Any] = dataclasses.field(default_factory=dict)
    program_version: str = ""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A trained network in plain values.

    Attributes:
        description: of the network.
        weights: float32 arrays by name, of the shapes in `description.list_parameters()`.
        info: what the file says about itself.
    """

    description: NetworkDescription
    weights: Mapping[str, np.ndarray]
    info: CheckpointInfo

    @property
    def digest(self) -> str:
        """SHA-256 of the network, in hexadecimal: equal for two checkpoints that stylize alike."""
        arguments = json.dumps([self.description.name, dict(self.description.arguments)], sort_keys=True)
        return hashlib.sha256(arguments.encode() + _digest(self.weights).encode()).hexdigest()

    @property
    def shared_digest(self) -> str:
        """SHA-256 of all but the steering, in hexadecimal: equal for networks that differ only in their style."""
        shared = {name: weight for name, weight in self.weights.items() if name != STEERING}
        return dataclasses.replace(self, weights=shared).digest

    def steer(self, strength: float) -> np.ndarray:
        """The scales and shifts of an adjustable network at a strength: (1, 2, steering channels), float32.

        Args:
            strength: 0 (nearly the photo) to 2; 1 is the style as trained.

        Raises:
            SettingError: the strength is out of range, or the network is not adjustable.
        """
        if not self.description.adjustable:
            name = self.info.style.get("name", "this style")
            advice = "choose another style"  # the other kinds of network cannot have it
            if self.description.name == "realtime":
                advice = "add the knob with nst-fast train train_only=strength"
            raise SettingError(f"{name} was trained without the strength knob; leave strength at 1, or {advice}")
        if not STRENGTHS[0] <= strength <= STRENGTHS[-1]:
            raise SettingError(f"strength is {strength:g}; give {STRENGTHS[0]:g} to {STRENGTHS[-1]:g}, 1 is as trained")
        return np.einsum("k,krc->rc", np.array(interpolate_strength(strength), np.float32), self.weights[STEERING])[
            None
        ]


def blend_checkpoints(checkpoints: Sequence[tuple[Checkpoint, float]]) -> Checkpoint:
    """One network between several styles: the weighted mean of their steering.

    Args:
        checkpoints: each with its share, in any unit.

    Raises:
        SettingError: networks that do not share their convolutions, or shares that are not positive.
    """
    if any(not share > 0 for _, share in checkpoints):
        raise SettingError("the share of each style in a blend must be a positive number, such as wave:0.6,udnie:0.4")
    first = checkpoints[0][0]
    names = [str(one.info.style.get("name", "style")) for one, _ in checkpoints]
    if not first.description.adjustable or len({one.shared_digest for one, _ in checkpoints}) > 1:
        raise SettingError(
            f"{' and '.join(names)} cannot be blended: only styles of the base network share their convolutions"
        )
    total = sum(share for _, share in checkpoints)
    steering = np.sum([one.weights[STEERING] * np.float32(share / total) for one, share in checkpoints], axis=0)
    shares = ",".join(f"{name}:{share / total:.3g}" for name, (_, share) in zip(names, checkpoints, strict=True))
    info = CheckpointInfo(style={"name": shares if len(checkpoints) > 1 else names[0]})
    return Checkpoint(first.description, {**first.weights, STEERING: steering}, info)


def save_checkpoint(path: Path, checkpoint: Checkpoint, *, dtype: str, without_shared: bool = False) -> None:
    """Write a checkpoint atomically.

    Args:
        dtype: of the stored weights: fp16 (half the size) or fp32.
        without_shared: True: only the steering, a few kB, of a style of the base network, whose other weights come with
            the program.

    Raises:
        CheckpointError: a weight is not finite, or too large for fp16.
        OutputError: the file cannot be written.
    """
    data = encode_checkpoint(checkpoint, dtype=dtype, without_shared=without_shared)
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data)


def encode_checkpoint(checkpoint: Checkpoint, *, dtype: str, without_shared: bool = False) -> bytes:
    """The bytes of the file that `save_checkpoint` writes.

    Raises:
        CheckpointError: see `save_checkpoint`.
    """
    kept = {STEERING: checkpoint.weights[STEERING]} if without_shared else checkpoint.weights
    with np.errstate(over="ignore"):  # told below
        tensors = {name: np.ascontiguousarray(weight, DTYPES[dtype]) for name, weight in kept.items()}
    if broken := _find_not_finite(tensors):
        raise CheckpointError(f"{broken} holds weights that {dtype} cannot hold; give fp32, or train again")
    info = dataclasses.replace(checkpoint.info, program_version=program_version())
    header = {
        "format_version": FORMAT_VERSION,
        "network": {"name": checkpoint.description.name, **checkpoint.description.arguments},
        **({"base": checkpoint.shared_digest} if without_shared else {}),
        **dataclasses.asdict(info),
    }
    text = json.dumps(header, ensure_ascii=False)
    return _in_order(safetensors.numpy.save(tensors, {METADATA_KEY: text, DIGEST_KEY: _digest(tensors, text)}))


def _in_order(data: bytes) -> bytes:
    """A safetensors file whose texts are sorted by their names.

    safetensors itself writes them in an order that changes from process to process, and the same checkpoint should be
    the same bytes.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + data[end:]


def load_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """The network in a checkpoint file, or in a shipped one by its name.

    Raises:
        CheckpointError: see `find_checkpoint` and `read_checkpoint_header`; or tensors that do not fit the network,
            are not finite, or are not those that were saved.
    """
    return _load(find_checkpoint(name_or_path))


@functools.cache
def load_base() -> Checkpoint:
    """The base network, whose steering is that of no style in particular.

    Raises:
        CheckpointError: it did not come with this program.
    """
    return _load(base_folder() / BASE_FILE)


def _load(path: Path) -> Checkpoint:
    """What the file holds; read again if another one took its place meanwhile, as a training replaces it."""
    file = _identify(path)
    try:
        return _read(path)
    except CheckpointError:
        if _identify(path) == file:
            raise
        return _load(path)


def _identify(path: Path) -> tuple[int, int] | None:
    """What tells a file from the one that replaces it; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _read(path: Path) -> Checkpoint:
    metadata = read_metadata(path)
    header = parse_header(path, metadata)
    try:
        description = describe_network(**{"name": "(none)", **header["network"]})
        stored = _read_tensors(path, description, only_steering="base" in header)
    except (SettingError, TypeError, ValueError, KeyError, safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(
            f"checkpoint {str(path)!r} does not fit this program ({' '.join(str(error).split())[:200]}); "
            f"update nst-fast or train it again"
        ) from error
    # Format 1 had none.
    if header["format_version"] != 1 and metadata.get(DIGEST_KEY) != _digest(stored, metadata[METADATA_KEY]):
        raise damaged(path, ValueError("its content is not what was saved"))
    weights = {name: weight.astype(np.float32) for name, weight in stored.items()}
    if "base" in header:
        base = load_base()
        if header["base"] != base.shared_digest:
            raise CheckpointError(
                f"style {str(path)!r} belongs to another base network than that of this program; "
                f"make it again from its style image"
            )
        weights = {**base.weights, **weights}
    if broken := _find_not_finite(weights):
        raise damaged(path, ValueError(f"{broken} holds values that are not numbers"))
    fields = {field.name for field in dataclasses.fields(CheckpointInfo)}
    info = CheckpointInfo(**{key: value for key, value in header.items() if key in fields})
    return Checkpoint(description, weights, info)


def _find_not_finite(tensors: Mapping[str, np.ndarray]) -> str | None:
    """The first tensor that holds NaN or infinity; None: there is none."""
    return next((name for name, tensor in tensors.items() if not np.isfinite(tensor).all()), None)


def _digest(tensors: Mapping[str, np.ndarray], text: str = "") -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def _read_tensors(path: Path, description: NetworkDescription, *, only_steering: bool = False) -> dict[str, np.ndarray]:
    """The stored tensors, in the order of the network; shapes are compared before a tensor is read.

    Args:
        only_steering: whether the file is to hold nothing else.

    Raises:
        ValueError: names, shapes or number types that are not those of the network.
    """
    expected = description.list_parameters()
    if only_steering:
        expected = {STEERING: expected[STEERING]}
    with safetensors.safe_open(path, framework="np") as file:
        names = set(file.keys())
        if names != expected.keys():
            raise ValueError(f"weights {sorted(names ^ expected.keys())[:3]} are missing or too many")
        for name, shape in expected.items():
            stored = file.get_slice(name)
            if tuple(stored.get_shape()) != shape or stored.get_dtype() not in ("F16", "F32"):
                raise ValueError(
                    f"{name} is {stored.get_dtype()} of shape {tuple(stored.get_shape())}, not F16 or F32 of {shape}"
                )
        return {name: file.get_tensor(name) for name in expected}
