import numpy as np
import pytest

from nst_fast.evaluation.motion import MOTIONS, Motion, film_photo
from nst_fast.evaluation.warping import Warp

ROWS, COLUMNS = np.mgrid[0:90, 0:120]
# Soft waves, which bicubic interpolation hits to less than a level.
PHOTO = np.stack([127 + 80 * np.sin(ROWS / (9 + c) + c) * np.cos(COLUMNS / (11 - c)) for c in range(3)], axis=-1)
PHOTO = PHOTO.round().astype(np.uint8)


def make_film(motion: Motion, *, frames: int = 4, noise: float = 0.0) -> list[np.ndarray]:
    return list(film_photo(PHOTO, motion, height=60, width=80, frames=frames, noise=noise))


@pytest.mark.parametrize("motion", MOTIONS, ids=lambda motion: motion.name)
@pytest.mark.parametrize("apart", [1, 3])
def test_the_flow_is_that_of_the_frames(motion, apart):
    """Earlier frames that are moved along the flow are the later frame, but for rounding to bytes."""
    frames = [frame.astype(np.float32) for frame in make_film(motion)]
    warp = Warp(motion.flow(3, 3 - apart, 60, 80))
    change = np.abs(warp(frames[3 - apart]) - frames[3])[warp.inside]
    assert change.max() < 3
    assert change.mean() < 0.6
    if motion.name != "still":
        unmoved = np.abs(frames[3 - apart] - frames[3]).mean()
        assert unmoved > 2 * change.mean()


def test_a_pan_goes_where_its_shift_says():
    """With a shift of one row and two columns, a frame begins where the one before has its second row, third column."""
    first, second, *_ = make_film(Motion("pan", shift=(1, 2)))
    assert np.abs(second[:-1, :-2].astype(int) - first[1:, 2:]).max() <= 1


def test_a_zoom_makes_things_larger():
    """With a factor of 2, what was 10 pixels from the center is 20 away; the flow points back inward."""
    flow = Motion("zoom", zoom=2.0).flow(1, 0, 61, 81)
    assert flow[30, 40] == pytest.approx((0, 0))
    assert flow[30, 60] == pytest.approx((0, -10))
    assert flow[10, 40] == pytest.approx((10, 0))


def test_a_turn_keeps_distances():
    """A quarter turn clockwise takes what was below the center to its left."""
    flow = Motion("turn", turn=90.0).flow(1, 0, 61, 61)
    assert flow[30, 20] == pytest.approx((10, 10), abs=1e-4)


def test_the_noise_is_that_of_a_sensor():
    """New in each frame, of the standard deviation that is asked for, and the same film for the same seed."""
    clean, noisy = make_film(Motion("still")), make_film(Motion("still"), noise=4.0)
    first, second = (noise.astype(float) - clean[0] for noise in noisy[:2])
    assert first.std() == pytest.approx(4, rel=0.03)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03
    assert np.array_equal(make_film(Motion("still"), noise=4.0), noisy)
