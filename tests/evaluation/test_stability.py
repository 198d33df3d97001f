import numpy as np
import pytest

from nst_fast.evaluation.stability import LONG_TERM, SHORT_TERM, StabilityMeter
from nst_fast.evaluation.warping import Warp

RANDOM = np.random.default_rng(0)
HEIGHT, WIDTH = 64, 96
# A scene that is larger than the frames, over which a camera pans; noise has the most to lose.
SCENE = RANDOM.integers(0, 256, (HEIGHT, WIDTH + 200, 3), dtype=np.uint8)
FLAT = np.full_like(SCENE, 128)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def pan(scene: np.ndarray, frames: int = 12, step: int = 4) -> list[np.ndarray]:
    return [scene[:, step * number : step * number + WIDTH] for number in range(frames)]


def measure(originals: list[np.ndarray], outputs: list[np.ndarray], step: int = 4):
    """The figures of the film itself and of the output, along a pan to the right."""
    meter = StabilityMeter(1, pans=step != 0)
    for original, output in zip(originals, outputs, strict=True):
        warps = {}
        for apart in (SHORT_TERM, LONG_TERM):
            warp = Warp(np.full((HEIGHT, WIDTH, 2), (0, step * apart), np.float32))
            warps[apart] = warp, warp.inside
        meter.add(original, [output], warps)
    return meter.read()


def test_what_moves_with_the_scene_has_no_error():
    """A film whose output sticks to the scene: all errors are 0."""
    for figures in measure(pan(SCENE), pan(255 - SCENE)):
        assert figures.short_term == figures.long_term == 0
        assert figures.short_term_relaxed == figures.long_term_relaxed == figures.brightness == 0


def test_the_warping_error_is_a_root_mean_square():
    """An output of new noise in each frame differs by its deviation times the root of two; colors are in [0, 1]."""
    noise = [RANDOM.integers(0, 2, (HEIGHT, WIDTH, 3), dtype=np.uint8) * 255 for _ in range(12)]
    _, output = measure(pan(SCENE), noise)
    assert output.short_term == pytest.approx(0.5**0.5, rel=0.01)
    assert output.long_term == pytest.approx(0.5**0.5, rel=0.01)


def test_only_what_both_frames_show_counts():
    """The column that comes into view may be anything."""
    outputs = [frame.copy() for frame in pan(SCENE)]
    for number, output in enumerate(outputs):
        output[:, -4 * (number > 0) or WIDTH :] = 0
    _, output = measure(pan(SCENE)[:2], outputs[:2])
    assert output.short_term == 0


def test_the_change_of_the_original_is_taken_out():
    """An original and an output that grow brighter by 2 levels a frame: the relaxed errors and the drift are 0."""
    brighter = [np.full((HEIGHT, WIDTH, 3), 60 + 2 * number, np.uint8) for number in range(12)]
    _, output = measure(brighter, [frame + np.uint8(20) for frame in brighter])
    assert output.short_term == pytest.approx(2 / 255, rel=1e-4)
    assert output.long_term == pytest.approx(16 / 255, rel=1e-4)
    assert output.short_term_relaxed == pytest.approx(0, abs=1e-6)
    assert output.brightness == pytest.approx(0, abs=1e-6)


def test_the_relaxed_error_takes_luminance_from_each_channel():
    """An original that changes in green only, by 10 levels, gives each channel of the output 0.7152 of that."""
    originals = [np.full((HEIGHT, WIDTH, 3), (50, 50 + 10 * (number % 2), 50), np.uint8) for number in range(12)]
    itself, output = measure(originals, [np.full_like(originals[0], 99)] * 12)
    assert output.short_term == 0
    assert output.short_term_relaxed == pytest.approx(10 * LUMINANCE[1] / 255, rel=1e-4)
    expected = np.sqrt(np.mean((np.array([0, 10, 0]) - 10 * LUMINANCE[1]) ** 2)) / 255
    assert itself.short_term_relaxed == pytest.approx(expected, rel=1e-4)


def test_brightness_that_drifts_is_told_apart_from_texture():
    """An output that grows brighter by 1 level a frame drifts by 8 over eight frames; new noise hardly drifts."""
    drifting = [np.full((HEIGHT, WIDTH, 3), 80 + number, np.uint8) for number in range(14)]
    _, output = measure(pan(FLAT, 14), drifting)
    assert output.brightness == pytest.approx(8 / 255, rel=1e-4)
    noise = [RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(14)]
    _, output = measure(pan(FLAT, 14), noise)
    assert output.brightness < 0.01 < output.long_term


@pytest.mark.parametrize(("shown", "share"), [("screen", 1.0), ("scene", 0.0), ("both", 0.5)])
def test_a_pattern_on_the_screen_is_a_dirty_window(shown, share):
    """Over a flat scene, a pattern that stays on the screen counts as stuck, one that moves with the scene does not."""
    screen = [SCENE[:, -WIDTH:]] * 14
    scene = pan(SCENE, 14)
    both = [a // 2 + b // 2 for a, b in zip(screen, scene, strict=True)]
    itself, output = measure(pan(FLAT, 14), {"screen": screen, "scene": scene, "both": both}[shown])
    assert output.stuck == pytest.approx(share, abs=0.02)
    assert itself.stuck is None, "without any pattern there is no share"


def test_where_the_scene_is_not_flat_nothing_is_stuck():
    """A scene full of contrast has no flat area to look at; without a pan nothing is asked."""
    _, output = measure(pan(SCENE, 14), [SCENE[:, :WIDTH]] * 14)
    assert output.stuck is None
    _, output = measure([FLAT[:, :WIDTH]] * 14, [SCENE[:, :WIDTH]] * 14, step=0)
    assert output.stuck is None


def test_detail_is_the_contrast_of_neighbors():
    """A checkerboard of 0 and 100 levels has 100 / 255; averaged over neighbors it has less, and flat frames have 0."""
    board = (np.indices((HEIGHT, WIDTH)).sum(0) % 2 * 100).astype(np.uint8)[..., None].repeat(3, axis=2)
    blurred = (board // 2 + np.roll(board, 1, axis=1) // 2).astype(np.uint8)
    figures = measure([board] * 2, [blurred] * 2, step=0)
    assert figures[0].detail == pytest.approx(100 / 255, rel=1e-4)
    assert figures[1].detail < 0.2 * figures[0].detail
    assert measure([np.full_like(board, 90)] * 2, [board] * 2, step=0)[0].detail == 0
