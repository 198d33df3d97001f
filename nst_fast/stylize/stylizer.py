"""The one object that stylizes: pictures, folders, films and everything else go through `Stylizer`."""

import contextlib
import dataclasses
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from PIL import Image

from nst_fast.errors import ImageError, SettingError, nearest_name
from nst_fast.media.pictures import Picture, whiten_transparent
from nst_fast.media.resizing import resize_pixels, size_for_long_side
from nst_fast.memory import available_bytes, is_out_of_memory
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.stylize.coherence import CoherenceFilter
from nst_fast.stylize.engines.choice import build_engine, choose_engine, choose_precision, open_graph
from nst_fast.stylize.engines.graph_engine import RunGraph
from nst_fast.stylize.finishing import Finisher
from nst_fast.stylize.images import open_image
from nst_fast.stylize.look import Look
from nst_fast.stylize.smoothing import FrameStylizer, check_pixels
from nst_fast.stylize.styles import open_style
from nst_fast.stylize.tiles import estimate_bytes_per_pixel, stylize_in_tiles

_log = logging.getLogger(__name__)

# Whatever memory is left: tiles of that would be as large as the picture.
_NEVER_TILED_PIXELS = 768 * 768
TILES = ("auto", "always", "never")

_Image = TypeVar("_Image")


