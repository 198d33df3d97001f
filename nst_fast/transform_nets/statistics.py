"""The statistics of instance normalisation: measured on the picture, given, or a mixture of both.

A network usually normalises each channel by the mean and the variance that it measures on the picture itself. For a
tile of a huge picture these would be the wrong ones, and over the frames of a film they make brightness and colour
pump. So every normalisation takes

    used = given + share * (measured - given)

with share 1 for the usual network, 0 for tiles (given only; Chen et al. 2022, arXiv 2103.11784, who measure them on a
thumbnail), and anything between for films, where `given` is what the last frame used.
"""

from queue import SimpleQueue
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class StatisticsSource(Protocol):
    """Tells the normalisations of one forward pass, in the order in which they run, what to normalise by."""

    def choose(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and variance to use for the next layer, each (B or 1, C, 1, 1), for its input (B, C, H, W)."""
        ...


class Statistics:
    """What one forward pass is given, and what it used, packed in one tensor each.

    Args:
        given: (B or 1, 2, total channels): means in row 0, biased variances in row 1.
        share: of what is measured. The number 0.0 measures nothing; a tensor of one value can be any other share,
            also one that an exported graph is fed with.
    """

    def __init__(self, given: Tensor, share: float | Tensor) -> None:
        self.given = given
        self.share = share
        self.used: list[Tensor] = []
        self._channels_passed = 0

    def choose(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """See `StatisticsSource`."""
        start, end = self._channels_passed, self._channels_passed + hidden.shape[1]
        used = self.given[:, :, start:end]
        if not (isinstance(self.share, float) and self.share == 0):
            used = used + self.share * (_measure(hidden) - used)
        self._channels_passed = end
        self.used.append(used)
        return used[:, 0, :, None, None], used[:, 1, :, None, None]


class RelayedStatistics:
    """As `Statistics`, from one frame of a film to the next, layer by layer.

    So a frame can be painted while the frame before it is still being painted, by another thread, a layer or more
    ahead.

    Args:
        before: of the frame before. None: what is measured is used.
        share: of what is measured.
    """

    def __init__(self, before: "RelayedStatistics | None", share: float) -> None:
        self._handed_over = None if before is None else before._used
        self._share = share
        self._used: SimpleQueue[Tensor | None] = SimpleQueue()

    def choose(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """See `StatisticsSource`; waits for the frame before, where that has not come to this layer yet.

        Raises:
            RuntimeError: the frame before was given up.
        """
        used = _measure(hidden)
        if self._handed_over is not None:
            given = self._handed_over.get()
            if given is None:
                raise RuntimeError("the frame before could not be painted")
            used = given + self._share * (used - given)
        self._used.put(used)
        return used[:, 0, :, None, None], used[:, 1, :, None, None]

    def give_up(self) -> None:
        """Let the next frame, which waits for statistics that will never come, fail."""
        self._used.put(None)


def _measure(hidden: Tensor) -> Tensor:
    """Means and biased variances of (B, C, H, W): (B, 2, C)."""
    mean = hidden.mean((2, 3))
    # Around the mean, not as a difference of squares, which cancels in float32.
    return torch.stack([mean, (hidden - mean[:, :, None, None]).square().mean((2, 3))], 1)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation (Ulyanov et al. 2016, arXiv 1607.08022), by its own statistics or by those handed in."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, hidden: Tensor, statistics: StatisticsSource | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, C, H, W) to the same shape; None: normalised by what is measured on `hidden`, as torch does it."""
        if statistics is None:
            # The same as instance_norm: each channel a group. On CPUs a step of training takes a fifth less with it.
            return functional.group_norm(hidden, self.num_features, self.weight, self.bias, self.eps)
        mean, variance = statistics.choose(hidden)
        scale = self.weight[:, None, None] * torch.rsqrt(variance + self.eps)
        return hidden * scale + (self.bias[:, None, None] - mean * scale)


class Chain(nn.Sequential):
    """`nn.Sequential` that hands the statistics on to those of its parts that hold a normalisation."""

    def forward(self, hidden: Tensor, statistics: StatisticsSource | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, C, H, W) through all parts in turn."""
        if statistics is None:
            return super().forward(hidden)
        for part in self:
            takes_statistics = any(isinstance(module, InstanceNorm) for module in part.modules())
            hidden = part(hidden, statistics) if takes_statistics else part(hidden)
        return hidden


def count_statistics(network: nn.Module) -> int:
    """The channels of all normalisations together: the last side of a packed tensor of statistics."""
    return sum(module.num_features for module in network.modules() if isinstance(module, InstanceNorm))


def blank_statistics(network: nn.Module) -> Tensor:
    """Zeros, (1, 2, total channels), to be given where everything is measured (share 1)."""
    like = next(network.parameters())
    return torch.zeros(1, 2, count_statistics(network), dtype=torch.float32, device=like.device)


def paint_with_statistics(
    network: nn.Module, photos: Tensor, given: Tensor, share: float | Tensor, origin: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Paint with statistics that are given, or mixed with those that are measured.

    Args:
        network: one of `TRANSFORM_NETS`.
        photos: (B, 3, H, W) in [0, 1].
        given: (B or 1, 2, total channels), such as an earlier call returned; see `Statistics`.
        share: 0.0: only what is given. 1.0: only what is measured on each photo.
        origin: of the photos in the pictures that they are tiles of, see `Grain`.

    Returns:
        The paintings, shape and range of `photos`; and the statistics used, (B or 1, 2, total channels).
    """
    statistics = Statistics(given, share)
    painted = network(photos, statistics, origin)
    return painted, torch.cat(statistics.used, 2)
