"""A whole evaluation from Python, on images that take a moment."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.data.held_out import read_held_out
from nst_fast.data.images import load_image
from nst_fast.errors import CheckpointError, ImageError, SettingError, TrainingError
from nst_fast.evaluation import evaluate as evaluation
from nst_fast.evaluation.evaluate import SHEET_FILE, evaluate
from nst_fast.evaluation.settings import EvaluateSettings
from nst_fast.evaluation.trained_network import TrainedNetwork
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS, LossSettings
from nst_fast.networks.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.runs.saved_run import SavedRun
from nst_fast.settings.networks import LossNetworkSettings

STYLE_STRENGTH = LossSettings().style_strength


def save_network(path, seed, info):
    torch.manual_seed(seed)
    save_checkpoint(path, checkpoint_from_network(build_network("realtime", width=4), info), dtype="fp32")


@pytest.fixture
def checkpoints(tmp_path):
    """Two untrained networks as files."""
    files = []
    for seed, name in enumerate(("one", "two")):
        files.append(tmp_path / f"{name}.safetensors")
        save_network(files[-1], seed, CheckpointInfo(style={"name": name}))
    return tuple(map(str, files))


@pytest.fixture
def call(checkpoints, painting, photo_folder, tmp_path, caplog):
    """Evaluates both networks on three photos without timing, with other settings where they are given."""
    caplog.set_level(logging.INFO, "nst_fast")

    def run(**given):
        quick = {
            "checkpoint": checkpoints,
            "style": painting,
            "content": photo_folder / "more",
            "output": tmp_path / "out",
            "loss_network": LossNetworkSettings(name="vgg16", weights="random"),
            "photos": 3,
            "size": 32,
            "style_short_side": 32,
            "iterations": 3,
            "timing_sizes": (),
            "device": "cpu",
            "show_progress": False,
        }
        return evaluate(EvaluateSettings(**{**quick, **given}))

    return run


def test_losses_are_those_of_training(call, checkpoints, painting, photo_folder):
    """Each network's averages are those of the script that measures the shipped checkpoints, with the same loss."""
    report = call()
    files = [photo_folder / "more" / name for name in report["curves"]]
    photos = read_held_out([*files, photo_folder / "more" / "photo_11.jpg"], 32)
    loss_network = build_loss_network("vgg16", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights="random")
    loss = build_relative_loss(loss_network, load_image(painting, short_side=32), photos)
    assert [file.name for file in files] == ["photo_08.jpg", "photo_09.jpg", "photo_10.jpg"]
    for checkpoint in checkpoints:
        terms = measure_losses(TrainedNetwork(checkpoint, torch.device("cpu")).stylize, loss, photos[:3])
        assert report["networks"][checkpoint]["terms"] == pytest.approx(terms, rel=1e-4)
        expected = terms["content"] + STYLE_STRENGTH * terms["style"] + terms["tone"] + terms["color"]
        assert terms["total"] == pytest.approx(expected, rel=1e-5)


def test_files(call, tmp_path):
    """The JSON holds what is returned; the chart and the sheet are images, and the sheet has a row for each photo."""
    report = call(timing_sizes=(16,), timed_iterations=1)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8")) == report
    assert [timing["size"] for timing in report["timings"]] == [16]
    assert report["timings"][0]["iteration_seconds"] > 0
    assert report["settings"]["loss_network.weights"] == "random, seed 0"
    with Image.open(tmp_path / "out" / "chart.png") as chart, Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert np.asarray(chart).std() > 0
        assert sheet.height > 3 * 32


def test_the_same_call_again_optimizes_nothing(call, checkpoints, photo_folder, monkeypatch, caplog):
    """The curves are those of the last call; another network, photo or setting is refused, unless it may overwrite."""
    first = call()
    with monkeypatch.context() as patch:
        patch.setattr("nst_fast.evaluation.curves.PixelOptimizer.take_iteration", None)
        assert call()["curves"] == first["curves"]
    assert caplog.messages[-1].endswith("/out holds all 18 iterations already; set overwrite to start over")
    for change in ({"seed": 1}, {"checkpoint": checkpoints[:1]}, {"content": photo_folder}):
        with pytest.raises(TrainingError, match=r"holds a run with other settings .* set overwrite to start over"):
            call(**change)
    assert call(seed=1, overwrite=True)["curves"] != first["curves"]


