"""Films whose input noise and squares follow the camera."""

import contextlib
import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nst_fast.evaluation.motion import Motion, film_photo
from nst_fast.films import segments as film_segments
from nst_fast.films.carried import Carried
from nst_fast.films.film import FilmSettings, stylize_film
from nst_fast.films.pipeline import stylize_ahead
from nst_fast.media.film_reader import Frame
from nst_fast.media.pictures import read_picture
from nst_fast.networks.torch_network import checkpoint_from_network
from nst_fast.stylize.engines.choice import build_engine, list_engines
from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.stylizer import Stylizer

PHOTO = read_picture(Path(__file__).parents[2] / "docs" / "examples" / "photos" / "china.jpg").rgb
ENGINES = [name for name in list_engines("cpu") if name in ("onnxruntime", "torch")]


def pan(frames: int) -> list[np.ndarray]:
    """A camera that turns by one pixel down and two right a frame, 96 x 128."""
    return list(film_photo(PHOTO, Motion("pan", shift=(1, 2)), height=96, width=128, frames=frames, noise=2))


def stylize(stylizer, frames: list[np.ndarray], smoothing: float = 0.9, carried=None, coherence: float = 0.0):
    """All frames through the pipeline of films, and what each leaves."""
    given = (Frame(rgb, number, 1) for number, rgb in enumerate(frames))
    with contextlib.closing(stylize_ahead(given, stylizer.for_frames(smoothing, coherence), carried)) as stylized:
        pairs = list(stylized)
    return [frame.rgb for frame, _ in pairs], [left for _, left in pairs]


@pytest.fixture(params=ENGINES)
def noisy(request, random_network) -> Stylizer:
    """A network whose strokes come mostly from its input noise."""
    checkpoint = checkpoint_from_network(random_network("realtime", input_noise=0.1))
    return Stylizer(checkpoint, device="cpu", engine=request.param, threads=2)


@pytest.mark.parametrize("smoothing", [0.9, 0.0])
def test_strokes_move_with_the_scene(noisy, smoothing):
    """Eight frames of a pan apart, a film differs less along the motion than with noise that stays on the screen."""
    frames = pan(17)
    followed, _ = stylize(noisy, frames, smoothing)
    fixed = [one for one, _ in noisy.for_frames(smoothing).stylize_frames(FilmFrame(rgb, False) for rgb in frames)]

    def change(stylized: list[np.ndarray]) -> float:
        pairs = zip(stylized[:-8], stylized[8:], strict=True)
        return float(
            np.mean([np.abs(before[8:, 16:].astype(int) - after[:-8, :-16]).mean() for before, after in pairs])
        )

    assert change(followed) < 0.7 * change(fixed)


def test_strokes_do_not_shimmer_with_the_grid():
    """A pan by steps that are no multiples of the network's squares changes less along the motion, from frame to frame,
    than with squares that stay on the screen while the noise follows."""
    wave, frames = Stylizer("wave", device="cpu", engine="onnxruntime"), pan(9)
    engine = build_engine("onnxruntime", wave.checkpoint, "cpu", "fp32", 2)
    placed = [FilmFrame(rgb, False, (number, 2 * number)) for number, rgb in enumerate(frames)]
    fixed = [stylized for stylized, _ in engine.stylize_frames(placed, 0.9)]
    followed, _ = stylize(wave, frames)

    def change(stylized: list[np.ndarray]) -> float:
        pairs = itertools.pairwise(stylized)
        changes = [np.abs(before[9:-8, 10:-8].astype(int) - after[8:-9, 8:-10]).mean() for before, after in pairs]
        return float(np.mean(changes))

    assert change(followed) < 0.4 * change(fixed)


@pytest.mark.parametrize(("smoothing", "coherence"), [(0.9, 0.6), (0.9, 0.0), (0.0, 0.6), (0.0, 0.0)])
def test_a_film_that_is_continued_is_the_whole(noisy, smoothing, coherence):
    """After any frame, what it left, through a file, continues the film bit for bit."""
    frames = pan(14)
    whole, left = stylize(noisy, frames, smoothing, coherence=coherence)
    assert left[-1].position != left[-1].anchor_position != (0.0, 0.0), "the anchor was replaced on the way"
    for number in (0, 6, 12):
        carried = Carried.from_bytes(left[number].to_bytes())
        continued, _ = stylize(noisy, frames[number + 1 :], smoothing, carried, coherence)
        assert all(np.array_equal(*pair) for pair in zip(continued, whole[number + 1 :], strict=True))


def test_a_resumed_film_file_is_the_whole(make_film, noisy, tmp_path, monkeypatch):
    """A film of a pan that is stopped in its third segment and resumed has the bytes of one that ran through."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(film_segments, "_FRAMES_PER_SEGMENT", 10)
    source = make_film("a.mp4", pan(32), rate=Fraction(25))
    stylize_film(noisy, source, Path("whole.mp4"))
    assert stylize_film(noisy, source, Path("b.mp4"), watch=lambda one: one.frames < 25).status == "stopped"
    stylize_film(noisy, source, Path("b.mp4"))
    assert Path("b.mp4").read_bytes() == Path("whole.mp4").read_bytes()


def test_workers_give_the_same_bytes(make_film, random_network, tmp_path, monkeypatch):
    """Also while the camera moves, one process and two make one file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nst_fast.films.parts.FRAMES_PER_PART", 10)
    monkeypatch.setattr("nst_fast.films.parts._SETTLING_FRAMES", 5)
    checkpoint = checkpoint_from_network(random_network("realtime", input_noise=0.1))
    stylizer = Stylizer(checkpoint, device="cpu", engine="onnxruntime", threads=1)
    source = make_film("a.mp4", pan(25))
    for workers in (1, 2):
        stylize_film(stylizer, source, Path(f"{workers}.mp4"), FilmSettings(workers=workers))
    assert Path("1.mp4").read_bytes() == Path("2.mp4").read_bytes()


def test_a_cut_is_no_motion(untouched):
    """Frames get the camera's position as their origin, and a new scene keeps that of the last one's end."""
    frames = pan(6)
    scene = [255 - np.roll(rgb, (30, 40), (0, 1)) for rgb in frames]
    _, left = stylize(untouched, frames + scene)
    assert untouched.resets == [6]
    origins = np.array(untouched.origins)
    assert origins[0].tolist() == [0, 0] and origins[5] == pytest.approx(np.array([5, 10]), abs=1)
    assert np.array_equal(origins[6], origins[5])
    assert origins[11] == pytest.approx(np.array([10, 20]), abs=2)
    assert left[6].anchor_position == left[6].position
