"""The image transformation network of Johnson, Alahi and Fei-Fei 2016 (arXiv 1603.08155, supplement, table 1)."""

from torch import Tensor, nn

from nst_fast.errors import SettingError
from nst_fast.transform_nets.grain import Grain
from nst_fast.transform_nets.layers import ConvNorm, ResidualBlock, ToColours, UpsampleConvNorm
from nst_fast.transform_nets.statistics import Chain, StatisticsSource


class JohnsonNet(nn.Module):
    """c9s1-w, d2w, d4w, five residual blocks R4w, u2w, uw, c9s1-3, with w = width.

    Differs from the paper in what its authors and others found better since: instance instead of batch
    normalisation, nearest-neighbour upsampling before convolutions instead of stride 1/2, and reflection padding in
    every layer instead of 40 pixels around the photo, so the size is kept.

    At width 32: 1.68 M parameters, about 308 thousand floating-point operations a pixel.

    Args:
        width: channels of the first layer; 32 in the paper.
        grain: strength of the noise that is added to the photo, see `Grain`; none in the paper.
    """

    stride = 4  # sides must be multiples of it
    min_side = 8  # a reflection needs two positions at a quarter of the size

    def __init__(self, width: int = 32, grain: float = 0.0) -> None:
        super().__init__()
        if width < 1:
            raise SettingError(f"transform_net.width is {width}; it must be at least 1")
        self.arguments = {"width": width, "grain": grain}
        self.grain = Grain(grain)
        self.encoder = Chain(
            ConvNorm(3, width, 9), ConvNorm(width, 2 * width, 3, stride=2), ConvNorm(2 * width, 4 * width, 3, stride=2)
        )
        self.residual = Chain(*(ResidualBlock(4 * width) for _ in range(5)))
        self.decoder = Chain(
            UpsampleConvNorm(4 * width, 2 * width),
            UpsampleConvNorm(2 * width, width),
            ToColours(width, 9),
        )

    def forward(
        self, photos: Tensor, statistics: StatisticsSource | None = None, origin: Tensor | None = None
    ) -> Tensor:
        """Photos to painted pictures: (B, 3, H, W), RGB in [0, 1], H and W multiples of 4, to the same shape.

        Args:
            statistics: of the normalisations, see `paint_with_statistics`. None: measured on each photo.
            origin: of the photos in the pictures that they are tiles of, see `Grain`.
        """
        hidden = self.residual(self.encoder(self.grain(photos, origin), statistics), statistics)
        return self.decoder(hidden, statistics)
