import errno
import io
import os
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.errors import ImageError
from nst_fast.media import opening
from nst_fast.media.animations import probe_animation, read_animation
from nst_fast.media.jpeg_scans import count_scans
from nst_fast.media.opening import IMAGE_SUFFIXES, count_pixels
from nst_fast.media.pictures import decode_picture, read_picture


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(ImageError) as caught:
        read()
    message = str(caught.value)
    assert "\n" not in message
    return message


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encode(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def scan_bomb(copies: int, side: int = 1000) -> bytes:
    """A progressive JPEG whose first scan is there so many times more."""
    data = encode(Image.new("RGB", (side, side), "teal"), format="JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff", start + 12)
    while data[end + 1] == 0:
        end = data.index(b"\xff", end + 1)
    return data[:end] + data[start:end] * copies + data[end:]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "no permission to read {}; change its permissions"),
        (
            OSError(errno.EIO, "Input/output error"),
            "{} cannot be read (Input/output error); check the disk and the path",
        ),
    ],
)
def test_system_refuses_to_open(tmp_path, monkeypatch, error, message):
    """What the file system refuses is said as such, not as a damaged picture."""

    def fail(*_: object) -> None:
        raise error

    path = tmp_path / "a.png"
    path.touch()
    monkeypatch.setattr(opening, "open", fail, raising=False)
    assert refusal(lambda: read_picture(path)) == message.format(path)


def test_a_disk_that_fails_while_pixels_are_read(tmp_path, monkeypatch):
    """An error of the disk in the middle of a file is said as such too."""
    path = tmp_path / "a.png"
    noise(600, 600).save(path)

    def fail(self, size: int = -1) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with opening.open_picture(path) as opened:
        monkeypatch.setattr(opening._TimedFile, "read", fail)
        expected = r"a\.png cannot be read \(Input/output error\); check the disk"
        with pytest.raises(ImageError, match=expected), opening.explain_decoder_errors(str(path), "is damaged"):
            opened.image.load()


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    """A FIFO under the name of a picture, which nobody writes to, is one line at once."""
    path = tmp_path / "a.jpg"
    os.mkfifo(path)
    assert refusal(lambda: read_picture(path)) == f"{path} is not a regular file; give the path of a picture"


def test_a_loop_of_links_and_an_impossible_name(tmp_path):
    """A link to itself and a name with a zero byte are one line each."""
    path = tmp_path / "loop.jpg"
    path.symlink_to("loop.jpg")
    assert refusal(lambda: read_picture(path)).startswith(f"{path} cannot be read (Too many levels of symbolic links)")
    assert "cannot be read" in refusal(lambda: read_picture(Path("a\0.jpg")))


def tiff(entries: list[tuple[int, int, int, int]]) -> bytes:
    """A TIFF of 1 x 1 pixels with these (tag, type, count, value)."""
    usual = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 4, 1, 8), (259, 4, 1, 1), (262, 4, 1, 1), (277, 4, 1, 1)]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted([*usual, *entries]))
    head = b"II*\0" + struct.pack("<IH", 8, len(usual) + len(entries))
    return (head + directory + bytes(4)).ljust(400, b" ")


@pytest.mark.parametrize("kind", [2, 5, 7, 11, 12])
def test_a_tiff_whose_tile_width_is_no_number(kind):
    """A tag of text, fractions or bytes where a size belongs is a damaged header, whatever it is multiplied by."""
    data = tiff([(322, kind, 60, 200), (323, 4, 1, 1 << 20), (324, 4, 1, 300), (325, 4, 1, 1)])
    assert "a.tif has a damaged header" in refusal(lambda: decode_picture(data, name="a.tif"))


@pytest.mark.parametrize(
    "error", [RecursionError(), KeyError("x"), ZeroDivisionError(), AssertionError(), MemoryError()]
)
@pytest.mark.parametrize("place", ["open", "load"])
def test_whatever_a_decoder_raises_is_one_line(monkeypatch, error, place):
    """Any exception of Pillow, while a header or while pixels are read, is an error that the user can act on."""
    from PIL import PngImagePlugin

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "_open" if place == "open" else "load", fail)
    message = refusal(lambda: decode_picture(encode(noise(4, 4), format="PNG"), name="a.png"))
    assert message.startswith("a.png")


def test_scans_are_counted():
    """A baseline JPEG has one scan, a progressive one about ten, and each copy of a scan is one more."""
    assert count_scans(io.BytesIO(encode(noise(64, 64), format="JPEG"))) == 1
    usual = count_scans(io.BytesIO(encode(noise(64, 64), format="JPEG", progressive=True)))
    assert 6 <= usual <= 15
    assert count_scans(io.BytesIO(scan_bomb(50))) - count_scans(io.BytesIO(scan_bomb(0))) == 50
    # A thumbnail within the header is no scan.
    exif = Image.Exif()
    exif[0x9286] = encode(noise(8, 8), format="JPEG", progressive=True)
    assert count_scans(io.BytesIO(encode(noise(64, 64), format="JPEG", exif=exif))) == 1


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xda", b"\xff\xd8\xff\xc2\0", b"\xff\xd8" + b"\xff" * 99]
)
def test_scans_of_what_is_no_jpeg(data):
    """Truncated and senseless files are counted without an error."""
    assert count_scans(io.BytesIO(data)) <= 1


