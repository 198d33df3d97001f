"""A checkpoint as an ONNX file."""

import importlib.util
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import Tensor

from nst_fast.atomic_files import replace_atomically
from nst_fast.checkpoint import METADATA_KEY, Checkpoint, name_of_transform_net, program_version
from nst_fast.errors import SettingError
from nst_fast.export.comparison import measure_difference


def export_onnx(checkpoint: Checkpoint, path: Path, *, pixels: bool) -> float:
    """Write the network with padding and cropping, and compare the file with PyTorch by ONNX Runtime.

    The input `pictures` and the output `paintings` are (batch, 3, height, width), float32 in [0, 1], or with `pixels`
    (batch, height, width, 3), uint8; batch, height and width are free, and at least `network.min_side`. What the
    checkpoint says of itself is in the file's metadata, as JSON, under `nst_fast`.

    Returns:
        The largest difference to PyTorch, in levels of 255.

    Raises:
        SettingError: the extra `onnx` is not installed.
        OutputError: the file cannot be written.
    """
    _require_extra()
    from nst_fast.export.onnx_graph import build_onnx_graph

    graph = build_onnx_graph(checkpoint.network, pixels=pixels, metadata=describe(checkpoint))
    with replace_atomically(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())
        return measure_difference(load_onnx(temporary), checkpoint.network, pixels=pixels)


def export_onnx_in_int8(checkpoint: Checkpoint, path: Path, photos: Tensor, *, pixels: bool) -> float:
    """Write the network with its convolutions in 8 bits: weights by channel, activations as they are on the photos.

    Args:
        photos: (N, 3, H, W) in [0, 1], like those that will be painted; the more various, the better.

    Returns:
        The mean difference to PyTorch on these photos, in levels of 255. Whether the paintings are as good, only their
        loss can tell.

    Raises:
        As `export_onnx`.
    """
    _require_extra()
    from onnxruntime import quantization

    from nst_fast.export.onnx_graph import build_onnx_graph

    graph = build_onnx_graph(checkpoint.network, pixels=pixels, metadata=describe(checkpoint))
    batches = [photo_input(photo, pixels=pixels) for photo in photos]
    with replace_atomically(path) as temporary:
        plain = temporary.with_name(f"{temporary.name}.fp32.onnx")
        try:
            plain.write_bytes(graph.SerializeToString())
            logging.getLogger().addFilter(_is_no_advice)
            quantization.quantize_static(
                plain,
                temporary,
                _Photos(batches),  # pyright: ignore[reportArgumentType] -- all that it asks of a reader is get_next
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        finally:
            logging.getLogger().removeFilter(_is_no_advice)
            plain.unlink(missing_ok=True)
        run, paint = load_onnx(temporary), load_onnx_graph(graph.SerializeToString())
        scale = 1.0 if pixels else 255.0
        return float(np.mean([np.abs(run(one).astype(float) - paint(one)).mean() * scale for one in batches]))


def load_onnx(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """What paints by an exported file in ONNX Runtime: from `pictures` to `paintings`, both as numpy arrays."""
    return load_onnx_graph(path.read_bytes())


def load_onnx_graph(graph: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """The same for the bytes of a file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return lambda pictures: np.asarray(session.run(None, {"pictures": pictures})[0])


def photo_input(photo: Tensor, *, pixels: bool) -> np.ndarray:
    """A photo (3, H, W) in [0, 1] as an exported network takes it."""
    if not pixels:
        return photo[None].numpy()
    return (photo * 255).round().byte().permute(1, 2, 0)[None].contiguous().numpy()


def describe(checkpoint: Checkpoint) -> dict[str, str]:
    """The metadata of an exported file: what a checkpoint's own header says, as JSON."""
    network = checkpoint.network
    header = {
        "transform_net": {"name": name_of_transform_net(network), **network.arguments},
        **asdict(checkpoint.info),
        "exported_by": program_version(),
        "min_side": network.min_side,
    }
    return {METADATA_KEY: json.dumps(header, ensure_ascii=False)}


class _Photos:
    """What ONNX Runtime's calibration asks for: one input after the other, then None."""

    def __init__(self, batches: Sequence[np.ndarray]) -> None:
        self._waiting = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._waiting, None)
        return None if batch is None else {"pictures": batch}


def _is_no_advice(record: logging.LogRecord) -> bool:
    """False for ONNX Runtime's advice to optimise the graph first, which is optimal already."""
    return "before quantization" not in record.getMessage()


def _require_extra() -> None:
    if any(importlib.util.find_spec(module) is None for module in ("onnx", "onnxruntime")):
        raise SettingError("the format onnx needs an extra: install nst-fast[onnx]")
