"""Where a film cuts from one scene to another."""

import numpy as np

_GRID = 16  # cells on each side
# A cut changes the cells by tens of levels at once, motion and fades by a few. A flash counts as a cut, which is
# harmless.
_LEAST_CHANGE = 16.0  # levels of 255
_TIMES_THE_USUAL = 4.0
_MEMORY = 0.8  # share of the past in the usual change


class SceneCuts:
    """Compares each frame with the one before.

    Frames are averaged over a grid of cells, in which small things that move hardly show. A frame is a cut if the mean
    change of the cells is at least 16 of 255 levels, and four times what was usual over the last frames.

    Attributes:
        cells: averages of the last frame, a new array for each; None: there was none.
        usual: change from frame to frame, in levels.
    """

    def __init__(self, cells: np.ndarray | None = None, usual: float = 0.0) -> None:
        self.cells = cells
        self.usual = usual

    def is_cut(self, frame: np.ndarray) -> bool:
        """Whether `frame`, (H, W, 3), uint8, is the first of a new scene. The first frame of the film is not."""
        cells = _average_cells(frame)
        before, self.cells = self.cells, cells
        if before is None:
            return False
        change = float(np.abs(cells - before).mean())
        cut = change >= _LEAST_CHANGE and change >= _TIMES_THE_USUAL * self.usual
        # A cut counts as usual change too, so that not every flash of a strobe is one.
        self.usual = _MEMORY * self.usual + (1 - _MEMORY) * change
        return cut


def _average_cells(frame: np.ndarray) -> np.ndarray:
    """Means of the cells, (rows, columns, 3), from at most 64 x 64 evenly spread pixels."""
    height, width = frame.shape[:2]
    rows = np.linspace(0, height - 1, min(64, height)).astype(int)
    columns = np.linspace(0, width - 1, min(64, width)).astype(int)
    few = frame[rows[:, None], columns].astype(np.float32)
    edges = [np.linspace(0, side, min(_GRID, side) + 1).astype(int) for side in few.shape[:2]]
    sums = np.add.reduceat(np.add.reduceat(few, edges[0][:-1], axis=0), edges[1][:-1], axis=1)
    return sums / np.outer(np.diff(edges[0]), np.diff(edges[1])).astype(np.float32)[..., None]