@pytest.mark.timeout(30)
def test_a_scan_bomb_is_refused_before_it_is_decoded():
    """A JPEG of a thousand scans is one line within a moment; one of a few more than usual is read."""
    began = time.thread_time()
    message = refusal(lambda: decode_picture(scan_bomb(1000, 4000), name="a.jpg"))
    assert message.startswith("a.jpg is a JPEG of 10") and message.endswith(
        "scans, more than the limit of 100; save it again"
    )
    assert time.thread_time() - began < 2
    assert decode_picture(scan_bomb(20, 100)).rgb.shape == (100, 100, 3)


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "BMP"])
def test_decoding_ends_when_its_time_is_up(monkeypatch, suffix):
    """A decoder that needs more than its processor time is stopped in the middle of the file."""
    data = encode(noise(700, 700), format=suffix)
    assert decode_picture(data).rgb.shape == (700, 700, 3)
    monkeypatch.setattr(opening, "_SECONDS", 0)
    monkeypatch.setattr(opening, "_SECONDS_PER_MEGAPIXEL", 0)
    assert refusal(lambda: decode_picture(data, name="a")) == (
        "a takes too long to decode; save it again in another format"
    )


def test_a_picture_beyond_the_free_memory_is_refused(monkeypatch):
    """A picture that would not fit into what is left, such as in a small container, is one line and not decoded."""
    data = encode(Image.new("L", (5000, 4000)), format="PNG")
    monkeypatch.setattr(opening, "available_bytes", lambda: 5000 * 4000 * 10)
    assert refusal(lambda: decode_picture(data, name="a.png")) == (
        "a.png: not enough memory for 5000 x 4000 pixels; scale it down"
    )
    monkeypatch.setattr(opening, "available_bytes", lambda: None)
    assert decode_picture(data).rgb.shape == (4000, 5000, 3)


def gif(*frames: tuple[int, int, int, int]) -> bytes:
    """A GIF of one pixel with frames of these (left, top, width, height), each of which holds one pixel."""
    data = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    for left, top, width, height in frames:
        data += b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\x02\x02\x44\x01\0"
    return data + b";"


def test_a_later_frame_cannot_claim_more_than_the_first(tmp_path, monkeypatch):
    """A GIF of 50 bytes whose second frame has 196 megapixels, or more than the free memory, is one line."""
    path = tmp_path / "a.gif"
    path.write_bytes(gif((0, 0, 1, 1), (0, 0, 14_000, 14_000)))
    for read in (lambda: list(read_animation(path)), lambda: probe_animation(path)):
        assert refusal(read) == f"{path} claims more pixels than can be decoded; scale it down first"
    path.write_bytes(gif((0, 0, 1, 1), (0, 0, 9000, 9000)))
    monkeypatch.setattr(opening, "available_bytes", lambda: 100_000_000)
    assert refusal(lambda: list(read_animation(path))) == (
        f"{path}: not enough memory for 9000 x 9000 pixels; scale it down"
    )


def test_a_frame_beyond_the_edge_is_cut(tmp_path):
    """A frame that reaches beyond the picture is cut to it, as browsers do, so that all frames have one size."""
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime")]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50)
    data = bytearray(path.read_bytes())
    second = data.index(b",", data.index(b",") + 1)
    data[second + 1 : second + 5] = struct.pack("<HH", 4, 4)
    path.write_bytes(data)
    assert [picture.rgb.shape for picture, _ in read_animation(path)] == [(8, 8, 3)] * 2


def test_no_setting_of_pillow_is_changed():
    """Pillow's own limit on pixels, which other code in the process relies on, stays as it is."""
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


def test_more_pixels_than_pillow_warns_of_can_be_read(tmp_path):
    """A panorama of 90 megapixels is read without a warning, on any thread."""
    path = tmp_path / "a.png"
    Image.new("1", (30_000, 3_000)).save(path)
    shapes = []
    thread = threading.Thread(target=lambda: shapes.append(read_picture(path).rgb.shape))
    thread.start()
    thread.join()
    assert shapes == [(3_000, 30_000, 3)]
    assert count_pixels(path) == 90_000_000
    assert count_pixels(tmp_path / "no.png") == 0


def test_every_readable_suffix_can_be_written(tmp_path):
    """The list of suffixes is that of the formats that are written."""
    from nst_fast.media.pictures import _FORMATS, _HEIF_SUFFIXES

    assert set(_FORMATS) <= IMAGE_SUFFIXES <= _FORMATS.keys() | _HEIF_SUFFIXES.keys()
