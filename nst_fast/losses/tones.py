"""Tones: what is dark in the photo becomes one of the dark tones of the style image.

A tone is a luminance, averaged over squares of 4x4 pixels. The *rank* of a place in a photo, in [0, 1], says how light
it is among photos. The monotone transport of the photos' tones to those of the style image gives the tone that the
stylized image should have there. And ranks divide an image into three *bands* of tone, in each of which the style loss
compares dark places with the dark places of the style image, and light ones with the light ones: guidance channels
(Gatys et al. 2017, arXiv 1611.07865), with tones as regions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_fast.errors import ImageError
from nst_fast.losses.scaling import in_full_precision

SQUARE = 4  # pixels
BANDS = 3
# The tone loss compares means over so many squares a side, 32 pixels: within them, strokes may be light and dark.
_STROKES = 8
_QUANTILES = 65
# Keeps a photo of low contrast from being stretched to all tones.
_LEAST_DEVIATION = 0.08


def measure_tones(images: Tensor) -> Tensor:
    """The luminance of each square: (B, 3, H, W), RGB in [0, 1], to (B, 1, H // 4, W // 4) in [0, 1].

    A side of less than 4 pixels counts as one square.
    """
    images = in_full_precision(images)
    luminance = 0.299 * images[:, :1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:]
    return F.avg_pool2d(luminance, [min(SQUARE, side) for side in luminance.shape[2:]])


def measure_tone_curve(tones: Tensor) -> Tensor:
    """The quantiles of tones at the ranks 0, 1/64, ..., 1, made strictly increasing: any shape to (65,)."""
    ranks = torch.linspace(0, 1, _QUANTILES, device=tones.device)
    # By sorting, since torch.quantile refuses more than 16 million values.
    ordered = tones.flatten().float().sort().values
    curve = ordered[(ranks * (len(ordered) - 1)).round().long()]
    return curve + ranks * 1e-4


def interpolate_curve(values: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """Where the piecewise linear curve through (starts, ends) takes `values`; it is level beyond its ends.

    Args:
        values: (B, ...).
        starts: increasing, (N,) or (B, N).
        ends: (N,) or (B, N).
    """
    flat = values.flatten(1)
    starts, ends = (side.expand(len(flat), -1).contiguous() for side in (starts, ends))
    place = torch.searchsorted(starts, flat.contiguous(), right=True).clamp(1, starts.shape[1] - 1)
    left, right = starts.gather(1, place - 1), starts.gather(1, place)
    share = ((flat - left) / (right - left)).clamp(0, 1)
    return torch.lerp(ends.gather(1, place - 1), ends.gather(1, place), share).view_as(values)


class PhotoTones:
    """The tones of photos at large, by which places in a photo are ranked.

    Half of a rank is that of the tone among all photos. The other half is the place in the photo's own range, because a
    network with instance normalization hardly knows how light a whole photo is.

    Args:
        photos: (N, 3, H, W), RGB in [0, 1]: a sample, on the device where the ranks are wanted.

    Raises:
        ImageError: there is no photo.
    """

    def __init__(self, photos: Tensor) -> None:
        if not len(photos):
            raise ImageError("there is no photo to measure tones on; give at least one")
        self._ranks = torch.linspace(0, 1, _QUANTILES, device=photos.device)
        tones = measure_tones(photos)
        self._curve = measure_tone_curve(tones)
        self._mixed_curve = measure_tone_curve(self._mix(tones))

    def rank(self, photos: Tensor) -> Tensor:
        """The rank of each square of photos (B, 3, H, W), RGB in [0, 1]: (B, 1, H // 4, W // 4) in [0, 1]."""
        # The mean of two ranks is not spread evenly, so it is ranked once more.
        return interpolate_curve(self._mix(measure_tones(photos)), self._mixed_curve, self._ranks)

    def _mix(self, tones: Tensor) -> Tensor:
        among_all = interpolate_curve(tones, self._curve, self._ranks)
        deviation, mean = torch.std_mean(tones, (1, 2, 3), keepdim=True, correction=0)
        within = torch.special.ndtr((tones - mean) / (deviation + _LEAST_DEVIATION))
        return (among_all + within) / 2


def rank_style_tones(style_images: Tensor) -> tuple[Tensor, Tensor]:
    """The ranks of a style image's own squares, (1, 1, H // 4, W // 4), and its tone curve, (1, 65).

    Args:
        style_images: (1, 3, H, W), RGB in [0, 1].
    """
    tones = measure_tones(style_images)
    curve = measure_tone_curve(tones)
    return interpolate_curve(tones, curve, torch.linspace(0, 1, _QUANTILES, device=tones.device)), curve[None]


def tone_loss(stylized: Tensor, ranks: Tensor, curves: Tensor, *, symmetric: bool = False) -> Tensor:
    """How far the tones of stylized images are from those that the photos' ranks ask for.

    Args:
        stylized: (B, 3, H, W), RGB in [0, 1].
        ranks: (B, 1, H // 4, W // 4) of the photos, from `PhotoTones.rank`.
        curves: (1 or B, 65), the tone curves of the style images.
        symmetric: True: the variance is the mean of the curve's and of that of the stylized image's tones around the
            curve's mean, for the reason that `moment_loss` gives.

    Returns:
        (B,): the mean squared difference between means over 32x32 pixels, half overlapping, divided by the variance of
        the curve. At most about 1 for an image that has the mean tone of the style image everywhere. A style image of
        hardly any contrast counts as one with a deviation of 0.03.
    """
    wanted = interpolate_curve(ranks, torch.linspace(0, 1, curves.shape[1], device=curves.device), curves)
    variance, tones = curves.var(1, correction=0), measure_tones(stylized)
    if symmetric:
        around = tones - curves.mean(1)[:, None, None, None]
        variance = (variance + around.square().mean((1, 2, 3))) / 2
    difference = F.avg_pool2d(tones - wanted, [min(_STROKES, side) for side in tones.shape[2:]], stride=_STROKES // 2)
    return difference.square().mean((1, 2, 3)) / variance.clamp(min=1e-3)


def weigh_bands(ranks: Tensor, height: int, width: int) -> Tensor:
    """How much each place belongs to the dark, the middle and the light band: (B, 3, height, width), summing to 1.

    Args:
        ranks: (B, 1, h, w) in [0, 1]; resized to this height and width.
    """
    resized = F.interpolate(ranks, (height, width), mode="bilinear", align_corners=False)
    centers = (torch.arange(BANDS, device=ranks.device, dtype=ranks.dtype) + 0.5) / BANDS
    resized = resized.clamp(0.5 / BANDS, 1 - 0.5 / BANDS)
    return (1 - BANDS * (resized - centers.view(1, -1, 1, 1)).abs()).clamp(min=0)
