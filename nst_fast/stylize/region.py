"""Which part of a picture is stylized: people, what is behind them, or what a mask says."""

import functools
from pathlib import Path

import numpy as np
from PIL import Image

from nst_fast.errors import SettingError
from nst_fast.media.pictures import read_picture
from nst_fast.stylize.color import luminance
from nst_fast.stylize.engines.graph_engine import RunGraph

# MediaPipe's selfie segmentation (Apache License 2.0) as scripts/convert_segmentation.py writes it.
PERSON_NETWORK = Path(__file__).parent / "person.onnx"
MASK_SIDE = 256  # in pixels, of what that network takes and gives, whatever the picture's shape
# Of a color picture that was given as a mask by mistake, the colors differ by more, in levels.
_MOST_COLOR = 24
# A mask that takes over more from the frames before drags behind whoever moves.
MOST_SMOOTHING = 0.5


def find_person(rgb: np.ndarray) -> np.ndarray:
    """Where people are in (H, W, 3), uint8: (256, 256), uint8, from 0 (no person) to 255, stretched to a square."""
    image = Image.fromarray(rgb).resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BILINEAR, reducing_gap=1.0)
    (mask,) = _open_network()({"images": np.asarray(image)[None]})
    return mask[0]


@functools.cache
def _open_network() -> RunGraph:
    from nst_fast.stylize.engines.onnxruntime_engine import open_with_onnxruntime

    # One thread: its layers are so small that several would mostly wait for each other.
    return open_with_onnxruntime(PERSON_NETWORK.read_bytes(), device="cpu", threads=1)


def read_mask(path: Path) -> np.ndarray:
    """A mask file as (height, width), uint8: its transparency if it has some, else its light and dark.

    Raises:
        ImageError: no picture.
        SettingError: a color picture, or a mask that selects nothing.
    """
    picture = read_picture(path)
    if picture.alpha is not None and picture.alpha.min() < 255:
        mask = picture.alpha
    else:
        colors = picture.rgb.astype(np.int16)
        if float((colors.max(axis=2) - colors.min(axis=2)).mean()) > _MOST_COLOR:
            raise SettingError(f"mask {str(path)!r} is a color picture; give a gray one, white where the style goes")
        mask = luminance(picture.rgb)
    if mask.max() == 0:
        raise SettingError(f"mask {str(path)!r} is empty, all black; make it white where the style goes")
    return mask


def mix_rows(stylized: np.ndarray, photo: np.ndarray, mask: np.ndarray, start: int, height: int) -> np.ndarray:
    """Rows of the stylized image where the mask is white, of the photo where it is black, and mixed between.

    Args:
        stylized, photo: (rows, W, 3), uint8, from row `start` of an image that is `height` pixels high.
        mask: (h, w), uint8, for the whole image, of any size: it is enlarged smoothly, which feathers its edges.
    """
    rows, width = photo.shape[:2]
    box = (0, start * mask.shape[0] / height, mask.shape[1], (start + rows) * mask.shape[0] / height)
    enlarged = Image.fromarray(mask).resize((width, rows), Image.Resampling.BILINEAR, box=box)
    return np.asarray(Image.composite(Image.fromarray(stylized), Image.fromarray(photo), enlarged))
