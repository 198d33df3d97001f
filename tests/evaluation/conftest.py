"""A tiny loss with random weights, a tiny network, and photos that are small enough to optimize in a test."""

import pytest
import torch
from torch import Tensor

from nst_fast.evaluation.trained_network import TrainedNetwork
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import LossSettings
from nst_fast.losses.tones import PhotoTones
from nst_fast.networks.torch_network import build_network, checkpoint_from_network


@pytest.fixture(scope="session")
def loss() -> PerceptualLoss:
    network = build_loss_network("vgg16", taps=["relu1_2"], weights="random")
    style = torch.rand(3, 20, 24, generator=torch.Generator().manual_seed(0))
    settings = LossSettings(content_taps={"relu1_2": 1.0}, style_taps={"relu1_1": 1.0})
    photos = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return PerceptualLoss(network, style, settings, feature_variance={"relu1_2": 1.0}, photo_tones=PhotoTones(photos))


@pytest.fixture(scope="session")
def network() -> TrainedNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TrainedNetwork(checkpoint_from_network(build_network("realtime", width=4)), torch.device("cpu"))


@pytest.fixture
def photos() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(3, 16, 16, generator=generator) for name in ("a.jpg", "b.jpg")}
