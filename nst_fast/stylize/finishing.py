"""From the photo to what the network gets, and from what the network gives to what the look asks for.

All of it works row by row, in several threads, and the same for every engine.
"""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nst_fast.media.resizing import resize_pixels
from nst_fast.memory import keep_freed_memory
from nst_fast.stylize.color import (
    ColorStatistics,
    luminance_transform,
    match_transform,
    measure_colors,
    take_luminance,
    transform_colors,
)
from nst_fast.stylize.guided_upsampling import enlarge_rows
from nst_fast.stylize.look import SUBJECTS, Look
from nst_fast.stylize.region import MASK_SIDE, MOST_SMOOTHING, find_person, mix_rows, read_mask

# Each thread works on so many pixels at most at a time, which bounds the memory for huge photos.
_STRIP_PIXELS = 1_000_000
# Those of `ColorStatistics`: three means and nine covariances.
_COLOR_NUMBERS = 12
# Those of a mask, in each of the two rows of statistics.
_MASK_NUMBERS = MASK_SIDE**2 // 2


@dataclass
class FrameMemory:
    """What the frames before leave to the next one of a film; empty at the start and after a cut.

    Attributes:
        photo, stylized: their colors. None: none are matched.
        mask: where people were, (256, 256), uint8. None: nobody is looked for.
    """

    photo: ColorStatistics | None = None
    stylized: ColorStatistics | None = None
    mask: np.ndarray | None = None

    @classmethod
    def take_from(cls, used: np.ndarray | None, *, colors: bool, mask: bool) -> "tuple[FrameMemory, np.ndarray | None]":
        """The memory that `add_to` added to the statistics, and those without it.

        Args:
            colors, mask: what was added.
        """
        memory = cls()
        if used is None:
            return memory, None
        if mask:
            used, last = used[:, :, :-_MASK_NUMBERS], used[:, :, -_MASK_NUMBERS:]
            memory.mask = last.reshape(MASK_SIDE, MASK_SIDE).astype(np.uint8)
        if colors:
            used, last = used[:, :, :-_COLOR_NUMBERS], used[0, :, -_COLOR_NUMBERS:].astype(float)
            memory.photo, memory.stylized = (ColorStatistics(row[:3], row[3:].reshape(3, 3)) for row in last)
        return memory, np.ascontiguousarray(used)

    def add_to(self, used: np.ndarray | None) -> np.ndarray | None:
        """The statistics that a frame used, (1, 2, channels), float32, with what there is here as more channels.

        So whoever keeps them to continue a film later keeps the memory too.
        """
        if used is None:
            return None
        parts = [used]
        if self.photo is not None and self.stylized is not None:
            rows = [[*one.mean, *one.covariance.ravel()] for one in (self.photo, self.stylized)]
            parts.append(np.array(rows, np.float32)[None])
        if self.mask is not None:
            parts.append(self.mask.reshape(1, 2, _MASK_NUMBERS).astype(np.float32))
        return np.concatenate(parts, axis=2)


