"""Huge pictures: statistics from a thumbnail, then tiles without seams, in bounded memory.

A tile by itself would get its own brightness and colors, since instance normalization measures on what it sees. So all
tiles are normalized by the statistics of a thumbnail of the whole picture (Chen et al. 2022, URST, arXiv 2103.11784).
Each tile is cut from a window that reaches beyond it by as much as the network sees, so inside the tile the result is
that of the whole picture stylized with the same statistics: there are no borders to hide.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nst_fast.media.resizing import resize_pixels
from nst_fast.networks.description import NetworkDescription
from nst_fast.stylize.engines.engine import Engine

# The long side of the thumbnail in pixels. Smaller ones lose the fine texture that the statistics are partly made of.
_THUMBNAIL_SIDE = 1024
# The side of the windows in pixels: larger ones have less overlap in proportion, and take more memory.
_WINDOW_SIDE = 768
# Input, padded input and result of a layer, a residual kept, and what allocators leave unused.
_COPIES = 5


@dataclass(frozen=True)
class Span:
    """One tile along one side of the picture, in pixels: what is kept, within what is stylized."""

    start: int
    end: int
    window_start: int
    window_end: int


def stylize_in_tiles(
    engine: Engine, network: NetworkDescription, rgb: np.ndarray, *, window_side: int = _WINDOW_SIDE
) -> np.ndarray:
    """Stylize a picture of any size, (H, W, 3), uint8, window by window; gives the same shape.

    Args:
        window_side: of the square windows in pixels.
    """
    _, statistics = engine.stylize_with_statistics(make_thumbnail(rgb, _THUMBNAIL_SIDE)[None], None, 0.0)
    return stylize_tiles_with_statistics(engine, network, rgb, statistics, window_side=window_side)


def stylize_tiles_with_statistics(
    engine: Engine, network: NetworkDescription, rgb: np.ndarray, statistics: np.ndarray, *, window_side: int
) -> np.ndarray:
    """Stylize (H, W, 3), uint8, window by window with these statistics, (1, 2, total channels)."""
    stylized = np.empty_like(rgb)
    overlap = network.receptive_radius
    for rows in split_side(rgb.shape[0], window_side, overlap, network.stride):
        for columns in split_side(rgb.shape[1], window_side, overlap, network.stride):
            window = rgb[rows.window_start : rows.window_end, columns.window_start : columns.window_end]
            ((result,), _) = engine.stylize_with_statistics(
                window[None], statistics, 1.0, (rows.window_start, columns.window_start)
            )
            stylized[rows.start : rows.end, columns.start : columns.end] = result[
                rows.start - rows.window_start : rows.end - rows.window_start,
                columns.start - columns.window_start : columns.end - columns.window_start,
            ]
    return stylized


def split_side(side: int, window_side: int, overlap: int, stride: int) -> Iterator[Span]:
    """The tiles along a side of the picture, from its beginning to its end.

    Windows begin at multiples of the network's stride, as the network's own squares do, and reach `overlap` beyond
    their tile, but not beyond the picture, whose own edges are to be stylized as such.
    """
    overlap = -(-overlap // stride) * stride
    step = max(stride, (window_side - 2 * overlap) // stride * stride)
    for start in range(0, side, step):
        end = min(start + step, side)
        # At the end of the picture the window is kept as large as the others, since an engine may compile for it.
        window_start = max(0, min(start - overlap, (side - step - 2 * overlap) // stride * stride))
        yield Span(start, end, window_start, min(end + overlap, side))


def make_thumbnail(rgb: np.ndarray, long_side: int) -> np.ndarray:
    """The picture (H, W, 3), uint8, scaled down to this long side in pixels, if it is larger."""
    height, width = rgb.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return rgb
    # First by averages of whole squares, since Pillow would copy all of a huge picture.
    factor = min(int(0.5 / scale), height, width)
    if factor > 1:
        rows, columns = height // factor, width // factor
        small = np.empty((rows, columns, 3), np.uint8)
        for row in range(rows):
            strip = rgb[row * factor : (row + 1) * factor, : columns * factor].reshape(factor, columns, factor, 3)
            small[row] = strip.mean((0, 2)).round()
        rgb = small
    return resize_pixels(rgb, max(1, round(height * scale)), max(1, round(width * scale)))


def estimate_bytes_per_pixel(network: NetworkDescription) -> float:
    """Roughly the memory that a pixel of a picture takes: copies of the largest intermediate result in float32."""
    return _COPIES * 4 * network.largest_values_per_pixel
