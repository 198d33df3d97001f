"""The receptive fields in the table, compared with the pixels that change an activation."""

import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.reconstruction.receptive_fields import list_receptive_fields


def find_side(seen: torch.Tensor) -> tuple[int, int, int]:
    """Along one side: the first pixel with a gradient, the length of their range, and how many have one."""
    places = seen.nonzero()[:, 0]
    return int(places[0]), int(places[-1] - places[0] + 1), len(places)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("tap", ["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_3", "relu4_1"])
def test_the_pixels_that_change_an_activation(tap, pooling):
    """With random weights the gradient of one activation covers a square of exactly the side in the table, and that of
    its neighbor the square one stride further."""
    (field,) = (field for field in list_receptive_fields("vgg16", 256, 256) if field.tap == tap)
    size = (field.side // field.stride + 4) * field.stride
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1)).requires_grad_()
    loss_network = build_loss_network("vgg16", taps=[tap], weights="random", pooling=pooling)
    features = loss_network(image, [tap])[tap]
    middle = features.shape[2] // 2
    firsts = []
    for place in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(features[0, :, place, place].sum(), image, retain_graph=True)
        moved = gradient[0].abs().sum(0) > 0
        for axis in (0, 1):
            first, length, count = find_side(moved.any(axis))
            assert length == count == field.side
        firsts.append(first)
    assert firsts[1] - firsts[0] == field.stride


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
@pytest.mark.parametrize(("height", "width"), [(34, 50), (63, 32)])
def test_the_sizes_of_the_activations(architecture, height, width):
    """Sizes and channels are those of the network, for an image whose sides are not multiples of the strides."""
    fields = list_receptive_fields(architecture, height, width)
    taps = [field.tap for field in fields]
    with torch.random.fork_rng(devices=[]):
        loss_network = build_loss_network(architecture, taps=taps, weights="random")
    activations = loss_network(torch.rand(1, 3, height, width), taps)
    assert loss_network.taps == taps
    for field in fields:
        assert activations[field.tap].shape == (1, field.channels, field.height, field.width)


def test_an_image_that_is_too_small():
    """Activations of an image that is too small have no size, but they still have a receptive field."""
    deepest = list_receptive_fields("vgg16", 15, 300)[-1]
    assert (deepest.height, deepest.width, deepest.side, deepest.stride) == (0, 18, 196, 16)


def test_an_unknown_network():
    """The error lists the networks that there are."""
    with pytest.raises(SettingError, match=r"loss network 'vgg61' is unknown; allowed: vgg16, vgg19"):
        list_receptive_fields("vgg61", 32, 32)
