"""What one forward pass takes, and what one iteration of the slow method takes, on the same device in the same run."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from nst_fast.gatys.pixel_optimiser import PixelOptimiser
from nst_fast.gatys.start import make_start
from nst_fast.images import resize
from nst_fast.inference.stylizer import Stylizer
from nst_fast.losses.perceptual import PerceptualLoss


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds at one size, each the median of `rounds`.

    Attributes:
        size: pixels, side of the square picture.
        rounds: in each of them every network painted once and L-BFGS took one iteration.
        forward_seconds: network -> one forward pass.
        iteration_seconds: one iteration of L-BFGS. Of those few that look at the loss more than once, and of the
            history that grows over the first twenty, the median of the first ones says less than an average over 500
            would, so that speed-ups are rather too small.
    """

    size: int
    rounds: int
    forward_seconds: Mapping[str, float]
    iteration_seconds: float

    def speed_up(self, network: str, iterations: float) -> float:
        """How many times longer than the network's forward pass so many iterations take; extrapolated."""
        return iterations * self.iteration_seconds / self.forward_seconds[network]


def measure_timing(
    stylizers: Mapping[str, Stylizer], loss: PerceptualLoss, photo: Tensor, size: int, *, rounds: int
) -> Timing:
    """Time a forward pass of each network and an iteration of L-BFGS in turns, so that what else runs falls on all.

    Args:
        stylizers: name -> network, all on one device.
        loss: on the same device.
        photo: shape (3, H, W), RGB in [0, 1]; it is stretched to the square.
        size: pixels, its side.
        rounds: how many are timed, after one that is not.
    """
    device = next(iter(stylizers.values())).device
    photo = resize(photo.to(device), size, size)
    target = loss.measure_content(photo.unsqueeze(0))
    noise = make_start("noise", photo, photo, 0).unsqueeze(0)
    optimiser = PixelOptimiser(noise, lambda picture: loss(picture, target))
    calls: dict[str | None, Callable[[], object]] = {
        name: (lambda stylizer=stylizer: stylizer.stylize(photo)) for name, stylizer in stylizers.items()
    }
    calls[None] = optimiser.take_iteration
    seconds: dict[str | None, list[float]] = {name: [] for name in calls}
    for timed in [False, *[True] * rounds]:
        for name, call in calls.items():
            _wait(device)
            began = time.perf_counter()
            call()
            _wait(device)
            if timed:
                seconds[name].append(time.perf_counter() - began)
    iteration_seconds = statistics.median(seconds.pop(None))
    forward_seconds = {str(name): statistics.median(each) for name, each in seconds.items()}
    return Timing(size, rounds, forward_seconds, iteration_seconds)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
