import threading

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.errors import SettingError
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.torch_network import (
    blank_statistics,
    build_network,
    checkpoint_from_network,
    network_from_checkpoint,
    stylize_with_statistics,
)
from nst_fast.stylize.engines.choice import list_engines
from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.look import Look
from nst_fast.stylize.stylizer import Stylizer

ENGINES = [name for name in list_engines("cpu") if name != "compile"]


def build_checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    return checkpoint_from_network(build_network("realtime", width=4))


def frame(seed: int, height: int = 22, width: int = 30) -> np.ndarray:
    """A frame of noise, the brighter the higher the seed."""
    return np.random.default_rng(seed).integers(40 * seed, 40 * seed + 60, (height, width, 3), dtype=np.uint8)


def test_the_first_frame_is_stylized_as_a_picture(stylizer):
    """With no frame before, and after a reset, a frame is stylized as it is by itself, within a level."""
    smoothed = stylizer.for_frames(0.9)
    for seed in (1, 2):
        alone = stylizer.stylize_pixels(frame(seed)).astype(int)
        assert np.abs(smoothed.stylize_pixels(frame(seed)) - alone).max() <= 1
        assert np.abs(smoothed.stylize_pixels(frame(4)) - stylizer.stylize_pixels(frame(4)).astype(int)).max() > 1
        smoothed.reset()


def test_statistics_follow_the_stated_formula(stylizer):
    """The third frame is stylized with the moving average of the statistics, as the class's docstring writes it."""
    smoothed = stylizer.for_frames(0.75)
    network = network_from_checkpoint(stylizer.checkpoint)
    used = blank_statistics(network)
    for number, seed in enumerate((1, 4, 2)):
        pixels = frame(seed, 24, 32)
        stylized = smoothed.stylize_pixels(pixels)
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        expected, used = stylize_with_statistics(network, image, used, 0.75 if number else 0.0)
        levels = (expected[0] * 255).round().permute(1, 2, 0).numpy()
        assert np.abs(stylized - levels).max() <= 1


def test_smoothing_of_nothing(stylizer):
    """With smoothing 0 each frame is stylized as by itself, bit for bit."""
    smoothed = stylizer.for_frames(0)
    for seed in (1, 4):
        assert np.array_equal(smoothed.stylize_pixels(frame(seed)), stylizer.stylize_pixels(frame(seed)))


def test_a_still_part_pumps_less(stylizer):
    """Where a bright square comes and goes beside a still half, that half changes less when smoothed."""

    def changes(stylize) -> float:
        still, last, total = frame(2, 32, 64), None, 0.0
        for number in range(6):
            pixels = still.copy()
            pixels[:, 48:] = 255 if number % 2 else 0
            corner = stylize(pixels)[:16, :16].astype(float)
            total += 0 if last is None else np.abs(corner - last).mean()
            last = corner
        return total

    assert changes(stylizer.for_frames(0.9).stylize_pixels) < 0.5 * changes(stylizer.stylize_pixels)


@pytest.mark.parametrize("smoothing", [-0.1, 1, 7])
def test_impossible_smoothing(stylizer, smoothing):
    """A share of the past outside [0, 1) is refused."""
    with pytest.raises(SettingError) as caught:
        stylizer.for_frames(smoothing)
    assert str(caught.value) == f"smoothing is {smoothing}; it must be at least 0 and below 1, such as 0.9"


def test_frames_come_singly(stylizer):
    """A batch is refused, since its frames would all be smoothed alike."""
    with pytest.raises(SettingError) as caught:
        stylizer.for_frames(0.5).stylize_pixels(np.zeros((2, 8, 8, 3), np.uint8))
    assert str(caught.value) == "pixels have shape (2, 8, 8, 3) and dtype uint8; give (height, width, 3) of uint8"


def film(height: int, width: int, *, pans: bool = False) -> list[FilmFrame]:
    """Seven frames, the fifth after a cut; with `pans` the noise moves, also beyond its period and below 0."""
    return [
        FilmFrame(frame(seed, height, width), number == 4, (900 * number, -3 * number) if pans else None)
        for number, seed in enumerate((1, 4, 2, 2, 3, 1, 4))
    ]


def stylize_singly(stylizer: Stylizer, smoothing: float, frames: list[FilmFrame]) -> list[np.ndarray]:
    """What `stylize_pixels` makes of a film, one frame after the other."""
    smoothed, stylized = stylizer.for_frames(smoothing), []
    for pixels, is_cut, origin in frames:
        if is_cut:
            smoothed.reset()
        stylized.append(smoothed.stylize_pixels(pixels, origin))
    return stylized


@pytest.mark.parametrize("smoothing", [0.75, 0])
def test_films_are_their_frames(stylizer, smoothing):
    """A whole film gives what its frames give one after the other, cuts and all."""
    expected = stylize_singly(stylizer, smoothing, film(22, 30))
    for (one, _), other in zip(stylizer.for_frames(smoothing).stylize_frames(film(22, 30)), expected, strict=True):
        assert one.shape == other.shape and one.dtype == np.uint8
        assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("smoothing", [0.75, 0])
def test_several_frames_at_a_time(threads, smoothing, random_network):
    """In PyTorch, frames stylized several at a time are those one after the other: cuts, noise and strength too."""
    before = torch.get_num_threads()
    try:
        checkpoint = checkpoint_from_network(random_network("realtime", input_noise=0.1, adjustable=True))
        stylizer = Stylizer(checkpoint, device="cpu", engine="torch", threads=threads, look=Look(strength=0.5))
        frames = film(22, 30, pans=True)
        expected = stylize_singly(stylizer, smoothing, frames)
        stylized = list(stylizer.for_frames(smoothing).stylize_frames(frames))
        assert torch.get_num_threads() == threads
        for (one, _), other in zip(stylized, expected, strict=True):
            assert one.shape == other.shape and one.dtype == np.uint8
            assert np.abs(one.astype(int) - other).max() <= 1
    finally:
        torch.set_num_threads(before)


