import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from nst_fast.media.pictures import read_picture

D50 = (0.9642, 1.0, 0.8249)
SRGB_COLORANTS = {
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.71410),
}


# ICC profiles, written byte by byte after the specification ICC.1:2001-04


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _profile(device_class: bytes, color_space: bytes, connection_space: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"test\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": description, b"cprt": b"text" + bytes(4) + text, b"wtpt": _xyz(D50)} | tags
    table, body = struct.pack(">I", len(tags)), b""
    first_offset = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", first_offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I", first_offset + len(body)) + bytes(4) + struct.pack(">I", 0x02400000)
    header += device_class + color_space + connection_space + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    header += bytes(28) + _xyz(D50)[8:]
    return header.ljust(128, b"\0") + table + body


def linear_rgb_profile() -> bytes:
    """The primaries of sRGB with a tone curve that is a straight line."""
    straight = b"curv" + bytes(8)
    colorants = {name: _xyz(values) for name, values in SRGB_COLORANTS.items()}
    return _profile(b"mntr", b"RGB ", b"XYZ ", colorants | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), straight))


def linear_grey_profile() -> bytes:
    """Grey with a tone curve that is a straight line."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"curv" + bytes(8)})


def gray_inks_cmyk_profile() -> bytes:
    """A printer whose cyan, magenta and yellow inks are all the same neutral gray; black ink is black."""
    corners = b""
    for corner in range(16):  # two grid points a channel: the first channel (cyan) varies slowest
        lightness = 0 if corner & 1 else 255 if corner == 0 else 128
        corners += bytes((lightness, 128, 128))  # Lab: a = b = 128 is neutral
    identity = bytes(range(256))
    matrix = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + corners + identity * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table, b"A2B1": table})


def gradient(height: int, width: int) -> np.ndarray:
    """Smooth colors without symmetry, which lossy formats keep to within a few levels."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [rows * 255 // max(1, height - 1), columns * 255 // max(1, width - 1), (rows + columns) % 256 // 2]
    return np.stack(channels, axis=-1).astype(np.uint8)


def srgb_from_linear(linear: float) -> float:
    """IEC 61966-2-1, from [0, 1] to [0, 255]."""
    return 255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation, suffix):
    """All 8 orientations come out upright, by the EXIF table of where row 0 and column 0 are seen."""
    upright = np.zeros((16, 24, 3), dtype=np.uint8)
    upright[:8, :8] = (200, 40, 40)
    upright[:8, 16:] = (40, 200, 40)
    upright[8:, :8] = (40, 40, 200)
    height, width = upright.shape[:2]
    row_0, column_0 = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    rows_are_rows = row_0 in ("top", "bottom")
    stored = np.zeros((height, width, 3) if rows_are_rows else (width, height, 3), dtype=np.uint8)
    for row, column in np.ndindex(stored.shape[:2]):
        y, x = (row, column) if rows_are_rows else (column, row)
        y = height - 1 - y if "bottom" in (row_0, column_0) else y
        x = width - 1 - x if "right" in (row_0, column_0) else x
        stored[row, column] = upright[y, x]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(stored).save(path, exif=exif, quality=100, subsampling=0)
    got = read_picture(path).rgb
    assert got.shape == upright.shape
    assert np.abs(got.astype(int) - upright).max() <= 3


def test_alpha_and_16_bit_turn_along(tmp_path):
    """Alpha and 16-bit gray are turned upright, too."""
    exif = Image.Exif()
    exif[0x0112] = 6  # row 0 is seen at the right
    alpha = np.array([[0, 50, 100], [150, 200, 250]], dtype=np.uint8)
    Image.merge("LA", [Image.new("L", (3, 2)), Image.fromarray(alpha)]).save(tmp_path / "la.png", exif=exif)
    read = read_picture(tmp_path / "la.png").alpha
    assert read is not None
    assert read.tolist() == [[150, 0], [200, 50], [250, 100]]
    Image.fromarray(alpha.astype(np.uint16) * 257).save(tmp_path / "deep.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "deep.png").rgb[..., 1], read)


def test_damaged_exif_is_ignored(tmp_path):
    """A picture with garbage as its EXIF block is read as if it had none."""
    Image.fromarray(gradient(16, 24)).save(tmp_path / "a.png", exif=b"Exif\0\0garbage")
    assert np.array_equal(read_picture(tmp_path / "a.png").rgb, gradient(16, 24))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_is_scaled(tmp_path, suffix):
    """16-bit gray maps 0..65535 onto 0..255 evenly instead of cutting it off at 255."""
    deep = np.array([[0, 128, 129, 257, 1000, 32768, 65000, 65535]], dtype=np.uint16)
    path = tmp_path / f"deep{suffix}"
    Image.fromarray(deep).save(path)
    got = read_picture(path).rgb
    assert got.shape == (1, 8, 3)
    assert got[0, :, 0].tolist() == [round(int(value) / 65535 * 255) for value in deep[0]]
    assert np.array_equal(got[..., 0], got[..., 2])


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_without_profile(tmp_path, suffix):
    """Inks are subtracted from white: no ink is white, cyan takes the red away, black takes all."""
    inks = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (0, 255, 255), (0, 0, 0, 255): (0, 0, 0)}
    for ink, expected in inks.items():
        path = tmp_path / f"ink{suffix}"
        Image.new("CMYK", (16, 16), ink).save(path)
        assert np.abs(read_picture(path).rgb[8, 8].astype(int) - expected).max() <= 2


