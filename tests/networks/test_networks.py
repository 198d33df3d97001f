import math

import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.networks.registry import NETWORKS, describe_network
from nst_fast.networks.torch_network import (
    build_network,
    checkpoint_from_network,
    network_from_checkpoint,
)

NAMES = ("johnson", "realtime")


@pytest.fixture
def build(random_network):
    """Builds a network of width 8 whose normalizations are random too."""
    return lambda name: random_network(name, width=8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(8, 8), (8, 100), (12, 20), (64, 48)])
def test_size_is_kept_and_colors_are_within_bounds(build, name, size):
    """From the least size on, at every multiple of the stride, the size is kept and the colors are inside (0, 1)."""
    network = build(name)
    assert min(size) >= network.min_side and not any(side % network.stride for side in size)
    stylized = network(torch.rand(2, 3, *size))
    assert stylized.shape == (2, 3, *size)
    assert stylized.min() > 0 and stylized.max() < 1


@pytest.mark.parametrize("name", NAMES)
def test_smaller_than_the_least_size(build, name):
    """The stated least size is the least: with a side one stride shorter PyTorch itself refuses."""
    network = build(name)
    short = network.min_side - network.stride
    with pytest.raises((RuntimeError, ValueError), match=r"[Pp]adding|spatial element"):
        network(torch.rand(1, 3, short, short))


@pytest.mark.parametrize("name", NAMES)
def test_gray_photo_has_no_border(build, name):
    """A constant gray photo is stylized in one color up to its edges: no border is darker than the middle."""
    stylized = build(name)(torch.full((1, 3, 64, 64), 0.5))
    middle = stylized[:, :, 28:36, 28:36].mean((2, 3), keepdim=True)
    assert (stylized - middle).abs().max() < 0.004, "one level of 255"


@pytest.mark.parametrize("name", NAMES)
def test_photo_has_no_border(build, name):
    """Over many photos of noise, the outermost pixels are on average as bright as those in the middle."""
    network = build(name)
    photos = torch.rand(32, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    bright = network(photos).mean((0, 1))
    border = torch.cat([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    assert border.mean().item() == pytest.approx(bright[16:48, 16:48].mean().item(), abs=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(build, name):
    """Each weight gets a gradient from each color of the stylized image."""
    network = build(name).requires_grad_()
    network(torch.rand(1, 3, 32, 32))[:, 1].sum().backward()
    without = [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_of_names(name):
    """A network says by which name and arguments it is built, and these build one with the same weights' shapes."""
    network = build_network(name, width=12)
    assert network.description.name == name in NETWORKS
    again = build_network(network.description.name, **network.description.arguments)
    assert again.description == network.description
    again.load_state_dict(network.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_is_a_copy_of_the_network(build, name):
    """A checkpoint of a network keeps the weights of that moment, and the network from it stylizes alike."""
    network, photo = build(name), torch.rand(1, 3, 16, 24)
    expected = network(photo)
    checkpoint = checkpoint_from_network(network)
    copied = network_from_checkpoint(checkpoint)
    assert not copied.training and not any(weight.requires_grad for weight in copied.parameters())
    for weight in network.parameters():
        weight.zero_()
    assert torch.equal(copied(photo), expected)
    assert torch.equal(network_from_checkpoint(checkpoint)(photo), expected)
    for weight in copied.parameters():
        weight.zero_()
    assert torch.equal(network_from_checkpoint(checkpoint)(photo), expected), "the checkpoint's arrays stay its own"


def test_weights_come_from_torchs_seed():
    """The same seed builds the same weights."""
    for name in NAMES:
        torch.manual_seed(5)
        first = build_network(name, width=4)
        torch.manual_seed(5)
        second = build_network(name, width=4)
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_unknown_name():
    """An unknown network is answered with the list and the nearest."""
    with pytest.raises(SettingError) as caught:
        build_network("jonson", width=32)
    assert str(caught.value) == "network 'jonson' is unknown; allowed: johnson, realtime (nearest: johnson)"


def test_unknown_argument():
    """An argument that a network does not take is answered with those that it does."""
    with pytest.raises(SettingError) as caught:
        build_network("realtime", width=32, blocks=5)
    assert str(caught.value) == "network realtime takes no 'blocks'; allowed: width, input_noise, adjustable"


@pytest.mark.parametrize("width", [4.0, "8", True, None])
def test_a_width_is_a_whole_number(width):
    """A width that is no whole number is refused with what was given."""
    with pytest.raises(SettingError) as caught:
        describe_network("realtime", width=width)
    assert str(caught.value) == f"network.width is {width!r}; give a whole number"


@pytest.mark.parametrize(
    "strength", [-0.1, math.nan, math.inf, 10**400, "0.1", None, True], ids=lambda strength: str(strength)[:9]
)
def test_impossible_strengths_of_input_noise(strength):
    """A strength of noise that is none is refused with what was given and what is allowed."""
    with pytest.raises(SettingError, match=r"network\.input_noise is .*; it must be at least 0, such as 0\.016"):
        describe_network("realtime", width=4, input_noise=strength)
