import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.media import opening, pictures
from nst_fast.media.listing import find_images
from nst_fast.media.opening import IMAGE_SUFFIXES
from nst_fast.media.pictures import Picture, read_picture, write_picture

SUFFIXES_WITHOUT_EXTRA = ".avif .bmp .gif .jpeg .jpg .png .tif .tiff .webp"


def gradient(height: int, width: int) -> np.ndarray:
    """Smooth colors without symmetry, which lossy formats keep to within a few levels."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [rows * 255 // max(1, height - 1), columns * 255 // max(1, width - 1), (rows + columns) % 256 // 2]
    return np.stack(channels, axis=-1).astype(np.uint8)


def message_of(path: Path, **arguments: int) -> str:
    with pytest.raises(ImageError) as caught:
        read_picture(path, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_32_bit_pictures_are_refused(tmp_path):
    """A float TIFF, whose range nobody states, is refused."""
    path = tmp_path / "float.tif"
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(path)
    assert message_of(path) == (f"{path} has 32 bits per channel, whose range is not fixed; convert it to 8 or 16 bits")


def test_animation_gives_its_first_frame(tmp_path):
    """Of animated GIF, WebP, PNG and AVIF the first frame is read and the frames are counted; a page is no frame."""
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "lime", "blue")]
    for suffix in (".gif", ".webp", ".png", ".avif"):
        path = tmp_path / f"animated{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=50)
        picture = read_picture(path)
        assert picture.frame_count == 3
        assert np.abs(picture.rgb[8, 8].astype(int) - (255, 0, 0)).max() <= 6
    frames[0].save(tmp_path / "pages.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "views.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert read_picture(tmp_path / "pages.tif").frame_count == 1
    assert read_picture(tmp_path / "views.jpg").frame_count == 1


def test_draft_is_never_too_small(tmp_path):
    """A JPEG is decoded at a fraction of its size where that is enough, never below; other formats stay whole."""
    Image.fromarray(gradient(300, 401)).save(tmp_path / "a.jpg")
    Image.fromarray(gradient(300, 401)).save(tmp_path / "a.png")
    reduced = {}
    for wanted in (1, 37, 38, 75, 76, 149, 150, 151, 299, 300, 301, 5000):
        height, width = read_picture(tmp_path / "a.jpg", min_short_side=wanted).rgb.shape[:2]
        assert min(height, width) >= min(wanted, 300)
        reduced[wanted] = min(height, width)
    assert reduced[37] == 38
    assert reduced[75] == 75
    assert reduced[150] == 150
    assert reduced[151] == 300
    assert read_picture(tmp_path / "a.png", min_short_side=10).rgb.shape == (300, 401, 3)


def test_bomb_is_refused_by_its_header(tmp_path):
    """A PNG of 100 bytes that claims 20000 x 20000 pixels is refused without decoding it; the limit can be moved."""
    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b""))
        + png_chunk(b"IEND", b"")
    )
    path.write_bytes(png)
    assert message_of(path) == (
        f"{path} claims 400,000,000 pixels (20000 x 20000), more than the limit of 180,000,000; scale it down first"
    )
    Image.new("L", (10, 10)).save(path)
    assert read_picture(path, max_pixels=100).rgb.shape == (10, 10, 3)
    assert "claims 100 pixels (10 x 10), more than the limit of 99" in message_of(path, max_pixels=99)


def test_huge_tiles_are_refused(tmp_path):
    """A TIFF of 1 x 1 pixels in one tile of 65536 x 65536 is refused, since the decoder would allocate the tile."""
    entries = [
        (256, 1),
        (257, 1),
        (258, 8),
        (259, 8),
        (262, 1),
        (277, 1),
        (322, 65536),
        (323, 65536),
        (324, 200),
        (325, 8),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries
    )
    path = tmp_path / "tiles.tif"
    path.write_bytes((b"II*\0" + struct.pack("<I", 8) + directory + bytes(4)).ljust(208, b"\0"))
    assert "claims 4,294,967,296 pixels (1 x 1), more than the limit" in message_of(path)


def test_missing_folder_and_empty(tmp_path):
    """A missing path, a path below a file, a folder and an empty file are told apart."""
    absent, empty = tmp_path / "absent.png", tmp_path / "empty.png"
    empty.touch()
    assert message_of(absent) == f"{absent} does not exist; check the path"
    assert message_of(empty / "a.png") == f"{empty / 'a.png'} does not exist; check the path"
    assert message_of(tmp_path) == f"{tmp_path} is a folder; give the path of a picture in it"
    assert message_of(empty) == f"{empty} is empty (0 bytes); copy or download it again"


def test_other_content_is_refused(tmp_path):
    """Text under the name of a picture is refused with the list of formats; so is EPS, which would start a program."""
    path = tmp_path / "a.jpg"
    for content in (b"<html>not found</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"):
        path.write_bytes(content)
        assert message_of(path) == (
            f"{path} is not a picture that can be read; give one of {' '.join(sorted(IMAGE_SUFFIXES))}"
        )


def test_content_counts_not_the_suffix(tmp_path):
    """A PNG under the name of a JPEG is read."""
    Image.fromarray(gradient(9, 9)).save(tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(read_picture(tmp_path / "a.jpg").rgb, gradient(9, 9))


@pytest.mark.parametrize("suffix", SUFFIXES_WITHOUT_EXTRA.split())
def test_truncated_files_are_refused(tmp_path, suffix):
    """A truncated file of any format is refused in one line, wherever it ends."""
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = tmp_path / f"whole{suffix}"
    Image.fromarray(noise).save(whole)
    content = whole.read_bytes()
    path = tmp_path / f"cut{suffix}"
    for kept in (20, len(content) // 3, len(content) * 2 // 3):
        path.write_bytes(content[:kept])
        message = message_of(path)
        assert message.startswith(str(path))
        assert message.endswith(("copy or download it again", "scale it down")) or "is not a picture" in message
    assert " is damaged or cut short (" in message or " has a damaged header (" in message or suffix == ".avif"


def test_too_little_memory(tmp_path, monkeypatch):
    """Where memory runs out in decoding, that is said, and not that the file is damaged."""

    def fail(*_: object) -> None:
        raise MemoryError

    path = tmp_path / "a.png"
    Image.new("RGB", (7, 5)).save(path)
    monkeypatch.setattr(pictures, "decode_pixels", fail)
    assert message_of(path) == f"{path}: not enough memory for 7 x 5 pixels; scale it down"


def test_heic_without_the_extra(tmp_path, monkeypatch):
    """An HEIC file, under whatever suffix, names the extra that reads it; a film in the same kind of box does not."""
    monkeypatch.setattr(opening, "heif_is_installed", lambda: False)
    path = tmp_path / "phone.jpg"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    assert message_of(path) == (
        f"{path} cannot be read; HEIC needs an extra: install nst-fast[heif], or convert it to JPEG"
    )
    path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(64))
    assert "is not a picture that can be read" in message_of(path)


def test_heic_with_the_extra(tmp_path):
    """With the extra, HEIC is written, found and read, with alpha."""
    pytest.importorskip("pillow_heif")
    alpha = np.full((64, 64), 77, dtype=np.uint8)
    write_picture(tmp_path / "a.heic", Picture(gradient(64, 64), alpha))
    assert find_images(tmp_path) == [tmp_path / "a.heic"]
    picture = read_picture(tmp_path / "a.heic")
    assert np.abs(picture.rgb.astype(int) - gradient(64, 64)).mean() <= 3
    assert picture.alpha is not None
    assert np.abs(picture.alpha.astype(int) - 77).max() <= 2


def test_threads_read_alike(tmp_path):
    """Eight threads that read one file get the pixels that one gets."""
    path = tmp_path / "a.jpg"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(gradient(100, 100)).save(path, icc_profile=profile)
    expected = read_picture(path).rgb
    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(lambda _: read_picture(path).rgb, range(32)):
            assert np.array_equal(got, expected)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".tif"])
def test_alpha_is_kept(tmp_path, suffix):
    """Formats with alpha keep it, and opaque pixels keep their color."""
    alpha = np.repeat(np.array([0, 100, 255], dtype=np.uint8), 16)[None].repeat(48, axis=0)
    write_picture(tmp_path / f"a{suffix}", Picture(np.full((48, 48, 3), 90, dtype=np.uint8), alpha))
    picture = read_picture(tmp_path / f"a{suffix}")
    assert picture.alpha is not None
    assert np.abs(picture.alpha.astype(int) - alpha).max() <= 4
    assert np.abs(picture.rgb[:, 40].astype(int) - 90).max() <= 2


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".gif"])
def test_alpha_is_flattened_onto_white(tmp_path, suffix):
    """Formats without alpha show the picture as on white paper: alpha * color + (1 - alpha) * white."""
    alpha = np.full((16, 16), 64, dtype=np.uint8)
    write_picture(tmp_path / f"a{suffix}", Picture(np.full((16, 16, 3), (200, 100, 0), dtype=np.uint8), alpha))
    picture = read_picture(tmp_path / f"a{suffix}")
    assert picture.alpha is None
    expected = [64 / 255 * color + (1 - 64 / 255) * 255 for color in (200, 100, 0)]
    assert np.abs(picture.rgb - expected).max() <= 2


def test_jpeg_keeps_full_color_resolution(tmp_path):
    """Both JPEG suffixes are written with 4:4:4 sampling, and a lower quality gives a smaller file."""
    picture = Picture(np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    sizes = []
    for name, quality in [("a.jpg", 95), ("b.jpeg", 50)]:
        write_picture(tmp_path / name, picture, jpeg_quality=quality)
        with Image.open(tmp_path / name) as image:
            # Per component: (id, horizontal factor, vertical factor, table).
            assert [part[1:3] for part in image.layer] == [(1, 1)] * 3  # pyright: ignore[reportAttributeAccessIssue]
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("quality", [0, 101])
def test_jpeg_quality_has_limits(tmp_path, quality):
    """A quality outside 1 to 100 is refused."""
    with pytest.raises(SettingError, match=f"jpeg_quality is {quality}; give 1 to 100"):
        write_picture(tmp_path / "a.jpg", Picture(gradient(4, 4)), jpeg_quality=quality)


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.heic"])
def test_unknown_suffix_is_refused(tmp_path, monkeypatch, name):
    """An unknown suffix is answered with the allowed ones, .heic with the extra, too; nothing is written."""
    monkeypatch.setattr(pictures, "IMAGE_SUFFIXES", frozenset(SUFFIXES_WITHOUT_EXTRA.split()))
    path = tmp_path / name
    with pytest.raises(OutputError) as caught:
        write_picture(path, Picture(gradient(4, 4)))
    hint = " (HEIC needs an extra: install nst-fast[heif])" if name == "a.heic" else ""
    assert str(caught.value) == (
        f"cannot write {path}: the suffix '{path.suffix}' is not one of {SUFFIXES_WITHOUT_EXTRA}{hint}"
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "limit"), [("a.webp", 16_383), ("a.jpg", 65_500), ("a.gif", 65_535), ("a.avif", 65_536)]
)
def test_formats_have_a_longest_side(tmp_path, name, limit):
    """A picture one pixel too long for its format is refused with the limit and a way out; PNG takes it."""
    picture = Picture(np.zeros((1, limit + 1, 3), dtype=np.uint8))
    with pytest.raises(OutputError) as caught:
        write_picture(tmp_path / name, picture)
    assert str(caught.value).endswith(
        f"{limit + 1} x 1 pixels, and {name[2:].replace('jpg', 'jpeg').upper()} holds at most {limit} on a side; "
        "choose .png, or make the picture smaller"
    )
    write_picture(tmp_path / "a.png", picture)
    assert read_picture(tmp_path / "a.png").rgb.shape == picture.rgb.shape
