"""Temporal smoothing: films without pumping, by normalization statistics that change slowly from frame to frame."""

from collections.abc import Generator, Iterable

import numpy as np

from nst_fast.errors import SettingError
from nst_fast.stylize.engines.engine import Engine, FilmFrame, stylize_next_frame


class FrameStylizer:
    """Stylizes the frames of a film one after the other; comes from `Stylizer.for_frames`.

    A network that measures its statistics on each frame alone gives a still background a new brightness whenever
    something walks through the picture. Here each frame is normalized by

        used = smoothing * used for the last frame + (1 - smoothing) * measured on this frame

    which follows a change with a time constant of 1 / (1 - smoothing) frames.

    Args:
        smoothing: 0 (each frame by itself) to below 1.

    Raises:
        SettingError: `smoothing` is out of range.
    """

    def __init__(self, engine: Engine, smoothing: float) -> None:
        if not 0 <= smoothing < 1:
            raise SettingError(f"smoothing is {smoothing}; it must be at least 0 and below 1, such as 0.9")
        self.smoothing = smoothing
        self._engine = engine
        self._used: np.ndarray | None = None

    def stylize_pixels(self, frame: np.ndarray) -> np.ndarray:
        """Stylize the next frame, (H, W, 3), uint8, to the same shape.

        Raises:
            SettingError: another shape or dtype.
        """
        check_pixels(frame, (3,))
        stylized, self._used = stylize_next_frame(self._engine, frame, self._used, self.smoothing)
        return stylized

    def stylize_frames(self, frames: Iterable[FilmFrame]) -> Generator[np.ndarray, None, None]:
        """Stylize a whole film, with the results of `stylize_pixels` frame by frame, or faster.

        Args:
            frames: of one size, each with whether it is `reset` before it. A few more of them may be taken than have
                been given back.
        """
        return self._engine.stylize_frames(frames, self.smoothing)

    def reset(self) -> None:
        """Forget the frames so far, as at a scene cut: the next one is normalized by its own statistics alone."""
        self._used = None


def check_pixels(rgb: np.ndarray, numbers_of_sides: tuple[int, ...]) -> None:
    """Raise SettingError unless these are pixels: uint8, (..., H, W, 3), none of the sides empty."""
    if rgb.ndim not in numbers_of_sides or rgb.shape[-1] != 3 or rgb.dtype != np.uint8 or rgb.size == 0:
        batched = " or (batch, height, width, 3)" if 4 in numbers_of_sides else ""
        raise SettingError(
            f"pixels have shape {rgb.shape} and dtype {rgb.dtype}; give (height, width, 3){batched} of uint8"
        )
