"""An exported network against the one in PyTorch."""

from collections.abc import Callable

import numpy as np
import torch

from nst_fast.transform_nets import TransformNet
from nst_fast.transform_nets.painter import Painter

# Batch, height, width: multiples of the stride and not, several pictures, a side of the least size.
_SIZES = ((1, 64, 96), (2, 61, 83), (1, 8, 50))


def measure_difference(run: Callable[[np.ndarray], np.ndarray], network: TransformNet, *, pixels: bool) -> float:
    """The largest difference on pictures of noise of several sizes, in levels of 255."""
    painter = Painter(network, pixels=pixels)
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for count, height, width in _SIZES:
        pictures = torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)
        if not pixels:
            pictures = pictures.permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            expected = painter(pictures).numpy()
        difference = np.abs(run(pictures.numpy()).astype(float) - expected).max()
        largest = max(largest, float(difference) * (1 if pixels else 255))
    return largest
