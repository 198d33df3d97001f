"""PyTorch itself: always there, on every device."""

import contextlib
import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from nst_fast.errors import SettingError
from nst_fast.inference.engines.engine import FilmFrame, paint_one_by_one
from nst_fast.memory import keep_freed_memory
from nst_fast.transform_nets import TransformNet
from nst_fast.transform_nets.painter import Painter
from nst_fast.transform_nets.statistics import RelayedStatistics, blank_statistics

# Of larger frames one fills the caches by itself, and several at a time are no quicker.
_RELAYED_PIXELS = 640 * 480


class TorchEngine:
    """Runs a network by PyTorch. On the CPU the process keeps memory that is freed, see `keep_freed_memory`.

    Args:
        network: in evaluation mode, on the device to paint on.
        number_type: of the convolutions: torch.float32, or bfloat16 or float16 by autocast.
        compiled: by torch.compile, which takes up to a minute when the first picture comes, and again when the first
            of another size comes.
        threads: on the CPU, where it counts for all that torch does in this process. None: as it is.
    """

    def __init__(
        self,
        network: TransformNet,
        device: torch.device,
        number_type: torch.dtype,
        *,
        compiled: bool = False,
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        if device.type == "cpu":
            keep_freed_memory()
        self._network = network
        self._device = device
        self._number_type = number_type
        self._compiled = compiled
        self._painter = Painter(network, pixels=True)
        painters = Painter(network, pixels=False), self._painter
        self._paint_images, self._paint_pixels = map(torch.compile, painters) if compiled else painters

    def paint_images(self, images: Tensor) -> Tensor:
        """(B, 3, H, W), float in [0, 1], on any device, to the same shape, float32, on the engine's device."""
        with self._inference():
            return self._paint_images(images.to(self._device, torch.float32))

    def paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """(B, H, W, 3), uint8, to the same."""
        if self._device.type == "cpu" and not self._compiled:
            # torch's own instance normalisation is the slower one there: 75 ms against 53 for realtime at 640x360.
            return self.paint_pixels_with_statistics(pixels, None, 1.0)[0]
        with self._inference():
            return self._paint_pixels(self._upload(pixels)).cpu().numpy()

    def paint_pixels_with_statistics(
        self, pixels: np.ndarray, given: np.ndarray | None, share: float, origin: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paint as `paint_pixels`, see `paint_with_statistics`; `given` may be None where `share` is 1."""
        with self._inference():
            statistics = blank_statistics(self._network) if given is None else torch.from_numpy(given)
            # A tensor, since torch.compile would compile for each number anew; but 0 means that nothing is measured.
            share_here = 0.0 if share == 0 else torch.tensor(share, dtype=torch.float32, device=self._device)
            origin_here = None if origin is None else torch.tensor(origin, device=self._device)
            painted, used = self._paint_pixels(
                self._upload(pixels), statistics.to(self._device), share_here, origin_here
            )
            return painted.cpu().numpy(), used.float().cpu().numpy()

    def paint_frames(self, frames: Iterable[FilmFrame], share: float) -> Generator[np.ndarray, None, None]:
        """Frames of a film; small ones on the CPU several at a time, each by a thread of its own.

        That many threads are busy all the time, where the threads that share the layers of one frame wait for each
        other after each layer: 36 frames/s instead of 28 for realtime at 640x360 on two cores, and far less disturbed
        by decoding and encoding beside it.
        """
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            return
        frames = itertools.chain([first], frames)
        at_once = torch.get_num_threads()
        height, width = first[0].shape[:2]
        if self._device.type != "cpu" or self._compiled or at_once == 1 or height * width > _RELAYED_PIXELS:
            yield from paint_one_by_one(self, frames, share)
            return

        def paint(pixels: np.ndarray, statistics: RelayedStatistics) -> np.ndarray:
            try:
                with self._inference():
                    return self._painter.paint_relayed(self._upload(pixels[None]), statistics)[0].numpy()
            except BaseException:
                statistics.give_up()
                raise

        pool = ThreadPoolExecutor(at_once, "paint-frame", initializer=torch.set_num_threads, initargs=(1,))
        painting: deque[Future[np.ndarray]] = deque()
        before: RelayedStatistics | None = None
        try:
            for pixels, afresh in frames:
                before = RelayedStatistics(None if afresh or share == 1 else before, share)
                painting.append(pool.submit(paint, pixels, before))
                if len(painting) > at_once:
                    yield painting.popleft().result()
            while painting:
                yield painting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            # PyTorch takes the number that was set last, on whichever thread, for threads to come.
            torch.set_num_threads(at_once)

    def _upload(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(self._device)

    @contextlib.contextmanager
    def _inference(self) -> Iterator[None]:
        try:
            with (
                torch.inference_mode(),
                torch.autocast(self._device.type, self._number_type, enabled=self._number_type != torch.float32),
            ):
                yield
        except RuntimeError as error:
            # By its module's name, since importing that module for the comparison takes seconds.
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            first_line = str(error).strip().partition("\n")[0]
            raise SettingError(
                f"engine 'compile' could not compile the network ({first_line}); it needs a C++ compiler, "
                f"such as g++; install one or give --engine torch"
            ) from error
