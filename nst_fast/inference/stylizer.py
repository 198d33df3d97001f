"""The one object that paints: pictures, folders and everything else go through `Stylizer`."""

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nst_fast.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint
from nst_fast.device import choose_device
from nst_fast.errors import ImageError, SettingError, nearest_name
from nst_fast.images import Picture, resize, size_for_long_side, to_tensor, to_uint8
from nst_fast.inference.engines.choice import PRECISIONS, build_engine, choose_engine
from nst_fast.inference.steady import SteadyStylizer, check_pixels
from nst_fast.inference.tiling import estimate_bytes_per_pixel, paint_in_tiles, resize_pixels
from nst_fast.memory import available_bytes, is_out_of_memory
from nst_fast.transform_nets import TransformNet

# Whatever memory is left: tiles of that would be as large as the picture.
_NEVER_TILED_PIXELS = 768 * 768
TILES = ("auto", "always", "never")


class Stylizer:
    """A trained network, ready to paint on one device.

    The network is a copy, so that a network in training can be handed in and stays as it is.

    Args:
        checkpoint: a shipped style's name, a checkpoint file, a loaded checkpoint, or a bare network.
        device: cpu, cuda, cuda:1, mps. None: the first that is there of cuda, mps, cpu.
        precision: fp32, or with autocast bf16 or fp16; the result is float32 in each case.
        engine: torch, whose `stylize` is bit for bit the bare network; compile, onnxruntime or openvino, which are
            faster and differ by at most a level of 255 in fp32; auto: the fastest that is installed, see
            `choose_engine`.
        threads: of the network on the CPU; for torch and compile it counts for the whole process. None: one for each
            core.
        tiles: auto, which paints picture files in tiles when they would take more than half of the memory that is
            left; always; or never. Tiles are normalised by the statistics of a thumbnail, see `inference.tiling`.

    For one thread at a time, whichever; several of them in several threads are fine.

    Attributes:
        engine: the name of the engine that paints, never `auto`.
        info: what the checkpoint says of itself; empty for a bare network.
        style_name: the checkpoint's style, else its file's name without suffix, else `style`.

    Raises:
        CheckpointError: no such style, or a file that is no checkpoint.
        SettingError: the device, the precision or the engine is unknown or cannot be used here; or threads below 1.
    """

    def __init__(
        self,
        checkpoint: str | Path | Checkpoint | TransformNet,
        *,
        device: str | None = None,
        precision: str = "fp32",
        engine: str = "torch",
        threads: int | None = None,
        tiles: str = "auto",
    ) -> None:
        self.device = choose_device(device)
        _check_precision(precision, self.device)
        if tiles not in TILES:
            raise SettingError(f"tiles is {tiles!r}; allowed: {', '.join(TILES)}{nearest_name(tiles, list(TILES))}")
        if threads is not None and threads < 1:
            raise SettingError(f"threads is {threads}; it must be at least 1")
        self.precision = precision
        self.threads = threads
        self.engine = choose_engine(engine, self.device, precision)
        fallback_name = "style"
        if isinstance(checkpoint, str | Path):
            fallback_name = Path(checkpoint).stem
            checkpoint = load_checkpoint(checkpoint)
        elif isinstance(checkpoint, TransformNet):
            checkpoint = Checkpoint(checkpoint, CheckpointInfo(style={}))
        self.info = checkpoint.info
        self.style_name = str(self.info.style.get("name") or fallback_name)
        # Not channels_last: on two CPU cores (AVX-512, torch 2.15) at 640x360 that took 70 ms against 63 for realtime
        # and 392 against 351 for johnson at width 32 in fp32, 26 against 21 and 243 against 202 in bf16.
        self.network = copy.deepcopy(checkpoint.network).eval().requires_grad_(False).to(self.device)
        self._engine = build_engine(self.engine, self.network, self.device, precision, threads)

        self._tiles = tiles

    def describe(self) -> str:
        """What paints, in a few words, such as `openvino on cpu in fp32, 2 threads`."""
        threads = "" if self.threads is None else f", {self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.engine} on {self.device} in {self.precision}{threads}"

    def stylize(self, image: Tensor) -> Tensor:
        """Paint one image or a batch of equal size; the size is kept exactly.

        Args:
            image: shape (3, H, W) or (B, 3, H, W) with H, W >= 1, float in [0, 1], on any device.

        Returns:
            The same shape, float32 in [0, 1], on the device of `image`.

        Raises:
            SettingError: another shape or dtype.
            ImageError: the picture does not fit into memory.
        """
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or 0 in image.shape or not image.is_floating_point():
            raise SettingError(
                f"image has shape {tuple(image.shape)} and dtype {image.dtype}; "
                f"give (3, height, width) or (batch, 3, height, width) of float in [0, 1]"
            )
        height, width = image.shape[-2:]
        batch = image if image.ndim == 4 else image.unsqueeze(0)
        with _explained_memory(height, width, self.device):
            painted = self._engine.paint_images(batch).to(image.device)
            # Outside inference mode, so that the result is an ordinary tensor, which a caller may optimise further.
            painted = painted.clone() if painted.is_inference() else painted
        return painted if image.ndim == 4 else painted.squeeze(0)

    def stylize_pixels(self, rgb: np.ndarray) -> np.ndarray:
        """Paint pixels, such as a film's frames, by the shortest way; the size is kept exactly.

        Args:
            rgb: (H, W, 3) or (B, H, W, 3) with H, W >= 1, uint8 in [0, 255].

        Returns:
            The same shape, uint8, in an array of its own.

        Raises:
            SettingError: another shape or dtype.
            ImageError: the pictures do not fit into memory.
        """
        check_pixels(rgb, (3, 4))
        batch = rgb if rgb.ndim == 4 else rgb[None]
        with _explained_memory(batch.shape[1], batch.shape[2], self.device):
            painted = self._engine.paint_pixels(batch)
        return painted if rgb.ndim == 4 else painted[0]

    def steady(self, smoothing: float) -> SteadyStylizer:
        """A painter of films that carries the smoothed statistics of instance normalisation from frame to frame.

        Args:
            smoothing: share of the past, 0 (each frame by itself) to below 1.

        Raises:
            SettingError: `smoothing` is out of range.
        """
        return SteadyStylizer(self._engine, smoothing)

    def paints_in_tiles(self, height: int, width: int) -> bool:
        """Whether `stylize_picture` paints in tiles where it works at this size in pixels."""
        if self._tiles != "auto":
            return self._tiles == "always"
        if height * width <= _NEVER_TILED_PIXELS:
            return False
        free = available_bytes(self.device)
        return free is not None and height * width * estimate_bytes_per_pixel(self.network) > free / 2

    def stylize_picture(self, picture: Picture, *, size: int | None = None) -> Picture:
        """Paint the pixels of a picture file; width, height and alpha stay as they are.

        Args:
            picture: where it is fully transparent the network sees white, since the colours that a file holds there
                are arbitrary.
            size: long side in pixels at which the network works. The picture is scaled to it, up or down, and the
                painting back to the picture's own size: a smaller size gives larger strokes, in less time and
                memory; a larger one finer strokes. None: the picture's own size.

        Returns:
            One picture of the same height and width, also for an animation.

        Raises:
            SettingError: `size` is less than 1.
            ImageError: the picture does not fit into memory at this size.
        """
        height, width = picture.rgb.shape[:2]
        work_height, work_width = (height, width) if size is None else size_for_long_side(height, width, size)
        with _explained_memory(work_height, work_width, self.device):
            rgb = picture.rgb
            if picture.alpha is not None:
                rgb = np.where(picture.alpha[..., None] == 0, np.uint8(255), rgb)
            if self.paints_in_tiles(work_height, work_width):
                # In bytes throughout, since the floats of a huge picture would fill the memory by themselves.
                painted = paint_in_tiles(self._engine, self.network, resize_pixels(rgb, work_height, work_width))
                return Picture(resize_pixels(painted, height, width), picture.alpha)
            painted = self.stylize(resize(to_tensor(rgb), work_height, work_width))
            return Picture(to_uint8(resize(painted, height, width)), picture.alpha)


def _check_precision(precision: str, device: torch.device) -> None:
    if precision not in PRECISIONS:
        raise SettingError(
            f"precision {precision!r} is unknown; allowed: {', '.join(PRECISIONS)}"
            f"{nearest_name(precision, list(PRECISIONS))}"
        )
    if precision == "fp16" and device.type == "cpu":
        # Measured at 640x360: 33 s instead of 0.35 s for johnson, 1.3 s instead of 0.06 s for realtime.
        raise SettingError(
            "precision 'fp16' is many times slower than fp32 on the cpu; give fp32 or bf16, or another device"
        )


@contextlib.contextmanager
def _explained_memory(height: int, width: int, device: torch.device) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        smaller = max(1, max(height, width) // 2)
        raise ImageError(
            f"painting at {width} x {height} pixels does not fit the memory of {device}; "
            f"work at a smaller size, such as --size {smaller}"
        ) from error