def test_grey_and_two_level_pictures(tmp_path):
    """Grey and black-and-white pictures get three equal channels and no alpha."""
    gray = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(gray > 31).save(tmp_path / "two.png")
    for name, expected in [("gray.png", gray), ("two.png", np.where(gray > 31, 255, 0))]:
        picture = read_picture(tmp_path / name)
        assert picture.alpha is None
        for channel in range(3):
            assert np.array_equal(picture.rgb[..., channel], expected)


def test_palette_with_transparency(tmp_path):
    """A palette picture gives its colors, and alpha from the transparency of its entries (as a list or one index)."""
    indices = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).convert("P")
    indices.putdata([0, 1, 2])
    indices.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    indices.save(tmp_path / "list.png", transparency=bytes([0, 128, 255]))
    indices.save(tmp_path / "one.png", transparency=1)
    indices.save(tmp_path / "opaque.png")
    for name, alpha in [("list.png", [0, 128, 255]), ("one.png", [255, 0, 255]), ("opaque.png", None)]:
        picture = read_picture(tmp_path / name)
        assert picture.rgb[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
        assert (None if picture.alpha is None else picture.alpha[0].tolist()) == alpha


def test_srgb_profile_changes_nothing(tmp_path):
    """A picture that says it is sRGB keeps its values within 1 level."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(gradient(64, 64)).save(tmp_path / "a.png", icc_profile=profile)
    assert np.abs(read_picture(tmp_path / "a.png").rgb.astype(int) - gradient(64, 64)).max() <= 1


@pytest.mark.parametrize("with_alpha", [False, True])
def test_rgb_profile_is_applied(tmp_path, with_alpha):
    """Values of a profile with a straight tone curve come out as the sRGB curve of IEC 61966-2-1, alpha untouched."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.merge("RGB", [Image.fromarray(levels)] * 3)
    if with_alpha:
        image.putalpha(Image.fromarray(levels))
    image.save(tmp_path / "linear.png", icc_profile=linear_rgb_profile())
    picture = read_picture(tmp_path / "linear.png")
    expected = np.array([srgb_from_linear(level / 255) for level in range(256)]).reshape(16, 16)
    for channel in range(3):
        assert np.abs(picture.rgb[..., channel] - expected).max() <= 1.5
    assert (picture.alpha is not None) == with_alpha
    if picture.alpha is not None:
        assert np.array_equal(picture.alpha, levels)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_profile_is_applied(tmp_path, mode):
    """Grey with a gray profile follows its curve, with and without alpha."""
    path = tmp_path / "gray.png"
    Image.new(mode, (4, 4), 55 if mode == "L" else (55, 9)).save(path, icc_profile=linear_grey_profile())
    assert np.abs(read_picture(path).rgb - srgb_from_linear(55 / 255)).max() <= 1.5


def test_cmyk_profile_is_applied(tmp_path):
    """Under the profile of a printer with gray inks, cyan comes out gray; without a profile it would be cyan."""
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(path, icc_profile=gray_inks_cmyk_profile())
    red, green, blue = read_picture(path).rgb[8, 8].astype(int)
    assert abs(red - green) <= 2 and abs(green - blue) <= 2
    assert 100 <= green <= 140  # L* of 50 is 119 in sRGB


@pytest.mark.parametrize("what", ["garbage", "cut", "of another color space"])
def test_broken_profiles_are_ignored(tmp_path, what):
    """A profile that cannot be used leaves the pixels as they are."""
    profile = {
        "garbage": b"not a profile",
        "cut": linear_rgb_profile()[:150],
        "of another color space": gray_inks_cmyk_profile(),
    }[what]
    Image.fromarray(gradient(16, 16)).save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(read_picture(tmp_path / "a.png").rgb, gradient(16, 16))
