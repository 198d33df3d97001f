"""What one frame of a film leaves for the next, so that an interrupted film continues as if it had run through."""

import io
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Carried:
    """The state of smoothing, of the search for cuts and of the camera after a frame.

    Attributes:
        used: the statistics that normalized the frame, float32, (1, 2, total channels); None: nothing is smoothed.
        cells, usual: see `SceneCuts`.
        position, anchor_position, anchor: see `CameraMotion`.
    """

    used: np.ndarray | None
    cells: np.ndarray | None
    usual: float
    position: tuple[float, float] = (0.0, 0.0)
    anchor_position: tuple[float, float] = (0.0, 0.0)
    anchor: np.ndarray | None = None

    def to_bytes(self) -> bytes:
        """As a file in NumPy's format of several arrays."""
        arrays = {name: np.array(getattr(self, name)) for name in ("usual", "position", "anchor_position")}
        arrays |= {name: array for name in ("used", "cells", "anchor") if (array := getattr(self, name)) is not None}
        file = io.BytesIO()
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType] -- no array is called `file` or `allow_pickle`
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Carried":
        """What `to_bytes` gave, bit for bit."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = dict(arrays)
        (down, right), (anchor_down, anchor_right) = found["position"].tolist(), found["anchor_position"].tolist()
        return cls(
            found.get("used"),
            found.get("cells"),
            float(found["usual"]),
            (down, right),
            (anchor_down, anchor_right),
            found.get("anchor"),
        )
