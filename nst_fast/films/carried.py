"""What one frame of a film leaves for the next, so that an interrupted film continues as if it had run through."""

import io
from dataclasses import dataclass, field

import numpy as np

from nst_fast.stylize.coherence import ShownFrame
from nst_fast.stylize.smoothing import Past


@dataclass(frozen=True)
class Carried:
    """The state of smoothing and coherence, of the search for cuts and of the camera after a frame.

    Attributes:
        past: see `FrameStylizer.stylize_frames`.
        cells, usual: see `SceneCuts`.
        position, anchor_position, anchor: see `CameraMotion`.
    """

    past: Past = field(default_factory=Past)
    cells: np.ndarray | None = None
    usual: float = 0.0
    position: tuple[float, float] = (0.0, 0.0)
    anchor_position: tuple[float, float] = (0.0, 0.0)
    anchor: np.ndarray | None = None

    def to_bytes(self) -> bytes:
        """As a file in NumPy's format of several arrays."""
        arrays = {name: np.array(getattr(self, name)) for name in ("usual", "position", "anchor_position")}
        there = {"used": self.past.used, "cells": self.cells, "anchor": self.anchor}
        if self.past.shown is not None:
            there |= self.past.shown._asdict()
        arrays |= {name: array for name, array in there.items() if array is not None}
        file = io.BytesIO()
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType] -- no array is called `file` or `allow_pickle`
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Carried":
        """What `to_bytes` gave, bit for bit."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = dict(arrays)
        (down, right), (anchor_down, anchor_right) = found["position"].tolist(), found["anchor_position"].tolist()
        shown = ShownFrame(found["compared"], found["output"]) if "output" in found else None
        return cls(
            Past(found.get("used"), shown),
            found.get("cells"),
            float(found["usual"]),
            (down, right),
            (anchor_down, anchor_right),
            found.get("anchor"),
        )
