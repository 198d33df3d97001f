"""The styles on offer, each with what it says of itself, the network that paints, and a thumbnail."""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nst_fast.checkpoint import find_checkpoint, list_shipped_checkpoints, load_checkpoint, read_checkpoint_header
from nst_fast.images import decode_picture, encode_picture
from nst_fast.inference.stylizer import Stylizer
from nst_fast.pictures import Picture
from nst_fast.transform_nets import TransformNet

SAMPLE = Path(__file__).parent / "page" / "sample.jpg"
THUMBNAIL_QUALITY = 88


class Style:
    """One style; what is made of its network is made when it is first needed, and anew when the network is another.

    Args:
        name: as the page and the API call it.
        about: `title`, `artist`, `year`, where known.
        load: gives the network; called often, so it is to remember it.
        options: of `Stylizer`, such as `device`.

    Not for several threads at a time: the painter's thread alone asks for anything but `name` and `about`.
    """

    def __init__(self, name: str, about: dict[str, Any], load: Callable[[], TransformNet], **options: Any) -> None:
        self.name = name
        self.about = about
        self._load = load
        self._options = options
        self._network: TransformNet | None = None
        self._made: dict[str, Any] = {}

    @property
    def stylizer(self) -> Stylizer:
        """The one object that paints in this style."""
        return self._make_once("stylizer", lambda network: Stylizer(network, **self._options))

    @property
    def thumbnail(self) -> bytes:
        """A JPEG of what the style makes of the sample photo."""
        stylizer = self.stylizer
        return self._make_once(
            "thumbnail", lambda _: encode_jpeg(stylizer.stylize_pixels(read_sample()), quality=THUMBNAIL_QUALITY)
        )

    @property
    def onnx(self) -> bytes:
        """The network as an ONNX file from pixels to pixels, see `build_onnx_graph`."""
        from nst_fast.export.onnx_graph import build_onnx_graph

        return self._make_once("onnx", lambda network: build_onnx_graph(network, pixels=True).SerializeToString())

    def _make_once(self, what: str, make: Callable[[TransformNet], Any]) -> Any:
        network = self._load()
        if network is not self._network:
            self._network, self._made = network, {}
        if what not in self._made:
            self._made[what] = make(network)
        return self._made[what]


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
        styles[name] = Style(name, about, _remembered(path), **options)
    return styles


def _remembered(path: Path) -> Callable[[], TransformNet]:
    return functools.cache(lambda: load_checkpoint(path).network)


@functools.cache
def read_sample() -> np.ndarray:
    """The photo that thumbnails show, painted: shape (height, width, 3), uint8."""
    return decode_picture(SAMPLE.read_bytes(), name="the sample photo").rgb


def encode_jpeg(rgb: np.ndarray, *, quality: int) -> bytes:
    """Pixels (height, width, 3), uint8, as a JPEG with its colour at full resolution."""
    return encode_picture(Picture(rgb), ".jpg", jpeg_quality=quality)
