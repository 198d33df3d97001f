"""How large the frames of the server's camera may be so that they stay fast, as pace.js does it on the page."""

import statistics
from collections import deque

SIDES = (256, 320, 384, 480, 640, 800, 960, 1280)
SLOWEST_SECONDS = 1 / 20
FASTEST_SECONDS = 1 / 45
_FRAMES = 8  # by whose median it is judged
_SKIPPED = 3  # after a change: engines prepare for a new size
_GRUDGE_FRAMES = 600  # in which a size that was too slow is not tried again


class CameraSize:
    """Follows the seconds that frames take.

    Attributes:
        fixed: a long side in pixels that the user chose. None: as large as stays fast.
    """

    def __init__(self) -> None:
        self.fixed: int | None = None
        self._index = SIDES.index(640)
        self._seconds: deque[float] = deque(maxlen=_FRAMES)
        self._since_change = 0
        self._too_slow: dict[int, int] = {}  # index -> frames until it may be tried again

    @property
    def long_side(self) -> int:
        """In pixels."""
        return SIDES[self._index] if self.fixed is None else self.fixed

    def restart(self) -> None:
        """Forget what was measured, as after a change of style."""
        self._seconds.clear()
        self._since_change = 0

    def count(self, seconds: float) -> None:
        """One frame took so long."""
        self._too_slow = {index: left - 1 for index, left in self._too_slow.items() if left > 1}
        self._since_change += 1
        if self._since_change <= _SKIPPED:
            return
        self._seconds.append(seconds)
        if self.fixed is not None or len(self._seconds) < _FRAMES:
            return
        median = statistics.median(self._seconds)
        if median > SLOWEST_SECONDS and self._index > 0:
            self._too_slow[self._index] = _GRUDGE_FRAMES
            self._index = self._largest_within(median)
            self.restart()
        elif median < FASTEST_SECONDS and self._index + 1 < len(SIDES) and self._index + 1 not in self._too_slow:
            self._index += 1
            self.restart()

    def _largest_within(self, seconds: float) -> int:
        """The largest size below this one that is fast enough, if the seconds follow the number of pixels."""
        for index in range(self._index - 1, 0, -1):
            if seconds * (SIDES[index] / SIDES[self._index]) ** 2 <= SLOWEST_SECONDS:
                return index
        return 0
