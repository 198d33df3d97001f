"""The styles on offer, each with its description, its network and a thumbnail."""

import functools
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from nst_fast.errors import SettingError
from nst_fast.media.pictures import Picture, decode_picture, encode_picture
from nst_fast.networks.checkpoint import Checkpoint, encode_checkpoint, load_base, load_checkpoint
from nst_fast.networks.checkpoint_header import find_checkpoint, list_shipped_checkpoints, read_checkpoint_header
from nst_fast.stylize.look import Look
from nst_fast.stylize.smoothing import FrameStylizer
from nst_fast.stylize.styles import list_codes, load_code
from nst_fast.stylize.stylizer import Stylizer

SAMPLE = Path(__file__).parent / "page" / "sample.jpg"
THUMBNAIL_QUALITY = 88

_Made = TypeVar("_Made")


class LastFrame(NamedTuple):
    """A frame, (H, W, 3), uint8, and how it was stylized."""

    pixels: np.ndarray
    smoothing: float
    coherence: float
    look: Look


def open_frames(stylizer: Stylizer, smoothing: float, coherence: float) -> FrameStylizer:
    """What stylizes the frames of one camera. Strokes that are to hold still in the scene follow the camera, too."""
    return stylizer.for_frames(smoothing, coherence, follow_camera=coherence > 0)


