"""How much a stylized film flickers: two figures, both in levels of 255."""

from dataclasses import dataclass

import numpy as np

# A block stands still if its pixels change by no more than this on average, and those of the blocks around it, too: a
# network computes each pixel from its surroundings. Noise and compression alone change pixels by about one level.
_BLOCK = 16  # pixels
_BLOCKS_AROUND = 2
_STILL_LEVELS = 2.0


@dataclass(frozen=True)
class Flicker:
    """Figures of one film, original or stylized, in levels of 255.

    Attributes:
        still: mean absolute change from one frame to the next, over the pixels where the original film stands still,
            there and for 32 pixels around.
        pumping: how much these same pixels change together: their mean signed change from one frame to the next in
            each channel, as a root mean square over channels and frames. Crawling texture averages out. What is left
            is a background that changes its brightness or color because something moves in front of it.
    """

    still: float
    pumping: float


class FlickerMeter:
    """Compares a film and its stylized version frame by frame; it keeps only the last frame of each."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._still_sums = np.zeros(2)
        self._still_count = 0
        self._pixels = 0
        self._shifts: list[list[np.ndarray]] = []

    def add(self, frame: np.ndarray, stylized: np.ndarray) -> None:
        """Add the next frame and its stylized version, both (H, W, 3), uint8."""
        frame, stylized = frame.astype(np.int16), stylized.astype(np.int16)
        if self._last is not None:
            changes = frame - self._last[0], stylized - self._last[1]
            still = _find_still(np.abs(changes[0]))
            self._still_sums += [np.abs(change[still]).sum() / 3 for change in changes]
            if still.any():
                self._shifts.append([change[still].mean(axis=0) for change in changes])
            self._still_count += int(still.sum())
            self._pixels += still.size
        self._last = frame, stylized

    @property
    def still_share(self) -> float:
        """Share of the pixels that stand still from one frame to the next, in [0, 1]."""
        return self._still_count / max(1, self._pixels)

    def read(self) -> tuple[Flicker, Flicker]:
        """The figures of the original film and of the stylized one, after at least two frames."""
        still = self._still_sums / max(1, self._still_count)
        shifts = np.array(self._shifts or np.zeros((1, 2, 3)))  # (frames, original or stylized, channels)
        pumping = np.sqrt((shifts**2).mean(axis=(0, 2)))
        original, stylized = (Flicker(float(still[which]), float(pumping[which])) for which in (0, 1))
        return original, stylized


def _find_still(change: np.ndarray) -> np.ndarray:
    """Which pixels stand still, (H, W), bool, given their absolute change, (H, W, 3)."""
    height, width = change.shape[:2]
    rows, columns = np.arange(0, height, _BLOCK), np.arange(0, width, _BLOCK)
    sums = np.add.reduceat(np.add.reduceat(change.mean(axis=2), rows, axis=0), columns, axis=1)
    areas = np.outer(np.diff([*rows, height]), np.diff([*columns, width]))
    moving = np.pad(sums / areas > _STILL_LEVELS, _BLOCKS_AROUND)
    offsets = range(2 * _BLOCKS_AROUND + 1)
    near = np.any([moving[i : i + len(rows), j : j + len(columns)] for i in offsets for j in offsets], axis=0)
    return ~np.repeat(np.repeat(near, _BLOCK, axis=0), _BLOCK, axis=1)[:height, :width]
