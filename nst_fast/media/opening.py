"""Picture files, opened with care: only known formats, nothing that would fill the memory or never end.

Pillow's `Image.open` has a limit on pixels too, but it is one for the whole process, warns from 89 megapixels on, and
can only be moved for everybody. So files are opened here by Pillow's format plugins directly, and checked before any
pixel is decoded.
"""

import contextlib
import functools
import importlib
import importlib.util
import io
import os
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image, ImageFile

from nst_fast.errors import ImageError, NstFastError
from nst_fast.media.jpeg_scans import count_scans
from nst_fast.memory import available_bytes

# Formats that are not named are not tried: Pillow also knows some that start other programs (EPS runs Ghostscript).
_PLUGINS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "WEBP": "WebPImagePlugin",
    "AVIF": "AvifImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
}
_READABLE_SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_HEIF_SUFFIXES = (".heic", ".heif")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEIF_HINT = "HEIC needs an extra: install nst-fast[heif]"

DEFAULT_MAX_PIXELS = 180_000_000
_MAX_SCANS = 100
# Processor time, so that neither a slow disk nor a busy computer counts. A slow computer decodes a megapixel of an
# honest file in less than a tenth of a second.
_SECONDS = 5.0
_SECONDS_PER_MEGAPIXEL = 0.1
# Smaller pictures are decoded without asking how much memory is left.
_SMALL_PIXELS = 16_000_000
# Pillow's pixels (4 bytes), the array made of them (3), and what most decoders hold besides.
_BYTES_PER_PIXEL = 12
# A progressive JPEG keeps the coefficients of all its components.
_PROGRESSIVE_BYTES_PER_PIXEL = 6


def heif_is_installed() -> bool:
    """Whether HEIC files can be read and written. Does not import the extra, which waits for the first such file."""
    return importlib.util.find_spec("pillow_heif") is not None


@functools.cache
def register_heif() -> None:
    """Make Pillow able to read and write HEIC."""
    import pillow_heif  # pyright: ignore[reportMissingImports]

    pillow_heif.register_heif_opener()


# What can be read and written, in lower case.
IMAGE_SUFFIXES = frozenset(_READABLE_SUFFIXES + (_HEIF_SUFFIXES if heif_is_installed() else ()))


class _TooSlow(Exception):
    """The decoder has used up its time."""


