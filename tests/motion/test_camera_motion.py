from pathlib import Path

import numpy as np
import pytest

from nst_fast.evaluation.motion import Motion, film_photo
from nst_fast.media.pictures import read_picture
from nst_fast.motion.camera_motion import CameraMotion

RANDOM = np.random.default_rng(0)


PHOTO = read_picture(Path(__file__).parents[2] / "docs" / "examples" / "photos" / "china.jpg").rgb


def follow(frames: list[np.ndarray]) -> list[tuple[int, int]]:
    camera = CameraMotion()
    return [camera.follow(frame, is_cut=False) for frame in frames]


@pytest.mark.parametrize("size", [(120, 160), (240, 320)])
@pytest.mark.parametrize("shift", [(0, 0), (1, 2), (-8, 16), (0.35, 0.6), (3, 0)])
def test_a_pan_is_followed(shift, size):
    """After eleven frames of a pan with sensor noise, the position is that of the camera, to within two pixels."""
    frames = list(film_photo(PHOTO, Motion("pan", shift=shift), height=size[0], width=size[1], frames=12, noise=2))
    found = follow(frames)
    assert found[0] == (0, 0)
    assert found[11] == pytest.approx((11 * shift[0], 11 * shift[1]), abs=2.01)


def test_what_moves_through_a_still_scene_does_not_count():
    """A bright block that crosses a still, noisy picture leaves the position where it is."""
    frames = list(film_photo(PHOTO, Motion("still"), height=120, width=160, frames=10, noise=2))
    for number, frame in enumerate(frames):
        frame[40:70, 10 * number : 10 * number + 30] = 250
    assert follow(frames) == [(0, 0)] * 10


def test_zooms_and_turns_keep_their_middle():
    """A zoom and a turn around the center move the position by at most two pixels."""
    for motion in (Motion("zoom", zoom=1.02), Motion("turn", turn=1.0)):
        positions = np.array(follow(list(film_photo(PHOTO, motion, height=120, width=160, frames=10, noise=2))))
        assert np.abs(positions).max() <= 2


def test_noise_flat_frames_and_cuts_are_no_motion():
    """Frames that have nothing in common, or nothing in them, and a new scene leave the position alone."""
    noise = [RANDOM.integers(0, 256, (60, 80, 3), dtype=np.uint8) for _ in range(5)]
    assert np.abs(follow(noise)).max() <= 2
    assert follow([np.full((60, 80, 3), 9 * number, np.uint8) for number in range(5)]) == [(0, 0)] * 5
    camera = CameraMotion()
    first, second = film_photo(PHOTO, Motion("pan", shift=(0, 9)), height=120, width=160, frames=2, noise=0)
    assert camera.follow(first, is_cut=False) == (0, 0)
    assert camera.follow(second, is_cut=True) == (0, 0)


def test_a_film_that_is_continued_keeps_its_position():
    """With the positions and the anchor of another one, motion goes on as if it had never been interrupted."""
    frames = list(film_photo(PHOTO, Motion("pan", shift=(2, 3)), height=120, width=160, frames=8, noise=2))
    whole = follow(frames)
    camera = CameraMotion()
    for frame in frames[:4]:
        camera.follow(frame, is_cut=False)
    continued = CameraMotion(camera.position, camera.anchor_position, camera.anchor)
    assert [continued.follow(frame, is_cut=False) for frame in frames[4:]] == whole[4:]


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 3), (721, 33)])
def test_frames_of_any_size(size):
    """From one pixel on, frames of any size can be followed."""
    frame = RANDOM.integers(0, 256, (*size, 3), dtype=np.uint8)
    assert follow([frame, frame, frame]) == [(0, 0)] * 3
