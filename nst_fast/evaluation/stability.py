"""How well a stylized film holds still along the motion of what it shows. Colors are in [0, 1].

docs/reference/stability.md defines the figures.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nst_fast.evaluation.warping import Warp

SHORT_TERM, LONG_TERM = 1, 8  # frames
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709
# Side of the square whose mean is taken out before a pattern is looked for on the screen: the longest stroke in pixels.
_PATTERN_SIDE = 33
# An area of this side is flat if its root mean square contrast is below this: five levels of 255.
_FLAT_CONTRAST = 0.02


@dataclass(frozen=True)
class Stability:
    """Figures of one film, original or stylized.

    Attributes:
        short_term, long_term: warping error between frames that are one and eight apart, as a root mean square.
        short_term_relaxed, long_term_relaxed: the same without the change of luminance in the original film.
        brightness: change of the mean luminance over eight frames beyond that of the original, as a root mean square.
        detail: root mean square difference of the luminance of neighboring pixels: what blurs has less.
        stuck: share of the pattern in flat areas, in [-1, 1], that stays on the screen while the scene moves; None: not
            asked, or nothing is flat.
    """

    short_term: float
    long_term: float
    short_term_relaxed: float
    long_term_relaxed: float
    brightness: float
    detail: float
    stuck: float | None


class StabilityMeter:
    """Compares each frame of a film, and of its stylized versions, with those one and eight frames earlier.

    Args:
        versions: how many stylized versions there are.
        pans: whether all of the scene moves, so that what stays where it is sticks to the screen.
    """

    def __init__(self, versions: int, *, pans: bool = False) -> None:
        self._versions = [_Sums(StuckPattern() if pans else None) for _ in range(1 + versions)]
        self._pans = pans
        self._before: deque[list[np.ndarray]] = deque(maxlen=LONG_TERM)

    def add(
        self, frame: np.ndarray, stylized: Sequence[np.ndarray], warps: Mapping[int, tuple[Warp, np.ndarray]]
    ) -> None:
        """Add the next frame and its stylized versions, all (H, W, 3), uint8.

        Args:
            warps: how many frames earlier -> the warp from there and the mask of what counts, (H, W), bool. Pairs that
                are left out do not count, such as those across a cut.
        """
        now = [image.astype(np.float32) / 255 for image in (frame, *stylized)]
        for apart, (warp, mask) in warps.items():
            if apart > len(self._before) or not mask.any():
                continue
            earlier = self._before[-apart]
            luminance = (now[0] - warp(earlier[0]))[mask] @ _LUMINANCE
            for sums, after, before in zip(self._versions, now, earlier, strict=True):
                sums.add(apart, (after - warp(before))[mask], luminance)
        self._before.append(now)
        for sums, image in zip(self._versions, now, strict=True):
            sums.add_detail(image)
        if self._pans:
            flat = find_flat(now[0])
            for sums, image in zip(self._versions, now, strict=True):
                if sums.stuck is not None:
                    sums.stuck.add(flat, image)

    def read(self) -> list[Stability]:
        """The figures of the film itself and of each version, after more than eight frames."""
        return [sums.read() for sums in self._versions]


class _Sums:
    def __init__(self, stuck: "StuckPattern | None") -> None:
        self.stuck = stuck
        self._errors = {apart: np.zeros(2) for apart in (SHORT_TERM, LONG_TERM)}
        self._counts = dict.fromkeys(self._errors, 0)
        self._drifts: list[float] = []
        self._details: list[float] = []

    def add(self, apart: int, changes: np.ndarray, luminance: np.ndarray) -> None:
        """Add the changes along the motion, (N, 3), and those of the original's luminance, (N,)."""
        for index, change in enumerate((changes, changes - luminance[:, None])):
            self._errors[apart][index] += np.vdot(change, change)
        self._counts[apart] += changes.size
        if apart == LONG_TERM:
            self._drifts.append(float((changes @ _LUMINANCE).mean() - luminance.mean()))

    def add_detail(self, image: np.ndarray) -> None:
        """Add the detail of a frame, (H, W, 3)."""
        luminance = image @ _LUMINANCE
        self._details.append(float(np.mean([np.square(np.diff(luminance, axis=axis)).mean() for axis in (0, 1)])))

    def read(self) -> Stability:
        short, long = (
            np.sqrt(self._errors[apart] / max(1, self._counts[apart])).tolist() for apart in (SHORT_TERM, LONG_TERM)
        )
        brightness = float(np.sqrt(np.mean(np.square(self._drifts)))) if self._drifts else 0.0
        detail = float(np.sqrt(np.mean(self._details))) if self._details else 0.0
        return Stability(short[0], long[0], short[1], long[1], brightness, detail, self.stuck and self.stuck.share)


class StuckPattern:
    """How much of what a network makes of flat areas stays on the screen while the scene moves: the "dirty window".

    Edges and strokes that move with the scene would hide it, so only places count that are flat in both frames.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[np.ndarray, ...]] = deque()
        self._sums: list[np.ndarray] | None = None  # over the frames that are at least eight frames old
        self._products = self._energies = 0.0

    def add(self, flat: np.ndarray, image: np.ndarray) -> None:
        """Add the next frame, (H, W, 3), float32, and what `find_flat` found in the original one."""
        pattern = image - _average_squares(image, _PATTERN_SIDE)
        now = flat, flat * pattern, flat * pattern**2
        if len(self._waiting) == LONG_TERM:
            oldest = self._waiting.popleft()
            before = self._sums or [np.zeros_like(one) for one in oldest]
            self._sums = [one + other for one, other in zip(before, oldest, strict=True)]
            self._products += float(np.vdot(self._sums[1], now[1]))
            self._energies += float((self._sums[2] * flat).sum() + (self._sums[0] * now[2]).sum()) / 2
        self._waiting.append(now)

    @property
    def share(self) -> float | None:
        """Sum of products divided by the sum of mean squares, over pairs of frames at least eight apart."""
        return self._products / self._energies if self._energies else None


def find_flat(frame: np.ndarray) -> np.ndarray:
    """1 where an original frame, (H, W, 3), float32, has hardly any contrast, elsewhere 0: (H, W, 1), float32."""
    contrast = _average_squares((frame - _average_squares(frame, _PATTERN_SIDE)) ** 2, _PATTERN_SIDE)
    return (contrast.mean(axis=2, keepdims=True) < _FLAT_CONTRAST**2).astype(np.float32)


def _average_squares(image: np.ndarray, side: int) -> np.ndarray:
    """The mean of the square around each pixel of (H, W, C), mirrored at the borders."""
    half = side // 2
    averaged = image.astype(np.float64)
    for axis in (0, 1):
        margins = [(half + 1, half) if one == axis else (0, 0) for one in range(3)]
        sums = np.cumsum(np.pad(averaged, margins, mode="symmetric"), axis=axis)
        length = image.shape[axis]
        upper, lower = (np.take(sums, range(first, first + length), axis=axis) for first in (side, 0))
        averaged = (upper - lower) / side
    return averaged.astype(np.float32)
