import pytest
import torch
from torch import nn

from nst_fast.errors import SettingError
from nst_fast.transform_nets import TRANSFORM_NETS, build_transform_net, name_of_transform_net

NAMES = ("johnson", "realtime")


def build_random(name: str, width: int = 8) -> nn.Module:
    """A network whose normalisations are random too, as after training."""
    torch.manual_seed(0)
    network = build_transform_net(name, width=width)
    for module in network.modules():
        if isinstance(module, nn.InstanceNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.requires_grad_(False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(8, 8), (8, 100), (12, 20), (64, 48)])
def test_size_is_kept_and_colours_are_within_bounds(name, size):
    """From the least size on, at every multiple of the stride, the size is kept and the colours are inside (0, 1)."""
    network = build_random(name)
    assert min(size) >= network.min_side and not any(side % network.stride for side in size)
    painted = network(torch.rand(2, 3, *size))
    assert painted.shape == (2, 3, *size)
    assert painted.min() > 0 and painted.max() < 1


@pytest.mark.parametrize("name", NAMES)
def test_smaller_than_the_least_size(name):
    """The stated least size is the least: with a side one stride shorter torch itself refuses."""
    network = build_random(name)
    short = network.min_side - network.stride
    with pytest.raises((RuntimeError, ValueError), match=r"[Pp]adding|spatial element"):
        network(torch.rand(1, 3, short, short))


@pytest.mark.parametrize("name", NAMES)
def test_grey_photo_has_no_border(name):
    """A constant grey photo is painted in one colour up to its edges: no border darker than the middle."""
    painted = build_random(name)(torch.full((1, 3, 64, 64), 0.5))
    middle = painted[:, :, 28:36, 28:36].mean((2, 3), keepdim=True)
    assert (painted - middle).abs().max() < 0.004, "one level of 255"


@pytest.mark.parametrize("name", NAMES)
def test_photo_has_no_border(name):
    """Over many photos of noise, the outermost pixels are on average as bright as those in the middle."""
    network = build_random(name)
    photos = torch.rand(32, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    bright = network(photos).mean((0, 1))
    border = torch.cat([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    assert border.mean().item() == pytest.approx(bright[16:48, 16:48].mean().item(), abs=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name):
    """Each weight gets a gradient from each colour of the painting."""
    network = build_random(name).requires_grad_()
    network(torch.rand(1, 3, 32, 32))[:, 1].sum().backward()
    without = [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_of_names(name):
    """A network says by which name and arguments it is built, and these build one with the same weights' shapes."""
    network = build_transform_net(name, width=12)
    assert name_of_transform_net(network) == name
    again = build_transform_net(name_of_transform_net(network), **network.arguments)
    assert type(again) is type(network) is TRANSFORM_NETS[name]
    again.load_state_dict(network.state_dict())


def test_weights_come_from_torchs_seed():
    """The same seed builds the same weights."""
    for name in NAMES:
        torch.manual_seed(5)
        first = build_transform_net(name, width=4)
        torch.manual_seed(5)
        second = build_transform_net(name, width=4)
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_unknown_name():
    """An unknown network is answered with the list and the nearest."""
    with pytest.raises(SettingError) as caught:
        build_transform_net("jonson", width=32)
    assert str(caught.value) == "transform_net 'jonson' is unknown; allowed: johnson, realtime (nearest: johnson)"


def test_unknown_argument():
    """An argument that a network does not take is answered with those that it does."""
    with pytest.raises(SettingError) as caught:
        build_transform_net("realtime", width=32, blocks=5)
    assert str(caught.value) == "transform_net realtime takes no 'blocks'; allowed: width, grain"
