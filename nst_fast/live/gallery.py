"""The styles on offer, each with what it says of itself, the network that paints, and a thumbnail."""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nst_fast.checkpoint import find_checkpoint, list_shipped_checkpoints, read_checkpoint_header
from nst_fast.images import decode_picture, encode_picture
from nst_fast.inference.stylizer import Stylizer
from nst_fast.pictures import Picture

SAMPLE = Path(__file__).parent / "page" / "sample.jpg"
THUMBNAIL_QUALITY = 88


class Style:
    """One style; its network is loaded when it is first needed.

    Args:
        name: as the page and the API call it.
        about: `title`, `artist`, `year`, where known.
        load: gives the network that paints.

    Not for several threads at a time: the painter's thread alone calls `stylizer` and `thumbnail`.
    """

    def __init__(self, name: str, about: dict[str, Any], load: Callable[[], Stylizer]) -> None:
        self.name = name
        self.about = about
        self._load = load

    @functools.cached_property
    def stylizer(self) -> Stylizer:
        """The one object that paints in this style."""
        return self._load()

    @functools.cached_property
    def thumbnail(self) -> bytes:
        """A JPEG of what the style makes of the sample photo."""
        return encode_jpeg(self.stylizer.stylize_pixels(read_sample()), quality=THUMBNAIL_QUALITY)


def list_styles(given: Iterable[str], **options: Any) -> dict[str, Style]:
    """The given styles, in their order, then the shipped ones: unique name -> style.

    Args:
        given: names of shipped styles, or checkpoint files.
        options: of `Stylizer`, such as `device`.

    Raises:
        CheckpointError: one of them is no style.
    """
    files = {find_checkpoint(name).resolve(): Path(name).stem for name in given}
    for name, path in list_shipped_checkpoints().items():
        files.setdefault(path.resolve(), name)
    styles: dict[str, Style] = {}
    for path, fallback in files.items():
        about = read_checkpoint_header(path).get("style", {})
        base = str(about.get("name") or fallback)
        name, number = base, 2
        while name in styles:
            name, number = f"{base} {number}", number + 1
        about = {key: about[key] for key in ("title", "artist", "year") if about.get(key) is not None}
        styles[name] = Style(name, about, functools.partial(Stylizer, path, **options))
    return styles


@functools.cache
def read_sample() -> np.ndarray:
    """The photo that thumbnails show, painted: shape (height, width, 3), uint8."""
    return decode_picture(SAMPLE.read_bytes(), name="the sample photo").rgb


def encode_jpeg(rgb: np.ndarray, *, quality: int) -> bytes:
    """Pixels (height, width, 3), uint8, as a JPEG with its colour at full resolution."""
    return encode_picture(Picture(rgb), ".jpg", jpeg_quality=quality)
