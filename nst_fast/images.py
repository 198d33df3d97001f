"""Images as tensors. This module states the one range that the project uses.

An image is a tensor of shape (3, height, width), RGB, float32, in [0, 1], encoded as sRGB. At the edges, that is
in files and in `Picture`, pixels are uint8 arrays of shape (height, width, 3) in [0, 255].
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nst_fast.errors import ImageError, SettingError
from nst_fast.pictures import (
    IMAGE_SUFFIXES,
    Picture,
    decode_picture,
    encode_picture,
    flatten_onto_white,
    read_picture,
    write_picture,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "Picture",
    "decode_picture",
    "encode_picture",
    "find_images",
    "load_image",
    "read_picture",
    "resize",
    "save_image",
    "size_for_long_side",
    "size_for_short_side",
    "to_tensor",
    "to_uint8",
    "write_picture",
]


def to_tensor(rgb: np.ndarray) -> Tensor:
    """Turn pixels of shape (height, width, 3), uint8 in [0, 255], into an image (3, height, width), float32 in [0, 1].

    Raises:
        SettingError: another shape or dtype.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise SettingError(f"pixels have shape {rgb.shape} and dtype {rgb.dtype}; give (height, width, 3) of uint8")
    # astype copies, so the tensor never shares memory with an array that may be read-only.
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


def load_image(path: Path | str, *, short_side: int | None = None, say: Callable[[str], None] | None = None) -> Tensor:
    """Read a picture file as an image (3, height, width), float32 in [0, 1]; transparent parts show white.

    Args:
        path: see `read_picture`, which also gives the alpha channel.
        short_side: resize to this short side in pixels, up or down, keeping the aspect. None: as it is.
        say: takes a line if the file is an animation, of which the image is the first frame. None: nothing is said.

    Raises:
        ImageError: see `read_picture`.
        SettingError: `short_side` is less than 1.
    """
    if short_side is not None:
        _check_side(short_side)
    picture = read_picture(path, min_short_side=short_side)
    if say is not None and picture.frame_count > 1:
        say(f"{path} has {picture.frame_count} frames; the first one is taken")
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

    Bicubic, since it keeps edges and brush strokes sharper than bilinear in both directions; antialiased, since
    without that fine texture turns into moiré when it shrinks, and style losses see moiré as style. Bicubic overshoots
    beside hard edges, hence the clamp to [0, 1]. An image that has the size already is returned as it is.

    Raises:
        SettingError: `height` or `width` is less than 1.
    """
    _check_side(height)
    _check_side(width)
    if tuple(image.shape[-2:]) == (height, width):
        return image
    batch = image if image.ndim == 4 else image.unsqueeze(0)
    resized = functional.interpolate(batch, size=(height, width), mode="bicubic", antialias=True).clamp(0, 1)
    return resized if image.ndim == 4 else resized.squeeze(0)


def size_for_short_side(height: int, width: int, short_side: int) -> tuple[int, int]:
    """The (height, width) in pixels whose shorter side is `short_side` and whose aspect is kept to the nearest pixel.

    Raises:
        SettingError: `short_side` is less than 1.
    """
    return _scale(height, width, short_side, min(height, width))


def size_for_long_side(height: int, width: int, long_side: int) -> tuple[int, int]:
    """The (height, width) in pixels whose longer side is `long_side`; the other one is at least 1.

    Raises:
        SettingError: `long_side` is less than 1.
    """
    return _scale(height, width, long_side, max(height, width))


def _scale(height: int, width: int, wanted: int, present: int) -> tuple[int, int]:
    _check_side(wanted)
    return max(1, round(height * wanted / present)), max(1, round(width * wanted / present))


def _check_side(pixels: int) -> None:
    if pixels < 1:
        raise SettingError(f"a side of {pixels} pixels was asked for; give at least 1")


def find_images(folder: Path | str, *, also: frozenset[str] = frozenset()) -> list[Path]:
    """All picture files below a folder, by suffix in either case, sorted by path; an empty list if there are none.

    Hidden files and folders (leading dot) are left out, since unfinished files carry such names.

    Args:
        also: more suffixes to look for, in lower case, such as .mp4.

    Raises:
        ImageError: the folder is missing, is a file, or cannot be listed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file; give the folder it lies in" if folder.exists() else "does not exist; check the path"
        raise ImageError(f"{folder} {what}")

    def refuse(error: OSError) -> None:
        raise ImageError(
            f"cannot list the folder {error.filename} ({error.strerror}); change its permissions"
        ) from error

    found: list[str] = []
    suffixes = IMAGE_SUFFIXES | also
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = [name for name in files if not name.startswith(".")]
        found += [os.path.join(parent, name) for name in files if os.path.splitext(name)[1].lower() in suffixes]
    return [Path(name) for name in sorted(found)]
