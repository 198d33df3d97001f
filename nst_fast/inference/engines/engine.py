"""What every engine does."""

from collections.abc import Generator, Iterable
from typing import Protocol

import numpy as np
from torch import Tensor

# A frame of a film, (H, W, 3), uint8; and whether what was before it does not count, as at a scene cut.
FilmFrame = tuple[np.ndarray, bool]


class Engine(Protocol):
    """Runs one network; for one thread at a time."""

    def paint_images(self, images: Tensor) -> Tensor:
        """Paint (B, 3, H, W), H, W >= 1, float in [0, 1], on any device; the same shape, float32, on some device."""
        ...

    def paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Paint (B, H, W, 3), H, W >= 1, uint8; the same shape and dtype, in an array of its own."""
        ...

    def paint_pixels_with_statistics(
        self, pixels: np.ndarray, given: np.ndarray | None, share: float, origin: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paint as `paint_pixels`, by given and measured statistics, see `paint_with_statistics`.

        Args:
            origin: of the pixels in the picture that they are a tile of, down and right. None: it is the picture.
            given: float32, (B or 1, 2, total channels), as an earlier call returned it. None: only where share is 1.

        Returns:
            The paintings, and the statistics that were used.
        """
        ...

    def paint_frames(self, frames: Iterable[FilmFrame], share: float) -> Generator[np.ndarray, None, None]:
        """Paint the frames of a film, all of one size, in order and each in an array of its own.

        Args:
            share: of what is measured on a frame in the statistics; the rest is what the frame before used.
        """
        ...


def paint_next_frame(
    engine: Engine, pixels: np.ndarray, used: np.ndarray | None, share: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Paint one frame of a film, (H, W, 3), by what is measured on it, mixed with what the frame before used.

    Args:
        used: for the frame before, as this returned it. None: there is none, so all is measured.
        share: of what is measured.
    """
    if share == 1:
        return engine.paint_pixels(pixels[None])[0], None
    painted, used = engine.paint_pixels_with_statistics(pixels[None], used, 1.0 if used is None else share)
    return painted[0], used


def paint_one_by_one(engine: Engine, frames: Iterable[FilmFrame], share: float) -> Generator[np.ndarray, None, None]:
    """`Engine.paint_frames` by `paint_next_frame`."""
    used = None
    for pixels, afresh in frames:
        painted, used = paint_next_frame(engine, pixels, None if afresh else used, share)
        yield painted
