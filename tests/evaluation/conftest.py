"""A tiny loss with random weights, two tiny networks, and photos that are small enough to optimise in a test."""

import pytest
import torch
from torch import Tensor

from nst_fast.inference.stylizer import Stylizer
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.transform_nets import build_transform_net


@pytest.fixture(scope="session")
def loss() -> PerceptualLoss:
    network = build_loss_network("vgg16", taps=["relu1_2"], weights="random")
    painting = torch.rand(3, 20, 24, generator=torch.Generator().manual_seed(0))
    taps = {"content_taps": {"relu1_2": 1.0}, "style_taps": {"relu1_1": 1.0}}
    return PerceptualLoss(network, painting, **taps, feature_variance={"relu1_2": 1.0})


@pytest.fixture(scope="session")
def stylizer() -> Stylizer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Stylizer(build_transform_net("realtime", width=4), device="cpu")


@pytest.fixture
def photos() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(3, 16, 16, generator=generator) for name in ("a.jpg", "b.jpg")}
