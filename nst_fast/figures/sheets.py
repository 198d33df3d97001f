"""Images in a labeled grid."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 6


def draw_sheet(rows: Sequence[Sequence[tuple[str, np.ndarray]]], *, font_pixels: int = 14) -> np.ndarray:
    """Draw rows of images on white, each with its label above.

    Args:
        rows: for each image its label and its pixels, shape (height, width, 3), uint8 in [0, 255].
        font_pixels: height of the labels' font.

    Returns:
        Pixels of shape (height, width, 3), uint8. A label that is wider than its image is cut.
    """
    font = ImageFont.load_default(font_pixels)
    label_height = round(1.6 * font_pixels)
    tiles = [[(label, Image.fromarray(pixels)) for label, pixels in row] for row in rows]
    heights = [max(tile.height for _, tile in row) + label_height + GAP for row in tiles]
    width = max(sum(tile.width + GAP for _, tile in row) for row in tiles) + GAP
    sheet = Image.new("RGB", (width, sum(heights) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for row, height in zip(tiles, heights, strict=True):
        left = GAP
        for label, tile in row:
            draw.text((left, top), _shorten(label, tile.width, font), "black", font)
            sheet.paste(tile, (left, top + label_height))
            left += tile.width + GAP
        top += height
    return np.asarray(sheet)


def _shorten(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-1]
    return text