class Stylizer:
    """A trained network, ready to stylize on one device.

        Stylizer("wave")("photo.jpg").save("card.png")

    All pixels are sRGB bytes: what comes from a file, a film or a camera goes to the engine as it is.

    Args:
        style: a shipped style's name, a checkpoint file, or a loaded checkpoint; or a blend of several styles of the
            base network, such as wave:0.6,udnie:0.4.
        device: cpu, cuda, cuda:1, directml, coreml or mps. None: a GPU if an installed engine reaches one, else cpu.
        precision: fp32; bf16 (OpenVINO, PyTorch) or fp16 (PyTorch on a GPU), which may be faster; or auto, see
            `choose_precision`.
        engine: onnxruntime; openvino or torch, which are extras; compile, which is torch.compile; or auto: the fastest
            that is installed, see `choose_engine`. In fp32 they all differ by at most one level of 255.
        threads: of the network on the CPU; for torch and compile it counts for the whole process. None: one for each
            core.
        tiles: auto, which works in tiles when a picture would take more than half of the memory that is left; always;
            or never. Tiles are normalized by the statistics of a thumbnail, see `stylize.tiles`.
        look: the knobs. None: as the network was trained.

    One thread at a time may use a Stylizer, whichever it is; several of them in several threads are fine.

    Attributes:
        checkpoint: the network and what its file says about itself.
        engine: the name of the engine in use, never `auto`.
        device: the device in use, such as cpu or cuda:1.
        precision: the precision in use, never `auto`.
        threads: as given.
        style_name: the checkpoint's style, else its file's name without suffix, else `style`.
        look: the knobs in use; may be set between two pictures or frames.

    Raises:
        CheckpointError: no such style, or a file that is no checkpoint.
        ImageError: the look names a mask that cannot be read.
        SettingError: the device, the precision or the engine is unknown or cannot be used here; threads below 1; or a
            look that this network, or its mask, does not allow.
    """

    def __init__(
        self,
        style: str | Path | Checkpoint,
        *,
        device: str | None = None,
        precision: str = "fp32",
        engine: str = "auto",
        threads: int | None = None,
        tiles: str = "auto",
        look: Look | None = None,
    ) -> None:
        if tiles not in TILES:
            raise SettingError(f"tiles is {tiles!r}; allowed: {', '.join(TILES)}{nearest_name(tiles, list(TILES))}")
        if threads is not None and threads < 1:
            raise SettingError(f"threads is {threads}; it must be at least 1")
        self.threads = threads
        self.engine, self.device = choose_engine(engine, device, precision)
        self.precision = choose_precision(precision, self.engine)
        self.checkpoint = style if isinstance(style, Checkpoint) else open_style(str(style))
        fallback_name = "style" if isinstance(style, Checkpoint) else Path(style).stem
        self.style_name = str(self.checkpoint.info.style.get("name") or fallback_name)
        self._engine = build_engine(self.engine, self.checkpoint, self.device, self.precision, threads)
        self._tiles = tiles
        self._look = Look()
        self._finisher = Finisher(self._look, threads)
        self.look = look or Look()

    @property
    def look(self) -> Look:
        """The knobs in use."""
        return self._look

    @look.setter
    def look(self, look: Look) -> None:
        """Use these knobs from now on.

        Raises:
            ImageError, SettingError: see the class; the look then stays as it was.
        """
        if look == self._look:
            return
        finisher = Finisher(look, self.threads)
        if look.strength != self._look.strength:
            self._engine.set_steering(self.checkpoint.steer(look.strength))
        self._look, self._finisher = look, finisher

    def restyle(self, checkpoint: Checkpoint) -> None:
        """Take another style of the same network from now on, which needs no preparation.

        Raises:
            SettingError: the two networks differ in more than their scales and shifts.
        """
        if checkpoint is self.checkpoint:
            return
        if not checkpoint.description.adjustable or checkpoint.shared_digest != self.checkpoint.shared_digest:
            raise SettingError("the styles do not share their network; make a Stylizer for each")
        self.checkpoint = checkpoint
        self.style_name = str(checkpoint.info.style.get("name") or "style")
        self._engine.set_steering(checkpoint.steer(self._look.strength))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the network, the look and its mask, in hexadecimal: equal for two that stylize alike."""
        mask = b"" if self._look.mask is None else self._look.mask.read_bytes()
        look = str(dataclasses.replace(self._look, region=None)) if mask else str(self._look)
        return hashlib.sha256(f"{self.checkpoint.digest} {look} ".encode() + mask).hexdigest()

    @overload
    def __call__(self, image: str | os.PathLike[str] | Image.Image, *, size: int | None = None) -> Image.Image: ...
    @overload
    def __call__(self, image: _Image, *, size: int | None = None) -> _Image: ...
    def __call__(self, image: Any, *, size: int | None = None) -> Any:
        """Stylize an image, and give it back as it was given: in its kind, shape, number type and device.

        Args:
            image: a path, which gives a PIL image; a PIL image of any mode of 8 or 16 bits, which gives RGB, or RGBA
                where it is transparent, turned upright and in sRGB as a file would be; a NumPy array (H, W, 3) or
                (B, H, W, 3); a PyTorch tensor (3, H, W) or (B, 3, H, W); or a `Picture`. Arrays and tensors hold RGB:
                uint8 in [0, 255], or floats in [0, 1], which are rounded to 255 levels. Gradients do not pass.
            size: long side in pixels at which the network works, see `stylize_picture`. None: the image's own.

        Raises:
            ImageError: a file that cannot be read, or an image that does not fit into memory.
            SettingError: another kind, shape, type or range; or `size` is less than 1.
        """
        opened, give_back = open_image(image)
        if isinstance(opened, Picture):
            return give_back(self.stylize_picture(opened, size=size))
        if size is None:
            return give_back(self.stylize_pixels(opened))
        return give_back(np.stack([self.stylize_picture(Picture(rgb), size=size).rgb for rgb in opened]))

    def _repr_html_(self) -> str:
        """What notebooks show: the style, its knobs, and the sample photo in it."""
        from nst_fast.stylize.notebook_view import show_stylizer  # only notebooks need it

        return show_stylizer(self)

    def describe(self) -> str:
        """The engine in a few words, such as `openvino on cpu in fp32, 2 threads`."""
        threads = "" if self.threads is None else f", {self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.engine} on {self.device} in {self.precision}{threads}"

    def stylize_pixels(self, rgb: np.ndarray) -> np.ndarray:
        """Stylize pixels, such as a film's frames, in one piece; the size is kept exactly.

        Args:
            rgb: (H, W, 3) or (B, H, W, 3) with H, W >= 1, uint8 in [0, 255].

        Returns:
            The same shape, uint8, in an array of its own.

        Raises:
            SettingError: another shape or dtype.
            ImageError: the images do not fit into memory.
        """
        check_pixels(rgb, (3, 4))
        batch = rgb if rgb.ndim == 4 else rgb[None]
        finisher = self._finisher
        with _explained_memory(batch.shape[1], batch.shape[2], self.device):
            if finisher.changes_nothing:
                stylized = self._engine.stylize_pixels(batch)
            else:
                small = np.stack([finisher.shrink(photo) for photo in batch])
                each = zip(batch, small, self._engine.stylize_pixels(small), strict=True)
                stylized = np.stack([finisher.finish(*images) for images in each])
        return stylized if rgb.ndim == 4 else stylized[0]

    def stylize_picture(self, picture: Picture, *, size: int | None = None) -> Picture:
        """Stylize a picture file's pixels, in tiles where the memory asks for it; size and alpha stay as they are.

        Args:
            picture: where it is fully transparent the network sees white, since the colors that a file holds there
                are arbitrary.
            size: long side in pixels at which the network works. The picture is scaled to it, up or down, and the
                result back to the picture's own size, plainly: what is smaller than a pixel there is lost. None: the
                picture's own size. `Look.stroke_size` divides this size once more, and keeps the edges sharp.

        Returns:
            One picture of the same height and width, also for an animation.

        Raises:
            SettingError: `size` is less than 1.
            ImageError: the picture does not fit into memory at this size.
        """
        height, width = picture.rgb.shape[:2]
        work_height, work_width = (height, width) if size is None else size_for_long_side(height, width, size)
        finisher = self._finisher
        with _explained_memory(*finisher.network_size(work_height, work_width), self.device):
            rgb = resize_pixels(whiten_transparent(picture), work_height, work_width)
            small = finisher.shrink(rgb)
            network_height, network_width = small.shape[:2]
            if self._needs_tiles(network_height, network_width):
                _log.info(
                    "stylizing %d x %d pixels in tiles, with the statistics of a thumbnail",
                    network_width,
                    network_height,
                )
                stylized = stylize_in_tiles(self._engine, self.checkpoint.description, small)
            else:
                stylized = self._engine.stylize_pixels(small[None])[0]
            if not finisher.changes_nothing:
                stylized = finisher.finish(rgb, small, stylized)
            return Picture(resize_pixels(stylized, height, width), picture.alpha)

    def for_frames(self, smoothing: float, coherence: float = 0.0, *, follow_camera: bool = False) -> FrameStylizer:
        """A stylizer for films, which smooths the statistics of instance normalization from frame to frame, and blends
        each output with the last one, carried along the motion of the scene.

        Args:
            smoothing: share of the past in the statistics, 0 (each frame by itself) to below 1.
            coherence: share of the last output, 0 to below 1, see `CoherenceFilter`.
            follow_camera: True: strokes move with the scene when the camera turns, as in films; for frames that come
                without origins, to `FrameStylizer.stylize_pixels`.

        Raises:
            SettingError: `smoothing` or `coherence` is out of range.
        """

        def open_blending(graph: bytes, beside: bool) -> RunGraph:
            return open_graph(graph, self.engine, 1 if beside else self.threads)

        stride = self.checkpoint.description.stride
        return FrameStylizer(
            self._engine,
            smoothing,
            CoherenceFilter(coherence, open_blending),
            lambda: self._finisher,
            stride=stride,
            follow_camera=follow_camera,
        )

    def _needs_tiles(self, height: int, width: int) -> bool:
        if self._tiles != "auto":
            return self._tiles == "always"
        if height * width <= _NEVER_TILED_PIXELS:
            return False
        free = available_bytes(self.device)
        needed = height * width * estimate_bytes_per_pixel(self.checkpoint.description)
        return free is not None and needed > free / 2


@contextlib.contextmanager
def _explained_memory(height: int, width: int, device: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        smaller = max(1, max(height, width) // 2)
        raise ImageError(
            f"{width} x {height} pixels do not fit the memory of {device}; work at a smaller size, such as {smaller}"
        ) from error
