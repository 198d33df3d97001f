"""Lattices: what repeats every four pixels, which no painting does and a network is tempted to."""

import math

import torch
from torch import Tensor

from nst_fast.losses.normalisation import in_full_precision

PERIOD = 4  # pixels
# Pixels. In so long a window an edge of the photo has little of its power at any one frequency, a lattice all of it.
_WINDOW = 64


def lattice_power(image: Tensor) -> Tensor:
    """The variance of the colours that is in waves of four or two pixels straight down, across, or both.

    A network that works at half and at a quarter of the resolution can alternate from one position to the next there.
    That is its cheapest fine texture, and the Gram matrices, which do not know where anything is, take it for brush
    strokes. Seen from near it is a screen of dots or lines.

    Measured by Fourier coefficients in Hann windows of 64 pixels, half overlapping, and averaged over them.

    Args:
        image: shape (B, 3, H, W), RGB in [0, 1].

    Returns:
        A scalar in at least float32, summed over the colours; 0 for pictures smaller than a window.
    """
    with torch.autocast(image.device.type, enabled=False):
        image = in_full_precision(image)
        if min(image.shape[2:]) < _WINDOW:
            return image.sum() * 0
        places = torch.arange(_WINDOW, dtype=image.dtype, device=image.device)
        window = torch.hann_window(_WINDOW, dtype=image.dtype, device=image.device)
        quarter = 2 * math.pi / PERIOD * places
        # A wave a cos(x + b) has the coefficients a/2 cos b, a/2 sin b and the power a^2/2; the shortest, of which a
        # half is two pixels, has one coefficient, a, and the power a^2.
        waves = torch.stack(
            [torch.ones_like(places), 2**0.5 * quarter.cos(), 2**0.5 * quarter.sin(), (2 * quarter).cos()]
        )
        waves = waves * window / window.sum()
        # Down, then across: (B, 3, windows down, W, 4), then (B, 3, windows down, windows across, 4, 4).
        down = image.unfold(2, _WINDOW, _WINDOW // 2) @ waves.T
        powers = (down.unfold(3, _WINDOW, _WINDOW // 2) @ waves.T).square()
        return (powers.sum((-2, -1)) - powers[..., 0, 0]).sum(1).mean()
