"""Picture files of all formats, read into and written from one kind of `Picture`: upright sRGB pixels.

Thread-safe: each call works on its own objects, and none changes a setting of Pillow.
"""

import io
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.files.atomic import replace_atomically
from nst_fast.media.opening import (
    DEFAULT_MAX_PIXELS,
    HEIF_HINT,
    IMAGE_SUFFIXES,
    OpenPicture,
    open_picture,
    register_heif,
)
from nst_fast.media.picture_notes import note_options
from nst_fast.media.pixel_decoding import decode_pixels


@dataclass(frozen=True)
class Picture:
    """The pixels of one picture file, upright and in sRGB."""

    rgb: np.ndarray
    """Shape (height, width, 3), uint8 in [0, 255]."""
    alpha: np.ndarray | None = None
    """Shape (height, width), uint8, 0 is transparent and 255 opaque. None: the file has no alpha."""
    frame_count: int = 1
    """More than 1 for an animation, of which `rgb` is the first frame."""

    def _repr_png_(self) -> bytes:
        """What notebooks show."""
        return encode_picture(self, ".png")


@dataclass(frozen=True)
class _Format:
    name: str  # Pillow's name
    longest_side: int | None = None  # in pixels; None: no limit that memory would not reach first
    holds_alpha: bool = False
    save_options: dict[str, Any] = field(default_factory=dict)


# Halving the resolution of color (4:2:0) smears thin strokes, so it is off where it can be.
_JPEG = _Format("JPEG", 65_500, save_options={"subsampling": "4:4:4"})
_TIFF = _Format("TIFF", holds_alpha=True, save_options={"compression": "tiff_deflate"})
_HEIF = _Format("HEIF", holds_alpha=True, save_options={"quality": 95, "chroma": 444})
_HEIF_SUFFIXES = {".heic": _HEIF, ".heif": _HEIF}
_FORMATS = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    # Level 4 takes a third of the time of the default 6 for files that are 1 to 3 % larger.
    ".png": _Format("PNG", holds_alpha=True, save_options={"compress_level": 4}),
    ".webp": _Format("WEBP", 16_383, holds_alpha=True, save_options={"quality": 95}),
    ".avif": _Format("AVIF", 65_536, holds_alpha=True, save_options={"quality": 90, "subsampling": "4:4:4"}),
    ".gif": _Format("GIF", 65_535),
    ".bmp": _Format("BMP"),
    ".tif": _TIFF,
    ".tiff": _TIFF,
}
# Frames of these follow each other in time; those of TIFF, MPO and HEIF are pages, views and bursts.
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")


