"""Films made of a photo by a motion that is known exactly."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from nst_fast.evaluation.warping import weigh_cubic
from nst_fast.media.resizing import resize_pixels

# Pixels of the photo for one of the frame, on each side.
_OVERSAMPLING = 2
# Standard deviation in pixels of the frame. As in a camera, no pixel sees a point: frames without any blur would change
# with every shift by a fraction of a pixel, and no film does.
_BLUR = 0.6
# The waves of the local motion, in pixels and in frames.
_RIPPLE_LENGTH = 80.0
_RIPPLE_FRAMES = 24.0
_STEPS_TO_INVERT = 30


@dataclass(frozen=True)
class Motion:
    """How a camera moves over a photo, from one frame to the next.

    Attributes:
        shift: down and right in pixels.
        zoom: factor by which what is seen grows.
        turn: degrees clockwise.
        ripple: amplitude in pixels of waves that bend the photo locally, 80 pixels long; below 12.
    """

    name: str
    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    turn: float = 0.0
    ripple: float = 0.0

    def flow(self, number: int, earlier: int, height: int, width: int) -> np.ndarray:
        """The exact flow between two frames, by their numbers, (H, W, 2), float32; see `warping`."""
        grid = _center_grid(height, width)
        return (self.from_photo(self.to_photo(grid, number), earlier) - grid).astype(np.float32)

    def to_photo(self, points: np.ndarray, number: int) -> np.ndarray:
        """From points of a frame, (..., 2), to points of the photo, both down and right from their centers."""
        bent = points + self._bend(points, number)
        scale = self.zoom**-number
        return bent @ self._rotation(number) * scale + np.array(self.shift) * number

    def from_photo(self, points: np.ndarray, number: int) -> np.ndarray:
        """The inverse of `to_photo`."""
        scale = self.zoom**number
        bent = (points - np.array(self.shift) * number) @ self._rotation(number).T * scale
        found = bent
        if self.ripple:
            for _ in range(_STEPS_TO_INVERT):  # a contraction, since the waves' slope is below 1
                found = bent - self._bend(found, number)
        return found

    def _rotation(self, number: int) -> np.ndarray:
        angle = math.radians(self.turn * number)
        return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])

    def _bend(self, points: np.ndarray, number: int) -> np.ndarray:
        phases = 2 * math.pi * (points[..., ::-1] / _RIPPLE_LENGTH + number / _RIPPLE_FRAMES)
        return self.ripple * np.sin(phases)


# A still camera, shifts that are and are not multiples of a network's stride of 4, and all other kinds.
MOTIONS = (
    Motion("still"),
    Motion("pan 2,1", shift=(1, 2)),
    Motion("pan 16,8", shift=(8, 16)),
    Motion("pan 0.6,0.35", shift=(0.35, 0.6)),
    Motion("zoom 1 %", zoom=1.01),
    Motion("turn 0.5", turn=0.5),
    Motion("ripple", ripple=3.0),
)


def film_photo(
    photo: np.ndarray, motion: Motion, *, height: int, width: int, frames: int, noise: float, seed: int = 0
) -> Iterator[np.ndarray]:
    """The frames that a camera sees of a photo, (height, width, 3), uint8.

    The photo fills a frame as it is first seen; beyond its borders it is mirrored.

    Args:
        photo: (H, W, 3), uint8.
        noise: of the sensor, new in each frame: standard deviation in levels of 255.
    """
    factor = _OVERSAMPLING * max(height / photo.shape[0], width / photo.shape[1])
    sides = [max(2, round(side * factor)) for side in photo.shape[:2]]
    blur = ImageFilter.GaussianBlur(_BLUR * _OVERSAMPLING)
    plane = np.asarray(Image.fromarray(resize_pixels(photo, *sides)).filter(blur), np.float32)
    random = np.random.default_rng(seed)
    grid = _center_grid(height, width)
    for number in range(frames):
        points = motion.to_photo(grid, number) * _OVERSAMPLING + (np.array(sides) - 1) / 2
        frame = _sample(plane, points) + random.normal(0, noise, (height, width, 3))
        yield frame.round().clip(0, 255).astype(np.uint8)


def _center_grid(height: int, width: int) -> np.ndarray:
    """The positions of all pixels, (H, W, 2), down and right from the center."""
    rows, columns = (np.arange(side) - (side - 1) / 2 for side in (height, width))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)


def _sample(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Bicubic samples of (H, W, C), float32, at points (..., 2), in pixels down and right; mirrored at the borders."""
    first = np.floor(points)
    weights = weigh_cubic(points - first)
    taps = [first.astype(np.int64) + offset for offset in range(-1, 3)]
    rows, columns = ([_mirror(tap[..., side], image.shape[side]) for tap in taps] for side in (0, 1))
    sampled = np.zeros((*points.shape[:-1], image.shape[2]), np.float32)
    for row, row_weights in zip(rows, weights[..., 0], strict=True):
        line = np.zeros_like(sampled)
        for column, column_weights in zip(columns, weights[..., 1], strict=True):
            line += column_weights[..., None] * image[row, column]
        sampled += row_weights[..., None] * line
    return sampled


def _mirror(positions: np.ndarray, side: int) -> np.ndarray:
    period = 2 * (side - 1)
    wrapped = positions % period
    return np.minimum(wrapped, period - wrapped)
