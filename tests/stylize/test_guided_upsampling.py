import numpy as np
import pytest
from PIL import Image

from nst_fast.stylize.guided_upsampling import enlarge_rows


def draw_photo(height: int, width: int) -> np.ndarray:
    """A bright disk on a dark ground, with a sharp edge, and a soft change of light across it."""
    rows, columns = np.mgrid[0:height, 0:width]
    inside = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (min(height, width) / 3) ** 2
    level = np.where(inside, 200, 40) + 20 * columns / width
    return np.repeat(level[..., None], 3, 2).astype(np.uint8)


def shrink(rgb: np.ndarray, factor: int) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).reduce(factor))


def resize(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))


def edge_error(result: np.ndarray, wanted: np.ndarray) -> float:
    """The mean difference within two pixels of the disk's edge, in levels."""
    level = wanted[..., 0].astype(int)
    edge = np.zeros(level.shape, bool)
    edge[2:-2, 2:-2] = np.abs(level[2:-2, 4:] - level[2:-2, :-4]) > 60
    return float(np.abs(result.astype(int) - wanted)[edge].mean())


@pytest.mark.parametrize("factor", [2, 4])
def test_edges_are_as_sharp_as_the_photos(factor):
    """Where the style only changes the levels, the result is the photo in these levels, far nearer than by resizing."""
    photo = draw_photo(160, 240)
    small = shrink(photo, factor)
    restyle = np.array([250, 200, 120]) - np.array([0.9, 0.5, 0.3]) * np.arange(256)[:, None]  # negative, tinted
    restyle = np.repeat(restyle.mean(1, keepdims=True), 3, 1).round().astype(np.uint8)
    stylized, wanted = restyle[small[..., 0]], restyle[photo[..., 0]]
    result = enlarge_rows(stylized, small, photo, 0, 160)
    plain = resize(stylized, 160, 240)
    assert edge_error(result, wanted) < 0.5 * edge_error(plain, wanted)
    overshoot = max(int(result.max()) - int(wanted.max()), int(wanted.min()) - int(result.min()))
    assert overshoot <= 12, "halos"


def test_strokes_stay_where_the_photo_is_flat():
    """On a photo of one color the result is the stylized image, resized: no stroke is lost."""
    photo = np.full((80, 120, 3), 128, np.uint8)
    stylized = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    result = enlarge_rows(stylized, shrink(photo, 4), photo, 0, 80)
    assert np.abs(result.astype(int) - resize(stylized, 80, 120)).max() <= 1


@pytest.mark.parametrize("size", [(97, 131), (160, 90), (33, 400)])
def test_parts_are_the_whole(size):
    """Any part by itself gives the rows that it has in the whole but for some rounding, so strips have no seams."""
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    small_size = (round(size[0] / 2.7), round(size[1] / 2.7))
    small = resize(photo, *small_size)
    stylized = random.integers(0, 256, (*small_size, 3), dtype=np.uint8)
    whole = enlarge_rows(stylized, small, photo, 0, size[0])
    starts = range(0, size[0], 13)
    parts = [enlarge_rows(stylized, small, photo, start, min(size[0], start + 13)) for start in starts]
    difference = np.abs(np.concatenate(parts).astype(int) - whole)
    assert (difference > 1).mean() < 0.01 and difference.max() <= 6


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_tiny_photos(size):
    """Photos of a few pixels keep their size."""
    photo = np.full((*size, 3), 100, np.uint8)
    small = photo[: max(1, size[0] // 4), : max(1, size[1] // 4)]
    assert enlarge_rows(small, small, photo, 0, size[0]).shape == photo.shape
