"""Sizes in pixels, and pixels resized: the one place where a picture or a frame changes its size."""

import numpy as np
from PIL import Image

from nst_fast.errors import SettingError


def size_for_short_side(height: int, width: int, short_side: int) -> tuple[int, int]:
    """The (height, width) in pixels with this shorter side and the same aspect ratio, to the nearest pixel.

    Raises:
        SettingError: `short_side` is less than 1.
    """
    return _scale(height, width, short_side, min(height, width))


def size_for_long_side(height: int, width: int, long_side: int) -> tuple[int, int]:
    """The (height, width) in pixels with this longer side and the same aspect ratio; each is at least 1.

    Raises:
        SettingError: `long_side` is less than 1.
    """
    return _scale(height, width, long_side, max(height, width))


def _scale(height: int, width: int, wanted: int, present: int) -> tuple[int, int]:
    check_side(wanted)
    return max(1, round(height * wanted / present)), max(1, round(width * wanted / present))


def check_side(pixels: int) -> None:
    """Raise SettingError if a side of so many pixels is impossible."""
    if pixels < 1:
        raise SettingError(f"a side of {pixels} pixels was asked for; give at least 1")


def resize_pixels(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize (H, W, 3) or (H, W), uint8, bicubic and antialiased; pixels of this size are returned without a copy."""
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))
