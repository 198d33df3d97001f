import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")

from nst_fast.media.yuv_image import YuvImage, resize_plane  # noqa: E402

BT601, BT709 = 5, 1


def draw_smooth(height: int, width: int) -> np.ndarray:
    """Colors that change slowly, so that halving the resolution of color loses nothing."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [128 + 90 * np.sin(rows / (40 + 9 * c) + columns / (70 - 9 * c)) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def worst(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_rgb_comes_back(matrix):
    """To YUV and back by one matrix changes smooth colors by the rounding of three numbers, twice."""
    rgb = draw_smooth(90, 160)
    assert worst(YuvImage.from_rgb(rgb, matrix, 90, 160).to_rgb(), rgb) <= 4


@pytest.mark.parametrize(("matrix", "red", "blue"), [(BT601, 0.299, 0.114), (BT709, 0.2126, 0.0722)])
def test_luma_is_what_the_standard_says(matrix, red, blue):
    """Y = 16 + 219 * (weights of ITU-R BT.601 or BT.709 of the colors)."""
    rgb = draw_smooth(60, 100)
    weights = np.array([red, 1 - red - blue, blue])
    luma = YuvImage.from_rgb(rgb, matrix, 60, 100).luma
    assert np.abs(luma - (16 + 219 / 255 * (rgb @ weights))).max() <= 1.5


def test_luma_is_the_frames_own_memory():
    """What is written there is what the frame shows, also where its rows are padded."""
    image = YuvImage.from_rgb(np.full((31, 50, 3), 100, np.uint8), BT709, 62, 100)
    assert image.luma.shape == (62, 100)
    image.luma[10] = 235
    assert (image.to_rgb()[10] == 255).all() and worst(image.to_rgb()[11], np.full((100, 3), 100)) <= 1


def test_a_small_copy_is_the_mean():
    """A third of the size gives the means of three by three pixels."""
    rgb = draw_smooth(90, 180)
    small = YuvImage.from_rgb(rgb, BT709, 90, 180).shrink(30, 60)
    assert worst(small, rgb.reshape(30, 3, 60, 3, 3).mean((1, 3))) <= 4


@pytest.mark.parametrize("size", [(90, 160), (61, 33)])
def test_planes_are_resized_as_pillow_does(size):
    """Enlarged bilinearly, with the middles of pixels where Pillow has them; shrunk to means."""
    plane = draw_smooth(30, 50)[..., 0]
    enlarged = Image.fromarray(plane).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    assert np.abs(resize_plane(plane, *size).astype(int) - np.asarray(enlarged)).mean() < 0.6
    assert worst(resize_plane(plane, 10, 25), plane.reshape(10, 3, 25, 2).mean((1, 3))) <= 1
