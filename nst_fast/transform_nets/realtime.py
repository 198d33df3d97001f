"""A small image transformation network that works at a quarter of the resolution from the first layer on."""

from torch import Tensor, nn

from nst_fast.errors import SettingError
from nst_fast.transform_nets.layers import ConvNorm, ResidualBlock, ToColours, UpsampleConvNorm
from nst_fast.transform_nets.statistics import Chain, Statistics


class RealtimeNet(nn.Module):
    """Pixel-unshuffle 4, 3x3 to w, five residual blocks at w, up to w/2, up to w/4, 3x3 to RGB, with w = width.

    The shape of Johnson et al. 2016 with the costly ends taken off: their two 9x9 convolutions at full
    resolution and the downsampling become one rearrangement of pixels, which loses nothing.

    Upsampling is bilinear. The highest frequency at a quarter of the resolution, an alternation from one position to
    the next, is what so small a network fills flat areas with most easily; after nearest-neighbour upsampling it was
    seen as a grid of dots 8 pixels apart.

    At width 32: 0.11 M parameters, about 18 thousand floating-point operations a pixel.

    Args:
        width: channels at a quarter of the resolution; a multiple of 4.
    """

    stride = 4  # sides must be multiples of it
    min_side = 8  # a reflection needs two positions at a quarter of the size

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        if width < 4 or width % 4:
            raise SettingError(f"transform_net.width is {width}; it must be a multiple of 4, such as 32")
        self.arguments = {"width": width}
        self.encoder = Chain(nn.PixelUnshuffle(4), ConvNorm(48, width, 3))
        self.residual = Chain(*(ResidualBlock(width) for _ in range(5)))
        self.decoder = Chain(
            UpsampleConvNorm(width, width // 2, "bilinear"),
            UpsampleConvNorm(width // 2, width // 4, "bilinear"),
            ToColours(width // 4, 3),
        )

    def forward(self, photos: Tensor, statistics: Statistics | None = None) -> Tensor:
        """Photos to painted pictures: (B, 3, H, W), RGB in [0, 1], H and W multiples of 4, to the same shape.

        Args:
            statistics: of the normalisations, see `paint_with_statistics`. None: measured on each photo.
        """
        hidden = self.residual(self.encoder(photos, statistics), statistics)
        return self.decoder(hidden, statistics)
