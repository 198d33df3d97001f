"""How long a forward pass and an L-BFGS iteration take, on the same device in the same run."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from nst_fast.data.images import resize
from nst_fast.evaluation.trained_network import TrainedNetwork
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.optimization.pixel_optimizer import PixelOptimizer
from nst_fast.optimization.start import make_start


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds at one size, each the median over `rounds`.

    Attributes:
        size: side of the square image, in pixels.
        rounds: number of rounds; in each, every network did one forward pass and L-BFGS did one iteration.
        forward_seconds: network -> duration of a forward pass.
        iteration_seconds: duration of an L-BFGS iteration. The median of the first few is lower than the average over
            500 iterations would be, because a few iterations evaluate the loss more than once and the history grows
            over the first twenty. So the speed-ups are rather too small.
    """

    size: int
    rounds: int
    forward_seconds: Mapping[str, float]
    iteration_seconds: float

    def speed_up(self, network: str, iterations: float) -> float:
        """How many times as long as a forward pass this number of iterations takes, extrapolated."""
        return iterations * self.iteration_seconds / self.forward_seconds[network]


def measure_timing(
    networks: Mapping[str, TrainedNetwork],
    loss: PerceptualLoss,
    photo: Tensor,
    size: int,
    *,
    rounds: int,
    device: torch.device,
) -> Timing:
    """Time a forward pass of each network and an iteration of L-BFGS, in turns, so that other load affects all alike.

    Args:
        networks: name -> network, all on `device`.
        loss: on `device`.
        photo: shape (3, H, W), RGB in [0, 1]; it is stretched to a square.
        size: side of the square, in pixels.
        rounds: number of timed rounds, after one that is not timed.
    """
    photo = resize(photo.to(device), size, size)
    target = loss.measure_content(photo.unsqueeze(0))
    noise = make_start("noise", photo, photo, 0).unsqueeze(0)
    optimizer = PixelOptimizer(noise, lambda image: loss(image, target))
    calls: dict[str | None, Callable[[], object]] = {
        name: (lambda network=network: network.stylize(photo)) for name, network in networks.items()
    }
    calls[None] = optimizer.take_iteration
    seconds: dict[str | None, list[float]] = {name: [] for name in calls}
    for timed in [False, *[True] * rounds]:
        for name, call in calls.items():
            _synchronize(device)
            started = time.perf_counter()
            call()
            _synchronize(device)
            if timed:
                seconds[name].append(time.perf_counter() - started)
    iteration_seconds = statistics.median(seconds.pop(None))
    forward_seconds = {str(name): statistics.median(each) for name, each in seconds.items()}
    return Timing(size, rounds, forward_seconds, iteration_seconds)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
