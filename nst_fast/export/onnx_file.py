"""A checkpoint as an ONNX file."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from nst_fast.export.comparison import measure_difference
from nst_fast.files.atomic import replace_atomically
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.checkpoint_header import METADATA_KEY, program_version
from nst_fast.networks.onnx_graph import build_onnx_graph
from nst_fast.stylize.stylizer import Stylizer


def export_onnx(checkpoint: Checkpoint, path: Path, *, pixels: bool, strength_input: bool = True) -> float:
    """Write the network with padding and cropping, run the file in ONNX Runtime, and compare it with `Stylizer`.

    The input `images` and the output `stylized` are (batch, 3, height, width), float32 in [0, 1], or with `pixels`
    (batch, height, width, 3), uint8; batch, height and width are free, and at least the network's `min_side`. What the
    checkpoint says about itself is in the file's metadata, as JSON, under `nst_fast`.

    Args:
        strength_input: an adjustable network has a second input, `strength` (), float32, 0 to 2; without it, it is 1.

    Returns:
        The largest difference from the bytes that `Stylizer` gives, in levels of 255.

    Raises:
        OutputError: the file cannot be written.
    """
    stylizer = Stylizer(checkpoint, engine="onnxruntime", device="cpu")

    def expected(images: np.ndarray) -> np.ndarray:
        if pixels:
            return stylizer.stylize_pixels(images)
        stylized = stylizer.stylize_pixels(np.ascontiguousarray((images * 255).round().transpose(0, 2, 3, 1), np.uint8))
        return stylized.transpose(0, 3, 1, 2) / 255

    with replace_atomically(path) as temporary:
        temporary.write_bytes(
            build_onnx_graph(checkpoint, pixels=pixels, strength_input=strength_input, metadata=describe(checkpoint))
        )
        return measure_difference(load_onnx(temporary), expected, pixels=pixels)


def load_onnx(file: Path | bytes) -> Callable[[np.ndarray], np.ndarray]:
    """A function that runs an exported file, or its bytes, in ONNX Runtime: from `images` to `stylized`."""
    import onnxruntime

    graph = file if isinstance(file, bytes) else file.read_bytes()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run(None, {"images": images})[0])


def describe(checkpoint: Checkpoint) -> dict[str, str]:
    """The metadata of an exported file: what a checkpoint's own header says, as JSON."""
    header = {
        "network": {"name": checkpoint.description.name, **checkpoint.description.arguments},
        **asdict(checkpoint.info),
        "exported_by": program_version(),
        "min_side": checkpoint.description.min_side,
    }
    return {METADATA_KEY: json.dumps(header, ensure_ascii=False)}
