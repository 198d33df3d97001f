"""Picture files of all formats, read into and written from one kind of `Picture`: upright sRGB pixels.

Thread-safe: each call works on its own objects, and none changes a setting of Pillow.
"""

import functools
import importlib.util
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from nst_fast.atomic_files import replace_atomically
from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.pixel_decoding import decode_pixels

# Set once, since switching it around a call, or catching its warning, would reach into other threads.
# `_refuse_bomb` counts the pixels instead, before any is decoded.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Picture:
    """The pixels of one picture file, upright and in sRGB."""

    rgb: np.ndarray
    """Shape (height, width, 3), uint8 in [0, 255]."""
    alpha: np.ndarray | None = None
    """Shape (height, width), uint8, 0 is transparent and 255 opaque. None: the file has no alpha."""
    frame_count: int = 1
    """More than 1 for an animation, of which `rgb` is the first frame."""


@dataclass(frozen=True)
class _Format:
    name: str  # Pillow's name
    longest_side: int | None = None  # in pixels; None: no limit that memory would not reach first
    holds_alpha: bool = False
    save_options: dict[str, Any] = field(default_factory=dict)


# Halving the resolution of colour (4:2:0) smears thin strokes of paint, so it is switched off where it can be.
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
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_HEIF_HINT = "HEIC needs an extra: install nst-fast[heif]"
# Formats that are not named are not tried: Pillow also knows some that start other programs (EPS runs Ghostscript).
_READABLE = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
# Frames of these follow each other in time; those of TIFF, MPO and HEIF are pages, views and bursts.
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")


def _heif_is_installed() -> bool:
    return importlib.util.find_spec("pillow_heif") is not None


@functools.cache
def _register_heif() -> None:
    import pillow_heif  # pyright: ignore[reportMissingImports]

    pillow_heif.register_heif_opener()


# Looks for the extra without importing it; that waits for the first HEIC file.
IMAGE_SUFFIXES: frozenset[str] = frozenset(_FORMATS | (_HEIF_SUFFIXES if _heif_is_installed() else {}))


def read_picture(path: Path | str, *, min_short_side: int | None = None, max_pixels: int = 180_000_000) -> Picture:
    """Read the first frame of a picture file, turned upright (EXIF) and converted to sRGB by its embedded profile.

    Args:
        path: a file in one of the formats of `IMAGE_SUFFIXES`; what counts is its content, not its suffix.
        min_short_side: pixels of the short side that are enough for the caller, so that a large JPEG may be decoded
            at 1/2, 1/4 or 1/8 of its size, which is faster; the result is never smaller. None: full size.
        max_pixels: a file whose header claims more is refused before it fills the memory.

    Raises:
        ImageError: missing, a folder, empty, not a picture, damaged, too many pixels, HEIC without the extra.
    """
    path = Path(path)
    with open_picture(path, max_pixels=max_pixels) as image:
        return _decode(image, str(path), min_short_side)


def decode_picture(data: bytes, *, name: str = "the picture", max_pixels: int = 180_000_000) -> Picture:
    """As `read_picture`, out of the bytes of a file.

    Args:
        name: what messages call it.

    Raises:
        ImageError: see `read_picture`.
    """
    if not data:
        raise ImageError(f"{name} is empty (0 bytes); copy or download it again")
    with _open(io.BytesIO(data), name, data[:12], max_pixels) as image:
        return _decode(image, name, None)


def _decode(image: Image.Image, name: str, min_short_side: int | None) -> Picture:
    if image.mode in ("I", "F"):
        raise ImageError(f"{name} has 32 bits per channel, whose range is not fixed; convert it to 8 or 16 bits")
    if min_short_side is not None:
        image.draft(None, (min_short_side, min_short_side))
    try:
        frame_count = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
        image.load()
        rgb, alpha = decode_pixels(image)
    except MemoryError as error:
        raise ImageError(
            f"{name}: not enough memory for {image.width} x {image.height} pixels; scale it down"
        ) from error
    except Exception as error:  # a damaged file makes Pillow's many decoders raise almost anything
        raise ImageError(f"{name} is damaged or cut short ({_one_line(error)}); copy or download it again") from error
    return Picture(rgb, alpha, frame_count)


def open_picture(path: Path, *, max_pixels: int = 180_000_000) -> Image.Image:
    """Read the headers, no pixels yet; for those who need more of a file than `read_picture` gives.

    Raises:
        ImageError: missing, a folder, empty, not a picture, a damaged header, too many pixels, HEIC without the extra.
    """
    return _open(path, str(path), _first_bytes(path), max_pixels)


