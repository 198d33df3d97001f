"""An exported network against one that is known to be right."""

from collections.abc import Callable, Sequence

import numpy as np

# Batch, height, width: multiples of the stride and not, several images, a side of the least size.
MANY_SIZES = ((1, 64, 96), (2, 61, 83), (1, 8, 50))

Run = Callable[[np.ndarray], np.ndarray]


def measure_difference(
    run: Run, expected: Run, *, pixels: bool, sizes: Sequence[tuple[int, int, int]] = MANY_SIZES
) -> float:
    """The largest difference on images of noise of several sizes, in levels of 255.

    Args:
        run, expected: from images to stylized images of the same shape: with `pixels` (B, H, W, 3) uint8, else
            (B, 3, H, W) float32 in [0, 1].
        sizes: B, H and W of each batch.
    """
    random = np.random.default_rng(0)
    largest = 0.0
    for count, height, width in sizes:
        images = random.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
        if not pixels:
            images = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(255)
        difference = np.abs(run(images).astype(float) - expected(images)).max()
        largest = max(largest, float(difference) * (1 if pixels else 255))
    return largest
