"""The yardstick: how many iterations of the slow method one forward pass of a trained network stands for."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nst_fast.errors import ImageError, SettingError
from nst_fast.gatys.pixel_optimiser import PixelOptimiser
from nst_fast.gatys.start import make_start
from nst_fast.images import resize
from nst_fast.inference.stylizer import Stylizer
from nst_fast.losses.perceptual import PerceptualLoss

STARTS = ("noise", "content")
FORWARD_PASSES_TIMED = 5


@dataclasses.dataclass(frozen=True)
class OptimizationCurve:
    """What L-BFGS reached from one start on one photo.

    Attributes:
        totals: of the first picture and after each iteration.
        iterations_to_equal: N, the first iteration whose total is no higher than the network's; None: none was.
        picture_at_equal: the picture then, (3, H, W) in [0, 1]; None: none was.
        last_picture: the picture after the last iteration.
    """

    totals: list[float]
    iterations_to_equal: int | None
    picture_at_equal: Tensor | None
    last_picture: Tensor


@dataclasses.dataclass(frozen=True)
class PhotoEvaluation:
    """One photo: what the network reached, and what the slow method did.

    Attributes:
        terms: the named losses of the network's picture.
        painted: the network's picture, (3, H, W) in [0, 1].
        curves: start -> curve.
    """

    terms: Mapping[str, float]
    painted: Tensor
    curves: Mapping[str, OptimizationCurve]


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds at one size, measured in this run on this device.

    Attributes:
        size: pixels, side of the square picture.
        forward_seconds: one pass of the network, the median of some.
        iteration_seconds: one iteration of L-BFGS, the mean of `timed_iterations`.
        timed_iterations: so many were run; the time of more is that many times `iteration_seconds`.
    """

    size: int
    forward_seconds: float
    iteration_seconds: float
    timed_iterations: int

    def speed_up(self, iterations: float) -> float:
        """How many times longer so many iterations take than one forward pass."""
        return iterations * self.iteration_seconds / self.forward_seconds


def evaluate_photo(
    stylizer: Stylizer,
    loss: PerceptualLoss,
    photo: Tensor,
    *,
    iterations: int,
    seed: int = 0,
    starts: Sequence[str] = STARTS,
    on_iteration: Callable[[], object] = lambda: None,
) -> PhotoEvaluation:
    """Compare the network with L-BFGS on the very same total.

    Args:
        loss: of the style that the network was trained for, on the device of `stylizer`.
        photo: shape (3, H, W), RGB in [0, 1], one that was not trained on.
        iterations: of L-BFGS from each start.
        starts: out of `noise` and `content`.

    Raises:
        SettingError: no iteration is asked for.

    Source: Johnson et al. 2016, section 4.1 and figure 5.
    """
    if iterations < 1:
        raise SettingError(f"iterations is {iterations}; it must be at least 1")
    photo = photo.to(stylizer.device)
    target = loss.measure_content(photo.unsqueeze(0))
    painted = stylizer.stylize(photo)
    with torch.no_grad():
        terms = {name: float(term) for name, term in loss(painted.unsqueeze(0), target)[1].items()}
    curves = {}
    for start in starts:
        first = make_start(start, photo, photo, seed).unsqueeze(0)
        optimiser = PixelOptimiser(first, lambda picture: loss(picture, target))
        curves[start] = _follow(optimiser, terms["total"], iterations, on_iteration)
    return PhotoEvaluation(terms, painted, curves)


def _follow(
    optimiser: PixelOptimiser, network_total: float, iterations: int, on_iteration: Callable[[], object]
) -> OptimizationCurve:
    totals = [optimiser.total]
    equal = 0 if totals[0] <= network_total else None
    picture = optimiser.picture[0].clone() if equal == 0 else None
    for iteration in range(1, iterations + 1):
        if not optimiser.converged:
            optimiser.take_iteration()
        totals.append(optimiser.total)
        if equal is None and totals[-1] <= network_total:
            equal, picture = iteration, optimiser.picture[0].clone()
        on_iteration()
    return OptimizationCurve(totals, equal, picture, optimiser.picture[0].clone())


def measure_timing(
    stylizer: Stylizer, loss: PerceptualLoss, photo: Tensor, size: int, *, timed_iterations: int
) -> Timing:
    """Time one forward pass and some iterations of L-BFGS on a square picture.

    Args:
        photo: shape (3, H, W), RGB in [0, 1]; it is stretched to the square.
        size: pixels, its side.
        timed_iterations: how many of L-BFGS, after one that is not timed.
    """
    if timed_iterations < 1:
        raise SettingError(f"timed_iterations is {timed_iterations}; it must be at least 1")
    device = stylizer.device
    photo = resize(photo, size, size).to(device)

    def timed(call: Callable[[], object]) -> float:
        began = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    stylizer.stylize(photo)
    forward = statistics.median(timed(lambda: stylizer.stylize(photo)) for _ in range(FORWARD_PASSES_TIMED))
    target = loss.measure_content(photo.unsqueeze(0))
    noise = make_start("noise", photo, photo, 0).unsqueeze(0)
    optimiser = PixelOptimiser(noise, lambda picture: loss(picture, target))
    optimiser.take_iteration()
    seconds = sum(timed(optimiser.take_iteration) for _ in range(timed_iterations))
    return Timing(size, forward, seconds / timed_iterations, timed_iterations)


def summarise(photos: Sequence[PhotoEvaluation]) -> dict[str, Any]:
    """The mean terms, and for each start the median N and how many photos had none within the iterations.

    N is a median in which a photo without one counts as more than all the others; where that is the median itself it
    is None.

    Raises:
        ImageError: there is no photo.
    """
    if not photos:
        raise ImageError("there is no photo to evaluate on; give at least one")
    names = photos[0].terms
    summary: dict[str, Any] = {
        "photos": len(photos),
        "terms": {name: statistics.fmean(photo.terms[name] for photo in photos) for name in names},
        "iterations_to_equal": {},
        "photos_without": {},
    }
    for start in photos[0].curves:
        found = [photo.curves[start].iterations_to_equal for photo in photos]
        ordered = sorted(float("inf") if n is None else float(n) for n in found)
        middle = statistics.median(ordered)
        summary["iterations_to_equal"][start] = None if middle == float("inf") else middle
        summary["photos_without"][start] = sum(n is None for n in found)
    return summary