def test_ctrl_c_and_resume(call, tmp_path, monkeypatch, caplog):
    """Ctrl-C logs where it stopped and writes no report; the same call then ends as a straight one does."""
    straight = call()
    shutil.rmtree(tmp_path / "out")
    take = evaluation.CurveRun.take_iterations

    def take_some(run, interruption, on_iteration):
        def count():
            on_iteration()
            if run.step == 8:
                interruption.signal_number = 2

        take(run, interruption, count)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation.CurveRun, "take_iterations", take_some)
        with pytest.raises(KeyboardInterrupt):
            call()
    assert caplog.messages[-1] == "stopped at iteration 8 of 18; run the same command again to resume"
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["state.pt"]
    assert call()["curves"] == straight["curves"]


def test_memory(call, monkeypatch, caplog):
    """Sizes that do not fit are not timed; photos that do not fit are refused."""
    monkeypatch.setattr(evaluation, "estimate_bytes", lambda network, taps, height, width: height * width)
    monkeypatch.setattr(evaluation, "available_bytes", lambda device: 40 * 40)
    report = call(timing_sizes=(16, 64), timed_iterations=1)
    assert [timing["size"] for timing in report["timings"]] == [16]
    assert caplog.messages == ["64 x 64 pixels do not fit into the memory of cpu: not timed"]
    with pytest.raises(ImageError, match=r"^optimizing 80 x 80 pixels does not fit .*, 40 x 40 pixels would; set size"):
        call(size=80)

    def fail(run, *arguments):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(evaluation.CurveRun, "take_iterations", fail)
    with pytest.raises(ImageError, match=r"set size to 22$"):
        call(overwrite=True)


def test_the_compact_loss_network_judges_too(call, checkpoints):
    """It has no relu4_2, and takes its deepest tap instead."""
    report = call(loss_network=LossNetworkSettings(name="compact", weights="shipped"), photos=1, iterations=1)
    assert report["networks"][checkpoints[0]]["terms"].keys() >= {"content.relu4_1", "style.relu4_1", "tone", "color"}


def test_another_loss_is_named(call, tmp_path, caplog):
    """A network that was trained with another strength is judged as well, and a warning names the difference."""
    file = tmp_path / "strong.safetensors"
    save_network(file, 0, CheckpointInfo(style={}, loss={"style_strength": 80.0}))
    call(checkpoint=str(file))
    assert caplog.messages == [
        f"{file} was trained with another loss than the one used here: style_strength 80.0, not {STYLE_STRENGTH}"
    ]


def test_results_inside_the_folder_of_photos_are_not_photos(call, photo_folder):
    """An evaluation whose output lies below its photos can be resumed: its own sheet and chart are no photos."""
    first = call(output=photo_folder / "more" / "out")
    again = call(output=photo_folder / "more" / "out")
    assert list(again["curves"]) == list(first["curves"])
    assert again["feature_variance"] == first["feature_variance"]


def test_an_input_is_not_overwritten(call, tmp_path, photo_folder, painting):
    """Neither the style image nor the folder of photos may be where the results go, not even with overwrite."""
    style = tmp_path / "out" / SHEET_FILE
    style.parent.mkdir()
    painting.rename(style)
    before = style.read_bytes()
    with pytest.raises(SettingError, match=r"sheet\.png' would overwrite the input"):
        call(style=style, overwrite=True)
    assert style.read_bytes() == before
    with pytest.raises(SettingError, match="is the folder of photos; choose another output"):
        call(style=style, output=photo_folder / "more", overwrite=True)
    assert not list(photo_folder.rglob("state.pt"))


def test_an_evaluation_in_progress_is_left_alone(call, tmp_path):
    """A second call with the same output is refused while the first one works."""
    with SavedRun(tmp_path / "out", {}), pytest.raises(TrainingError, match="another process is working on the run"):
        call()


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"checkpoint": ("absent",)}, CheckpointError, "style 'absent' is neither a file nor a shipped style"),
        ({"style": "absent.jpg"}, ImageError, "absent.jpg"),
        ({"content": "absent"}, ImageError, "absent does not exist; check the path"),
        ({"device": "abacus"}, SettingError, "device 'abacus' is not available"),
    ],
)
def test_mistakes(call, tmp_path, given, kind, message):
    """Each is named before anything is computed or written."""
    with pytest.raises(kind) as caught:
        call(**given)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
