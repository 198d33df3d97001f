"""What every engine does."""

from collections.abc import Generator, Iterable
from typing import NamedTuple, Protocol

import numpy as np

# The same frame stylized, and the statistics that it used, as `Engine.stylize_with_statistics` gives them; None where
# nothing is smoothed.
StylizedFrame = tuple[np.ndarray, np.ndarray | None]


class FilmFrame(NamedTuple):
    """A frame of a film.

    Attributes:
        pixels: (H, W, 3), uint8.
        is_cut: whether the frames before it do not count, as at a scene cut.
        origin: where its first pixel lies in the input noise, down and right in pixels. None: at (0, 0).
    """

    pixels: np.ndarray
    is_cut: bool
    origin: tuple[int, int] | None = None


class Engine(Protocol):
    """Runs one network; for one thread at a time."""

    def set_steering(self, steering: np.ndarray) -> None:
        """Take scales and shifts for all later calls; for adjustable networks, which begin with those of strength 1.

        Args:
            steering: float32, (1, 2, steering channels), see `Checkpoint.steer`.
        """
        ...

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
            origin: where the first pixel lies in the input noise, down and right: of a tile, in its picture; of a
                frame, in the scene. None: at (0, 0). Networks without input noise ignore it.

        Returns:
            The stylized pixels, and the statistics that were used.
        """
        ...

    def stylize_frames(
        self, frames: Iterable[FilmFrame], smoothing: float, used: np.ndarray | None = None
    ) -> Generator[StylizedFrame, None, None]:
        """Stylize the frames of a film, all of one size, in order and each in an array of its own.

        Args:
            smoothing: share of what the frame before used in the statistics; the rest is measured on the frame.
            used: for the frame before the first one. None: there is none.
        """
        ...


def stylize_next_frame(
    engine: Engine, frame: FilmFrame, used: np.ndarray | None, smoothing: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Stylize one frame of a film by what is measured on it, mixed with what the frame before used.

    Args:
        used: for the frame before, as this function returned it. None: there is none, so all is measured.
        smoothing: share of `used`.
    """
    pixels = frame.pixels[None]
    if smoothing == 0 and frame.origin is None:
        return engine.stylize_pixels(pixels)[0], None
    given = None if frame.is_cut or smoothing == 0 else used
    stylized, used = engine.stylize_with_statistics(pixels, given, 0.0 if given is None else smoothing, frame.origin)
    return stylized[0], None if smoothing == 0 else used


def stylize_one_by_one(
    engine: Engine, frames: Iterable[FilmFrame], smoothing: float, used: np.ndarray | None
) -> Generator[StylizedFrame, None, None]:
    """`Engine.stylize_frames` by `stylize_next_frame`."""
    for frame in frames:
        stylized, used = stylize_next_frame(engine, frame, used, smoothing)
        yield stylized, used
