"""Frames moved along a known flow, and where a flow can be trusted.

A flow from a frame to an earlier one is (H, W, 2), float32, down and right in pixels: what the frame shows at (y, x),
the earlier one shows at (y, x) + flow[y, x].
"""

import numpy as np


class Warp:
    """Moves earlier frames along a flow onto the frame that the flow starts from.

    The interpolation is bicubic (Keys 1981, "Cubic convolution interpolation", a = -1/2): exact at whole pixels and for
    parabolas. Beyond the border the outermost pixels repeat.

    Args:
        flow: see above.

    Attributes:
        inside: (H, W), bool: where the earlier frame shows what the flow points to.
    """

    def __init__(self, flow: np.ndarray) -> None:
        height, width = flow.shape[:2]
        rows = np.arange(height, dtype=np.float64)[:, None] + flow[..., 0]
        columns = np.arange(width, dtype=np.float64) + flow[..., 1]
        # Flows are known to a thousandth of a pixel at best; a motion of whole pixels is to stay one.
        rows, columns = (np.round(side, 4) for side in (rows, columns))
        self.inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
        self._shape = height, width
        self._rows, self._row_weights = _list_taps(rows.ravel(), height)
        self._columns, self._column_weights = _list_taps(columns.ravel(), width)

    def __call__(self, earlier: np.ndarray) -> np.ndarray:
        """Move (H, W, C), float32, to the same shape."""
        channels = earlier.shape[2]
        flat = earlier.reshape(-1, channels)
        moved = np.zeros((self._rows.shape[1], channels), np.float32)
        for rows, row_weights in zip(self._rows, self._row_weights, strict=True):
            line = np.zeros_like(moved)
            for columns, weights in zip(self._columns, self._column_weights, strict=True):
                if weights.any():
                    line += weights[:, None] * flat[rows * self._shape[1] + columns]
            moved += row_weights[:, None] * line
        return moved.reshape(*self._shape, channels)


def _list_taps(positions: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The four neighbors of each position, (4, N), within [0, side), and their weights, float32."""
    first = np.floor(positions)
    weights = weigh_cubic(positions - first)
    neighbors = (first.astype(np.int64) + np.arange(-1, 3)[:, None]).clip(0, side - 1)
    # With whole positions everywhere, one neighbor does.
    used = [index for index in range(4) if weights[index].any()]
    return neighbors[used], weights[used]


def weigh_cubic(fractions: np.ndarray) -> np.ndarray:
    """Weights of the neighbors at -1, 0, 1 and 2, (4, ...), float32, for positions in [0, 1) (Keys 1981, a = -1/2)."""
    t = fractions.astype(np.float64)
    outer = [-0.5 * t**3 + t**2 - 0.5 * t, 0.5 * t**3 - 0.5 * t**2]
    inner = [1.5 * t**3 - 2.5 * t**2 + 1, -1.5 * t**3 + 2 * t**2 + 0.5 * t]
    return np.stack([outer[0], *inner, outer[1]]).astype(np.float32)


def find_trusted(flow: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Where an estimated flow can be trusted, (H, W), bool: nothing is hidden there, and no edge of a motion is near.

    Source: Sundaram, Brox, Keutzer 2010, section 3, with the constants that Ruder et al. 2016 (arXiv 1604.08610) use.

    Args:
        flow: from a frame to an earlier one.
        back: from the earlier one to the frame; both (H, W, 2).
    """
    warp = Warp(flow)
    returned = warp(back.astype(np.float32))
    lengths = (flow**2).sum(axis=2) + (returned**2).sum(axis=2)
    hidden = ((flow + returned) ** 2).sum(axis=2) > 0.01 * lengths + 0.5
    slopes = sum(np.gradient(flow[..., side], axis=axis) ** 2 for side in (0, 1) for axis in (0, 1))
    edge = slopes > 0.01 * (flow**2).sum(axis=2) + 0.002
    return warp.inside & ~hidden & ~edge
