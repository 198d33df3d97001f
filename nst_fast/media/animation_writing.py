"""Animated GIF and WebP files, written frame by frame.

Pillow would hold all frames in memory: ten minutes of film take gigabytes. So it encodes each frame as a file by
itself, and the encoded pixels of those files are put together here.
"""

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

from PIL import Image

from nst_fast.errors import OutputError
from nst_fast.files.atomic import replace_atomically
from nst_fast.media.pictures import Picture

_WEBP_QUALITY = 90
_WEBP_METHOD = 3
_LARGEST_RIFF = 2**32 - 2


def write_animation(path: Path, frames: Iterable[tuple[Picture, int]], *, loop: int | None = 0) -> int:
    """Write frames with their durations in milliseconds; returns how many there were.

    GIF holds 256 colors a frame, whole hundredths of a second and no partial transparency. Memory does not grow with
    the number of frames.

    Args:
        path: ends in .gif or .webp; replaced atomically.
        frames: at least one, all of one size.
        loop: how often it is played; 0: forever; None: once.

    Raises:
        OutputError: no frame, too large for the format, or the file cannot be written.
    """
    count = 0
    with replace_atomically(path) as temporary, open(temporary, "wb") as file:
        writer: _Writer | None = None
        for picture, milliseconds in frames:
            height, width = picture.rgb.shape[:2]
            if writer is None:
                make = _GifWriter if path.suffix.lower() == ".gif" else _WebpWriter
                if max(height, width) > make.longest_side:
                    raise OutputError(
                        f"cannot write {path}: {width} x {height} pixels, and the format holds at most "
                        f"{make.longest_side} on a side; give a smaller size, or another format"
                    )
                writer = make(file, height, width, loop)
            writer.add(picture, milliseconds)
            count += 1
        if writer is None:
            raise OutputError(f"cannot write {path}: there is no frame")
        if not writer.finish():
            raise OutputError(f"cannot write {path}: it would be larger than 4 GB; choose .mp4")
    return count


class _Writer(Protocol):
    longest_side: int

    def __init__(self, file: BinaryIO, height: int, width: int, loop: int | None) -> None: ...

    def add(self, picture: Picture, milliseconds: int) -> None: ...

    def finish(self) -> bool:
        """False: the file is larger than the format can hold."""
        ...


class _GifWriter:
    """GIF89a. Every frame has a palette of its own and covers the whole picture."""

    longest_side = 65_535

    def __init__(self, file: BinaryIO, height: int, width: int, loop: int | None) -> None:
        self._file = file
        file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
        if loop is not None:
            file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loop) + b"\0")

    def add(self, picture: Picture, milliseconds: int) -> None:
        image = Image.fromarray(picture.rgb)
        if picture.alpha is not None:
            image.putalpha(Image.fromarray(picture.alpha))
        else:
            image = image.quantize(256)
        buffer = io.BytesIO()
        image.save(buffer, format="GIF")
        palette, transparent, descriptor, pixels = _split_gif(buffer.getvalue())
        # Disposal 2 clears the frame before the next one, so that transparent parts do not show it.
        flags = 2 << 2 | (transparent is not None)
        self._file.write(b"!\xf9\x04" + struct.pack("<BHBB", flags, milliseconds // 10, transparent or 0, 0))
        # In the descriptor's last byte: a palette of its own, and the logarithm of its length.
        bits = (len(palette) // 3 - 1).bit_length() - 1
        self._file.write(b"," + descriptor[:8] + bytes([descriptor[8] & 0x40 | 0x80 | bits]) + palette + pixels)

    def finish(self) -> bool:
        self._file.write(b";")
        return True


def _split_gif(data: bytes) -> tuple[bytes, int | None, bytes, bytes]:
    """Take a GIF of one frame apart: palette, transparent index, image descriptor (9 bytes), compressed pixels."""
    position = 13
    palette, transparent = b"", None
    if data[10] & 0x80:
        position += 3 << (data[10] & 7) + 1
        palette = data[13:position]
    while data[position : position + 1] == b"!":
        if data[position + 1] == 0xF9 and data[position + 3] & 1:
            transparent = data[position + 6]
        position = _skip_blocks(data, position + 2)
    descriptor = data[position + 1 : position + 10]
    position += 10
    if descriptor[8] & 0x80:
        length = 3 << (descriptor[8] & 7) + 1
        palette = data[position : position + length]
        position += length
    return palette, transparent, descriptor, data[position : _skip_blocks(data, position + 1)]


def _skip_blocks(data: bytes, position: int) -> int:
    """The position after a sequence of blocks, each with its length in front, which an empty one ends."""
    while data[position]:
        position += data[position] + 1
    return position + 1


class _WebpWriter:
    """WebP's extended format: a header, and each frame's own chunks wrapped in one of type ANMF."""

    longest_side = 16_383

    def __init__(self, file: BinaryIO, height: int, width: int, loop: int | None) -> None:
        self._file = file
        self._corner = struct.pack("<I", 0)[:3] * 2
        self._sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
        # The sizes and the flags in front are known only at the end.
        file.write(b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", b"\0" * 4 + self._sides))
        file.write(_chunk(b"ANIM", b"\0" * 4 + struct.pack("<H", 1 if loop is None else loop)))
        self._has_alpha = False

    def add(self, picture: Picture, milliseconds: int) -> None:
        image = Image.fromarray(picture.rgb)
        if picture.alpha is not None:
            image.putalpha(Image.fromarray(picture.alpha))
            self._has_alpha = True
        buffer = io.BytesIO()
        image.save(buffer, format="WEBP", quality=_WEBP_QUALITY, method=_WEBP_METHOD)
        # Flags 2: the frame replaces what is below it instead of being blended with it.
        header = self._corner + self._sides + struct.pack("<I", milliseconds)[:3] + b"\x02"
        self._file.write(_chunk(b"ANMF", header + _find_pixel_chunks(buffer.getvalue())))

    def finish(self) -> bool:
        size = self._file.tell()
        self._file.seek(4)
        self._file.write(struct.pack("<I", min(size - 8, _LARGEST_RIFF)))
        self._file.seek(20)
        self._file.write(bytes([0x02 | 0x10 * self._has_alpha]))
        return size - 8 <= _LARGEST_RIFF


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _find_pixel_chunks(data: bytes) -> bytes:
    """The chunks of a still WebP file that hold its pixels: VP8 or VP8L, with ALPH before it where there is alpha."""
    position, found = 12, b""
    while position < len(data):
        end = position + 8 + int.from_bytes(data[position + 4 : position + 8], "little")
        end += end % 2
        if data[position : position + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            found += data[position:end]
        position = end
    return found
