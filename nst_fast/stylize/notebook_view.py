"""What a notebook shows of a Stylizer."""

import base64
import html
from typing import TYPE_CHECKING

from nst_fast.files.shipped import sample_photo
from nst_fast.media.pictures import Picture, encode_picture, read_picture
from nst_fast.media.resizing import resize_pixels, size_for_long_side

if TYPE_CHECKING:
    from nst_fast.stylize.stylizer import Stylizer

_LONG_SIDE = 240  # pixels, of the thumbnail


def show_stylizer(stylizer: "Stylizer") -> str:
    """HTML: the style, the size of the network, the knobs, the engine, and the sample photo in this style."""
    checkpoint = stylizer.checkpoint
    style = checkpoint.info.style
    about = ", ".join(str(style[key]) for key in ("title", "artist", "year") if style.get(key) is not None)
    numbers = sum(weight.size for weight in checkpoint.weights.values())
    rows = {
        "style": f"{stylizer.style_name} ({about})" if about else stylizer.style_name,
        "network": f"{checkpoint.description.name}, {numbers:,} weights",
        "knobs": str(stylizer.look) or "as trained",
        "engine": stylizer.describe(),
    }
    stylized = stylizer.stylize_picture(read_picture(sample_photo())).rgb
    height, width = stylized.shape[:2]
    small = resize_pixels(stylized, *size_for_long_side(height, width, _LONG_SIDE))
    data = encode_picture(Picture(small), ".jpg", jpeg_quality=85)
    cells = "".join(
        f"<tr><th style='text-align:left'>{name}</th><td style='text-align:left'>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return (
        f"<div style='display:flex;gap:1em;align-items:center'><img alt='a photo in this style' "
        f"src='data:image/jpeg;base64,{base64.b64encode(data).decode()}'><table>{cells}</table></div>"
    )
