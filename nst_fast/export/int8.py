"""A checkpoint as an ONNX file whose convolutions compute in 8 bits, and how good its results are."""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from nst_fast.errors import ImageError, SettingError
from nst_fast.export.judging import as_input
from nst_fast.export.onnx_file import describe, load_onnx
from nst_fast.files.atomic import replace_atomically
from nst_fast.media.listing import find_images
from nst_fast.media.pictures import flatten_onto_white, read_picture
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.onnx_graph import build_onnx_graph

_log = logging.getLogger(__name__)

# Photos that the file is fitted to, and others that it is judged by.
_MOST_FITTED, _MOST_JUDGED = 32, 16
_SIZE = 256  # pixels


@dataclass(frozen=True)
class CalibrationPhotos:
    """Squares from the middles of photos, each (N, 256, 256, 3), uint8; no photo is in both.

    Attributes:
        fitted: that the file is fitted to.
        judged: that its results are judged by.
    """

    fitted: np.ndarray
    judged: np.ndarray


def read_calibration_photos(folder: Path) -> CalibrationPhotos:
    """Photos spread over a folder.

    Raises:
        ImageError: there is no photo that can be read.
    """
    files = find_images(folder)
    judged_files = files[1 :: max(2, len(files) // _MOST_JUDGED)][:_MOST_JUDGED]
    rest = [file for file in files if file not in set(judged_files)]
    fitted = _read_squares(rest[:: max(1, len(rest) // _MOST_FITTED)][:_MOST_FITTED])
    if not len(fitted):
        raise ImageError(f"there is no photo that can be read in {folder}; give a folder with at least two")
    return CalibrationPhotos(fitted, _read_squares(judged_files))


def export_onnx_in_int8(checkpoint: Checkpoint, path: Path, photos: np.ndarray, *, pixels: bool) -> float:
    """Write the network with its convolutions in 8 bits: weights by channel, activations by their ranges on the photos.

    Args:
        photos: (N, H, W, 3), uint8, like those that will be stylized; the more various, the better.
        pixels: as in `export_onnx`.

    Returns:
        The mean difference from 32 bits on these photos, in levels of 255. Whether the results are as good, only their
        loss can tell, see `judging.measure_graphs`.

    Raises:
        SettingError: the package `onnx` is not installed.
        OutputError: the file cannot be written.
    """
    if importlib.util.find_spec("onnx") is None:
        raise SettingError("int8 needs an extra: install nst-fast[quantize]")
    from onnxruntime import quantization

    graph = build_onnx_graph(checkpoint, pixels=pixels, metadata=describe(checkpoint))
    batches = [as_input(photo, pixels=pixels) for photo in photos]
    with replace_atomically(path) as temporary:
        plain = temporary.with_name(f"{temporary.name}.fp32.onnx")
        try:
            plain.write_bytes(graph)
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
        run, expected = load_onnx(temporary), load_onnx(graph)
        scale = 1.0 if pixels else 255.0
        return float(np.mean([np.abs(run(one).astype(float) - expected(one)).mean() * scale for one in batches]))


def _read_squares(files: Sequence[Path]) -> np.ndarray:
    squares = []
    for file in files:
        try:
            rgb = flatten_onto_white(read_picture(file, min_short_side=_SIZE))
        except ImageError as error:
            _log.warning("%s", error)
            continue
        side = min(rgb.shape[:2])
        top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
        square = Image.fromarray(rgb[top : top + side, left : left + side])
        squares.append(np.asarray(square.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)))
    return np.stack(squares) if squares else np.empty((0, _SIZE, _SIZE, 3), np.uint8)


class _Photos:
    """What ONNX Runtime's calibration asks for: one input after the other, then None."""

    def __init__(self, batches: Sequence[np.ndarray]) -> None:
        self._waiting = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._waiting, None)
        return None if batch is None else {"images": batch}


def _is_no_advice(record: logging.LogRecord) -> bool:
    """False for ONNX Runtime's advice to optimize the graph first, which is optimal already."""
    return "before quantization" not in record.getMessage()
