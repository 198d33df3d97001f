"""Damaged pictures of eight formats, and bombs: only our own error in one line, within 10 seconds and 2 GB.

    python tests/torture/broken_pictures.py [--seed 0] [--count 80000]

Every file is decoded as `nst-fast stylize` decodes it, in a process with 2 GB of address space; one that
takes more than 10 seconds or dies is a violation. Formats take turns, so --count 80000 is 10,000 of each (without
the extra `heif`, 70,000 are). The first trials are bombs: small files that claim, or unfold into, something huge.
"""

import importlib.util
import io
import multiprocessing
import os
import random
import resource
import struct
import tempfile
import zlib
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image
from verdict import Violation, torture

from nst_fast.errors import NstFastError
from nst_fast.media.pictures import read_picture

_SECONDS, _BYTES = 10, 2 << 30
_FORMATS = ["jpg", "png", "webp", "avif", "gif", "tiff", "bmp"] + ["heic"] * bool(
    importlib.util.find_spec("pillow_heif")
)


def make_originals() -> dict[str, list[bytes]]:
    """Whole files of each format: gray, color, with alpha, progressive, tiled, animated."""
    if "heic" in _FORMATS:
        import pillow_heif

        pillow_heif.register_heif_opener()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 4), dtype=np.uint8)
    color, alpha = Image.fromarray(noise[..., :3]), Image.fromarray(noise)
    gray, smooth = Image.fromarray(noise[..., 0]), color.resize((300, 200), Image.Resampling.BICUBIC)

    def save(image: Image.Image, kind: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, {"jpg": "JPEG", "heic": "HEIF"}.get(kind, kind.upper()), **options)
        return file.getvalue()

    animated = {"save_all": True, "append_images": [color.rotate(90), color], "duration": 40}
    originals = {kind: [save(color, kind), save(smooth, kind)] for kind in _FORMATS}
    originals["jpg"] += [save(gray, "jpg"), save(smooth, "jpg", progressive=True), save(color.convert("CMYK"), "jpg")]
    originals["png"] += [save(alpha, "png"), save(color.convert("P"), "png"), save(color, "png", **animated)]
    originals["png"] += [save(Image.fromarray(noise[..., 0].astype(np.uint16) * 257), "png")]
    originals["webp"] += [save(alpha, "webp", lossless=True), save(color, "webp", **animated)]
    originals["gif"] += [save(color, "gif", **animated)]
    originals["tiff"] += [save(alpha, "tiff", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg")[:2]]
    return originals


def make_bombs() -> dict[str, bytes]:
    """Small files that claim or unfold into something huge, by what they are."""

    def png(width: int, height: int) -> bytes:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        rows = zlib.compress(b"\0" * 1_000_000)
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

    def tiff(*tags: tuple[int, int, int, bytes]) -> bytes:
        entries, extra = b"", b""
        for tag, kind, count, value in tags:
            if len(value) > 4:
                extra, value = extra + value, struct.pack("<I", 8 + 2 + 12 * len(tags) + 4 + len(extra))
            entries += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
        return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + extra

    def short(number: int) -> bytes:
        return struct.pack("<H", number)

    base = [(256, 3, 1, short(64)), (257, 3, 1, short(64)), (258, 3, 1, short(8)), (262, 3, 1, short(1))]
    progressive = io.BytesIO()
    Image.new("RGB", (4000, 4000)).save(progressive, "JPEG", progressive=True, quality=30)
    start, end = progressive.getvalue()[:-2], progressive.getvalue()[-2:]
    scan = start[start.rindex(b"\xff\xda") :]
    gif = io.BytesIO()
    frames = [Image.new("P", (8, 8), number) for number in range(3)]
    frames[0].save(gif, "GIF", save_all=True, append_images=frames[1:])
    late = bytearray(gif.getvalue())
    place = late.rindex(b"\x2c")
    late[place + 5 : place + 9] = struct.pack("<HH", 65_000, 65_000)
    return {
        "a PNG of 60,000 x 60,000": png(60_000, 60_000),
        "a PNG of a line 2,000,000,000 long": png(2_000_000_000, 1),
        "a TIFF whose tile width is a text": tiff(
            *base, (322, 2, 9, b"65535555\0"), (323, 4, 1, struct.pack("<I", 64))
        ),
        "a TIFF of tiles of 65,000 x 65,000": tiff(*base, (322, 3, 1, short(65_000)), (323, 3, 1, short(65_000))),
        "a TIFF with a fraction as its width": tiff((256, 5, 1, struct.pack("<II", 64, 0)), *base[1:]),
        "a JPEG with 2,000 scans of 16 megapixels": start + scan * 2_000 + end,
        "a GIF whose last frame is 65,000 x 65,000": bytes(late),
        "a BMP of 2^31 lines": b"BM"
        + bytes(8)
        + struct.pack("<IIiiHHIIiiII", 54, 40, 64, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
    }


def mutate(numbers: random.Random, data: bytes) -> bytes:
    """One to eight small damages."""
    for _ in range(numbers.choice((1, 1, 1, 2, 4, 8))):
        place, length = numbers.randrange(len(data)), numbers.randrange(1, 16)
        kind = numbers.randrange(6)
        if kind == 0:
            data = data[:place] + bytes([data[place] ^ 1 << numbers.randrange(8)]) + data[place + 1 :]
        elif kind == 1:
            data = data[:place] + numbers.randbytes(length) + data[place + length :]
        elif kind == 2:  # sizes and counts
            extreme = numbers.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"))
            data = data[:place] + extreme[: numbers.choice((2, 4))] + data[place + 4 :]
        elif kind == 3:
            data = data[: place + 1]
        elif kind == 4:
            data = data[:place] + data[place + length :]
        else:
            data = data[:place] + data[place : place + length] * numbers.randrange(2, 6) + data[place + length :]
        data = data or b"\0"
    return data


def decode(orders: Connection) -> None:
    """The process that decodes: takes paths, answers with an empty text or what was wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff, libjpeg and others print what they think of a file
    while (path := orders.recv()) is not None:
        try:
            read_picture(path)
            orders.send("")
        except NstFastError as error:
            lines = str(error).splitlines()
            orders.send("" if len(lines) == 1 and lines[0].isprintable() else f"not one printable line: {error!r}")
        except BaseException as error:
            orders.send(f"{type(error).__name__}: {error}")


class Decoder:
    """A process that decodes, started again when it was killed."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._orders, other = context.Pipe()
        self._process = context.Process(target=decode, args=(other,), daemon=True)
        self._process.start()
        other.close()

    def check(self, path: Path) -> None:
        """Decode one file; raises Violation."""
        self._orders.send(path)
        try:
            answer = self._orders.recv() if self._orders.poll(_SECONDS) else f"more than {_SECONDS} s"
        except EOFError:
            self._process.join(5)
            answer = f"the process died with status {self._process.exitcode}"
        if answer:
            self._process.kill()
            raise Violation(f"{path.suffix}: {answer}")


def main() -> None:
    """Damage, decode, judge."""
    originals, bombs = make_originals(), make_bombs()
    decoder = Decoder()
    with tempfile.TemporaryDirectory() as folder:

        def trial(numbers: random.Random, number: int) -> None:
            if number < len(bombs):
                name, data = list(bombs.items())[number]
                suffix = name.split()[1].lower()
            else:
                suffix = _FORMATS[number % len(_FORMATS)]
                data = mutate(numbers, numbers.choice(originals[suffix]))
                name = f"{len(data)} bytes"
            path = Path(folder, f"damaged.{suffix}")
            path.write_bytes(data)
            try:
                decoder.check(path)
            except Violation as violation:
                raise Violation(f"{name}: {violation}") from violation

        torture(str(__doc__), trial, count=10_000 * len(_FORMATS))


if __name__ == "__main__":
    main()
