"""Temporal coherence: stylized frames that are carried along the motion of the scene and blended with the next ones."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nst_fast.errors import SettingError
from nst_fast.motion.affine import affine_flow, find_affine_motion
from nst_fast.motion.shifts import shrink
from nst_fast.stylize.coherence_graph import build_coherence_graph
from nst_fast.stylize.engines.graph_engine import RunGraph

# The long side in pixels at which photos are compared.
_COMPARED_SIDE = 128
# Pixels of a side of what is compared; in less there is too little to see any motion in.
_LEAST_SIDE = 24


class ShownFrame(NamedTuple):
    """What is carried over from a frame.

    Attributes:
        compared: the photo, as `shrink` makes it, (h, w, 3), uint8.
        output: what was made of it, (H, W, 3), uint8.
    """

    compared: np.ndarray
    output: np.ndarray


class CoherenceFilter:
    """Blends each stylized frame with the output for the frame before, carried along the motion of the scene.

    A network draws each frame from nothing, and small changes of the photo move its strokes about. This averages the
    last 1 / (1 - coherence) frames or so, each of them moved to where the scene is now. What the photo did not show
    before, or shows differently, stays as the network gives it, so nothing is dragged along behind.

    Source: temporal filtering with motion compensation, Dubois and Sabri 1984; weights by the difference of the photos,
    Bonneel et al. 2015.

    Args:
        coherence: share of the carried output, 0 to below 1.
        open_graph: from the bytes of an ONNX file to what runs it; and whether the network works at the same time, so
            that it should take one core only.

    Attributes:
        blends: whether `coherence` is more than 0.
        shown: the last frame; may be set, to continue a film. None: there is none, or it was too small to be compared.

    Raises:
        SettingError: `coherence` is out of range.
    """

    def __init__(self, coherence: float, open_graph: Callable[[bytes, bool], RunGraph]) -> None:
        if not 0 <= coherence < 1:
            raise SettingError(f"coherence is {coherence}; it must be at least 0 and below 1, such as 0.6")
        self.blends = coherence > 0
        self.shown: ShownFrame | None = None
        self._coherence = np.array(coherence, np.float32)
        self._open_graph = open_graph
        self._run_graph: RunGraph | None = None
        self._size: tuple[int, ...] = ()

    def blend(self, photo: np.ndarray, stylized: np.ndarray, *, beside: bool = False) -> np.ndarray:
        """The output for the next frame.

        Args:
            photo, stylized: what the network got and what it gave, (H, W, 3), uint8.
            beside: whether the network works on the next one meanwhile.
        """
        if not self.blends:
            return stylized
        compared, step = shrink(photo, _COMPARED_SIDE)
        if min(compared.shape[:2]) < _LEAST_SIDE:
            self.shown = None
            return stylized
        output = self._carry_over(self.shown, compared, step, stylized, beside)
        self.shown = ShownFrame(compared, output)
        return output

    def _carry_over(
        self, before: ShownFrame | None, compared: np.ndarray, step: int, stylized: np.ndarray, beside: bool
    ) -> np.ndarray:
        """The blend with the last frame; `stylized` itself where there is none, or too little of it is left.

        Args:
            compared, step: as `shrink` gave them for this photo.
        """
        if before is None or before.output.shape != stylized.shape:
            return stylized
        size = compared.shape[0], compared.shape[1]
        motion = find_affine_motion(before.compared[..., 1], compared[..., 1])
        if motion is None:
            return stylized
        if self._run_graph is None or self._size != stylized.shape:
            height, width = stylized.shape[:2]
            self._run_graph = self._open_graph(build_coherence_graph(height, width, size, step), beside)
            self._size = stylized.shape
        inputs = {
            "before": before.compared[None],
            "now": compared[None],
            "flow": affine_flow(motion, *size)[None],
            "carried": before.output[None],
            "stylized": stylized[None],
            "share": self._coherence,
        }
        return self._run_graph(inputs)[0][0]