def read_picture(
    path: Path | str, *, min_short_side: int | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Picture:
    """Read the first frame of a picture file, turned upright (EXIF) and converted to sRGB by its embedded profile.

    Args:
        path: a file in one of the formats of `IMAGE_SUFFIXES`. What counts is its content, not its suffix.
        min_short_side: pixels of the short side that are enough for the caller. A large JPEG may then be decoded at
            1/2, 1/4 or 1/8 of its size, which is faster; the result is never smaller than asked. None: full size.
        max_pixels: a file whose header claims more is refused before it fills the memory.

    Raises:
        ImageError: see `open_picture`; also 32 bits per channel.
    """
    with open_picture(Path(path), max_pixels=max_pixels) as opened:
        return _decode(opened, min_short_side)


def decode_picture(data: bytes, *, name: str = "the picture", max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Like `read_picture`, from the bytes of a file.

    Args:
        name: what messages call it.

    Raises:
        ImageError: see `read_picture`.
    """
    with open_picture(data, name=name, max_pixels=max_pixels) as opened:
        return _decode(opened, None)


def _decode(opened: OpenPicture, min_short_side: int | None) -> Picture:
    image = opened.image
    if image.mode in ("I", "F"):
        raise ImageError(f"{opened.name} has 32 bits per channel, whose range is not fixed; convert it to 8 or 16 bits")
    if min_short_side is not None:
        image.draft(None, (min_short_side, min_short_side))
    frame_count = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    try:
        image.load()
        rgb, alpha = decode_pixels(image)
    except MemoryError as error:
        raise ImageError(
            f"{opened.name}: not enough memory for {image.width} x {image.height} pixels; scale it down"
        ) from error
    return Picture(rgb, alpha, frame_count)


def write_picture(path: Path | str, picture: Picture, *, jpeg_quality: int = 95, note: str | None = None) -> None:
    """Write a picture in the format of the suffix; of an animation only one frame.

    Alpha is kept where the format holds it (.png .webp .avif .tif .tiff .heic); elsewhere (.jpg .gif .bmp) the picture
    is laid onto white. The file is replaced atomically; missing parent folders are made.

    Args:
        path: ends in one of `IMAGE_SUFFIXES`, in either case.
        picture: pixels in sRGB. No profile is written, since readers take a file without one for sRGB.
        jpeg_quality: 1 to 100, for .jpg and .jpeg only.
        note: says how the picture was made, and goes into the file's metadata, see `read_note`. None: there is none.

    Raises:
        OutputError: unknown suffix, picture too large for the format, or the file cannot be written.
        SettingError: `jpeg_quality` is out of range.
    """
    path = Path(path)
    image, name, options = _prepare(picture, path.suffix, jpeg_quality, note, str(path))
    with replace_atomically(path) as temporary:
        try:
            image.save(temporary, format=name, **options)
        except (MemoryError, OverflowError, ValueError, struct.error) as error:
            reason = "not enough memory" if isinstance(error, MemoryError) else str(error)
            raise OutputError(
                f"cannot write {path}: {image.width} x {image.height} pixels as {name} ({reason}); "
                f"choose another format, or make the picture smaller"
            ) from error


def encode_picture(picture: Picture, suffix: str, *, jpeg_quality: int = 95, note: str | None = None) -> bytes:
    """The bytes of the file that `write_picture` writes under this suffix, such as .png.

    Raises:
        OutputError, SettingError: see `write_picture`.
    """
    image, name, options = _prepare(picture, suffix, jpeg_quality, note, "the picture")
    buffer = io.BytesIO()
    image.save(buffer, format=name, **options)
    return buffer.getvalue()


def check_picture_suffix(suffix: str, name: str) -> None:
    """Raise OutputError if no picture can be written with this suffix; the message calls the file `name`."""
    if suffix.lower() not in IMAGE_SUFFIXES:
        hint = f" ({HEIF_HINT})" if suffix.lower() in _HEIF_SUFFIXES else ""
        allowed = " ".join(sorted(IMAGE_SUFFIXES))
        raise OutputError(f"cannot write {name}: the suffix '{suffix}' is not one of {allowed}{hint}")


def _prepare(
    picture: Picture, suffix: str, jpeg_quality: int, note: str | None, name: str
) -> tuple[Image.Image, str, dict[str, Any]]:
    """What Pillow has to write, the name of the format, and the options for writing it."""
    check_picture_suffix(suffix, name)
    if not 1 <= jpeg_quality <= 100:
        raise SettingError(f"jpeg_quality is {jpeg_quality}; give 1 to 100")
    file_format = (_FORMATS | _HEIF_SUFFIXES)[suffix.lower()]
    height, width = picture.rgb.shape[:2]
    if file_format.longest_side is not None and max(height, width) > file_format.longest_side:
        raise OutputError(
            f"cannot write {name}: {width} x {height} pixels, and {file_format.name} holds at most "
            f"{file_format.longest_side} on a side; choose .png, or make the picture smaller"
        )
    options = file_format.save_options
    if file_format is _JPEG:
        options = options | {"quality": jpeg_quality}
    if note is not None:
        options = options | note_options(file_format.name, note)
    if file_format is _HEIF:
        register_heif()
    if picture.alpha is not None and file_format.holds_alpha:
        image = Image.fromarray(picture.rgb)
        image.putalpha(Image.fromarray(picture.alpha))
    else:
        image = Image.fromarray(flatten_onto_white(picture))
    return image, file_format.name, options


def flatten_onto_white(picture: Picture) -> np.ndarray:
    """The picture on white, as viewers show it: shape (height, width, 3), uint8."""
    if picture.alpha is None:
        return picture.rgb
    alpha = picture.alpha[..., None].astype(np.uint16)
    # 255 * 255 + 127 still fits 16 bits.
    return ((picture.rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def whiten_transparent(picture: Picture) -> np.ndarray:
    """The pixels, (height, width, 3), uint8, white where they are fully transparent: a file holds any color there."""
    if picture.alpha is None:
        return picture.rgb
    return np.where(picture.alpha[..., None] == 0, np.uint8(255), picture.rgb)
