import time
from types import SimpleNamespace

import pytest

from nst_fast.films.estimate import estimate_film
from nst_fast.films.film import FilmSettings
from nst_fast.films.source import open_source
from nst_fast.media.film_formats import choose_encoding
from nst_fast.stylize.finishing import Finisher
from nst_fast.stylize.look import Look

pytest.importorskip("av")


SETTINGS = FilmSettings()


class Slow:
    """Stands in for a Stylizer that takes 40 ms a frame, and 10 ms with larger strokes."""

    def __init__(self, look: Look, device: str = "cpu") -> None:
        self.look = look
        self.device = device

    def for_frames(self, smoothing: float, coherence: float) -> SimpleNamespace:
        def stylize_frames(frames, used, *, finish, ahead):
            for frame in frames:
                time.sleep(0.04 / self.look.stroke_size**2)
                yield frame.pixels, used

        finisher = Finisher(self.look, 1)
        return SimpleNamespace(stylize_frames=stylize_frames, finisher=finisher)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_estimate_is_the_time_for_a_frame(make_film, tmp_path, device):
    """The network's time counts, and what decoding and encoding of such small frames add is little."""
    stylizer = Slow(Look(), device)
    estimate = estimate_film(stylizer, open_source(make_film(tmp_path / "a.mp4", 5)), choose_encoding(".mp4"), SETTINGS)
    assert 0.04 <= estimate.as_asked < 0.2
    assert estimate.with_larger_strokes is not None
    assert 0.01 <= estimate.with_larger_strokes < estimate.as_asked
    assert stylizer.look == Look(), "the look is as before"


def test_with_larger_strokes_there_is_nothing_to_compare(make_film, tmp_path):
    """Whoever asks for larger strokes is told the time with these alone; numbered pictures need no encoder."""
    source = open_source(make_film(tmp_path / "a.mp4", 1))
    estimate = estimate_film(Slow(Look(stroke_size=2)), source, None, SETTINGS)
    assert 0.01 <= estimate.as_asked < 0.1
    assert estimate.with_larger_strokes is None


def test_workers_that_share_the_cores_are_counted(make_film, tmp_path, monkeypatch):
    """On four cores, the time of a network that uses all is a quarter of its work; one worker does it alone."""
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(4), raising=False)
    source = open_source(make_film(tmp_path / "a.mp4", 3))
    times = [
        estimate_film(Slow(Look()), source, None, FilmSettings(workers=workers)).as_asked for workers in (1, 2, 4, 9)
    ]
    assert times[0] == pytest.approx(0.16, rel=0.3)
    assert times[1] == pytest.approx(0.08, rel=0.3)
    assert times[2:] == pytest.approx([0.04, 0.04], rel=0.3)
