"""Where a camera has turned to, so that input noise can move with what it shows."""

import functools
import math

import numpy as np
from PIL import Image

# The long side in pixels at which frames are compared.
_COMPARED_SIDE = 256
# Sides of compared frames are multiples of this where they can be: Fourier transforms of others take up to three times
# as long.
_UNIT = 8
# Detail finer than this, in pixels of the compared frames, is mostly noise of the sensor.
_FINEST = 3.0
# A shift counts if half of the picture fits better with it than with its opposite, by this factor. The opposite, since
# between pixels any shift averages noise away, and so seems to fit better than none.
_BETTER = 0.8
# Pixels of the compared frames from which on another anchor is taken.
_FARTHEST = 16


class CameraMotion:
    """Finds by how much the picture as a whole has shifted since an earlier frame, the anchor, which is replaced before
    too little of it is left to compare with. So slow motion adds up, and errors do not.

    Phase correlation of two frames (Kuglin, Hines 1975) proposes a shift, which counts only if it fits most of the
    picture: things that move through a still scene do not count. Zooms and turns count by the shift of their middle.

    Attributes:
        position: of the last frame in the scene, down and right in pixels of the frame, since the beginning.
        anchor_position: of the anchor.
        anchor: the green of the frame as it is compared, (h, w), uint8, a new array for each; None: there was none.
    """

    def __init__(
        self,
        position: tuple[float, float] = (0.0, 0.0),
        anchor_position: tuple[float, float] = (0.0, 0.0),
        anchor: np.ndarray | None = None,
    ) -> None:
        self.position = position
        self.anchor_position = anchor_position
        self.anchor = anchor
        self._anchor_spectrum: np.ndarray | None = None

    def follow(self, frame: np.ndarray, *, is_cut: bool) -> tuple[int, int]:
        """The position of the next frame, (H, W, 3), uint8, in whole pixels down and right.

        Args:
            is_cut: whether a scene begins with it, so that the frames before say nothing about it.
        """
        step = max(1, math.ceil(max(frame.shape[:2]) / _COMPARED_SIDE))
        now = _shrink(frame, step)
        if self.anchor is None or is_cut or self.anchor.shape != now.shape:
            self._drop_anchor(now)
            return round(self.position[0]), round(self.position[1])
        if self._anchor_spectrum is None:
            self._anchor_spectrum = _find_spectrum(self.anchor)
        spectrum = _find_spectrum(now)
        down, right = _find_shift(self._anchor_spectrum, spectrum, now.shape)
        far = max(abs(down), abs(right))
        if _fits(self.anchor, now, down, right):
            self.position = self.anchor_position[0] - step * down, self.anchor_position[1] - step * right
            if far > _FARTHEST:
                self._drop_anchor(now, spectrum)
        elif far >= 1:  # below that it may be motion that is too small to tell
            self._drop_anchor(now, spectrum)
        return round(self.position[0]), round(self.position[1])

    def _drop_anchor(self, now: np.ndarray, spectrum: np.ndarray | None = None) -> None:
        self.anchor, self.anchor_position, self._anchor_spectrum = now, self.position, spectrum


def _shrink(frame: np.ndarray, step: int) -> np.ndarray:
    """The green of a frame, which is most of its luminance, averaged over squares of `step` pixels."""
    green = np.asarray(Image.fromarray(frame[..., 1]).reduce(step))
    height, width = (side // _UNIT * _UNIT or side for side in green.shape)
    return green[:height, :width]


def _find_spectrum(image: np.ndarray) -> np.ndarray:
    """Of (H, W), faded out to its edges."""
    values = image.astype(np.float32)
    return np.fft.rfft2((values - values.mean()) * _build_weights(*image.shape)[0])


@functools.lru_cache(maxsize=4)
def _build_weights(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """How much pixels count, (height, width), and frequencies, as of `numpy.fft.rfft2`."""
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    return window.astype(np.float32), np.exp(-((frequencies * _FINEST) ** 2)).astype(np.float32)


def _find_shift(before: np.ndarray, now: np.ndarray, size: tuple[int, ...]) -> tuple[float, float]:
    """By how many pixels what one image shows seems to be further down and right in another.

    Args:
        before, now: their spectra.
        size: of both, height and width.
    """
    height, width = size
    cross = now * np.conj(before)
    correlation = np.fft.irfft2(_build_weights(height, width)[1] * cross / (np.abs(cross) + 1e-6), s=(height, width))
    row, column = (int(place) for place in np.unravel_index(correlation.argmax(), correlation.shape))
    return _refine(correlation[:, column], row), _refine(correlation[row], column)


def _fits(before: np.ndarray, now: np.ndarray, down: float, right: float) -> bool:
    """Whether a shift, and not its opposite, explains most of the picture, by every second row."""
    margin = math.ceil(max(abs(down), abs(right))) + 1
    height, width = now.shape
    if min(height, width) <= 2 * margin:
        return False
    there = now[margin : height - margin : 2, margin : width - margin].astype(np.float32)
    changes = [np.abs(there - _shift(before, sign * down, sign * right, margin)) for sign in (1, -1)]
    return bool(np.median(changes[0]) < _BETTER * np.median(changes[1]))


def _shift(image: np.ndarray, down: float, right: float, margin: int) -> np.ndarray:
    """Shift (H, W) by linear interpolation; every second row, without a margin, float32."""
    height, width = image.shape
    (row, low), (column, left) = ((math.floor(distance), distance % 1) for distance in (down, right))
    rows = [image[margin - row - back : height - margin - row - back : 2].astype(np.float32) for back in (0, 1)]
    shifted = rows[0] + np.float32(low) * (rows[1] - rows[0])
    columns = [shifted[:, margin - column - back : width - margin - column - back] for back in (0, 1)]
    return columns[0] + np.float32(left) * (columns[1] - columns[0])


def _refine(values: np.ndarray, peak: int) -> float:
    """The position of a peak between its neighbors, by a parabola through the logarithms, as of a Gaussian; wrapped."""
    count = len(values)
    around = np.log(np.maximum(values[[peak - 1, peak, (peak + 1) % count]], 1e-6))
    bend = around[0] - 2 * around[1] + around[2]
    place = peak + (0.5 * (around[0] - around[2]) / bend if bend < 0 else 0.0)
    return float(place - count if place > count / 2 else place)
