import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nst_fast.networks.description import (
    Conv,
    Layer,
    NetworkDescription,
    PixelUnshuffle,
    Sequence,
    SmoothUpsampleConv,
    Upsample,
    conv_norm,
    residual_block,
    sequence,
)
from nst_fast.networks.registry import NETWORKS, describe_network
from nst_fast.networks.torch_layers import InstanceNorm
from nst_fast.networks.torch_network import StyleNetwork, blank_statistics
from nst_fast.networks.torch_statistics import Statistics

DESCRIPTIONS = [
    describe_network(name, width=width)
    for name, widths in (("johnson", (1, 5, 8)), ("realtime", (4, 8, 20)))
    for width in widths
]


def named(description: NetworkDescription) -> str:
    return f"{description.name}-{description.arguments.get('width', '')}"


def small(stride: int, *layers: Layer) -> NetworkDescription:
    """A network of a few layers."""
    return NetworkDescription("small", {}, Sequence((("all", sequence(*layers)),)), stride=stride, min_side=8)


# How far a pixel reaches depends on its place in the squares that these make.
SMALL_NETWORKS = [
    small(1, Conv(3, 3, 1)),
    small(2, Conv(3, 4, 5, stride=2), Upsample(2), conv_norm(4, 3, 3)),
    small(4, PixelUnshuffle(4), Conv(48, 2, 3), Upsample(4)),
    small(2, Conv(3, 2, 3), Conv(2, 2, 3, stride=2), residual_block(2), SmoothUpsampleConv(2, 3)),
    small(6, PixelUnshuffle(2), Conv(12, 2, 5, stride=3), SmoothUpsampleConv(2, 2), Upsample(3)),
]


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=named)
def test_parameters_are_those_of_the_torch_network(description):
    """The list of weights has the names, the shapes and the order of the PyTorch network's own."""
    weights = StyleNetwork(description).state_dict()
    assert list(description.list_parameters().items()) == [(name, tuple(one.shape)) for name, one in weights.items()]


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=named)
def test_operations_are_those_that_torch_counts(description):
    """The operations for one pixel are those that PyTorch counts as the network runs."""
    counted = []
    for width in (96, 192):  # the difference leaves out what does not grow with the photo: the making of kernels
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            StyleNetwork(description)(torch.empty(1, 3, 64, width))
        counted.append(counter.get_total_flops())
    assert (counted[1] - counted[0]) / (64 * 96) == pytest.approx(description.operations_per_pixel, rel=1e-12)


@pytest.mark.parametrize("description", [*DESCRIPTIONS, *SMALL_NETWORKS], ids=named)
def test_the_radius_is_as_far_as_a_pixel_reaches(description):
    """A pixel that is NaN spoils results as far away as the radius, and nothing further."""
    # In float64, since fast kernels for float32 may work on more than they use.
    network = StyleNetwork(description).double().requires_grad_(False)
    statistics = blank_statistics(network).double() + 1
    side = 2 * description.receptive_radius // 24 * 24 + 72
    middle = side // 2 // description.stride * description.stride
    reach = []
    for place in range(description.stride):
        photo = torch.zeros(1, 3, side, side, dtype=torch.float64)
        photo[..., middle + place, middle + place] = torch.nan
        stylized = network(photo, Statistics(statistics, 1.0))
        reach.append(int((stylized.isnan().any(1)[0].nonzero() - middle - place).abs().max()))
    assert max(reach) == description.receptive_radius


@pytest.mark.parametrize("description", [*DESCRIPTIONS, *SMALL_NETWORKS[1:]], ids=named)
def test_the_largest_result_is_that_of_a_layer(description):
    """The largest intermediate result holds as many values as the largest that a layer of the torch network gives."""
    network, sizes = StyleNetwork(description), []
    for module in network.modules():
        if not list(module.children()) and module is not network.input_noise:
            module.register_forward_hook(lambda _module, _given, result: sizes.append(result.numel()))
    with torch.no_grad():
        network(torch.zeros(1, 3, 48, 48))
    assert description.largest_values_per_pixel * 48 * 48 == pytest.approx(max(sizes))


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=named)
def test_channels_of_statistics(description):
    """The statistics have a channel for each channel of each normalization."""
    norms = [module for module in StyleNetwork(description).modules() if isinstance(module, InstanceNorm)]
    assert description.statistics_channels == sum(norm.num_features for norm in norms) > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_a_description_comes_from_its_name_and_arguments(name):
    """The name and the arguments, which a checkpoint keeps, give an equal description again."""
    description = describe_network(name, width=12, input_noise=0.25)
    assert description.name == name and description.arguments == {"width": 12, "input_noise": 0.25}
    assert describe_network(description.name, **description.arguments) == description
    assert describe_network(name, width=8, input_noise=0.25) != description


def test_layers_of_the_torch_network_bear_the_names():
    """The parts of a network are modules of their names, so that weights can be found by them."""
    network = StyleNetwork(describe_network("realtime"))
    assert isinstance(network.get_submodule("fine_strokes.1.first.0"), nn.Conv2d)
    assert network.get_submodule("decoder.0.0").weight.shape == (8, 16, 3, 3)
