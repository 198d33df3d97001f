"""By how much the whole picture has shifted from one frame to another."""

import functools
import math

import numpy as np
from PIL import Image

# Sides of compared frames are multiples of this where they can be: Fourier transforms of others take up to three times
# as long.
_UNIT = 8
# Detail finer than this, in pixels of the compared frames, is mostly noise of the sensor.
_FINEST = 3.0
# A shift counts if half of the picture fits better with it than with its opposite, by this factor. The opposite, since
# between pixels any shift averages noise away, and so seems to fit better than none.
_BETTER = 0.8


def shrink(frame: np.ndarray, side: int) -> tuple[np.ndarray, int]:
    """A small copy of a frame, to compare with others.

    Args:
        frame: (H, W) or (H, W, 3), uint8. Green alone is most of the luminance.
        side: the copy's long side is about as long, at most, in pixels.

    Returns:
        The copy, (h, w) or (h, w, 3), uint8, averaged over squares, and the side of these squares in pixels. What is
        left over on the right and below is cut off.
    """
    step = max(1, math.ceil(max(frame.shape[:2]) / side))
    small = np.asarray(Image.fromarray(frame).reduce(step))
    height, width = (side // _UNIT * _UNIT or side for side in small.shape[:2])
    return small[:height, :width], step


def find_spectrum(image: np.ndarray) -> np.ndarray:
    """The Fourier transform of (h, w), faded out to its edges, for `find_shift`."""
    values = image.astype(np.float32)
    return np.fft.rfft2((values - values.mean()) * _build_weights(*image.shape)[0])


@functools.lru_cache(maxsize=4)
def _build_weights(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """How much pixels count, (height, width), and frequencies, as of `numpy.fft.rfft2`."""
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    return window.astype(np.float32), np.exp(-((frequencies * _FINEST) ** 2)).astype(np.float32)


def find_shift(before: np.ndarray, now: np.ndarray, size: tuple[int, ...]) -> tuple[float, float]:
    """By how many pixels what one image shows seems to be further down and right in another.

    Source: phase correlation, Kuglin and Hines 1975.

    Args:
        before, now: their spectra.
        size: of both, height and width.
    """
    height, width = size
    cross = now * np.conj(before)
    correlation = np.fft.irfft2(_build_weights(height, width)[1] * cross / (np.abs(cross) + 1e-6), s=(height, width))
    row, column = (int(place) for place in np.unravel_index(correlation.argmax(), correlation.shape))
    return _refine(correlation[:, column], row), _refine(correlation[row], column)


def fits(before: np.ndarray, now: np.ndarray, down: float, right: float) -> bool:
    """Whether a shift, and not its opposite, explains most of the picture.

    Args:
        before, now: (h, w), uint8.
        down, right: see `find_shift`.
    """
    margin = math.ceil(max(abs(down), abs(right))) + 1
    height, width = now.shape
    if min(height, width) <= 2 * margin:
        return False
    # Every second row is enough.
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
