"""A small image transformation network that works at a quarter of the resolution from the first layer on."""

from torch import Tensor, nn

from nst_fast.errors import SettingError
from nst_fast.transform_nets.grain import Grain
from nst_fast.transform_nets.layers import ConvNorm, ResidualBlock, SmoothUpsampleConvNorm, ToColours, UpsampleConvNorm
from nst_fast.transform_nets.statistics import Chain, StatisticsSource


class RealtimeNet(nn.Module):
    """Most of the work at a quarter of the resolution, the fine strokes at half of it; with w = width:

    pixel-unshuffle 4, 3x3 to w, three residual blocks at w; up to half, 3x3 to w/2, two residual blocks at w/2;
    up to full and 3x3 to w/4, 3x3 to RGB.

    The shape of Johnson et al. 2016 with the costly ends taken off: their two 9x9 convolutions at full
    resolution and the downsampling become one rearrangement of pixels, which loses nothing.

    The residual blocks at half resolution are there for flat areas. A network fills these with the finest texture
    that it can make; with all blocks at a quarter of the resolution that was an alternation from one position to the
    next, seen as a lattice of dots 8 pixels apart. Half of the resolution leaves room for irregular strokes, and the
    bilinear upsampling behind it hides its own alternations.

    At width 32: 0.08 M parameters, about 18 thousand floating-point operations a pixel.

    Args:
        width: channels at a quarter of the resolution; a multiple of 4.
        grain: strength of the noise that is added to the photo, see `Grain`.
    """

    stride = 4  # sides must be multiples of it
    min_side = 8  # a reflection needs two positions at a quarter of the size

    def __init__(self, width: int = 32, grain: float = 0.0) -> None:
        super().__init__()
        if width < 4 or width % 4:
            raise SettingError(f"transform_net.width is {width}; it must be a multiple of 4, such as 32")
        self.arguments = {"width": width, "grain": grain}
        self.grain = Grain(grain)
        self.encoder = Chain(nn.PixelUnshuffle(4), ConvNorm(48, width, 3))
        self.strokes = Chain(*(ResidualBlock(width) for _ in range(3)))
        self.fine_strokes = Chain(UpsampleConvNorm(width, width // 2), *(ResidualBlock(width // 2) for _ in range(2)))
        self.decoder = Chain(SmoothUpsampleConvNorm(width // 2, width // 4), ToColours(width // 4, 3))

    def forward(
        self, photos: Tensor, statistics: StatisticsSource | None = None, origin: Tensor | None = None
    ) -> Tensor:
        """Photos to painted pictures: (B, 3, H, W), RGB in [0, 1], H and W multiples of 4, to the same shape.

        Args:
            statistics: of the normalisations, see `paint_with_statistics`. None: measured on each photo.
            origin: of the photos in the pictures that they are tiles of, see `Grain`.
        """
        hidden = self.strokes(self.encoder(self.grain(photos, origin), statistics), statistics)
        return self.decoder(self.fine_strokes(hidden, statistics), statistics)