class Finisher:
    """Does what a look asks for, except for the strength, which is the network's.

    Args:
        look: may name a mask, which is read here.
        threads: None: one for each core.

    Attributes:
        changes_nothing: whether the network's own output is what the look asks for.
        only_enlarges: whether the look asks for large strokes and nothing else.
        matches_colors, finds_people: whether it measures colors, and looks for people.

    Raises:
        ImageError, SettingError: the mask cannot be used, see `read_mask`.
    """

    def __init__(self, look: Look, threads: int | None) -> None:
        keeps_all = look.keep_color is None and look.region is None
        self.changes_nothing = look.stroke_size == 1 and keeps_all
        self.only_enlarges = look.stroke_size > 1 and keeps_all
        self.matches_colors = look.keep_color is not None
        self.finds_people = look.region in SUBJECTS
        self._look = look
        self._threads = threads
        self._mask = None if look.mask is None else read_mask(look.mask)
        if not self.changes_nothing:
            keep_freed_memory()

    def network_size(self, height: int, width: int) -> tuple[int, int]:
        """The height and width in pixels at which the network works."""
        stroke_size = self._look.stroke_size
        return max(1, round(height / stroke_size)), max(1, round(width / stroke_size))

    def shrink(self, photo: np.ndarray) -> np.ndarray:
        """What the network gets for (H, W, 3), uint8: for large strokes a smaller copy, for small ones a larger one."""
        height, width = photo.shape[:2]
        small_height, small_width = self.network_size(height, width)
        factor = height // small_height
        if factor > 1 and (small_height * factor, small_width * factor) == (height, width):
            return np.asarray(Image.fromarray(photo).reduce(factor))  # much quicker than resizing
        return resize_pixels(photo, small_height, small_width)

    def finish(
        self,
        photo: np.ndarray,
        small: np.ndarray,
        stylized: np.ndarray,
        memory: FrameMemory | None = None,
        smoothing: float = 0.0,
    ) -> np.ndarray:
        """The output, (H, W, 3), uint8.

        Args:
            photo: (H, W, 3), uint8.
            small: the copy that `shrink` made of it.
            stylized: what the network made of that copy, of the same shape.
            memory: of the frames before, which is updated. None: this is no film.
            smoothing: their share in the statistics of colors, and up to a half of it in masks.
        """
        memory = FrameMemory() if memory is None else memory
        recolor = self._choose_colors(small, stylized, memory, smoothing)
        mask = self._find_mask(small, memory, smoothing)
        height, width = photo.shape[:2]
        whole = None
        if stylized.shape == photo.shape:
            whole = stylized
        elif self._look.stroke_size < 1:
            whole = resize_pixels(stylized, height, width)
        result = np.empty_like(photo)

        def finish_rows(start: int, end: int) -> None:
            rows = enlarge_rows(stylized, small, photo, start, end) if whole is None else whole[start:end]
            if recolor is not None:
                rows = recolor(rows, photo[start:end])
            if mask is not None:
                rows = mix_rows(rows, photo[start:end], mask, start, height)
            result[start:end] = rows

        if recolor is None and mask is None and whole is not None:
            return np.array(whole)
        self._in_strips(finish_rows, height, width)
        return result

    def _in_strips(self, work: Callable[[int, int], None], height: int, width: int) -> None:
        threads = self._threads or _count_cores()
        strips = min(height, max(threads, -(-height * width // _STRIP_PIXELS)))
        edges = [height * strip // strips for strip in range(strips + 1)]
        if strips == 1:
            work(0, height)
        else:
            list(_open_pool(threads).map(work, edges[:-1], edges[1:]))

    def _choose_colors(
        self, small: np.ndarray, stylized: np.ndarray, memory: FrameMemory, smoothing: float
    ) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
        """What gives stylized rows, with those of the photo, their colors; None: they keep those of the style."""
        if self._look.keep_color is None:
            return None
        memory.photo = measure_colors(small).mix(memory.photo, smoothing)
        memory.stylized = measure_colors(stylized).mix(memory.stylized, smoothing)
        if self._look.keep_color == "luminance":
            gain, offset = luminance_transform(memory.stylized, memory.photo)
            return lambda rows, photo: take_luminance(rows, photo, gain, offset)
        matrix, shift = match_transform(memory.stylized, memory.photo)
        return lambda rows, _: transform_colors(rows, matrix, shift)

    def _find_mask(self, small: np.ndarray, memory: FrameMemory, smoothing: float) -> np.ndarray | None:
        """Where the style goes, (h, w), uint8; None: everywhere."""
        if not self.finds_people:
            return self._mask
        mask = find_person(small)
        if memory.mask is not None and smoothing > 0:
            share = np.float32(min(smoothing, MOST_SMOOTHING))
            mask = np.round(mask + share * (memory.mask.astype(np.float32) - mask)).astype(np.uint8)
        memory.mask = mask
        return mask if self._look.region == "person" else 255 - mask


def _count_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _open_pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "finish-rows")
