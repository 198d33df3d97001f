"""Where a camera has turned to, so that input noise can move with what it shows."""

import math

import numpy as np
from PIL import Image

# The long side in pixels at which frames are compared.
_COMPARED_SIDE = 256
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
        anchor: the luminance of the frame as it is compared, (h, w), uint8, a new array for each; None: there was none.
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

    def follow(self, frame: np.ndarray, *, is_cut: bool) -> tuple[int, int]:
        """The position of the next frame, (H, W, 3), uint8, in whole pixels down and right.

        Args:
            is_cut: whether a scene begins with it, so that the frames before say nothing about it.
        """
        step = max(1, math.ceil(max(frame.shape[:2]) / _COMPARED_SIDE))
        now = np.asarray(Image.fromarray(frame).reduce(step).convert("L"))
        if self.anchor is None or is_cut or self.anchor.shape != now.shape:
            self._drop_anchor(now)
        else:
            pair = self.anchor.astype(np.float32), now.astype(np.float32)
            down, right = _find_shift(*pair)
            far = max(abs(down), abs(right))
            if _fits(*pair, down, right):
                self.position = self.anchor_position[0] - step * down, self.anchor_position[1] - step * right
                if far > _FARTHEST:
                    self._drop_anchor(now)
            elif far >= 1:  # below that it may be motion that is too small to tell
                self._drop_anchor(now)
        return round(self.position[0]), round(self.position[1])

    def _drop_anchor(self, now: np.ndarray) -> None:
        self.anchor, self.anchor_position = now, self.position


def _find_shift(before: np.ndarray, now: np.ndarray) -> tuple[float, float]:
    """By how many pixels what `before` shows, (H, W), seems to be further down and right in `now`."""
    height, width = now.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32)
    spectra = [np.fft.rfft2((image - image.mean()) * window) for image in (before, now)]
    cross = spectra[1] * np.conj(spectra[0])
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    weights = np.exp(-((frequencies * _FINEST) ** 2))
    correlation = np.fft.irfft2(weights * cross / (np.abs(cross) + 1e-6), s=(height, width))
    row, column = (int(place) for place in np.unravel_index(correlation.argmax(), correlation.shape))
    return _refine(correlation[:, column], row), _refine(correlation[row], column)


def _fits(before: np.ndarray, now: np.ndarray, down: float, right: float) -> bool:
    """Whether a shift, and not its opposite, explains most of the picture."""
    margin = math.ceil(max(abs(down), abs(right))) + 1
    height, width = now.shape
    if min(height, width) <= 2 * margin:
        return False
    there = now[margin : height - margin, margin : width - margin]
    changes = [np.abs(there - _shift(before, sign * down, sign * right, margin)) for sign in (1, -1)]
    return bool(np.median(changes[0]) < _BETTER * np.median(changes[1]))


def _shift(image: np.ndarray, down: float, right: float, margin: int) -> np.ndarray:
    """Shift (H, W) by linear interpolation, and leave out a margin."""
    for axis, distance in ((0, down), (1, right)):
        whole = math.floor(distance)
        parts = np.roll(image, whole, axis), np.roll(image, whole + 1, axis)
        image = parts[0] + (distance - whole) * (parts[1] - parts[0])
    return image[margin : image.shape[0] - margin, margin : image.shape[1] - margin]


def _refine(values: np.ndarray, peak: int) -> float:
    """The position of a peak between its neighbors, by a parabola through the logarithms, as of a Gaussian; wrapped."""
    count = len(values)
    around = np.log(np.maximum(values[[peak - 1, peak, (peak + 1) % count]], 1e-6))
    bend = around[0] - 2 * around[1] + around[2]
    place = peak + (0.5 * (around[0] - around[2]) / bend if bend < 0 else 0.0)
    return float(place - count if place > count / 2 else place)