def test_a_film_that_is_left_early_leaves_no_threads(torch_stylizer):
    """Only some frames are taken ahead, and after closing none of its threads is left."""
    taken = []

    def take():
        for number, pair in enumerate(film(22, 30) * 4):
            taken.append(number)
            yield pair

    images = torch_stylizer.for_frames(0.9).stylize_frames(take())
    next(images)
    assert len(taken) <= 2 + torch.get_num_threads()
    images.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("stylize-frame")]


def test_a_frame_that_fails_ends_the_film_with_its_error(torch_stylizer, monkeypatch):
    """Frames that wait for the statistics of one that failed do not wait for ever; its own error is told."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    broken = film(22, 30)
    broken[2] = FilmFrame(np.zeros((22, 30, 4), np.uint8), False)  # four channels, which no network takes
    with pytest.raises(RuntimeError, match="channels"):
        list(torch_stylizer.for_frames(0.9).stylize_frames(broken))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("smoothing", [0.75, 0])
def test_noise_lies_where_the_camera_looks(random_network, engine, smoothing):
    """A frame with an origin gets that piece of the noise, in pixels of the small copy where strokes are large."""
    network = random_network("realtime", input_noise=0.1)
    stylizer = Stylizer(checkpoint_from_network(network), device="cpu", engine=engine)
    gray = torch.full((1, 3, 64 + 4, 80 + 4), 128 / 255)  # with a square more below and to the right
    expected, fixed = (network(gray, origin=torch.tensor(place))[..., :64, :80] for place in ((8, 12), (0, 0)))
    expected, fixed = ((one[0] * 255).permute(1, 2, 0).numpy() for one in (expected, fixed))
    for origin, scale, close in (((8, 12), 1, 1), ((8 - 3 * 4096, 12 + 4096), 1, 1), ((16, 24), 2, 4)):
        stylizer.look = Look(stroke_size=scale)
        photo = np.full((64 * scale, 80 * scale, 3), 128, np.uint8)
        ((stylized, _),) = stylizer.for_frames(smoothing).stylize_frames([FilmFrame(photo, False, origin)])
        small = np.asarray(Image.fromarray(stylized).reduce(scale)).astype(int)
        assert np.abs(small - expected).mean() < close < 0.5 * np.abs(small - fixed).mean()


@pytest.mark.parametrize("smoothing", [0.75, 0])
def test_squares_lie_in_the_scene(stylizer, smoothing):
    """What a camera that moves by (3, 6) pixels still shows is stylized as before, also by a network without input
    noise, but for what the new statistics change. Without origins the network's squares divide it anew."""
    scene = frame(1, 103, 156)

    def change(*origins: tuple[int, int] | None) -> float:
        smoothed = stylizer.for_frames(smoothing)
        before = smoothed.stylize_pixels(np.ascontiguousarray(scene[:100, :150]), origins[0]).astype(int)
        after = smoothed.stylize_pixels(np.ascontiguousarray(scene[3:, 6:]), origins[1])
        return float(np.abs(before[43:-40, 46:-40] - after[40:-43, 40:-46]).mean())

    assert change((0, 0), (3, 6)) < 0.5 * change(None, None)


def test_the_camera_is_followed(random_network):
    """Asked to, it finds the origins by itself; after a reset it begins anew, and an origin that is given counts."""
    stylizer = Stylizer(checkpoint_from_network(random_network("realtime", input_noise=0.1)), device="cpu")
    rough = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    scene = np.asarray(Image.fromarray(rough).resize((360, 240), Image.Resampling.BICUBIC))
    shots = [np.ascontiguousarray(scene[5 * number :][:150, 8 * number :][:, :250]) for number in range(3)]
    following, told, fixed = stylizer.for_frames(0.5, follow_camera=True), *(stylizer.for_frames(0.5) for _ in "ab")

    def compare(number: int, *given: tuple[int, int], expected: tuple[int, int]) -> None:
        shown, known, wrong = (
            frames.stylize_pixels(shots[number], *origin).astype(int)
            for frames, origin in ((following, given), (told, [expected]), (fixed, [(0, 0)]))
        )
        assert np.abs(shown - known).max() <= 1 and (expected == (0, 0) or np.abs(shown - wrong).max() > 4)

    for number in range(3):
        compare(number, expected=(5 * number, 8 * number))
    following.reset()
    told.reset()
    compare(0, expected=(0, 0))
    compare(1, (2, 3), expected=(2, 3))


def test_no_frames_are_no_film(stylizer):
    """A film without frames gives none."""
    assert list(stylizer.for_frames(0.9).stylize_frames([])) == []


def test_nothing_is_done_ahead_unless_that_is_asked_for():
    """Whoever times a frame gets it before ONNX Runtime takes the next one, also where outputs are blended."""
    stylizer, taken = Stylizer(build_checkpoint(), device="cpu", engine="onnxruntime"), []

    def take():
        for number in range(4):
            taken.append(number)
            yield FilmFrame(frame(number, 32, 40), False)

    for given, _ in enumerate(stylizer.for_frames(0.9, 0.6).stylize_frames(take()), 1):
        assert len(taken) == given
    taken.clear()
    assert len(list(stylizer.for_frames(0.9, 0.6).stylize_frames(take(), ahead=True))) == 4
