"""The steps of an adjustable network: strengths, motion, and a run that is resumed."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import LossSettings
from nst_fast.losses.tones import PhotoTones
from nst_fast.networks.torch_network import build_network
from nst_fast.runs.saved_run import SavedRun
from nst_fast.settings.networks import NetworkSettings
from nst_fast.training import run as training_run
from nst_fast.training.preparation import Initial
from nst_fast.training.run import TrainingRun
from nst_fast.training.settings import TrainSettings

LOSS = LossSettings(content_taps={"relu2_1": 1.0}, style_taps={"relu1_1": 1.0, "relu2_1": 1.0}, grid_weight=30.0)
SETTINGS = TrainSettings(
    style="", content="", network=NetworkSettings(width=4), loss=LOSS, steps=10, warmup_steps=1, temporal_weight=3.0
)


def photos(step: int, count: int = 3) -> Tensor:
    coarse = torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(step))
    return torch.nn.functional.interpolate(coarse, (48, 48), mode="bilinear")


def build_run(folder: Path, *, from_base: bool = False, **settings: object) -> TrainingRun:
    network = build_loss_network("vgg16", taps=["relu2_1"], weights="random")
    style_image = torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(9))
    loss = PerceptualLoss(
        network, style_image, LOSS, feature_variance={"relu2_1": 1.0}, photo_tones=PhotoTones(photos(99))
    )
    initial = None
    if from_base:
        style_network = build_network("realtime", width=4, input_noise=SETTINGS.network.input_noise, adjustable=True)
        initial = Initial(style_network, "base", is_base=True)
    settings_of_run = dataclasses.replace(SETTINGS, **settings)
    return TrainingRun(settings_of_run, loss, SavedRun(folder, {}), initial=initial, device=torch.device("cpu"))


def take_steps(run: TrainingRun, count: int) -> dict[str, float]:
    for _ in range(count):
        run.take_step(photos(run.step))
    return run.collect_terms()


def test_a_resumed_run_is_a_straight_one(tmp_path):
    """Saved and restored halfway, with strengths and motion, a run ends bit for bit as a straight one."""
    straight = build_run(tmp_path / "straight")
    terms = take_steps(straight, 4)
    assert terms["temporal"] > 0 and terms["tone"] > 0
    with build_run(tmp_path / "cut").saved_run as saved_run:
        first = build_run(tmp_path / "cut")
        first.saved_run = saved_run
        take_steps(first, 2)
        first.save()
        resumed = build_run(tmp_path / "cut")
        resumed.saved_run = saved_run
        resumed.restore()
        take_steps(resumed, 2)
    for ours, theirs in ((resumed.network, straight.network), (resumed.average.network, straight.average.network)):
        for name, weight in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], weight), name
    fresh = build_run(tmp_path / "fresh").network.steering
    assert not torch.equal(straight.network.steering, fresh)


@pytest.mark.parametrize(("strength", "rows"), [(0.0, [0]), (0.25, [0, 1]), (1.0, [2]), (1.5, [2, 3])])
def test_a_strength_trains_its_own_steering(tmp_path, monkeypatch, strength, rows):
    """A step at one strength changes the scales and shifts of the strengths beside it, and no others."""
    monkeypatch.setattr(training_run, "draw_strengths", lambda seed, step, count, **options: [strength] * count)
    run = build_run(tmp_path)
    before = run.network.steering.detach().clone()
    take_steps(run, 1)
    changed = (run.network.steering.detach() != before).flatten(1).any(1)
    assert changed.nonzero().flatten().tolist() == rows


def test_from_the_base_network_the_code_is_trained_first(tmp_path):
    """The first tenth of the steps changes scales and shifts and nothing else; the next ones change all weights."""
    run = build_run(tmp_path, from_base=True)
    assert run.code_steps == 1
    for changes in (lambda name: name == "steering", lambda name: True):
        before = {name: weight.detach().clone() for name, weight in run.network.named_parameters()}
        take_steps(run, 1)
        for name, weight in run.network.named_parameters():
            assert torch.equal(weight, before[name]) != changes(name), name


def test_the_temporal_loss_is_raised_gradually(tmp_path):
    """Its weight grows to the full value over the first fifth of the steps, and is part of the total."""
    run = build_run(tmp_path)
    weights = []
    for run.step in (0, 1, 5):
        *_, weight = run._draw_conditions(photos(0))
        weights.append(float(weight))
    assert weights == pytest.approx([1.5, 3.0, 3.0])
    *conditions, weight = run._draw_conditions(photos(0))
    with_motion, terms, _ = run._compute_losses(run.loss, None, *conditions, weight)
    without, *_ = run._compute_losses(run.loss, None, *conditions[:4], None, None, None)
    assert (with_motion - without).item() == pytest.approx(3.0 * float(terms["temporal"]), rel=1e-3)
    assert terms["total"] == with_motion.detach()


def test_crops_are_compared_with_the_ones_before_them(tmp_path, monkeypatch):
    """What crops of strength 1 look like is remembered, and saved; what others look like is not."""
    run = build_run(tmp_path)
    before = run._recent.recall()
    for strength, remembers in ((0.5, False), (1.0, True)):
        monkeypatch.setattr(training_run, "draw_strengths", lambda seed, step, n, *, value=strength, **_: [value] * n)
        take_steps(run, 1)
        same = torch.allclose(run._recent.recall().statistics.colors, before.statistics.colors)
        assert same != remembers
    assert "recent_style" in run._parts()


@pytest.mark.parametrize(
    "settings",
    [
        {"crop_share": 1.0},
        {"train_only": "strength"},
        {"loss": dataclasses.replace(LOSS, style_statistic="gram")},
    ],
)
def test_some_runs_compare_each_crop_by_itself(tmp_path, settings):
    """With a share of 1, with Gram matrices, and where only other strengths are trained, nothing is remembered."""
    run = build_run(tmp_path, **settings)
    assert run._recent is None
    assert "recent_style" not in run._parts()
