"""Pictures in a labelled grid."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from nst_fast.images import to_uint8

_GAP, _LABEL_HEIGHT, _FONT_PIXELS = 6, 22, 14


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


def _shorten(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-1]
    return text
