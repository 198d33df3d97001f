import numpy as np
import pytest

from nst_fast.evaluation.flicker import FlickerMeter

SCENE = np.random.default_rng(0).integers(0, 200, (20, 30, 3), dtype=np.uint8)


def measure(frames: list[np.ndarray], outputs: list[np.ndarray]):
    meter = FlickerMeter()
    for frame, stylized in zip(frames, outputs, strict=True):
        meter.add(frame, stylized)
    return (*meter.read(), meter.still_share)


def test_a_still_film_that_is_stylized_alike_does_not_flicker():
    """Nothing changes: all figures are 0, all pixels stand still."""
    film, output, share = measure([SCENE] * 5, [255 - SCENE] * 5)
    assert (film.still, film.pumping, output.still, output.pumping, share) == (0, 0, 0, 0, 1)


def test_brightness_that_changes_is_counted():
    """Output that is 8 levels brighter in every other frame changes by 8, and all its pixels change together."""
    film, output, _ = measure([SCENE] * 6, [SCENE + np.uint8(8 * (number % 2)) for number in range(6)])
    assert (film.still, film.pumping) == (0, 0)
    assert (output.still, output.pumping) == pytest.approx((8, 8))


def test_texture_that_crawls_flickers_but_does_not_pump():
    """Pixels that change independently count as flicker, but together they keep their brightness."""
    generator = np.random.default_rng(1)
    noisy = [generator.integers(0, 256, (60, 90, 3), dtype=np.uint8) for _ in range(6)]
    _, output, _ = measure([np.zeros((60, 90, 3), np.uint8)] * 6, noisy)
    assert output.still > 60
    assert output.pumping < 3


def test_where_the_film_moves_the_output_may_change():
    """Only the part of the frame that stands still is measured."""
    scene = np.random.default_rng(2).integers(0, 200, (160, 96, 3), dtype=np.uint8)
    moving = []
    for number in range(6):
        frame = scene.copy()
        frame[:32] = 40 * number
        moving.append(frame)
    film, output, share = measure(moving, moving)
    assert (film.still, output.still) == (0, 0)
    assert share == pytest.approx(0.6)  # all but the upper 32 rows and the 32 below them
