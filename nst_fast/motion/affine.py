"""Shifts, zooms and turns of the whole picture, as an affine motion between two frames."""

import functools
from collections.abc import Iterator

import numpy as np

from nst_fast.motion.shifts import find_shift, find_spectrum, fits

# Copies of half and a quarter of the size, the smallest first: what is found there is a start for the larger one.
_HALVINGS = 2
_STEPS = 4
# After a step that moves no pixel by more than about this, in pixels of the copy, the search ends.
_SMALL_STEP = 0.03
# Levels of 255. Larger differences count less and less: they are things that move by themselves. With much less, edges
# do not count from which the motion could be told best.
_USUAL_DIFFERENCE = 16.0
# Keeps the motion as it is where the picture shows too little to tell, in squared levels for each pixel.
_DAMPING = 1e-3
# Less of the picture than this in both frames is too little to tell by.
_LEAST_SHARE = 0.1


def affine_flow(motion: np.ndarray, height: int, width: int) -> np.ndarray:
    """How far each pixel of a frame has to go, right and down in pixels, to be where it was: (2, height, width),
    float32.

    Args:
        motion: see `find_affine_motion`.
    """
    return np.moveaxis(width * (_build_basis(height, width) @ motion.T), -1, 0).astype(np.float32, order="C")


def find_affine_motion(before: np.ndarray, now: np.ndarray) -> np.ndarray | None:
    """How most of the picture has moved from one frame to the next.

    Phase correlation finds the shift. From there least squares on the image gradients (Lucas and Kanade 1981) find
    zoom, turn and shear; what does not fit, such as things that move through the scene, counts little.

    Args:
        before, now: (h, w), uint8, such as `shrink` gives of green; at least 16 pixels on each side.

    Returns:
        How far a pixel of `now` has to go to be where it was: (2, 3), to the right and down, in widths of the
        picture; at the center, and for each width that the pixel is right and down of there. None: too little of the
        picture is in both frames.
    """
    height, width = now.shape
    down, right = find_shift(find_spectrum(before), find_spectrum(now), (height, width))
    if not fits(before, now, down, right):
        down = right = 0.0
    motion = np.zeros((2, 3), np.float32)
    motion[:, 0] = -right / width, -down / width
    for earlier, later in _build_pyramid(before, now):
        improved = _improve(motion, earlier, later)
        if improved is None:
            return None
        motion = improved
    return motion


def _build_pyramid(before: np.ndarray, now: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both frames at a quarter of their size, and at half of it, float32."""
    levels = [(before, now)]
    for _ in range(_HALVINGS):
        levels.append((_halve(levels[-1][0]), _halve(levels[-1][1])))
    yield from reversed(levels[1:])


def _halve(image: np.ndarray) -> np.ndarray:
    height, width = (side // 2 for side in image.shape)
    squares = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    return squares.mean((1, 3), dtype=np.float32)


def _improve(motion: np.ndarray, before: np.ndarray, now: np.ndarray) -> np.ndarray | None:
    """A few steps of Gauss and Newton on the six numbers; None: too little of the picture is in both frames."""
    height, width = now.shape
    basis = _build_basis(height, width)
    down, right = np.gradient(now)
    # How each pixel changes with each of the numbers, in levels for a pixel.
    slopes = np.concatenate([right[..., None] * basis, down[..., None] * basis], axis=-1).reshape(-1, 6)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(_STEPS):
        there = columns + width * (basis @ motion[0]), rows + width * (basis @ motion[1])
        inside = (there[0] >= 0) & (there[0] <= width - 1) & (there[1] >= 0) & (there[1] <= height - 1)
        if inside.mean() < _LEAST_SHARE:
            return None
        changes = _sample(before, *there) - now
        usual = 2 * np.median(np.abs(changes[inside])) + _USUAL_DIFFERENCE
        weights = (inside / (1 + (changes / usual) ** 2) ** 2).ravel()
        weighted = slopes * weights[:, None]
        normal = weighted.T @ slopes + _DAMPING * height * width * np.eye(6, dtype=np.float32)
        step = np.linalg.solve(normal, weighted.T @ changes.ravel()).reshape(2, 3)
        motion = motion - step / width
        if np.abs(step).max() < _SMALL_STEP:
            break
    return motion if bool(np.isfinite(motion).all()) else None


@functools.lru_cache(maxsize=4)
def _build_basis(height: int, width: int) -> np.ndarray:
    """1, and how far a pixel is right and down of the center in widths of the picture: (height, width, 3)."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    right, down = (columns - (width - 1) / 2) / width, (rows - (height - 1) / 2) / width
    return np.stack([np.ones_like(right), right, down], axis=-1)


def _sample(image: np.ndarray, right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Linear interpolation of (h, w), float32, at places in pixels; beyond its borders it goes on as at the border."""
    height, width = image.shape
    right, down = right.clip(0, width - 1), down.clip(0, height - 1)
    left, top = (
        np.minimum(np.floor(place), side - 2).astype(np.int64) for place, side in ((right, width), (down, height))
    )
    first = top * width + left
    upper, lower = (
        image.take(first + row) + (right - left) * (image.take(first + row + 1) - image.take(first + row))
        for row in (0, width)
    )
    return upper + (down - top) * (lower - upper)
