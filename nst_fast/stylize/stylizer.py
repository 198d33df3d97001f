"""The one object that stylizes: pictures, folders, films and everything else go through `Stylizer`."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nst_fast.errors import ImageError, SettingError, nearest_name
from nst_fast.media.pictures import Picture, whiten_transparent
from nst_fast.media.resizing import resize_pixels, size_for_long_side
from nst_fast.memory import available_bytes, is_out_of_memory
from nst_fast.networks.checkpoint import Checkpoint, load_checkpoint
from nst_fast.stylize.engines.choice import build_engine, choose_engine
from nst_fast.stylize.smoothing import FrameStylizer, check_pixels
from nst_fast.stylize.tiles import estimate_bytes_per_pixel, stylize_in_tiles

_log = logging.getLogger(__name__)

# Whatever memory is left: tiles of that would be as large as the picture.
_NEVER_TILED_PIXELS = 768 * 768
TILES = ("auto", "always", "never")


class Stylizer:
    """A trained network, ready to stylize on one device.

    All pixels are sRGB bytes: what comes from a file, a film or a camera goes to the engine as it is.

    Args:
        style: a shipped style's name, a checkpoint file, or a loaded checkpoint.
        device: cpu, cuda, cuda:1, directml, coreml or mps. None: a GPU if an installed engine reaches one, else cpu.
        precision: fp32; bf16 (OpenVINO, PyTorch) or fp16 (PyTorch on a GPU), which may be faster.
        engine: onnxruntime; openvino or torch, which are extras; compile, which is torch.compile; or auto: the fastest
            that is installed, see `choose_engine`. In fp32 they all differ by at most one level of 255.
        threads: of the network on the CPU; for torch and compile it counts for the whole process. None: one for each
            core.
        tiles: auto, which works in tiles when a picture would take more than half of the memory that is left; always;
            or never. Tiles are normalized by the statistics of a thumbnail, see `stylize.tiles`.

    One thread at a time may use a Stylizer, whichever it is; several of them in several threads are fine.

    Attributes:
        checkpoint: the network and what its file says about itself.
        engine: the name of the engine in use, never `auto`.
        device: the device in use, such as cpu or cuda:1.
        precision, threads: as given.
        style_name: the checkpoint's style, else its file's name without suffix, else `style`.

    Raises:
        CheckpointError: no such style, or a file that is no checkpoint.
        SettingError: the device, the precision or the engine is unknown or cannot be used here; or threads below 1.
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
    ) -> None:
        if tiles not in TILES:
            raise SettingError(f"tiles is {tiles!r}; allowed: {', '.join(TILES)}{nearest_name(tiles, list(TILES))}")
        if threads is not None and threads < 1:
            raise SettingError(f"threads is {threads}; it must be at least 1")
        self.precision = precision
        self.threads = threads
        self.engine, self.device = choose_engine(engine, device, precision)
        self.checkpoint = style if isinstance(style, Checkpoint) else load_checkpoint(style)
        fallback_name = "style" if isinstance(style, Checkpoint) else Path(style).stem
        self.style_name = str(self.checkpoint.info.style.get("name") or fallback_name)
        self._engine = build_engine(self.engine, self.checkpoint, self.device, precision, threads)
        self._tiles = tiles

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
        with _explained_memory(batch.shape[1], batch.shape[2], self.device):
            stylized = self._engine.stylize_pixels(batch)
        return stylized if rgb.ndim == 4 else stylized[0]

    def stylize_picture(self, picture: Picture, *, size: int | None = None) -> Picture:
        """Stylize a picture file's pixels, in tiles where the memory asks for it; size and alpha stay as they are.

        Args:
            picture: where it is fully transparent the network sees white, since the colors that a file holds there
                are arbitrary.
            size: long side in pixels at which the network works. The picture is scaled to it, up or down, and the
                result back to the picture's own size: a smaller size gives larger strokes, in less time and memory; a
                larger one finer strokes. None: the picture's own size.

        Returns:
            One picture of the same height and width, also for an animation.

        Raises:
            SettingError: `size` is less than 1.
            ImageError: the picture does not fit into memory at this size.
        """
        height, width = picture.rgb.shape[:2]
        work_height, work_width = (height, width) if size is None else size_for_long_side(height, width, size)
        with _explained_memory(work_height, work_width, self.device):
            rgb = resize_pixels(whiten_transparent(picture), work_height, work_width)
            if self._needs_tiles(work_height, work_width):
                _log.info(
                    "stylizing %d x %d pixels in tiles, with the statistics of a thumbnail", work_width, work_height
                )
                stylized = stylize_in_tiles(self._engine, self.checkpoint.description, rgb)
            else:
                stylized = self._engine.stylize_pixels(rgb[None])[0]
            return Picture(resize_pixels(stylized, height, width), picture.alpha)

    def for_frames(self, smoothing: float) -> FrameStylizer:
        """A stylizer for films, which smooths the statistics of instance normalization from frame to frame.

        Args:
            smoothing: share of the past, 0 (each frame by itself) to below 1.

        Raises:
            SettingError: `smoothing` is out of range.
        """
        return FrameStylizer(self._engine, smoothing)

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
