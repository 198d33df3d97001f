"""Images as tensors, all in one range.

An image is a tensor of shape (3, height, width), RGB, float32, in [0, 1], encoded as sRGB. In files and in `Picture`,
pixels are uint8 arrays of shape (height, width, 3) in [0, 255].
"""

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nst_fast.errors import SettingError
from nst_fast.media.pictures import Picture, flatten_onto_white, read_picture, write_picture
from nst_fast.media.resizing import check_side, size_for_short_side

_log = logging.getLogger(__name__)


def to_tensor(rgb: np.ndarray) -> Tensor:
    """Turn pixels of shape (height, width, 3), uint8 in [0, 255], into an image (3, height, width), float32 in [0, 1].

    Raises:
        SettingError: another shape or dtype.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise SettingError(f"pixels have shape {rgb.shape} and dtype {rgb.dtype}; give (height, width, 3) of uint8")
    # astype copies, so that the tensor shares no memory with an array that may be read-only.
    return torch.from_numpy(rgb.transpose(2, 0, 1).astype(np.float32, order="C")).div_(255)


def to_uint8(image: Tensor) -> np.ndarray:
    """Turn an image (3, height, width), any float dtype and device, into pixels (height, width, 3), uint8 in [0, 255].

    Values beyond [0, 1] are clamped; the rest is rounded to the nearest level, so `to_uint8(to_tensor(x))` is `x`.

    Raises:
        SettingError: another shape or a dtype that is not floating point.
    """
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point():
        raise SettingError(
            f"image has shape {tuple(image.shape)} and dtype {image.dtype}; give (3, height, width) of float"
        )
    levels = image.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().cpu().numpy()


def load_image(path: Path | str, *, short_side: int | None = None) -> Tensor:
    """Read an image file as a tensor (3, height, width), float32 in [0, 1]. Transparent areas become white.

    Of an animation it is the first frame, and a log message says so.

    Args:
        path: see `read_picture`, which also gives the alpha channel.
        short_side: scale to this short side in pixels, up or down, keeping the aspect ratio. None: as it is.

    Raises:
        ImageError: see `read_picture`.
        SettingError: `short_side` is less than 1.
    """
    if short_side is not None:
        check_side(short_side)
    picture = read_picture(path, min_short_side=short_side)
    if picture.frame_count > 1:
        _log.warning(f"{path} has {picture.frame_count} frames; only the first one is used")
    image = to_tensor(flatten_onto_white(picture))
    if short_side is None:
        return image
    height, width = size_for_short_side(image.shape[1], image.shape[2], short_side)
    return resize(image, height, width)


def save_image(image: Tensor, path: Path | str) -> None:
    """Write an image (3, height, width), float in [0, 1], in the format of the suffix; see `write_picture`.

    Raises:
        OutputError: see `write_picture`.
        SettingError: see `to_uint8`.
    """
    write_picture(path, Picture(to_uint8(image)))


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Resize (3, H, W) or (B, 3, H, W), float32 in [0, 1], to `height` and `width`; same range, dtype and device.

    Bicubic, because it keeps edges and brush strokes sharper than bilinear in both directions. Antialiased, because
    fine texture otherwise turns into moiré when it shrinks, and style losses take moiré for style. Clamped to [0, 1],
    because bicubic overshoots beside hard edges. An image that already has the size is returned as it is.

    Raises:
        SettingError: `height` or `width` is less than 1.
    """
    check_side(height)
    check_side(width)
    if tuple(image.shape[-2:]) == (height, width):
        return image
    batch = image if image.ndim == 4 else image.unsqueeze(0)
    resized = functional.interpolate(batch, size=(height, width), mode="bicubic", antialias=True).clamp(0, 1)
    return resized if image.ndim == 4 else resized.squeeze(0)
