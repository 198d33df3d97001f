"""Where a camera has turned to, so that input noise can move with what it shows."""

import numpy as np

from nst_fast.motion.shifts import find_shift, find_spectrum, fits, shrink

# The long side in pixels at which frames are compared.
_COMPARED_SIDE = 256
# Pixels of the compared frames from which on another anchor is taken.
_FARTHEST = 16


class CameraMotion:
    """Finds by how much the picture as a whole has shifted since an earlier frame, the anchor, which is replaced before
    too little of it is left to compare with. So slow motion adds up, and errors do not.

    A shift counts only if it fits most of the picture: things that move through a still scene do not count. Zooms and
    turns count by the shift of their middle.

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
        now, step = shrink(frame[..., 1], _COMPARED_SIDE)
        if self.anchor is None or is_cut or self.anchor.shape != now.shape:
            self._drop_anchor(now)
            return round(self.position[0]), round(self.position[1])
        if self._anchor_spectrum is None:
            self._anchor_spectrum = find_spectrum(self.anchor)
        spectrum = find_spectrum(now)
        down, right = find_shift(self._anchor_spectrum, spectrum, now.shape)
        far = max(abs(down), abs(right))
        if fits(self.anchor, now, down, right):
            self.position = self.anchor_position[0] - step * down, self.anchor_position[1] - step * right
            if far > _FARTHEST:
                self._drop_anchor(now, spectrum)
        elif far >= 1:  # below that it may be motion that is too small to tell
            self._drop_anchor(now, spectrum)
        return round(self.position[0]), round(self.position[1])

    def _drop_anchor(self, now: np.ndarray, spectrum: np.ndarray | None = None) -> None:
        self.anchor, self.anchor_position, self._anchor_spectrum = now, self.position, spectrum
