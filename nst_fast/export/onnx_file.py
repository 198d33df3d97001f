"""A checkpoint as an ONNX file."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from nst_fast.errors import SettingError
from nst_fast.export.comparison import MANY_SIZES, measure_difference
from nst_fast.files.atomic import replace_atomically
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.checkpoint_header import METADATA_KEY, program_version
from nst_fast.networks.onnx_graph import build_onnx_graph
from nst_fast.stylize.stylizer import Stylizer


def export_onnx(
    checkpoint: Checkpoint,
    path: Path,
    *,
    pixels: bool,
    strength_input: bool = True,
    size: tuple[int, int] | None = None,
) -> float:
    """Write the network with padding and cropping, run the file in ONNX Runtime, and compare it with `Stylizer`.

    The input `images` and the output `stylized` are (batch, 3, height, width), float32 in [0, 1], or with `pixels`
    (batch, height, width, 3), uint8; batch, height and width are free, and at least the network's `min_side`. What the
    checkpoint says about itself is in the file's metadata, as JSON, under `nst_fast`.

    Args:
        strength_input: an adjustable network has a second input, `strength` (), float32, 0 to 2; without it, it is 1.
        size: height and width, multiples of the network's stride, of a file for one image of this size, which holds no
            padding and no computation of sizes. None: any batch, height and width.

    Returns:
        The largest difference from the bytes that `Stylizer` gives, in levels of 255.

    Raises:
        OutputError: the file cannot be written.
        SettingError: a size that the network does not take.
    """
    if size is not None:
        _check_size(checkpoint, size)
    stylizer = Stylizer(checkpoint, engine="onnxruntime", device="cpu")

    def expected(images: np.ndarray) -> np.ndarray:
        if pixels:
            return stylizer.stylize_pixels(images)
        stylized = stylizer.stylize_pixels(np.ascontiguousarray((images * 255).round().transpose(0, 2, 3, 1), np.uint8))
        return stylized.transpose(0, 3, 1, 2) / 255

    metadata = describe(checkpoint)
    graph = build_onnx_graph(checkpoint, pixels=pixels, strength_input=strength_input, size=size, metadata=metadata)
    sizes = MANY_SIZES if size is None else ((1, *size),)
    with replace_atomically(path) as temporary:
        temporary.write_bytes(graph)
        return measure_difference(load_onnx(temporary), expected, pixels=pixels, sizes=sizes)


def _check_size(checkpoint: Checkpoint, size: tuple[int, int]) -> None:
    stride, least = checkpoint.description.stride, checkpoint.description.min_side
    if any(side % stride or side < least for side in size):
        raise SettingError(
            f"size is {size[1]}x{size[0]}; of a file for one size each side must be a multiple of {stride} and at "
            f"least {least} pixels"
        )


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
