"""A training writes neither over its inputs nor into a run that is not its own, and its samples are no photos."""

import shutil
import signal

import pytest
import torch

from nst_fast.data import held_out
from nst_fast.errors import SettingError, TrainingError
from nst_fast.losses.settings import LossSettings
from nst_fast.networks.torch_network import load_network
from nst_fast.runs.saved_run import SavedRun
from nst_fast.settings.networks import LossNetworkSettings, NetworkSettings
from nst_fast.settings.values import replace_settings
from nst_fast.training.loop import train
from nst_fast.training.run import TrainingRun
from nst_fast.training.settings import TrainSettings


@pytest.fixture
def start(photo_folder, painting, tmp_path, monkeypatch):
    """Trains four steps of a tiny network, with other settings where they are given."""
    monkeypatch.setattr(held_out, "HELD_OUT_SHORT_SIDE", 40)
    monkeypatch.setattr(held_out, "HELD_OUT_SIZE", 32)
    quick = TrainSettings(
        style=painting,
        content=photo_folder,
        output=tmp_path / "run",
        network=NetworkSettings(width=4),
        loss_network=LossNetworkSettings(name="vgg16", weights="random"),
        loss=LossSettings(content_taps={"relu1_2": 1.0}, style_taps={"relu1_1": 1.0}),
        style_short_side=32,
        crop_size=32,
        batch_size=2,
        steps=4,
        device="cpu",
        log_every_steps=1,
        save_every_steps=1,
        strip_every_steps=1,
        show_progress=False,
    )
    return lambda **settings: train(replace_settings(quick, settings))


def after_step(monkeypatch, number, act):
    """Have `act(run)` called after this step."""
    take_step = TrainingRun.take_step

    def take_step_and_act(run, photos):
        take_step(run, photos)
        if run.step == number:
            act(run)

    monkeypatch.setattr(TrainingRun, "take_step", take_step_and_act)


def test_a_run_inside_the_folder_of_photos_resumes(start, photo_folder, monkeypatch):
    """The strips of an interrupted run below `content` are no photos, so it ends as a straight run does."""
    straight = start()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        after_step(patch, 2, lambda run: signal.raise_signal(signal.SIGINT))
        start(output=photo_folder / "run")
    assert (photo_folder / "run" / "strip.jpg").exists()
    resumed = start(output=photo_folder / "run")
    first, second = (load_network(result.checkpoint).state_dict() for result in (straight, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_input_is_not_overwritten(start, photo_folder, painting, tmp_path):
    """Neither the photos, nor the style image, nor the network to start from may be an output, even with overwrite."""
    with pytest.raises(SettingError, match="is the folder of photos; choose another output"):
        start(output=photo_folder, overwrite=True)
    assert not (photo_folder / "state.pt").exists()
    style = tmp_path / "run" / "strip.jpg"
    style.parent.mkdir()
    shutil.copy(photo_folder / "photo_00.jpg", style)
    with pytest.raises(SettingError, match=r"strip\.jpg' would overwrite the input"):
        start(style=style)
    assert list(style.parent.iterdir()) == [style]
    checkpoint = start(output=tmp_path / "first").checkpoint
    before = checkpoint.read_bytes()
    with pytest.raises(SettingError, match="would overwrite the input"):
        start(output=tmp_path / "first", init=checkpoint, overwrite=True)
    assert checkpoint.read_bytes() == before


def test_a_run_in_progress_is_left_alone(start, tmp_path):
    """A second training into the same folder is refused while the first one works, even with overwrite."""
    with SavedRun(tmp_path / "run", {}), pytest.raises(TrainingError, match="another process is working on the run in"):
        start(overwrite=True)


def test_a_diverged_run_does_not_take_a_foreign_state(start, tmp_path, monkeypatch):
    """A state of other settings that got into the folder meanwhile is not restored when the loss diverges."""
    start(output=tmp_path / "other", seed=5)

    def spoil(run):
        shutil.copy(tmp_path / "other" / "state.pt", tmp_path / "run" / "state.pt")
        with torch.no_grad():
            next(run.network.parameters()).fill_(torch.nan)

    after_step(monkeypatch, 3, spoil)
    with pytest.raises(TrainingError, match=r"holds a run with other settings \(seed was 5, is 0 now\)"):
        start()
