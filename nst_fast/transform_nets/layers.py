"""The pieces that the image transformation networks are built from."""

from torch import Tensor, nn

from nst_fast.transform_nets.statistics import Chain, InstanceNorm, Statistics


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

    def forward(self, hidden: Tensor, statistics: Statistics | None = None) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return hidden + self.second(self.first(hidden, statistics), statistics)


class UpsampleConvNorm(Chain):
    """Twice the size, then a convolution: no checkerboards (Odena et al. 2016, Distill).

    Args:
        mode: `nearest` or `bilinear`.
    """

    def __init__(self, in_channels: int, out_channels: int, mode: str) -> None:
        align_corners = False if mode == "bilinear" else None
        super().__init__(
            nn.Upsample(scale_factor=2, mode=mode, align_corners=align_corners), ConvNorm(in_channels, out_channels, 3)
        )


class ToColours(nn.Sequential):
    """The last convolution, to RGB in (0, 1).

    Johnson et al. 2016 end in a scaled tanh; the sigmoid is the same curve for colours in [0, 1].
    """

    def __init__(self, in_channels: int, kernel_size: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, 3, kernel_size, padding=kernel_size // 2, padding_mode="reflect"), nn.Sigmoid()
        )
