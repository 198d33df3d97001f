"""Grid artifacts: patterns that repeat every four pixels. No style image has them, but networks tend to make them."""

import math

import torch
from torch import Tensor

from nst_fast.losses.scaling import in_full_precision

PERIOD = 4  # pixels
# Pixels. In a window this long an edge of the photo has little of its power at any one frequency, a grid has all of it.
_WINDOW = 64


def grid_power(image: Tensor) -> Tensor:
    """The part of the color variance that is in waves of four or two pixels: vertical, horizontal, or both.

    A network that works at half and at a quarter of the resolution can alternate from one position to the next. That is
    its cheapest fine texture, and Gram matrices, which ignore positions, take it for brush strokes. Close up, you see a
    screen of dots or lines.

    The waves are measured by Fourier coefficients in Hann windows of 64 pixels that overlap by half, then averaged.

    Args:
        image: shape (B, 3, H, W), RGB in [0, 1].

    Returns:
        (B,), in at least float32, summed over the colors; 0 for images smaller than a window.
    """
    with torch.autocast(image.device.type, enabled=False):
        image = in_full_precision(image)
        if min(image.shape[2:]) < _WINDOW:
            return image.sum((1, 2, 3)) * 0
        places = torch.arange(_WINDOW, dtype=image.dtype, device=image.device)
        window = torch.hann_window(_WINDOW, dtype=image.dtype, device=image.device)
        quarter = 2 * math.pi / PERIOD * places
        # A wave a cos(x + b) has the coefficients a/2 cos b and a/2 sin b, and the power a^2/2. The shortest wave, of
        # two pixels, has one coefficient, a, and the power a^2.
        waves = torch.stack(
            [torch.ones_like(places), 2**0.5 * quarter.cos(), 2**0.5 * quarter.sin(), (2 * quarter).cos()]
        )
        waves = waves * window / window.sum()
        # Down, then across: (B, 3, windows down, W, 4), then (B, 3, windows down, windows across, 4, 4).
        down = image.unfold(2, _WINDOW, _WINDOW // 2) @ waves.T
        powers = (down.unfold(3, _WINDOW, _WINDOW // 2) @ waves.T).square()
        return (powers.sum((-2, -1)) - powers[..., 0, 0]).sum(1).mean((1, 2))
