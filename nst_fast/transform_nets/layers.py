"""The pieces that the image transformation networks are built from."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst_fast.transform_nets.statistics import Chain, InstanceNorm, StatisticsSource


class ConvNorm(Chain):
    """Reflection padding, convolution and instance normalisation, then perhaps a ReLU.

    Reflection padding leaves no dark border (zeros would). The convolution has no bias: the normalisation would take
    it off again.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, relu: bool = True
    ) -> None:
        parts: list[nn.Module] = [
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding=kernel_size // 2,
                padding_mode="reflect",
                bias=False,
            ),
            InstanceNorm(out_channels),
        ]
        if relu:
            parts.append(nn.ReLU(inplace=True))
        super().__init__(*parts)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to what came in; no ReLU after the addition (Johnson et al. 2016, supplement)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3)
        self.second = ConvNorm(channels, channels, 3, relu=False)

    def forward(self, hidden: Tensor, statistics: StatisticsSource | None = None) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return hidden + self.second(self.first(hidden, statistics), statistics)


class UpsampleConvNorm(Chain):
    """Each position four times, then a convolution: no checkerboards (Odena et al. 2016, Distill)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.Upsample(scale_factor=2, mode="nearest"), ConvNorm(in_channels, out_channels, 3))


class SmoothUpsampleConv(nn.Module):
    """Bilinear upsampling to twice the size and a 3x3 convolution without bias, in one step.

    Both are linear, so each pixel of a 2x2 square of the result is some 3x3 convolution of what comes in. Computing
    those four and interleaving them takes as many operations on a quarter of the positions with four times the
    channels, which suits processors far better where channels are few: at 640x360 from 16 to 8 channels 8 ms instead
    of 27 on two CPU cores (forward and backward alike). Unlike that of `interpolate`, its gradient is deterministic on
    CUDA. It reflects before the upsampling, so the outermost row and column differ from `interpolate` and a padded
    convolution.

    Attributes:
        weight: (out, in, 3, 3), the kernel at the larger size.
    """

    # By parity of the position in the result and tap of the kernel there: the shares of the three taps before.
    _SHARES = (
        ((0.75, 0.25, 0), (0.25, 0.75, 0), (0, 0.75, 0.25)),
        ((0.25, 0.75, 0), (0, 0.75, 0.25), (0, 0.25, 0.75)),
    )

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Conv2d(in_channels, out_channels, 3, bias=False).weight.detach())
        self.register_buffer("shares", torch.tensor(self._SHARES), persistent=False)

    def build_kernels(self) -> Tensor:
        """(4 * out, in, 3, 3): the kernels at the smaller size, each channel's four in the order of pixel-shuffle."""
        return torch.einsum("oikl,pky,qlx->opqiyx", self.weight, self.shares, self.shares).flatten(0, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, 2H, 2W)."""
        padded = functional.pad(hidden, (1, 1, 1, 1), mode="reflect")
        return functional.pixel_shuffle(functional.conv2d(padded, self.build_kernels()), 2)


class SmoothUpsampleConvNorm(Chain):
    """Bilinear upsampling to twice the size, convolution, instance normalisation and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            SmoothUpsampleConv(in_channels, out_channels), InstanceNorm(out_channels), nn.ReLU(inplace=True)
        )


class ToColours(nn.Sequential):
    """The last convolution, to RGB in (0, 1).

    Johnson et al. 2016 end in a scaled tanh; the sigmoid is the same curve for colours in [0, 1].
    """

    def __init__(self, in_channels: int, kernel_size: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, 3, kernel_size, padding=kernel_size // 2, padding_mode="reflect"), nn.Sigmoid()
        )
