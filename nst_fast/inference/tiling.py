"""Huge pictures: statistics from a thumbnail, then tiles without seams, in bounded memory.

A tile by itself would be painted in its own brightness and colours, since instance normalisation measures on what it
sees. So all tiles are normalised by the statistics of a thumbnail of the whole picture (Chen et al. 2022, URST, arXiv
2103.11784). What is left of the borders between tiles is taken away by windows that reach beyond their tile by as much
as the network sees: inside the tile the result is that of the whole picture painted with the same statistics.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn

from nst_fast.inference.engines.engine import Engine
from nst_fast.transform_nets import TransformNet
from nst_fast.transform_nets.statistics import blank_statistics, paint_with_statistics

# The long side of the thumbnail in pixels. Smaller ones lose the fine texture that the statistics are partly made of.
_THUMBNAIL_SIDE = 1024
# The side of the windows in pixels: larger ones have less overlap in proportion, and take more memory.
_WINDOW_SIDE = 768
# Input, padded input and result of a layer, a residual kept, and what allocators leave unused.
_COPIES = 5


@dataclass(frozen=True)
class Span:
    """One tile along one side of the picture, in pixels: what is kept, within what is painted."""

    start: int
    end: int
    window_start: int
    window_end: int


def paint_in_tiles(
    engine: Engine, network: TransformNet, rgb: np.ndarray, *, window_side: int = _WINDOW_SIDE
) -> np.ndarray:
    """Paint a picture of any size, (H, W, 3), uint8, window by window; gives the same shape.

    Args:
        window_side: of the square windows in pixels.
    """
    _, statistics = engine.paint_pixels_with_statistics(make_thumbnail(rgb, _THUMBNAIL_SIDE)[None], None, 1.0)
    return paint_tiles_with_statistics(engine, network, rgb, statistics, window_side=window_side)


def paint_tiles_with_statistics(
    engine: Engine, network: TransformNet, rgb: np.ndarray, statistics: np.ndarray, *, window_side: int
) -> np.ndarray:
    """Paint (H, W, 3), uint8, window by window with these statistics, (1, 2, total channels)."""
    painted = np.empty_like(rgb)
    overlap = measure_receptive_radius(network)
    for rows in split_side(rgb.shape[0], window_side, overlap, network.stride):
        for columns in split_side(rgb.shape[1], window_side, overlap, network.stride):
            window = rgb[rows.window_start : rows.window_end, columns.window_start : columns.window_end]
            ((result,), _) = engine.paint_pixels_with_statistics(
                window[None], statistics, 0.0, (rows.window_start, columns.window_start)
            )
            painted[rows.start : rows.end, columns.start : columns.end] = result[
                rows.start - rows.window_start : rows.end - rows.window_start,
                columns.start - columns.window_start : columns.end - columns.window_start,
            ]
    return painted


def split_side(side: int, window_side: int, overlap: int, stride: int) -> Iterator[Span]:
    """The tiles along a side of the picture, from its beginning to its end.

    Windows begin at multiples of the network's stride, as the network's own squares do, and reach `overlap` beyond
    their tile, but not beyond the picture, whose own edges are to be painted as such.
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


def resize_pixels(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bicubic, antialiased, as `images.resize`, but in bytes: for pictures whose floats would fill the memory."""
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))


@torch.no_grad()
def measure_receptive_radius(network: TransformNet) -> int:
    """How many pixels away a pixel of the photo can still change the painting, statistics aside.

    It is measured: NaN spreads through every sum that it is part of, so it marks the field that a pixel reaches.
    """
    like = next(network.parameters())
    statistics = blank_statistics(network) + 1
    side = 128
    while True:
        photos = torch.zeros(network.stride, 3, side, side, dtype=like.dtype, device=like.device)
        centre = side // 2 // network.stride * network.stride
        # A pixel's reach depends on its place in the squares that strides and shuffles make.
        for place in range(network.stride):
            photos[place, :, centre + place, centre + place] = torch.nan
        painted, _ = paint_with_statistics(network, photos, statistics.to(like.dtype), 0.0)
        reached = painted.isnan().any(1).any(1)
        if not reached[:, [0, -1]].any():
            break
        side *= 2
    radius = 0
    for place in range(network.stride):
        positions = reached[place].nonzero()
        radius = max(radius, int((positions - centre - place).abs().max()))
    return radius


@torch.no_grad()
def estimate_bytes_per_pixel(network: TransformNet) -> float:
    """What painting takes of memory for each pixel of a picture, roughly: copies of the largest layer in float32."""
    largest, side = 0, 64

    def note(_layer: nn.Module, _given: object, result: torch.Tensor) -> None:
        nonlocal largest
        largest = max(largest, result.numel())

    # Run for good, not on the meta device, whose first use takes seconds of imports.
    hooks = [module.register_forward_hook(note) for module in network.modules() if not list(module.children())]
    network(torch.zeros(1, 3, side, side, device=next(network.parameters()).device))
    for hook in hooks:
        hook.remove()
    return _COPIES * 4 * largest / side**2
