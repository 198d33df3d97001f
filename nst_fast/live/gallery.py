"""The styles on offer, each with its description, its network and a thumbnail."""

import functools
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nst_fast.media.pictures import Picture, decode_picture, encode_picture
from nst_fast.networks.checkpoint import Checkpoint, load_checkpoint
from nst_fast.networks.checkpoint_header import find_checkpoint, list_shipped_checkpoints, read_checkpoint_header
from nst_fast.stylize.stylizer import Stylizer

SAMPLE = Path(__file__).parent / "page" / "sample.jpg"
THUMBNAIL_QUALITY = 88

_Made = TypeVar("_Made")


class Style:
    """One style. What needs its network is made on first use, and made again when the network is another one.

    Args:
        name: as the page and the API call it.
        about: `title`, `artist`, `year`, where known.
        load: gives the checkpoint; called often, so it should remember it.
        options: of `Stylizer`, such as `device`.

    Each stylizer is for one thread at a time: `stylizer` and `thumbnail` for the thread of frames, the two of
    `picture_stylizer` for that of pictures.
    """

    def __init__(self, name: str, about: dict[str, Any], load: Callable[[], Checkpoint], **options: Any) -> None:
        self.name = name
        self.about = about
        self._load = load
        self._options = options
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._checkpoint: Checkpoint | None = None
        self._made: dict[str, Any] = {}

    @property
    def stylizer(self) -> Stylizer:
        """Stylizes frames and the thumbnail."""
        return self._make_once("stylizer", lambda checkpoint: Stylizer(checkpoint, **self._options))

    def picture_stylizer(self, *, tiled: bool) -> Stylizer:
        """Stylizes whole pictures: in tiles, or in one piece."""
        tiles = "always" if tiled else "never"
        return self._make_once(tiles, lambda checkpoint: Stylizer(checkpoint, tiles=tiles, **self._options))

    @property
    def thumbnail(self) -> bytes:
        """The sample photo in this style, a JPEG."""
        stylizer = self.stylizer
        return self._make_once(
            "thumbnail", lambda _: encode_jpeg(stylizer.stylize_pixels(read_sample()), quality=THUMBNAIL_QUALITY)
        )

    @property
    def onnx(self) -> bytes:
        """The network as an ONNX file from pixels to pixels, see `build_onnx_graph`."""
        return self._make_once("onnx", _build_onnx)

    def _make_once(self, what: str, make: Callable[[Checkpoint], _Made]) -> _Made:
        with self._lock:
            checkpoint = self._load()
            if checkpoint is not self._checkpoint:
                self._checkpoint, self._made, self._locks = checkpoint, {}, {}
            made, lock = self._made, self._locks.setdefault(what, threading.Lock())
        # A lock for each: while an engine prepares for pictures, which takes seconds, frames go on.
        with lock:
            if what not in made:
                made[what] = make(checkpoint)
            return made[what]


def _build_onnx(checkpoint: Checkpoint) -> bytes:
    from nst_fast.networks.onnx_graph import build_onnx_graph

    return build_onnx_graph(checkpoint, pixels=True)


def list_styles(given: Iterable[str], **options: Any) -> dict[str, Style]:
    """The given styles, in their order, then the shipped ones: unique name -> style.

    Args:
        given: names of shipped styles, or checkpoint files.
        options: of `Stylizer`, such as `device`.

    Raises:
        CheckpointError: one of them is neither.
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
        styles[name] = Style(name, about, _remembered(path), **options)
    return styles


def _remembered(path: Path) -> Callable[[], Checkpoint]:
    return functools.cache(lambda: load_checkpoint(path))


@functools.cache
def read_sample() -> np.ndarray:
    """The photo of the thumbnails: shape (height, width, 3), uint8."""
    return decode_picture(SAMPLE.read_bytes(), name="the sample photo").rgb


def encode_jpeg(rgb: np.ndarray, *, quality: int) -> bytes:
    """Pixels (height, width, 3), uint8, as a JPEG with its color at full resolution."""
    return encode_picture(Picture(rgb), ".jpg", jpeg_quality=quality)