class _TimedFile:
    """A file that refuses to be read on once this thread has used up its processor time.

    Most of Pillow's decoders are fed in pieces of 64 kB, so they can be stopped in between.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.restart(0)

    def restart(self, pixels: int) -> None:
        """Begin to count, for so many pixels."""
        self._ends_at = time.thread_time() + _SECONDS + _SECONDS_PER_MEGAPIXEL * pixels / 1e6

    def read(self, size: int = -1) -> bytes:
        if time.thread_time() > self._ends_at:
            raise _TooSlow
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class OpenPicture:
    """A picture file whose header has been read and found harmless.

    Attributes:
        image: Pillow's image, no pixels decoded yet.
        name: what messages call it.
    """

    def __init__(self, image: ImageFile.ImageFile, name: str, file: _TimedFile, max_pixels: int) -> None:
        self.image = image
        self.name = name
        self._file = file
        self._max_pixels = max_pixels

    def check_size(self) -> None:
        """Check the size that the image has now, in pixels and in memory, and give its decoder new time.

        Raises:
            ImageError: too many pixels, or not enough memory for them.
        """
        width, height = self.image.size
        pixels = max(width * height, _count_tile_pixels(self.image, self.name))
        if pixels > self._max_pixels:
            raise ImageError(
                f"{self.name} claims {pixels:,} pixels ({width} x {height}), "
                f"more than the limit of {self._max_pixels:,}; scale it down first"
            )
        if pixels > _SMALL_PIXELS:
            each = _BYTES_PER_PIXEL + _PROGRESSIVE_BYTES_PER_PIXEL * bool(self.image.info.get("progressive"))
            left = available_bytes()
            if left is not None and pixels * each > left:
                raise ImageError(f"{self.name}: not enough memory for {width} x {height} pixels; scale it down")
        self._file.restart(pixels)


@contextlib.contextmanager
def open_picture(
    source: Path | bytes, *, name: str | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Iterator[OpenPicture]:
    """Read the header of a picture, no pixels yet; the file is open within the block.

    Whatever Pillow raises in the block becomes an ImageError.

    Args:
        source: a file, or the bytes of one. What counts is its content, not its suffix.
        name: what messages call it. None: the path.
        max_pixels: a picture whose header claims more is refused.

    Raises:
        ImageError: missing, a folder, no regular file, empty, not a picture, damaged, too many pixels, a JPEG of more
            than 100 scans, HEIC without the extra; in the block also: not enough memory, or decoding takes too long.
    """
    name = name or (str(source) if isinstance(source, Path) else "the picture")
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(io.BytesIO(source) if isinstance(source, bytes) else _open_file(source))
        timed = _TimedFile(file)
        with explain_decoder_errors(name, "has a damaged header"):
            first_bytes = file.read(16)
            if not first_bytes:
                raise ImageError(f"{name} is empty (0 bytes); copy or download it again")
            image = stack.enter_context(_open_image(timed, first_bytes, name))
            opened = OpenPicture(image, name, timed, max_pixels)
            opened.check_size()
            if image.format in ("JPEG", "MPO") and (scans := count_scans(file)) > _MAX_SCANS:
                raise ImageError(
                    f"{name} is a JPEG of {scans} scans, more than the limit of {_MAX_SCANS}; save it again"
                )
        with explain_decoder_errors(name, "is damaged or cut short"):
            yield opened


def count_pixels(path: Path) -> int:
    """Pixels that the header of a picture file claims; 0 if it cannot be read."""
    try:
        with open_picture(path) as opened:
            return opened.image.width * opened.image.height
    except ImageError:
        return 0


@contextlib.contextmanager
def explain_decoder_errors(name: str, what: str) -> Iterator[None]:
    """Turn everything that Pillow raises on a damaged or hostile file, which is almost anything, into an ImageError."""
    try:
        yield
    except NstFastError:
        raise
    except _TooSlow as error:
        raise ImageError(f"{name} takes too long to decode; save it again in another format") from error
    except MemoryError as error:
        raise ImageError(f"{name}: not enough memory for its pixels; scale it down") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} claims more pixels than can be decoded; scale it down first") from error
    except OSError as error:
        if error.errno is not None:
            raise ImageError(f"{name} cannot be read ({error.strerror}); check the disk and the path") from error
        raise ImageError(f"{name} {what} ({_one_line(error)}); copy or download it again") from error
    except Exception as error:
        raise ImageError(f"{name} {what} ({_one_line(error)}); copy or download it again") from error


def _open_file(path: Path) -> BinaryIO:
    """Open a regular file; says what the file system objects to."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{path} is a folder; give the path of a picture in it")
        if not stat.S_ISREG(mode):  # a pipe would be waited for, perhaps for ever
            raise ImageError(f"{path} is not a regular file; give the path of a picture")
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{path} does not exist; check the path") from error
    except PermissionError as error:
        raise ImageError(f"no permission to read {path}; change its permissions") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or _one_line(error)
        raise ImageError(f"{path} cannot be read ({reason}); check the disk and the path") from error


def _open_image(file: _TimedFile, first_bytes: bytes, name: str) -> ImageFile.ImageFile:
    # Phones save HEIC under any suffix, .jpg included.
    is_heif = first_bytes[4:8] == b"ftyp" and first_bytes[8:12] in _HEIF_BRANDS
    formats = dict(_PLUGINS)
    if is_heif and heif_is_installed():
        register_heif()
        formats["HEIF"] = ""  # after AVIF, which may have the brand mif1 too
    failure: Exception | None = None
    for format_name, plugin in formats.items():
        if plugin:
            importlib.import_module(f"PIL.{plugin}")
        factory, accept = Image.OPEN[format_name]
        if accept is not None and accept(first_bytes) is not True:
            continue
        file.seek(0)
        try:
            return factory(file, "")  # pyright: ignore[reportArgumentType, reportReturnType]
        except (SyntaxError, IndexError, TypeError, struct.error) as error:  # as in `Image.open`: perhaps another one
            failure = error
    if is_heif and not heif_is_installed():
        raise ImageError(f"{name} cannot be read; {HEIF_HINT}, or convert it to JPEG")
    if failure is not None:
        raise failure
    raise ImageError(f"{name} is not a picture that can be read; give one of {' '.join(sorted(IMAGE_SUFFIXES))}")


def _count_tile_pixels(image: Image.Image, name: str) -> int:
    """A TIFF of few pixels may claim huge tiles, and its decoder allocates whole tiles."""
    tags = getattr(image, "tag_v2", {})
    sides = [tags.get(tag, 0) for tag in (ExifTags.Base.TileWidth, ExifTags.Base.TileLength)]
    if not all(isinstance(side, int) for side in sides):
        raise ImageError(f"{name} has a damaged header (its tiles have no size); copy or download it again")
    return sides[0] * sides[1]


def _one_line(error: Exception) -> str:
    """What a decoder said, without whatever bytes of the file it quotes."""
    words = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in words)
