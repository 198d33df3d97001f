import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nst_fast.media.pictures import read_picture
from nst_fast.training.run_log import RunLog

TERMS = {"total": 21.0, "content": 1.0, "style": 1.0, "style.relu1_1": 0.5}


def read_events(folder) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


@pytest.fixture
def strip_photos():
    """Two photos of one color each."""
    return torch.stack([torch.full((3, 16, 16), 0.25), torch.full((3, 16, 16), 0.75)])


def test_every_figure_can_be_read_again(tmp_path, strip_photos):
    """TensorBoard's own reader finds each term, the learning rate, images per second and the strip with its losses."""
    log = RunLog(tmp_path, 0, 20, strip_photos, show_progress=False)
    log.log_terms(10, TERMS, 0.005, 12.5)
    log.log_terms(20, {name: value / 2 for name, value in TERMS.items()}, 0.001, 13.5)
    log.log_strip(20, 1 - strip_photos, {"style": 0.125})
    log.close()
    events = read_events(tmp_path)
    expected = {f"train/{name}": [(10, value), (20, value / 2)] for name, value in TERMS.items()}
    expected |= {"learning_rate": [(10, 0.005), (20, 0.001)], "images_per_second": [(10, 12.5), (20, 13.5)]}
    expected |= {"held_out/style": [(20, 0.125)]}
    assert sorted(events.Tags()["scalars"]) == sorted(expected)
    for tag, values in expected.items():
        assert [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)] == values
    (strip,) = events.Images("held_out")
    assert (strip.step, strip.width, strip.height) == (20, 32, 32)


def test_the_strip_shows_photos_above_paintings(tmp_path, strip_photos):
    """The upper row is the photos side by side, the lower row the paintings; a file for each, and the latest."""
    log = RunLog(tmp_path, 0, 400, strip_photos, show_progress=False)
    log.log_strip(200, torch.zeros_like(strip_photos), {})
    log.log_strip(400, 1 - strip_photos, {})
    log.close()
    assert sorted(path.name for path in (tmp_path / "strips").iterdir()) == ["step_000200.jpg", "step_000400.jpg"]
    latest = read_picture(tmp_path / "strip.jpg").rgb
    assert np.array_equal(latest, read_picture(tmp_path / "strips" / "step_000400.jpg").rgb)
    assert latest.shape == (32, 32, 3)
    gray = latest[[8, 8, 24, 24], [8, 24, 8, 24]].astype(int)
    assert np.abs(gray - np.array([64, 191, 191, 64])[:, None]).max() <= 3


def test_a_run_that_goes_on_replaces_what_was_beyond(tmp_path, strip_photos):
    """A run cut at step 25 and continued from its state at 20 shows each step once, and none of them is lost."""
    first = RunLog(tmp_path, 0, 40, strip_photos, show_progress=False)
    for step in (10, 20, 25):
        first.log_terms(step, {"total": 1.0}, 0.1, 1.0)
    first.close()
    second = RunLog(tmp_path, 20, 40, strip_photos, show_progress=False)
    for step in (30, 40):
        second.log_terms(step, {"total": 2.0}, 0.1, 1.0)
    second.close()
    totals = read_events(tmp_path).Scalars("train/total")
    assert [(event.step, event.value) for event in totals] == [(10, 1.0), (20, 1.0), (30, 2.0), (40, 2.0)]


def test_a_run_begun_anew_hides_the_old_one(tmp_path, strip_photos):
    """Where a run is overwritten, nothing of the old one is shown."""
    for value in (1.0, 2.0):
        log = RunLog(tmp_path, 0, 10, strip_photos, show_progress=False)
        log.log_terms(10, {"total": value}, 0.1, 1.0)
        log.close()
    assert [event.value for event in read_events(tmp_path).Scalars("train/total")] == [2.0]


def test_the_bar_says_how_far_it_is(tmp_path, strip_photos, capsys):
    """The bar counts from where a run goes on, and shows speed and losses; without progress nothing is written."""
    log = RunLog(tmp_path, 3, 10, strip_photos, show_progress=True)
    log.log_step()
    log.log_terms(4, TERMS, 0.005, 12.5)
    log.close()
    shown = capsys.readouterr().err
    assert "training: 3/10" in shown and "4/10" in shown
    for part in ("images/s=12.5", "total=21.000", "content=1.000", "style=1.000"):
        assert part in shown
    assert "relu1_1" not in shown
    log = RunLog(tmp_path, 0, 10, strip_photos, show_progress=False)
    log.log_step()
    log.close()
    assert capsys.readouterr().err == ""
