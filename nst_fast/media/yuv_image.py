"""A film's frame as films hold it: luma at full size, and the two differences of color at half of it.

Turning large frames into RGB and back takes more time than decoding them. What changes the luma alone can do without.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class YuvImage:
    """A frame in 8-bit YUV 4:2:0 of limited range.

    Attributes:
        frame: the `av.VideoFrame` that holds it.
        matrix: of its colors, by the number of ITU-T H.273.
    """

    frame: Any
    matrix: int

    @classmethod
    def from_rgb(cls, rgb: np.ndarray, matrix: int, height: int, width: int) -> "YuvImage":
        """(h, w, 3), uint8, enlarged bilinearly to a height and width in pixels."""
        import av
        from av.video.reformatter import ColorRange, Interpolation

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
            width=width,
            height=height,
            format="yuv420p",
            dst_colorspace=matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
            threads=1,
        )
        return cls(frame, matrix)

    @property
    def height(self) -> int:
        return int(self.frame.height)

    @property
    def width(self) -> int:
        return int(self.frame.width)

    @property
    def luma(self) -> np.ndarray:
        """(height, width), uint8, 16 for black to 235 for white: the frame's own memory."""
        plane = self.frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return rows[: self.height, : self.width]

    def to_rgb(self) -> np.ndarray:
        """(height, width, 3), uint8."""
        return convert_to_rgb(self.frame, self.matrix, self.height, self.width, "BILINEAR")

    def shrink(self, height: int, width: int) -> np.ndarray:
        """A smaller copy as RGB, (height, width, 3), uint8: each pixel the mean of those that it stands for."""
        return convert_to_rgb(self.frame, self.matrix, height, width, "AREA")


def convert_to_rgb(frame: Any, matrix: int | None, height: int, width: int, interpolation: str) -> np.ndarray:
    """An `av.VideoFrame` of any format as RGB of any size, (height, width, 3), uint8.

    Args:
        matrix: of its colors, by the number of ITU-T H.273; None for RGB.
        interpolation: by the name that PyAV has for it.
    """
    from av.video.reformatter import ColorRange, Interpolation

    # Without these two, each level comes out one lower, and color in steps of two pixels.
    accurately = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    rgb: np.ndarray = frame.reformat(
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=matrix,
        dst_color_range=ColorRange.JPEG,
        interpolation=accurately | Interpolation[interpolation],
        threads=1,
    ).to_ndarray()
    return rgb


def resize_plane(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W), uint8, shrunk to means or enlarged bilinearly: several times as quick as by Pillow."""
    import av
    from av.video.reformatter import Interpolation

    method = Interpolation.AREA if height < values.shape[0] else Interpolation.BILINEAR
    plane = av.VideoFrame.from_ndarray(np.ascontiguousarray(values), format="gray")
    resized: np.ndarray = plane.reformat(
        width=width, height=height, interpolation=method | Interpolation.ACCURATE_RND, threads=1
    ).to_ndarray()
    return resized
