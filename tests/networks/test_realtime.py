import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nst_fast.errors import SettingError
from nst_fast.networks import description
from nst_fast.networks.realtime import describe_realtime
from nst_fast.networks.torch_layers import SmoothUpsampleConv
from nst_fast.networks.torch_network import StyleNetwork, build_network

# Channels in and out of each 3x3 convolution at width 32, and how many pixels of the photo there are to a position.
LAYERS = [(48, 32, 16), *[(32, 32, 16)] * 6, (32, 16, 4), *[(16, 16, 4)] * 4, (16, 8, 1), (8, 3, 1)]


def test_layers():
    """The convolutions, in the order in which they run, have the listed channels at the listed part of the size."""
    network = build_network("realtime")
    ran = []

    def note(layer: nn.Module, _given: object, result: torch.Tensor) -> None:
        out, into, height, width = layer.weight.shape
        assert (height, width) == (3, 3)
        ran.append((into, out, 48 * 64 // result[0, 0].numel()))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | SmoothUpsampleConv):
            module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.rand(1, 3, 48, 64))
    assert ran == LAYERS


def test_number_of_parameters():
    """84,939 parameters at width 32: kernels, an instance normalization behind all but the last, its bias."""
    by_hand = sum(9 * into * out for into, out, _ in LAYERS) + sum(2 * out for _, out, _ in LAYERS[:-1]) + 3
    assert by_hand == 84_939
    assert sum(weight.numel() for weight in build_network("realtime").parameters()) == by_hand


def test_number_of_operations():
    """The convolutions take 18,288 floating-point operations a pixel at width 32, counted in three ways."""
    by_hand = sum(2 * 9 * into * out / pixels for into, out, pixels in LAYERS)
    assert by_hand == 18_288 == describe_realtime().operations_per_pixel
    counted = []
    for width in (96, 192):  # the difference leaves out what does not grow with the photo: the making of kernels
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            StyleNetwork(describe_realtime())(torch.empty(1, 3, 64, width))
        counted.append(counter.get_total_flops())
    assert (counted[1] - counted[0]) / (64 * 96) == by_hand


def test_first_layer_loses_nothing():
    """What the first convolution sees is every number of a 4 x 4 square of the photo, at one position."""
    photo = torch.arange(3 * 8 * 12.0).view(1, 3, 8, 12)
    squares = build_network("realtime").get_submodule("encoder.0")(photo)
    assert squares.shape == (1, 48, 2, 3)
    for row in range(2):
        for column in range(3):
            square = photo[0, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            assert sorted(squares[0, :, row, column].tolist()) == sorted(square.flatten().tolist())


def test_last_upsampling_is_bilinear():
    """Nearest-neighbor upsampling would show as a grid what alternates at half of the resolution."""
    decoder = dict(describe_realtime().body.layers)["decoder"]
    assert isinstance(decoder, description.Sequence)
    assert decoder.layers[0] == ("0", description.smooth_upsample_conv_norm(16, 8))


@pytest.mark.parametrize("width", [0, -4, 2, 30])
def test_impossible_width(width):
    """A width that is not a positive multiple of 4 is refused."""
    with pytest.raises(SettingError) as caught:
        build_network("realtime", width=width)
    assert str(caught.value) == f"network.width is {width}; it must be a multiple of 4, such as 32"
