"""What `--style` may say: a shipped style, a checkpoint, a style image, or a blend of several."""

import functools
import math
import os
import re
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from nst_fast.errors import SettingError, nearest_name
from nst_fast.files.shipped import base_folder
from nst_fast.media.opening import IMAGE_SUFFIXES
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, blend_checkpoints, load_base, load_checkpoint
from nst_fast.networks.checkpoint_header import damaged, list_shipped_checkpoints
from nst_fast.networks.description import STEERING

CODES_FILE = "codes.safetensors"


def open_style(text: str) -> Checkpoint:
    """The network of a style, or of a blend such as `wave:0.6,starry_night:0.4`.

    A style image, such as painting.jpg, gives the base network in its style, see `predict_style`. A blend is made of
    styles that share the base network: style images, shipped styles, each by its code (see `load_code`), and files that
    hold a code.

    Raises:
        CheckpointError: no such style, or a file that is no checkpoint.
        ImageError: a style image that cannot be read.
        SettingError: a blend with a share that is not a positive number, or of networks that cannot be blended.
    """
    if os.path.isfile(text) or not re.search(r":[^:,/\\]*(,|$)", text) or re.fullmatch(r"[A-Za-z]:\\.*", text):
        return _open_one(text)
    return blend_checkpoints([(_open_part(name), share) for name, share in parse_blend(text)])


def parse_blend(text: str) -> list[tuple[str, float]]:
    """The parts of a blend such as `wave:0.6,starry_night:0.4`, each with its share.

    Raises:
        SettingError: a share that is not a positive number.
    """
    parts = []
    for part in text.split(","):
        name, _, share = part.strip().rpartition(":")
        parts.append((name, _parse_share(share, part)))
    return parts


def list_codes() -> list[str]:
    """The shipped styles that have a code, see `load_code`."""
    return list(_load_codes())


def load_code(name: str) -> Checkpoint:
    """The base network in a shipped style that has a network of its own: less exact than that, but it can be blended.

    Raises:
        SettingError: the style has no code.
    """
    codes = _load_codes()
    if name not in codes:
        raise SettingError(
            f"style {name!r} cannot be blended; allowed: {', '.join(codes) or 'none'}{nearest_name(name, list(codes))}"
        )
    base = load_base()
    return Checkpoint(base.description, {**base.weights, STEERING: codes[name]}, CheckpointInfo(style={"name": name}))


def _open_part(text: str) -> Checkpoint:
    if os.path.isfile(text) or text not in list_shipped_checkpoints():
        return _open_one(text)
    return load_code(text)


def _open_one(text: str) -> Checkpoint:
    path = Path(text).expanduser()
    if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
        return load_checkpoint(text)
    from nst_fast.stylize.style_image import (
        predict_style,  # with ONNX Runtime, which styles that are trained may not need
    )

    return predict_style(path)


def _parse_share(text: str, part: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share < math.inf:
        raise SettingError(
            f"{part.strip()!r} is no part of a blend; give NAME:SHARE with a positive share, as wave:0.6"
        )
    return share


@functools.cache
def _load_codes() -> dict[str, np.ndarray]:
    file = base_folder() / CODES_FILE
    if not file.is_file():
        return {}
    try:
        return {name: code.astype(np.float32) for name, code in sorted(safetensors.numpy.load_file(file).items())}
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise damaged(file, error) from error
