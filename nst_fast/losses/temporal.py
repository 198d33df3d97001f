"""The temporal loss: what moves in the photo must move in the stylized image, and nothing else.

Trained without films, by compound regularization (Wang et al. 2020, ReReVST, section 3.2): the second frame is the
first one, moved and with fresh noise. It is compared with the first result, moved in the same way.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_fast.losses.scaling import in_full_precision

_LARGEST_SHIFT = 9.0  # pixels
_LARGEST_BEND = 3.0  # pixels; its standard deviation is about half of that
_SENSOR_NOISE = 2 / 255


class Motion(NamedTuple):
    """How each of several photos moves.

    Attributes:
        sources: (B, H, W, 2), float32: where, in pixels down and right, each pixel of the second frame comes from,
            relative to itself.
        camera: (B, 2), int64: how far the camera moved, down and right in pixels.
    """

    sources: Tensor
    camera: Tensor


def draw_motion(photos: Tensor, generator: torch.Generator) -> Motion:
    """A random motion for each photo.

    Half of them are shifts by whole pixels, mostly no multiples of a network's stride, with which strokes tend to
    shimmer. The others are shifts by any amount, bent smoothly.

    Args:
        photos: (B, 3, H, W); only their shape and device count.
        generator: on the CPU.
    """
    batch, _, height, width = photos.shape
    shift = (torch.rand(batch, 1, 1, 2, generator=generator) * 2 - 1) * _LARGEST_SHIFT
    bends = torch.randn(batch, 2, 5, 5, generator=generator) * (_LARGEST_BEND / 2)
    bent = F.interpolate(bends, (height, width), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    is_whole = torch.rand(batch, 1, 1, 1, generator=generator) < 0.5
    sources = torch.where(is_whole, shift.round().expand_as(bent), shift + bent)
    return Motion(sources.to(photos.device), shift.round().long().view(batch, 2).to(photos.device))


def move(images: Tensor, motion: Motion) -> Tensor:
    """Images (B, C, H, W), moved by `draw_motion`'s motion; cubic between pixels, mirrored beyond the border."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device).view(1, -1, 1) + motion.sources[..., 0]
    columns = torch.arange(width, device=images.device).view(1, 1, -1) + motion.sources[..., 1]
    grid = torch.stack([columns * (2 / (width - 1)) - 1, rows * (2 / (height - 1)) - 1], 3)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=True)


def film_next_frame(photos: Tensor, motion: Motion, generator: torch.Generator) -> Tensor:
    """The second frame: photos (B, 3, H, W), RGB in [0, 1], moved, with the noise of a camera.

    Args:
        generator: of the noise, on the device of the photos.
    """
    noise = torch.randn(photos.shape, generator=generator, device=photos.device) * _SENSOR_NOISE
    return (move(photos, motion) + noise).clamp(0, 1)


def temporal_loss(first: Tensor, second: Tensor, motion: Motion) -> Tensor:
    """The mean absolute difference along the motion, where both frames show the same.

    Args:
        first, second: stylized frames, (B, 3, H, W), RGB in [0, 1].
        motion: from the first to the second.

    Returns:
        (B,), in at least float32. Only what lies farther from the border than the longest motion counts: 0 for images
        whose sides are not longer than twice that, 36 pixels.
    """
    height, width = first.shape[2:]
    margin = int(_LARGEST_SHIFT + 3 * _LARGEST_BEND)
    inner = slice(margin, height - margin), slice(margin, width - margin)
    with torch.autocast(first.device.type, enabled=False):
        difference = (in_full_precision(second) - move(in_full_precision(first), motion)).abs()
        if min(height, width) <= 2 * margin:
            return difference.sum((1, 2, 3)) * 0
        return difference[:, :, inner[0], inner[1]].mean((1, 2, 3))