class Style:
    """One style. What needs its network is made on first use, and made again when the network is another one.

    Args:
        name: as the page and the API call it.
        about: `title`, `artist`, `year`, where known; `adjustable`, true, if it has the knob for its strength; and
            `blends`, true, if it can be part of a blend.
        load: gives the checkpoint; called often, so it should remember it.
        load_code: gives the base network in this style, for blends. None: `load` does, if `blends` is true.
        on_open: called with the style after a stylizer was made, in that thread. None: nobody wants to know.
        options: of `Stylizer`, such as `device`.

    Each stylizer is for one thread at a time: `stylizer` and `thumbnail` for the thread of frames, the two of
    `picture_stylizer` for that of pictures.

    Attributes:
        last_used: when its network was last asked for by more than its thumbnail, by `time.monotonic`.
        version: how often `exchange` was called.
        last_frame: the one that was stylized last. None: there is none. `exchange` prepares for frames like it.
    """

    def __init__(
        self,
        name: str,
        about: dict[str, Any],
        load: Callable[[], Checkpoint],
        *,
        load_code: Callable[[], Checkpoint] | None = None,
        on_open: Callable[["Style"], None] | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.about = about
        self.last_used = time.monotonic()
        self.version = 0
        self.last_frame: LastFrame | None = None
        self._load = load
        self._load_code = load_code
        self._on_open = on_open
        self._options = options
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._checkpoint: Checkpoint | None = None
        self._restyle_to: Checkpoint | None = None  # for the thread of frames, whose stylizer it is
        self._made: dict[str, Any] = {}

    @property
    def stylizer(self) -> Stylizer:
        """Stylizes frames and the thumbnail."""
        self.last_used = time.monotonic()
        return self._open_stylizer()

    @property
    def checkpoint(self) -> Checkpoint:
        """The network."""
        return self._load()

    @property
    def code(self) -> Checkpoint:
        """The base network in this style, for blends.

        Raises:
            SettingError: there is none.
        """
        if not self.about.get("blends"):
            raise SettingError(f"style {self.name[:80]!r} cannot be blended: it does not share the base network")
        return self._load() if self._load_code is None else self._load_code()

    def picture_stylizer(self, *, tiled: bool) -> Stylizer:
        """Stylizes whole pictures: in tiles, or in one piece."""
        self.last_used = time.monotonic()
        tiles = "always" if tiled else "never"
        return self._make_once(tiles, lambda checkpoint: self._open(checkpoint, tiles=tiles))

    @property
    def thumbnail(self) -> bytes:
        """The sample photo in this style, a JPEG."""
        stylizer = self._open_stylizer()
        return self._make_once(
            "thumbnail", lambda _: encode_jpeg(stylizer.stylize_pixels(read_sample()), quality=THUMBNAIL_QUALITY)
        )

    @property
    def onnx(self) -> bytes:
        """The network as an ONNX file from pixels to pixels, with an input for the strength if it is adjustable."""
        self.last_used = time.monotonic()
        return self._make_once("onnx", _build_onnx)

    @property
    def file(self) -> bytes:
        """A checkpoint file: of a few kB for a style of the base network."""
        return self._make_once("file", _encode_file)

    def make_sibling(
        self,
        name: str,
        about: dict[str, Any],
        checkpoint: Checkpoint,
        on_open: Callable[["Style"], None] | None = None,
    ) -> "Style":
        """Another style, whose stylizers have the same options."""
        return Style(name, about, lambda: checkpoint, on_open=on_open, **self._options)

    def exchange(self, checkpoint: Checkpoint) -> None:
        """Stylize with another network from the next frame on.

        What stylizes frames is prepared in the thread of the caller, so that frames do not wait for it: an engine takes
        up to a second to prepare, and another one for the first two frames of a size.
        """
        with self._lock:
            current, frame = self._made.get("stylizer"), self.last_frame
        shares = current is not None and current.checkpoint.shared_digest == checkpoint.shared_digest
        if current is not None and not shares:
            current = self._open(checkpoint)
            if frame is not None:
                current.look = frame.look
                frames = open_frames(current, frame.smoothing, frame.coherence)
                for _ in range(2):
                    frames.stylize_pixels(frame.pixels)
        with self._lock:
            self._load = lambda: checkpoint
            self._checkpoint, self._locks = checkpoint, {}
            self._restyle_to = checkpoint if shares else None
            self.version += 1
            self._made = {} if current is None else {"stylizer": current}

    def close(self) -> None:
        """Forget the stylizers, which take most of the memory. They are made again on their next use."""
        with self._lock:
            self._made = {what: made for what, made in self._made.items() if not isinstance(made, Stylizer)}
            self._locks = {}

    def _open_stylizer(self) -> Stylizer:
        stylizer = self._make_once("stylizer", self._open)
        with self._lock:
            wanted, self._restyle_to = self._restyle_to, None
            is_current = self._made.get("stylizer") is stylizer
        if wanted is not None and is_current:
            stylizer.restyle(wanted)
        return stylizer

    def _open(self, checkpoint: Checkpoint, **options: Any) -> Stylizer:
        stylizer = Stylizer(checkpoint, **options, **self._options)
        if self._on_open is not None:
            self._on_open(self)
        return stylizer

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


def _encode_file(checkpoint: Checkpoint) -> bytes:
    shares = checkpoint.shared_digest == load_base().shared_digest
    return encode_checkpoint(checkpoint, dtype="fp16", without_shared=shares)


def _build_onnx(checkpoint: Checkpoint) -> bytes:
    from nst_fast.networks.onnx_graph import build_onnx_graph

    return build_onnx_graph(checkpoint, pixels=True, strength=None, strength_input=True)


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
    shipped, codes = {path.resolve() for path in list_shipped_checkpoints().values()}, list_codes()
    styles: dict[str, Style] = {}
    for path, fallback in files.items():
        header = read_checkpoint_header(path)
        about = header.get("style", {})
        name = find_free_name(str(about.get("name") or fallback), styles)
        about = {key: about[key] for key in ("title", "artist", "year") if about.get(key) is not None}
        if header["network"].get("adjustable"):
            about["adjustable"] = True
        has_code = path in shipped and path.stem in codes
        if has_code or "base" in header:
            about["blends"] = True
        code = functools.partial(load_code, path.stem) if has_code and "base" not in header else None
        styles[name] = Style(name, about, _remembered(path), load_code=code, **options)
    return styles


def find_free_name(name: str, taken: Iterable[str]) -> str:
    """The name itself, or with the first number from 2 on that makes it a new one."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free


def _remembered(path: Path) -> Callable[[], Checkpoint]:
    return functools.cache(lambda: load_checkpoint(path))


@functools.cache
def read_sample() -> np.ndarray:
    """The photo of the thumbnails: shape (height, width, 3), uint8."""
    return decode_picture(SAMPLE.read_bytes(), name="the sample photo").rgb


def encode_jpeg(rgb: np.ndarray, *, quality: int) -> bytes:
    """Pixels (height, width, 3), uint8, as a JPEG with its color at full resolution."""
    return encode_picture(Picture(rgb), ".jpg", jpeg_quality=quality)
