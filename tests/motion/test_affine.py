"""Motion of the whole picture, found between two frames whose motion is known exactly."""

from pathlib import Path

import numpy as np
import pytest

from nst_fast.evaluation.motion import Motion, film_photo
from nst_fast.media.pictures import read_picture
from nst_fast.motion.affine import affine_flow, find_affine_motion
from nst_fast.motion.shifts import shrink

PHOTOS = Path(__file__).parents[2] / "docs" / "examples" / "photos"
CHINA = read_picture(PHOTOS / "china.jpg").rgb


def shoot(motion: Motion, photo: np.ndarray = CHINA, noise: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Two frames, 96 x 128, with sensor noise: the small copies to compare, which are of the same size."""
    before, now = film_photo(photo, motion, height=96, width=128, frames=2, noise=noise)
    return shrink(before[..., 1], 128)[0].copy(), shrink(now[..., 1], 128)[0].copy()


@pytest.mark.parametrize(
    "motion",
    [
        Motion("still"),
        Motion("pan", shift=(0.35, 0.6)),
        Motion("fast pan", shift=(-7, 15)),
        Motion("zoom", zoom=1.03),
        Motion("zoom out", zoom=0.97),
        Motion("turn", turn=2.0),
        Motion("all", shift=(3, -5), zoom=1.02, turn=-1.0),
    ],
    ids=lambda motion: motion.name,
)
@pytest.mark.parametrize("photo", ["china", "rocket"])
def test_pans_zooms_and_turns_are_found(motion, photo):
    """The flow is that of the camera within a fifth of a pixel on average, also over a sky that shows nothing."""
    before, now = shoot(motion, read_picture(PHOTOS / f"{photo}.jpg").rgb)
    found = find_affine_motion(before, now)
    assert found is not None and found.shape == (2, 3)
    flow = affine_flow(found, 96, 128)
    assert flow.shape == (2, 96, 128) and flow.dtype == np.float32
    expected = motion.flow(1, 0, 96, 128)[..., ::-1]  # to the right and down here
    assert np.hypot(*(np.moveaxis(flow, 0, -1) - expected).transpose(2, 0, 1)).mean() < 0.2


def test_what_moves_through_the_scene_does_not_count():
    """A block that crosses a tenth of a picture hardly changes what is found."""
    before, now = shoot(Motion("zoom", zoom=1.02))
    for frame, left in ((before, 20), (now, 32)):
        frame[30:65, left : left + 36] = 250
    found = find_affine_motion(before, now)
    expected = Motion("zoom", zoom=1.02).flow(1, 0, 96, 128)[..., ::-1]
    assert np.abs(np.moveaxis(affine_flow(found, 96, 128), 0, -1) - expected).mean() < 0.3


def test_frames_that_show_nothing_do_not_move():
    """Flat frames, and frames of noise, give a motion of less than a pixel, or none."""
    flat = [np.full((48, 64), level, np.uint8) for level in (90, 120)]
    assert np.abs(affine_flow(find_affine_motion(*flat), 48, 64)).max() < 1e-3
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (48, 64), dtype=np.uint8) for _ in range(2)]
    found = find_affine_motion(*noise)
    assert found is None or np.abs(affine_flow(found, 48, 64)).mean() < 2
