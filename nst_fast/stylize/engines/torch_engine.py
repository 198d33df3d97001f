"""PyTorch: an extra that reaches NVIDIA and Apple GPUs."""

import contextlib
import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from nst_fast.errors import SettingError
from nst_fast.memory import keep_freed_memory
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.torch_any_size import AnySizeNetwork
from nst_fast.networks.torch_network import blank_statistics, network_from_checkpoint
from nst_fast.networks.torch_statistics import RelayedStatistics
from nst_fast.stylize.engines.engine import FilmFrame, StylizedFrame, stylize_one_by_one

_NUMBER_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Of larger frames one fills the caches by itself, and several at a time are no quicker.
_RELAYED_PIXELS = 640 * 480


class TorchEngine:
    """Runs a network by PyTorch. On the CPU the process keeps memory that is freed, see `keep_freed_memory`.

    Args:
        checkpoint: the network.
        device: cpu, cuda, cuda:1 or mps.
        precision: of the convolutions: fp32, or bf16 or fp16 by autocast.
        compiled: by torch.compile, which takes up to a minute at the first image, and again at the first image of
            another size.
        threads: on the CPU, where it counts for all that torch does in this process. None: as it is.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str,
        precision: str,
        *,
        compiled: bool = False,
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        if self._device.type == "cpu":
            keep_freed_memory()
        # Not channels_last: on two CPU cores (AVX-512, torch 2.15) at 640x360 that took 70 ms against 63 for realtime
        # and 392 against 351 for johnson at width 32 in fp32, 26 against 21 and 243 against 202 in bf16.
        self._network = network_from_checkpoint(checkpoint).to(self._device)
        self._number_type = _NUMBER_TYPES[precision]
        self._compiled = compiled
        self._any_size = AnySizeNetwork(self._network, pixels=True)
        self._steering: Tensor | None = None
        if checkpoint.description.adjustable:
            self.set_steering(checkpoint.steer(1.0))
        self._stylize = torch.compile(self._any_size) if compiled else self._any_size

    def set_steering(self, steering: np.ndarray) -> None:
        """See `Engine`."""
        self._steering = torch.from_numpy(steering).to(self._device)

    def stylize_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        with self._inference():
            return self._stylize(self._upload(pixels), steering=self._steering).cpu().numpy()

    def stylize_with_statistics(
        self, pixels: np.ndarray, given: np.ndarray | None, smoothing: float, origin: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Engine`."""
        with self._inference():
            statistics = blank_statistics(self._network) if given is None else torch.from_numpy(given)
            # A tensor, since torch.compile would compile for each number again; but 1 means that nothing is measured.
            share = 1.0 if smoothing == 1 else torch.tensor(smoothing, dtype=torch.float32, device=self._device)
            stylized, used = self._stylize(
                self._upload(pixels), statistics.to(self._device), share, self._upload_origin(origin), self._steering
            )
            return stylized.cpu().numpy(), used.float().cpu().numpy()

    def stylize_frames(
        self, frames: Iterable[FilmFrame], smoothing: float, used: np.ndarray | None = None
    ) -> Generator[StylizedFrame, None, None]:
        """Frames of a film; small ones on the CPU several at a time, each by a thread of its own.

        Threads that share the layers of one frame wait for each other after each layer. With a frame for each thread,
        realtime at 640x360 makes 36 frames/s instead of 28 on two cores, and decoding and encoding disturb it far less.
        """
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            return
        frames = itertools.chain([first], frames)
        at_once = torch.get_num_threads()
        height, width = first.pixels.shape[:2]
        if self._device.type != "cpu" or self._compiled or at_once == 1 or height * width > _RELAYED_PIXELS:
            yield from stylize_one_by_one(self, frames, smoothing, used)
            return

        def stylize(frame: FilmFrame, statistics: RelayedStatistics) -> StylizedFrame:
            try:
                with self._inference():
                    stylized = self._any_size.stylize_relayed(
                        self._upload(frame.pixels[None]), statistics, self._upload_origin(frame.origin), self._steering
                    )
                    return stylized[0].numpy(), None if smoothing == 0 else statistics.collect().float().numpy()
            except BaseException:
                statistics.give_up()
                raise

        pool = ThreadPoolExecutor(at_once, "stylize-frame", initializer=torch.set_num_threads, initargs=(1,))
        under_way: deque[Future[StylizedFrame]] = deque()
        before: RelayedStatistics | Tensor | None = None if used is None else torch.from_numpy(used)
        try:
            for frame in frames:
                before = RelayedStatistics(None if frame.is_cut or smoothing == 0 else before, smoothing)
                under_way.append(pool.submit(stylize, frame, before))
                if len(under_way) > at_once:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            # PyTorch takes the number that was set last, on whichever thread, for threads to come.
            torch.set_num_threads(at_once)

    def _upload(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(self._device)

    def _upload_origin(self, origin: tuple[int, int] | None) -> Tensor | None:
        return None if origin is None else torch.tensor(origin, device=self._device)

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
                f"such as g++; install one, or choose the engine torch"
            ) from error
