"""Any style image, at once: the base network, steered by what the predictor reads off the image."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy

from nst_fast.errors import CheckpointError
from nst_fast.files.shipped import base_folder, compact_loss_network
from nst_fast.media.pictures import Picture, flatten_onto_white, read_picture
from nst_fast.media.resizing import resize_pixels, size_for_short_side
from nst_fast.networks.checkpoint import PREDICTOR_FILE, Checkpoint, CheckpointInfo, load_base
from nst_fast.networks.checkpoint_header import damaged
from nst_fast.networks.description import STEERING
from nst_fast.networks.style_features import build_style_features_graph
from nst_fast.networks.style_predictor import StylePredictor, load_predictor
from nst_fast.stylize.engines.onnxruntime_engine import open_with_onnxruntime

# Pixels; as in training. A smaller style image would have finer strokes.
STYLE_SHORT_SIDE = 384
# A style image this much longer than it is wide is cut to its middle: a strip says little more than a part of it.
_LONGEST = 3.0


def predict_style(style_image: Path | Picture, *, name: str | None = None) -> Checkpoint:
    """A network in the style of an image, without training.

    Args:
        style_image: a file, or a picture; any size, transparent areas count as white.
        name: of the style; None: the name of the file, or `style`.

    Raises:
        ImageError: the file is no picture.
        CheckpointError: the base network did not come with this program, or does not fit its predictor.
    """
    is_file = not isinstance(style_image, Picture)
    picture = read_picture(style_image, min_short_side=STYLE_SHORT_SIDE) if is_file else style_image
    base, predictor = load_base(), _load_predictor()
    if predictor.base != base.shared_digest:
        raise CheckpointError("the base network and its predictor do not belong together; install nst-fast again")
    features = _open_style_features()({"images": prepare_style_image(picture)[None]})[0]
    steering = base.weights[STEERING] + predictor.predict(features)
    style = {"name": name or (Path(style_image).stem if is_file else "style")}  # type: ignore[arg-type]
    return Checkpoint(base.description, {**base.weights, STEERING: steering}, CheckpointInfo(style=style))


def prepare_style_image(picture: Picture) -> np.ndarray:
    """The pixels that are measured, (H, W, 3), uint8, with a short side of STYLE_SHORT_SIDE."""
    rgb = flatten_onto_white(picture)
    height, width = rgb.shape[:2]
    longest = round(min(height, width) * _LONGEST)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    rgb = rgb[top : top + longest, left : left + longest]
    height, width = rgb.shape[:2]
    return resize_pixels(rgb, *size_for_short_side(height, width, STYLE_SHORT_SIDE))


@functools.cache
def _load_predictor() -> StylePredictor:
    return load_predictor(base_folder() / PREDICTOR_FILE)


@functools.cache
def _open_style_features() -> Callable[[dict[str, np.ndarray]], list[np.ndarray]]:
    file = compact_loss_network()
    try:
        weights = safetensors.numpy.load_file(file)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise damaged(file, error) from error
    return open_with_onnxruntime(build_style_features_graph(weights), device="cpu", threads=None)
