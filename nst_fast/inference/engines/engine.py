"""What every engine does."""

from typing import Protocol

import numpy as np
from torch import Tensor


class Engine(Protocol):
    """Runs one network; for one thread at a time."""

    def paint_images(self, images: Tensor) -> Tensor:
        """Paint (B, 3, H, W), H, W >= 1, float in [0, 1], on any device; the same shape, float32, on some device."""
        ...

    def paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Paint (B, H, W, 3), H, W >= 1, uint8; the same shape and dtype, in an array of its own."""
        ...

    def paint_pixels_with_statistics(
        self, pixels: np.ndarray, given: np.ndarray | None, share: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paint as `paint_pixels`, by given and measured statistics, see `paint_with_statistics`.

        Args:
            given: float32, (B or 1, 2, total channels), as an earlier call returned it. None: only where share is 1.

        Returns:
            The paintings, and the statistics that were used.
        """
        ...
