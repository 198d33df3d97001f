"""Large strokes in films without turning whole frames into RGB: what takes most of the time in large ones."""

import numpy as np

from nst_fast.media.yuv_image import YuvImage, resize_plane
from nst_fast.stylize.color import luminance
from nst_fast.stylize.guided_upsampling import fit_strokes, scale_detail

# Rows at a time, so that what is computed with them stays in the cache.
_ROWS = 64


def enlarge_strokes(stylized: np.ndarray, small: np.ndarray, photo: YuvImage) -> YuvImage:
    """The stylized image at the size of a frame, as `guided_upsampling.enlarge_rows` does it for RGB.

    There the detail of the photo is added to red, green and blue alike, which changes the luma and leaves the colors:
    so here it is added to the luma, and the colors are those of the small image.

    Args:
        stylized, small: (h, w, 3), uint8, RGB: what the network made of the small copy of the frame, and that copy.
        photo: the frame, (H, W).

    Returns:
        (H, W), in the colors of the same matrix.
    """
    height, width = photo.height, photo.width
    gain, strokes = fit_strokes(stylized, luminance(small))
    result = YuvImage.from_rgb(strokes, photo.matrix, height, width)
    gain = resize_plane(gain, height, width)
    level, target = photo.luma, result.luma
    blurred = resize_plane(resize_plane(level, *small.shape[:2]), height, width)
    for start in range(0, height, _ROWS):
        rows = slice(start, start + _ROWS)
        detail = scale_detail(level[rows], blurred[rows], gain[rows])
        detail += target[rows]
        np.clip(detail, 0, 255, out=detail)
        target[rows] = detail
    return result
