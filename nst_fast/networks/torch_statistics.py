"""The statistics of instance normalization in PyTorch: measured on the input, given, or a mixture of both.

A network usually normalizes each channel by the mean and the variance that it measures on the photo itself. For a tile
of a huge picture these would be wrong, and over the frames of a film they make brightness and color pump. So every
normalization uses

    used = measured + smoothing * (given - measured)

with smoothing 0 for a single photo, 1 for tiles (given only; Chen et al. 2022, arXiv 2103.11784, measure them on a
thumbnail), and a value between for films, where `given` is what the last frame used.
"""

from queue import SimpleQueue
from typing import Protocol

import torch
from torch import Tensor


class StatisticsSource(Protocol):
    """Tells the normalizations of one forward pass, in the order in which they run, what to normalize by."""

    def choose(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and variance for the next normalization, each (B or 1, C, 1, 1), given its input (B, C, H, W)."""
        ...


class Statistics:
    """What one forward pass is given, and what it used.

    Args:
        given: (B or 1, 2, total channels): means in row 0, biased variances in row 1.
        smoothing: share of `given` in what is used. The number 1.0 measures nothing; a tensor of one value can be any
            other share.

    Attributes:
        used: a tensor (B or 1, 2, channels) for each normalization that has run.
    """

    def __init__(self, given: Tensor, smoothing: float | Tensor) -> None:
        self.given = given
        self.smoothing = smoothing
        self.used: list[Tensor] = []
        self._channels_passed = 0

    def choose(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """See `StatisticsSource`."""
        start, end = self._channels_passed, self._channels_passed + hidden.shape[1]
        used = self.given[:, :, start:end]
        if not (isinstance(self.smoothing, float) and self.smoothing == 1):
            measured = measure_statistics(hidden)
            used = measured + self.smoothing * (used - measured)
        self._channels_passed = end
        self.used.append(used)
        return used[:, 0, :, None, None], used[:, 1, :, None, None]


class RelayedStatistics:
    """As `Statistics`, from one frame of a film to the next, layer by layer.

    So a thread can work on a frame while another is still at work on the frame before it, a layer or more ahead.

    Args:
        before: of the frame before; or what it used, (1, 2, total channels), as `collect` gave it. None: only what is
            measured is used.
        smoothing: share of what the frame before used.
    """

    def __init__(self, before: "RelayedStatistics | Tensor | None", smoothing: float) -> None:
        self._handed_over = before._used if isinstance(before, RelayedStatistics) else None
        self._given = before if isinstance(before, Tensor) else None
        self._smoothing = smoothing
        self._used: SimpleQueue[Tensor | None] = SimpleQueue()
        self._chosen: list[Tensor] = []
        self._channels_passed = 0

    def choose(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """See `StatisticsSource`; waits for the frame before, where that has not reached this layer yet.

        Raises:
            RuntimeError: the frame before was given up.
        """
        used = measure_statistics(hidden)
        given = self._take_given(hidden.shape[1])
        if given is not None:
            used = used + self._smoothing * (given - used)
        self._chosen.append(used)
        self._used.put(used)
        return used[:, 0, :, None, None], used[:, 1, :, None, None]

    def collect(self) -> Tensor:
        """What was used, (1, 2, total channels), once all normalizations have run."""
        return torch.cat(self._chosen, 2)

    def _take_given(self, channels: int) -> Tensor | None:
        if self._given is not None:
            start, self._channels_passed = self._channels_passed, self._channels_passed + channels
            return self._given[:, :, start : self._channels_passed]
        if self._handed_over is None:
            return None
        given = self._handed_over.get()
        if given is None:
            raise RuntimeError("the frame before could not be stylized")
        return given

    def give_up(self) -> None:
        """Let the next frame, which waits for statistics that will never come, fail."""
        self._used.put(None)


def measure_statistics(hidden: Tensor) -> Tensor:
    """Means and biased variances of (B, C, H, W): (B, 2, C)."""
    mean = hidden.mean((2, 3))
    # Around the mean, not as a difference of squares, which cancels in float32.
    return torch.stack([mean, (hidden - mean[:, :, None, None]).square().mean((2, 3))], 1)
