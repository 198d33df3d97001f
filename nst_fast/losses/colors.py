"""The color loss: whether a stylized image has the palette of the style image, rare colors too.

Means and covariances of deep features leave colors to chance: where most of a painting is gray, a gray image is cheap.
So the distributions of colors are compared themselves, by a sliced Wasserstein distance (Heitz et al. 2021, arXiv
2006.07229, there of features): colors are projected on some directions, sorted, and compared rank by rank.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nst_fast.losses.scaling import in_full_precision

# Colors are averages over 2x2 pixels; a palette keeps so many of them.
_SQUARE, _COLORS = 2, 8192
_RANKS = 64
# The least deviation of colors along an axis, so that the noise of a gray image does not count as color.
_LEAST_DEVIATION = 0.03
# All directions between opposite faces, edges and corners of a cube.
_DIRECTIONS = [
    *((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    *((1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)),
    *((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)),
]


class Palette(NamedTuple):
    """The colors of one style image, or of one for each image of a batch, and what the loss knows of them.

    Attributes:
        colors: (1 or B, 8192, 3), RGB in [0, 1], evenly spread over the image.
        mean: (1 or B, 1, 3).
        projection: (1 or B, 3, 13), to directions in which the colors have a variance of 1 and are uncorrelated.
        projected: (1 or B, 64, 13), the sorted projections, averaged over each 64th of them.
    """

    colors: Tensor
    mean: Tensor
    projection: Tensor
    projected: Tensor


@torch.no_grad()
def measure_palette(style_images: Tensor) -> Palette:
    """The palette of a style image, (1, 3, H, W), RGB in [0, 1]."""
    return _build_palette(sample_colors(list_colors(style_images), _COLORS))


@torch.no_grad()
def mix_palettes(palettes: Sequence[Palette], shares: Sequence[float]) -> Palette:
    """The palette of one canvas on which each of these covers its share; the shares add up to 1."""
    kept = [(one.colors, round(share * _COLORS)) for one, share in zip(palettes, shares, strict=True)]
    return _build_palette(torch.cat([sample_colors(colors, count) for colors, count in kept], dim=1))


def compare_colors(colors: Tensor, palette: Palette) -> Tensor:
    """The color loss of stylized images.

    Args:
        colors: (B, N, 3), of B images, from `list_colors`.
        palette: of the style image, or one for each image.

    Returns:
        (B,): the mean over directions and ranks of the squared difference of sorted projections. 1 for an image that
        has the palette's mean color everywhere.
    """
    # Matrix products would be rounded to half precision under autocast.
    with torch.autocast(colors.device.type, enabled=False):
        projected = (colors - palette.mean) @ palette.projection
        return (_average_by_rank(projected) - palette.projected).square().mean((1, 2))


def stack_palettes(palettes: Sequence[Palette]) -> Palette:
    """One palette for each image of a batch."""
    return Palette(*(torch.cat(parts) for parts in zip(*palettes, strict=True)))


def _build_palette(colors: Tensor) -> Palette:
    directions = torch.tensor(_DIRECTIONS, dtype=colors.dtype, device=colors.device)
    directions = (directions / directions.norm(dim=1, keepdim=True)).mT
    with torch.autocast(colors.device.type, enabled=False):
        mean = colors.mean(1, keepdim=True)
        around = colors - mean
        values, axes = torch.linalg.eigh(around.mT @ around / colors.shape[1])
        projection = axes / values.clamp(min=_LEAST_DEVIATION**2).sqrt()[:, None] @ directions
        return Palette(colors, mean, projection, _average_by_rank(around @ projection))


def list_colors(images: Tensor) -> Tensor:
    """The colors of images, (B, 3, H, W), RGB in [0, 1]: (B, N, 3), averaged over squares of 2x2 pixels."""
    images = in_full_precision(images)
    return avg_pool2d(images, [min(_SQUARE, side) for side in images.shape[2:]]).flatten(2).mT


def _average_by_rank(projected: Tensor) -> Tensor:
    """(B, N, D) to (B, 64, D): sorted, and averaged over each 64th of the ranks."""
    ordered = projected.sort(1).values
    count = -(-ordered.shape[1] // _RANKS) * _RANKS
    return sample_colors(ordered, count).unflatten(1, (_RANKS, -1)).mean(2)


def sample_colors(colors: Tensor, count: int) -> Tensor:
    """`count` of N colors, evenly spread: (B, N, 3) to (B, count, 3); where there are fewer, some several times."""
    places = (torch.arange(count, device=colors.device) + 0.5) * colors.shape[1] / count
    return colors[:, places.long()]
