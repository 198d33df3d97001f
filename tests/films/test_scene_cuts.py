import numpy as np
import pytest

from nst_fast.films.scene_cuts import SceneCuts


def draw_scene(seed: int, number: int, noise: float = 0) -> np.ndarray:
    """A random landscape of soft blots, which drifts by two pixels a frame."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:90, 0:160]
    frame = np.full((90, 160, 3), generator.integers(40, 200, 3), float)
    for _ in range(6):
        row, column, size = generator.integers(0, 90), generator.integers(0, 160), generator.integers(10, 50)
        blot = np.exp(-((rows - row) ** 2 + (columns - column - 2 * number) ** 2) / size**2)
        frame += blot[..., None] * generator.integers(-90, 90, 3)
    frame += np.random.default_rng(number).normal(0, noise, frame.shape)
    return frame.clip(0, 255).astype(np.uint8)


def find_cuts(frames: list[np.ndarray]) -> list[int]:
    cuts = SceneCuts()
    return [number for number, frame in enumerate(frames) if cuts.is_cut(frame)]


@pytest.mark.parametrize("noise", [0, 20])
def test_cuts_between_moving_scenes_are_found(noise):
    """Three drifting, noisy scenes of ten frames: exactly the two cuts between them are found."""
    frames = [draw_scene(seed, number, noise) for seed in (1, 2, 3) for number in range(10)]
    assert find_cuts(frames) == [10, 20]


def test_motion_and_fades_are_no_cuts():
    """Neither a fast drift nor a fade to black over a second is a cut; of a strobe only the first flashes are."""
    scene = draw_scene(4, 0)
    assert find_cuts([np.roll(scene, 12 * number, axis=1) for number in range(20)]) == []
    assert find_cuts([(scene * (1 - number / 25)).astype(np.uint8) for number in range(26)]) == []
    assert len(find_cuts([scene // (1 + number % 2) for number in range(40)])) <= 3


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (90, 160), (721, 33)])
def test_frames_of_any_size(size):
    """From one pixel on, frames of any size can be compared."""
    dark, light = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 200, np.uint8)
    assert find_cuts([dark, dark, light, light]) == [2]
