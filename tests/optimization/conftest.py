"""A tiny loss network with random weights, and images that are small enough to optimize in a test."""

import pytest
import torch
from torch import Tensor

from nst_fast.loss_networks.network import LossNetwork
from nst_fast.loss_networks.weights import build_loss_network

TAPS = {"relu1_1": 1.0, "relu2_1": 1.0}


@pytest.fixture(scope="session")
def loss_network() -> LossNetwork:
    return build_loss_network("vgg16", taps=["relu2_1"], weights="random")


@pytest.fixture
def photo() -> Tensor:
    return (
        torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(1)).repeat_interleave(5, 1).repeat_interleave(5, 2)
    )


@pytest.fixture
def style() -> Tensor:
    columns = torch.linspace(0, 1, 24)
    return torch.stack([0.5 + 0.5 * torch.sin(40 * columns * k).expand(20, 24) for k in (1, 2, 3)])
