"""Images in a labeled grid."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GAP, _LABEL_HEIGHT, _FONT_PIXELS = 6, 22, 14


def draw_sheet(rows: Sequence[Sequence[tuple[str, np.ndarray]]]) -> np.ndarray:
    """Draw rows of images on white, each with its label above.

    Args:
        rows: for each image its label and its pixels, shape (height, width, 3), uint8 in [0, 255].

    Returns:
        Pixels of shape (height, width, 3), uint8. A label that is wider than its image is cut.
    """
    font = ImageFont.load_default(_FONT_PIXELS)
    tiles = [[(label, Image.fromarray(pixels)) for label, pixels in row] for row in rows]
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
