"""The training of the base network and its predictor."""

import functools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed
from torch import Tensor, nn

from nst_fast.loss_networks.network import adapt_taps
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.content import measure_feature_variance
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import LossSettings
from nst_fast.losses.tones import PhotoTones
from nst_fast.networks.torch_network import build_network
from nst_fast.networks.torch_style_predictor import StylePredictor
from nst_fast.training.base_training import BaseNetwork, BaseTraining
from nst_fast.training.style_pool import StylePool, read_features, vary_style_image

STYLES = [torch.randint(0, 256, (3, 64, 80 + n), generator=torch.Generator().manual_seed(n)).byte() for n in range(3)]


def build_material() -> tuple[PerceptualLoss, StylePool]:
    """A loss by the compact loss network, and a pool of three noisy style images."""
    photos = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    compact = build_loss_network("compact", taps=["relu4_1"], weights="shipped")
    settings = adapt_taps(LossSettings(), "compact")
    variance = measure_feature_variance(compact, [photos], settings.content_taps)
    loss = PerceptualLoss(compact, STYLES[0] / 255, settings, feature_variance=variance, photo_tones=PhotoTones(photos))
    return loss, StylePool(STYLES, loss, compact, size=3, seed=0)


def build_training(**options) -> BaseTraining:
    """A narrow base network and its predictor, always with the same weights."""
    torch.manual_seed(0)
    network = build_network("realtime", width=4, adjustable=True)
    base = BaseNetwork(network, StylePredictor(network.description.steering_channels, code_size=8, hidden_size=8))
    return BaseTraining(base, temporal_weight=3.0, seed=1, steps=4, **options)


def list_batches(count: int) -> list[Tensor]:
    """Batches of four photos."""
    return [torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(10 + n)) for n in range(count)]


def train(training: BaseTraining, batches: list[Tensor]) -> dict[str, Tensor]:
    """The weights after a step on each batch."""
    loss, pool = build_material()
    for batch in batches:
        training.take_step(batch, pool, loss)
    return {name: weight.clone() for name, weight in training.base.state_dict().items()}


def test_one_step_changes_all_trained_weights() -> None:
    """Every weight of network and predictor is trained, none is left out of the optimizers."""
    training = build_training()
    before = {name: weight.clone() for name, weight in training.base.named_parameters()}
    train(training, list_batches(1))
    assert [name for name, weight in training.base.named_parameters() if torch.equal(weight, before[name])] == []


def test_resumed_equals_straight() -> None:
    """A training that is saved and restored after a step ends in the same weights as one that was not."""
    straight = train(build_training(), list_batches(2))
    first = build_training()
    train(first, list_batches(1))
    state = {name: part.state_dict() for name, part in first.parts().items()}
    second = build_training()
    for name, part in second.parts().items():
        part.load_state_dict(state[name])
    second.step = 1
    resumed = train(second, list_batches(2)[1:])
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


def average_over_two(parameters: list[nn.Parameter]) -> None:
    """As the script averages gradients."""
    for parameter in parameters:
        assert parameter.grad is not None
        torch.distributed.all_reduce(parameter.grad)
        parameter.grad /= 2


def train_share(rank: int, folder: str) -> None:
    """One of two processes."""
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    training = build_training(average_gradients=average_over_two, rank=rank, processes=2)
    torch.save(train(training, list_batches(2)), Path(folder, f"{rank}.pt"))
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this PyTorch has no gloo")
def test_two_processes_equal_one(tmp_path) -> None:
    """Two processes that share each batch end in the weights of one that takes all of it."""
    alone = train(build_training(), list_batches(2))
    torch.multiprocessing.spawn(functools.partial(train_share), (str(tmp_path),), nprocs=2)
    shared = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    for name, weight in alone.items():
        assert torch.equal(shared[0][name], shared[1][name])
        assert torch.allclose(shared[0][name], weight, atol=2e-4), name


def test_pool_depends_on_seed_and_step_alone() -> None:
    """A pool that starts in the middle draws what one draws that was there from the start."""
    _, first = build_material()
    _, second = build_material()
    for step in range(9):
        drawn = first.draw(step, 2)
    again = second.draw(8, 2)
    for one, other in zip(drawn, again, strict=True):
        assert torch.equal(one.features, other.features)
        assert torch.equal(one.targets.tone_curves, other.targets.tone_curves)


def test_variations_of_a_style_image() -> None:
    """Variations are crops of at least 256 pixels in [0, 1], and differ from each other."""
    generator = torch.Generator().manual_seed(0)
    varied = [vary_style_image(STYLES[0], generator) for _ in range(8)]
    assert all(min(image.shape[1:]) >= 256 and image.min() >= 0 and image.max() <= 1 for image in varied)
    assert len({image.shape for image in varied}) > 1


def test_feature_scale() -> None:
    """After learning the scale, features of the same style images have mean 0 and deviation 1."""
    compact = build_loss_network("compact", taps=["relu4_1"], weights="shipped")
    features = torch.cat([read_features(compact, style / 255) for style in STYLES])
    predictor = StylePredictor(4)
    predictor.learn_scale(features)
    standardized = predictor.standardize(features).numpy()
    assert np.abs(standardized.mean(0)).max() < 1e-3
    assert standardized.std(0).max() < 1.1
