"""The whole of an evaluation, from Python, on pictures that take a moment."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.errors import CheckpointError, ImageError, SettingError, TrainingError
from nst_fast.evaluation import evaluate as evaluation
from nst_fast.evaluation.evaluate import evaluate
from nst_fast.evaluation.plan import EvaluationPlan
from nst_fast.images import load_image
from nst_fast.inference.stylizer import Stylizer
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.training.preparation import read_held_out
from nst_fast.transform_nets import build_transform_net

PLAN = {"loss_network": "vgg16", "weights": "random", "size": 32, "style_short_side": 32, "iterations": 3}


@pytest.fixture
def checkpoints(tmp_path):
    """Two untrained networks as files."""
    files = []
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        network = build_transform_net("realtime", width=4)
        files.append(tmp_path / f"{name}.safetensors")
        save_checkpoint(files[-1], network, CheckpointInfo(style={"name": name}), dtype=torch.float32)
    return files


@pytest.fixture
def call(checkpoints, painting, photo_folder, tmp_path):
    """Gives `evaluate` on both networks, three photos and no timing, but for what is given otherwise."""
    said = []

    def run(plan=None, **given):
        arguments = {"checkpoints": checkpoints, "style": painting, "content": photo_folder / "more"}
        arguments |= {"folder": tmp_path / "out", "timing_sizes": (), "device": "cpu", **given}
        plan = EvaluationPlan(**{**PLAN, "photos": 3, **(plan or {})})
        return evaluate(**arguments, plan=plan, show_progress=False, say=said.append)

    run.said = said
    return run


def test_losses_are_those_of_training(call, checkpoints, painting, photo_folder):
    """Each network's averages are what the measure of the shipped checkpoints finds, by one loss for all networks."""
    report = call()
    files = [photo_folder / "more" / name for name in report["curves"]]
    photos = read_held_out([*files, photo_folder / "more" / "photo_11.jpg"], print, 32)
    loss_network = build_loss_network("vgg16", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights="random")
    loss = build_relative_loss(loss_network, load_image(painting, short_side=32), photos)
    assert [file.name for file in files] == ["photo_08.jpg", "photo_09.jpg", "photo_10.jpg"]
    for checkpoint in checkpoints:
        terms = measure_losses(Stylizer(checkpoint, device="cpu").stylize, loss, photos[:3])
        assert report["networks"][str(checkpoint)]["terms"] == pytest.approx(terms, rel=1e-4)
        assert terms["total"] == pytest.approx(20 * terms["style"] + terms["content"], rel=1e-5)


def test_files(call, tmp_path):
    """The JSON holds what is returned; the chart and the sheet are pictures, the sheet of a row for each photo."""
    report = call(timing_sizes=[16], timed_iterations=1)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8")) == report
    assert [timing["size"] for timing in report["timings"]] == [16]
    assert report["timings"][0]["iteration_seconds"] > 0
    assert report["settings"]["weights"] == "random, seed 0"
    with Image.open(tmp_path / "out" / "chart.png") as chart, Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert np.asarray(chart).std() > 0
        assert sheet.height > 3 * 32


def test_the_same_call_again_optimises_nothing(call, checkpoints, photo_folder, monkeypatch):
    """The curves are those of the last call; for another network, photo or setting they are refused, or begun anew."""
    first = call()
    with monkeypatch.context() as patch:
        patch.setattr("nst_fast.evaluation.curves.PixelOptimiser.take_iteration", None)
        assert call()["curves"] == first["curves"]
    assert call.said[-1].endswith("/out has the slow method's 18 iterations already (overwrite=true begins anew)")
    for change in ({"plan": {"seed": 1}}, {"checkpoints": checkpoints[:1]}, {"content": photo_folder}):
        with pytest.raises(TrainingError, match=r"holds a run begun with other settings .* overwrite=true"):
            call(**change)
    assert call(plan={"seed": 1}, overwrite=True)["curves"] != first["curves"]


def test_ctrl_c_goes_on_later(call, tmp_path, monkeypatch):
    """Ctrl-C says where it stopped and writes no figures; the same call then ends as a straight one does."""
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
    assert call.said[-1] == "stopped at iteration 8 of 18; the same command goes on"
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["state.pt"]
    assert call()["curves"] == straight["curves"]


def test_memory(call, monkeypatch):
    """Sizes that do not fit are not timed; photos that do not fit are refused."""
    monkeypatch.setattr(evaluation, "estimate_bytes", lambda network, taps, height, width: height * width)
    monkeypatch.setattr(evaluation, "available_bytes", lambda device: 40 * 40)
    report = call(timing_sizes=[16, 64], timed_iterations=1)
    assert [timing["size"] for timing in report["timings"]] == [16]
    assert call.said == ["64 x 64 pixels do not fit the memory of cpu: not timed"]
    with pytest.raises(ImageError, match=r"^optimising 80 x 80 pixels does not fit .* cpu; give size=40 or less$"):
        call(plan={"size": 80})


def test_another_loss_is_said(call, tmp_path):
    """A network that was trained for another strength is judged all the same, and that is said."""
    torch.manual_seed(0)
    info = CheckpointInfo(style={}, loss={"style_strength": 80.0})
    file = tmp_path / "strong.safetensors"
    save_checkpoint(file, build_transform_net("realtime", width=4), info, dtype=torch.float32)
    call(checkpoints=[file])
    assert call.said == [f"{file} was trained for another loss than it is judged by: style_strength 80.0, not 20.0"]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"checkpoints": []}, SettingError, "no checkpoint was given"),
        ({"checkpoints": ["absent"]}, CheckpointError, "style 'absent' is neither a file nor a shipped style"),
        ({"timed_iterations": 0}, SettingError, "timed_iterations is 0; it must be at least 1"),
        ({"timing_sizes": [256, 8]}, SettingError, "timing_sizes has 8; each must be at least 16 pixels"),
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
