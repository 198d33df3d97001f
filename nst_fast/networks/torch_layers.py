"""The layers of `description` as PyTorch modules."""

from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst_fast.networks import description
from nst_fast.networks.input_noise import PERIOD, build_noise_waves
from nst_fast.networks.torch_statistics import StatisticsSource


def build_layer(layer: description.Layer) -> nn.Module:
    """The module of a layer, its weights drawn from torch's random numbers as torch's own layers do it."""
    match layer:
        case description.Sequence():
            return Chain(layer)
        case description.Residual():
            return Residual(layer)
        case description.Conv():
            return nn.Conv2d(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size,
                layer.stride,
                padding=layer.kernel_size // 2,
                padding_mode="reflect",
                bias=layer.bias,
            )
        case description.InstanceNorm():
            return InstanceNorm(layer.channels)
        case description.Relu():
            return nn.ReLU(inplace=True)
        case description.Sigmoid():
            return nn.Sigmoid()
        case description.PixelUnshuffle():
            return nn.PixelUnshuffle(layer.factor)
        case description.Upsample():
            return nn.Upsample(scale_factor=layer.factor, mode="nearest")
        case description.SmoothUpsampleConv():
            return SmoothUpsampleConv(layer.in_channels, layer.out_channels)
        case _:
            assert_never(layer)


class Chain(nn.Sequential):
    """Layers in turn; the statistics go to those that hold a normalization."""

    def __init__(self, layers: description.Sequence | description.Residual) -> None:
        super().__init__()
        for name, layer in layers.layers:
            self.add_module(name, build_layer(layer))

    def forward(self, hidden: Tensor, statistics: StatisticsSource | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, C, H, W) through all layers."""
        for layer in self:
            takes_statistics = isinstance(layer, Chain | InstanceNorm)
            hidden = layer(hidden, statistics) if takes_statistics else layer(hidden)
        return hidden


class Residual(Chain):
    """Layers whose result is added to their input."""

    def forward(self, hidden: Tensor, statistics: StatisticsSource | None = None) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return hidden + super().forward(hidden, statistics)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalization (Ulyanov et al. 2016, arXiv 1607.08022), by its own statistics or by those handed in."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, hidden: Tensor, statistics: StatisticsSource | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, C, H, W) to the same shape; None: normalized by what is measured on `hidden`, as torch does it."""
        if statistics is None:
            # The same as instance_norm: each channel a group. On CPUs a step of training takes a fifth less with it.
            return functional.group_norm(hidden, self.num_features, self.weight, self.bias, self.eps)
        mean, variance = statistics.choose(hidden)
        scale = self.weight[:, None, None] * torch.rsqrt(variance + self.eps)
        return hidden * scale + (self.bias[:, None, None] - mean * scale)


class SmoothUpsampleConv(nn.Module):
    """See `description.SmoothUpsampleConv`.

    At 640x360 from 16 to 8 channels this takes 8 ms instead of 27 on two CPU cores (forward and backward alike). Unlike
    that of `interpolate`, its gradient is deterministic on CUDA.

    Attributes:
        weight: (out, in, 3, 3), the kernel at the larger size.
    """

    shares: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Conv2d(in_channels, out_channels, 3, bias=False).weight.detach())
        self.register_buffer("shares", torch.tensor(description.SmoothUpsampleConv.SHARES), persistent=False)

    def build_kernels(self) -> Tensor:
        """(4 * out, in, 3, 3): the kernels at the smaller size, each channel's four in the order of pixel-shuffle."""
        return torch.einsum("oikl,pky,qlx->opqiyx", self.weight, self.shares, self.shares).flatten(0, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, 2H, 2W)."""
        padded = functional.pad(hidden, (1, 1, 1, 1), mode="reflect")
        return functional.pixel_shuffle(functional.conv2d(padded, self.build_kernels()), 2)


class InputNoise(nn.Module):
    """Adds the fixed noise of `input_noise` to photos.

    Args:
        strength: standard deviation, where colors are in [0, 1]. 0: none.
    """

    row_frequencies: Tensor
    row_phases: Tensor
    column_frequencies: Tensor
    column_phases: Tensor
    cosines: Tensor

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength
        for name, values in vars(build_noise_waves(strength)).items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, photos: Tensor, origin: Tensor | None = None) -> Tensor:
        """Add the noise to photos, (B, 3, H, W) in [0, 1]; the result reaches a little beyond that.

        Args:
            origin: where the first pixel lies, (2,), int64, down and right in pixels. None: at (0, 0).
        """
        if not self.strength:
            return photos
        down, right = (0, 0) if origin is None else origin
        rows = self._waves_along(photos.shape[2], down, self.row_frequencies, self.row_phases)
        columns = self._waves_along(photos.shape[3], right, self.column_frequencies, self.column_phases)
        return photos + (rows @ columns.T).to(photos.dtype)

    def _waves_along(self, side: int, start: int | Tensor, frequencies: Tensor, phases: Tensor) -> Tensor:
        positions = torch.arange(side, device=frequencies.device) + start
        return self.cosines[(positions[:, None] * frequencies + phases) % PERIOD]
