"""torch.hub loads what hubconf.py offers from a clone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.stylize.stylizer import Stylizer

PROJECT = str(Path(__file__).resolve().parent.parent)


def load(name: str, **options: object):
    return torch.hub.load(PROJECT, name, source="local", **options)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)


def test_the_stylizer(photo):
    """It is the Stylizer of the style, with its strength."""
    stylizer = load("stylizer", style="wave", device="cpu")
    image = stylizer(Image.fromarray(photo))
    assert np.array_equal(np.asarray(image), Stylizer("wave", device="cpu").stylize_pixels(photo))
    weak = load("stylizer", style="udnie:1", strength=0.3, device="cpu")
    assert weak.look.strength == 0.3


def test_the_network(photo):
    """It is a module in evaluation mode that gives, within a level, the bytes of the Stylizer, for any size."""
    network = load("network", style="wave")
    assert isinstance(network, torch.nn.Module) and not network.training
    images = (torch.from_numpy(photo).permute(2, 0, 1)[None] / 255).requires_grad_()
    stylized = network(images)
    levels = (stylized.detach()[0].permute(1, 2, 0) * 255).round().numpy()
    assert np.abs(levels - Stylizer("wave", device="cpu").stylize_pixels(photo)).max() <= 1
    stylized.sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
