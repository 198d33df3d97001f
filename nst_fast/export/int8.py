"""A checkpoint as an ONNX file whose convolutions compute in 8 bits, and how good its results are."""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from nst_fast.errors import ImageError, SettingError
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
        loss can tell, see `measure_int8_losses`.

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


def measure_int8_losses(
    checkpoint: Checkpoint, path: Path, style_image: Path, photos: np.ndarray, *, pixels: bool, weights: str
) -> dict[str, tuple[float, float]]:
    """The losses of the 32-bit network and of the int8 file, by VGG-19; needs the extra `train`.

    Args:
        path: of the int8 file.
        style_image: the style image's file.
        photos: (N, H, W, 3), uint8, that the file was not fitted to.
        weights: of VGG-19, see `build_loss_network`.

    Returns:
        For style, content and total: the loss in 32 bits and the loss in int8; smaller is better.

    Raises:
        ImageError: the style image cannot be read, or there is no photo.
        SettingError: the extra `train` is not installed.
        WeightsError: the weights of VGG-19 are not available.
    """
    if importlib.util.find_spec("torch") is None:
        raise SettingError("to measure losses takes an extra: install nst-fast[train]")
    import torch

    from nst_fast.data.images import load_image
    from nst_fast.loss_networks.weights import build_loss_network
    from nst_fast.losses.perceptual import build_relative_loss, measure_losses
    from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS

    images = torch.from_numpy(np.stack([as_input(photo, pixels=False)[0] for photo in photos]))
    loss_network = build_loss_network("vgg19", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights=weights)
    loss = build_relative_loss(loss_network, load_image(style_image, short_side=384), images)
    with torch.inference_mode():
        by_file = {}
        for name, graph in (("fp32", build_onnx_graph(checkpoint, pixels=pixels)), ("int8", path.read_bytes())):
            run = load_onnx(graph)

            def stylize(given: torch.Tensor, run=run) -> torch.Tensor:
                results = [run(as_input(_to_pixels(image), pixels=pixels)) for image in given.numpy()]
                batch = torch.from_numpy(np.concatenate(results))
                return batch.permute(0, 3, 1, 2).float() / 255 if pixels else batch

            by_file[name] = measure_losses(stylize, loss, images)
    return {term: (by_file["fp32"][term], by_file["int8"][term]) for term in ("style", "content", "total")}


def as_input(photo: np.ndarray, *, pixels: bool) -> np.ndarray:
    """A photo (H, W, 3), uint8, as a batch of one that an exported network takes."""
    if pixels:
        return photo[None]
    return np.ascontiguousarray(photo.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _to_pixels(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((image * 255).round().transpose(1, 2, 0), np.uint8)


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
