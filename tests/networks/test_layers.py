import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nst_fast.networks.description import (
    Layer,
    SmoothUpsampleConv,
    conv_norm,
    residual_block,
    to_colors,
    upsample_conv_norm,
)
from nst_fast.networks.torch_layers import build_layer


def build_random(layer: Layer) -> nn.Module:
    """The module of a layer with random weights, those of the normalization included, in float64."""
    generator = torch.Generator().manual_seed(0)
    module = build_layer(layer)
    for weight in module.parameters():
        nn.init.normal_(weight, generator=generator)
    return module.double().requires_grad_(False)


def random_hidden(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def convolve(hidden: np.ndarray, weight: np.ndarray, stride: int = 1) -> np.ndarray:
    """A convolution over mirrored edges, position by position; shapes (C, H, W) and (O, C, K, K)."""
    pad, (_, height, width) = weight.shape[-1] // 2, hidden.shape
    mirrored = np.pad(hidden, ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
    rows, columns = range(0, height, stride), range(0, width, stride)
    result = np.zeros((len(weight), len(rows), len(columns)))
    for (i, row), (j, column) in itertools.product(enumerate(rows), enumerate(columns)):
        window = mirrored[:, row : row + 2 * pad + 1, column : column + 2 * pad + 1]
        result[:, i, j] = (weight * window).sum((1, 2, 3))
    return result


def normalize(hidden: np.ndarray, norm: nn.InstanceNorm2d) -> np.ndarray:
    """Instance normalization as Ulyanov et al. 2016 write it: each channel of each image by itself."""
    result = np.zeros_like(hidden)
    for channel, values in enumerate(hidden):
        standard = (values - values.mean()) / np.sqrt(values.var() + 1e-5)
        result[channel] = standard * norm.weight[channel].item() + norm.bias[channel].item()
    return result


def loop_conv_norm(layer: nn.Module, hidden: np.ndarray, stride: int = 1, relu: bool = True) -> np.ndarray:
    result = normalize(convolve(hidden, layer[0].weight.numpy(), stride), layer[1])
    return np.maximum(result, 0) if relu else result


@pytest.mark.parametrize(("kernel_size", "stride", "relu"), [(3, 1, True), (3, 2, True), (9, 1, False), (5, 2, True)])
def test_conv_norm(kernel_size, stride, relu):
    """conv_norm is a convolution over mirrored edges, then instance normalization, then perhaps a ReLU: as loops do."""
    layer = build_random(conv_norm(2, 3, kernel_size, stride, relu=relu))
    hidden = random_hidden(2, 2, 8, 10)
    expected = np.stack([loop_conv_norm(layer, one, stride, relu) for one in hidden.numpy()])
    np.testing.assert_allclose(layer(hidden).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_images_of_a_batch_do_not_mix():
    """An image gives the same result alone as in a batch, also in training mode."""
    layer, hidden = build_random(conv_norm(2, 3, 3)).train(), random_hidden(3, 2, 8, 8)
    alone = torch.cat([layer(hidden[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(layer(hidden), alone, rtol=1e-12, atol=1e-12)


def test_residual_block():
    """A residual block adds two of conv_norm, the second without ReLU, to its input, and leaves that as it was."""
    layer, hidden = build_random(residual_block(3)), random_hidden(1, 3, 6, 7)
    before = hidden.clone()
    inner = loop_conv_norm(layer.second, loop_conv_norm(layer.first, hidden[0].numpy()), relu=False)
    result = layer(hidden)
    np.testing.assert_allclose(result[0].numpy(), hidden[0].numpy() + inner, rtol=1e-9, atol=1e-9)
    assert result.min() < -0.5, "a ReLU after the addition would leave nothing negative"
    assert torch.equal(hidden, before)


def double_bilinearly(values: np.ndarray, axis: int) -> np.ndarray:
    """Twice as many values: each is 3/4 of the nearest and 1/4 of the next nearest, which at an end is itself."""
    values = np.moveaxis(values, axis, 0)
    before, after = np.concatenate([values[:1], values[:-1]]), np.concatenate([values[1:], values[-1:]])
    pairs = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis=1)
    return np.moveaxis(pairs.reshape(-1, *values.shape[1:]), 0, axis)


def test_upsampling():
    """Before the convolution each position becomes four equal ones."""
    layer, hidden = build_random(upsample_conv_norm(2, 3)), random_hidden(1, 2, 4, 5)
    doubled = hidden[0].numpy().repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(layer(hidden)[0].numpy(), loop_conv_norm(layer[1], doubled), rtol=1e-9, atol=1e-9)


def test_smooth_upsampling():
    """One convolution and an interleaving give what bilinear upsampling gives, convolved afterwards."""
    layer, hidden = build_random(SmoothUpsampleConv(2, 3)), random_hidden(1, 2, 4, 5)
    mirrored = np.pad(hidden[0].numpy(), ((0, 0), (1, 1), (1, 1)), mode="reflect")
    doubled = double_bilinearly(double_bilinearly(mirrored, 1), 2)[:, 1:-1, 1:-1]
    expected = torch.nn.functional.conv2d(torch.from_numpy(doubled), layer.weight)
    torch.testing.assert_close(layer(hidden)[0], expected, rtol=1e-9, atol=1e-9)


def test_colors():
    """The last layer is a convolution over mirrored edges with a bias, through a sigmoid: the paper's tanh, moved."""
    layer, hidden = build_random(to_colors(4, 3)), random_hidden(1, 4, 5, 6)
    before = convolve(hidden[0].numpy(), layer[0].weight.numpy()) + layer[0].bias.numpy()[:, None, None]
    np.testing.assert_allclose(layer(hidden)[0].numpy(), 0.5 + 0.5 * np.tanh(before / 2), rtol=1e-9, atol=1e-12)
