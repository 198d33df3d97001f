"""Pictures in a labelled grid, and curves in a chart, drawn without a plotting library."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from nst_fast.images import to_uint8

_GAP, _LABEL_HEIGHT, _FONT_PIXELS = 6, 22, 14
_CHART_WIDTH, _CHART_HEIGHT, _MARGIN = 900, 480, 64
_COLOURS = ("#c0392b", "#2471a3", "#1e8449", "#b9770e", "#7d3c98", "#616a6b")


def draw_sheet(rows: Sequence[Sequence[tuple[str, Tensor]]]) -> np.ndarray:
    """Rows of pictures, each (3, H, W) in [0, 1] with its label above, on white.

    Returns:
        Pixels (height, width, 3), uint8.
    """
    font = ImageFont.load_default(_FONT_PIXELS)
    tiles = [[(label, Image.fromarray(to_uint8(picture))) for label, picture in row] for row in rows]
    heights = [max(tile.height for _, tile in row) + _LABEL_HEIGHT + _GAP for row in tiles]
    width = max(sum(tile.width + _GAP for _, tile in row) for row in tiles) + _GAP
    sheet = Image.new("RGB", (width, sum(heights) + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    top = _GAP
    for row, height in zip(tiles, heights, strict=True):
        left = _GAP
        for label, tile in row:
            draw.text((left, top), _shorten(label, tile.width, font), "black", font)
            sheet.paste(tile, (left, top + _LABEL_HEIGHT))
            left += tile.width + _GAP
        top += height
    return np.asarray(sheet)


def draw_chart(
    curves: Mapping[str, Sequence[float]], lines: Mapping[str, float], *, x_label: str, y_label: str
) -> np.ndarray:
    """Curves over 0, 1, 2, ... and level lines across them, the values on a logarithmic scale.

    Args:
        curves: name -> positive values, of which the first belongs to 0.
        lines: name -> positive value.

    Returns:
        Pixels (height, width, 3), uint8.
    """
    font = ImageFont.load_default(_FONT_PIXELS)
    chart = Image.new("RGB", (_CHART_WIDTH, _CHART_HEIGHT), "white")
    draw = ImageDraw.Draw(chart)
    values = [value for curve in curves.values() for value in curve] + list(lines.values())
    low, high = math.log10(min(values)), math.log10(max(values))
    low, high = low - 0.05 * (high - low) - 1e-9, high + 0.05 * (high - low) + 1e-9
    last = max(1, *(len(curve) - 1 for curve in curves.values()))

    def place(x: float, value: float) -> tuple[float, float]:
        across = (x / last) * (_CHART_WIDTH - 2 * _MARGIN)
        up = (math.log10(value) - low) / (high - low) * (_CHART_HEIGHT - 2 * _MARGIN)
        return _MARGIN + across, _CHART_HEIGHT - _MARGIN - up

    draw.rectangle((_MARGIN, _MARGIN, _CHART_WIDTH - _MARGIN, _CHART_HEIGHT - _MARGIN), outline="#999999")
    for part in range(5):
        value = 10 ** (low + (high - low) * part / 4)
        draw.text((_MARGIN - 6, place(0, value)[1]), f"{value:.3g}", "black", font, anchor="rm")
        x = last * part / 4
        draw.text((place(x, value)[0], _CHART_HEIGHT - _MARGIN + 8), f"{x:.0f}", "black", font, anchor="ma")
    draw.text((_CHART_WIDTH / 2, _CHART_HEIGHT - 22), x_label, "black", font, anchor="ma")
    draw.text((_MARGIN, 8), y_label, "black", font)
    for number, (name, colour) in enumerate(zip([*curves, *lines], _COLOURS * len(values), strict=False)):
        draw.text((_MARGIN + 220 * (number % 3), 26 + 18 * (number // 3)), name, colour, font)
        if name in curves:
            points = [place(x, value) for x, value in enumerate(curves[name])]
        else:
            points = [place(0, lines[name]), place(last, lines[name])]
        draw.line(points, colour, 2)
    return np.asarray(chart)


def _shorten(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-1]
    return text