def _open(file: Path | io.BytesIO, name: str, first_bytes: bytes, max_pixels: int) -> Image.Image:
    # Phones save HEIC under any suffix, also .jpg.
    is_heif = first_bytes[4:8] == b"ftyp" and first_bytes[8:] in _HEIF_BRANDS
    formats = _READABLE
    if is_heif and _heif_is_installed():
        _register_heif()
        formats += ("HEIF",)  # after AVIF, which may have the brand mif1, too
    try:
        image = Image.open(file, formats=formats)
    except UnidentifiedImageError as error:
        if is_heif and not _heif_is_installed():
            raise ImageError(f"{name} cannot be read; {_HEIF_HINT}, or convert it to JPEG") from error
        allowed = " ".join(sorted(IMAGE_SUFFIXES))
        raise ImageError(f"{name} is not a picture that can be read; give one of {allowed}") from error
    except Exception as error:  # as in `read_picture`
        raise ImageError(f"{name} has a damaged header ({_one_line(error)}); copy or download it again") from error
    try:
        _refuse_bomb(image, name, max_pixels)
    except ImageError:
        image.close()
        raise
    return image


def _first_bytes(path: Path) -> bytes:
    """Enough of the file to tell HEIC from others; what the file system objects to is said here."""
    if path.is_dir():
        raise ImageError(f"{path} is a folder; give the path of a picture in it")
    try:
        with open(path, "rb") as file:
            first_bytes = file.read(12)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{path} does not exist; check the path") from error
    except PermissionError as error:
        raise ImageError(f"no permission to read {path}; change its permissions") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror}); check the disk and the path") from error
    if not first_bytes:
        raise ImageError(f"{path} is empty (0 bytes); copy or download it again")
    return first_bytes


def _refuse_bomb(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    # A TIFF of few pixels may claim huge tiles, and a whole tile is what its decoder allocates.
    tags = getattr(image, "tag_v2", {})
    tile_pixels = tags.get(ExifTags.Base.TileWidth, 0) * tags.get(ExifTags.Base.TileLength, 0)
    if max(width * height, tile_pixels) > max_pixels:
        raise ImageError(
            f"{name} claims {max(width * height, tile_pixels):,} pixels ({width} x {height}), "
            f"more than the limit of {max_pixels:,}; scale it down first"
        )


def write_picture(path: Path | str, picture: Picture, *, jpeg_quality: int = 95) -> None:
    """Write a picture in the format of the suffix; of an animation this is one frame.

    Alpha goes along where the format holds it (.png .webp .avif .tif .tiff .heic), elsewhere (.jpg .gif .bmp) the
    picture is laid onto white. The file is replaced atomically; missing parent folders are made.

    Args:
        path: ends in one of `IMAGE_SUFFIXES`, in either case.
        picture: pixels in sRGB; no profile is written, and readers take a file without one as sRGB.
        jpeg_quality: 1 to 100, for .jpg and .jpeg only.

    Raises:
        OutputError: unknown suffix, picture too large for the format, or the file cannot be written.
        SettingError: `jpeg_quality` is out of range.
    """
    path = Path(path)
    image, name, options = _prepare(picture, path.suffix, jpeg_quality, str(path))
    with replace_atomically(path) as temporary:
        image.save(temporary, format=name, **options)


def encode_picture(picture: Picture, suffix: str, *, jpeg_quality: int = 95) -> bytes:
    """The bytes of the file that `write_picture` writes under this suffix, such as .png.

    Raises:
        OutputError, SettingError: see `write_picture`.
    """
    image, name, options = _prepare(picture, suffix, jpeg_quality, "the picture")
    buffer = io.BytesIO()
    image.save(buffer, format=name, **options)
    return buffer.getvalue()


def check_picture_suffix(suffix: str, name: str) -> None:
    """Raises: OutputError, if no picture can be written with this suffix; messages call the file `name`."""
    if suffix.lower() not in IMAGE_SUFFIXES:
        hint = f" ({_HEIF_HINT})" if suffix.lower() in _HEIF_SUFFIXES else ""
        allowed = " ".join(sorted(IMAGE_SUFFIXES))
        raise OutputError(f"cannot write {name}: the suffix '{suffix}' is not one of {allowed}{hint}")


def _prepare(picture: Picture, suffix: str, jpeg_quality: int, name: str) -> tuple[Image.Image, str, dict[str, Any]]:
    """What Pillow is to write, the format's name, and the options of writing it."""
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
    if file_format is _HEIF:
        _register_heif()
    if picture.alpha is not None and file_format.holds_alpha:
        image = Image.fromarray(picture.rgb)
        image.putalpha(Image.fromarray(picture.alpha))
    else:
        image = Image.fromarray(flatten_onto_white(picture))
    return image, file_format.name, options


def flatten_onto_white(picture: Picture) -> np.ndarray:
    """The picture laid onto white paper, as viewers show it: shape (height, width, 3), uint8."""
    if picture.alpha is None:
        return picture.rgb
    alpha = picture.alpha[..., None].astype(np.uint16)
    # 255 * 255 + 127 still fits 16 bits.
    return ((picture.rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
