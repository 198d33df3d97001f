import numpy as np
import pytest
from PIL import Image

from nst_fast.stylize.color import (
    ColorStatistics,
    add_to_colors,
    luminance,
    luminance_transform,
    match_colors,
    match_transform,
    measure_colors,
    take_luminance,
)


def blurred(seed: int, low: int = 0, high: int = 256, height: int = 60, width: int = 80) -> np.ndarray:
    """A picture of soft spots in all colors."""
    spots = np.random.default_rng(seed).integers(low, high, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC))


def test_statistics_are_those_of_the_colors():
    """Mean and covariance of a small picture are those that NumPy gives for all its pixels."""
    rgb = blurred(0)
    measured = measure_colors(rgb)
    colors = rgb.reshape(-1, 3).T.astype(float)
    assert np.allclose(measured.mean, colors.mean(1), atol=0.01)
    assert np.allclose(measured.covariance, np.cov(colors, bias=True), atol=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (2000, 3), (300, 400)])
def test_every_size_has_statistics(size):
    """Also a pixel, a line, and pictures of which a grid is measured, within a few levels."""
    rgb = blurred(0, height=size[0], width=size[1])
    assert np.allclose(measure_colors(rgb).mean, rgb.reshape(-1, 3).mean(0), atol=3)


def test_matched_colors_have_the_photos_statistics():
    """After matching, mean and covariance are the photo's, as far as bytes go; and the map is symmetric in roots."""
    image, photo = blurred(0, 60, 200), blurred(1, 30, 150)
    matched, wanted = measure_colors(match_colors(image, photo)), measure_colors(photo)
    assert np.allclose(matched.mean, wanted.mean, atol=1.5)
    assert np.abs(matched.covariance - wanted.covariance).max() < 0.05 * np.trace(wanted.covariance)
    same, _ = match_transform(wanted, wanted)
    assert np.allclose(same, np.eye(3))


def test_the_match_solves_its_equation():
    """A S A^T is the photo's covariance: Gatys et al. 2016, equation 5, on random covariances."""
    random = np.random.default_rng(0)
    roots = random.normal(0, 30, (2, 3, 3))
    stylized, photo = (ColorStatistics(random.uniform(0, 255, 3), root @ root.T + 400 * np.eye(3)) for root in roots)
    matrix, offset = match_transform(stylized, photo)
    assert np.linalg.norm(matrix, 2) < 4, "else the limit applies"
    assert np.allclose(matrix @ stylized.mean + offset, photo.mean)
    assert np.allclose(matrix @ stylized.covariance @ matrix.T, photo.covariance, rtol=0.01, atol=5)


def test_one_color_is_no_problem():
    """A picture of a single color has no variance to divide by."""
    flat, photo = np.full((8, 8, 3), 90, np.uint8), blurred(1)
    assert np.allclose(match_colors(flat, photo).mean((0, 1)), photo.mean((0, 1)), atol=1.5)
    gain, _ = luminance_transform(measure_colors(flat), measure_colors(photo))
    assert gain == 4


def test_luminance_keeps_the_photos_color_differences():
    """Red minus green and green minus blue are the photo's; light and dark have the photo's mean and deviation."""
    photo, stylized = blurred(1, 110, 150), blurred(2, 100, 150)
    statistics = measure_colors(stylized), measure_colors(photo)
    result = take_luminance(stylized, photo, *luminance_transform(*statistics)).astype(int)
    for one, other in ((0, 1), (1, 2)):
        assert np.array_equal(result[..., one] - result[..., other], photo.astype(int)[..., one] - photo[..., other])
    wanted, level = luminance(photo).astype(float), luminance(result.astype(np.uint8)).astype(float)
    assert abs(level.mean() - wanted.mean()) < 1 and abs(level.std() - wanted.std()) < 0.05 * wanted.std()
    pattern = luminance(stylized).astype(float)
    assert np.corrcoef(level.ravel(), pattern.ravel())[0, 1] > 0.99


def test_sums_stay_bytes():
    """A sum beyond 0 to 255 is cut."""
    rgb = np.array([[[0, 100, 255], [10, 20, 30]]], np.uint8)
    result = add_to_colors(rgb, np.array([[200, -15]], np.int16))
    assert result.tolist() == [[[200, 255, 255], [0, 5, 15]]]


def test_statistics_follow_slowly():
    """Those of a frame count by what the smoothing leaves them."""
    past, now = ColorStatistics(np.zeros(3), np.zeros((3, 3))), ColorStatistics(np.ones(3), np.ones((3, 3)))
    assert now.mix(None, 0.9) is now
    assert np.allclose(now.mix(past, 0.75).mean, 0.25) and np.allclose(now.mix(past, 0.75).covariance, 0.25)
