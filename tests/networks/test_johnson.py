import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nst_fast.errors import SettingError
from nst_fast.networks.johnson import describe_johnson
from nst_fast.networks.torch_network import StyleNetwork, build_network

# Johnson et al. 2016, supplement, table 1, without its first line (40 pixels of padding, which shrink away in the
# residual blocks): kernel, stride, channels in and out, side of the output for a photo of 256 pixels. The paper's
# stride of 1/2 is ours of 1 behind an upsampling.
PAPER = [
    (9, 1, 3, 32, 256),
    (3, 2, 32, 64, 128),
    (3, 2, 64, 128, 64),
    *[(3, 1, 128, 128, 64)] * 10,  # five residual blocks of two convolutions
    (3, 1, 128, 64, 128),
    (3, 1, 64, 32, 256),
    (9, 1, 32, 3, 256),
]


def test_layers_are_those_of_the_paper():
    """The convolutions, in the order in which they run, have the paper's kernels, strides, channels and sizes."""
    network = build_network("johnson")
    ran = []

    def note(layer: nn.Conv2d, _given: object, result: torch.Tensor) -> None:
        (kernel, _), (stride, _) = layer.kernel_size, layer.stride
        ran.append((kernel, stride, layer.in_channels, layer.out_channels, result.shape[2]))
        assert result.shape[2] == result.shape[3]

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.rand(1, 3, 256, 256))
    assert ran == PAPER


def test_number_of_parameters():
    """1,677,635 parameters at width 32: kernels, an instance normalization behind all but the last, its bias."""
    kernels = sum(kernel**2 * into * out for kernel, _, into, out, _ in PAPER)
    norms = sum(2 * out for _, _, _, out, _ in PAPER[:-1])
    assert kernels + norms + 3 == 1_677_635
    assert sum(weight.numel() for weight in build_network("johnson").parameters()) == 1_677_635


def test_number_of_operations():
    """The convolutions take 307,584 floating-point operations a pixel at width 32, counted in three ways."""
    by_hand = sum(2 * kernel**2 * into * out * side**2 for kernel, _, into, out, side in PAPER) / 256**2
    assert by_hand == 307_584 == describe_johnson().operations_per_pixel
    with torch.device("meta"):
        network, photo = StyleNetwork(describe_johnson()), torch.empty(1, 3, 64, 96)
    with FlopCounterMode(display=False) as counter:
        network(photo)
    assert counter.get_total_flops() / (64 * 96) == by_hand


def test_width_scales_all_channels():
    """A width of 8 has a quarter of all channels but the colors, and says by which arguments it is rebuilt."""
    network = build_network("johnson", width=8)
    channels = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert channels == [out // 4 for _, _, _, out, _ in PAPER[:-1]] + [3]
    assert network.description.arguments == {"width": 8, "input_noise": 0.0}


def test_upsampling_is_nearest_neighbor():
    """Both upsamplings repeat each position, as the network's docstring says."""
    modes = [module.mode for module in build_network("johnson").modules() if isinstance(module, nn.Upsample)]
    assert modes == ["nearest", "nearest"]


@pytest.mark.parametrize("width", [0, -4])
def test_impossible_width(width):
    """A width below 1 is refused."""
    with pytest.raises(SettingError) as caught:
        build_network("johnson", width=width)
    assert str(caught.value) == f"network.width is {width}; it must be at least 1"
