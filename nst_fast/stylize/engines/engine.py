"""What every engine does."""

from collections.abc import Generator, Iterable
from typing import Protocol

import numpy as np

# A frame of a film, (H, W, 3), uint8; and whether the frames before it do not count, as at a scene cut.
FilmFrame = tuple[np.ndarray, bool]


class Engine(Protocol):
    """Runs one network; for one thread at a time."""

    def stylize_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Stylize (B, H, W, 3), H, W >= 1, uint8; the same shape and dtype, in an array of its own."""
        ...

    def stylize_with_statistics(
        self, pixels: np.ndarray, given: np.ndarray | None, smoothing: float, origin: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Stylize as `stylize_pixels`, but normalize by measured + smoothing * (given - measured).

        Args:
            given: float32, (1, 2, total channels): means in row 0, biased variances in row 1, such as an earlier call
                returned. None: nothing is given, and `smoothing` is 0.
            smoothing: share of what is given, 0 to 1.
            origin: of the pixels in the picture that they are a tile of, down and right. None: they are the picture.

        Returns:
            The stylized pixels, and the statistics that were used.
        """
        ...

    def stylize_frames(self, frames: Iterable[FilmFrame], smoothing: float) -> Generator[np.ndarray, None, None]:
        """Stylize the frames of a film, all of one size, in order and each in an array of its own.

        Args:
            smoothing: share of what the frame before used in the statistics; the rest is measured on the frame.
        """
        ...


def stylize_next_frame(
    engine: Engine, pixels: np.ndarray, used: np.ndarray | None, smoothing: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Stylize one frame of a film, (H, W, 3), by what is measured on it, mixed with what the frame before used.

    Args:
        used: for the frame before, as this function returned it. None: there is none, so all is measured.
        smoothing: share of `used`.
    """
    if smoothing == 0:
        return engine.stylize_pixels(pixels[None])[0], None
    stylized, used = engine.stylize_with_statistics(pixels[None], used, 0.0 if used is None else smoothing)
    return stylized[0], used


def stylize_one_by_one(
    engine: Engine, frames: Iterable[FilmFrame], smoothing: float
) -> Generator[np.ndarray, None, None]:
    """`Engine.stylize_frames` by `stylize_next_frame`."""
    used = None
    for pixels, is_cut in frames:
        stylized, used = stylize_next_frame(engine, pixels, None if is_cut else used, smoothing)
        yield stylized
