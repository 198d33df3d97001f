import numpy as np
import pytest

from nst_fast.evaluation.flicker import FlickerMeter

SCENE = np.random.default_rng(0).integers(0, 200, (20, 30, 3), dtype=np.uint8)


def measure(frames: list[np.ndarray], paintings: list[np.ndarray]):
    meter = FlickerMeter()
    for frame, painted in zip(frames, paintings, strict=True):
        meter.add(frame, painted)
    return (*meter.read(), meter.still_share)


def test_a_still_film_with_a_still_painting_does_not_flicker():
    """Nothing changes: all figures are 0, all pixels stand still."""
    film, painting, share = measure([SCENE] * 5, [255 - SCENE] * 5)
    assert (film.still, film.pumping, painting.still, painting.pumping, share) == (0, 0, 0, 0, 1)


def test_brightness_that_changes_is_counted():
    """A painting that is 8 levels brighter in every other frame changes by 8, all its pixels together."""
    film, painting, _ = measure([SCENE] * 6, [SCENE + np.uint8(8 * (number % 2)) for number in range(6)])
    assert (film.still, film.pumping) == (0, 0)
    assert (painting.still, painting.pumping) == pytest.approx((8, 8))


def test_texture_that_crawls_flickers_but_does_not_pump():
    """Pixels that change, each for itself, count as flicker; together they stay as bright as they were."""
    generator = np.random.default_rng(1)
    noisy = [generator.integers(0, 256, (60, 90, 3), dtype=np.uint8) for _ in range(6)]
    _, painting, _ = measure([np.zeros((60, 90, 3), np.uint8)] * 6, noisy)
    assert painting.still > 60
    assert painting.pumping < 3


def test_where_the_film_moves_the_painting_may_change():
    """Only the half of the picture that stands still is looked at."""
    scene = np.random.default_rng(2).integers(0, 200, (160, 96, 3), dtype=np.uint8)
    moving = []
    for number in range(6):
        frame = scene.copy()
        frame[:32] = 40 * number
        moving.append(frame)
    film, painting, share = measure(moving, moving)
    assert (film.still, painting.still) == (0, 0)
    assert share == pytest.approx(0.6)  # all but the upper 32 rows and the 32 below them
