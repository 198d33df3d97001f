"""Images as programs hold them, and back: paths, PIL images, NumPy arrays, PyTorch tensors."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_fast.errors import ImageError, SettingError
from nst_fast.media.opening import explain_decoder_errors
from nst_fast.media.pictures import Picture, read_picture
from nst_fast.media.pixel_decoding import decode_pixels

# What resizing and rounding may leave beyond 0 and 1.
_TOLERANCE = 0.001


def open_image(image: Any) -> tuple[Picture | np.ndarray, Callable[[Any], Any]]:
    """What there is to stylize, and the function that gives the result back in the kind of the image.

    Args:
        image: see `Stylizer.__call__`.

    Returns:
        A picture, or a batch of pixels (B, H, W, 3), uint8; and what turns a stylized picture, or pixels of that shape,
        into what the caller gets.

    Raises:
        ImageError: a file or a PIL image that cannot be read.
        SettingError: another kind, shape, type or range.
    """
    if isinstance(image, str | os.PathLike):
        return read_picture(Path(image)), to_pil_image
    if isinstance(image, Picture):
        return image, lambda picture: picture
    if isinstance(image, Image.Image):
        return _read_pil_image(image), to_pil_image
    if isinstance(image, np.ndarray):
        return _open_array(image, "array", image.shape, image.dtype)
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    if torch is not None and isinstance(image, torch.Tensor):
        return _open_tensor(image, torch)
    raise SettingError(
        f"a {type(image).__name__} cannot be stylized; give a path, a PIL image, a NumPy array (height, width, 3) or a "
        f"PyTorch tensor (3, height, width)"
    )


def to_pil_image(picture: Picture) -> Image.Image:
    """The picture as a PIL image: RGB, or RGBA where it has alpha."""
    image = Image.fromarray(picture.rgb)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image


def _read_pil_image(image: Image.Image) -> Picture:
    if image.mode in ("I", "F"):
        raise ImageError(f"the image has mode {image.mode}, whose range is not fixed; convert it to RGB")
    with explain_decoder_errors("the image", "is damaged or cut short"):
        image.load()
        return Picture(*decode_pixels(image))


def _open_array(
    array: np.ndarray, kind: str, shape: tuple[int, ...], dtype: object
) -> tuple[Picture | np.ndarray, Callable[[Any], Any]]:
    """An array with the channels last; `kind`, `shape` and `dtype` are what messages say of it."""
    if array.ndim not in (3, 4) or array.shape[-1] != 3 or array.size == 0 or not _holds_pixels(array):
        sides = "3, height, width" if kind == "tensor" else "height, width, 3"
        raise SettingError(
            f"the {kind} has shape {shape} and type {dtype}; give ({sides}) or (batch, {sides}), with whole numbers "
            f"from 0 to 255 in uint8 or floats from 0 to 1"
        )
    pixels = array if array.dtype == np.uint8 else _to_bytes(array, kind)

    def as_given(rgb: np.ndarray) -> np.ndarray:
        return rgb if array.dtype == np.uint8 else (rgb / np.float32(255)).astype(array.dtype)

    if array.ndim == 4:
        return pixels, as_given
    return Picture(pixels), lambda picture: as_given(picture.rgb)


def _holds_pixels(array: np.ndarray) -> bool:
    return array.dtype == np.uint8 or np.issubdtype(array.dtype, np.floating)


def _to_bytes(array: np.ndarray, kind: str) -> np.ndarray:
    low, high = float(array.min()), float(array.max())
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # NaN is in no range
        raise SettingError(
            f"the {kind} has values from {low:g} to {high:g}; give floats from 0 to 1, or whole numbers from 0 to 255 "
            f"in uint8"
        )
    return (array.astype(np.float32).clip(0, 1) * 255).round().astype(np.uint8)


def _open_tensor(tensor: Any, torch: Any) -> tuple[Picture | np.ndarray, Callable[[Any], Any]]:
    """A tensor with the channels before the sides, as PyTorch has them."""
    values = tensor.detach().cpu()
    # NumPy has no bfloat16.
    values = values.float() if values.dtype == torch.bfloat16 else values
    last = values.movedim(-3, -1) if values.ndim >= 3 else values
    opened, as_given = _open_array(last.numpy(), "tensor", tuple(tensor.shape), tensor.dtype)

    def to_tensor(stylized: Any) -> Any:
        result = torch.from_numpy(np.ascontiguousarray(as_given(stylized))).movedim(-1, -3).contiguous()
        return result.to(device=tensor.device, dtype=tensor.dtype)

    return opened, to_tensor
